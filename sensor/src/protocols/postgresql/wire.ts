/** PostgreSQL's frontend/backend protocol 3.0 and 3.2 (manual, chapter "Frontend/Backend Protocol"). */

/** Codes in the place of a version. */
export const StartupCode = { CANCEL: 80_877_102, SSL: 80_877_103, GSS: 80_877_104 } as const;
/** Length and code. */
export const STARTUP_HEADER_BYTES = 8;
export const MAX_STARTUP_BYTES = 10_000;
/** Type and length. */
export const HEADER_BYTES = 5;
/** Longest message that is believed; PostgreSQL's own limit is 1 GiB. */
export const MAX_MESSAGE_BYTES = 2 ** 30;

/** What clients send. */
export const Front = {
  BIND: 0x42,
  CLOSE: 0x43,
  DESCRIBE: 0x44,
  EXECUTE: 0x45,
  FUNCTION_CALL: 0x46,
  FLUSH: 0x48,
  PARSE: 0x50,
  QUERY: 0x51,
  SYNC: 0x53,
  TERMINATE: 0x58,
  COPY_DONE: 0x63,
  COPY_DATA: 0x64,
  COPY_FAIL: 0x66,
  /** Password, SASL and GSS messages. */
  SECRET: 0x70,
} as const;

/** What servers send. */
export const Back = {
  PARSE_COMPLETE: 0x31,
  BIND_COMPLETE: 0x32,
  CLOSE_COMPLETE: 0x33,
  NOTIFICATION: 0x41,
  COMMAND_COMPLETE: 0x43,
  DATA_ROW: 0x44,
  ERROR: 0x45,
  COPY_IN: 0x47,
  COPY_OUT: 0x48,
  EMPTY_QUERY: 0x49,
  BACKEND_KEY: 0x4b,
  NOTICE: 0x4e,
  AUTHENTICATION: 0x52,
  PARAMETER_STATUS: 0x53,
  ROW_DESCRIPTION: 0x54,
  FUNCTION_RESULT: 0x56,
  COPY_BOTH: 0x57,
  READY: 0x5a,
  COPY_DONE: 0x63,
  COPY_DATA: 0x64,
  NO_DATA: 0x6e,
  PORTAL_SUSPENDED: 0x73,
  PARAMETER_DESCRIPTION: 0x74,
  NEGOTIATE_VERSION: 0x76,
} as const;

/** By type: what clients send in answer to a server that waits in the midst of a command, and their farewell. */
export const COMPLETES = new Uint8Array(256);
for (const type of [Front.SECRET, Front.COPY_DATA, Front.COPY_DONE, Front.COPY_FAIL, Front.TERMINATE]) {
  COMPLETES[type] = 1;
}

/** By type: what is answered with ReadyForQuery. */
export const ENDS_TURN = new Uint8Array(256);
for (const type of [Front.QUERY, Front.FUNCTION_CALL, Front.SYNC]) ENDS_TURN[type] = 1;

/** Bytes of SQL that are waited for. */
const MAX_SQL_BYTES = 64 << 10;
/** Bytes of names, tags and errors that are waited for. */
const MAX_SMALL_BYTES = 2048;
const MAX_ERROR_BYTES = 8192;

/** How much of a message's body is looked at, by type; -1 for a type that there is not. */
export const FRONT_WANTED = new Int32Array(256).fill(-1);
export const BACK_WANTED = new Int32Array(256).fill(-1);
for (const type of Object.values(Front)) FRONT_WANTED[type] = 0;
for (const type of Object.values(Back)) BACK_WANTED[type] = 0;
FRONT_WANTED[Front.QUERY] = MAX_SQL_BYTES;
FRONT_WANTED[Front.PARSE] = MAX_SQL_BYTES;
FRONT_WANTED[Front.BIND] = MAX_SMALL_BYTES;
FRONT_WANTED[Front.EXECUTE] = MAX_SMALL_BYTES;
FRONT_WANTED[Front.CLOSE] = MAX_SMALL_BYTES;
BACK_WANTED[Back.COMMAND_COMPLETE] = MAX_SMALL_BYTES;
BACK_WANTED[Back.PARAMETER_STATUS] = MAX_SMALL_BYTES;
BACK_WANTED[Back.ERROR] = MAX_ERROR_BYTES;
BACK_WANTED[Back.READY] = 1;
BACK_WANTED[Back.NEGOTIATE_VERSION] = 4;

export function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

export function int16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** Position of the 0 that ends the string at `at`, or -1. */
export function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) if (bytes[i] === 0) return i;
  return -1;
}

/** `Z` 0 0 0 5 and I, T or E: as sure a sign as there is. */
export function isReady(bytes: Uint8Array, at: number): boolean {
  const status = bytes[at + 5];
  return (
    bytes[at] === Back.READY &&
    bytes[at + 1] === 0 &&
    bytes[at + 2] === 0 &&
    bytes[at + 3] === 0 &&
    bytes[at + 4] === 5 &&
    (status === 0x49 || status === 0x54 || status === 0x45)
  );
}
export const READY_BYTES = 6;
