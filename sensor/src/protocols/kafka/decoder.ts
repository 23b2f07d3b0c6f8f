/**
 * Requests and responses of Kafka, paired by correlation id.
 *
 * The first part of a message is held and read; what is beyond is stepped over. Counts that the rest would
 * have decided are then left out.
 */
import { encodeString, KafkaTag, RoundTripTag, StatusValue } from '@packetd/proto';
import { type Connection, type Decoder, type DecoderOptions, Direction, type Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { TraceReader } from '../trace-context.js';
import {
  type ApiShape,
  apiOf,
  Key,
  MAX_MESSAGE_BYTES,
  REQUEST_HEADER_BYTES,
  requestAt,
  type Version,
} from './apis.js';
import { errorName } from './layouts.js';
import { readTrace } from './records.js';
import { int16, int32, Walker } from './walker.js';

/** Bytes of a message that are read. */
const MAX_READ_BYTES = 256 << 10;
/** size (4), correlation id (4). */
const RESPONSE_HEADER_BYTES = 8;
const MAX_ERROR_TYPES = 256;
const CODECS = ['', 'gzip', 'snappy', 'lz4', 'zstd'].map((codec) =>
  encodeString(KafkaTag.compression, codec),
);

/** A request that waits. */
interface Pending {
  readonly exchange: Exchange;
  readonly api: ApiShape;
  readonly version: Version;
  readonly key: number;
}

/** A message whose end is still to come. */
interface Running {
  left: number;
  exchange: Exchange | null;
  /** Status that the record gets when the message is whole; 0 keeps it waiting. */
  status: number;
}

const walker = new Walker();
const trace = new TraceReader();
const errorTypes = new Map<number, { type: Uint8Array; code: Uint8Array }>();

export class KafkaDecoder implements Decoder {
  private readonly pending = new Map<number, Pending>();
  private readonly running: readonly [Running, Running] = [
    { left: 0, exchange: null, status: 0 },
    { left: 0, exchange: null, status: 0 },
  ];
  private readonly lost = [false, false];
  /** SaslHandshake version 0 was answered: bare tokens follow, which are no requests. */
  private rawTokens = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {}

  data(input: Input): number {
    const { direction, bytes, end } = input;
    const running = this.running[direction];
    let at = input.start;
    while (at < end) {
      if (running.left > 0) {
        const take = Math.min(running.left, end - at);
        running.left -= take;
        at += take;
        if (running.exchange !== null) count(running.exchange, direction, take);
        if (running.left === 0)
          this.messageEnds(running, direction, input.timeAt(at - 1), input.segmentAt(at - 1));
        continue;
      }
      if (this.lost[direction]) {
        const found =
          direction === Direction.CLIENT ? findRequest(bytes, at, end) : this.findResponse(bytes, at, end);
        const stop = found < 0 ? ~found : found;
        this.connection.undecodable(stop - at);
        at = stop;
        if (found < 0) return at;
        this.lost[direction] = false;
      }
      if (end - at < RESPONSE_HEADER_BYTES) return at;
      const size = int32(bytes, at);
      if (size < 0 || size > MAX_MESSAGE_BYTES) {
        this.lose(direction);
        this.connection.undecodable(1);
        at++;
        continue;
      }
      const need = Math.min(size + 4, MAX_READ_BYTES);
      if (end - at < need) {
        input.need = need;
        return at;
      }
      const stop = at + 4 + size;
      const seen = Math.min(stop, end, at + MAX_READ_BYTES);
      const taken =
        direction === Direction.CLIENT
          ? this.request(input, running, at, seen, stop)
          : this.response(input, running, at, seen);
      if (!taken) {
        this.lose(direction);
        this.connection.undecodable(1);
        at++;
        continue;
      }
      if (running.exchange !== null) count(running.exchange, direction, seen - at);
      running.left = stop - seen;
      if (running.left === 0)
        this.messageEnds(running, direction, input.timeAt(seen - 1), input.segmentAt(seen - 1));
      at = seen;
    }
    return at;
  }

  gap(direction: Direction, length: number, heldBytes: number, timeNs: number): void {
    const running = this.running[direction];
    if (length > 0 && heldBytes === 0 && running.left >= length) {
      running.left -= length;
      if (running.exchange !== null) {
        running.exchange.missingBytes += length;
        count(running.exchange, direction, length);
      }
      if (running.left === 0) this.messageEnds(running, direction, timeNs, -1);
      return;
    }
    this.lose(direction);
  }

  fin(): void {}

  close(status: number): void {
    for (const running of this.running) this.giveUp(running);
    for (const { exchange } of this.pending.values()) {
      const doubtful = exchange.status === StatusValue.INCOMPLETE && status === StatusValue.NO_RESPONSE;
      this.finish(exchange, doubtful ? StatusValue.INCOMPLETE : status);
    }
    this.pending.clear();
  }

  private lose(direction: Direction): void {
    this.giveUp(this.running[direction]);
    this.lost[direction] = true;
    // Their answers may be what was lost.
    if (direction === Direction.SERVER) {
      for (const { exchange } of this.pending.values()) exchange.status = StatusValue.INCOMPLETE;
    }
  }

  private giveUp(running: Running): void {
    const { exchange } = running;
    running.left = 0;
    running.exchange = null;
    if (exchange === null) return;
    for (const [id, pending] of this.pending) if (pending.exchange === exchange) this.pending.delete(id);
    this.finish(exchange, StatusValue.INCOMPLETE);
  }

  /** A request whose first bytes are [at, seen). False where it is none. */
  private request(input: Input, running: Running, at: number, seen: number, stop: number): boolean {
    const { bytes } = input;
    running.exchange = null;
    running.status = 0;
    if (requestAt(bytes, at, seen) !== 1) return this.rawTokens;
    const key = int16(bytes, at + 4);
    const versionNumber = int16(bytes, at + 6);
    const id = int32(bytes, at + 8);
    const api = apiOf(key)!;
    const version = api.versions[versionNumber];
    const exchange = this.connection.pool.take();
    exchange.requestStartNs = input.timeAt(at);
    exchange.requestEndNs = exchange.requestStartNs;
    exchange.requestFirstSegment = input.segmentAt(at);
    const { detail } = exchange;
    exchange.envelope.raw(api.operation);
    detail.raw(api.detail);
    detail.int(KafkaTag.apiVersion, versionNumber);
    detail.int(KafkaTag.correlationId, id);
    const clientLength = int16(bytes, at + 12);
    let body = at + REQUEST_HEADER_BYTES + Math.max(0, clientLength);
    if (clientLength > 0) detail.text(KafkaTag.clientId, bytes, at + REQUEST_HEADER_BYTES, body);
    if (version.flexible) body++;
    running.exchange = exchange;
    let answered = true;
    if (version.request !== null) {
      walker.walk(version.request, bytes, body, seen);
      this.writeRequest(exchange, key, seen === stop);
      answered = !(key === Key.PRODUCE && walker.acks === 0);
    }
    if (!answered) {
      running.status = StatusValue.OK;
      return true;
    }
    if (this.pending.size >= this.options.maxPending) {
      running.status = StatusValue.INCOMPLETE;
      return true;
    }
    const older = this.pending.get(id);
    if (older !== undefined) this.finish(older.exchange, StatusValue.INCOMPLETE);
    this.pending.set(id, { exchange, api, version, key });
    return true;
  }

  private writeRequest(exchange: Exchange, key: number, whole: boolean): void {
    const { detail, envelope } = exchange;
    if (walker.malformed && whole) return;
    const { topics, partitions, bytes } = walker;
    for (const topic of topics) detail.text(KafkaTag.topics, topic, 0, topic.length);
    detail.uintNonZero(KafkaTag.topicCount, walker.topicCount);
    if (walker.topicCount === 1 && topics.length === 1)
      envelope.text(RoundTripTag.target, topics[0], 0, topics[0].length);
    if (partitions.length > 0) {
      const mark = detail.begin(KafkaTag.partitions);
      for (const partition of partitions) {
        detail.reserve(10);
        detail.varint(Math.max(0, partition));
      }
      detail.end(mark);
    }
    if (walker.groupEnd > walker.groupStart)
      detail.text(KafkaTag.consumerGroup, bytes, walker.groupStart, walker.groupEnd);
    if (walker.transactionEnd > walker.transactionStart) {
      detail.text(KafkaTag.transactionalId, bytes, walker.transactionStart, walker.transactionEnd);
    }
    if (!Number.isNaN(walker.acks)) detail.int(KafkaTag.acks, walker.acks);
    this.writeRecords(exchange);
    if (key !== Key.PRODUCE || walker.firstRecord < 0) return;
    readTrace(trace, bytes, walker.firstRecord, walker.firstRecordEnd);
    trace.write(envelope);
  }

  private writeRecords(exchange: Exchange): void {
    if (!walker.hasRecords) return;
    const { detail } = exchange;
    if (!walker.recordsUncertain && walker.complete) detail.uint(KafkaTag.recordCount, walker.records);
    if (walker.complete) detail.uint(KafkaTag.recordBytes, walker.recordBytes);
    if (walker.codec > 0 && walker.codec < CODECS.length) detail.raw(CODECS[walker.codec]);
  }

  /** A response whose first bytes are [at, seen). False where it answers nothing that is known of. */
  private response(input: Input, running: Running, at: number, seen: number): boolean {
    const { bytes } = input;
    running.exchange = null;
    const id = int32(bytes, at + 4);
    const pending = this.pending.get(id);
    // An answer to a request that was not seen, or a bare token.
    if (pending === undefined) return true;
    this.pending.delete(id);
    const { exchange, version, key, api } = pending;
    exchange.responseStartNs = input.timeAt(at);
    exchange.responseFirstSegment = input.segmentAt(at);
    running.exchange = exchange;
    running.status = StatusValue.OK;
    let body = at + RESPONSE_HEADER_BYTES;
    if (version.taggedResponse) {
      // No tagged fields are defined for the response header so far.
      body++;
    }
    let layout = version.response;
    if (key === Key.API_VERSIONS && body + 2 <= seen && int16(bytes, body) === UNSUPPORTED_VERSION) {
      // A broker that does not know the version answers as version 0.
      layout = api.versions[0].response;
    }
    if (layout === null) return true;
    walker.walk(layout, bytes, body, seen);
    if (walker.malformed) return true;
    exchange.detail.uintNonZero(KafkaTag.throttleMs, walker.throttle);
    this.writeRecords(exchange);
    if (key === Key.SASL_HANDSHAKE && version === api.versions[0] && walker.error === 0)
      this.rawTokens = true;
    if (walker.error === 0) return true;
    const error = errorOf(walker.error);
    exchange.detail.raw(error.code);
    exchange.envelope.raw(error.type);
    running.status = StatusValue.ERROR;
    return true;
  }

  private messageEnds(running: Running, direction: Direction, timeNs: number, segment: number): void {
    const { exchange, status } = running;
    running.exchange = null;
    if (exchange === null) return;
    if (direction === Direction.CLIENT) {
      exchange.requestEndNs = timeNs;
      if (segment >= 0) exchange.requestLastSegment = segment;
    } else {
      exchange.responseEndNs = timeNs;
      if (segment >= 0) exchange.responseLastSegment = segment;
    }
    if (status !== 0) this.finish(exchange, status);
  }

  /** Position of a size and a correlation id that is waited for; else ~position to keep bytes from. */
  private findResponse(bytes: Uint8Array, start: number, end: number): number {
    for (let at = start; at + RESPONSE_HEADER_BYTES <= end; at++) {
      const size = int32(bytes, at);
      if (size >= 4 && size <= MAX_MESSAGE_BYTES && this.pending.has(int32(bytes, at + 4))) return at;
    }
    return ~Math.max(start, end - RESPONSE_HEADER_BYTES + 1);
  }

  private finish(exchange: Exchange, status: number): void {
    exchange.status = status;
    this.connection.emit(exchange);
  }
}

const UNSUPPORTED_VERSION = 35;

function errorOf(code: number): { type: Uint8Array; code: Uint8Array } {
  let known = errorTypes.get(code);
  if (known === undefined) {
    const name = errorName(code);
    known = {
      type: encodeString(RoundTripTag.errorType, name),
      code: encodeString(KafkaTag.errorCode, name),
    };
    if (errorTypes.size < MAX_ERROR_TYPES) errorTypes.set(code, known);
  }
  return known;
}

/** Position of the next request header; else ~position from which on bytes must be kept. */
function findRequest(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    // Requests of more than 16 MB are not looked for: any byte may be the first of such a size.
    if (bytes[at] !== 0) continue;
    const found = requestAt(bytes, at, end);
    if (found === 1 && int16(bytes, at + 12) >= 0) return at;
    if (found === 0 && end - at < REQUEST_HEADER_BYTES) return ~at;
  }
  return ~end;
}

function count(exchange: Exchange, direction: Direction, bytes: number): void {
  if (direction === Direction.CLIENT) exchange.requestBytes += bytes;
  else exchange.responseBytes += bytes;
}
