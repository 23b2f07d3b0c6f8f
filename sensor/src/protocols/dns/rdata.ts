/** The data of a resource record as a zone file shows it (RFC 1035 section 5.1, and the RFC of each type). */
import type { WireWriter } from '@packetd/proto';
import { typeName } from './codes.js';
import {
  base32hex,
  base64,
  byte,
  characterString,
  decimal,
  hex,
  ipv4,
  ipv6,
  listItem,
  name,
  padded,
  quoted,
  space,
  tagString,
  timestamp,
} from './text.js';

/** Data longer than this is written as `\# length` alone. */
const MAX_DATA_BYTES = 4096;

/**
 * What each type's data consists of, in order: `n` name, `1` `2` `4` numbers of so many bytes, `t` type,
 * `a` IPv4, `A` IPv6, `s` character-string, `S` character-strings to the end, `h` hex to the end, `H` hex
 * with a length byte before it (`-` where empty), `b` base64 to the end, `B` base32hex with a length
 * byte, `d` time, `m` type bitmap, `g` tag, `q` the rest in quotes, `p` service parameters.
 */
const FORMATS: readonly (readonly [types: readonly number[], format: string])[] = [
  [[1], 'a'],
  [[28], 'A'],
  [[2, 3, 4, 5, 7, 8, 9, 12, 39], 'n'],
  [[6], 'nn44444'],
  [[13], 'ss'],
  [[14, 17], 'nn'],
  [[15, 18, 21, 36], '2n'],
  [[16, 99, 261], 'S'],
  [[19], 's'],
  [[20], 'S'],
  [[33], '222n'],
  [[35], '22sssn'],
  [[37], '221b'],
  [[43, 59, 32_768, 32_769], '211h'],
  [[44], '11h'],
  [[24, 46], 't114dd2nb'],
  [[47], 'nm'],
  [[25, 48, 60], '211b'],
  [[49, 61], 'b'],
  [[50], '112HBm'],
  [[51], '112H'],
  [[52, 53], '111h'],
  [[62], '42m'],
  [[63], '411h'],
  [[64, 65], '2np'],
  [[108, 109], 'e'],
  [[256], '22q'],
  [[257], '1gq'],
];

const formats: string[] = [];
for (const [types, format] of FORMATS) for (const type of types) formats[type] = format;

const LOC = 29;
const HASH = 0x23;
const BACKSLASH = 0x5c;
const DASH = 0x2d;
const COMMA = 0x2c;
const EQUALS = 0x3d;

/**
 * Writes the data [from, to) of a record of `type`; `start` and `end` bound the message, for names are
 * compressed. Data that is not what its type says is written as RFC 3597 section 5 writes unknown types.
 */
export function writeData(
  w: WireWriter,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  from: number,
  to: number,
): void {
  const before = w.length;
  if (to - from <= MAX_DATA_BYTES) {
    const format = formats[type];
    if (format !== undefined && formatted(w, format, bytes, start, end, from, to)) return;
    if (type === LOC && location(w, bytes, from, to)) return;
  }
  w.length = before;
  byte(w, BACKSLASH);
  byte(w, HASH);
  space(w);
  decimal(w, to - from);
  if (to === from || to - from > MAX_DATA_BYTES) return;
  space(w);
  hex(w, bytes, from, to);
}

function formatted(
  w: WireWriter,
  format: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  from: number,
  to: number,
): boolean {
  let at = from;
  for (let i = 0; i < format.length; i++) {
    if (i > 0) space(w);
    at = part(w, format.charCodeAt(i), bytes, start, end, at, to);
    if (at < 0 || at > to) return false;
  }
  return at === to;
}

function part(
  w: WireWriter,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  at: number,
  to: number,
): number {
  switch (kind) {
    case 0x6e: // n
      return name(w, bytes, start, end, at);
    case 0x31: // 1
      if (at + 1 > to) return -1;
      decimal(w, bytes[at]);
      return at + 1;
    case 0x32: // 2
      if (at + 2 > to) return -1;
      decimal(w, uint16(bytes, at));
      return at + 2;
    case 0x34: // 4
      if (at + 4 > to) return -1;
      decimal(w, uint32(bytes, at));
      return at + 4;
    case 0x74: // t
      if (at + 2 > to) return -1;
      w.raw(typeName(uint16(bytes, at)).text);
      return at + 2;
    case 0x61: // a
      return at + 4 > to ? -1 : ipv4(w, bytes, at);
    case 0x41: // A
      return at + 16 > to ? -1 : ipv6(w, bytes, at);
    case 0x73: // s
      return characterString(w, bytes, at, to);
    case 0x53: // S
      for (let first = true; at < to || first; first = false) {
        if (!first) space(w);
        at = characterString(w, bytes, at, to);
        if (at < 0) return -1;
      }
      return at;
    case 0x68: // h
      return hex(w, bytes, at, to);
    case 0x48: // H
      return lengthFirst(w, bytes, at, to, hex);
    case 0x62: // b
      return base64(w, bytes, at, to);
    case 0x42: // B
      return lengthFirst(w, bytes, at, to, base32hex);
    case 0x64: // d
      if (at + 4 > to) return -1;
      timestamp(w, uint32(bytes, at));
      return at + 4;
    case 0x6d: // m
      return bitmap(w, bytes, at, to);
    case 0x67: // g
      return tagString(w, bytes, at, to);
    case 0x71: // q
      return quoted(w, bytes, at, to);
    case 0x70: // p
      return parameters(w, bytes, at, to);
    case 0x65: // e
      for (let i = at; i < to; i++) {
        if (i > at) byte(w, DASH);
        const before = w.length;
        hex(w, bytes, i, i + 1);
        for (let j = before; j < w.length; j++) if (w.bytes[j] >= 0x41) w.bytes[j] |= 0x20;
      }
      return to;
    default:
      return -1;
  }
}

/** A length byte, then that many bytes in an encoding; `-` for none (RFC 5155 section 3.3). */
function lengthFirst(
  w: WireWriter,
  bytes: Uint8Array,
  at: number,
  to: number,
  write: (w: WireWriter, bytes: Uint8Array, from: number, end: number) => number,
): number {
  if (at >= to) return -1;
  const stop = at + 1 + bytes[at];
  if (stop > to) return -1;
  if (bytes[at] === 0) byte(w, DASH);
  else write(w, bytes, at + 1, stop);
  return stop;
}

/** Type Bit Maps field (RFC 4034 section 4.1.2). */
function bitmap(w: WireWriter, bytes: Uint8Array, at: number, to: number): number {
  let first = true;
  while (at < to) {
    if (at + 2 > to) return -1;
    const window = bytes[at];
    const length = bytes[at + 1];
    const from = at + 2;
    at = from + length;
    if (length === 0 || length > 32 || at > to) return -1;
    for (let bit = 0; bit < length * 8; bit++) {
      if ((bytes[from + (bit >> 3)] & (0x80 >> (bit & 7))) === 0) continue;
      if (!first) space(w);
      first = false;
      w.raw(typeName(window * 256 + bit).text);
    }
  }
  // A record without types ends with the name, not with a blank.
  if (first && w.length > 0 && w.bytes[w.length - 1] === 0x20) w.length--;
  return at;
}

const KEYS = [
  'mandatory',
  'alpn',
  'no-default-alpn',
  'port',
  'ipv4hint',
  'ech',
  'ipv6hint',
  'dohpath',
  'ohttp',
].map((key) => new TextEncoder().encode(key));
const Key = { MANDATORY: 0, ALPN: 1, PORT: 3, IPV4: 4, ECH: 5, IPV6: 6 } as const;

/** SvcParams (RFC 9460 section 2.1 and appendix A). */
function parameters(w: WireWriter, bytes: Uint8Array, at: number, to: number): number {
  if (at === to && w.bytes[w.length - 1] === 0x20) w.length--;
  for (let first = true; at < to; first = false) {
    if (at + 4 > to) return -1;
    if (!first) space(w);
    const key = uint16(bytes, at);
    const from = at + 4;
    at = from + uint16(bytes, at + 2);
    if (at > to) return -1;
    keyName(w, key);
    if (at > from) {
      byte(w, EQUALS);
      if (!parameter(w, key, bytes, from, at)) return -1;
    }
  }
  return at;
}

function keyName(w: WireWriter, key: number): void {
  if (key < KEYS.length) {
    w.raw(KEYS[key]);
    return;
  }
  w.raw(KEY);
  decimal(w, key);
}
const KEY = new TextEncoder().encode('key');

function parameter(w: WireWriter, key: number, bytes: Uint8Array, from: number, to: number): boolean {
  switch (key) {
    case Key.MANDATORY:
      for (let at = from; at + 2 <= to; at += 2) {
        if (at > from) byte(w, COMMA);
        keyName(w, uint16(bytes, at));
      }
      return (to - from) % 2 === 0;
    case Key.ALPN: {
      byte(w, 0x22);
      for (let at = from; at < to; ) {
        const stop = at + 1 + bytes[at];
        if (stop > to || bytes[at] === 0) return false;
        if (at > from) byte(w, COMMA);
        at = listItem(w, bytes, at + 1, stop);
      }
      byte(w, 0x22);
      return true;
    }
    case Key.PORT:
      if (to - from !== 2) return false;
      decimal(w, uint16(bytes, from));
      return true;
    case Key.IPV4:
    case Key.IPV6: {
      const size = key === Key.IPV4 ? 4 : 16;
      if ((to - from) % size !== 0) return false;
      for (let at = from; at < to; at += size) {
        if (at > from) byte(w, COMMA);
        if (size === 4) ipv4(w, bytes, at);
        else ipv6(w, bytes, at);
      }
      return true;
    }
    case Key.ECH:
      base64(w, bytes, from, to);
      return true;
    default:
      quoted(w, bytes, from, to);
      return true;
  }
}

/** LOC (RFC 1876 section 3): degrees, altitude and precisions in metres. */
function location(w: WireWriter, bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from !== 16 || bytes[from] !== 0) return false;
  const equator = 2 ** 31;
  const latitude = uint32(bytes, from + 4) - equator;
  const longitude = uint32(bytes, from + 8) - equator;
  angle(w, Math.abs(latitude));
  byte(w, latitude < 0 ? 0x53 : 0x4e);
  space(w);
  angle(w, Math.abs(longitude));
  byte(w, longitude < 0 ? 0x57 : 0x45);
  space(w);
  const altitude = uint32(bytes, from + 12) - 10_000_000;
  if (altitude < 0) byte(w, DASH);
  metres(w, Math.abs(altitude));
  for (let i = 1; i <= 3; i++) {
    const mantissa = bytes[from + i] >> 4;
    const exponent = bytes[from + i] & 15;
    if (mantissa > 9 || exponent > 9) return false;
    space(w);
    metres(w, mantissa * 10 ** exponent);
  }
  return true;
}

/** Thousandths of a second of arc as degrees, minutes and seconds, with a blank behind. */
function angle(w: WireWriter, value: number): void {
  decimal(w, Math.floor(value / 3_600_000));
  space(w);
  decimal(w, Math.floor(value / 60_000) % 60);
  space(w);
  decimal(w, Math.floor(value / 1000) % 60);
  byte(w, 0x2e);
  padded(w, value % 1000, 3);
  space(w);
}

/** Centimetres as metres. */
function metres(w: WireWriter, centimetres: number): void {
  decimal(w, Math.floor(centimetres / 100));
  byte(w, 0x2e);
  padded(w, centimetres % 100, 2);
  byte(w, 0x6d);
}

export function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
