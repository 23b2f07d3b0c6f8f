/**
 * Presentation format (RFC 1035 section 5.1) of the parts of a resource record, written as bytes.
 * Every function answers the position behind what it read, or -1 where the bytes are not it; what
 * was written until then is the caller's to take back.
 */
import { WireWriter } from '@packetd/proto';

/** RFC 1035 section 2.3.4. */
export const MAX_NAME_BYTES = 255;
/** Each byte of a name becomes at most four characters. */
const MAX_NAME_TEXT = MAX_NAME_BYTES * 4;

const DOT = 0x2e;
const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const HEX = new TextEncoder().encode('0123456789ABCDEF');
const HEX_LOWER = new TextEncoder().encode('0123456789abcdef');
const BASE64 = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const BASE32HEX = new TextEncoder().encode('0123456789ABCDEFGHIJKLMNOPQRSTUV');

/** Opens a string or nested message of unknown length; `endField` closes it. */
export function beginField(w: WireWriter, tag: number): number {
  w.reserve(16);
  w.varint(tag);
  return ++w.length;
}

/** Writes the length in front of what came since `beginField`, which moves when it needs more than a byte. */
export function endField(w: WireWriter, mark: number): void {
  const length = w.length - mark;
  if (length < 0x80) {
    w.bytes[mark - 1] = length;
    return;
  }
  const extra = length < 0x4000 ? 1 : length < 0x200000 ? 2 : 3;
  w.reserve(extra);
  w.bytes.copyWithin(mark + extra, mark, w.length);
  w.length = mark - 1;
  w.varint(length);
  w.length += length;
}

export function byte(w: WireWriter, value: number): void {
  w.reserve(1);
  w.bytes[w.length++] = value;
}

export function space(w: WireWriter): void {
  byte(w, 0x20);
}

export function decimal(w: WireWriter, value: number): void {
  w.reserve(20);
  const bytes = w.bytes;
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let at = w.length + digits - 1; at >= w.length; at--) {
    const tens = Math.floor(rest / 10);
    bytes[at] = 0x30 + rest - tens * 10;
    rest = tens;
  }
  w.length += digits;
}

/** A decimal number with leading zeros. */
export function padded(w: WireWriter, value: number, digits: number): void {
  for (let power = 10 ** (digits - 1); power > value && power > 1; power /= 10) byte(w, 0x30);
  decimal(w, value);
}

/** `\DDD`: any byte as three decimal digits. */
function escaped(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = BACKSLASH;
  bytes[at + 1] = 0x30 + ((value / 100) | 0);
  bytes[at + 2] = 0x30 + (((value / 10) | 0) % 10);
  bytes[at + 3] = 0x30 + (value % 10);
  return at + 4;
}

/**
 * A domain name without the final dot; the root is `.`. `start` is where the message starts and `end`
 * where it ends. A pointer has to point before the labels it stands behind, so that no chain of them
 * is endless, and the whole name is at most 255 bytes (RFC 1035 sections 4.1.4 and 2.3.4).
 */
export function name(w: WireWriter, bytes: Uint8Array, start: number, end: number, from: number): number {
  w.reserve(MAX_NAME_TEXT);
  const out = w.bytes;
  const first = w.length;
  let to = first;
  let at = from;
  let lowest = from;
  let after = -1;
  let total = 1;
  for (;;) {
    if (at >= end) return -1;
    const length = bytes[at++];
    if (length === 0) break;
    if (length >= 0xc0) {
      if (at >= end) return -1;
      const target = start + (((length & 0x3f) << 8) | bytes[at++]);
      if (target >= lowest) return -1;
      if (after < 0) after = at;
      lowest = target;
      at = target;
      continue;
    }
    total += length + 1;
    // 0x40 and 0x80 are label types that never came into use (RFC 6891 section 5).
    if (length > 63 || total > MAX_NAME_BYTES || at + length > end) return -1;
    if (to !== first) out[to++] = DOT;
    for (const stop = at + length; at < stop; at++) {
      const value = bytes[at];
      if (value > 0x20 && value < 0x7f) {
        if (value === DOT || value === BACKSLASH) out[to++] = BACKSLASH;
        out[to++] = value;
      } else {
        to = escaped(out, to, value);
      }
    }
  }
  if (to === first) out[to++] = DOT;
  w.length = to;
  return after < 0 ? at : after;
}

const spelled = new WireWriter(MAX_NAME_TEXT);

/**
 * Is text[from, from + length), which `name` wrote, the name at `nameAt` of the message [start, end)?
 * The case of letters does not count (RFC 4343).
 */
export function isName(
  text: Uint8Array,
  from: number,
  length: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  nameAt: number,
): boolean {
  let i = from;
  let at = nameAt;
  const stop = from + length;
  for (;;) {
    const size = bytes[at++];
    if (size === 0) break;
    if (size > 63) return isSpelled(text, from, length, bytes, start, end, nameAt);
    if (i > from && text[i++] !== DOT) return false;
    if (i + size > stop) return false;
    for (const next = at + size; at < next; at++, i++) {
      const value = bytes[at];
      if (value <= 0x20 || value >= 0x7f || value === DOT || value === BACKSLASH)
        return isSpelled(text, from, length, bytes, start, end, nameAt);
      if (!isSameLetter(text[i], value)) return false;
    }
  }
  return i === stop || (i === from && length === 1 && text[i] === DOT);
}

/** The same for a name that is compressed or needs escapes. */
function isSpelled(
  text: Uint8Array,
  from: number,
  length: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  nameAt: number,
): boolean {
  spelled.length = 0;
  if (name(spelled, bytes, start, end, nameAt) < 0 || spelled.length !== length) return false;
  for (let i = 0; i < length; i++) if (!isSameLetter(text[from + i], spelled.bytes[i])) return false;
  return true;
}

function isSameLetter(x: number, y: number): boolean {
  if (x === y) return true;
  const letter = x | 0x20;
  return (x ^ y) === 0x20 && letter >= 0x61 && letter <= 0x7a;
}

/**
 * Position behind a name, or -1. A pointer ends it, has to point backwards and behind the header, and
 * is not followed.
 */
export function skipName(bytes: Uint8Array, start: number, end: number, from: number): number {
  let at = from;
  while (at < end) {
    const length = bytes[at++];
    if (length === 0) return at - from <= MAX_NAME_BYTES ? at : -1;
    if (length >= 0xc0) {
      if (at >= end) return -1;
      const target = ((length & 0x3f) << 8) | bytes[at++];
      return target >= 12 && start + target < from && at - from <= MAX_NAME_BYTES ? at : -1;
    }
    if (length > 63) return -1;
    at += length;
  }
  return -1;
}

/** Bytes of a character-string, without quotes. */
function characters(w: WireWriter, bytes: Uint8Array, from: number, end: number): void {
  w.reserve((end - from) * 4);
  const out = w.bytes;
  let to = w.length;
  for (let at = from; at < end; at++) {
    const value = bytes[at];
    if (value >= 0x20 && value < 0x7f) {
      if (value === QUOTE || value === BACKSLASH) out[to++] = BACKSLASH;
      out[to++] = value;
    } else {
      to = escaped(out, to, value);
    }
  }
  w.length = to;
}

/** [from, end) in quotes. */
export function quoted(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  byte(w, QUOTE);
  characters(w, bytes, from, end);
  byte(w, QUOTE);
  return end;
}

/** <character-string>: one length byte, then that many. */
export function characterString(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  if (from >= end || from + 1 + bytes[from] > end) return -1;
  return quoted(w, bytes, from + 1, from + 1 + bytes[from]);
}

/** The same without quotes, of letters, digits and hyphens (the tag of CAA, RFC 8659 section 4.1). */
export function tagString(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  if (from >= end || bytes[from] === 0 || from + 1 + bytes[from] > end) return -1;
  const stop = from + 1 + bytes[from];
  w.reserve(256);
  for (let at = from + 1; at < stop; at++) {
    const value = bytes[at];
    const letter = value | 0x20;
    if (!((letter >= 0x61 && letter <= 0x7a) || (value >= 0x30 && value <= 0x39) || value === 0x2d))
      return -1;
    w.bytes[w.length++] = value;
  }
  return stop;
}

/** An alpn-id inside the comma separated list of RFC 9460 appendix A.1, whose `,` and `\` are escaped twice. */
export function listItem(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  w.reserve((end - from) * 4);
  const out = w.bytes;
  let to = w.length;
  for (let at = from; at < end; at++) {
    const value = bytes[at];
    if (value === 0x2c || value === BACKSLASH) {
      out[to++] = BACKSLASH;
      out[to++] = BACKSLASH;
      if (value === BACKSLASH) out[to++] = BACKSLASH;
      out[to++] = value;
    } else if (value >= 0x20 && value < 0x7f) {
      if (value === QUOTE) out[to++] = BACKSLASH;
      out[to++] = value;
    } else {
      to = escaped(out, to, value);
    }
  }
  w.length = to;
  return end;
}

export function hex(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  w.reserve((end - from) * 2);
  const out = w.bytes;
  let to = w.length;
  for (let at = from; at < end; at++) {
    out[to++] = HEX[bytes[at] >> 4];
    out[to++] = HEX[bytes[at] & 15];
  }
  w.length = to;
  return end;
}

/** RFC 4648 section 4. */
export function base64(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  w.reserve(Math.ceil((end - from) / 3) * 4);
  const out = w.bytes;
  let to = w.length;
  for (let at = from; at < end; at += 3) {
    const left = end - at;
    const value = (bytes[at] << 16) | (left > 1 ? bytes[at + 1] << 8 : 0) | (left > 2 ? bytes[at + 2] : 0);
    out[to++] = BASE64[value >> 18];
    out[to++] = BASE64[(value >> 12) & 63];
    out[to++] = left > 1 ? BASE64[(value >> 6) & 63] : 0x3d;
    out[to++] = left > 2 ? BASE64[value & 63] : 0x3d;
  }
  w.length = to;
  return end;
}

/** RFC 4648 section 7, without padding as RFC 5155 section 3.3 wants it. */
export function base32hex(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  w.reserve((end - from) * 2 + 1);
  const out = w.bytes;
  let to = w.length;
  let bits = 0;
  let value = 0;
  for (let at = from; at < end; at++) {
    value = ((value << 8) | bytes[at]) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) out[to++] = BASE32HEX[(value >> (bits - 5)) & 31];
  }
  if (bits > 0) out[to++] = BASE32HEX[(value << (5 - bits)) & 31];
  w.length = to;
  return end;
}

export function ipv4(w: WireWriter, bytes: Uint8Array, from: number): number {
  w.reserve(15);
  const out = w.bytes;
  let to = w.length;
  for (let i = 0; i < 4; i++) {
    if (i > 0) out[to++] = DOT;
    const value = bytes[from + i];
    if (value >= 100) out[to++] = 0x30 + ((value / 100) | 0);
    if (value >= 10) out[to++] = 0x30 + (((value / 10) | 0) % 10);
    out[to++] = 0x30 + (value % 10);
  }
  w.length = to;
  return from + 4;
}

/** RFC 5952: lower case, the first longest run of zero groups as `::`, IPv4-mapped with dots. */
export function ipv6(w: WireWriter, bytes: Uint8Array, from: number): number {
  w.reserve(45);
  let runAt = -1;
  let runLength = 1;
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && bytes[from + j * 2] === 0 && bytes[from + j * 2 + 1] === 0) j++;
    if (j - i > runLength) {
      runAt = i;
      runLength = j - i;
    }
    if (j > i) i = j;
  }
  const mapped = runAt === 0 && runLength === 5 && bytes[from + 10] === 0xff && bytes[from + 11] === 0xff;
  const out = w.bytes;
  let to = w.length;
  const groups = mapped ? 6 : 8;
  for (let i = 0; i < groups; i++) {
    if (i === runAt) {
      out[to++] = 0x3a;
      i += runLength - 1;
      if (i === groups - 1) out[to++] = 0x3a;
      continue;
    }
    if (i > 0) out[to++] = 0x3a;
    const group = (bytes[from + i * 2] << 8) | bytes[from + i * 2 + 1];
    if (group >= 0x1000) out[to++] = HEX_LOWER[group >> 12];
    if (group >= 0x100) out[to++] = HEX_LOWER[(group >> 8) & 15];
    if (group >= 0x10) out[to++] = HEX_LOWER[(group >> 4) & 15];
    out[to++] = HEX_LOWER[group & 15];
  }
  w.length = to;
  if (mapped) {
    byte(w, 0x3a);
    ipv4(w, bytes, from + 12);
  }
  return from + 16;
}

/** RFC 4034 section 3.2: seconds since 1970 (unsigned, 32 bits) as YYYYMMDDHHmmSS in UTC. */
export function timestamp(w: WireWriter, seconds: number): void {
  const days = Math.floor(seconds / 86_400);
  const rest = seconds - days * 86_400;
  // Days to a date of the proleptic Gregorian calendar, counting years from March.
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  padded(w, yearOfEra + era * 400 + (month <= 2 ? 1 : 0), 4);
  padded(w, month, 2);
  padded(w, dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1, 2);
  padded(w, Math.floor(rest / 3600), 2);
  padded(w, Math.floor(rest / 60) % 60, 2);
  padded(w, rest % 60, 2);
}
