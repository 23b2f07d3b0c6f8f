/**
 * Turns a finished exchange into the bytes of one RoundTrip, appended to the batch as a field
 * `roundtrips` of RoundTripBatch.
 */
import { EndpointTag, RoundTripBatchTag, RoundTripTag, TransportValue, WireWriter } from '@packetd/proto';
import type { Clock } from '../capture/engine.js';
import type { Exchange } from './exchange.js';

/** Takes full batches. `bytes[0, length)` is borrowed until the call returns. */
export interface BatchOutput {
  batch(bytes: Uint8Array, length: number, records: number): void;
}

/** A batch is handed on when it is this large. */
const BATCH_BYTES = 256 << 10;

/** Who talked: encoded once per connection by `encodeEndpoint`. */
export interface Endpoints {
  /** Address and port fields of message Endpoint. */
  readonly client: Uint8Array;
  readonly server: Uint8Array;
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

  write(endpoints: Endpoints, exchange: Exchange, detailTag: number): void {
    const w = this.writer;
    const before = w.length;
    w.reserve(exchange.detail.length + exchange.envelope.length + 256);
    const mark = w.begin(RoundTripBatchTag.roundtrips);

    const startNs = exchange.requestStartNs >= 0 ? exchange.requestStartNs : exchange.responseStartNs;
    this.id(endpoints, startNs);
    endpoint(
      w,
      RoundTripTag.client,
      endpoints.client,
      exchange.requestBytes,
      packets(exchange.requestFirstSegment, exchange.requestLastSegment),
    );
    endpoint(
      w,
      RoundTripTag.server,
      endpoints.server,
      exchange.responseBytes,
      packets(exchange.responseFirstSegment, exchange.responseLastSegment),
    );
    writeUnixNano(w, RoundTripTag.startUnixNano, this.clock.baseSeconds, startNs);

    const endNs = Math.max(exchange.requestEndNs, exchange.responseEndNs, startNs);
    w.uintNonZero(RoundTripTag.durationNano, endNs - startNs);
    if (exchange.requestStartNs >= 0) {
      w.uintNonZero(RoundTripTag.waitRequestNano, exchange.requestEndNs - exchange.requestStartNs);
      if (exchange.responseStartNs >= 0) {
        w.uintNonZero(RoundTripTag.waitServerNano, exchange.responseStartNs - exchange.requestEndNs);
      }
    }
    if (exchange.responseStartNs >= 0) {
      w.uintNonZero(RoundTripTag.waitResponseNano, exchange.responseEndNs - exchange.responseStartNs);
    }
    w.uint(RoundTripTag.status, exchange.status);
    w.uintNonZero(RoundTripTag.missingBytes, exchange.missingBytes);
    w.uint(RoundTripTag.transport, endpoints.transport);
    w.raw(exchange.envelope.bytes, 0, exchange.envelope.length);
    w.blob(detailTag, exchange.detail.bytes, 0, exchange.detail.length);
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

  private id(endpoints: Endpoints, startNs: number): void {
    const w = this.writer;
    w.varint(RoundTripTag.id);
    w.varint(16);
    const low = mix((startNs >>> 0) ^ Math.imul(endpoints.emitted + 1, 0x9e3779b1));
    const high = mix(Math.floor(startNs / 0x100000000) ^ low ^ endpoints.emitted);
    word(w, endpoints.hash0);
    word(w, endpoints.hash1);
    word(w, low ^ endpoints.hash1);
    word(w, high ^ endpoints.hash0);
  }
}

/** `tag` = (base + whole seconds) · 10⁹ + rest as fixed64, in two halves without BigInt. */
export function writeUnixNano(w: WireWriter, tag: number, baseSeconds: number, timeNs: number): void {
  const whole = Math.floor(timeNs / 1e9);
  const seconds = baseSeconds + whole;
  const upper = Math.floor(seconds / 65536) * 1e9;
  const low = (upper % 65536) * 65536 + (seconds % 65536) * 1e9 + Math.round(timeNs - whole * 1e9);
  w.fixed64(tag, low >>> 0, Math.floor(upper / 65536) + Math.floor(low / 0x100000000));
}

/** Address and port fields of message Endpoint, from the words of a `Packet`. */
export function encodeEndpoint(
  ipVersion: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  port: number,
): Uint8Array {
  const w = new WireWriter(32);
  const words = ipVersion === 4 ? [w3] : [w0, w1, w2, w3];
  w.varint(EndpointTag.address);
  w.varint(words.length * 4);
  for (const value of words) {
    w.bytes[w.length++] = value >>> 24;
    w.bytes[w.length++] = value >>> 16;
    w.bytes[w.length++] = value >>> 8;
    w.bytes[w.length++] = value;
  }
  w.uintNonZero(EndpointTag.port, port);
  return w.bytes.slice(0, w.length);
}

export function makeEndpoints(
  client: Uint8Array,
  server: Uint8Array,
  transport: number,
  baseSeconds: number,
  firstTimeNs: number,
): Endpoints {
  let hash0 = mix(transport ^ Math.floor(firstTimeNs / 1e9) ^ baseSeconds);
  let hash1 = mix((firstTimeNs % 1e9) + 0x51ed270b);
  for (const part of [client, server]) {
    for (const byte of part) {
      hash0 = Math.imul(hash0 ^ byte, 0x01000193);
      hash1 = Math.imul(hash1 ^ byte, 0x85ebca6b) ^ (hash1 >>> 13);
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
function endpoint(w: WireWriter, tag: number, encoded: Uint8Array, bytes: number, count: number): void {
  w.varint(tag);
  const mark = ++w.length;
  w.raw(encoded);
  w.uintNonZero(EndpointTag.bytes, bytes);
  w.uintNonZero(EndpointTag.packets, count);
  w.bytes[mark - 1] = w.length - mark;
}

function word(w: WireWriter, value: number): void {
  const bytes = w.bytes;
  const at = w.length;
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  w.length = at + 4;
}

/** Finaliser of MurmurHash3, 32 bit. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
