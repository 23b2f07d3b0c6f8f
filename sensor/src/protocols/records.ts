/**
 * Turns a finished exchange into the bytes of one RoundTrip, appended to the batch as a field
 * `roundtrips` of RoundTripBatch.
 */
import {
  EndpointTag,
  putField,
  putVarint,
  putWriter,
  RoundTripBatchTag,
  RoundTripTag,
  TransportValue,
  WireWriter,
} from '@packetd/proto';
import type { Clock } from '../capture/engine.js';
import type { Exchange } from './exchange.js';

/** Takes full batches. `bytes[0, length)` is borrowed until the call returns. */
export interface BatchOutput {
  batch(bytes: Uint8Array, length: number, records: number): void;
  /** Null when the next batch may come, else what resolves then; without it, it always may. */
  ready?(): Promise<void> | null;
}

/** A batch is handed on when it is this large. */
const BATCH_BYTES = 256 << 10;
/** Room for all of a record but its envelope and detail: ids, endpoints, times and sizes, each at its longest. */
const MAX_FRAMING_BYTES = 256;
const MAX_TAG_BYTES = 5;

/** Who talked: encoded once per connection by `encodeEndpoint`. */
export interface Endpoints {
  /** Address and port fields of message Endpoint. */
  readonly client: WireWriter;
  readonly server: WireWriter;
  readonly transport: number;
  /** Hash of the connection and the time it was first seen: the first half of every id. */
  readonly hash0: number;
  readonly hash1: number;
  /** Records written of this connection so far. */
  emitted: number;
}

export class RecordEncoder {
  private readonly writer = new WireWriter(BATCH_BYTES + (64 << 10));
  private records = 0;
  /** Bytes of records handed on so far. */
  bytesOut = 0;

  constructor(
    private readonly clock: Clock,
    private readonly output: BatchOutput,
  ) {}

  /** Records waiting in the batch. */
  get waiting(): number {
    return this.records;
  }

  // Positions are passed along instead of kept in the writer: this is the hottest code of all protocols.
  write(endpoints: Endpoints, exchange: Exchange, detailTag: number): void {
    const w = this.writer;
    const { detail, envelope, requestStartNs, requestEndNs, responseStartNs, responseEndNs } = exchange;
    const before = w.length;
    w.reserve(detail.length + envelope.length + MAX_FRAMING_BYTES);
    const mark = w.begin(RoundTripBatchTag.roundtrips);
    const { bytes } = w;

    const startNs = requestStartNs >= 0 ? requestStartNs : responseStartNs;
    let at = putId(w, mark, endpoints, startNs);
    at = putEndpoint(
      w,
      at,
      RoundTripTag.client,
      endpoints.client,
      exchange.requestBytes,
      packets(exchange.requestFirstSegment, exchange.requestLastSegment),
    );
    at = putEndpoint(
      w,
      at,
      RoundTripTag.server,
      endpoints.server,
      exchange.responseBytes,
      packets(exchange.responseFirstSegment, exchange.responseLastSegment),
    );
    at = putUnixNano(w, at, RoundTripTag.startUnixNano, this.clock.baseSeconds, startNs);

    const endNs = Math.max(requestEndNs, responseEndNs, startNs);
    at = putNonZero(bytes, at, RoundTripTag.durationNano, endNs - startNs);
    if (requestStartNs >= 0) {
      at = putNonZero(bytes, at, RoundTripTag.waitRequestNano, requestEndNs - requestStartNs);
      if (responseStartNs >= 0) {
        at = putNonZero(bytes, at, RoundTripTag.waitServerNano, responseStartNs - requestEndNs);
      }
    }
    if (responseStartNs >= 0) {
      at = putNonZero(bytes, at, RoundTripTag.waitResponseNano, responseEndNs - responseStartNs);
    }
    bytes[at++] = RoundTripTag.status;
    bytes[at++] = exchange.status;
    at = putNonZero(bytes, at, RoundTripTag.missingBytes, exchange.missingBytes);
    bytes[at++] = RoundTripTag.transport;
    bytes[at++] = endpoints.transport;
    at = putWriter(w, at, envelope);
    at = putVarint(bytes, putVarint(bytes, at, detailTag), detail.length);
    w.length = putWriter(w, at, detail);
    w.end(mark);

    endpoints.emitted++;
    this.records++;
    this.bytesOut += w.length - before;
    if (w.length >= BATCH_BYTES) this.flush();
  }

  /** Appends another message to the batch, as the field `tag` of RoundTripBatch. */
  append(tag: number, message: WireWriter): void {
    this.writer.blob(tag, message.bytes, 0, message.length);
    if (this.writer.length >= BATCH_BYTES) this.flush();
  }

  flush(): void {
    if (this.writer.length === 0) return;
    const length = this.writer.length;
    const records = this.records;
    this.writer.length = 0;
    this.records = 0;
    this.output.batch(this.writer.bytes, length, records);
  }
}

function putId({ bytes, view }: WireWriter, at: number, endpoints: Endpoints, startNs: number): number {
  const low = mix((startNs >>> 0) ^ Math.imul(endpoints.emitted + 1, 0x9e3779b1));
  const high = mix(Math.floor(startNs / 0x100000000) ^ low ^ endpoints.emitted);
  bytes[at] = RoundTripTag.id;
  bytes[at + 1] = 16;
  view.setInt32(at + 2, endpoints.hash0);
  view.setInt32(at + 6, endpoints.hash1);
  view.setInt32(at + 10, low ^ endpoints.hash1);
  view.setInt32(at + 14, high ^ endpoints.hash0);
  return at + 18;
}

/** `tag` = (base + whole seconds) · 10⁹ + rest as fixed64, in two halves without BigInt. */
export function writeUnixNano(w: WireWriter, tag: number, baseSeconds: number, timeNs: number): void {
  w.reserve(MAX_TAG_BYTES + 8);
  w.length = putUnixNano(w, w.length, tag, baseSeconds, timeNs);
}

function putUnixNano(w: WireWriter, at: number, tag: number, baseSeconds: number, timeNs: number): number {
  const whole = Math.floor(timeNs / 1e9);
  const seconds = baseSeconds + whole;
  if (seconds !== second) readSecond(seconds);
  const low = secondLow + Math.round(timeNs - whole * 1e9);
  at = putVarint(w.bytes, at, tag);
  w.view.setInt32(at, low | 0, true);
  w.view.setInt32(at + 4, (low < 0x100000000 ? secondHigh : secondHigh + 1) | 0, true);
  return at + 8;
}

/** The second written last, and its nanoseconds since 1970 in two halves. */
let second = 0;
let secondLow = 0;
let secondHigh = 0;

function readSecond(seconds: number): void {
  const upper = Math.floor(seconds / 65536) * 1e9;
  const low = (upper % 65536) * 65536 + (seconds % 65536) * 1e9;
  second = seconds;
  secondLow = low % 0x100000000;
  secondHigh = Math.floor(upper / 65536) + Math.floor(low / 0x100000000);
}

/** Address and port fields of message Endpoint, from the words of a `Packet`, in place of what `into` held. */
export function encodeEndpoint(
  into: WireWriter,
  ipVersion: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  port: number,
): WireWriter {
  into.reset();
  into.varint(EndpointTag.address);
  into.varint(ipVersion === 4 ? 4 : 16);
  if (ipVersion !== 4) {
    into.word(w0);
    into.word(w1);
    into.word(w2);
  }
  into.word(w3);
  into.uintNonZero(EndpointTag.port, port);
  return into;
}

export function makeEndpoints(
  client: WireWriter,
  server: WireWriter,
  transport: number,
  baseSeconds: number,
  firstTimeNs: number,
): Endpoints {
  let hash0 = mix(transport ^ Math.floor(firstTimeNs / 1e9) ^ baseSeconds);
  let hash1 = mix((firstTimeNs % 1e9) + 0x51ed270b);
  for (const { bytes, length } of [client, server]) {
    for (let i = 0; i < length; i++) {
      hash0 = Math.imul(hash0 ^ bytes[i], 0x01000193);
      hash1 = Math.imul(hash1 ^ bytes[i], 0x85ebca6b) ^ (hash1 >>> 13);
    }
  }
  return { client, server, transport, hash0: mix(hash0), hash1: mix(hash1), emitted: 0 };
}

export const TRANSPORT_TCP = TransportValue.TCP;
export const TRANSPORT_UDP = TransportValue.UDP;

function packets(first: number, last: number): number {
  return first < 0 ? 0 : last - first + 1;
}

/** Endpoint: always under 128 bytes, so its length is one byte. */
function putEndpoint(
  w: WireWriter,
  at: number,
  tag: number,
  encoded: WireWriter,
  size: number,
  count: number,
): number {
  const { bytes } = w;
  const mark = at + 2;
  bytes[at] = tag;
  at = putWriter(w, mark, encoded);
  at = putNonZero(bytes, at, EndpointTag.bytes, size);
  at = putNonZero(bytes, at, EndpointTag.packets, count);
  bytes[mark - 1] = at - mark;
  return at;
}

/** A varint field, left out when 0 (or less) as proto3 does for fields without presence. */
function putNonZero(bytes: Uint8Array, at: number, tag: number, value: number): number {
  return value > 0 ? putField(bytes, at, tag, value) : at;
}

/** Finaliser of MurmurHash3, 32 bit. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
