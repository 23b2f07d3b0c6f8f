/** Is it MySQL? Asked by detection about the first bytes of either side. */

import { type ProbeContext, Verdict } from '../decoder.js';
import { afterAttributes, looksLikeAttributes } from './attributes.js';
import { COMPRESSED_HEADER_BYTES } from './compression.js';
import { COMMAND_NAMES, Com, HEADER_BYTES, MAX_READ_BYTES, uint24, uint32 } from './wire.js';

/** Longest greeting that is believed. */
const MAX_GREETING_BYTES = 512;
const MAX_VERSION_BYTES = 100;
/** string<NUL> version, then thread id, auth data, filler and capabilities of Protocol::HandshakeV10. */
const AFTER_VERSION_BYTES = 16;
/** Client errors sent in place of a greeting: ER_CON_COUNT_ERROR, ER_HOST_IS_BLOCKED, ER_HOST_NOT_PRIVILEGED. */
const REFUSALS: ReadonlySet<number> = new Set([1040, 1129, 1130]);

/** First words of SQL statements. */
const VERBS: ReadonlySet<string> = new Set(
  (
    'ALTER ANALYZE BEGIN BINLOG CALL CHANGE CHECK CHECKSUM COMMIT CREATE DEALLOCATE DECLARE DELETE DESC ' +
    'DESCRIBE DO DROP EXECUTE EXPLAIN FLUSH GET GRANT HANDLER HELP IMPORT INSERT INSTALL KILL LOAD LOCK ' +
    'OPTIMIZE PREPARE PURGE RELEASE RENAME REPAIR REPLACE RESET RESIGNAL RESTART REVOKE ROLLBACK SAVEPOINT ' +
    'SELECT SET SHOW SHUTDOWN SIGNAL START STOP TABLE TRUNCATE UNINSTALL UNLOCK UPDATE USE VALUES WITH XA'
  ).split(' '),
);
const MAX_VERB_BYTES = 10;
/** Blanks, brackets and comments in front of the verb that are looked past. */
const MAX_LEADING_BYTES = 2048;

/** Where commands without a text to know them by are believed. */
const PORT = 3306;

/** Answer of a match. */
export const Match = { NO: 0, YES: 1, MORE: 2 } as const;
export type Match = (typeof Match)[keyof typeof Match];

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  const greeting = matchGreeting(bytes, start, end);
  if (greeting === Match.YES) return Verdict.SERVER;
  let command: Match = Match.NO;
  if (!context.fromStart) {
    if (context.destinationPort === PORT) command = matchFirstCommand(bytes, start, end);
    else command = matchCommand(bytes, start, end, true);
  }
  if (command === Match.YES) return Verdict.CLIENT;
  return greeting === Match.MORE || command === Match.MORE ? Verdict.MORE : Verdict.NO;
}

/**
 * Protocol::HandshakeV10 with sequence id 0: int<1> 10, a version that begins with digits and a dot,
 * a zero behind the first part of the auth data. Or the error of a server that does not want the client.
 */
function matchGreeting(bytes: Uint8Array, start: number, end: number): Match {
  const length = end - start;
  if (length >= 2 && bytes[start + 1] > MAX_GREETING_BYTES >> 8) return Match.NO;
  if (length >= 3 && bytes[start + 2] !== 0) return Match.NO;
  if (length >= 4 && bytes[start + 3] !== 0) return Match.NO;
  if (length < 5) return Match.MORE;
  const payload = start + HEADER_BYTES;
  const payloadBytes = uint24(bytes, start);
  const limit = payload + payloadBytes;
  if (bytes[payload] === 0xff) {
    if (payloadBytes < 9) return Match.NO;
    if (end < payload + 3) return Match.MORE;
    if (!REFUSALS.has(bytes[payload + 1] | (bytes[payload + 2] << 8))) return Match.NO;
    return end < limit ? Match.MORE : end === limit ? Match.YES : Match.NO;
  }
  if (bytes[payload] !== 10 || payloadBytes < AFTER_VERSION_BYTES + 4) return Match.NO;
  let at = payload + 1;
  let digits = 0;
  let dots = 0;
  const last = Math.min(limit, at + MAX_VERSION_BYTES);
  for (; at < end && at < last && bytes[at] !== 0; at++) {
    const byte = bytes[at];
    if (byte < 0x20 || byte > 0x7e) return Match.NO;
    if (byte === 0x2e) dots++;
    else if (dots === 0 && (byte < 0x30 || byte > 0x39)) return Match.NO;
    else if (dots === 0) digits++;
  }
  if (at >= last) return Match.NO;
  if (at === end) return Match.MORE;
  if (digits === 0 || dots === 0 || limit - at < AFTER_VERSION_BYTES) return Match.NO;
  if (end < limit) return at + 14 > end || bytes[at + 13] === 0 ? Match.MORE : Match.NO;
  // Nothing follows a greeting before the client has spoken.
  return bytes[at + 13] === 0 && end === limit ? Match.YES : Match.NO;
}

/**
 * A command: sequence id 0, a known first byte, and a payload that fits it. `alone` says that bytes are
 * known to end with a packet; without it, and for resynchronisation, only what is unlikely to occur
 * inside other data is taken.
 */
export function matchCommand(bytes: Uint8Array, start: number, end: number, alone: boolean): Match {
  const length = end - start;
  if (length >= 4 && bytes[start + 3] !== 0) return Match.NO;
  if (length < 5) return Match.MORE;
  const payloadBytes = uint24(bytes, start);
  const code = bytes[start + 4];
  if (payloadBytes === 0 || COMMAND_NAMES[code] === undefined) return Match.NO;
  const at = start + HEADER_BYTES + 1;
  const limit = start + HEADER_BYTES + payloadBytes;
  if (alone && end > limit) return Match.NO;
  switch (code) {
    case Com.QUERY:
    case Com.STMT_PREPARE: {
      let text = at;
      const stop = Math.min(end, limit);
      if (code === Com.QUERY) {
        if (end < at + 2 && end < limit) return Match.MORE;
        if (looksLikeAttributes(bytes, at, stop)) {
          text = afterAttributes(bytes, at, stop);
          if (text < 0) return end < limit && end - at < MAX_READ_BYTES ? Match.MORE : Match.NO;
        }
      }
      return matchSql(bytes, text, stop, end < limit);
    }
    case Com.STMT_EXECUTE:
      // int<4> statement id, int<1> flags, int<4> iteration count, always 1.
      if (payloadBytes < 10) return Match.NO;
      if (end < at + 9) return Match.MORE;
      return bytes[at + 4] <= 0x0f && uint32(bytes, at + 5) === 1 ? Match.YES : Match.NO;
    case Com.STMT_RESET:
    case Com.STMT_FETCH:
    case Com.STMT_CLOSE:
      if (payloadBytes !== (code === Com.STMT_FETCH ? 9 : 5)) return Match.NO;
      if (end < limit) return Match.MORE;
      // Statements are numbered from 1 on.
      return bytes[at + 3] === 0 && uint32(bytes, at) > 0 ? Match.YES : Match.NO;
    default:
      return Match.NO;
  }
}

/** What a client may say first where a capture begins in the middle and the server is known to be MySQL. */
export function matchFirstCommand(bytes: Uint8Array, start: number, end: number): Match {
  const match = matchCommand(bytes, start, end, true);
  return match === Match.NO ? matchShort(bytes, start, end) : match;
}

/** A command that is plainly one inside of a compressed packet which is not deflated. */
export function matchCompressed(bytes: Uint8Array, start: number, end: number): Match {
  const length = end - start;
  // Sequence id and length before compression are 0.
  for (let at = start + 3; at < end && at < start + COMPRESSED_HEADER_BYTES; at++) {
    if (bytes[at] !== 0) return Match.NO;
  }
  if (length < COMPRESSED_HEADER_BYTES + 3) {
    return length >= 3 && uint24(bytes, start) <= HEADER_BYTES ? Match.NO : Match.MORE;
  }
  const inner = start + COMPRESSED_HEADER_BYTES;
  if (uint24(bytes, start) < uint24(bytes, inner) + HEADER_BYTES) return Match.NO;
  return matchCommand(bytes, inner, end, false);
}

/**
 * The first packet of an answer, which is compressed: not deflated, so that a packet with the same sequence
 * id is in it, or deflated by zlib. An OK packet that looks like it would have 256 warnings and more.
 */
export function matchCompressedAnswer(bytes: Uint8Array, start: number, end: number): Match {
  const inner = start + COMPRESSED_HEADER_BYTES;
  const payloadBytes = uint24(bytes, start);
  if (payloadBytes <= HEADER_BYTES) return Match.NO;
  if (end < inner + HEADER_BYTES) return end < start + HEADER_BYTES + payloadBytes ? Match.MORE : Match.NO;
  const unpackedBytes = uint24(bytes, start + 4);
  if (unpackedBytes === 0) {
    const fits = uint24(bytes, inner) + HEADER_BYTES <= payloadBytes && uint24(bytes, inner) > 0;
    return fits && bytes[inner + 3] === bytes[start + 3] ? Match.YES : Match.NO;
  }
  // RFC 1950: deflate with a window of 32 KiB, and a check of the first two bytes.
  const isZlib = bytes[inner] === 0x78 && (bytes[inner] * 256 + bytes[inner + 1]) % 31 === 0;
  return isZlib && unpackedBytes > payloadBytes ? Match.YES : Match.NO;
}

/** COM_PING, COM_STATISTICS or COM_RESET_CONNECTION, and nothing else. */
function matchShort(bytes: Uint8Array, start: number, end: number): Match {
  const length = end - start;
  if (length > 5 || bytes[start] !== 1) return Match.NO;
  for (let at = start + 1; at < end && at < start + 4; at++) if (bytes[at] !== 0) return Match.NO;
  if (length < 5) return Match.MORE;
  const code = bytes[start + 4];
  return code === Com.PING || code === Com.STATISTICS || code === Com.RESET_CONNECTION ? Match.YES : Match.NO;
}

function matchSql(bytes: Uint8Array, start: number, end: number, cut: boolean): Match {
  const more = cut ? Match.MORE : Match.NO;
  let at = start;
  const last = Math.min(end, start + MAX_LEADING_BYTES);
  while (at < last) {
    const byte = bytes[at];
    if (byte === 0x20 || byte === 0x28 || (byte >= 9 && byte <= 13)) {
      at++;
    } else if (byte === 0x2f) {
      if (at + 1 >= end) return more;
      if (bytes[at + 1] !== 0x2a) return Match.NO;
      at += 2;
      // `/*!40101 SET …` is carried out.
      if (at < end && bytes[at] === 0x21) {
        at++;
        while (at < end && bytes[at] >= 0x30 && bytes[at] <= 0x39) at++;
        continue;
      }
      while (at + 1 < last && !(bytes[at] === 0x2a && bytes[at + 1] === 0x2f)) {
        if (bytes[at] === 0) return Match.NO;
        at++;
      }
      if (at + 1 >= last) return more;
      at += 2;
    } else if (byte === 0x23 || byte === 0x2d) {
      if (byte === 0x2d && at + 1 < end && bytes[at + 1] !== 0x2d) return Match.NO;
      while (at < last && bytes[at] !== 0x0a) {
        if (bytes[at] === 0) return Match.NO;
        at++;
      }
    } else {
      break;
    }
  }
  if (at >= last) return last < end ? Match.NO : more;
  let word = '';
  while (at < end && word.length <= MAX_VERB_BYTES) {
    const letter = bytes[at] & 0xdf;
    if (letter < 0x41 || letter > 0x5a) break;
    word += String.fromCharCode(letter);
    at++;
  }
  if (at === end && cut && word.length <= MAX_VERB_BYTES) return Match.MORE;
  return VERBS.has(word) ? Match.YES : Match.NO;
}
