export { DEFAULT_DECODER_OPTIONS } from './protocols/decoder.js';
