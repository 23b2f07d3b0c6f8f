/** SvcParams of SVCB and HTTPS records (RFC 9460 sections 2.1, 2.2, 7 and appendix A). */
import type { WireWriter } from '@packetd/proto';
import { base64, byte, decimal, ipv4, ipv6, listItem, quoted } from './text.js';

const Key = {
  MANDATORY: 0,
  ALPN: 1,
  NO_DEFAULT_ALPN: 2,
  PORT: 3,
  IPV4HINT: 4,
  ECH: 5,
  IPV6HINT: 6,
} as const;

/** https://www.iana.org/assignments/dns-svcb; others are written as key123. */
const NAMES = [
  'mandatory',
  'alpn',
  'no-default-alpn',
  'port',
  'ipv4hint',
  'ech',
  'ipv6hint',
  'dohpath',
  'ohttp',
  'tls-supported-groups',
].map((text) => new TextEncoder().encode(text));
const UNKNOWN = new TextEncoder().encode('key');

/** ( SvcParamKey 2 | length 2 | SvcParamValue )*, keys in strictly ascending order. */
export function serviceParameters(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  let previous = -1;
  while (at < end) {
    if (at + 4 > end) return -1;
    const key = (bytes[at] << 8) | bytes[at + 1];
    const value = at + 4;
    const stop = value + ((bytes[at + 2] << 8) | bytes[at + 3]);
    if (key <= previous || stop > end) return -1;
    if (at > from) byte(w, 0x20);
    previous = key;
    writeKey(w, key);
    at = writeValue(w, key, bytes, value, stop);
    if (at !== stop) return -1;
  }
  return at;
}

function writeKey(w: WireWriter, key: number): void {
  if (key < NAMES.length) {
    w.raw(NAMES[key]);
    return;
  }
  w.raw(UNKNOWN);
  decimal(w, key);
}

/** `=value` in the key's own form, or -1 where the value is not one of that key. */
function writeValue(w: WireWriter, key: number, bytes: Uint8Array, from: number, end: number): number {
  const length = end - from;
  if (key === Key.NO_DEFAULT_ALPN) return length === 0 ? end : -1;
  if (key > Key.IPV6HINT && length === 0) return end;
  byte(w, 0x3d);
  switch (key) {
    case Key.MANDATORY:
      return list(w, bytes, from, end, 2, mandatoryKey);
    case Key.ALPN:
      return alpn(w, bytes, from, end);
    case Key.PORT:
      if (length !== 2) return -1;
      decimal(w, (bytes[from] << 8) | bytes[from + 1]);
      return end;
    case Key.IPV4HINT:
      return list(w, bytes, from, end, 4, ipv4);
    case Key.ECH:
      return base64(w, bytes, from, end);
    case Key.IPV6HINT:
      return list(w, bytes, from, end, 16, ipv6);
    default:
      return quoted(w, bytes, from, end);
  }
}

/** One or more items of `size` bytes, with commas between. */
function list(
  w: WireWriter,
  bytes: Uint8Array,
  from: number,
  end: number,
  size: number,
  item: (w: WireWriter, bytes: Uint8Array, at: number) => void,
): number {
  if (end === from || (end - from) % size !== 0) return -1;
  for (let at = from; at < end; at += size) {
    if (at > from) byte(w, 0x2c);
    item(w, bytes, at);
  }
  return end;
}

function mandatoryKey(w: WireWriter, bytes: Uint8Array, at: number): void {
  writeKey(w, (bytes[at] << 8) | bytes[at + 1]);
}

/** ( length 1 | alpn-id )+, section 7.1.1. */
function alpn(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  if (from === end) return -1;
  byte(w, 0x22);
  let at = from;
  while (at < end) {
    const stop = at + 1 + bytes[at];
    if (bytes[at] === 0 || stop > end) return -1;
    if (at > from) byte(w, 0x2c);
    at = listItem(w, bytes, at + 1, stop);
  }
  byte(w, 0x22);
  return at;
}
