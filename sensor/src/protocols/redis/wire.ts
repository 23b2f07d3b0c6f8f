/** RESP2 and RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/): types and line reading. */
import { type Constant, encodeString, RedisTag } from '@packetd/proto';

/** First byte of every value. */
export const Type = {
  SIMPLE_STRING: 0x2b,
  ERROR: 0x2d,
  INTEGER: 0x3a,
  BULK_STRING: 0x24,
  ARRAY: 0x2a,
  NULL: 0x5f,
  BOOLEAN: 0x23,
  DOUBLE: 0x2c,
  BIG_NUMBER: 0x28,
  BULK_ERROR: 0x21,
  VERBATIM_STRING: 0x3d,
  MAP: 0x25,
  SET: 0x7e,
  ATTRIBUTE: 0x7c,
  PUSH: 0x3e,
  /** Part of a streamed string, and the end of a streamed aggregate. */
  CHUNK: 0x3b,
  END: 0x2e,
} as const;

/** Is it the first byte of a reply? */
export const IS_TYPE = new Uint8Array(256);
/** `reply_type` by first byte, in wire format. */
export const REPLY_TYPES: Constant[] = [];
for (const [name, byte] of Object.entries(Type)) {
  if (byte === Type.CHUNK || byte === Type.END) continue;
  IS_TYPE[byte] = 1;
  REPLY_TYPES[byte] = encodeString(RedisTag.replyType, name === 'BULK_ERROR' ? 'error' : name.toLowerCase());
}

/** Redis' limit of a bulk string, proto-max-bulk-len, may be raised; this is believed. */
export const MAX_BULK_BYTES = 2 ** 32;
/** Elements of an aggregate that are believed. */
export const MAX_ELEMENTS = 2 ** 32;
/** Longest line that is waited for. */
export const MAX_LINE_BYTES = 64 << 10;

export const CR = 0x0d;
export const LF = 0x0a;

/** What `readNumber` answers besides a number from -1 on. */
export const NEED_MORE = -2;
export const BAD = -3;
/** `?`: a streamed string or aggregate. */
export const STREAMED = -4;

/** Position behind the line that the last `readNumber` read. */
export let lineEnd = 0;

/** The number on the line that begins at `at`, with CRLF: -1 or above, or one of the values above. */
export function readNumber(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  if (i >= end) return NEED_MORE;
  let byte = bytes[i];
  if (byte === 0x2d) {
    if (end - i < 4) return NEED_MORE;
    if (bytes[i + 1] !== 0x31 || bytes[i + 2] !== CR || bytes[i + 3] !== LF) return BAD;
    lineEnd = i + 4;
    return -1;
  }
  if (byte === 0x3f) {
    if (end - i < 3) return NEED_MORE;
    if (bytes[i + 1] !== CR || bytes[i + 2] !== LF) return BAD;
    lineEnd = i + 3;
    return STREAMED;
  }
  let value = 0;
  while (byte >= 0x30 && byte <= 0x39) {
    value = value * 10 + byte - 0x30;
    if (++i >= end) return i - at > 16 ? BAD : NEED_MORE;
    byte = bytes[i];
  }
  if (i === at || i - at > 16 || byte !== CR) return BAD;
  if (i + 1 >= end) return NEED_MORE;
  if (bytes[i + 1] !== LF) return BAD;
  lineEnd = i + 2;
  return value;
}

/** Position of the CR of the CRLF that ends the line, or -1. */
export function findLineEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i + 1 < end; i++) if (bytes[i] === CR && bytes[i + 1] === LF) return i;
  return -1;
}
