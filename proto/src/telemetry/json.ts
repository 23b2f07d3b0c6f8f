/**
 * JSON text straight into bytes. Every `put` writes at `at` and answers the position behind it; the
 * caller has made room.
 */

/** Most bytes that one byte of text becomes (`\u001f`). */
export const MAX_TEXT_GROWTH = 6;
/** Most bytes of an integer: 20 digits or 19 and a sign. */
export const MAX_INTEGER_BYTES = 20;

/** Runs shorter than this are copied by hand: `subarray` and `set` cost about as much as 100 bytes. */
const SHORT_RUN = 100;

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

const HEX = new Uint8Array(512);
for (let i = 0; i < 256; i++) {
  const text = i.toString(16).padStart(2, '0');
  HEX[2 * i] = text.charCodeAt(0);
  HEX[2 * i + 1] = text.charCodeAt(1);
}

export function putBytes(dst: Uint8Array, at: number, src: Uint8Array): number {
  const length = src.length;
  if (length >= 32) {
    dst.set(src, at);
    return at + length;
  }
  for (let i = 0; i < length; i++) dst[at++] = src[i];
  return at;
}

/** The inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, as TextDecoder does it. */
export function putText(dst: Uint8Array, at: number, src: Uint8Array, start: number, end: number): number {
  if (end - start > SHORT_RUN) return putLongText(dst, at, src, start, end);
  for (let i = start; i < end; i++) {
    const byte = src[i];
    if (ESCAPE[byte] !== 0) return putRareText(dst, at, src, i, end);
    dst[at++] = byte;
  }
  return at;
}

function putLongText(dst: Uint8Array, at: number, src: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && ESCAPE[src[i]] === 0) i++;
  dst.set(src.subarray(start, i), at);
  at += i - start;
  return i === end ? at : putRareText(dst, at, src, i, end);
}

function putRareText(dst: Uint8Array, at: number, src: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end) {
    const byte = src[i];
    const escape = ESCAPE[byte];
    if (escape === 0) {
      dst[at++] = byte;
      i++;
    } else if (escape === ESCAPE_CHECK_UTF8) {
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
      if (escape === ESCAPE_UNICODE) {
        dst[at++] = 0x75;
        dst[at++] = 0x30;
        dst[at++] = 0x30;
        dst[at++] = HEX[2 * byte];
        dst[at++] = HEX[2 * byte + 1];
      } else {
        dst[at++] = escape;
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

export function putHex(dst: Uint8Array, at: number, src: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const digit = src[i] << 1;
    dst[at++] = HEX[digit];
    dst[at++] = HEX[digit + 1];
  }
  return at;
}

/** `value` below 1e9, without leading zeros. */
function putSmall(dst: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    dst[at] = 0x30 + value;
    return at + 1;
  }
  let digits = 2;
  for (let bound = 100; digits < 9 && value >= bound; bound *= 10) digits++;
  return putDigits(dst, at, value, digits);
}

/** The low `digits` digits of `value`, which is below 1e9. */
export function putDigits(dst: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value | 0;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = (rest / 10) | 0;
    dst[i] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + digits;
}

const BILLION = 1_000_000_000;

/** A whole number from 0 up to 2^53. */
export function putInteger(dst: Uint8Array, at: number, value: number): number {
  if (value < BILLION) return putSmall(dst, at, value);
  const high = Math.floor(value / BILLION);
  return putDigits(dst, putInteger(dst, at, high), value - high * BILLION, 9);
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
export function putUnsigned(dst: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0) return putInteger(dst, at, low >>> 0);
  divideBillion(low, high);
  const { quotient, remainder } = divided;
  if (quotient === 0) return putSmall(dst, at, remainder);
  return putDigits(dst, putInteger(dst, at, quotient), remainder, 9);
}

/** A signed 64-bit integer of two halves in two's complement, all digits. */
export function putSigned(dst: Uint8Array, at: number, low: number, high: number): number {
  if (high >= 0) return putUnsigned(dst, at, low, high);
  dst[at++] = 0x2d;
  return putUnsigned(dst, at, -low | 0, low === 0 ? -high | 0 : ~high);
}

/** `2026-11-23T14:00:00` of seconds since 1970, up to year 9999. */
export function putDateTime(dst: Uint8Array, at: number, seconds: number): number {
  const days = Math.floor(seconds / 86400);
  const time = seconds - days * 86400;
  // Days to year, month, day: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  at = putDigits(dst, at, year, 4);
  dst[at++] = 0x2d;
  at = putDigits(dst, at, month, 2);
  dst[at++] = 0x2d;
  at = putDigits(dst, at, day, 2);
  dst[at++] = 0x54;
  at = putDigits(dst, at, Math.floor(time / 3600), 2);
  dst[at++] = 0x3a;
  at = putDigits(dst, at, Math.floor(time / 60) % 60, 2);
  dst[at++] = 0x3a;
  return putDigits(dst, at, time % 60, 2);
}
