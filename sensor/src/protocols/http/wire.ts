/**
 * HTTP/1.x message syntax: RFC 9112 (message framing), RFC 9110 (methods, status codes, field names).
 *
 *   HTTP-message = start-line CRLF *( field-line CRLF ) CRLF [ message-body ]
 *   request-line = method SP request-target SP HTTP-version
 *   status-line  = HTTP-version SP status-code SP [ reason-phrase ]
 *   HTTP-version = "HTTP/" DIGIT "." DIGIT
 *
 * Read as leniently as servers do (RFC 9112 sections 2.2 and 3): a bare LF ends a line, empty lines
 * before a start line are skipped, the parts of a start line may stand apart by several SP or HTAB, the
 * reason phrase may be missing, and spaces inside a request target belong to it.
 */
import { isDigit, LOWER } from '../http-names.js';

/** Most bytes of a start line and its field lines together. */
export const MAX_HEAD_BYTES = 64 << 10;
/** Longest method; longer tokens are no request line. */
export const MAX_METHOD_BYTES = 40;
/** Longest chunk-size line with its extensions, and longest trailer section. */
export const MAX_CHUNK_LINE_BYTES = 16 << 10;
/** Largest body or chunk that is followed: what a double holds exactly. */
export const MAX_BODY_BYTES = Number.MAX_SAFE_INTEGER;

export const HT = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

/** 1 for `tchar` of RFC 9110 section 5.6.2. */
export const TCHAR = new Uint8Array(256);
for (const c of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TCHAR[c.charCodeAt(0)] = 1;
}

/** Value of a hexadecimal digit, or -1. */
export const HEX = Int8Array.from({ length: 256 }, (_, b) => {
  if (b >= 0x30 && b <= 0x39) return b - 0x30;
  const letter = b | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
});

/** Answer of the matchers below. */
export const Match = { NO: 0, MORE: 1, YES: 2 } as const;
export type Match = (typeof Match)[keyof typeof Match];

const HTTP_SLASH = Uint8Array.from('HTTP/', (c) => c.charCodeAt(0));

/** True where [at, at + 8) is `HTTP/d.d`. The caller has checked the length. */
export function isVersion(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0x48 &&
    bytes[at + 1] === 0x54 &&
    bytes[at + 2] === 0x54 &&
    bytes[at + 3] === 0x50 &&
    bytes[at + 4] === 0x2f &&
    isDigit(bytes[at + 5]) &&
    bytes[at + 6] === 0x2e &&
    isDigit(bytes[at + 7])
  );
}

/**
 * Is the line at `start` a request line of HTTP/1.x? Stricter than the decoder is at a known message
 * start, for it is asked about arbitrary bytes: the method begins with a capital letter, the target has
 * no control bytes, the version is 1.x. MORE while the bytes can still become one.
 */
export function matchRequestLine(bytes: Uint8Array, start: number, end: number): Match {
  let at = start;
  if (at < end && !(bytes[at] >= 0x41 && bytes[at] <= 0x5a)) return Match.NO;
  while (at < end && TCHAR[bytes[at]] === 1) at++;
  if (at - start > MAX_METHOD_BYTES) return Match.NO;
  if (at === end) return Match.MORE;
  if (bytes[at] !== SP && bytes[at] !== HT) return Match.NO;
  const space = at;
  for (; at < end; at++) {
    const byte = bytes[at];
    if (byte === LF || byte === CR) break;
    if ((byte < SP && byte !== HT) || byte === 0x7f) return Match.NO;
    if (at - start > MAX_HEAD_BYTES) return Match.NO;
  }
  if (at === end) return Match.MORE;
  if (bytes[at] === CR && at + 1 < end && bytes[at + 1] !== LF) return Match.NO;
  const line = trimEnd(bytes, space, at);
  const version = line - 8;
  if (version <= space + 1 || !isVersion(bytes, version) || bytes[version + 5] !== 0x31) return Match.NO;
  if (bytes[version - 1] !== SP && bytes[version - 1] !== HT) return Match.NO;
  if (trimStart(bytes, space, version) === version) return Match.NO;
  return bytes[at] === CR && at + 1 === end ? Match.MORE : Match.YES;
}

/** Does a status line of HTTP/1.x begin at `start`: `HTTP/1.d SP ddd` and a separator? */
export function matchStatusLine(bytes: Uint8Array, start: number, end: number): Match {
  let at = start;
  for (let i = 0; i < 5; i++, at++) {
    if (at === end) return Match.MORE;
    if (bytes[at] !== HTTP_SLASH[i]) return Match.NO;
  }
  if (at === end) return Match.MORE;
  if (bytes[at++] !== 0x31) return Match.NO;
  if (at === end) return Match.MORE;
  if (bytes[at++] !== 0x2e) return Match.NO;
  if (at === end) return Match.MORE;
  if (!isDigit(bytes[at++])) return Match.NO;
  if (at === end) return Match.MORE;
  if (bytes[at] !== SP && bytes[at] !== HT) return Match.NO;
  while (at < end && (bytes[at] === SP || bytes[at] === HT)) if (++at - start > 64) return Match.NO;
  for (let i = 0; i < 3; i++, at++) {
    if (at === end) return Match.MORE;
    if (!isDigit(bytes[at]) || (i === 0 && bytes[at] === 0x30)) return Match.NO;
  }
  if (at === end) return Match.MORE;
  const byte = bytes[at];
  return byte === SP || byte === HT || byte === CR || byte === LF ? Match.YES : Match.NO;
}

export function trimStart(bytes: Uint8Array, start: number, end: number): number {
  while (start < end && (bytes[start] === SP || bytes[start] === HT)) start++;
  return start;
}

export function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  while (end > start && (bytes[end - 1] === SP || bytes[end - 1] === HT || bytes[end - 1] === CR)) end--;
  return end;
}

/** Is [start, end) the lower-case ASCII `word` in any case? */
export function equalsIgnoreCase(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (LOWER[bytes[start + i]] !== word[i]) return false;
  return true;
}

/** Is `word` (lower case) an element of the comma-separated list [start, end)? Parameters after `;` are left aside. */
export function listHas(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  let at = start;
  while (at < end) {
    let stop = at;
    let element = -1;
    while (stop < end && bytes[stop] !== 0x2c) {
      if (bytes[stop] === 0x3b && element < 0) element = stop;
      stop++;
    }
    const from = trimStart(bytes, at, stop);
    if (equalsIgnoreCase(bytes, from, trimEnd(bytes, from, element < 0 ? stop : element), word)) return true;
    at = stop + 1;
  }
  return false;
}

/** The last element of the list, parameters aside, is the word. */
export function listEndsWith(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  let last = end;
  while (last > start && bytes[last - 1] !== 0x2c) last--;
  return listHas(bytes, last, end, word);
}

/**
 * Content-Length (RFC 9110 section 8.6): digits, or a list of the same number (section 8.6, last
 * paragraph), at most MAX_BODY_BYTES. -1 where it is anything else.
 */
export function parseContentLength(bytes: Uint8Array, start: number, end: number): number {
  let result = -1;
  let at = start;
  do {
    let stop = at;
    while (stop < end && bytes[stop] !== 0x2c) stop++;
    const from = trimStart(bytes, at, stop);
    const to = trimEnd(bytes, from, stop);
    if (from === to) return -1;
    let value = 0;
    for (let i = from; i < to; i++) {
      if (!isDigit(bytes[i])) return -1;
      value = Math.min(value * 10 + bytes[i] - 0x30, MAX_BODY_BYTES);
    }
    if (result >= 0 && result !== value) return -1;
    result = value;
    at = stop + 1;
  } while (at <= end);
  return result;
}

/**
 * chunk-size [ chunk-ext ] of RFC 9112 section 7.1 in [start, end), the line without its end. -1 where
 * it is no such thing.
 */
export function parseChunkSize(bytes: Uint8Array, start: number, end: number): number {
  let at = trimStart(bytes, start, end);
  const first = at;
  let value = 0;
  for (; at < end; at++) {
    const digit = HEX[bytes[at]];
    if (digit < 0) break;
    value = value * 16 + digit;
    if (value > MAX_BODY_BYTES) return -1;
  }
  if (at === first) return -1;
  at = trimStart(bytes, at, end);
  return at >= end || bytes[at] === 0x3b || bytes[at] === CR ? value : -1;
}
