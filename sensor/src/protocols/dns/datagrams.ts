/**
 * DNS over UDP: queries by id, question and both endpoints, and what is heard back.
 *
 * A query that is sent again is counted on the first; one that is seen twice within a millisecond was
 * captured twice. mDNS (RFC 6762) and LLMNR (RFC 4795) answer multicast queries from addresses of their
 * own, so there the server is who answers.
 */
import { DnsTag, StatusValue } from '@packetd/proto';
import type { Packet } from '../../packet/packet.js';
import type { DatagramDecoder, DatagramEndpoints, DatagramSink } from '../datagram.js';
import { type DecoderOptions, Verdict } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { HEADER_BYTES, Message } from './message.js';

const PORT = 53;
const MDNS_PORT = 5353;
const LLMNR_PORT = 5355;
const NETBIOS_PORT = 137;
/** Queries that wait for their answer; of more, the oldest is given up. */
const MAX_OPEN = 65_536;
/** The same packet again this soon is the same packet, seen on another interface. */
const TWICE_NS = 1e6;
/** Answered queries that are remembered for that. */
const RECENT = 256;
const MAX_POOLED = 1024;

/** A query that waits. */
class Query implements DatagramEndpoints {
  exchange: Exchange | null = null;
  ipVersion = 0;
  client0 = 0;
  client1 = 0;
  client2 = 0;
  client3 = 0;
  clientPort = 0;
  server0 = 0;
  server1 = 0;
  server2 = 0;
  server3 = 0;
  serverPort = 0;
  flags = 0;
  id = 0;
  lastNs = 0;
  retransmits = 0;

  fill(packet: Packet): void {
    this.ipVersion = packet.ipVersion;
    this.client0 = packet.source0;
    this.client1 = packet.source1;
    this.client2 = packet.source2;
    this.client3 = packet.source3;
    this.clientPort = packet.sourcePort;
    this.server0 = packet.destination0;
    this.server1 = packet.destination1;
    this.server2 = packet.destination2;
    this.server3 = packet.destination3;
    this.serverPort = packet.destinationPort;
    this.retransmits = 0;
    this.lastNs = packet.timeNs;
  }

  /** Who answered a multicast query. */
  answeredBy(packet: Packet): void {
    this.server0 = packet.source0;
    this.server1 = packet.source1;
    this.server2 = packet.source2;
    this.server3 = packet.source3;
    this.serverPort = packet.sourcePort;
  }
}

const message = new Message();

export class DnsDatagrams implements DatagramDecoder {
  /** By `key`, in the order in which they were sent. */
  private readonly open = new Map<number, Query>();
  private readonly free: Query[] = [];
  private readonly recentKeys = new Float64Array(RECENT);
  private readonly recentNs = new Float64Array(RECENT);
  private recentAt = 0;
  private count = 0;

  constructor(
    private readonly sink: DatagramSink,
    private readonly options: DecoderOptions,
  ) {}

  datagram(packet: Packet): void {
    const { bytes, payloadStart, payloadEnd } = packet;
    const whole = payloadEnd - payloadStart === packet.payloadLength;
    if (isMulticastPort(packet) && !this.options.multicastDns) {
      this.sink.undecodable(payloadEnd - payloadStart);
      return;
    }
    if (
      !message.read(bytes, payloadStart, payloadEnd) ||
      !message.plausible ||
      (message.records < 0 && !whole)
    ) {
      this.sink.undecodable(payloadEnd - payloadStart);
      return;
    }
    if (message.isResponse) this.response(packet);
    else this.query(packet);
  }

  tick(timeNs: number): void {
    const before = timeNs - this.options.datagramTimeoutNs;
    for (const [key, query] of this.open) {
      if (query.exchange!.requestStartNs > before) return;
      this.open.delete(key);
      this.unanswered(query);
    }
  }

  flush(): void {
    for (const query of this.open.values()) this.unanswered(query);
    this.open.clear();
  }

  private query(packet: Packet): void {
    const key = keyOf(packet, true);
    const known = this.open.get(key);
    if (known !== undefined) {
      if (packet.timeNs - known.lastNs >= TWICE_NS) {
        known.retransmits++;
        known.exchange!.requestLastSegment++;
        known.exchange!.requestBytes += packet.payloadLength;
      }
      known.lastNs = packet.timeNs;
      return;
    }
    if (this.isRecent(key, packet.timeNs)) return;
    if (this.open.size >= MAX_OPEN) {
      for (const [oldKey, old] of this.open) {
        this.open.delete(oldKey);
        this.unanswered(old);
        break;
      }
    }
    const exchange = this.sink.pool.take();
    exchange.requestStartNs = packet.timeNs;
    exchange.requestEndNs = packet.timeNs;
    exchange.requestBytes = packet.payloadLength;
    exchange.requestFirstSegment = 0;
    exchange.requestLastSegment = 0;
    // Several queries of one socket may share the time of their first byte.
    exchange.tag = this.count;
    this.count = (this.count + 1) & 0x3fffffff;
    message.writeQuery(exchange);
    const query = this.free.pop() ?? new Query();
    query.fill(packet);
    query.exchange = exchange;
    query.flags = message.flags;
    query.id = message.id;
    this.open.set(key, query);
  }

  private response(packet: Packet): void {
    const key = this.keyOfResponse(packet);
    const query = key < 0 ? undefined : this.open.get(key);
    if (query === undefined) return;
    this.open.delete(key);
    this.remember(key, query.exchange!.requestStartNs);
    const exchange = query.exchange!;
    if (isMulticast(query)) query.answeredBy(packet);
    exchange.responseStartNs = packet.timeNs;
    exchange.responseEndNs = packet.timeNs;
    exchange.responseBytes = packet.payloadLength;
    exchange.responseFirstSegment = 0;
    exchange.responseLastSegment = 0;
    exchange.missingBytes = packet.payloadLength - (packet.payloadEnd - packet.payloadStart);
    const rcode = message.writeResponse(exchange);
    exchange.status = rcode === 0 ? StatusValue.OK : StatusValue.ERROR;
    this.emit(query);
  }

  /** Key of the query that a response answers, or -1. */
  private keyOfResponse(packet: Packet): number {
    const key = keyOf(packet, false);
    if (this.open.has(key)) return key;
    const multicast = keyOfMulticast(packet, packet.sourcePort, message.id);
    if (this.open.has(multicast)) return multicast;
    // Some answers leave the question out: id and endpoints must do.
    if (message.questions > 0) return -1;
    for (const [each, query] of this.open) if (isAnswer(query, packet)) return each;
    return -1;
  }

  private unanswered(query: Query): void {
    message.writeFlags(query.exchange!, query.flags);
    query.exchange!.status = StatusValue.NO_RESPONSE;
    this.emit(query);
  }

  private emit(query: Query): void {
    const exchange = query.exchange!;
    exchange.detail.uintNonZero(DnsTag.retransmits, query.retransmits);
    this.sink.emit(query, exchange);
    query.exchange = null;
    if (this.free.length < MAX_POOLED) this.free.push(query);
  }

  private remember(key: number, timeNs: number): void {
    this.recentKeys[this.recentAt] = key;
    this.recentNs[this.recentAt] = timeNs;
    this.recentAt = (this.recentAt + 1) % RECENT;
  }

  /** The query was answered already, and this is its packet once more. */
  private isRecent(key: number, timeNs: number): boolean {
    for (let n = 1; n <= RECENT; n++) {
      const at = (this.recentAt - n + RECENT) % RECENT;
      if (timeNs - this.recentNs[at] >= TWICE_NS) return false;
      if (this.recentKeys[at] === key) return true;
    }
    return false;
  }
}

/** CLIENT for a query, SERVER for a response. On port 53 a header will do; elsewhere every byte must fit. */
export function probeDatagram(packet: Packet): Verdict {
  const { bytes, payloadStart: start, payloadEnd: end, sourcePort, destinationPort } = packet;
  const isPort = sourcePort === PORT || destinationPort === PORT;
  if (end - start < HEADER_BYTES) return Verdict.NO;
  if (sourcePort === NETBIOS_PORT || destinationPort === NETBIOS_PORT) return Verdict.NO;
  if (isPort || isMulticastPort(packet)) {
    if (!message.read(bytes, start, end) || !message.plausible) return Verdict.NO;
  } else {
    // Cheap first: one question, and a known opcode.
    if (bytes[start + 4] !== 0 || bytes[start + 5] !== 1 || (bytes[start + 2] & 0x78) > 0x30)
      return Verdict.NO;
    if (!message.read(bytes, start, end) || !message.strict()) return Verdict.NO;
  }
  return message.isResponse ? Verdict.SERVER : Verdict.CLIENT;
}

/** mDNS or LLMNR, and not DNS. */
function isMulticastPort(packet: Packet): boolean {
  const { sourcePort, destinationPort } = packet;
  if (sourcePort === PORT || destinationPort === PORT) return false;
  return (
    sourcePort === MDNS_PORT ||
    destinationPort === MDNS_PORT ||
    sourcePort === LLMNR_PORT ||
    destinationPort === LLMNR_PORT
  );
}

/** 53 bits of a hash over id, opcode, question and endpoints, the client's first. */
function keyOf(packet: Packet, isQuery: boolean): number {
  if (isQuery && isMulticastAddress(packet.ipVersion, packet.destination0, packet.destination3)) {
    return keyOfMulticast(packet, packet.destinationPort, message.id);
  }
  const seed = message.id | (message.opcode << 16);
  let h0 = message.hash0 ^ Math.imul(seed, 0x9e3779b1);
  let h1 = message.hash1 ^ seed;
  const p = packet;
  const c3 = isQuery ? p.source3 : p.destination3;
  const s3 = isQuery ? p.destination3 : p.source3;
  const ports = isQuery ? (p.sourcePort << 16) | p.destinationPort : (p.destinationPort << 16) | p.sourcePort;
  h0 = Math.imul(h0 ^ c3, 0x85ebca6b) ^ (h0 >>> 15);
  h1 = Math.imul(h1 ^ c3, 0xc2b2ae35) ^ (h1 >>> 13);
  h0 = Math.imul(h0 ^ s3, 0xc2b2ae35) ^ (h0 >>> 13);
  h1 = Math.imul(h1 + s3, 0x85ebca6b) ^ (h1 >>> 16);
  h0 = Math.imul(h0 ^ ports, 0x9e3779b1) ^ (h0 >>> 16);
  h1 = Math.imul(h1 ^ ports, 0x27d4eb2f) ^ (h1 >>> 15);
  if (p.ipVersion === 6) {
    const c = isQuery
      ? p.source0 ^ Math.imul(p.source1, 31) ^ Math.imul(p.source2, 961)
      : p.destination0 ^ Math.imul(p.destination1, 31) ^ Math.imul(p.destination2, 961);
    const s = isQuery
      ? p.destination0 ^ Math.imul(p.destination1, 31) ^ Math.imul(p.destination2, 961)
      : p.source0 ^ Math.imul(p.source1, 31) ^ Math.imul(p.source2, 961);
    h0 = Math.imul(h0 ^ c, 0x85ebca6b) ^ (h0 >>> 13);
    h1 = Math.imul(h1 ^ s, 0xc2b2ae35) ^ (h1 >>> 16);
  }
  return (h0 >>> 0) * 0x200000 + (h1 >>> 11);
}

/** Of a multicast query, whoever sent it: the question, and over LLMNR the id (mDNS has none). */
function keyOfMulticast(packet: Packet, serverPort: number, id: number): number {
  const seed = serverPort === MDNS_PORT ? 0 : id;
  const h0 = Math.imul(message.hash0 ^ seed, 0x9e3779b1) ^ packet.ipVersion;
  const h1 = Math.imul(message.hash1 + serverPort, 0x85ebca6b);
  return (h0 >>> 0) * 0x200000 + (h1 >>> 11);
}

function isMulticast(query: Query): boolean {
  return isMulticastAddress(query.ipVersion, query.server0, query.server3);
}

function isMulticastAddress(ipVersion: number, word0: number, word3: number): boolean {
  return ipVersion === 4 ? word3 >>> 28 === 0xe : word0 >>> 24 === 0xff;
}

function isAnswer(query: Query, p: Packet): boolean {
  return (
    query.id === message.id &&
    query.clientPort === p.destinationPort &&
    query.serverPort === p.sourcePort &&
    query.client3 === p.destination3 &&
    query.server3 === p.source3 &&
    query.client0 === p.destination0 &&
    query.server0 === p.source0
  );
}
