/** RDATA fields that are addresses of one kind or another, in presentation format. As those of text.ts. */
import type { WireWriter } from '@packetd/proto';
import { base64, byte, decimal, hex, ipv4, ipv6, name } from './text.js';

const [COLON, DASH, DOT, EXCLAMATION, SLASH] = new TextEncoder().encode(':-.!/');
const HEX_LOWER = new TextEncoder().encode('0123456789abcdef');

/** What a gateway is: RFC 4025 section 2.3, RFC 8777 section 4.2.3. */
const Gateway = { NONE: 0, IPV4: 1, IPV6: 2, NAME: 3 } as const;
/** Bit of the type octet of AMTRELAY: discovery is optional (RFC 8777 section 4.2.2). */
const DISCOVERY_OPTIONAL = 0x80;

/** Two lower-case digits a byte, joined by `-` (RFC 7043 sections 3.2 and 4.2); [from, end) has to be of `length`. */
export function hyphenated(
  w: WireWriter,
  bytes: Uint8Array,
  from: number,
  end: number,
  length: number,
): number {
  if (end - from !== length) return -1;
  for (let at = from; at < end; at++) {
    if (at > from) byte(w, DASH);
    byte(w, HEX_LOWER[bytes[at] >> 4]);
    byte(w, HEX_LOWER[bytes[at] & 15]);
  }
  return end;
}

/** 64 bits as four groups like those of an IPv6 address, without `::` (RFC 6742 sections 2.1 and 2.3). */
export function locator64(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  if (end - from !== 8) return -1;
  for (let at = from; at < end; at += 2) {
    if (at > from) byte(w, COLON);
    const group = (bytes[at] << 8) | bytes[at + 1];
    for (let shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 15 ? 4 : 0; shift >= 0; shift -= 4)
      byte(w, HEX_LOWER[(group >> shift) & 15]);
  }
  return end;
}

/** GATEWAY TYPE 1 | ALGORITHM 1 | GATEWAY (RFC 4025 section 2.1), in the order of the text: both numbers, then it. */
export function ipsecGateway(
  w: WireWriter,
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
): number {
  if (from + 2 > end) return -1;
  decimal(w, bytes[from]);
  byte(w, 0x20);
  decimal(w, bytes[from + 1]);
  byte(w, 0x20);
  return gateway(w, bytes[from], bytes, start, from + 2, end);
}

/** D 1 bit | TYPE 7 bits | RELAY (RFC 8777 section 4.1) */
export function amtRelay(w: WireWriter, bytes: Uint8Array, start: number, from: number, end: number): number {
  if (from >= end) return -1;
  const type = bytes[from] & ~DISCOVERY_OPTIONAL;
  decimal(w, bytes[from] >> 7);
  byte(w, 0x20);
  decimal(w, type);
  byte(w, 0x20);
  return gateway(w, type, bytes, start, from + 1, end);
}

function gateway(
  w: WireWriter,
  type: number,
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
): number {
  switch (type) {
    case Gateway.NONE:
      byte(w, DOT);
      return from;
    case Gateway.IPV4:
      return from + 4 > end ? -1 : ipv4(w, bytes, from);
    case Gateway.IPV6:
      return from + 16 > end ? -1 : ipv6(w, bytes, from);
    case Gateway.NAME:
      return name(w, bytes, start, end, from);
    default:
      return -1;
  }
}

const address = new Uint8Array(16);

/** ( ADDRESSFAMILY 2 | PREFIX 1 | N 1 bit, AFDLENGTH 7 bits | AFDPART )*: `!1:192.0.2.0/24` (RFC 3123 sections 4 and 5) */
export function prefixes(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    if (at + 4 > end) return -1;
    const family = (bytes[at] << 8) | bytes[at + 1];
    const length = bytes[at + 3] & 0x7f;
    const size = family === 1 ? 4 : family === 2 ? 16 : 0;
    if (length > size || bytes[at + 2] > size * 8 || at + 4 + length > end) return -1;
    address.fill(0);
    for (let i = 0; i < length; i++) address[i] = bytes[at + 4 + i];
    if (at > from) byte(w, 0x20);
    if (bytes[at + 3] > 0x7f) byte(w, EXCLAMATION);
    decimal(w, family);
    byte(w, COLON);
    if (size === 4) ipv4(w, address, 0);
    else ipv6(w, address, 0);
    byte(w, SLASH);
    decimal(w, bytes[at + 2]);
    at += 4 + length;
  }
  return at;
}

/**
 * HIT LENGTH 1 | PK ALGORITHM 1 | PK LENGTH 2 | HIT | PUBLIC KEY (RFC 8005 section 5): algorithm, HIT and key;
 * rendezvous servers follow.
 */
export function hostIdentity(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  if (from + 4 > end) return -1;
  const keyAt = from + 4 + bytes[from];
  const keyEnd = keyAt + ((bytes[from + 2] << 8) | bytes[from + 3]);
  if (bytes[from] === 0 || keyEnd > end) return -1;
  decimal(w, bytes[from + 1]);
  byte(w, 0x20);
  hex(w, bytes, from + 4, keyAt);
  byte(w, 0x20);
  return base64(w, bytes, keyAt, keyEnd);
}
