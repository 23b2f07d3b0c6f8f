/**
 * Pairs HTTP/1.x requests with their final responses, in order (RFC 9112 section 9.3.2).
 *
 * Heads are consumed line by line, bodies as they come. A status of 400 and over is an ERROR to client
 * and server alike: one record serves both views, and `error.type` is the code.
 *
 * What a lost segment costs: inside a body of known length nothing but `missingBytes`; inside a head, a
 * chunk line or trailers that one message (INCOMPLETE). After that, and where whole messages are lost,
 * a direction looks for the next start line. A client that was never seen to pipeline sends a request
 * only when it has the response before it, which restores the pairing; one that does pipeline gives no
 * such sign, so what it had in flight becomes INCOMPLETE and its responses are left aside until it has
 * answers again and begins a new burst.
 */

import { HttpTag, StatusValue } from '@packetd/proto';
import {
  type Connection,
  type Decoder,
  type DecoderOptions,
  Direction,
  type Input,
  type UpgradedRequest,
} from '../decoder.js';
import { type Exchange, ExchangeQueue } from '../exchange.js';
import { Framing, framingOf, GrpcMessages } from '../grpc-messages.js';
import { Code, statusCode, statusName } from '../grpc-status.js';
import { Field, type FieldName, internField, isDigit, LOWER, MAX_RECORDED_FIELDS } from '../http-names.js';
import {
  VERSION_11,
  writeBody,
  writeErrorType,
  writeField,
  writeHost,
  writeMethod,
  writeStatus,
  writeTarget,
  writeVersion,
} from '../http-record.js';
import { isOwnAgent } from '../own-agent.js';
import { TraceReader } from '../trace-context.js';
import { HeadMemo } from './memo.js';
import { BAD_LENGTH, Message, NO_LENGTH, State } from './message.js';
import {
  COLON,
  CR,
  HT,
  isVersion,
  LF,
  listEndsWith,
  listHas,
  MAX_CHUNK_LINE_BYTES,
  MAX_HEAD_BYTES,
  MAX_METHOD_BYTES,
  Match,
  matchRequestLine,
  matchStatusLine,
  parseChunkSize,
  parseContentLength,
  SP,
  TCHAR,
  trimEnd,
  trimStart,
} from './wire.js';

/** Bits of `Exchange.tag`. */
const HEAD = 1;
const CONNECT = 2;
/** The request asks for another protocol. */
const UPGRADE = 4;
const UPGRADE_H2C = 8;
/** The request goes on. */
const OPEN = 16;
/** Bytes that matter are lost: the status will be INCOMPLETE. */
const BROKEN = 32;
/** Its response began in a hole. */
const LOST = 64;

const ascii = (word: string): Uint8Array => Buffer.from(word, 'latin1');
const CHUNKED = ascii('chunked');
const H2C = ascii('h2c');
const CONTINUE = ascii('100-continue');
const IDENTITY = ascii('identity');
const FORM = ascii('application/x-www-form-urlencoded');
const TEXT_TYPES = [
  'text/',
  'application/json',
  'application/xml',
  'application/x-ndjson',
  'application/graphql',
].map(ascii);
const TEXT_SUFFIXES = ['+json', '+xml'].map(ascii);

/** Answer of a step that needs more bytes. */
const WAIT = -1;

/** Takes a folded value while its line ends are made spaces; grows up to MAX_HEAD_BYTES. */
let unfolded = new Uint8Array(1024);

/** Trace contexts are read in the time of a head, so few are needed, and they are large. */
const freeTraces: TraceReader[] = [];

/** What a request that asks for h2c says. */
interface Upgrade {
  readonly exchange: Exchange;
  readonly detail: Uint8Array;
  readonly envelope: Uint8Array;
  readonly headBytes: number;
  bodyBytes: number;
}

export class HttpDecoder implements Decoder {
  private readonly client: Message;
  private readonly server: Message;
  private readonly queue = new ExchangeQueue();
  /** Of the request at hand, if it has trace headers. */
  private trace: TraceReader | null = null;
  /** Its response is whole, its request is not. */
  private early: Exchange | null = null;
  /** Two requests were seen in flight. */
  private pipelining = false;
  /** Bytes of requests are lost, or were before the capture: responses may lack their request. */
  private lossy = false;
  private clientSeen = false;
  /** What the server sends seems to be all that is captured. */
  private oneSided = false;
  /** The server's next response is not known to be the first pending request's. */
  private doubtful = false;
  /** A pipelining client lost bytes: responses are not paired. */
  private unpaired = false;
  private answersSinceRequest = 0;
  private handedOver = false;
  /** The last request that asked for h2c. */
  private upgrade: Upgrade | null = null;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {
    const state = connection.fromStart ? State.START : State.RESYNC;
    this.client = new Message(true, state);
    this.server = new Message(false, state);
  }

  data(input: Input): number {
    const message = input.direction === Direction.CLIENT ? this.client : this.server;
    if (message.isRequest) {
      this.clientSeen = true;
      this.oneSided = false;
    }
    const { bytes, end } = input;
    let at = input.start;
    while (at < end && !this.handedOver) {
      const next = this.step(message, input, bytes, at, end);
      if (next === WAIT) break;
      at = next;
    }
    return at;
  }

  gap(direction: Direction, length: number, _heldBytes: number, _timeNs: number): void {
    const message = direction === Direction.CLIENT ? this.client : this.server;
    const exchange = message.exchange;
    switch (message.state) {
      case State.UNTIL_CLOSE:
        if (exchange !== null) {
          exchange.missingBytes += length;
          if (message.isRequest) exchange.requestBytes += length;
          else exchange.responseBytes += length;
        }
        message.bodyBytes += length;
        if (message.grpcWeb !== null) message.grpcWeb.uncertain = true;
        return;
      case State.LENGTH:
      case State.CHUNK_DATA: {
        const inside = Math.min(length, message.remaining);
        message.remaining -= inside;
        message.bodyBytes += inside;
        if (exchange !== null) {
          exchange.missingBytes += inside;
          if (message.isRequest) exchange.requestBytes += inside;
          else exchange.responseBytes += inside;
        }
        message.textual = false;
        if (message.grpcWeb !== null) message.grpcWeb.uncertain = true;
        if (message.state === State.LENGTH) {
          if (message.remaining === 0) this.complete(message);
          if (length > inside) this.loseMessages(message);
          return;
        }
        if (length === inside) {
          if (message.remaining === 0) message.state = State.CHUNK_END;
          return;
        }
        this.loseMessage(message, length - inside);
        return;
      }
      case State.FIELDS:
      case State.CHUNK_SIZE:
      case State.CHUNK_END:
      case State.TRAILERS:
        this.loseMessage(message, length);
        return;
      case State.START:
      case State.RESYNC:
        this.loseMessages(message);
    }
  }

  fin(direction: Direction, _heldBytes: number, _timeNs: number): void {
    if (direction === Direction.CLIENT) {
      // A request that its client cut short can still be answered.
      if (this.client.exchange !== null) this.closeRequest(this.client.exchange);
      this.client.lose();
      return;
    }
    const server = this.server;
    if (server.exchange !== null) {
      if (server.state !== State.UNTIL_CLOSE) server.exchange.tag |= BROKEN;
      this.complete(server);
    }
    this.flush(StatusValue.NO_RESPONSE);
    server.lose();
  }

  close(status: number, _timeNs: number): void {
    this.endResponse(status === StatusValue.RESET ? StatusValue.RESET : StatusValue.INCOMPLETE);
    this.flush(status);
    this.client.end();
    this.server.end();
  }

  /** The response that is half read will not go on. */
  private endResponse(status: number): void {
    const exchange = this.server.exchange;
    if (exchange === null) return;
    this.server.exchange = null;
    exchange.status = status;
    this.release(exchange);
  }

  private step(message: Message, input: Input, bytes: Uint8Array, at: number, end: number): number {
    switch (message.state) {
      case State.START:
        return this.start(message, input, bytes, at, end);
      case State.FIELDS:
        return this.fields(message, input, bytes, at, end);
      case State.LENGTH:
      case State.CHUNK_DATA:
      case State.UNTIL_CLOSE:
        return this.body(message, input, bytes, at, end);
      case State.CHUNK_SIZE:
        return this.chunkSize(message, input, bytes, at, end);
      case State.CHUNK_END:
        return this.chunkEnd(message, input, bytes, at, end);
      case State.TRAILERS:
        return this.trailers(message, input, bytes, at, end);
      case State.RESYNC:
        return this.resync(message, bytes, at, end);
    }
  }

  /** *CRLF start-line CRLF */
  private start(message: Message, input: Input, bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (at < end && (bytes[at] === CR || bytes[at] === LF)) at++;
    if (at > from) {
      message.scanned = 0;
      return at;
    }
    if (message.isRequest && this.isHeldBack(bytes, at, end)) return WAIT;
    const { memo } = message;
    if (memo !== null && message.scanned === 0 && memo.line.matches(bytes, at, end)) {
      memo.repeatLine(message, this.openRequest(message, input, at));
      message.headBytes = memo.line.length;
      this.account(message, input, at, at + memo.line.length);
      return at + memo.line.length;
    }
    const lf = findLineEnd(message, bytes, at, end);
    if (lf < 0 && message.scanned <= MAX_HEAD_BYTES) return WAIT;
    message.scanned = 0;
    if (lf < 0 || lf - at > MAX_HEAD_BYTES) {
      this.loseMessages(message);
      message.lineStart = false;
      return at;
    }
    const lineEnd = trimEnd(bytes, at, lf);
    const read = message.isRequest
      ? this.requestLine(message, input, bytes, at, lineEnd)
      : this.statusLine(message, input, bytes, at, lineEnd);
    if (this.handedOver) return at;
    if (!read) {
      // Where responses make no sense, one may have been taken for a part of the one before.
      if (!message.isRequest && !this.pipelining) this.doubtful = true;
      message.lose();
      message.lineStart = false;
      return at;
    }
    if (memo !== null && message.isRequest) memo.keepLine(message, message.exchange!, bytes, at, lf + 1);
    this.account(message, input, at, lf + 1);
    message.headBytes = lf + 1 - at;
    return lf + 1;
  }

  /**
   * Bytes behind a CONNECT, or behind an Upgrade when they are no request, belong to what follows the
   * answer: they wait for it.
   */
  private isHeldBack(bytes: Uint8Array, at: number, end: number): boolean {
    const last = this.queue.tail ?? this.server.exchange;
    if (last === null || (last.tag & (CONNECT | UPGRADE)) === 0) return false;
    return (last.tag & CONNECT) !== 0 || matchRequestLine(bytes, at, end) !== Match.YES;
  }

  /** method SP request-target SP HTTP-version */
  private requestLine(
    message: Message,
    input: Input,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    let methodEnd = start;
    while (methodEnd < end && TCHAR[bytes[methodEnd]] === 1) methodEnd++;
    const methodBytes = methodEnd - start;
    if (methodBytes === 0 || methodBytes > MAX_METHOD_BYTES) return false;
    const version = end - 8;
    if (version <= methodEnd + 1 || !isVersion(bytes, version)) return false;
    const targetStart = trimStart(bytes, methodEnd, version);
    const targetEnd = trimEnd(bytes, targetStart, version);
    if (targetStart === methodEnd || targetEnd === version || targetEnd === targetStart) return false;
    if (bytes[version + 5] === 0x32 && isWord(bytes, start, methodEnd, 'PRI')) {
      this.endResponse(StatusValue.INCOMPLETE);
      this.flush(StatusValue.NO_RESPONSE);
      this.handOver('http2');
      return true;
    }

    const exchange = this.openRequest(message, input, start);
    if (isWord(bytes, start, methodEnd, 'HEAD')) exchange.tag |= HEAD;
    else if (isWord(bytes, start, methodEnd, 'CONNECT')) exchange.tag |= CONNECT;
    writeMethod(exchange, bytes, start, methodEnd);
    writeVersion(exchange, bytes, version + 5);
    message.seenHost = writeTarget(exchange, bytes, targetStart, targetEnd, (exchange.tag & CONNECT) !== 0);
    return true;
  }

  /** A request begins at `start`. */
  private openRequest(message: Message, input: Input, start: number): Exchange {
    this.beforeRequest();
    const exchange = this.connection.pool.take();
    message.begin(exchange);
    exchange.requestStartNs = input.timeAt(start);
    exchange.requestFirstSegment = input.segmentAt(start);
    exchange.tag = OPEN;
    // Two requests at the same time, as in one segment: the client does not wait for its answers.
    const last = this.queue.tail;
    if (last !== null && last.requestEndNs === exchange.requestStartNs) this.pipelining = true;
    this.queue.push(exchange);
    return exchange;
  }

  private beforeRequest(): void {
    const { queue } = this;
    if (this.unpaired && this.answersSinceRequest > 0 && this.server.state === State.START) {
      this.flush(StatusValue.INCOMPLETE);
      this.unpaired = false;
    }
    this.answersSinceRequest = 0;
    if (queue.head !== null && (queue.head.tag & LOST) !== 0) this.flush(StatusValue.INCOMPLETE);
    if (queue.length >= this.options.maxPending) this.unpair();
    // The client is done with the response before: the next byte of the server begins a new one.
    if (!this.pipelining && queue.length === 0) this.server.lineStart = true;
  }

  /** HTTP-version SP status-code [ SP reason-phrase ] */
  private statusLine(message: Message, input: Input, bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start < 12 || !isVersion(bytes, start)) return false;
    const at = trimStart(bytes, start + 8, end);
    if (
      at === start + 8 ||
      at + 3 > end ||
      !isDigit(bytes[at]) ||
      !isDigit(bytes[at + 1]) ||
      !isDigit(bytes[at + 2])
    ) {
      return false;
    }
    if (at + 3 < end && bytes[at + 3] !== SP && bytes[at + 3] !== HT) return false;
    const code = bytes[at] * 100 + bytes[at + 1] * 10 + bytes[at + 2] - 0x30 * 111;
    if (code < 100) return false;
    message.status = code;
    if (code < 200 && code !== 101) {
      message.begin(null);
      this.client.expecting = false;
      return true;
    }
    const exchange = this.pair();
    message.begin(exchange);
    if (exchange === null) return true;
    exchange.responseStartNs = input.timeAt(start);
    exchange.responseFirstSegment = input.segmentAt(start);
    writeStatus(exchange, code);
    if (exchange.requestStartNs < 0) writeVersion(exchange, bytes, start + 5);
    if (code >= 400) writeErrorType(exchange, code);
    exchange.status = code >= 400 ? StatusValue.ERROR : StatusValue.OK;
    return true;
  }

  /** The request that the response which begins now answers; a record without request; or null. */
  private pair(): Exchange | null {
    const { queue } = this;
    this.answersSinceRequest++;
    if (this.unpaired) return null;
    let exchange = queue.shift();
    // What begins here is not the response whose beginning is lost.
    const anyLost = exchange !== null && (exchange.tag & LOST) !== 0;
    while (exchange !== null && (exchange.tag & LOST) !== 0) {
      this.abandon(exchange);
      exchange = queue.shift();
    }
    if (this.doubtful) {
      // One request at a time: only the newest can still be answered.
      while (exchange !== null && queue.length > 0) {
        this.abandon(exchange);
        exchange = queue.shift();
      }
      this.doubtful = false;
    } else if (queue.length > 0) {
      this.pipelining = true;
    }
    if (exchange !== null) return exchange;
    // Where some requests are lost, this may answer one of them. Joined in the middle, its request came before;
    // otherwise the server spoke unasked (408, or more responses than requests: a desynchronised proxy).
    if ((this.lossy && !this.oneSided) || anyLost) return null;
    this.oneSided = !this.clientSeen;
    const alone = this.connection.pool.take();
    if (this.lossy || !this.connection.fromStart) alone.tag = BROKEN;
    return alone;
  }

  /** *( field-line CRLF ) CRLF */
  private fields(message: Message, input: Input, bytes: Uint8Array, from: number, end: number): number {
    const { exchange, fresh, memo, seenHost } = message;
    message.fresh = false;
    if (fresh && exchange !== null && memo?.matchesFields(message, bytes, from, end)) {
      memo.repeatFields(message, exchange);
      message.headBytes += memo.fields.length;
      this.account(message, input, from, from + memo.fields.length);
      this.headEnd(message);
      return from + memo.fields.length;
    }
    const detailFrom = exchange === null ? 0 : exchange.detail.length;
    let at = from;
    for (;;) {
      let i = at + message.scanned;
      for (;;) {
        while (i < end && bytes[i] !== LF) i++;
        if (i === at || (i === at + 1 && i < end && bytes[at] === CR)) break;
        if (i + 1 >= end) break;
        if (bytes[i + 1] !== SP && bytes[i + 1] !== HT) break;
        // obs-fold (RFC 9112 section 5.2): the line goes on.
        message.folded = true;
        i++;
      }
      message.scanned = i - at;
      if (message.headBytes + i - from > MAX_HEAD_BYTES) {
        this.account(message, input, from, at);
        this.loseMessage(message, 0);
        message.lineStart = false;
        return at;
      }
      const blank = i < end && (i === at || (i === at + 1 && bytes[at] === CR));
      if (!blank && i + 1 >= end) break;
      message.scanned = 0;
      if (blank) {
        at = i + 1;
        message.headBytes += at - from;
        this.account(message, input, from, at);
        if (fresh && message.plain && exchange !== null) {
          if (memo !== null) memo.keepFields(message, exchange, bytes, from, at, detailFrom, seenHost);
          else if (message.repeating) message.memo = HeadMemo.take();
        }
        message.repeating = true;
        this.headEnd(message);
        return at;
      }
      this.fieldLine(message, bytes, at, i);
      at = i + 1;
    }
    if (at === from) return WAIT;
    message.headBytes += at - from;
    this.account(message, input, from, at);
    return at;
  }

  /** field-name ":" OWS field-value OWS */
  private fieldLine(message: Message, bytes: Uint8Array, start: number, end: number): void {
    const folded = message.folded;
    message.folded = false;
    let colon = start;
    while (colon < end && bytes[colon] !== COLON) colon++;
    if (colon === end || colon === start) return;
    let nameStart = start;
    let nameEnd = colon;
    if (bytes[colon - 1] <= SP || bytes[start] <= SP) {
      nameStart = trimStart(bytes, start, colon);
      nameEnd = trimEnd(bytes, nameStart, colon);
      if (nameStart === nameEnd) return;
    }
    const name = internField(bytes, nameStart, nameEnd);
    const valueStart = trimStart(bytes, colon + 1, end);
    const valueEnd = trimEnd(bytes, valueStart, end);
    if (folded) {
      const length = unfold(bytes, valueStart, valueEnd);
      this.field(message, name, unfolded, trimStart(unfolded, 0, length), length);
    } else {
      this.field(message, name, bytes, valueStart, valueEnd);
    }
  }

  private field(message: Message, name: FieldName, bytes: Uint8Array, start: number, end: number): void {
    const exchange = message.exchange;
    let url = false;
    switch (name.field) {
      case Field.OTHER:
        break;
      case Field.CONTENT_LENGTH: {
        const length = parseContentLength(bytes, start, end);
        const clash = message.contentLength !== NO_LENGTH && message.contentLength !== length;
        message.contentLength = length < 0 || clash ? BAD_LENGTH : length;
        break;
      }
      case Field.TRANSFER_ENCODING:
        // It delimits the body as the last coding only (RFC 9112 section 6.3).
        if (end > start) message.chunked = listEndsWith(bytes, start, end, CHUNKED);
        if (end > start && !listHas(bytes, start, end, IDENTITY)) message.coded = true;
        break;
      case Field.UPGRADE:
        message.plain = false;
        if (end === start) break;
        message.upgrades = true;
        message.upgradeH2c = message.upgradeH2c || listHas(bytes, start, end, H2C);
        if (exchange === null) break;
        if (message.isRequest) exchange.tag |= message.upgradeH2c ? UPGRADE | UPGRADE_H2C : UPGRADE;
        else if (message.status === 101) exchange.detail.text(HttpTag.upgrade, bytes, start, end);
        break;
      case Field.EXPECT:
        if (listHas(bytes, start, end, CONTINUE)) message.expecting = true;
        break;
      case Field.HOST:
        if (message.isRequest && !message.seenHost && exchange !== null && end > start) {
          message.seenHost = true;
          writeHost(exchange, bytes, start, end);
        }
        break;
      case Field.USER_AGENT:
        if (message.isRequest && !message.seenAgent && exchange !== null && end > start) {
          message.seenAgent = true;
          exchange.detail.text(HttpTag.userAgent, bytes, start, end);
          exchange.own = isOwnAgent(bytes, start, end);
        }
        break;
      case Field.CONTENT_TYPE:
        this.contentType(message, bytes, start, end);
        break;
      case Field.CONTENT_ENCODING:
        if (end > start && !listHas(bytes, start, end, IDENTITY)) message.encoded = true;
        break;
      case Field.GRPC_STATUS:
        message.plain = false;
        message.grpcStatus = statusCode(bytes, start, end);
        break;
      case Field.TRACE:
        message.plain = false;
        if (message.isRequest && exchange !== null) {
          this.trace ??= freeTraces.pop() ?? new TraceReader();
          this.trace.take(name.trace, bytes, start, end);
        }
        break;
      case Field.URL:
        url = true;
    }
    if (exchange === null || !this.options.headers || ++message.fields > MAX_RECORDED_FIELDS) return;
    const tag = message.isRequest ? HttpTag.requestHeaders : HttpTag.responseHeaders;
    writeField(exchange, tag, name, url, bytes, start, end);
  }

  private contentType(message: Message, bytes: Uint8Array, start: number, end: number): void {
    if (message.seenType || message.exchange === null || end === start) return;
    message.seenType = true;
    const tag = message.isRequest ? HttpTag.requestContentType : HttpTag.responseContentType;
    message.exchange.detail.text(tag, bytes, start, end);
    if (!message.isRequest) {
      const framing = framingOf(bytes, start, end);
      if (framing !== Framing.PLAIN) {
        message.plain = false;
        message.grpcWeb = new GrpcMessages(framing);
      }
    }
    if (this.options.bodyBytes === 0) return;
    let stop = start;
    while (stop < end && bytes[stop] !== 0x3b) stop++;
    stop = trimEnd(bytes, start, stop);
    message.form = startsWith(bytes, start, stop, FORM);
    message.textual =
      message.form ||
      TEXT_TYPES.some((type) => startsWith(bytes, start, stop, type)) ||
      TEXT_SUFFIXES.some((suffix) => startsWith(bytes, Math.max(start, stop - suffix.length), stop, suffix));
  }

  /** Message body length: RFC 9112 section 6.3. */
  private headEnd(message: Message): void {
    const exchange = message.exchange;
    if (message.isRequest) {
      if (exchange !== null) {
        this.endTrace(exchange);
        if ((exchange.tag & UPGRADE_H2C) !== 0) this.keepUpgrade(exchange, message.headBytes);
        exchange.detail.uint(HttpTag.requestHeaderBytes, message.headBytes);
        if ((exchange.tag & CONNECT) !== 0) {
          this.complete(message);
          return;
        }
      }
    } else {
      const code = message.status;
      if (exchange !== null) exchange.detail.uint(HttpTag.responseHeaderBytes, message.headBytes);
      const asked = exchange === null ? 0 : exchange.tag;
      message.unasked = exchange === null || exchange.requestStartNs < 0;
      if (code === 101) {
        this.switchProtocols(message, asked);
        return;
      }
      if ((asked & CONNECT) !== 0 && code >= 200 && code < 300) {
        this.complete(message);
        this.flush(StatusValue.NO_RESPONSE);
        this.handOver('detect');
        return;
      }
      if (code < 200) {
        message.state = State.START;
        return;
      }
      if (code === 204 || code === 304 || (asked & HEAD) !== 0) {
        this.complete(message);
        return;
      }
    }
    if (message.chunked) {
      message.state = State.CHUNK_SIZE;
    } else if (message.contentLength >= 0 && !message.coded) {
      if (message.contentLength === 0) {
        this.complete(message);
        return;
      }
      message.remaining = message.contentLength;
      message.state = State.LENGTH;
    } else if (message.isRequest && !message.coded && message.contentLength !== BAD_LENGTH) {
      this.complete(message);
    } else {
      // A request like this is refused, and the connection closed: no other one follows (RFC 9112 section 6.3).
      message.state = State.UNTIL_CLOSE;
    }
  }

  /** 101: the response ends HTTP on this connection. */
  private switchProtocols(message: Message, asked: number): void {
    const h2c = message.upgrades ? message.upgradeH2c : (asked & UPGRADE_H2C) !== 0;
    const upgraded = h2c ? this.upgradedRequest(message.exchange) : undefined;
    this.complete(message);
    this.flush(StatusValue.NO_RESPONSE);
    this.handOver(h2c ? 'http2' : 'opaque', upgraded);
  }

  private handOver(to: string, request?: UpgradedRequest): void {
    this.handedOver = true;
    this.client.end();
    this.server.end();
    this.connection.handOver(to, request);
  }

  /** Keeps what a request says that asks for h2c, to say it of stream 1 too. */
  private keepUpgrade(exchange: Exchange, headBytes: number): void {
    const { detail, envelope } = exchange;
    const said = Buffer.from(envelope.bytes.slice(0, envelope.length));
    const version = said.indexOf(VERSION_11.toBytes());
    this.upgrade = {
      exchange,
      detail: detail.bytes.slice(0, detail.length),
      envelope:
        version < 0
          ? said
          : Buffer.concat([said.subarray(0, version), said.subarray(version + VERSION_11.length)]),
      headBytes,
      bodyBytes: 0,
    };
  }

  /** 101 is not the answer to that request: stream 1 is (RFC 7540 section 3.2). */
  private upgradedRequest(asked: Exchange | null): UpgradedRequest | undefined {
    const { upgrade } = this;
    if (asked === null || upgrade === null || upgrade.exchange !== asked || (asked.tag & BROKEN) !== 0)
      return undefined;
    const exchange = this.connection.pool.take();
    exchange.detail.raw(upgrade.detail);
    exchange.envelope.raw(upgrade.envelope);
    exchange.requestStartNs = asked.requestStartNs;
    exchange.requestEndNs = asked.requestEndNs;
    return { exchange, headerBytes: upgrade.headBytes, bodyBytes: upgrade.bodyBytes };
  }

  private body(message: Message, input: Input, bytes: Uint8Array, at: number, end: number): number {
    if (message.expecting && message.isRequest && message.bodyBytes === 0) {
      // Expect: 100-continue, and the final response came instead: the client may go on with its next
      // request and never send the body (RFC 9110 section 10.1.1).
      if (message.exchange === this.early) {
        const match = matchRequestLine(bytes, at, end);
        if (match === Match.MORE) return WAIT;
        if (match === Match.YES) {
          this.complete(message);
          return at;
        }
      }
      message.expecting = false;
    }
    if (message.unasked) {
      const match = this.isNextResponse(message, bytes, at, end);
      if (match === Match.MORE) return WAIT;
      if (match === Match.YES) return at;
    }
    let stop = end;
    if (message.state !== State.UNTIL_CLOSE) {
      stop = Math.min(end, at + message.remaining);
      message.remaining -= stop - at;
    }
    if (message.textual && !message.encoded) message.keepBody(this.options.bodyBytes, bytes, at, stop);
    if (message.grpcWeb !== null && !message.encoded) message.grpcWeb.take(bytes, at, stop);
    message.bodyBytes += stop - at;
    this.account(message, input, at, stop);
    if (message.remaining === 0) {
      if (message.state === State.CHUNK_DATA) message.state = State.CHUNK_END;
      else if (message.state === State.LENGTH) this.complete(message);
    }
    return stop;
  }

  /** Does the next response begin where the body of an unasked one would? Then that is whole. */
  private isNextResponse(message: Message, bytes: Uint8Array, at: number, end: number): Match {
    const match = matchStatusLine(bytes, at, end);
    if (match === Match.MORE) return match;
    message.unasked = false;
    if (match === Match.YES) this.complete(message);
    return match;
  }

  /** chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF */
  private chunkSize(message: Message, input: Input, bytes: Uint8Array, at: number, end: number): number {
    if (message.unasked) {
      const match = this.isNextResponse(message, bytes, at, end);
      if (match === Match.MORE) return WAIT;
      if (match === Match.YES) return at;
    }
    const lf = findLineEnd(message, bytes, at, end);
    if (lf < 0 && message.scanned <= MAX_CHUNK_LINE_BYTES) return WAIT;
    message.scanned = 0;
    const size = lf < 0 ? -1 : parseChunkSize(bytes, at, trimEnd(bytes, at, lf));
    if (size < 0) {
      this.unframed(message);
      return at;
    }
    this.account(message, input, at, lf + 1);
    message.remaining = size;
    message.trailerBytes = 0;
    message.state = size === 0 ? State.TRAILERS : State.CHUNK_DATA;
    return lf + 1;
  }

  private chunkEnd(message: Message, input: Input, bytes: Uint8Array, at: number, end: number): number {
    let stop = at;
    if (bytes[stop] === CR) stop++;
    if (stop === end) return WAIT;
    if (bytes[stop] !== LF) {
      this.unframed(message);
      return at;
    }
    this.account(message, input, at, stop + 1);
    message.state = State.CHUNK_SIZE;
    return stop + 1;
  }

  /** trailer-section = *( field-line CRLF ), then CRLF; its fields are not recorded. */
  private trailers(message: Message, input: Input, bytes: Uint8Array, at: number, end: number): number {
    const lf = findLineEnd(message, bytes, at, end);
    if (lf < 0 && message.trailerBytes + message.scanned <= MAX_CHUNK_LINE_BYTES) return WAIT;
    message.scanned = 0;
    if (lf < 0) {
      this.unframed(message);
      return at;
    }
    message.trailerBytes += lf + 1 - at;
    this.account(message, input, at, lf + 1);
    if (trimEnd(bytes, at, lf) === at) this.complete(message);
    else if (message.trailerBytes > MAX_CHUNK_LINE_BYTES) this.unframed(message);
    return lf + 1;
  }

  /** The chunks make no sense: a response goes on to the end of the connection, a request is over. */
  private unframed(message: Message): void {
    if (message.isRequest) {
      this.complete(message);
      message.lose();
    } else {
      message.state = State.UNTIL_CLOSE;
    }
  }

  /** Passes over bytes up to a line that is a start line. */
  private resync(message: Message, bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (at < end) {
      if (message.lineStart) {
        const match = message.isRequest ? matchRequestLine(bytes, at, end) : matchStatusLine(bytes, at, end);
        if (match === Match.YES) {
          message.state = State.START;
          message.scanned = 0;
          break;
        }
        if (match === Match.MORE) break;
      }
      while (at < end && bytes[at] !== LF) at++;
      message.lineStart = at < end;
      if (at < end) at++;
    }
    if (at === from) return message.state === State.START ? at : WAIT;
    this.connection.undecodable(at - from);
    return at;
  }

  /** Adds consumed bytes to the message's size and moves its end. */
  private account(message: Message, input: Input, from: number, to: number): void {
    const exchange = message.exchange;
    if (exchange === null || to === from) return;
    if (message.isRequest) {
      exchange.requestBytes += to - from;
      exchange.requestEndNs = input.timeAt(to - 1);
      exchange.requestLastSegment = input.segmentAt(to - 1);
    } else {
      exchange.responseBytes += to - from;
      exchange.responseEndNs = input.timeAt(to - 1);
      exchange.responseLastSegment = input.segmentAt(to - 1);
    }
  }

  /** The message is whole. */
  private complete(message: Message): void {
    const exchange = message.exchange;
    message.state = State.START;
    message.scanned = 0;
    message.expecting = false;
    if (exchange === null) return;
    const isRequest = message.isRequest;
    exchange.detail.uint(isRequest ? HttpTag.requestBodyBytes : HttpTag.responseBodyBytes, message.bodyBytes);
    if (message.bodyLength > 0) {
      const tag = isRequest ? HttpTag.requestBody : HttpTag.responseBody;
      writeBody(exchange, tag, message.body!, message.bodyLength, message.form);
    }
    if (isRequest) {
      if (this.upgrade?.exchange === exchange) this.upgrade.bodyBytes = message.bodyBytes;
      this.closeRequest(exchange);
      return;
    }
    if (message.grpcWeb !== null) grpcOutcome(message, message.grpcWeb, exchange);
    message.exchange = null;
    if (this.queue.length === 0) this.client.lineStart = true;
    if (
      this.client.exchange === exchange &&
      this.client.state === State.UNTIL_CLOSE &&
      message.status < 400
    ) {
      // A server that does not mind how its body is delimited: where it ends the next start line tells.
      this.closeRequest(exchange);
      this.client.lose();
    }
    if ((exchange.tag & OPEN) !== 0 && message.status !== 101) this.early = exchange;
    else this.release(exchange);
  }

  /** No more of this request will come. */
  private closeRequest(exchange: Exchange): void {
    this.client.exchange = null;
    this.endTrace(null);
    exchange.tag &= ~OPEN;
    if (this.early === exchange) {
      this.early = null;
      this.release(exchange);
    }
  }

  /** A part of this message is lost, and with it where it ends. */
  private loseMessage(message: Message, missingBytes: number): void {
    const exchange = message.exchange;
    if (exchange !== null) {
      exchange.missingBytes += missingBytes;
      exchange.tag |= BROKEN;
      if (message.isRequest) {
        this.endTrace(exchange);
        this.closeRequest(exchange);
      } else {
        message.exchange = null;
        this.release(exchange);
      }
    }
    // The hole may go on over whole messages.
    this.lossy = this.lossy || message.isRequest;
    if (this.pipelining && this.queue.length > 0) this.unpair();
    if (!message.isRequest) this.doubtful = true;
    message.lose();
  }

  /** Whole messages may be lost between the one before and the one that comes next. */
  private loseMessages(message: Message): void {
    const { queue } = this;
    if (message.isRequest) this.lossy = true;
    if (this.pipelining && queue.length > 0) {
      this.unpair();
    } else if (!message.isRequest) {
      // The hole begins where the response to the first pending request does. When that request is not the
      // last, the client had its answer before it sent the next.
      this.doubtful = true;
      for (let exchange = queue.head; exchange !== null; exchange = exchange.next) {
        if (exchange.next !== null || queue.length === 1) exchange.tag |= LOST;
      }
    }
    message.lose();
  }

  private unpair(): void {
    this.flush(StatusValue.INCOMPLETE);
    this.unpaired = true;
    this.answersSinceRequest = 0;
  }

  /** Emits all that waits for a response, with `status` where nothing worse is known. */
  private flush(status: number): void {
    const early = this.early;
    if (early !== null) {
      this.early = null;
      if (this.client.exchange === early) this.client.exchange = null;
      this.release(early);
    }
    for (let exchange = this.queue.shift(); exchange !== null; exchange = this.queue.shift()) {
      // Of a connection that is reset, a request that was broken is known to have no response; one whose
      // response began in a hole may have had it.
      const lost = (exchange.tag & (status === StatusValue.NO_RESPONSE ? LOST | BROKEN : LOST)) !== 0;
      exchange.status = lost ? StatusValue.INCOMPLETE : status;
      exchange.tag &= ~BROKEN;
      this.release(exchange);
    }
  }

  /** Writes the request's trace context where there is somebody to have it. */
  private endTrace(exchange: Exchange | null): void {
    if (this.trace === null) return;
    if (exchange !== null) this.trace.write(exchange.envelope);
    else this.trace.reset();
    freeTraces.push(this.trace);
    this.trace = null;
  }

  private abandon(exchange: Exchange): void {
    exchange.status = StatusValue.INCOMPLETE;
    this.release(exchange);
  }

  private release(exchange: Exchange): void {
    if (this.client.exchange === exchange) {
      this.client.exchange = null;
      this.endTrace(null);
    }
    if ((exchange.tag & BROKEN) !== 0 && exchange.status !== StatusValue.RESET) {
      exchange.status = StatusValue.INCOMPLETE;
    }
    this.connection.emit(exchange);
  }
}

/** Position of the next LF, or -1; `message.scanned` says where the search goes on. */
function findLineEnd(message: Message, bytes: Uint8Array, start: number, end: number): number {
  let at = start + message.scanned;
  while (at < end && bytes[at] !== LF) at++;
  if (at < end) return at;
  message.scanned = end - start;
  return -1;
}

function isWord(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word.charCodeAt(i)) return false;
  return true;
}

function startsWith(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start < word.length) return false;
  for (let i = 0; i < word.length; i++) if (LOWER[bytes[start + i]] !== word[i]) return false;
  return true;
}

/** Copies a folded value into `unfolded`, each fold as one space; answers its length. */
function unfold(bytes: Uint8Array, start: number, end: number): number {
  if (unfolded.length < end - start) unfolded = new Uint8Array(MAX_HEAD_BYTES * 2);
  let length = 0;
  for (let i = start; i < end; i++) {
    if (bytes[i] !== LF) {
      unfolded[length++] = bytes[i];
      continue;
    }
    while (
      length > 0 &&
      (unfolded[length - 1] === SP || unfolded[length - 1] === HT || unfolded[length - 1] === CR)
    )
      length--;
    while (i + 1 < end && (bytes[i + 1] === SP || bytes[i + 1] === HT)) i++;
    unfolded[length++] = SP;
  }
  return length;
}

/** A call of gRPC-Web that failed is an error, though its response is 200. */
function grpcOutcome(message: Message, messages: GrpcMessages, exchange: Exchange): void {
  const trailer = messages.trailerField('grpc-status');
  const code = trailer === null ? message.grpcStatus : statusCode(trailer, 0, trailer.length);
  if (code <= Code.OK || exchange.status !== StatusValue.OK) return;
  exchange.status = StatusValue.ERROR;
  exchange.envelope.constant(statusName(code).errorType);
}
