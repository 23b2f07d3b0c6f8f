/**
 * IPv4 (RFC 791) and IPv6 (RFC 8200). Checksums are not verified: with offload the ones captured on
 * the sending host are not yet filled in.
 */
import { type Cursor, IpProtocol, missing, readInt32, readUint16, readUint32 } from './cursor.js';
import { type Packet, ParseStatus } from './packet.js';

/** Extension headers of one IPv6 packet. */
export const MAX_EXTENSIONS = 16;

const JUMBO_PAYLOAD_OPTION = 0xc2;

/**
 * Reads the header with its options and writes the addresses into `packet`, which is untouched
 * unless OK is answered. Total length 0 is what segmentation offload leaves; the packet then is as
 * long as the frame.
 */
export function readIpv4(c: Cursor, packet: Packet): ParseStatus {
  const { bytes, position } = c;
  if (position + 20 > c.end) return missing(c, 20);
  const first = bytes[position];
  if (first >> 4 !== 4) return ParseStatus.MALFORMED;
  const headerLength = (first & 0x0f) * 4;
  const totalLength = readUint16(bytes, position + 2);
  if (headerLength < 20) return ParseStatus.MALFORMED;
  if (totalLength !== 0) {
    if (totalLength < headerLength) return ParseStatus.MALFORMED;
    c.declaredEnd = position + totalLength;
    if (c.end > c.declaredEnd) c.end = c.declaredEnd;
  }
  if (position + headerLength > c.end) return missing(c, headerLength);
  const fragment = readUint16(bytes, position + 6);
  c.moreFragments = (fragment & 0x2000) !== 0;
  c.fragmentOffset = (fragment & 0x1fff) * 8;
  c.identification = readUint16(bytes, position + 4);
  c.protocol = bytes[position + 9];
  c.ipVersion = 4;
  c.position = position + headerLength;
  putIpv4(packet, bytes, position);
  return ParseStatus.OK;
}

/** Writes the addresses of the IPv4 header at `position`, which is there, into `packet`. */
export function putIpv4(packet: Packet, bytes: Uint8Array, position: number): void {
  packet.ipVersion = 4;
  packet.source0 = 0;
  packet.source1 = 0;
  packet.source2 = 0xffff;
  packet.source3 = readInt32(bytes, position + 12);
  packet.destination0 = 0;
  packet.destination1 = 0;
  packet.destination2 = 0xffff;
  packet.destination3 = readInt32(bytes, position + 16);
}

/** Like `readIpv4`; the extension headers are left to `readExtension`. */
export function readIpv6(c: Cursor, packet: Packet): ParseStatus {
  const { bytes, position } = c;
  if (position + 40 > c.end) return missing(c, 40);
  if (bytes[position] >> 4 !== 6) return ParseStatus.MALFORMED;
  const payloadLength = readUint16(bytes, position + 4);
  c.lengthUnknown = payloadLength === 0;
  if (payloadLength !== 0) {
    c.declaredEnd = position + 40 + payloadLength;
    if (c.end > c.declaredEnd) c.end = c.declaredEnd;
  }
  c.moreFragments = false;
  c.fragmentOffset = 0;
  c.protocol = bytes[position + 6];
  c.ipVersion = 6;
  c.position = position + 40;
  packet.ipVersion = 6;
  packet.source0 = readInt32(bytes, position + 8);
  packet.source1 = readInt32(bytes, position + 12);
  packet.source2 = readInt32(bytes, position + 16);
  packet.source3 = readInt32(bytes, position + 20);
  packet.destination0 = readInt32(bytes, position + 24);
  packet.destination1 = readInt32(bytes, position + 28);
  packet.destination2 = readInt32(bytes, position + 32);
  packet.destination3 = readInt32(bytes, position + 36);
  return ParseStatus.OK;
}

/** True where `protocol` is a header that `readExtension` steps over; IPv4 knows only AH. */
export function isExtension(ipVersion: number, protocol: number): boolean {
  switch (protocol) {
    case IpProtocol.AH:
      return true;
    case IpProtocol.HOP_BY_HOP:
    case IpProtocol.ROUTING:
    case IpProtocol.FRAGMENT:
    case IpProtocol.DESTINATION_OPTIONS:
    case IpProtocol.MOBILITY:
    case IpProtocol.HIP:
    case IpProtocol.SHIM6:
      return ipVersion === 6;
    default:
      return false;
  }
}

/** Steps over one extension header: next header (1), length (1) in units of its own kind. */
export function readExtension(c: Cursor): ParseStatus {
  const { bytes, position } = c;
  if (position + 8 > c.end) return missing(c, 8);
  let length = 8;
  if (c.protocol === IpProtocol.FRAGMENT) {
    // Next header (1), reserved (1), offset (13 bits), reserved (2), more (1), identification (4).
    const fragment = readUint16(bytes, position + 2);
    c.fragmentOffset = fragment & 0xfff8;
    c.moreFragments = (fragment & 1) !== 0;
    c.identification = readUint32(bytes, position + 4);
  } else if (c.protocol === IpProtocol.AH) {
    // RFC 4302 section 2.2: 4-byte words, less 2.
    length = (bytes[position + 1] + 2) * 4;
  } else {
    length = (bytes[position + 1] + 1) * 8;
  }
  if (position + length > c.end) return missing(c, length);
  if (c.protocol === IpProtocol.HOP_BY_HOP && c.lengthUnknown)
    readJumboLength(c, position + 2, position + length);
  c.protocol = bytes[position];
  c.position = position + length;
  return ParseStatus.OK;
}

/** RFC 2675: an option of 4 bytes, counted from the end of the fixed header. */
function readJumboLength(c: Cursor, start: number, end: number): void {
  const bytes = c.bytes;
  let at = start;
  while (at < end) {
    const type = bytes[at];
    // Pad1 has no length.
    if (type === 0) {
      at++;
      continue;
    }
    if (type === JUMBO_PAYLOAD_OPTION && at + 6 <= end && bytes[at + 1] === 4) {
      const declaredEnd = start - 2 + readUint32(bytes, at + 2);
      if (declaredEnd < end) return;
      c.declaredEnd = declaredEnd;
      if (c.end > declaredEnd) c.end = declaredEnd;
      return;
    }
    at += 2 + bytes[at + 1];
  }
}
