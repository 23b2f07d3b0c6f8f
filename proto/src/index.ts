export { ByteBuffer } from './byte-buffer.js';
export * from './gen/tags.js';
export { encodeString, MAX_NESTED_BYTES, putBytes, putField, putVarint, WireWriter } from './wire-writer.js';
