/**
 * Turns a finished exchange into the bytes of one RoundTrip, appended to the batch as a field
 * `roundtrips` of RoundTripBatch.
 */
import {
  EndpointTag,
  putPositive,
  putVarint,
  putWriter,
  RoundTripBatchTag,
  RoundTripTag,
  STRIDE_BYTES,
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
const MAX_FRAMING_BYTES = 256 + STRIDE_BYTES;
const MAX_TAG_BYTES = 5;

/** Words that the address and the port of one end take at most. */
const END_WORDS = 8;

/** Who talked: encoded once per connection. It is kept as long as the connection, so it is small. */
export class Endpoints {
  /** Address and port fields of message Endpoint as little-endian words: the client's, then the server's. */
  readonly words = new Int32Array(2 * END_WORDS);
  /** Bytes of them. */
  clientBytes = 0;
  serverBytes = 0;
  /** Hash of the connection and the time it was first seen: the first half of every id. */
  hash0 = 0;
  hash1 = 0;
  /** Records written of this connection so far. */
  emitted = 0;

  constructor(readonly transport: number) {}

  /** The address in the words of a `Packet`. */
  setClient(ipVersion: number, w0: number, w1: number, w2: number, w3: number, port: number): void {
    this.clientBytes = encodeEnd(this.words, 0, ipVersion, w0, w1, w2, w3, port);
  }

  setServer(ipVersion: number, w0: number, w1: number, w2: number, w3: number, port: number): void {
    this.serverBytes = encodeEnd(this.words, END_WORDS, ipVersion, w0, w1, w2, w3, port);
  }

  /** Makes the hashes, of both ends and the time of the first packet. */
  identify(baseSeconds: number, firstTimeNs: number): void {
    let hash0 = mix(this.transport ^ Math.floor(firstTimeNs / 1e9) ^ baseSeconds);
    let hash1 = mix((firstTimeNs % 1e9) + 0x51ed270b);
    for (const word of this.words) {
      hash0 = mix(hash0 ^ word);
      hash1 = mix(Math.imul(hash1, 0x85ebca6b) ^ word);
    }
    this.hash0 = hash0;
    this.hash1 = hash1;
  }
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
      endpoints.words,
      0,
      endpoints.clientBytes,
      exchange.requestBytes,
      exchange.requestFirstSegment,
      exchange.requestLastSegment,
    );
    at = putEndpoint(
      w,
      at,
      RoundTripTag.server,
      endpoints.words,
      END_WORDS,
      endpoints.serverBytes,
      exchange.responseBytes,
      exchange.responseFirstSegment,
      exchange.responseLastSegment,
    );
    at = putUnixNano(w, at, RoundTripTag.startUnixNano, this.clock.baseSeconds, startNs);

    const endNs = Math.max(requestEndNs, responseEndNs, startNs);
    if (endNs > startNs) at = putPositive(w, at, RoundTripTag.durationNano, endNs - startNs);
    if (requestStartNs >= 0) {
      if (requestEndNs > requestStartNs) {
        at = putPositive(w, at, RoundTripTag.waitRequestNano, requestEndNs - requestStartNs);
      }
      if (responseStartNs > requestEndNs && requestEndNs >= 0) {
        at = putPositive(w, at, RoundTripTag.waitServerNano, responseStartNs - requestEndNs);
      }
    }
    if (responseStartNs >= 0 && responseEndNs > responseStartNs) {
      at = putPositive(w, at, RoundTripTag.waitResponseNano, responseEndNs - responseStartNs);
    }
    bytes[at] = RoundTripTag.status;
    bytes[at + 1] = exchange.status;
    at += 2;
    if (exchange.missingBytes > 0) at = putPositive(w, at, RoundTripTag.missingBytes, exchange.missingBytes);
    bytes[at] = RoundTripTag.transport;
    bytes[at + 1] = endpoints.transport;
    at = putWriter(w, at + 2, envelope);
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

const end = new WireWriter(4 * END_WORDS);

/** Puts the fields of one end at `words[from]`; answers how many bytes they are. */
function encodeEnd(
  words: Int32Array,
  from: number,
  ipVersion: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  port: number,
): number {
  end.reset();
  end.varint(EndpointTag.address);
  end.varint(ipVersion === 4 ? 4 : 16);
  if (ipVersion !== 4) {
    end.word(w0);
    end.word(w1);
    end.word(w2);
  }
  end.word(w3);
  end.uintNonZero(EndpointTag.port, port);
  // The rest of the last word.
  end.view.setInt32(end.length, 0);
  for (let i = 0; i < end.length; i += 4) words[from + (i >> 2)] = end.view.getInt32(i, true);
  return end.length;
}

export const TRANSPORT_TCP = TransportValue.TCP;
export const TRANSPORT_UDP = TransportValue.UDP;

/** Endpoint: always under 128 bytes, so its length is one byte. */
function putEndpoint(
  w: WireWriter,
  at: number,
  tag: number,
  words: Int32Array,
  from: number,
  length: number,
  size: number,
  firstSegment: number,
  lastSegment: number,
): number {
  const { bytes, view } = w;
  const mark = at + 2;
  bytes[at] = tag;
  // All of IPv4; more than there is of it is overwritten.
  view.setInt32(mark, words[from], true);
  view.setInt32(mark + 4, words[from + 1], true);
  view.setInt32(mark + 8, words[from + 2], true);
  for (let i = 3; i * 4 < length; i++) view.setInt32(mark + i * 4, words[from + i], true);
  at = mark + length;
  if (size > 0) at = putPositive(w, at, EndpointTag.bytes, size);
  if (firstSegment >= 0 && lastSegment >= firstSegment) {
    at = putPositive(w, at, EndpointTag.packets, lastSegment - firstSegment + 1);
  }
  bytes[mark - 1] = at - mark;
  return at;
}

/** Finaliser of MurmurHash3, 32 bit. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
