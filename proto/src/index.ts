export { ByteBuffer } from './byte-buffer.js';
export * from './gen/tags.js';
export { encodeString, MAX_NESTED_BYTES, WireWriter } from './wire-writer.js';
