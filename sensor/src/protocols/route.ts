/**
 * Guesses the route of a path: segments that look like identifiers become `{id}`, so that the result
 * has few values. Works on bytes; nothing is allocated.
 */

import { isDigit } from './http-names.js';

/** Most bytes and segments of a route; what is deeper or longer is cut off with `/*`. */
export const MAX_ROUTE_BYTES = 256;
export const MAX_ROUTE_SEGMENTS = 16;

/** Segments of this length and over are identifiers, whatever is in them. */
const LONG_SEGMENT_BYTES = 32;
/** Shortest run of hex digits (with a decimal one among them) that is an identifier. */
const MIN_HEX_BYTES = 8;
/** Letters mixed with this many digits are an identifier, with fewer where the segment is longer. */
const MIXED_DIGITS = 4;
const MIXED_DIGITS_LONG = 3;
const MIXED_LONG_BYTES = 10;
/** Shortest segment of both cases in which several runs of digits make an identifier. */
const MIN_MIXED_CASE_BYTES = 8;
/** Percent-encoded bytes from which on a segment is text of a user. */
const MAX_ENCODED = 3;

const SLASH = 0x2f;
const ID = [0x7b, 0x69, 0x64, 0x7d];

/** The last route that `templateRoute` made. */
export const route = new Uint8Array(MAX_ROUTE_BYTES + 8);

/**
 * Makes the route of the path [start, end) in `route` and answers its length, or -1 where the path is
 * its own route.
 */
export function templateRoute(bytes: Uint8Array, start: number, end: number): number {
  let out = 0;
  let changed = false;
  let segments = 0;
  let at = start;
  while (at < end) {
    let stop = at;
    if (bytes[at] === SLASH) {
      route[out++] = SLASH;
      stop = ++at;
    }
    while (stop < end && bytes[stop] !== SLASH) stop++;
    if (++segments > MAX_ROUTE_SEGMENTS || out + stop - at > MAX_ROUTE_BYTES) {
      if (out === 0) route[out++] = SLASH;
      route[out++] = 0x2a;
      return out;
    }
    if (stop > at && isIdentifier(bytes, at, stop)) {
      changed = true;
      if (out + 4 > MAX_ROUTE_BYTES) return out;
      for (let i = 0; i < 4; i++) route[out++] = ID[i];
    } else {
      // Parameters of a segment (`;jsessionid=…`) are no part of the route.
      let i = at;
      for (; i < stop && bytes[i] !== 0x3b; i++) route[out++] = bytes[i];
      if (i < stop) changed = true;
    }
    at = stop;
  }
  return changed ? out : -1;
}

/** Number, UUID, hex of 8 and more, e-mail address, long or mixed-digit token. */
function isIdentifier(bytes: Uint8Array, start: number, end: number): boolean {
  let length = end - start;
  let digits = 0;
  let digitRuns = 0;
  let uppers = 0;
  let letters = 0;
  let hexRun = 0;
  let hexRunDigits = 0;
  let marks = 0;
  let encoded = 0;
  let firstDot = -1;
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    const letter = byte | 0x20;
    if (byte >= 0x30 && byte <= 0x39) {
      digits++;
      if (i === start || !isDigit(bytes[i - 1])) digitRuns++;
      hexRun++;
      hexRunDigits++;
      continue;
    }
    if (letter >= 0x61 && letter <= 0x7a) {
      letters++;
      if (byte < 0x60) uppers++;
      if (letter <= 0x66) {
        hexRun++;
        continue;
      }
    } else if (byte === 0x3b) {
      length = i - start;
      break;
    } else if (byte === 0x40) {
      return true;
    } else if (byte === 0x25) {
      if (i + 2 < end && bytes[i + 1] === 0x34 && bytes[i + 2] === 0x30) return true;
      encoded++;
      if (encoded >= MAX_ENCODED) return true;
      i += 2;
    } else if (byte >= 0x80) {
      if (++encoded >= MAX_ENCODED) return true;
    } else {
      marks++;
      if (opensValue(byte) && i + 1 < end && beginsValue(bytes[i + 1])) return true;
      if (byte === 0x2e && firstDot < 0) firstDot = i;
    }
    if (hexRun >= MIN_HEX_BYTES && hexRunDigits > 0) return isHexBoundary(bytes, i, hexRun, start);
    hexRun = 0;
    hexRunDigits = 0;
  }
  if (length >= LONG_SEGMENT_BYTES) return true;
  if (hexRun >= MIN_HEX_BYTES && hexRunDigits > 0) return true;
  if (digits === 0) return false;
  // 42, -42, 2024-01-31, 10.0.0.1, but not the version 1.0.
  if (letters === 0 && encoded === 0) return marks === 0 || firstDot !== start + 1 || length >= 6;
  if (digits >= MIXED_DIGITS) return true;
  // Base 62 and base64: dQw4w9WgXcQ.
  if (digitRuns > 1 && uppers > 0 && uppers < letters && length >= MIN_MIXED_CASE_BYTES) return true;
  if (digits >= MIXED_DIGITS_LONG && length >= MIXED_LONG_BYTES && firstDot < 0) return true;
  return firstDot > start && allDigits(bytes, start, firstDot);
}

/** A hex run in the middle counts where no letter follows or precedes it: `app.3f9a8b7c.js`. */
function isHexBoundary(bytes: Uint8Array, at: number, run: number, start: number): boolean {
  const after = bytes[at] | 0x20;
  if (after >= 0x67 && after <= 0x7a) return run >= MIN_HEX_BYTES * 2;
  const first = at - run;
  return first === start || !isLetter(bytes[first - 1]);
}

/** `Users(42)`, `Users('bob')`, `id=42`, `user:42`. */
function opensValue(byte: number): boolean {
  return byte === 0x3d || byte === 0x3a || byte === 0x28;
}

function beginsValue(byte: number): boolean {
  return isDigit(byte) || byte === 0x27 || byte === 0x22 || byte === 0x25;
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}

function allDigits(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] < 0x30 || bytes[i] > 0x39) return false;
  return true;
}
