/** DNS over UDP: pairs queries and responses of all sockets. */
import { StatusValue } from '@packetd/proto';
import type { Packet } from '../../packet/packet.js';
import type { DatagramDecoder, DatagramSink } from '../datagram.js';
import type { DecoderOptions } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { Message } from './message.js';
import { isMulticastPort } from './probe.js';
import { u16 } from './rdata.js';
import { writeEnd, writeQuery, writeResponse } from './record.js';
import { skipName } from './text.js';
import { hashKey, Scope, Transaction, Transactions } from './transactions.js';

/** With fewer open queries than this each keeps its exchange: parking is for floods. */
const KEPT_EXCHANGES = 256;
/** Queries that wait for their response; the oldest gives way and is recorded as unanswered. */
export const MAX_OPEN_QUERIES = 16_384;
/** A query that comes again this soon on another interface was captured twice, not sent twice. */
const DUPLICATE_NS = 1e6;
/** A query that is sent again and again is open for at most this many time-outs. */
const MAX_TIMEOUTS = 6;
/** Answered queries whose hash is remembered for `DUPLICATE_NS`. */
const RECENT = 1024;
const MDNS_PORT = 5353;
/** A response that repeats no question refuses it: it is a header, and OPT at most. */
const MAX_LOOSE_BYTES = 512;

export class DnsDatagramDecoder implements DatagramDecoder {
  private readonly open = new Transactions();
  private readonly message = new Message();
  /** Who asks what, of the message at hand; it becomes the entry of a new query. */
  private key = new Transaction();
  private readonly recentHashes = new Int32Array(RECENT);
  private readonly recentNs = new Float64Array(RECENT).fill(-Infinity);
  private readonly recentInterfaces = new Int32Array(RECENT);

  constructor(
    private readonly sink: DatagramSink,
    private readonly options: DecoderOptions,
  ) {}

  datagram(packet: Packet): void {
    this.tick(packet.timeNs);
    const { bytes, payloadStart, payloadEnd } = packet;
    const captured = payloadEnd - payloadStart;
    const multicast = isMulticastPort(packet);
    const { message } = this;
    if (
      (multicast && !this.options.multicastDns) ||
      !message.read(bytes, payloadStart, payloadEnd, packet.payloadLength - captured)
    ) {
      this.sink.undecodable(captured);
      return;
    }
    if (message.isResponse) this.response(packet, multicast);
    else this.query(packet, multicast);
  }

  awaits(packet: Packet): boolean {
    const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
    const { open, key, message } = this;
    if (open.count === 0 || payloadLength > MAX_LOOSE_BYTES || isMulticastPort(packet)) return false;
    if (!message.read(bytes, payloadStart, payloadEnd, payloadLength - (payloadEnd - payloadStart)))
      return false;
    if (!message.isResponse || message.hasQuestion) return false;
    this.identify(false, packet, false);
    return open.find(key, message) !== null;
  }

  tick(timeNs: number): void {
    const { open, options } = this;
    // So far in the future: the clock was set back.
    for (
      let entry = open.oldest;
      entry !== null && Math.abs(timeNs - entry.lastNs) > options.datagramTimeoutNs;
      entry = open.oldest
    ) {
      this.unanswered(entry);
    }
  }

  flush(_timeNs: number): void {
    while (this.open.oldest !== null) this.unanswered(this.open.oldest);
  }

  private query(packet: Packet, multicast: boolean): void {
    const { key, message, open } = this;
    const timeNs = packet.timeNs;
    // A query without a question is one of opcodes that have none, or only brings options (RFC 7873 section 5.4).
    if (!message.hasQuestion && (multicast || !message.plausibleWithoutQuestion())) {
      this.sink.undecodable(packet.payloadEnd - packet.payloadStart);
      return;
    }
    this.identify(true, packet, multicast);
    const same = open.find(key, message);
    if (same !== null) {
      this.again(same, packet);
      return;
    }
    const hash = key.hash ^ Math.imul(key.type, 0x9e3779b1) ^ nameHash(message);
    const slot = hash & (RECENT - 1);
    if (
      this.recentHashes[slot] === hash &&
      this.recentInterfaces[slot] !== packet.interfaceIndex &&
      Math.abs(timeNs - this.recentNs[slot]) < DUPLICATE_NS
    )
      return;
    const crowded = open.crowded;
    if (crowded !== null) this.unanswered(crowded);
    else if (open.count >= MAX_OPEN_QUERIES) this.unanswered(open.oldest!);

    const entry = key;
    this.key = open.take();
    const exchange = this.sink.pool.take();
    entry.exchange = exchange;
    entry.firstNs = timeNs;
    entry.lastNs = timeNs;
    entry.interfaceIndex = packet.interfaceIndex;
    entry.requestBytes = packet.payloadLength;
    entry.missingBytes = message.missing;
    entry.questionHash = hash;
    writeQuery(entry, message);
    if (open.count < KEPT_EXCHANGES) {
      entry.detailLength = 0;
      entry.envelopeLength = 0;
    } else {
      while (!open.parked.fits(exchange)) this.unanswered(open.oldest!);
      open.parked.park(entry, exchange, open.oldest);
      entry.exchange = null;
      this.sink.pool.release(exchange);
    }
    open.add(entry);
  }

  /** The exchange with which an open query goes on. */
  private resume(entry: Transaction): Exchange {
    let { exchange } = entry;
    if (exchange === null) {
      exchange = this.sink.pool.take();
      this.open.parked.unpark(entry, exchange);
      entry.exchange = exchange;
    }
    exchange.requestStartNs = entry.firstNs;
    exchange.requestEndNs = entry.firstNs;
    exchange.requestBytes = entry.requestBytes;
    exchange.requestFirstSegment = 0;
    exchange.requestLastSegment = entry.retransmits;
    exchange.missingBytes = entry.missingBytes;
    exchange.tag = entry.questionHash >>> 0;
    return exchange;
  }

  private again(entry: Transaction, { timeNs, interfaceIndex }: Packet): void {
    if (interfaceIndex !== entry.interfaceIndex && Math.abs(timeNs - entry.lastNs) < DUPLICATE_NS) return;
    entry.interfaceIndex = interfaceIndex;
    entry.retransmits++;
    if (timeNs - entry.firstNs > this.options.datagramTimeoutNs * MAX_TIMEOUTS) return;
    entry.lastNs = timeNs;
    this.open.touch(entry);
  }

  private response(packet: Packet, multicast: boolean): void {
    const { key, message, open } = this;
    this.identify(false, packet, multicast);
    if (key.scope === Scope.NONE) this.questionFromAnswer();
    const entry = open.find(key, message);
    if (entry === null) {
      // Its query was not seen, or another response came before: there is no roundtrip to tell of.
      this.sink.undecodable(packet.payloadEnd - packet.payloadStart);
      return;
    }
    const exchange = this.resume(entry);
    if (entry.scope !== Scope.BOTH) copyServer(entry, key);
    exchange.responseStartNs = packet.timeNs;
    exchange.responseEndNs = packet.timeNs;
    exchange.responseBytes = packet.payloadLength;
    exchange.responseFirstSegment = 0;
    exchange.responseLastSegment = 0;
    exchange.missingBytes += message.missing;
    if (!writeResponse(entry, message)) this.sink.undecodable(message.end - message.at);
    const hash = entry.questionHash;
    const slot = hash & (RECENT - 1);
    this.recentHashes[slot] = hash;
    this.recentNs[slot] = entry.lastNs;
    this.recentInterfaces[slot] = entry.interfaceIndex;
    this.finish(entry);
  }

  /** RFC 6762 section 6: responses repeat no question; the first answer has its name, type and class. */
  private questionFromAnswer(): void {
    const { key, message } = this;
    if (message.hasQuestion || message.answers === 0) return;
    const { bytes, start, end } = message;
    const at = skipName(bytes, start, end, message.recordsAt);
    if (at < 0 || at + 4 > end) return;
    message.hasQuestion = true;
    message.nameAt = message.recordsAt;
    key.type = u16(bytes, at);
    key.class = u16(bytes, at + 2) & 0x7fff;
  }

  private unanswered(entry: Transaction): void {
    this.resume(entry).status = StatusValue.NO_RESPONSE;
    this.finish(entry);
  }

  private finish(entry: Transaction): void {
    writeEnd(entry);
    this.open.remove(entry);
    this.sink.emit(entry, entry.exchange!);
    this.open.release(entry);
  }

  /** Fills `key` from the message and the addresses of its packet. */
  private identify(query: boolean, p: Packet, multicast: boolean): void {
    const { key, message } = this;
    key.ipVersion = p.ipVersion;
    if (query) {
      key.client0 = p.source0;
      key.client1 = p.source1;
      key.client2 = p.source2;
      key.client3 = p.source3;
      key.clientPort = p.sourcePort;
      key.server0 = p.destination0;
      key.server1 = p.destination1;
      key.server2 = p.destination2;
      key.server3 = p.destination3;
      key.serverPort = p.destinationPort;
    } else {
      key.client0 = p.destination0;
      key.client1 = p.destination1;
      key.client2 = p.destination2;
      key.client3 = p.destination3;
      key.clientPort = p.destinationPort;
      key.server0 = p.source0;
      key.server1 = p.source1;
      key.server2 = p.source2;
      key.server3 = p.source3;
      key.serverPort = p.sourcePort;
    }
    key.id = message.id;
    key.opcode = message.opcode;
    key.type = message.type;
    key.class = message.class;
    key.hasQuestion = message.hasQuestion;
    key.scope = Scope.BOTH;
    if (multicast) {
      key.scope = key.clientPort === MDNS_PORT && key.serverPort === MDNS_PORT ? Scope.NONE : Scope.CLIENT;
      key.class &= 0x7fff;
      message.class = key.class;
      if (key.scope === Scope.NONE) key.id = 0;
    }
    hashKey(key);
  }
}

function copyServer(entry: Transaction, key: Transaction): void {
  entry.server0 = key.server0;
  entry.server1 = key.server1;
  entry.server2 = key.server2;
  entry.server3 = key.server3;
}

/** FNV-1a of the question's name as it is on the wire, without regard to case; 0 without a question. */
function nameHash(message: Message): number {
  if (!message.hasQuestion) return 0;
  const { bytes } = message;
  const end = message.nameEnd;
  let hash = 0x811c9dc5 | 0;
  for (let at = message.nameAt; at < end; at++) hash = Math.imul(hash ^ (bytes[at] | 0x20), 0x01000193);
  return hash;
}
