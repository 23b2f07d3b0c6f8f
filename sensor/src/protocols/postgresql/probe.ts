/** Is it PostgreSQL? By the start-up packet, else by whole messages that end with the bytes. */
import { type ProbeContext, Verdict } from '../decoder.js';
import {
  BACK_WANTED,
  Back,
  FRONT_WANTED,
  Front,
  HEADER_BYTES,
  int32,
  isReady,
  MAX_MESSAGE_BYTES,
  MAX_STARTUP_BYTES,
  READY_BYTES,
  STARTUP_HEADER_BYTES,
  StartupCode,
  stringEnd,
} from './wire.js';

/** A cancel key has 4 bytes in 3.0 and at most 256 in 3.2. */
const MIN_CANCEL_BYTES = 16;
const MAX_CANCEL_BYTES = 12 + 256;
/** A longer message with SQL is not waited for. */
const MAX_SQL_MESSAGE_BYTES = 1 << 20;
/** So much of a text that is not whole decides. */
const MIN_SQL_BYTES = 16;

export const Match = { NO: 0, MORE: 1, YES: 2 } as const;
export type Match = (typeof Match)[keyof typeof Match];

const USER = Buffer.from('user\0', 'latin1');

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  if (bytes[start] === 0) {
    // Only the opener begins with a length.
    if (context.fromStart && context.side === 1) return Verdict.NO;
    return startup(bytes, start, end);
  }
  if (context.fromStart) return Verdict.NO;
  const front = matchFrontend(bytes, start, end);
  if (front === Match.YES) return Verdict.CLIENT;
  if (looksLikeBackend(bytes, start, end)) return Verdict.SERVER;
  return front === Match.MORE ? Verdict.MORE : Verdict.NO;
}

function startup(bytes: Uint8Array, start: number, end: number): Verdict {
  const have = end - start;
  if (have >= 2 && bytes[start + 1] !== 0) return Verdict.NO;
  if (have < STARTUP_HEADER_BYTES) return Verdict.MORE;
  const length = int32(bytes, start);
  const code = int32(bytes, start + 4);
  switch (code) {
    case StartupCode.SSL:
    case StartupCode.GSS:
      return length === STARTUP_HEADER_BYTES ? Verdict.CLIENT : Verdict.NO;
    case StartupCode.CANCEL:
      return length >= MIN_CANCEL_BYTES && length <= MAX_CANCEL_BYTES ? Verdict.CLIENT : Verdict.NO;
  }
  if (code >> 16 !== 3 || length <= STARTUP_HEADER_BYTES || length > MAX_STARTUP_BYTES) return Verdict.NO;
  if (have < length) return Verdict.MORE;
  // The user is the one parameter that must be there.
  for (let at = start + STARTUP_HEADER_BYTES; at + USER.length < start + length; at++) {
    let i = 0;
    while (i < USER.length && bytes[at + i] === USER[i]) i++;
    if (i === USER.length) return Verdict.CLIENT;
  }
  return Verdict.NO;
}

/**
 * Messages of a client with SQL or an execution among them: whole up to the last byte, or cut behind one
 * that decides. MORE where the first that could decide is not whole yet.
 */
export function matchFrontend(bytes: Uint8Array, start: number, end: number): Match {
  let decisive = false;
  let at = start;
  while (at + HEADER_BYTES <= end) {
    const type = bytes[at];
    const length = int32(bytes, at + 1);
    if (FRONT_WANTED[type] < 0 || length < 4 || length > MAX_MESSAGE_BYTES) return Match.NO;
    const body = at + HEADER_BYTES;
    const stop = at + 1 + length;
    if (stop > end) {
      if (decisive) return Match.YES;
      // A long text goes on in the next segment.
      if (length >= MAX_SQL_MESSAGE_BYTES) return Match.NO;
      if (type === Front.QUERY) return matchSql(bytes, body, end, true);
      if (type !== Front.PARSE && type !== Front.BIND) return Match.NO;
      const name = stringEnd(bytes, body, end);
      if (!isName(bytes, body, name < 0 ? end : name)) return Match.NO;
      if (name < 0 || type === Front.BIND) return Match.MORE;
      const sql = stringEnd(bytes, name + 1, end);
      return matchSql(bytes, name + 1, sql < 0 ? end : sql, sql < 0);
    }
    switch (type) {
      case Front.QUERY:
        if (bytes[stop - 1] !== 0) return Match.NO;
        // Nothing but blanks says nothing.
        if (stop - 1 - body < MIN_SQL_BYTES && isBlank(bytes, body, stop - 1)) break;
        if (matchSql(bytes, body, stop - 1, false) === Match.NO) return Match.NO;
        decisive = true;
        break;
      case Front.PARSE: {
        const name = stringEnd(bytes, body, stop);
        const sql = name < 0 ? -1 : stringEnd(bytes, name + 1, stop);
        if (sql < 0 || stop - sql < 3) return Match.NO;
        if (!isBlank(bytes, name + 1, sql) && matchSql(bytes, name + 1, sql, false) === Match.NO)
          return Match.NO;
        decisive = true;
        break;
      }
      case Front.BIND: {
        const portal = stringEnd(bytes, body, stop);
        if (portal < 0 || stringEnd(bytes, portal + 1, stop) < 0 || length < 12) return Match.NO;
        decisive = true;
        break;
      }
      case Front.EXECUTE: {
        const portal = stringEnd(bytes, body, stop);
        if (portal < 0 || stop - portal !== 5) return Match.NO;
        break;
      }
      case Front.SYNC:
      case Front.FLUSH:
      case Front.TERMINATE:
      case Front.COPY_DONE:
        if (length !== 4) return Match.NO;
        break;
      case Front.DESCRIBE:
      case Front.CLOSE:
        if (length < 6 || (bytes[body] !== 0x53 && bytes[body] !== 0x50) || bytes[stop - 1] !== 0)
          return Match.NO;
    }
    at = stop;
  }
  if (decisive) return at === end || FRONT_WANTED[bytes[at]] >= 0 ? Match.YES : Match.NO;
  // The header of a message that may decide.
  if (at > start || end - start >= HEADER_BYTES) return Match.NO;
  if (bytes[at] !== Front.QUERY && bytes[at] !== Front.PARSE && bytes[at] !== Front.BIND) return Match.NO;
  return end - at < 2 || bytes[at + 1] === 0 ? Match.MORE : Match.NO;
}

/** Whole messages of a server that end with ReadyForQuery, the last of all. */
export function looksLikeBackend(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  let ready = false;
  while (at + HEADER_BYTES <= end) {
    const type = bytes[at];
    const length = int32(bytes, at + 1);
    if (BACK_WANTED[type] < 0 || length < 4 || length > MAX_MESSAGE_BYTES) return false;
    const stop = at + 1 + length;
    if (stop > end) return false;
    ready = type === Back.READY && length === READY_BYTES - 1 && isReady(bytes, at);
    at = stop;
  }
  return ready && at === end;
}

/** Text that begins with a word: no control characters but blanks. Of one that is `cut`, so much must be there. */
function matchSql(bytes: Uint8Array, start: number, end: number, cut: boolean): Match {
  let at = start;
  while (at < end && (isSpace(bytes[at]) || bytes[at] === 0x28 || bytes[at] === 0x3b)) at++;
  if (at === end) return cut ? Match.MORE : Match.NO;
  const letter = bytes[at] | 0x20;
  const comment = bytes[at] === 0x2d || bytes[at] === 0x2f;
  if (!comment && (letter < 0x61 || letter > 0x7a)) return Match.NO;
  for (; at < end; at++) if (bytes[at] < 0x20 && !isSpace(bytes[at])) return Match.NO;
  return cut && end - start < MIN_SQL_BYTES ? Match.MORE : Match.YES;
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!isSpace(bytes[at]) && bytes[at] !== 0x3b) return false;
  return true;
}

/** Blank, tab, line feed, form feed, carriage return. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d && byte !== 0x0b);
}

/** A name of a statement: no control characters. */
function isName(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] < 0x20) return false;
  return true;
}
