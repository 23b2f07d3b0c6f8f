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
const USER = Buffer.from('user\0', 'latin1');

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  if (bytes[start] === 0) {
    // Only the opener begins with a length.
    if (context.fromStart && context.side === 1) return Verdict.NO;
    return startup(bytes, start, end);
  }
  if (context.fromStart) return Verdict.NO;
  if (looksLikeFrontend(bytes, start, end)) return Verdict.CLIENT;
  return looksLikeBackend(bytes, start, end) ? Verdict.SERVER : Verdict.NO;
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

/** Whole messages of a client, up to the last byte, with SQL or an execution among them. */
export function looksLikeFrontend(bytes: Uint8Array, start: number, end: number): boolean {
  let decisive = false;
  let at = start;
  while (at + HEADER_BYTES <= end) {
    const type = bytes[at];
    const length = int32(bytes, at + 1);
    if (FRONT_WANTED[type] < 0 || length < 4 || length > MAX_MESSAGE_BYTES) return false;
    const body = at + HEADER_BYTES;
    const stop = at + 1 + length;
    if (stop > end) {
      // A long query goes on in the next segment: its text must look like one.
      return decisive || (type === Front.QUERY && length < 1 << 20 && isSql(bytes, body, end));
    }
    switch (type) {
      case Front.QUERY:
        if (bytes[stop - 1] !== 0 || !isSql(bytes, body, stop - 1)) return false;
        decisive = true;
        break;
      case Front.PARSE: {
        const name = stringEnd(bytes, body, stop);
        const sql = name < 0 ? -1 : stringEnd(bytes, name + 1, stop);
        if (sql < 0 || stop - sql < 3 || !isSql(bytes, name + 1, sql)) return false;
        decisive = true;
        break;
      }
      case Front.BIND: {
        const portal = stringEnd(bytes, body, stop);
        if (portal < 0 || stringEnd(bytes, portal + 1, stop) < 0 || length < 12) return false;
        decisive = true;
        break;
      }
      case Front.EXECUTE: {
        const portal = stringEnd(bytes, body, stop);
        if (portal < 0 || stop - portal !== 5) return false;
        break;
      }
      case Front.SYNC:
      case Front.FLUSH:
      case Front.TERMINATE:
      case Front.COPY_DONE:
        if (length !== 4) return false;
        break;
      case Front.DESCRIBE:
      case Front.CLOSE:
        if (length < 6 || (bytes[body] !== 0x53 && bytes[body] !== 0x50) || bytes[stop - 1] !== 0)
          return false;
    }
    at = stop;
  }
  return decisive && at === end;
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

/** Text that begins with a word: no control characters but blanks. */
function isSql(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && (bytes[at] <= 0x20 || bytes[at] === 0x28 || bytes[at] === 0x3b)) at++;
  if (at === end) return end > start && end - start < 16;
  const letter = bytes[at] | 0x20;
  const comment = bytes[at] === 0x2d || bytes[at] === 0x2f;
  if (!comment && (letter < 0x61 || letter > 0x7a)) return false;
  for (; at < end; at++) {
    const byte = bytes[at];
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d && byte !== 0x0c) return false;
  }
  return true;
}
