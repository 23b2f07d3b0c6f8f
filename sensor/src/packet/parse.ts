/** From a frame to the TCP segment or UDP datagram of its innermost IP packet. */
import { type Frame, LinkType } from '../capture/engine.js';
import { Cursor, EtherType, IpProtocol, readUint16 } from './cursor.js';
import { type FragmentCounters, type FragmentOptions, FragmentTable } from './fragments.js';
import { isExtension, MAX_EXTENSIONS, putIpv4, readExtension, readIpv4, readIpv6 } from './ip.js';
import { readLink, readNetwork } from './link.js';
import { type Packet, ParseStatus } from './packet.js';
import { putTcp, readTcp, readUdp } from './transport.js';
import { enterUdpTunnel, readEtherIp, readGre } from './tunnels.js';

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
    if (frame.linkType === LinkType.ETHERNET && readPlain(frame, packet)) {
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

/** Ethernet (14), IPv4 without options (20), TCP (20). */
const PLAIN_IP = 14;
const PLAIN_TCP = PLAIN_IP + 20;
const PLAIN_BYTES = PLAIN_TCP + 20;

/**
 * The same in one go for what nearly all frames are: TCP in a whole IPv4 packet without options in an Ethernet
 * frame that was captured to the end of its headers. False, and `packet` means nothing, for all others.
 */
function readPlain(frame: Frame, packet: Packet): boolean {
  const { bytes, start } = frame;
  if (frame.end - start < PLAIN_BYTES) return false;
  if (bytes[start + 12] !== 0x08 || bytes[start + 13] !== 0 || bytes[start + PLAIN_IP] !== 0x45) return false;
  // Protocol, and neither more fragments nor an offset.
  if (bytes[start + 23] !== IpProtocol.TCP || ((bytes[start + 20] & 0x3f) | bytes[start + 21]) !== 0)
    return false;
  const tcp = start + PLAIN_TCP;
  const declaredEnd = start + PLAIN_IP + readUint16(bytes, start + 16);
  const headerLength = (bytes[tcp + 12] >> 4) * 4;
  const payloadStart = tcp + headerLength;
  if (headerLength < 20 || payloadStart > declaredEnd || payloadStart > frame.end) return false;
  putIpv4(packet, bytes, start + PLAIN_IP);
  putTcp(packet, bytes, tcp);
  packet.payloadStart = payloadStart;
  packet.payloadEnd = Math.min(frame.end, declaredEnd);
  packet.payloadLength = declaredEnd - payloadStart;
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
