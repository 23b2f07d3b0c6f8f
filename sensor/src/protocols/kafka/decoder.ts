/**
 * Pairs Kafka requests with their responses by correlation id.
 *
 * Messages are walked as they come: nothing but a header, a string or a batch header is ever held. What a
 * lost segment costs: inside record data or another skipped field nothing but `missingBytes`; elsewhere in a
 * message the fields behind it. Where whole messages are lost, each direction looks for the next one by
 * itself.
 *
 * SaslHandshake version 0 is followed by tokens that have a size and nothing else; they are passed over until
 * the next request.
 */
import { KafkaTag, StatusValue } from '@packetd/proto';
import { type Connection, type Decoder, type DecoderOptions, Direction, type Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { TraceReader } from '../trace-context.js';
import { type Api, api } from './apis.js';
import { Batches } from './batches.js';
import { UNSUPPORTED_VERSION } from './errors.js';
import { Fields } from './fields.js';
import { Match, matchRequest } from './header.js';
import { PendingRequests } from './pending.js';
import { findMessage } from './resync.js';
import { Walk, Walker } from './walker.js';
import {
  ApiKey,
  int16,
  int32,
  MAX_API_KEY,
  MAX_API_VERSION,
  MAX_MESSAGE_BYTES,
  REQUEST_HEADER_BYTES,
  RESPONSE_HEADER_BYTES,
  SIZE_BYTES,
} from './wire.js';

/** Longest SASL token (`sasl.server.max.receive.size` is 512 KiB). */
const MAX_TOKEN_BYTES = 1 << 19;

/** The running message of one direction. */
class Message {
  /** Bytes that are to come; 0 between messages. */
  left = 0;
  exchange: Exchange | null = null;
  api: Api = api(0);
  version = 0;
  correlationId = 0;
  /** Its program is walked. */
  walking = false;
  /** A hole took bytes that matter. */
  damaged = false;
  /** The next message has to be looked for. */
  lost: boolean;
  /** Nothing of this side was consumed so far. */
  untouched = true;
  readonly fields = new Fields();
  readonly trace = new TraceReader();
  readonly batches = new Batches(this.trace);
  readonly walker = new Walker(this.fields, this.batches);

  constructor(lost: boolean) {
    this.lost = lost;
  }

  begin(exchange: Exchange | null, left: number): void {
    this.exchange = exchange;
    this.left = left;
    this.walking = exchange !== null;
    this.damaged = false;
    this.batches.reset();
    if (this.trace.seen) this.trace.reset();
  }
}

export class KafkaDecoder implements Decoder {
  private readonly client: Message;
  private readonly server: Message;
  private readonly pending = new PendingRequests();
  /** SaslHandshake version 0 was asked for: tokens may follow. */
  private sasl = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {
    // Detection begins where a request does; what the broker sends then may be in the middle of a response.
    this.client = new Message(false);
    this.server = new Message(!connection.fromStart);
  }

  data(input: Input): number {
    const { direction, bytes, end } = input;
    const message = direction === Direction.CLIENT ? this.client : this.server;
    let at = input.start;
    while (at < end) {
      if (message.lost) {
        const found = findMessage(bytes, at, end, direction, this.pending, message.untouched);
        const stop = found < 0 ? ~found : found;
        if (stop > at) {
          this.connection.undecodable(stop - at);
          message.untouched = false;
        }
        at = stop;
        if (found < 0) return at;
        message.lost = false;
      }
      if (message.left === 0) {
        const next =
          direction === Direction.CLIENT
            ? this.beginRequest(message, input, at)
            : this.beginResponse(message, input, at);
        if (next < 0) {
          input.need = -next;
          return at;
        }
        at = next;
        if (message.lost) continue;
        if (message.left === 0) {
          this.end(message, direction, input.timeAt(at - 1), input.segmentAt(at - 1));
          continue;
        }
        if (at === end) return at;
      }
      const next = this.body(message, input, at);
      if (next === at && message.left > 0) return at;
      message.left -= next - at;
      at = next;
      if (message.left === 0) this.end(message, direction, input.timeAt(at - 1), input.segmentAt(at - 1));
    }
    return at;
  }

  gap(direction: Direction, length: number, heldBytes: number, timeNs: number): void {
    const message = direction === Direction.CLIENT ? this.client : this.server;
    const missing = length + heldBytes;
    if (length > 0 && missing <= message.left) {
      message.left -= missing;
      if (message.exchange !== null) message.exchange.missingBytes += length;
      // What was held belongs to a field that the walker waits for.
      if (message.walking && (heldBytes > 0 || !message.walker.pass(length))) this.damage(message);
      if (message.left === 0) this.end(message, direction, timeNs, -1);
      return;
    }
    const { exchange } = message;
    if (message.left > 0 && exchange !== null) {
      exchange.missingBytes += Math.min(length, message.left);
      this.damage(message);
      this.end(message, direction, timeNs, -1);
    }
    message.left = 0;
    message.lost = true;
    message.untouched = false;
    // Their responses may be what was lost.
    if (direction === Direction.SERVER) this.pending.mark(StatusValue.INCOMPLETE);
  }

  fin(): void {}

  close(status: number): void {
    const { client, server } = this;
    for (let exchange = this.pending.shift(); exchange !== null; exchange = this.pending.shift()) {
      // Its answer may be what was lost.
      this.finish(exchange, exchange.status === StatusValue.INCOMPLETE ? StatusValue.INCOMPLETE : status);
    }
    for (const message of [server, client]) {
      if (message.left === 0 || message.exchange === null) continue;
      const { exchange } = message;
      message.batches.lose();
      if (message === client) message.fields.writeRequest(exchange, message.batches);
      else message.fields.writeResponse(exchange, message.batches);
      this.finish(exchange, status === StatusValue.RESET ? status : StatusValue.INCOMPLETE);
      message.exchange = null;
    }
  }

  /** Takes a request's size and header up to the correlation id. The position behind it, or -(bytes needed). */
  private beginRequest(message: Message, input: Input, at: number): number {
    const { bytes, end } = input;
    const have = end - at;
    if (have < SIZE_BYTES) return -SIZE_BYTES;
    const size = int32(bytes, at);
    if (this.sasl) {
      const token = this.token(message, bytes, at, end, size);
      if (token !== 0) return token;
    }
    if (size < REQUEST_HEADER_BYTES - SIZE_BYTES || size > MAX_MESSAGE_BYTES) return this.lose(message, at);
    if (have < REQUEST_HEADER_BYTES) return -REQUEST_HEADER_BYTES;
    const key = int16(bytes, at + 4);
    const version = int16(bytes, at + 6);
    if (key < 0 || key > MAX_API_KEY || version < 0 || version > MAX_API_VERSION)
      return this.lose(message, at);
    const known = api(key);
    const correlationId = int32(bytes, at + 8);
    const exchange = this.connection.pool.take();
    exchange.requestStartNs = input.timeAt(at);
    exchange.requestFirstSegment = input.segmentAt(at);
    exchange.requestBytes = SIZE_BYTES + size;
    exchange.envelope.constant(known.envelope);
    const { detail } = exchange;
    detail.constant(known.detail);
    detail.uint(KafkaTag.apiVersion, version);
    detail.int(KafkaTag.correlationId, correlationId);
    message.api = known;
    message.version = version;
    message.correlationId = correlationId;
    message.begin(exchange, size + SIZE_BYTES - REQUEST_HEADER_BYTES);
    message.fields.begin(exchange, key, version, true);
    message.walker.begin(known.request(version));
    if (key === ApiKey.SASL_HANDSHAKE && version === 0) this.sasl = true;
    return at + REQUEST_HEADER_BYTES;
  }

  /** 0 where a request begins at `at`; else the position behind the size of a token, or -(bytes needed). */
  private token(message: Message, bytes: Uint8Array, at: number, end: number, size: number): number {
    if (size < 0 || size > MAX_TOKEN_BYTES) return 0;
    switch (matchRequest(bytes, at, end)) {
      case Match.YES:
        this.sasl = false;
        return 0;
      case Match.MORE:
        if (end - at < SIZE_BYTES + size) return -(end - at + 1);
        break;
    }
    message.begin(null, size);
    return at + SIZE_BYTES;
  }

  /** Takes a response's size and correlation id. The position behind it, or -(bytes needed). */
  private beginResponse(message: Message, input: Input, at: number): number {
    const { bytes, end } = input;
    if (end - at < SIZE_BYTES) return -SIZE_BYTES;
    const size = int32(bytes, at);
    if (this.sasl && size >= 0 && size < RESPONSE_HEADER_BYTES - SIZE_BYTES) {
      message.begin(null, size);
      return at + SIZE_BYTES;
    }
    if (size < RESPONSE_HEADER_BYTES - SIZE_BYTES || size > MAX_MESSAGE_BYTES) return this.lose(message, at);
    if (end - at < RESPONSE_HEADER_BYTES) return -RESPONSE_HEADER_BYTES;
    const correlationId = int32(bytes, at + SIZE_BYTES);
    let downgraded = false;
    if (this.pending.has(correlationId) && this.pending.api.key === ApiKey.API_VERSIONS && size >= 6) {
      // KIP-511: a broker that does not know the version answers in version 0, with this error.
      if (end - at < RESPONSE_HEADER_BYTES + 2) return -(RESPONSE_HEADER_BYTES + 2);
      downgraded = int16(bytes, at + RESPONSE_HEADER_BYTES) === UNSUPPORTED_VERSION;
    }
    const exchange = this.takeRequest(correlationId);
    message.begin(exchange, size + SIZE_BYTES - RESPONSE_HEADER_BYTES);
    if (exchange === null) {
      if (!this.sasl) this.connection.undecodable(RESPONSE_HEADER_BYTES);
      return at + RESPONSE_HEADER_BYTES;
    }
    const { api, named } = this.pending;
    const version = downgraded ? 0 : this.pending.version;
    message.api = api;
    message.version = version;
    exchange.status = StatusValue.OK;
    exchange.responseStartNs = input.timeAt(at);
    exchange.responseFirstSegment = input.segmentAt(at);
    exchange.responseBytes = SIZE_BYTES + size;
    const collecting = !named && (api.key === ApiKey.FETCH || api.key === ApiKey.SHARE_FETCH);
    message.fields.begin(exchange, api.key, version, collecting);
    message.walker.begin(api.response(version));
    return at + RESPONSE_HEADER_BYTES;
  }

  /** The request that a response with this id answers. */
  private takeRequest(correlationId: number): Exchange | null {
    const { pending } = this;
    // Brokers answer in order: the answers of those before it were in the hole, or never wanted.
    while (pending.oldest?.status === StatusValue.INCOMPLETE && !pending.isOldest(correlationId)) {
      if (!pending.has(correlationId)) break;
      this.connection.emit(pending.shift()!);
    }
    return pending.take(correlationId);
  }

  /** Goes on with a message's body; answers the position behind what it took. */
  private body(message: Message, input: Input, at: number): number {
    const { bytes, end, direction } = input;
    const messageEnd = at + message.left;
    const limit = Math.min(end, messageEnd);
    if (message.walking) {
      const { walker } = message;
      const walk = walker.run(bytes, at, limit, messageEnd);
      if (walk === Walk.MORE && limit < messageEnd) return walker.at;
      // At the end; or a length does not fit, or the layout is not known: the rest is passed over.
      message.walking = false;
      if (walker.at < messageEnd) message.batches.lose();
      if (walker.at < limit) this.connection.undecodable(limit - walker.at);
      return limit;
    }
    if (message.exchange === null && !this.sasl && direction === Direction.SERVER)
      this.connection.undecodable(limit - at);
    return limit;
  }

  /** The message is over; `segment` is -1 where its last byte was not seen. */
  private end(message: Message, direction: Direction, timeNs: number, segment: number): void {
    const { exchange } = message;
    message.exchange = null;
    message.left = 0;
    if (exchange === null) return;
    const { fields, batches, trace } = message;
    if (trace.seen) trace.write(exchange.envelope);
    if (direction === Direction.CLIENT) {
      exchange.requestEndNs = timeNs;
      exchange.requestLastSegment = segment;
      fields.writeRequest(exchange, batches);
      if (message.api.key === ApiKey.PRODUCE && fields.acks === 0) {
        this.finish(exchange, StatusValue.OK);
        return;
      }
      // Whether it wants a response at all may be among what is lost.
      if (message.damaged) exchange.status = StatusValue.INCOMPLETE;
      if (this.pending.length >= this.options.maxPending) {
        const oldest = this.pending.shift();
        if (oldest !== null) this.finish(oldest, StatusValue.NO_RESPONSE);
      }
      this.pending.push(exchange, message.correlationId, message.api, message.version, fields.topicCount > 0);
      return;
    }
    exchange.responseEndNs = timeNs;
    exchange.responseLastSegment = segment;
    fields.writeResponse(exchange, batches);
    if (fields.error !== 0) this.finish(exchange, StatusValue.ERROR);
    else this.finish(exchange, message.damaged ? StatusValue.INCOMPLETE : StatusValue.OK);
  }

  private damage(message: Message): void {
    message.damaged = true;
    message.walking = false;
    message.batches.lose();
    message.trace.reset();
  }

  private lose(message: Message, at: number): number {
    message.lost = true;
    message.untouched = false;
    this.connection.undecodable(1);
    return at + 1;
  }

  private finish(exchange: Exchange, status: number): void {
    exchange.status = status;
    this.connection.emit(exchange);
  }
}
