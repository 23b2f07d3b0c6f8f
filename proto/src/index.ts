export { ByteBuffer } from './byte-buffer.js';
export * from './gen/tags.js';
export {
  Constant,
  encode,
  encodeString,
  MAX_NESTED_BYTES,
  NO_FIELDS,
  putPositive,
  putVarint,
  putWriter,
  WireWriter,
} from './wire-writer.js';
export { equalBytes, STRIDE_BYTES, viewOf } from './words.js';
