/**
 * JSON text straight into bytes. Every `put` writes at `at` and answers the position behind it; the
 * caller has made room.
 */

import { viewOf } from '../words.js';

/** Most bytes that one byte of text becomes (`\u001f`). */
export const MAX_TEXT_GROWTH = 6;
/** Most bytes of an integer: 20 digits or 19 and a sign. */
export const MAX_INTEGER_BYTES = 20;

/** From here words are faster than a loop over bytes. */
const MIN_WORDS_BYTES = 16;

/** 0 for bytes that stand for themselves in a JSON string, the escape's letter, or one of the two below. */
const ESCAPE = new Uint8Array(256);
const ESCAPE_UNICODE = 1;
const ESCAPE_CHECK_UTF8 = 2;
ESCAPE.fill(ESCAPE_UNICODE, 0, 0x20);
ESCAPE.fill(ESCAPE_CHECK_UTF8, 0x80);
for (const [byte, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [0x22, '"'],
  [0x5c, '\\'],
] as const) {
  ESCAPE[byte] = letter.charCodeAt(0);
}

/** Two characters in the order of the bytes: hexadecimal of a byte, and decimal of 0 to 99. */
const HEX_PAIRS = new Uint16Array(256);
const DECIMAL_PAIRS = new Uint16Array(100);
for (let i = 0; i < 256; i++) HEX_PAIRS[i] = pair(i.toString(16).padStart(2, '0'));
for (let i = 0; i < 100; i++) DECIMAL_PAIRS[i] = pair(String(i).padStart(2, '0'));

function pair(text: string): number {
  return text.charCodeAt(0) | (text.charCodeAt(1) << 8);
}

const HIGH_BITS = 0x80808080 | 0;

export function putBytes(dst: Uint8Array, at: number, src: Uint8Array): number {
  for (let i = 0; i < src.length; i++) dst[at++] = src[i];
  return at;
}

/** Bytes that are written at once. */
const CONSTANT_STRIDE = 8;

/**
 * Constants of ASCII, written eight bytes at a time: as the floating-point numbers that have these bytes, none of
 * which is a NaN, for that takes a byte of 0x7f or above. Writes up to seven bytes too many, for what follows to
 * overwrite.
 */
export class Constants {
  private readonly words: Float64Array;
  private readonly start: Int32Array;
  private readonly bytes: Int32Array;

  /** Throws RangeError for what is no ASCII. */
  constructor(constants: readonly Uint8Array[]) {
    this.start = new Int32Array(constants.length + 1);
    this.bytes = new Int32Array(constants.length);
    for (const [i, { length }] of constants.entries()) {
      this.start[i + 1] = this.start[i] + Math.ceil(length / CONSTANT_STRIDE);
      this.bytes[i] = length;
    }
    this.words = new Float64Array(this.start[constants.length]);
    const view = new DataView(new ArrayBuffer(CONSTANT_STRIDE));
    for (const [i, constant] of constants.entries()) {
      if (constant.some((byte) => byte >= 0x7f)) throw new RangeError('a constant of a document is no ASCII');
      for (let at = 0; at < constant.length; at += CONSTANT_STRIDE) {
        for (let k = 0; k < CONSTANT_STRIDE; k++) view.setUint8(k, constant[at + k] ?? 0);
        this.words[this.start[i] + at / CONSTANT_STRIDE] = view.getFloat64(0, true);
      }
    }
  }

  put(view: DataView, at: number, index: number): number {
    const words = this.words;
    const end = this.start[index + 1];
    let to = at;
    for (let i = this.start[index]; i < end; i++) {
      view.setFloat64(to, words[i], true);
      to += CONSTANT_STRIDE;
    }
    return at + this.bytes[index];
  }
}

/** The inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, as TextDecoder does it. */
export function putText(
  dst: Uint8Array,
  view: DataView,
  at: number,
  src: Uint8Array,
  start: number,
  end: number,
): number {
  let i = start;
  if (end - start >= MIN_WORDS_BYTES) {
    const from = viewOf(src);
    for (; i + 4 <= end; i += 4) {
      const word = from.getInt32(i, true);
      if (!isPlain(word)) break;
      view.setInt32(at, word, true);
      at += 4;
    }
  }
  for (; i < end; i++) {
    const byte = src[i];
    if (ESCAPE[byte] !== 0) return putRareText(dst, at, src, i, end);
    dst[at++] = byte;
  }
  return at;
}

/**
 * Whether all four bytes stand for themselves in a JSON string: none is below 0x20 or above 0x7f, a quotation mark or
 * a backslash. A difference borrows from the byte above it only where its own byte is none.
 */
function isPlain(word: number): boolean {
  const noControl = word - 0x20202020;
  const noQuote = (word ^ 0x22222222) - 0x01010101;
  const noBackslash = (word ^ 0x5c5c5c5c) - 0x01010101;
  return ((word | noControl | noQuote | noBackslash) & HIGH_BITS) === 0;
}

function putRareText(dst: Uint8Array, at: number, src: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end) {
    const byte = src[i];
    const replacement = ESCAPE[byte];
    if (replacement === 0) {
      dst[at++] = byte;
      i++;
    } else if (replacement === ESCAPE_CHECK_UTF8) {
      const length = utf8Length(src, i, end);
      if (length > 0) {
        for (const stop = i + length; i < stop; i++) dst[at++] = src[i];
      } else {
        dst[at++] = 0xef;
        dst[at++] = 0xbf;
        dst[at++] = 0xbd;
        i -= length;
      }
    } else {
      dst[at++] = 0x5c;
      if (replacement === ESCAPE_UNICODE) {
        dst[at++] = 0x75;
        dst[at++] = 0x30;
        dst[at++] = 0x30;
        dst[at++] = HEX_PAIRS[byte] & 0xff;
        dst[at++] = HEX_PAIRS[byte] >>> 8;
      } else {
        dst[at++] = replacement;
      }
      i++;
    }
  }
  return at;
}

/**
 * Length of the UTF-8 sequence at `i`, whose first byte is above 0x7f; where it is malformed, minus the
 * length of what one U+FFFD stands for ("maximal subpart", Unicode 15 §3.9 table 3-7).
 */
function utf8Length(src: Uint8Array, i: number, end: number): number {
  const lead = src[i];
  let length: number;
  let low = 0x80;
  let high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead === 0xe0) low = 0xa0;
    else if (lead === 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead === 0xf0) low = 0x90;
    else if (lead === 0xf4) high = 0x8f;
  } else return -1;
  for (let k = 1; k < length; k++) {
    if (i + k >= end || src[i + k] < low || src[i + k] > high) return -k;
    low = 0x80;
    high = 0xbf;
  }
  return length;
}

export function putHex(view: DataView, at: number, src: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    view.setUint16(at, HEX_PAIRS[src[i]], true);
    at += 2;
  }
  return at;
}

/** `value` below 1e9, without leading zeros. */
function putSmall(view: DataView, at: number, value: number): number {
  if (value < 10) {
    view.setUint8(at, 0x30 + value);
    return at + 1;
  }
  let digits = 2;
  for (let bound = 100; digits < 9 && value >= bound; bound *= 10) digits++;
  return putDigits(view, at, value, digits);
}

/** The low `digits` digits of `value`, which is below 1e9. */
export function putDigits(view: DataView, at: number, value: number, digits: number): number {
  let rest = value | 0;
  let i = at + digits;
  while (i - at >= 2) {
    const next = (rest / 100) | 0;
    i -= 2;
    view.setUint16(i, DECIMAL_PAIRS[rest - next * 100], true);
    rest = next;
  }
  if (i > at) view.setUint8(at, 0x30 + (rest % 10));
  return at + digits;
}

const BILLION = 1_000_000_000;

/** A whole number from 0 up to 2^53. */
export function putInteger(view: DataView, at: number, value: number): number {
  if (value < BILLION) return putSmall(view, at, value);
  const high = Math.floor(value / BILLION);
  return putDigits(view, putInteger(view, at, high), value - high * BILLION, 9);
}

/** Quotient and remainder of the last `divideBillion`. */
export const divided = { quotient: 0, remainder: 0 };

/** Divides an unsigned 64-bit integer by 1e9 in base 2^16 digits; every step is exact in a double. */
export function divideBillion(low: number, high: number): void {
  high >>>= 0;
  let quotient = Math.floor(high / BILLION);
  let rest = (high - quotient * BILLION) * 0x10000 + (low >>> 16);
  let digit = Math.floor(rest / BILLION);
  quotient = quotient * 0x10000 + digit;
  rest = (rest - digit * BILLION) * 0x10000 + (low & 0xffff);
  digit = Math.floor(rest / BILLION);
  divided.quotient = quotient * 0x10000 + digit;
  divided.remainder = rest - digit * BILLION;
}

/** An unsigned 64-bit integer of two halves, all digits. */
export function putUnsigned(view: DataView, at: number, low: number, high: number): number {
  if (high === 0) return putInteger(view, at, low >>> 0);
  divideBillion(low, high);
  const { quotient, remainder } = divided;
  if (quotient === 0) return putSmall(view, at, remainder);
  return putDigits(view, putInteger(view, at, quotient), remainder, 9);
}

/** A signed 64-bit integer of two halves in two's complement, all digits. */
export function putSigned(view: DataView, at: number, low: number, high: number): number {
  if (high >= 0) return putUnsigned(view, at, low, high);
  view.setUint8(at++, 0x2d);
  return putUnsigned(view, at, -low | 0, low === 0 ? -high | 0 : ~high);
}

export const DATE_TIME_BYTES = 20;

/** `2026-11-23T14:00:00.` of seconds since 1970, up to year 9999. */
export function putDateTime(view: DataView, at: number, seconds: number): number {
  const days = Math.floor(seconds / 86400);
  const time = seconds - days * 86400;
  // Days to year, month, day: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  at = putDigits(view, at, year, 4);
  view.setUint8(at++, 0x2d);
  at = putDigits(view, at, month, 2);
  view.setUint8(at++, 0x2d);
  at = putDigits(view, at, day, 2);
  view.setUint8(at++, 0x54);
  at = putDigits(view, at, Math.floor(time / 3600), 2);
  view.setUint8(at++, 0x3a);
  at = putDigits(view, at, Math.floor(time / 60) % 60, 2);
  view.setUint8(at++, 0x3a);
  at = putDigits(view, at, time % 60, 2);
  view.setUint8(at, 0x2e);
  return at + 1;
}
