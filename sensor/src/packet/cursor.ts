/** Where the parser stands in a frame. Every reader takes the one cursor of its parser and moves it. */
import { ParseStatus } from './packet.js';

/** IEEE 802 numbers, https://www.iana.org/assignments/ieee-802-numbers. */
export const EtherType = {
  IPV4: 0x0800,
  /** NVGRE and others: transparent Ethernet bridging. */
  TEB: 0x6558,
  VLAN: 0x8100,
  IPV6: 0x86dd,
  PPP: 0x880b,
  MPLS: 0x8847,
  MPLS_UPSTREAM: 0x8848,
  PPPOE_SESSION: 0x8864,
  /** 802.1ad service tag. */
  SERVICE_VLAN: 0x88a8,
  /** ERSPAN types I and II. */
  ERSPAN: 0x88be,
  ERSPAN_III: 0x22eb,
  /** 802.1ah backbone service instance tag. */
  PBB: 0x88e7,
  VNTAG: 0x8926,
  /** Service tags from before 802.1ad. */
  QINQ_9100: 0x9100,
  QINQ_9200: 0x9200,
  QINQ_9300: 0x9300,
  WCCP: 0x883e,
  NSH: 0x894f,
} as const;

/** https://www.iana.org/assignments/protocol-numbers. */
export const IpProtocol = {
  HOP_BY_HOP: 0,
  IPV4: 4,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  ROUTING: 43,
  FRAGMENT: 44,
  GRE: 47,
  AH: 51,
  DESTINATION_OPTIONS: 60,
  ETHERIP: 97,
  MOBILITY: 135,
  MPLS: 137,
  HIP: 139,
  SHIM6: 140,
} as const;

export class Cursor {
  bytes: Uint8Array = new Uint8Array(0);
  /** The next header begins here. */
  position = 0;
  /** What was captured ends here. */
  end = 0;
  /** What the headers read so far announce ends here; beyond `end` where the capture cut the frame. */
  declaredEnd = 0;
  /** Of what is at `position`, while that is below IP. */
  etherType = 0;
  /** Of what is at `position`, once that is above IP. */
  protocol = 0;
  ipVersion = 0;
  /** 16 bits of IPv4, 32 of IPv6. */
  identification = 0;
  /** In bytes. */
  fragmentOffset = 0;
  moreFragments = false;
  /** An IPv6 payload length of 0 was read, which a jumbo option may explain. */
  lengthUnknown = false;
}

/** Why a header of `length` bytes is not there: the capture cut it, or the packet never had it. */
export function missing(c: Cursor, length: number): ParseStatus {
  return c.position + length > c.declaredEnd ? ParseStatus.MALFORMED : ParseStatus.TRUNCATED;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** The same as a signed number, which V8 keeps without a box whatever its bits. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

export function readUint32Le(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 3] << 24) | (bytes[at + 2] << 16) | (bytes[at + 1] << 8) | bytes[at]) >>> 0;
}
