/**
 * One TCP connection above reassembly: finds out its protocol, keeps the bytes that the decoder has
 * not consumed yet, and gives the decoder's exchanges to the record encoder.
 */
import { StatusValue } from '@packetd/proto';
import type { Clock } from '../capture/engine.js';
import { giveBuffer, takeBuffer } from '../flow/buffers.js';
import { CloseReason, type Side, type StreamHandler, type TcpFlow } from '../flow/stream.js';
import { Count, type Ledger, ProtocolCount } from '../ledger.js';
import {
  type Connection,
  type Decoder,
  type DecoderOptions,
  type Direction,
  Input,
  MAX_HELD_BYTES,
  type ProbeContext,
  type StreamProtocol,
  type UpgradedRequest,
  Verdict,
} from './decoder.js';
import type { Exchange, ExchangePool } from './exchange.js';
import { Endpoints, type RecordEncoder, TRANSPORT_TCP } from './records.js';
import { looksLikeTls } from './tls.js';

/** Bytes of one side that detection waits for before it gives that side's message up. */
const MAX_PROBE_BYTES = 16 << 10;
/** Messages that detection looks at before it looks at every 16th only. */
const EAGER_PROBES = 32;

/** What all connections of a pipeline share. */
export interface ConnectionSettings {
  readonly clock: Clock;
  readonly pool: ExchangePool;
  readonly encoder: RecordEncoder;
  readonly ledger: Ledger;
  readonly options: DecoderOptions;
  /** Index in the ledger of a protocol's name. */
  readonly indexOf: ReadonlyMap<string, number>;
  /** Index in the ledger of the protocol with this detail tag. */
  readonly indexOfTag: ReadonlyMap<number, number>;
}

const Mode = { DETECT: 0, DECODE: 1, SKIP: 2 } as const;
type Mode = (typeof Mode)[keyof typeof Mode];

const NOTHING = new Uint8Array(0);
/** What one side has sent and the decoder has not consumed. */
class Half {
  held: Uint8Array = NOTHING;
  heldLength = 0;
  heldTimeNs = 0;
  heldSegment = 0;
  need = 0;
  segments = 0;
  /** Nothing of this side is lost or was given up by detection so far. */
  fromStart = true;
  /** Detection looks at this side's next segment, whoever sends it. */
  again = false;
  /** Bytes of the piece that detection began with. */
  firstBytes = 0;
  /** Bytes that went by since detection holds what the other side sent before them. */
  passed = 0;

  hold(bytes: Uint8Array, start: number, end: number): void {
    const length = this.heldLength + end - start;
    if (length > this.held.length) {
      const grown = takeBuffer(length);
      grown.set(this.held.subarray(0, this.heldLength));
      giveBuffer(this.held);
      this.held = grown;
    }
    this.held.set(bytes.subarray(start, end), this.heldLength);
    this.heldLength = length;
  }

  /** Keeps [from, heldLength) of what is held. */
  keep(from: number): void {
    if (from === this.heldLength) {
      this.clear();
      return;
    }
    if (from > 0) this.held.copyWithin(0, from, this.heldLength);
    this.heldLength -= from;
  }

  clear(): void {
    giveBuffer(this.held);
    this.held = NOTHING;
    this.heldLength = 0;
    this.need = 0;
  }
}

const input = new Input();
const context: { -readonly [K in keyof ProbeContext]: ProbeContext[K] } = {
  side: 0,
  fromStart: true,
  sourcePort: 0,
  destinationPort: 0,
};

export class ProtocolConnection implements StreamHandler, Connection {
  readonly pool: ExchangePool;
  fromStart = false;
  private mode: Mode = Mode.DETECT;
  private skipCount: Count = Count.skippedUndetected;
  private decoder: Decoder | null = null;
  private protocol: StreamProtocol | null = null;
  private protocolIndex = 0;
  private clientSide: Side = 0;
  private endpoints: Endpoints | null = null;
  private readonly half0 = new Half();
  private readonly half1 = new Half();
  private probes = 0;
  private lastSide = -1;
  private feeding = false;
  private handedOver: string | null = null;
  private upgraded: UpgradedRequest | null = null;
  private undecoded = 0;

  /** `candidates` are tried in their order; a single one with `certain` is taken without a look. */
  constructor(
    private readonly flow: TcpFlow,
    private readonly candidates: readonly StreamProtocol[],
    certain: { clientSide: Side } | null,
    private readonly settings: ConnectionSettings,
  ) {
    this.pool = settings.pool;
    this.half0.fromStart = flow.sideKnown;
    this.half1.fromStart = flow.sideKnown;
    if (certain !== null) this.decide(candidates[0], certain.clientSide);
  }

  get clientPort(): number {
    return this.clientSide === 0 ? this.flow.port0 : this.flow.port1;
  }

  get serverPort(): number {
    return this.clientSide === 0 ? this.flow.port1 : this.flow.port0;
  }

  data(side: Side, bytes: Uint8Array, start: number, end: number, timeNs: number): void {
    const half = side === 0 ? this.half0 : this.half1;
    half.segments++;
    this.piece(side, half, bytes, start, end, timeNs);
  }

  gap(side: Side, length: number, timeNs: number): void {
    const half = side === 0 ? this.half0 : this.half1;
    half.fromStart = false;
    const held = half.heldLength;
    half.clear();
    if (this.mode === Mode.DECODE && this.decoder !== null) {
      this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.gapBytes, length);
      this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.undecodableBytes, held);
      this.decoder.gap((side ^ this.clientSide) as Direction, length, held, timeNs);
      this.afterDecoder();
    } else {
      this.settings.ledger.add(this.skipCount, held);
      this.pass(side, half, held + length);
    }
  }

  fin(side: Side, timeNs: number): void {
    if (this.mode !== Mode.DECODE || this.decoder === null) return;
    const half = side === 0 ? this.half0 : this.half1;
    const held = half.heldLength;
    half.clear();
    this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.undecodableBytes, held);
    this.decoder.fin((side ^ this.clientSide) as Direction, held, timeNs);
    this.afterDecoder();
  }

  close(reason: CloseReason, timeNs: number): void {
    const held = this.half0.heldLength + this.half1.heldLength;
    this.half0.clear();
    this.half1.clear();
    if (this.decoder === null) {
      this.settings.ledger.add(this.skipCount, held);
      return;
    }
    this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.undecodableBytes, held);
    this.decoder.close(reason === CloseReason.RST ? StatusValue.RESET : StatusValue.NO_RESPONSE, timeNs);
    this.decoder = null;
    this.mode = Mode.SKIP;
  }

  emit(exchange: Exchange): void {
    const settings = this.settings;
    if (exchange.own && !settings.options.own) {
      settings.ledger.add(Count.ownRoundtrips, 1);
      settings.pool.release(exchange);
      return;
    }
    if (this.endpoints === null) this.endpoints = this.makeEndpoints();
    const tag = exchange.detailTag === 0 ? this.protocol!.detailTag : exchange.detailTag;
    settings.encoder.write(this.endpoints, exchange, tag);
    const index = exchange.detailTag === 0 ? this.protocolIndex : settings.indexOfTag.get(tag)!;
    settings.ledger.addProtocol(index, ProtocolCount.roundtrips, 1);
    settings.pool.release(exchange);
  }

  undecodable(bytes: number): void {
    this.undecoded += bytes;
  }

  handOver(to: string, request?: UpgradedRequest): void {
    this.handedOver = to;
    // Said again before the next decoder has it, the request stays.
    this.upgraded ??= request ?? null;
    if (!this.feeding) this.afterDecoder();
  }

  private piece(side: Side, half: Half, bytes: Uint8Array, start: number, end: number, timeNs: number): void {
    switch (this.mode) {
      case Mode.DECODE:
        this.feed(side, half, bytes, start, end, timeNs);
        return;
      case Mode.DETECT:
        this.detect(side, half, bytes, start, end, timeNs);
        return;
      case Mode.SKIP:
        this.settings.ledger.add(this.skipCount, end - start);
    }
  }

  private feed(side: Side, half: Half, bytes: Uint8Array, start: number, end: number, timeNs: number): void {
    const wasHeld = half.heldLength;
    if (wasHeld > 0) {
      half.hold(bytes, start, end);
      if (half.heldLength < half.need) {
        if (half.heldLength > MAX_HELD_BYTES) this.overflow(side, half, timeNs);
        return;
      }
      input.bytes = half.held;
      input.start = 0;
      input.end = half.heldLength;
      input.freshFrom = wasHeld;
      input.heldTimeNs = half.heldTimeNs;
      input.heldSegment = half.heldSegment;
    } else {
      input.bytes = bytes;
      input.start = start;
      input.end = end;
      input.freshFrom = start;
      input.heldTimeNs = timeNs;
      input.heldSegment = half.segments;
    }
    input.direction = (side ^ this.clientSide) as Direction;
    input.timeNs = timeNs;
    input.segment = half.segments;
    input.need = 0;
    const total = input.end;
    const from = input.start;
    this.feeding = true;
    const consumed = this.decoder!.data(input);
    this.feeding = false;
    // Below 0 where bytes that came earlier turn out to be none of the protocol's.
    const decoded = consumed - from - this.undecoded;
    if (decoded !== 0)
      this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.decodedBytes, decoded);
    if (wasHeld > 0) {
      if (consumed >= wasHeld) {
        half.heldTimeNs = timeNs;
        half.heldSegment = half.segments;
      }
      half.keep(consumed);
    } else if (consumed < total) {
      half.hold(bytes, consumed, end);
      half.heldTimeNs = timeNs;
      half.heldSegment = half.segments;
    }
    half.need = input.need;
    if (this.undecoded > 0 || this.handedOver !== null) this.afterDecoder();
    if (half.heldLength > MAX_HELD_BYTES && this.mode === Mode.DECODE) this.overflow(side, half, timeNs);
  }

  /** The decoder wants more than is ever held: what is held goes, and it looks for the next message. */
  private overflow(side: Side, half: Half, timeNs: number): void {
    const held = half.heldLength;
    half.clear();
    this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.undecodableBytes, held);
    this.decoder!.gap((side ^ this.clientSide) as Direction, 0, held, timeNs);
    this.afterDecoder();
  }

  private afterDecoder(): void {
    if (this.undecoded > 0) {
      this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.undecodableBytes, this.undecoded);
      this.undecoded = 0;
    }
    const to = this.handedOver;
    if (to === null) return;
    this.handedOver = null;
    this.decoder = null;
    const next = this.candidates.find((candidate) => candidate.name === to);
    if (next !== undefined) {
      this.decide(next, this.clientSide);
    } else if (to === 'detect') {
      this.mode = Mode.DETECT;
      this.protocol = null;
      this.endpoints = null;
      this.probes = 0;
      this.lastSide = -1;
      this.half0.fromStart = true;
      this.half1.fromStart = true;
    } else {
      this.skip(to === 'tls' ? Count.skippedTls : Count.skippedOpaque);
    }
    const { upgraded } = this;
    if (upgraded !== null) {
      this.upgraded = null;
      const decoder = this.decoder as Decoder | null;
      if (decoder?.adopt === undefined) this.pool.release(upgraded.exchange);
      else decoder.adopt(upgraded);
    }
    this.replay(0, this.half0);
    this.replay(1, this.half1);
  }

  private skip(count: Count): void {
    this.mode = Mode.SKIP;
    this.skipCount = count;
  }

  /** Passes what a side has held to what the connection is now. */
  private replay(side: Side, half: Half): void {
    if (half.heldLength === 0) return;
    const bytes = half.held.slice(0, half.heldLength);
    const { heldTimeNs, segments } = half;
    half.clear();
    half.segments = half.heldSegment;
    this.piece(side, half, bytes, 0, bytes.length, heldTimeNs);
    half.segments = segments;
  }

  private detect(
    side: Side,
    half: Half,
    bytes: Uint8Array,
    start: number,
    end: number,
    timeNs: number,
  ): void {
    const turned = this.lastSide !== side;
    this.lastSide = side;
    if (half.heldLength === 0) {
      // A message that detection gave up goes on until the other side speaks.
      const due =
        half.fromStart || half.again || (turned && (this.probes < EAGER_PROBES || (this.probes & 15) === 0));
      if (turned) this.probes++;
      if (!due) {
        this.settings.ledger.add(Count.skippedUndetected, end - start);
        this.pass(side, half, end - start);
        return;
      }
      half.heldTimeNs = timeNs;
      half.heldSegment = half.segments;
      half.firstBytes = half.again ? 0 : end - start;
    }
    let from = start;
    let to = end;
    let all = bytes;
    const held = half.heldLength;
    const borrowed = held === 0;
    if (!borrowed) {
      half.hold(bytes, start, end);
      all = half.held;
      from = 0;
      to = half.heldLength;
    }
    if (looksLikeTls(all, from, to)) {
      this.skip(Count.skippedTls);
      if (borrowed) this.settings.ledger.add(Count.skippedTls, end - start);
      this.settings.ledger.add(Count.skippedTls, this.half0.heldLength + this.half1.heldLength);
      this.half0.clear();
      this.half1.clear();
      return;
    }
    context.side = side;
    context.fromStart = half.fromStart;
    context.sourcePort = side === 0 ? this.flow.port0 : this.flow.port1;
    context.destinationPort = side === 0 ? this.flow.port1 : this.flow.port0;
    let more = false;
    for (const candidate of this.candidates) {
      const verdict = candidate.probe(all, from, to, context);
      if (verdict === Verdict.MORE) more = true;
      if (verdict === Verdict.CLIENT || verdict === Verdict.SERVER) {
        // What was held goes first, with its own time.
        half.heldLength = held;
        this.decide(candidate, (verdict === Verdict.CLIENT ? side : side ^ 1) as Side);
        const other = side === 0 ? this.half1 : this.half0;
        if (other.heldTimeNs <= half.heldTimeNs) this.replay((side ^ 1) as Side, other);
        this.tellPassed(side, half, timeNs);
        this.replay(side, half);
        this.tellPassed((side ^ 1) as Side, other, timeNs);
        this.piece(side, half, bytes, start, end, timeNs);
        this.replay((side ^ 1) as Side, other);
        return;
      }
    }
    if (more && to - from <= MAX_PROBE_BYTES) {
      if (borrowed) {
        half.hold(bytes, start, end);
        (side === 0 ? this.half1 : this.half0).passed = 0;
      }
      return;
    }
    if (half.firstBytes === 1 && held > 0) {
      // It may have been a keep-alive probe, whose byte was sent before the capture began.
      const rest = all.slice(from + 1, to);
      half.clear();
      this.settings.ledger.add(Count.skippedUndetected, 1);
      half.again = true;
      this.detect(side, half, rest, 0, rest.length, timeNs);
      return;
    }
    half.clear();
    half.again = false;
    half.fromStart = false;
    this.settings.ledger.add(Count.skippedUndetected, to - from);
    this.pass(side, half, to - from);
  }

  /** Bytes are not for any decoder. */
  private pass(side: Side, half: Half, length: number): void {
    if ((side === 0 ? this.half1 : this.half0).heldLength > 0) half.passed += length;
  }

  /** To a decoder that had what the other side sent before them, they are lost. */
  private tellPassed(side: Side, half: Half, timeNs: number): void {
    const { passed } = half;
    half.passed = 0;
    if (passed === 0 || this.mode !== Mode.DECODE || this.decoder === null) return;
    this.decoder.gap((side ^ this.clientSide) as Direction, passed, 0, timeNs);
    this.afterDecoder();
  }

  private decide(protocol: StreamProtocol, clientSide: Side): void {
    this.clientSide = clientSide;
    // What is lost, or was not understood, before the protocol is known is as if it was sent before the capture.
    this.fromStart = this.flow.sideKnown && this.half0.fromStart && this.half1.fromStart;
    this.protocol = protocol;
    this.protocolIndex = this.settings.indexOf.get(protocol.name)!;
    this.mode = Mode.DECODE;
    this.endpoints = null;
    this.decoder = protocol.create(this, this.settings.options);
    this.settings.ledger.addProtocol(this.protocolIndex, ProtocolCount.connections, 1);
  }

  private makeEndpoints(): Endpoints {
    const { flow } = this;
    const { ipVersion } = flow;
    const clientIs0 = this.clientSide === 0;
    const client = clientIs0 ? flow.address0 : flow.address1;
    const server = clientIs0 ? flow.address1 : flow.address0;
    const endpoints = new Endpoints(TRANSPORT_TCP);
    endpoints.setClient(ipVersion, client[0], client[1], client[2], client[3], this.clientPort);
    endpoints.setServer(ipVersion, server[0], server[1], server[2], server[3], this.serverPort);
    endpoints.identify(this.settings.clock.baseSeconds, flow.firstTimeNs);
    return endpoints;
  }
}
