/**
 * The way of a frame inside one thread: packet → flow → protocol → record. A pipeline owns all its
 * state; several of them share nothing but the ledger's memory, of which each has its own.
 */
import type { Clock, Frame, FrameHandler } from './capture/engine.js';
import { EndpointRecords } from './endpoints.js';
import type { Side, StreamHandler, StreamHandlerFactory, TcpFlow } from './flow/stream.js';
import { type TcpOptions, TcpTracker } from './flow/tcp.js';
import { Count, Ledger, PARSE_COUNT, ProtocolCount } from './ledger.js';
import { parseAddress } from './packet/address.js';
import { Packet, ParseStatus } from './packet/packet.js';
import { PacketParser } from './packet/parse.js';
import { type ConnectionSettings, ProtocolConnection } from './protocols/connection.js';
import type {
  DatagramDecoder,
  DatagramEndpoints,
  DatagramProtocol,
  DatagramSink,
} from './protocols/datagram.js';
import {
  DEFAULT_DECODER_OPTIONS,
  type DecoderOptions,
  type StreamProtocol,
  Verdict,
  withBudget,
} from './protocols/decoder.js';
import { type Exchange, ExchangePool } from './protocols/exchange.js';
import { type BatchOutput, Endpoints, RecordEncoder, TRANSPORT_UDP } from './protocols/records.js';
import { DATAGRAM_PROTOCOLS, PROTOCOL_NAMES, STREAM_PROTOCOLS } from './protocols/registry.js';
import type { Rule } from './rules.js';

export interface PipelineOptions {
  /** null: every protocol is detected on any port. */
  readonly rules: readonly Rule[] | null;
  /** 4 or 6 watches only that; 0 both. */
  readonly ipVersion: number;
  readonly decoder: Partial<DecoderOptions>;
  readonly tcp: Partial<TcpOptions>;
  /** A batch is handed on at the latest this long after its first record, in capture time. */
  readonly batchAgeNs: number;
  /** Count connections, packets and bytes per server endpoint. */
  readonly layer4: boolean;
  /** Number of this pipeline among those that share the traffic. */
  readonly worker: number;
  /** True for packetd's own connections, which are skipped. */
  readonly isOwn: (flow: TcpFlow) => boolean;
}

const PROTOCOL_TCP = 6;
/** How often the figures per endpoint are handed on. */
const LAYER4_NS = 10e9;

export const DEFAULT_PIPELINE_OPTIONS: PipelineOptions = {
  rules: null,
  ipVersion: 0,
  decoder: {},
  tcp: {},
  batchAgeNs: 100e6,
  layer4: false,
  worker: 0,
  isOwn: () => false,
};

export class Pipeline implements FrameHandler, StreamHandlerFactory {
  readonly tracker: TcpTracker;
  private readonly parser = new PacketParser();
  private readonly packet = new Packet();
  private readonly encoder: RecordEncoder;
  private readonly settings: ConnectionSettings;
  private readonly options: PipelineOptions;
  private readonly datagrams: Datagrams[];
  private readonly byPort: PortRules | null;
  private readonly endpoints: EndpointRecords;
  private batchSinceNs = Number.POSITIVE_INFINITY;
  private drainedNs = Number.POSITIVE_INFINITY;
  private skippedBytes = 0;
  private nowNs = 0;

  constructor(
    clock: Clock,
    private readonly output: BatchOutput,
    options: Partial<PipelineOptions> = {},
    readonly ledger: Ledger = new Ledger(PROTOCOL_NAMES),
  ) {
    this.options = { ...DEFAULT_PIPELINE_OPTIONS, ...options };
    const counting: BatchOutput = {
      batch: (bytes, length, records) => {
        ledger.add(Count.records, records);
        ledger.add(Count.recordBytes, length);
        this.batchSinceNs = Number.POSITIVE_INFINITY;
        this.output.batch(bytes, length, records);
      },
    };
    this.encoder = new RecordEncoder(clock, counting);
    const pool = new ExchangePool();
    this.settings = {
      clock,
      pool,
      encoder: this.encoder,
      ledger,
      options: withBudget({ ...DEFAULT_DECODER_OPTIONS, ...this.options.decoder }, pool),
      indexOf: new Map(PROTOCOL_NAMES.map((name, index) => [name, index])),
      indexOfTag: new Map(
        [...STREAM_PROTOCOLS, ...DATAGRAM_PROTOCOLS].map((p) => [
          p.detailTag,
          (PROTOCOL_NAMES as readonly string[]).indexOf(p.name),
        ]),
      ),
    };
    this.byPort = this.options.rules === null ? null : new PortRules(this.options.rules);
    this.datagrams = DATAGRAM_PROTOCOLS.map((protocol) => new Datagrams(protocol, this.settings));
    this.tracker = new TcpTracker(this, {
      ...this.options.tcp,
      statistics: this.options.layer4,
      serverPorts: (this.options.rules ?? []).flatMap(({ ports }) => ports),
    });
    this.endpoints = new EndpointRecords(clock, this.encoder, this.options.worker);
  }

  onFrame(frame: Frame): void {
    const values = this.ledger.values;
    values[Count.frames]++;
    values[Count.bytes] += frame.wireLength;
    const packet = this.packet;
    const status = this.parser.parse(frame, packet);
    if (status !== ParseStatus.OK) {
      values[PARSE_COUNT[status]]++;
      return;
    }
    if (this.options.ipVersion !== 0 && packet.ipVersion !== this.options.ipVersion) {
      values[Count.otherIpVersion]++;
      return;
    }
    if (packet.protocol === PROTOCOL_TCP) this.tracker.packet(packet);
    else {
      this.tracker.statistics?.udp(packet);
      this.datagram(packet);
    }
  }

  onTick(timeNs: number): void {
    this.nowNs = timeNs;
    this.tracker.tick(timeNs);
    for (const datagrams of this.datagrams) datagrams.decoder.tick(timeNs);
    this.count();
    // Also where the clock was set back.
    if (timeNs < this.drainedNs) this.drainedNs = timeNs;
    else if (timeNs - this.drainedNs >= LAYER4_NS) this.drain(timeNs);
    if (this.encoder.waiting === 0) return;
    if (timeNs < this.batchSinceNs) this.batchSinceNs = timeNs;
    else if (timeNs - this.batchSinceNs >= this.options.batchAgeNs) this.encoder.flush();
  }

  onRestart(): void {
    this.finish();
  }

  /** Ends everything that is open, as at the end of a file. */
  finish(): void {
    this.tracker.flush(this.nowNs);
    for (const datagrams of this.datagrams) datagrams.decoder.flush(this.nowNs);
    this.drain(this.nowNs);
    this.count();
    this.encoder.flush();
  }

  /** Hands on the figures per endpoint. */
  private drain(timeNs: number): void {
    this.drainedNs = timeNs;
    const { statistics } = this.tracker;
    if (statistics === null) return;
    this.endpoints.timeNs = timeNs;
    statistics.drain(this.endpoints);
    // Without this they would wait for the next record.
    this.encoder.flush();
  }

  /** Takes the figures of reassembly over into the ledger. */
  private count(): void {
    const { values } = this.ledger;
    const { counters } = this.tracker;
    values[this.byPort === null ? Count.skippedOwn : Count.skippedNoRule] +=
      counters.skippedBytes - this.skippedBytes;
    this.skippedBytes = counters.skippedBytes;
    values[Count.retransmittedBytes] = counters.retransmittedBytes;
    values[Count.lateBytes] = counters.lateBytes;
    values[Count.implausibleBytes] = counters.implausibleBytes;
    values[Count.ignoredBytes] = counters.ignoredBytes;
    values[Count.holdDroppedBytes] = counters.droppedBytes;
    values[Count.lostBytes] = counters.gapBytes;
  }

  open(flow: TcpFlow): StreamHandler | null {
    if (this.options.isOwn(flow)) return null;
    if (this.byPort === null) return new ProtocolConnection(flow, STREAM_PROTOCOLS, null, this.settings);
    return this.byPort.connection(flow, this.settings);
  }

  private datagram(packet: Packet): void {
    const length = packet.payloadEnd - packet.payloadStart;
    for (const datagrams of this.datagrams) {
      if (this.byPort !== null && !this.byPort.datagram(datagrams.protocol.name, packet)) continue;
      if (
        this.byPort === null &&
        datagrams.protocol.probe(packet) === Verdict.NO &&
        !datagrams.decoder.awaits(packet)
      )
        continue;
      this.ledger.addProtocol(datagrams.index, ProtocolCount.decodedBytes, length);
      datagrams.decoder.datagram(packet);
      return;
    }
    this.ledger.add(this.byPort === null ? Count.skippedUndetected : Count.skippedNoRule, length);
  }
}

/** The end of one role that was seen last: most datagrams have the ends of those before. */
class LastEnd {
  private ipVersion = 0;
  private w0 = 0;
  private w1 = 0;
  private w2 = 0;
  private w3 = 0;
  private port = -1;

  /** Takes another end over; false where it is the same. */
  change(ipVersion: number, w0: number, w1: number, w2: number, w3: number, port: number): boolean {
    if (port === this.port && w3 === this.w3 && w2 === this.w2 && w1 === this.w1 && w0 === this.w0) {
      if (ipVersion === this.ipVersion) return false;
    }
    this.ipVersion = ipVersion;
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
    this.port = port;
    return true;
  }
}

/** One datagram protocol's decoder, and the way of its exchanges to the encoder. */
class Datagrams implements DatagramSink {
  readonly protocol: DatagramProtocol;
  readonly decoder: DatagramDecoder;
  readonly index: number;
  readonly pool: ExchangePool;
  private readonly client = new LastEnd();
  private readonly server = new LastEnd();
  private readonly endpoints = new Endpoints(TRANSPORT_UDP);

  constructor(
    protocol: DatagramProtocol,
    private readonly settings: ConnectionSettings,
  ) {
    this.protocol = protocol.configured?.(settings.options) ?? protocol;
    this.pool = settings.pool;
    this.index = settings.indexOf.get(protocol.name)!;
    this.decoder = protocol.create(this, settings.options);
  }

  emit(e: DatagramEndpoints, exchange: Exchange): void {
    const { clock, encoder, ledger } = this.settings;
    const { endpoints } = this;
    const { ipVersion, client0, client1, client2, client3, clientPort } = e;
    if (this.client.change(ipVersion, client0, client1, client2, client3, clientPort)) {
      endpoints.setClient(ipVersion, client0, client1, client2, client3, clientPort);
    }
    const { server0, server1, server2, server3, serverPort } = e;
    if (this.server.change(ipVersion, server0, server1, server2, server3, serverPort)) {
      endpoints.setServer(ipVersion, server0, server1, server2, server3, serverPort);
    }
    const startNs = exchange.requestStartNs >= 0 ? exchange.requestStartNs : exchange.responseStartNs;
    const seconds = Math.floor(startNs / 1e9);
    const ports = (e.clientPort << 16) | e.serverPort;
    endpoints.hash0 = fold(e.client0, e.client1, e.client2, e.client3, (clock.baseSeconds + seconds) ^ ports);
    endpoints.hash1 = fold(e.server0, e.server1, e.server2, e.server3, (startNs - seconds * 1e9) ^ ports);
    // Several queries of one socket may share the time of their first byte: their tags tell them apart.
    endpoints.emitted = exchange.tag;
    encoder.write(endpoints, exchange, this.protocol.detailTag);
    ledger.addProtocol(this.index, ProtocolCount.roundtrips, 1);
    this.pool.release(exchange);
  }

  undecodable(bytes: number): void {
    this.settings.ledger.addProtocol(this.index, ProtocolCount.decodedBytes, -bytes);
    this.settings.ledger.addProtocol(this.index, ProtocolCount.undecodableBytes, bytes);
  }
}

/** Five words into one, every bit of each in all of it (the rounds of MurmurHash3, 32 bit). */
function fold(w0: number, w1: number, w2: number, w3: number, seed: number): number {
  let h = round(round(round(round(seed | 0, w0), w1), w2), w3);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function round(h: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  const mixed = h ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** Rules by port. */
class PortRules {
  private readonly streams = new Map<number, { protocol: StreamProtocol; host: Int32Array | null }[]>();
  private readonly datagrams = new Map<number, { protocol: string; host: Int32Array | null }[]>();

  constructor(rules: readonly Rule[]) {
    for (const rule of rules) {
      const host = rule.host === '' ? null : parseAddress(rule.host);
      for (const port of rule.ports) {
        for (const protocol of STREAM_PROTOCOLS) {
          if (protocol.name === rule.protocol) push(this.streams, port, { protocol, host });
        }
        for (const protocol of DATAGRAM_PROTOCOLS) {
          if (protocol.name === rule.protocol) push(this.datagrams, port, { protocol: protocol.name, host });
        }
      }
    }
  }

  /** The handler of a connection, or null where no rule names either of its ports. */
  connection(flow: TcpFlow, settings: ConnectionSettings): ProtocolConnection | null {
    for (const side of [1, 0] as const) {
      const port = side === 1 ? flow.port1 : flow.port0;
      const found = (this.streams.get(port) ?? []).filter(
        ({ host }) => host === null || equal(host, flow.address0) || equal(host, flow.address1),
      );
      if (found.length === 0) continue;
      const candidates = found.map(({ protocol }) => protocol);
      // One protocol on the port is taken at its word; of several, detection picks.
      const certain = candidates.length === 1 ? { clientSide: (side ^ 1) as Side } : null;
      return new ProtocolConnection(flow, candidates, certain, settings);
    }
    return null;
  }

  datagram(protocol: string, packet: Packet): boolean {
    return (
      this.named(protocol, packet.destinationPort, packet) || this.named(protocol, packet.sourcePort, packet)
    );
  }

  private named(protocol: string, port: number, p: Packet): boolean {
    for (const rule of this.datagrams.get(port) ?? []) {
      if (rule.protocol !== protocol) continue;
      const h = rule.host;
      if (h === null) return true;
      if (h[0] === p.source0 && h[1] === p.source1 && h[2] === p.source2 && h[3] === p.source3) return true;
      if (
        h[0] === p.destination0 &&
        h[1] === p.destination1 &&
        h[2] === p.destination2 &&
        h[3] === p.destination3
      )
        return true;
    }
    return false;
  }
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function equal(a: Int32Array, b: Int32Array): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}
