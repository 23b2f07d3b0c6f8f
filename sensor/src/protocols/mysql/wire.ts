/**
 * MySQL client/server protocol ("MySQL Source Code Documentation", Client/Server Protocol) and its
 * MariaDB dialect (MariaDB Knowledge Base, "MariaDB client/server protocol").
 *
 * A packet is int<3> payload_length, int<1> sequence_id, payload; integers are little-endian. A payload
 * of 2^24 - 1 bytes goes on in the next packet.
 */

export const HEADER_BYTES = 4;
/** A packet of this length is continued by the next. */
export const MAX_PAYLOAD_BYTES = 0xffffff;
/** Most bytes of one packet that are looked at; the rest is counted. */
export const MAX_READ_BYTES = 64 << 10;

/** First byte of a command's payload. */
export const Com = {
  QUIT: 0x01,
  INIT_DB: 0x02,
  QUERY: 0x03,
  FIELD_LIST: 0x04,
  STATISTICS: 0x09,
  PROCESS_INFO: 0x0a,
  PING: 0x0e,
  CHANGE_USER: 0x11,
  BINLOG_DUMP: 0x12,
  TABLE_DUMP: 0x13,
  STMT_PREPARE: 0x16,
  STMT_EXECUTE: 0x17,
  STMT_SEND_LONG_DATA: 0x18,
  STMT_CLOSE: 0x19,
  STMT_RESET: 0x1a,
  STMT_FETCH: 0x1c,
  BINLOG_DUMP_GTID: 0x1e,
  RESET_CONNECTION: 0x1f,
  STMT_BULK_EXECUTE: 0xfa,
  /** Not on the wire: the exchange that begins a connection. */
  CONNECT: 0x100,
} as const;

/** Names by first byte; those a server only uses inside itself (SLEEP, CONNECT, TIME …) are not commands. */
export const COMMAND_NAMES: readonly (string | undefined)[] = [
  undefined,
  'QUIT',
  'INIT_DB',
  'QUERY',
  'FIELD_LIST',
  'CREATE_DB',
  'DROP_DB',
  'REFRESH',
  'SHUTDOWN',
  'STATISTICS',
  'PROCESS_INFO',
  undefined,
  'PROCESS_KILL',
  'DEBUG',
  'PING',
  undefined,
  undefined,
  'CHANGE_USER',
  'BINLOG_DUMP',
  'TABLE_DUMP',
  undefined,
  'REGISTER_SLAVE',
  'STMT_PREPARE',
  'STMT_EXECUTE',
  'STMT_SEND_LONG_DATA',
  'STMT_CLOSE',
  'STMT_RESET',
  'SET_OPTION',
  'STMT_FETCH',
  undefined,
  'BINLOG_DUMP_GTID',
  'RESET_CONNECTION',
  'CLONE',
  ...new Array<undefined>(Com.STMT_BULK_EXECUTE - 0x21).fill(undefined),
  'STMT_BULK_EXECUTE',
];

/** Capabilities Flags. */
export const Capability = {
  CONNECT_WITH_DB: 1 << 3,
  COMPRESS: 1 << 5,
  PROTOCOL_41: 1 << 9,
  SSL: 1 << 11,
  TRANSACTIONS: 1 << 13,
  SECURE_CONNECTION: 1 << 15,
  PLUGIN_AUTH: 1 << 19,
  PLUGIN_AUTH_LENENC: 1 << 21,
  SESSION_TRACK: 1 << 23,
  DEPRECATE_EOF: 1 << 24,
  OPTIONAL_RESULTSET_METADATA: 1 << 25,
  ZSTD: 1 << 26,
  QUERY_ATTRIBUTES: 1 << 27,
  /** Set by MySQL, unset by MariaDB clients and servers, which have the extended ones below. */
  LONG_PASSWORD: 1,
} as const;

/** MariaDB's capabilities 32 and up. */
export const MariadbCapability = { CACHE_METADATA: 1 << 4 } as const;

/** SERVER_STATUS_flags_enum. */
export const ServerStatus = {
  MORE_RESULTS_EXISTS: 0x0008,
  CURSOR_EXISTS: 0x0040,
  NO_BACKSLASH_ESCAPES: 0x0200,
  SESSION_STATE_CHANGED: 0x4000,
} as const;

/** First byte of a server's packet. */
export const Reply = { OK: 0x00, AUTH_MORE_DATA: 0x01, LOCAL_INFILE: 0xfb, EOF: 0xfe, ERR: 0xff } as const;
/** Error number of MariaDB's progress reports, which are not errors. */
export const PROGRESS_REPORT = 0xffff;
/** Length of an EOF packet of protocol 4.1; an OK packet in its place is longer. */
export const EOF_BYTES = 5;

export function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

export function uint24(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
}

export function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Length of the int<lenenc> at `at` by its first byte: 1, 3, 4 or 9; 0 for 0xFB and 0xFF, which are none. */
export function lenencBytes(first: number): number {
  if (first < 0xfb) return 1;
  return first === 0xfc ? 3 : first === 0xfd ? 4 : first === 0xfe ? 9 : 0;
}

/** Value of the int<lenenc> at `at`, or -1 where it is none or goes past `end`. No larger than 2^53 - 1. */
export function lenenc(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const first = bytes[at];
  if (first < 0xfb) return first;
  const width = lenencBytes(first);
  if (width === 0 || at + width > end) return -1;
  if (width === 3) return uint16(bytes, at + 1);
  if (width === 4) return uint24(bytes, at + 1);
  const value = uint32(bytes, at + 1) + uint32(bytes, at + 5) * 0x1_0000_0000;
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

/** Position after the int<lenenc> at `at`; past `end` where it is cut. */
export function afterLenenc(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return end + 1;
  const width = lenencBytes(bytes[at]);
  return width === 0 ? end + 1 : at + width;
}

/** Position after the string<lenenc> at `at`; past `end` where it is cut. */
export function afterString(bytes: Uint8Array, at: number, end: number): number {
  const length = lenenc(bytes, at, end);
  return length < 0 ? end + 1 : afterLenenc(bytes, at, end) + length;
}

/** Position of the next NUL, or `end`. */
export function findNul(bytes: Uint8Array, at: number, end: number): number {
  let stop = at;
  while (stop < end && bytes[stop] !== 0) stop++;
  return stop;
}
