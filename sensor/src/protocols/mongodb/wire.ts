/**
 * MongoDB wire protocol: message header and opcodes
 * (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/), BSON (https://bsonspec.org).
 */
export const HEADER_BYTES = 16;
/** MongoDB's limit of a message, maxMessageSizeBytes. */
export const MAX_MESSAGE_BYTES = 48_000_000;

export const Opcode = {
  REPLY: 1,
  UPDATE: 2001,
  INSERT: 2002,
  QUERY: 2004,
  GET_MORE: 2005,
  DELETE: 2006,
  KILL_CURSORS: 2007,
  COMMAND: 2010,
  COMMAND_REPLY: 2011,
  COMPRESSED: 2012,
  MSG: 2013,
} as const;

export const OPCODE_NAMES: ReadonlyMap<number, string> = new Map([
  [Opcode.REPLY, 'OP_REPLY'],
  [Opcode.UPDATE, 'OP_UPDATE'],
  [Opcode.INSERT, 'OP_INSERT'],
  [Opcode.QUERY, 'OP_QUERY'],
  [Opcode.GET_MORE, 'OP_GET_MORE'],
  [Opcode.DELETE, 'OP_DELETE'],
  [Opcode.KILL_CURSORS, 'OP_KILL_CURSORS'],
  [Opcode.COMMAND, 'OP_COMMAND'],
  [Opcode.COMMAND_REPLY, 'OP_COMMANDREPLY'],
  [Opcode.COMPRESSED, 'OP_COMPRESSED'],
  [Opcode.MSG, 'OP_MSG'],
]);

/** Command that a legacy opcode stands for; these are not answered, but for GET_MORE. */
export const LEGACY_COMMANDS: ReadonlyMap<number, string> = new Map([
  [Opcode.UPDATE, 'update'],
  [Opcode.INSERT, 'insert'],
  [Opcode.DELETE, 'delete'],
  [Opcode.KILL_CURSORS, 'killCursors'],
  [Opcode.GET_MORE, 'getMore'],
]);

/** Bits of OP_MSG. Of the lower 16 an unknown one makes the message invalid. */
export const MsgFlag = { CHECKSUM: 1, MORE_TO_COME: 2, EXHAUST_ALLOWED: 1 << 16 } as const;
export const REQUIRED_FLAGS = 0xffff;
export const CHECKSUM_BYTES = 4;

/** Bits of OP_REPLY. */
export const ReplyFlag = { CURSOR_NOT_FOUND: 1, QUERY_FAILURE: 2 } as const;
/** responseFlags (4), cursorID (8), startingFrom (4), numberReturned (4). */
export const REPLY_BYTES = 20;

export const COMPRESSORS = ['noop', 'snappy', 'zlib', 'zstd'] as const;
/** originalOpcode (4), uncompressedSize (4), compressorId (1). */
export const COMPRESSED_BYTES = 9;

export const Bson = {
  DOUBLE: 0x01,
  STRING: 0x02,
  DOCUMENT: 0x03,
  ARRAY: 0x04,
  BINARY: 0x05,
  UNDEFINED: 0x06,
  OBJECT_ID: 0x07,
  BOOLEAN: 0x08,
  DATE: 0x09,
  NULL: 0x0a,
  REGEX: 0x0b,
  DB_POINTER: 0x0c,
  CODE: 0x0d,
  SYMBOL: 0x0e,
  CODE_WITH_SCOPE: 0x0f,
  INT32: 0x10,
  TIMESTAMP: 0x11,
  INT64: 0x12,
  DECIMAL128: 0x13,
  MAX_KEY: 0x7f,
  MIN_KEY: 0xff,
} as const;
/** An empty document: its length and the final 0. */
export const MIN_DOCUMENT_BYTES = 5;

const FIXED: Int8Array = new Int8Array(256).fill(-1);
for (const [type, size] of [
  [Bson.DOUBLE, 8],
  [Bson.UNDEFINED, 0],
  [Bson.OBJECT_ID, 12],
  [Bson.BOOLEAN, 1],
  [Bson.DATE, 8],
  [Bson.NULL, 0],
  [Bson.INT32, 4],
  [Bson.TIMESTAMP, 8],
  [Bson.INT64, 8],
  [Bson.DECIMAL128, 16],
  [Bson.MAX_KEY, 0],
  [Bson.MIN_KEY, 0],
] as const) {
  FIXED[type] = size;
}

export const NEED_MORE = -1;
export const MALFORMED = -2;

/** Bytes of the value of `type` at `at`; NEED_MORE where [at, end) does not tell, MALFORMED where it cannot be. */
export function valueSize(type: number, bytes: Uint8Array, at: number, end: number): number {
  const fixed = FIXED[type];
  if (fixed >= 0) return fixed;
  if (type === Bson.REGEX) {
    const first = bytes.indexOf(0, at);
    if (first < 0 || first >= end) return NEED_MORE;
    const second = bytes.indexOf(0, first + 1);
    return second < 0 || second >= end ? NEED_MORE : second + 1 - at;
  }
  if (type === 0 || type > Bson.DECIMAL128) return MALFORMED;
  if (end - at < 4) return NEED_MORE;
  const length = int32(bytes, at);
  if (length < 0 || length > MAX_MESSAGE_BYTES) return MALFORMED;
  switch (type) {
    case Bson.DOCUMENT:
    case Bson.ARRAY:
    case Bson.CODE_WITH_SCOPE:
      return length < MIN_DOCUMENT_BYTES ? MALFORMED : length;
    case Bson.BINARY:
      return length + 5;
    case Bson.DB_POINTER:
      return length + 16;
    default:
      return length === 0 ? MALFORMED : length + 4;
  }
}

export function int32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/** Any BSON number or boolean as a number (a 64-bit one loses what is above 2^53); NaN for another type. */
export function numberAt(type: number, bytes: Uint8Array, at: number): number {
  switch (type) {
    case Bson.INT32:
      return int32(bytes, at);
    case Bson.INT64:
      return int32(bytes, at + 4) * 0x100000000 + (int32(bytes, at) >>> 0);
    case Bson.BOOLEAN:
      return bytes[at];
    case Bson.DOUBLE:
      return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getFloat64(0, true);
    default:
      return Number.NaN;
  }
}
