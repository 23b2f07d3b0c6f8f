export { ByteBuffer } from './byte-buffer.js';
export * from './gen/tags.js';
export {
  encodeString,
  MAX_NESTED_BYTES,
  putField,
  putVarint,
  putWriter,
  WireWriter,
} from './wire-writer.js';
export { equalBytes, STRIDE_BYTES, viewOf } from './words.js';
