/** From a frame to the TCP segment or UDP datagram of its innermost IP packet. */
import { type Frame, LinkType } from '../capture/engine.js';
import { Cursor, EtherType, IpProtocol, readUint16 } from './cursor.js';
import { type FragmentCounters, type FragmentOptions, FragmentTable } from './fragments.js';
import { isExtension, MAX_EXTENSIONS, putIpv4, readExtension, readIpv4, readIpv6 } from './ip.js';
import { readLink, readNetwork } from './link.js';
import { type Packet, ParseStatus } from './packet.js';
import { putTcp, putUdp, readTcp, readUdp } from './transport.js';
import { enterUdpTunnel, isTunnelPort, readEtherIp, readGre } from './tunnels.js';

/** IP headers inside one another. */
export const MAX_IP_HEADERS = 8;

export interface ParserOptions {
  /** False leaves tunnels closed: UDP ones are UDP packets, the others NOT_TRANSPORT. Default true. */
  readonly decapsulate?: boolean;
  readonly fragments?: Partial<FragmentOptions>;
}

export interface ParserCounters {
  /** Frames by `ParseStatus`. */
  readonly frames: Float64Array;
  readonly fragments: FragmentCounters;
}

export class PacketParser {
  readonly counters: ParserCounters;
  private readonly decapsulate: boolean;
  private readonly fragments: FragmentTable;
  private readonly cursor = new Cursor();

  constructor(options: ParserOptions = {}) {
    this.decapsulate = options.decapsulate ?? true;
    this.fragments = new FragmentTable(options.fragments);
    this.counters = {
      frames: new Float64Array(Object.keys(ParseStatus).length),
      fragments: this.fragments.counters,
    };
  }

  /**
   * Fills `packet` when it answers OK; otherwise what is in it means nothing. `packet.bytes` are the
   * frame's or, after reassembly, the parser's: borrowed until the next call either way.
   *
   * A datagram on a tunnel's UDP port with no IP header in it is a UDP packet like others; what goes
   * wrong behind that header (ICMP, cut short …) is the answer for the frame.
   */
  parse(frame: Frame, packet: Packet): ParseStatus {
    this.fragments.takeBack();
    packet.timeNs = frame.timeNs;
    packet.interfaceIndex = frame.interfaceIndex;
    packet.wireLength = frame.wireLength;
    if (readPlain(frame, packet)) {
      this.counters.frames[ParseStatus.OK]++;
      return ParseStatus.OK;
    }
    const c = this.cursor;
    const captured = frame.end - frame.start;
    c.bytes = frame.bytes;
    c.position = frame.start;
    c.end = frame.end;
    c.declaredEnd = frame.start + Math.max(frame.wireLength, captured);
    c.etherType = frame.etherType;
    let status = readLink(c, frame.linkType);
    if (status === ParseStatus.OK) status = this.internet(c, packet);
    this.counters.frames[status]++;
    return status;
  }

  private internet(c: Cursor, packet: Packet): ParseStatus {
    /** `packet` is a complete UDP packet, should its inside turn out to be no IP. */
    let isUdp = false;
    for (let depth = 0; depth < MAX_IP_HEADERS; depth++) {
      let status = c.etherType === EtherType.IPV4 ? readIpv4(c, packet) : readIpv6(c, packet);
      if (status !== ParseStatus.OK) return isUdp ? ParseStatus.OK : status;
      isUdp = false;
      status = this.upperLayer(c, packet);
      if (status !== ParseStatus.OK) return status;
      switch (c.protocol) {
        case IpProtocol.TCP:
          return readTcp(c, packet);
        case IpProtocol.UDP:
          status = readUdp(c, packet);
          if (status !== ParseStatus.OK || !this.decapsulate) return status;
          if (!enterUdpTunnel(c, packet.destinationPort)) return ParseStatus.OK;
          isUdp = true;
          break;
        default:
          status = this.decapsulate ? enterIpTunnel(c) : ParseStatus.NOT_TRANSPORT;
          if (status !== ParseStatus.OK) return status;
      }
    }
    return ParseStatus.TOO_DEEP;
  }

  /** Moves to the header above IP: over extension headers, through reassembly. */
  private upperLayer(c: Cursor, packet: Packet): ParseStatus {
    for (let count = 0; count <= MAX_EXTENSIONS; count++) {
      if (c.moreFragments || c.fragmentOffset !== 0) {
        const status = this.fragments.add(c, packet, packet.timeNs);
        if (status !== ParseStatus.OK) return status;
      }
      if (c.protocol === IpProtocol.TCP || !isExtension(c.ipVersion, c.protocol)) return ParseStatus.OK;
      const status = readExtension(c);
      if (status !== ParseStatus.OK) return status;
    }
    return ParseStatus.TOO_DEEP;
  }
}

const ETHERNET_BYTES = 14;
/** IPv4 without options, TCP and UDP. */
const PLAIN_IP_BYTES = 20;
const PLAIN_TCP_BYTES = 20;
const PLAIN_UDP_BYTES = 8;

/**
 * The same in one go for what nearly all frames are: TCP, or UDP on no tunnel's port, in a whole IPv4 packet without
 * options, in an Ethernet frame or as the kernel delivers it, that was captured to the end of its headers. False, and
 * `packet` means nothing, for all others.
 */
function readPlain(frame: Frame, packet: Packet): boolean {
  const { bytes, end } = frame;
  let ip = frame.start;
  if (frame.linkType === LinkType.ETHERNET) {
    ip += ETHERNET_BYTES;
    if (end - ip < PLAIN_IP_BYTES || bytes[ip - 2] !== 0x08 || bytes[ip - 1] !== 0) return false;
  } else if (frame.linkType !== LinkType.NETWORK || frame.etherType !== EtherType.IPV4) {
    return false;
  } else if (end - ip < PLAIN_IP_BYTES) return false;
  // Neither options, nor more fragments, nor an offset.
  if (bytes[ip] !== 0x45 || ((bytes[ip + 6] & 0x3f) | bytes[ip + 7]) !== 0) return false;
  const declaredEnd = ip + readUint16(bytes, ip + 2);
  const upper = ip + PLAIN_IP_BYTES;
  const plain =
    bytes[ip + 9] === IpProtocol.TCP
      ? readPlainTcp(packet, bytes, upper, end, declaredEnd)
      : bytes[ip + 9] === IpProtocol.UDP && readPlainUdp(packet, bytes, upper, end, declaredEnd);
  if (plain) putIpv4(packet, bytes, ip);
  return plain;
}

function readPlainTcp(
  packet: Packet,
  bytes: Uint8Array,
  tcp: number,
  end: number,
  declaredEnd: number,
): boolean {
  if (end - tcp < PLAIN_TCP_BYTES) return false;
  const payloadStart = tcp + (bytes[tcp + 12] >> 4) * 4;
  if (payloadStart < tcp + PLAIN_TCP_BYTES || payloadStart > declaredEnd || payloadStart > end) return false;
  putTcp(packet, bytes, tcp);
  packet.payloadStart = payloadStart;
  packet.payloadEnd = Math.min(end, declaredEnd);
  packet.payloadLength = declaredEnd - payloadStart;
  return true;
}

function readPlainUdp(
  packet: Packet,
  bytes: Uint8Array,
  udp: number,
  end: number,
  declaredEnd: number,
): boolean {
  if (end - udp < PLAIN_UDP_BYTES || declaredEnd - udp < PLAIN_UDP_BYTES) return false;
  const length = readUint16(bytes, udp + 4);
  if (length < PLAIN_UDP_BYTES) return false;
  putUdp(packet, bytes, udp);
  if (isTunnelPort(packet.destinationPort)) return false;
  const datagramEnd = Math.min(declaredEnd, udp + length);
  packet.payloadEnd = Math.min(end, datagramEnd);
  packet.payloadLength = datagramEnd - packet.payloadStart;
  return true;
}

/** Moves to the IP header in a tunnel right above IP; a packet with none there has no transport either. */
function enterIpTunnel(c: Cursor): ParseStatus {
  let status: ParseStatus;
  switch (c.protocol) {
    case IpProtocol.IPV4:
      c.etherType = EtherType.IPV4;
      return ParseStatus.OK;
    case IpProtocol.IPV6:
      c.etherType = EtherType.IPV6;
      return ParseStatus.OK;
    case IpProtocol.GRE:
      status = readGre(c);
      break;
    case IpProtocol.ETHERIP:
      status = readEtherIp(c);
      break;
    case IpProtocol.MPLS:
      c.etherType = EtherType.MPLS;
      status = readNetwork(c);
      break;
    default:
      return ParseStatus.NOT_TRANSPORT;
  }
  return status === ParseStatus.NOT_IP ? ParseStatus.NOT_TRANSPORT : status;
}
