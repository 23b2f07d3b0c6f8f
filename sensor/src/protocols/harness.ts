/**
 * Runs one decoder over a conversation, for tests: pieces of either direction in, decoded records
 * out. Only tests import it.
 */
import { create, fromBinary } from '@bufbuild/protobuf';
import { StatusValue, WireWriter } from '@packetd/proto';
import { EndpointSchema, type RoundTrip, RoundTripSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import {
  type Connection,
  DEFAULT_DECODER_OPTIONS,
  type Decoder,
  type DecoderOptions,
  type Direction,
  Input,
  type StreamProtocol,
} from './decoder.js';
import { type Exchange, ExchangePool } from './exchange.js';

/** A piece of the conversation: bytes (a string is Latin-1), a gap, or the end of one side. */
export type Step =
  | { from: Direction; bytes: Uint8Array | string; timeNs?: number }
  | { from: Direction; gap: number; timeNs?: number }
  | { from: Direction; fin: true; timeNs?: number };

/** What a conversation led to. `closed` is the status given to `close`; 0 leaves the connection open. */
export interface Outcome {
  records: RoundTrip[];
  /** Of each record, when its request began and ended, and its response; -1 where it did not. */
  timesNs: [number, number, number, number][];
  undecodable: number;
  handOvers: string[];
}

/** How to cut the bytes of a step: whole, one by one, or at the given positions. */
export type Cut = 'whole' | 'bytes' | ((length: number) => number[]);

export function converse(
  protocol: StreamProtocol,
  steps: readonly Step[],
  settings: {
    cut?: Cut;
    options?: Partial<DecoderOptions>;
    close?: number | null;
    fromStart?: boolean;
  } = {},
): Outcome {
  const outcome: Outcome = { records: [], timesNs: [], undecodable: 0, handOvers: [] };
  const connection = new TestConnection(protocol, outcome, settings.fromStart ?? true);
  const decoder = protocol.create(connection, { ...DEFAULT_DECODER_OPTIONS, ...settings.options });
  const feeds = [new Feed(decoder, 0), new Feed(decoder, 1)];
  let timeNs = 0;
  for (const step of steps) {
    timeNs = step.timeNs ?? timeNs + 1e6;
    const feed = feeds[step.from];
    if ('gap' in step) feed.gap(step.gap, timeNs);
    else if ('fin' in step) decoder.fin(step.from, feed.held.length, timeNs);
    else {
      const bytes = typeof step.bytes === 'string' ? Buffer.from(step.bytes, 'latin1') : step.bytes;
      for (const piece of pieces(bytes, settings.cut ?? 'whole')) {
        if (outcome.handOvers.length > 0) break;
        feed.data(piece, timeNs);
      }
    }
  }
  const close = settings.close === undefined ? StatusValue.NO_RESPONSE : settings.close;
  if (close !== null && outcome.handOvers.length === 0) decoder.close(close, timeNs + 1e6);
  return outcome;
}

/** Like the connection layer: keeps what a decoder did not consume. */
class Feed {
  held = new Uint8Array(0);
  private need = 0;
  private heldTimeNs = 0;
  private heldSegment = 0;
  private segment = 0;
  private readonly input = new Input();

  constructor(
    private readonly decoder: Decoder,
    private readonly direction: Direction,
  ) {}

  data(piece: Uint8Array, timeNs: number): void {
    const bytes = new Uint8Array(this.held.length + piece.length);
    bytes.set(this.held);
    bytes.set(piece, this.held.length);
    const segment = this.segment++;
    if (this.held.length === 0) {
      this.heldTimeNs = timeNs;
      this.heldSegment = segment;
    }
    if (bytes.length < this.need) {
      this.held = bytes;
      return;
    }
    const input = this.input;
    input.direction = this.direction;
    input.bytes = bytes;
    input.start = 0;
    input.end = bytes.length;
    input.timeNs = timeNs;
    input.freshFrom = this.held.length;
    input.heldTimeNs = this.heldTimeNs;
    input.segment = segment;
    input.heldSegment = this.heldSegment;
    input.need = 0;
    const consumed = this.decoder.data(input);
    if (!(consumed >= 0 && consumed <= bytes.length))
      throw new Error(`consumed ${consumed} of ${bytes.length}`);
    if (consumed >= this.held.length) {
      this.heldTimeNs = timeNs;
      this.heldSegment = segment;
    }
    this.held = bytes.slice(consumed);
    this.need = input.need;
  }

  gap(length: number, timeNs: number): void {
    const heldBytes = this.held.length;
    this.held = new Uint8Array(0);
    this.need = 0;
    this.decoder.gap(this.direction, length, heldBytes, timeNs);
  }
}

class TestConnection implements Connection {
  readonly pool = new ExchangePool();
  readonly clientPort = 40000;
  readonly serverPort: number;

  constructor(
    private readonly protocol: StreamProtocol,
    private readonly outcome: Outcome,
    readonly fromStart: boolean,
  ) {
    this.serverPort = protocol.ports[0] ?? 1;
  }

  emit(exchange: Exchange): void {
    this.outcome.records.push(
      decodeExchange(exchange, exchange.detailTag === 0 ? this.protocol.detailTag : exchange.detailTag),
    );
    const { requestStartNs, requestEndNs, responseStartNs, responseEndNs } = exchange;
    this.outcome.timesNs.push([requestStartNs, requestEndNs, responseStartNs, responseEndNs]);
    this.pool.release(exchange);
  }

  undecodable(bytes: number): void {
    this.outcome.undecodable += bytes;
  }

  handOver(to: string): void {
    this.outcome.handOvers.push(to);
  }
}

/** The record of an exchange, as far as a decoder decides it: envelope fields, detail, sizes, times and status. */
export function decodeExchange(exchange: Exchange, detailTag: number): RoundTrip {
  const writer = new WireWriter();
  writer.raw(exchange.envelope.bytes, 0, exchange.envelope.length);
  writer.blob(detailTag, exchange.detail.bytes, 0, exchange.detail.length);
  const record = fromBinary(RoundTripSchema, writer.bytes.subarray(0, writer.length));
  record.status = exchange.status;
  record.missingBytes = BigInt(exchange.missingBytes);
  record.client = create(EndpointSchema, { bytes: BigInt(exchange.requestBytes) });
  record.server = create(EndpointSchema, { bytes: BigInt(exchange.responseBytes) });
  return record;
}

function* pieces(bytes: Uint8Array, cut: Cut): Generator<Uint8Array> {
  if (cut === 'whole') {
    yield bytes;
    return;
  }
  const at =
    cut === 'bytes'
      ? Array.from({ length: bytes.length }, (_, i) => i + 1)
      : [...cut(bytes.length), bytes.length];
  let start = 0;
  for (const end of at) {
    if (end > start) yield bytes.subarray(start, end);
    start = end;
  }
}

/** What must not depend on how the stream is cut: all but times. */
export function essence(outcome: Outcome): object {
  return {
    records: outcome.records.map((record) => ({ ...record, $unknown: undefined })),
    undecodable: outcome.undecodable,
    handOvers: outcome.handOvers,
  };
}

/** Decodes a conversation whole, byte by byte and cut at every position; `differs` is told of an outcome that is another. */
export function everyCut(
  protocol: StreamProtocol,
  steps: readonly Step[],
  settings: Parameters<typeof converse>[2],
  differs: (actual: object, expected: object, cut: string) => void,
): Outcome {
  const whole = converse(protocol, steps, settings);
  const expected = essence(whole);
  differs(essence(converse(protocol, steps, { ...settings, cut: 'bytes' })), expected, 'bytes');
  const longest = Math.max(...steps.map((step) => ('bytes' in step ? step.bytes.length : 0)));
  for (let at = 1; at < Math.min(longest, MAX_CUTS); at++) {
    const cut = (length: number) => (at < length ? [at] : []);
    differs(essence(converse(protocol, steps, { ...settings, cut })), expected, `at ${at}`);
  }
  return whole;
}

const MAX_CUTS = 600;

/** A Zstandard frame of one raw block (RFC 8878 section 3.1.1), its size in four bytes. */
export function rawZstd(body: Uint8Array): Buffer {
  const frame = Buffer.alloc(12);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame[4] = 0xa0;
  frame.writeUInt32LE(body.length, 5);
  frame.writeUIntLE((body.length << 3) | 1, 9, 3);
  return Buffer.concat([frame, body]);
}
