/**
 * From the link layer to the network header: https://www.tcpdump.org/linktypes.html and what stands
 * between a MAC address and IP (tags, PPPoE, MPLS …). Each reader leaves the cursor at the IP header
 * with `etherType` IPV4 or IPV6 and answers OK, or answers why there is none.
 */
import { LinkType } from '../capture/engine.js';
import { type Cursor, EtherType, missing, readUint16, readUint32, readUint32Le } from './cursor.js';
import { ParseStatus } from './packet.js';

/** Headers between the link header and IP: tags, PPPoE, inner Ethernet of PBB, MPLS stacks. */
export const MAX_LINK_HEADERS = 16;
/** Entries of one MPLS label stack. */
export const MAX_LABELS = 16;
/** Attributes of one NFLOG message before its payload. */
const MAX_NFLOG_ATTRIBUTES = 32;

/** Below this an EtherType is the length of an 802.3 frame. */
const MIN_ETHER_TYPE = 0x600;

/** RFC 2516 section 4: version 1, type 1, code 0. */
const PPPOE_SESSION_DATA = 0x1100;

/** Link types that no capture engine of ours asks for, but files have. */
const OtherLinkType = {
  FDDI: 10,
  /** DLT_RAW as BSD and OpenBSD wrote it into files. */
  RAW_BSD: 12,
  RAW_OPENBSD: 14,
  ATM_RFC1483: 100,
  CISCO_HDLC: 104,
  FRAME_RELAY: 107,
  PPP_WITH_DIRECTION: 204,
  PPI: 192,
  NFLOG: 239,
} as const;

export function readLink(c: Cursor, linkType: number): ParseStatus {
  switch (linkType) {
    case LinkType.ETHERNET:
      return readEthernet(c);
    case LinkType.NETWORK:
      return readDelivered(c);
    case LinkType.LINUX_SLL:
      return readCooked(c, 16, 14);
    case LinkType.LINUX_SLL2:
      return readCooked(c, 20, 0);
    case LinkType.IPV4:
      c.etherType = EtherType.IPV4;
      return ParseStatus.OK;
    case LinkType.IPV6:
      c.etherType = EtherType.IPV6;
      return ParseStatus.OK;
    case LinkType.RAW:
    case OtherLinkType.RAW_BSD:
    case OtherLinkType.RAW_OPENBSD:
      return readByVersion(c);
    case LinkType.NULL:
    case LinkType.LOOP:
      return readLoopback(c);
    case LinkType.PPP:
    case LinkType.PPP_HDLC:
    case OtherLinkType.CISCO_HDLC:
      return readPpp(c);
    case OtherLinkType.PPP_WITH_DIRECTION:
      c.position += 1;
      return readPpp(c);
    case LinkType.PPP_ETHER:
      c.etherType = EtherType.PPPOE_SESSION;
      return readNetwork(c);
    case OtherLinkType.ATM_RFC1483:
      return readLlc(c);
    case OtherLinkType.FDDI:
      return readFddi(c);
    case OtherLinkType.FRAME_RELAY:
      return readFrameRelay(c);
    case OtherLinkType.PPI:
      return readPpi(c);
    case OtherLinkType.NFLOG:
      return readNflog(c);
    default:
      return ParseStatus.UNKNOWN_LINK;
  }
}

/** Destination (6), source (6), EtherType (2). */
export function readEthernet(c: Cursor): ParseStatus {
  if (c.position + 14 > c.end) return missing(c, 14);
  c.etherType = readUint16(c.bytes, c.position + 12);
  c.position += 14;
  if (c.etherType === EtherType.IPV4 || c.etherType === EtherType.IPV6) return ParseStatus.OK;
  return readNetwork(c);
}

/**
 * What a packet socket in cooked mode delivers, from the kernel's network header on. Of what comes in the kernel
 * takes the outer VLAN tag; further ones are left, and since Linux 6.11 the EtherType told is the one behind them.
 * Before, a tag was told for what goes out by an interface that leaves tagging to the kernel, where the network
 * header is IP's. What is there decides.
 */
function readDelivered(c: Cursor): ParseStatus {
  if (c.position + 8 > c.end) return readNetwork(c);
  const { bytes, position, etherType } = c;
  const behindTag = readUint16(bytes, position + 2);
  if (isTag(etherType)) {
    if (!isIp(behindTag) && !isTag(behindTag) && isWholeIp(c)) return readByVersion(c);
  } else if (behindTag === etherType || isTag(behindTag)) {
    if (isIp(etherType)) {
      if (!isWholeIp(c)) c.etherType = EtherType.VLAN;
    } else if (etherType === EtherType.PPPOE_SESSION && readUint16(bytes, position) !== PPPOE_SESSION_DATA) {
      c.etherType = EtherType.VLAN;
    }
  }
  return readNetwork(c);
}

/** Whether an IP header is at the cursor, which says that it is as long as the packet. */
function isWholeIp(c: Cursor): boolean {
  const { bytes, position } = c;
  const version = bytes[position] >> 4;
  const length = c.declaredEnd - position;
  if (version === 4) return readUint16(bytes, position + 2) === length;
  return version === 6 && readUint16(bytes, position + 4) + 40 === length;
}

function isTag(etherType: number): boolean {
  switch (etherType) {
    case EtherType.VLAN:
    case EtherType.SERVICE_VLAN:
    case EtherType.QINQ_9100:
    case EtherType.QINQ_9200:
    case EtherType.QINQ_9300:
      return true;
    default:
      return false;
  }
}

/** Follows `etherType` through tags and the like until it is IP. */
export function readNetwork(c: Cursor): ParseStatus {
  for (let headers = 0; headers < MAX_LINK_HEADERS; headers++) {
    switch (c.etherType) {
      case EtherType.IPV4:
      case EtherType.IPV6:
        return ParseStatus.OK;
      case EtherType.VLAN:
      case EtherType.SERVICE_VLAN:
      case EtherType.QINQ_9100:
      case EtherType.QINQ_9200:
      case EtherType.QINQ_9300:
        // Tag control information (2), EtherType (2).
        if (c.position + 4 > c.end) return missing(c, 4);
        c.etherType = readUint16(c.bytes, c.position + 2);
        c.position += 4;
        break;
      case EtherType.VNTAG:
        // Flags and interfaces (4), EtherType (2).
        if (c.position + 6 > c.end) return missing(c, 6);
        c.etherType = readUint16(c.bytes, c.position + 4);
        c.position += 6;
        break;
      case EtherType.PBB:
        // Flags and service instance (4), then the customer's Ethernet header.
        if (c.position + 18 > c.end) return missing(c, 18);
        c.etherType = readUint16(c.bytes, c.position + 16);
        c.position += 18;
        break;
      case EtherType.TEB:
        if (c.position + 14 > c.end) return missing(c, 14);
        c.etherType = readUint16(c.bytes, c.position + 12);
        c.position += 14;
        break;
      case EtherType.NSH: {
        // RFC 8300 section 2.2: version, flags, TTL, length in words (16 bits), metadata type, next protocol.
        if (c.position + 8 > c.end) return missing(c, 8);
        const length = (c.bytes[c.position + 1] & 0x3f) * 4;
        if (length < 8) return ParseStatus.MALFORMED;
        const next = c.bytes[c.position + 3];
        c.etherType =
          next === 1
            ? EtherType.IPV4
            : next === 2
              ? EtherType.IPV6
              : next === 3
                ? EtherType.TEB
                : next === 5
                  ? EtherType.MPLS
                  : 0;
        c.position += length;
        if (c.etherType === 0) return ParseStatus.NOT_IP;
        break;
      }
      case EtherType.PPPOE_SESSION: {
        // RFC 2516 section 4: version and type (1), code (1), session (2), length (2).
        if (c.position + 6 > c.end) return missing(c, 6);
        if (c.bytes[c.position] !== PPPOE_SESSION_DATA >> 8) return ParseStatus.MALFORMED;
        if (c.bytes[c.position + 1] !== (PPPOE_SESSION_DATA & 0xff)) return ParseStatus.NOT_IP;
        c.position += 6;
        return readPpp(c);
      }
      case EtherType.PPP:
        return readPpp(c);
      case EtherType.MPLS:
      case EtherType.MPLS_UPSTREAM: {
        const status = readMpls(c);
        if (status !== ParseStatus.OK) return status;
        break;
      }
      default: {
        if (c.etherType >= MIN_ETHER_TYPE) return ParseStatus.NOT_IP;
        const status = readSnap(c);
        if (status !== ParseStatus.OK) return status;
      }
    }
  }
  return ParseStatus.TOO_DEEP;
}

/** IP without a header before it: the version tells. */
export function readByVersion(c: Cursor): ParseStatus {
  if (c.position >= c.end) return missing(c, 1);
  const version = c.bytes[c.position] >> 4;
  if (version !== 4 && version !== 6) return ParseStatus.NOT_IP;
  c.etherType = version === 4 ? EtherType.IPV4 : EtherType.IPV6;
  return ParseStatus.OK;
}

/**
 * PPP, RFC 1661 and 1662: address and control (FF 03, which may be left out), protocol (2, or 1 when
 * compressed, which its low bit tells). Cisco HDLC has 0F 00 or 8F 00 there and an EtherType.
 */
export function readPpp(c: Cursor): ParseStatus {
  if (c.position + 4 > c.end) return missing(c, 4);
  const bytes = c.bytes;
  const address = bytes[c.position];
  if ((address === 0x0f || address === 0x8f) && bytes[c.position + 1] === 0) {
    c.etherType = readUint16(bytes, c.position + 2);
    c.position += 4;
    return isIp(c.etherType) ? ParseStatus.OK : ParseStatus.NOT_IP;
  }
  if (address === 0xff && bytes[c.position + 1] === 0x03) c.position += 2;
  let protocol = bytes[c.position++];
  if ((protocol & 1) === 0) protocol = (protocol << 8) | bytes[c.position++];
  switch (protocol) {
    case 0x0021:
      c.etherType = EtherType.IPV4;
      return ParseStatus.OK;
    case 0x0057:
      c.etherType = EtherType.IPV6;
      return ParseStatus.OK;
    case 0x0281:
    case 0x0283: {
      const status = readMpls(c);
      return status === ParseStatus.OK && c.etherType === EtherType.TEB ? readEthernet(c) : status;
    }
    default:
      return ParseStatus.NOT_IP;
  }
}

/**
 * RFC 3032: label (20 bits), class (3), bottom of stack (1), TTL (8). Nothing names what follows:
 * 4 or 6 in the first four bits is IP (RFC 4928), 0 a control word before Ethernet (RFC 4448).
 */
function readMpls(c: Cursor): ParseStatus {
  for (let label = 0; label < MAX_LABELS; label++) {
    if (c.position + 4 > c.end) return missing(c, 4);
    const bottom = (c.bytes[c.position + 2] & 1) !== 0;
    c.position += 4;
    if (!bottom) continue;
    const status = readByVersion(c);
    if (status !== ParseStatus.NOT_IP) return status;
    if (c.bytes[c.position] >> 4 !== 0) return ParseStatus.NOT_IP;
    c.position += 4;
    c.etherType = EtherType.TEB;
    return ParseStatus.OK;
  }
  return ParseStatus.TOO_DEEP;
}

function readLlc(c: Cursor): ParseStatus {
  const status = readSnap(c);
  return status === ParseStatus.OK ? readNetwork(c) : status;
}

/** 802.2: DSAP, SSAP, control; SNAP has organisation (3) and EtherType (2) after them. Stops at what that names. */
function readSnap(c: Cursor): ParseStatus {
  if (c.position + 8 > c.end) return ParseStatus.NOT_IP;
  const { bytes, position } = c;
  if (bytes[position] !== 0xaa || bytes[position + 1] !== 0xaa || bytes[position + 2] !== 0x03)
    return ParseStatus.NOT_IP;
  const organisation = (bytes[position + 3] << 16) | readUint16(bytes, position + 4);
  // 00-00-F8 is 802.1H, for bridged Ethernet.
  if (organisation !== 0 && organisation !== 0x0000f8) return ParseStatus.NOT_IP;
  c.etherType = readUint16(bytes, position + 6);
  c.position += 8;
  return c.etherType < MIN_ETHER_TYPE ? ParseStatus.NOT_IP : ParseStatus.OK;
}

/** Frame control (1), destination (6), source (6); 0x50 in the upper half of frame control is LLC. */
function readFddi(c: Cursor): ParseStatus {
  if (c.position + 13 > c.end) return missing(c, 13);
  if ((c.bytes[c.position] & 0xf0) !== 0x50) return ParseStatus.NOT_IP;
  c.position += 13;
  return readLlc(c);
}

/** Linux cooked captures: a fixed header with the EtherType at `typeAt`. */
function readCooked(c: Cursor, length: number, typeAt: number): ParseStatus {
  if (c.position + length > c.end) return missing(c, length);
  c.etherType = readUint16(c.bytes, c.position + typeAt);
  c.position += length;
  if (isIp(c.etherType)) return ParseStatus.OK;
  // 4 says 802.2 and the LLC header follows; other small numbers are not of IP.
  if (c.etherType < MIN_ETHER_TYPE && c.etherType !== 4) return ParseStatus.NOT_IP;
  return readNetwork(c);
}

/**
 * Address family, in the byte order of the machine that captured (NULL) or of the network (LOOP).
 * Some drivers give a Cisco HDLC header in its place, which ends in an EtherType.
 */
function readLoopback(c: Cursor): ParseStatus {
  if (c.position + 4 > c.end) return missing(c, 4);
  let family = readUint32(c.bytes, c.position);
  if (family > 0xffff) family = readUint32Le(c.bytes, c.position);
  if (family > 0xffff) return readPpp(c);
  c.position += 4;
  switch (family) {
    case 2:
      c.etherType = EtherType.IPV4;
      return ParseStatus.OK;
    // AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS.
    case 10:
    case 24:
    case 28:
    case 30:
      c.etherType = EtherType.IPV6;
      return ParseStatus.OK;
    default:
      return ParseStatus.NOT_IP;
  }
}

/** RFC 2427: Q.922 address (2 to 4), control 03, NLPID; 80 is SNAP. */
function readFrameRelay(c: Cursor): ParseStatus {
  let position = c.position;
  for (let count = 0; count < 4; count++) {
    if (position >= c.end) return missing(c, 4);
    if ((c.bytes[position++] & 1) !== 0) break;
  }
  if (position + 4 > c.end) return missing(c, 8);
  const bytes = c.bytes;
  c.position = position;
  if (bytes[position] !== 0x03) {
    // Cisco's own encapsulation: an EtherType at once.
    c.etherType = readUint16(bytes, position);
    c.position += 2;
    return isIp(c.etherType) ? ParseStatus.OK : ParseStatus.NOT_IP;
  }
  position += bytes[position + 1] === 0 ? 2 : 1;
  const nlpid = bytes[position];
  c.position = position + 1;
  if (nlpid === 0xcc) c.etherType = EtherType.IPV4;
  else if (nlpid === 0x8e) c.etherType = EtherType.IPV6;
  else if (nlpid === 0x80) {
    if (c.position + 5 > c.end) return missing(c, 5);
    if ((bytes[c.position] | bytes[c.position + 1] | bytes[c.position + 2]) !== 0) return ParseStatus.NOT_IP;
    c.etherType = readUint16(bytes, c.position + 3);
    c.position += 5;
    return readNetwork(c);
  } else return ParseStatus.NOT_IP;
  return ParseStatus.OK;
}

/** Per-Packet Information: version, flags, length (2, little-endian), link type (4, little-endian). */
function readPpi(c: Cursor): ParseStatus {
  if (c.position + 8 > c.end) return missing(c, 8);
  const length = c.bytes[c.position + 2] | (c.bytes[c.position + 3] << 8);
  const linkType = readUint32Le(c.bytes, c.position + 4);
  if (length < 8) return ParseStatus.MALFORMED;
  c.position += length;
  return linkType === OtherLinkType.PPI ? ParseStatus.MALFORMED : readLink(c, linkType);
}

/**
 * Family, version, group (2), then attributes: length (2) and type (2) in the byte order of the
 * capturing machine, value, padding to 4. Type 9 is the packet.
 */
function readNflog(c: Cursor): ParseStatus {
  if (c.position + 8 > c.end) return missing(c, 8);
  const bytes = c.bytes;
  const family = bytes[c.position];
  if (family !== 2 && family !== 10) return ParseStatus.NOT_IP;
  let at = c.position + 4;
  for (let count = 0; count < MAX_NFLOG_ATTRIBUTES; count++) {
    if (at + 4 > c.end) return ParseStatus.NOT_IP;
    // Types are small: the byte that is not 0 tells the order.
    const little = bytes[at + 3] === 0;
    const length = little ? bytes[at] | (bytes[at + 1] << 8) : readUint16(bytes, at);
    const type = little ? bytes[at + 2] : bytes[at + 3];
    if (length < 4) return ParseStatus.MALFORMED;
    if (type === 9) {
      c.position = at + 4;
      return readByVersion(c);
    }
    at += (length + 3) & ~3;
  }
  return ParseStatus.TOO_DEEP;
}

function isIp(etherType: number): boolean {
  return etherType === EtherType.IPV4 || etherType === EtherType.IPV6;
}
