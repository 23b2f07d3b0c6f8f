export { ByteBuffer } from './byte-buffer.js';
export * from './gen/tags.js';
export {
  encodeString,
  MAX_NESTED_BYTES,
  putBytes,
  putField,
  putVarint,
  putWriter,
  WireWriter,
} from './wire-writer.js';
