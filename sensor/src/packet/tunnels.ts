/**
 * What carries IP inside IP. Each reader leaves the cursor at the inner IP header with `etherType`
 * set and answers OK, or answers why there is none.
 */
import { type Cursor, EtherType, missing, readUint16 } from './cursor.js';
import { readByVersion, readEthernet, readNetwork } from './link.js';
import { ParseStatus } from './packet.js';

/** Source route entries of one GRE header, and extension headers of one GTP-U message. */
const MAX_ENTRIES = 16;

/** UDP destination ports. */
const TunnelPort = {
  GTP_U: 2152,
  GRE: 4754,
  VXLAN: 4789,
  VXLAN_GPE: 4790,
  GENEVE: 6081,
  MPLS: 6635,
  /** VXLAN as Linux had it before the port was assigned. */
  VXLAN_LINUX: 8472,
} as const;

const GreFlag = {
  CHECKSUM: 0x8000,
  ROUTING: 0x4000,
  KEY: 0x2000,
  SEQUENCE: 0x1000,
  /** Version 1 only. */
  ACKNOWLEDGEMENT: 0x0080,
  VERSION: 0x0007,
} as const;

/** True for the UDP destination ports that `enterUdpTunnel` looks behind. */
export function isTunnelPort(port: number): boolean {
  switch (port) {
    case TunnelPort.GTP_U:
    case TunnelPort.GRE:
    case TunnelPort.VXLAN:
    case TunnelPort.VXLAN_GPE:
    case TunnelPort.GENEVE:
    case TunnelPort.MPLS:
    case TunnelPort.VXLAN_LINUX:
      return true;
    default:
      return false;
  }
}

/** True where the datagram's payload is a tunnel with IP in it; the cursor is of use only then. */
export function enterUdpTunnel(c: Cursor, destinationPort: number): boolean {
  switch (destinationPort) {
    case TunnelPort.VXLAN:
    case TunnelPort.VXLAN_LINUX:
      return readVxlan(c) === ParseStatus.OK;
    case TunnelPort.GENEVE:
      return readGeneve(c) === ParseStatus.OK;
    case TunnelPort.VXLAN_GPE:
      return readVxlanGpe(c) === ParseStatus.OK;
    case TunnelPort.GTP_U:
      return readGtpU(c) === ParseStatus.OK;
    case TunnelPort.GRE:
      return readGre(c) === ParseStatus.OK;
    case TunnelPort.MPLS:
      c.etherType = EtherType.MPLS;
      return readNetwork(c) === ParseStatus.OK;
    default:
      return false;
  }
}

/** RFC 7348 section 5: flags (1), reserved (3), network (3), reserved (1). The I flag must be set. */
function readVxlan(c: Cursor): ParseStatus {
  if (c.position + 8 > c.end) return missing(c, 8);
  if ((c.bytes[c.position] & 0x08) === 0) return ParseStatus.NOT_IP;
  c.position += 8;
  return readEthernet(c);
}

/** draft-ietf-nvo3-vxlan-gpe: flags with version (1), reserved (2), next protocol (1), network (3), reserved (1). */
function readVxlanGpe(c: Cursor): ParseStatus {
  if (c.position + 8 > c.end) return missing(c, 8);
  const flags = c.bytes[c.position];
  if ((flags & 0x38) !== 0x08) return ParseStatus.NOT_IP;
  // Without the P flag it is plain VXLAN.
  const next = (flags & 0x04) === 0 ? 3 : c.bytes[c.position + 3];
  c.position += 8;
  switch (next) {
    case 1:
      c.etherType = EtherType.IPV4;
      return ParseStatus.OK;
    case 2:
      c.etherType = EtherType.IPV6;
      return ParseStatus.OK;
    case 3:
      return readEthernet(c);
    case 4:
      c.etherType = EtherType.NSH;
      return readNetwork(c);
    case 5:
      c.etherType = EtherType.MPLS;
      return readNetwork(c);
    default:
      return ParseStatus.NOT_IP;
  }
}

/** RFC 8926 section 3.4: version (2 bits) and options length in words (6), flags (1), EtherType (2), network (3), reserved (1). */
function readGeneve(c: Cursor): ParseStatus {
  if (c.position + 8 > c.end) return missing(c, 8);
  const first = c.bytes[c.position];
  if (first >> 6 !== 0) return ParseStatus.NOT_IP;
  const length = 8 + (first & 0x3f) * 4;
  if (c.position + length > c.end) return missing(c, length);
  c.etherType = readUint16(c.bytes, c.position + 2);
  c.position += length;
  return readNetwork(c);
}

/**
 * 3GPP TS 29.281 section 5.1: flags (1), type (1), length (2), tunnel (4), then with any of the flags
 * E, S, PN: sequence (2), N-PDU (1), type of the next extension (1). Only version 1 G-PDUs carry IP.
 */
function readGtpU(c: Cursor): ParseStatus {
  const { bytes, position } = c;
  if (position + 8 > c.end) return missing(c, 8);
  const flags = bytes[position];
  if ((flags & 0xf0) !== 0x30 || bytes[position + 1] !== 0xff) return ParseStatus.NOT_IP;
  c.position = position + 8;
  if ((flags & 0x07) === 0) return readByVersion(c);
  if (position + 12 > c.end) return missing(c, 4);
  c.position = position + 12;
  if ((flags & 0x04) === 0) return readByVersion(c);
  let next = bytes[position + 11];
  for (let count = 0; count < MAX_ENTRIES; count++) {
    if (next === 0) return readByVersion(c);
    if (c.position >= c.end) return missing(c, 1);
    const length = bytes[c.position] * 4;
    if (length === 0) return ParseStatus.MALFORMED;
    if (c.position + length > c.end) return missing(c, length);
    c.position += length;
    next = bytes[c.position - 1];
  }
  return ParseStatus.TOO_DEEP;
}

/**
 * RFC 2784 and 2890: flags and version (2), EtherType (2), then as flagged: checksum with offset (4),
 * key (4), sequence (4). RFC 1701's source route comes last. Version 1 is PPTP's, RFC 2637: key
 * always, sequence (4) and acknowledgement (4) as flagged, then PPP.
 */
export function readGre(c: Cursor): ParseStatus {
  const { bytes, position } = c;
  if (position + 4 > c.end) return missing(c, 4);
  const flags = readUint16(bytes, position);
  const version = flags & GreFlag.VERSION;
  if (version > 1) return ParseStatus.MALFORMED;
  let length = 4;
  if ((flags & (GreFlag.CHECKSUM | GreFlag.ROUTING)) !== 0) length += 4;
  if ((flags & GreFlag.KEY) !== 0) length += 4;
  if ((flags & GreFlag.SEQUENCE) !== 0) length += 4;
  if (version === 1 && (flags & GreFlag.ACKNOWLEDGEMENT) !== 0) length += 4;
  if (position + length > c.end) return missing(c, length);
  c.etherType = readUint16(bytes, position + 2);
  c.position = position + length;
  if (version === 1 && c.etherType !== EtherType.PPP) return ParseStatus.MALFORMED;
  if (version === 0 && (flags & GreFlag.ROUTING) !== 0) {
    const status = skipGreRoutes(c);
    if (status !== ParseStatus.OK) return status;
  }
  switch (c.etherType) {
    case EtherType.ERSPAN:
      // Type I has no header of its own, and no sequence number in GRE's; type II has 8 bytes.
      if ((flags & GreFlag.SEQUENCE) === 0) return readEthernet(c);
      if (c.position + 8 > c.end) return missing(c, 8);
      c.position += 8;
      return readEthernet(c);
    case EtherType.ERSPAN_III:
      return readErspan3(c);
    case EtherType.WCCP:
      // Version 2 has a redirect header (4) before IP, version 1 has none.
      if (c.position + 4 > c.end) return missing(c, 4);
      if (c.bytes[c.position] >> 4 !== 4) c.position += 4;
      return readByVersion(c);
    default:
      // Numbers below the EtherTypes are no 802.3 lengths here.
      return c.etherType < 0x600 ? ParseStatus.NOT_IP : readNetwork(c);
  }
}

/** RFC 1701: entries of family (2), offset (1), length (1) and routing; one of family and length 0 ends them. */
function skipGreRoutes(c: Cursor): ParseStatus {
  for (let count = 0; count < MAX_ENTRIES; count++) {
    if (c.position + 4 > c.end) return missing(c, 4);
    const family = readUint16(c.bytes, c.position);
    const length = c.bytes[c.position + 3];
    c.position += 4;
    if (family === 0 && length === 0) return ParseStatus.OK;
    if (c.position + length > c.end) return missing(c, length);
    c.position += length;
  }
  return ParseStatus.TOO_DEEP;
}

/**
 * draft-foschiano-erspan: 12 bytes; the last two hold frame type (5 bits after the first) and, lowest,
 * whether a platform header (8) follows.
 */
function readErspan3(c: Cursor): ParseStatus {
  if (c.position + 12 > c.end) return missing(c, 12);
  const last = readUint16(c.bytes, c.position + 10);
  const length = (last & 1) === 0 ? 12 : 20;
  if (c.position + length > c.end) return missing(c, length);
  c.position += length;
  switch ((last >> 10) & 0x1f) {
    case 0:
      return readEthernet(c);
    case 2:
      return readByVersion(c);
    default:
      return ParseStatus.NOT_IP;
  }
}

/** RFC 3378: version 3 (4 bits), reserved (12 bits), then Ethernet. */
export function readEtherIp(c: Cursor): ParseStatus {
  if (c.position + 2 > c.end) return missing(c, 2);
  if (c.bytes[c.position] >> 4 !== 3) return ParseStatus.MALFORMED;
  c.position += 2;
  return readEthernet(c);
}
