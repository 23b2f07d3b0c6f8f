/**
 * An HTTP/2 connection: frames into streams, streams into records. Bodies are counted as they come.
 *
 * After bytes are lost the compression state of that direction is doubtful and heals (hpack.ts); frames
 * are found again by a chain of plausible headers.
 */
import { type Constant, encodeString, Http2Tag, RoundTripTag, StatusValue } from '@packetd/proto';
import {
  type Connection,
  type Decoder,
  type DecoderOptions,
  Direction,
  type Input,
  type UpgradedRequest,
} from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { Field, knownMethod } from '../http-names.js';
import { writeErrorType, writeStatus } from '../http-record.js';
import { TraceReader } from '../trace-context.js';
import { fieldOf, statusOf, VERSION, writeFields, writeRequest, writeResponse } from './fields.js';
import {
  chain,
  ERROR_CODES,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  PREFACE,
  streamId,
  uint24,
} from './frames.js';
import { HeaderList, HpackDecoder, Pseudo } from './hpack.js';
import { type Application, type Call, Stream, type Undecided } from './stream.js';

/** Largest header block, with its CONTINUATION frames, that is decoded. */
const MAX_BLOCK_BYTES = 256 << 10;
/** Frames of a chain that is believed to be one. */
const CHAIN_FRAMES = 3;
/** Bytes in which a boundary is looked for before they are given up. */
const MAX_LOOK_BYTES = 64 << 10;
const MAX_POOLED = 256;
/** Streams that are kept open over a hole; most servers allow 100 to 256 at a time. */
const MAX_DOUBTFUL = 1024;
const DETAIL_TAG = RoundTripTag.http2;
const NO_BYTES = new Uint8Array(0);
const POST = knownMethod(Buffer.from('POST', 'latin1'), 0, 4);

const list = new HeaderList();
const trace = new TraceReader();

const errorTypes: Constant[] = [];
const errorCodes: Constant[] = [];
ERROR_CODES.forEach((name, code) => {
  errorTypes[code] = encodeString(RoundTripTag.errorType, name);
  errorCodes[code] = encodeString(Http2Tag.errorCode, name);
});

/** One direction. */
class Half {
  readonly hpack: HpackDecoder;
  /** Bytes of the running frame's payload that are still to come. */
  left = 0;
  /** Of them, bytes of padding at the end. */
  padding = 0;
  /** The stream that a DATA frame belongs to; null for one that is skipped. */
  stream: Stream | null = null;
  endStream = false;
  /** A header block that is continued. */
  block = NO_BYTES;
  blockLength = 0;
  blockStream = 0;
  blockFlags = 0;
  blockPromise = 0;
  blockFrameBytes = 0;
  blockStartNs = 0;
  blockStartSegment = 0;
  lost = false;
  started = false;

  constructor(fromStart: boolean) {
    this.hpack = new HpackDecoder(fromStart);
    // Joined in the middle: the first bytes may be the rest of a frame.
    this.lost = !fromStart;
  }
}

export class Http2Decoder implements Decoder {
  private readonly halves: readonly [Half, Half];
  private readonly streams = new Map<number, Stream>();
  private last: Stream | null = null;
  private readonly free: Stream[] = [];
  /** A stream of this connection was the application's. */
  private hasCalls = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
    private readonly application: Application | null,
  ) {
    const { fromStart } = connection;
    this.halves = [new Half(fromStart), new Half(fromStart)];
  }

  /** Stream 1 is the request that asked for HTTP/2 (RFC 7540 section 3.2). */
  adopt({ exchange, headerBytes, bodyBytes }: UpgradedRequest): void {
    const stream = this.free.pop() ?? new Stream();
    stream.reset(1);
    stream.exchange = exchange;
    stream.requestEnded = true;
    stream.requestHeaderBytes = headerBytes;
    stream.requestBodyBytes = bodyBytes;
    exchange.detailTag = DETAIL_TAG;
    exchange.envelope.constant(VERSION);
    this.streams.set(1, stream);
  }

  data(input: Input): number {
    const half = this.halves[input.direction];
    const { bytes, end } = input;
    let at = input.start;
    while (at < end) {
      if (half.left > 0) {
        at = this.body(half, input, at);
        continue;
      }
      if (!half.started) {
        const behind = this.preface(half, input, at);
        if (behind < 0) return at;
        at = behind;
        continue;
      }
      if (half.lost) {
        const found = this.find(bytes, at, end, input.direction);
        const stop = found < 0 ? ~found : found;
        this.connection.undecodable(stop - at);
        if (stop > at) half.hpack.lose(stop - at);
        at = stop;
        if (found < 0) return at;
        half.lost = false;
      }
      if (end - at < FRAME_HEADER_BYTES) return at;
      const next = this.frame(half, input, at);
      if (next < 0) return at;
      at = next;
    }
    return at;
  }

  gap(direction: Direction, length: number, heldBytes: number): void {
    const half = this.halves[direction];
    if (length > 0 && heldBytes === 0 && length <= half.left - half.padding) {
      half.left -= length;
      const { stream } = half;
      if (stream?.exchange) {
        stream.exchange.missingBytes += length;
        this.countBody(stream, direction, length);
        stream.call?.lost(direction);
        stream.undecided?.call.lost(direction);
      }
      if (half.left === 0) this.frameEnds(half, direction, null, 0);
      return;
    }
    this.lose(half, direction, length + heldBytes);
  }

  fin(): void {}

  close(status: number): void {
    for (const stream of [...this.streams.values()]) this.end(stream, status, false, -1);
    this.streams.clear();
  }

  private lose(half: Half, direction: Direction, bytes: number): void {
    half.left = 0;
    half.stream = null;
    half.blockLength = 0;
    half.blockStream = 0;
    half.lost = true;
    half.started = true;
    half.hpack.lose(bytes);
    // What ends them may be among what is lost.
    while (this.streams.size > MAX_DOUBTFUL) this.endOldest();
    for (const stream of this.streams.values()) {
      stream.doubtful = true;
      // Of a request that has ended no DATA can be lost.
      if (direction === Direction.CLIENT && stream.requestEnded) continue;
      if (direction === Direction.CLIENT) stream.requestBodyDoubtful = true;
      else stream.responseBodyDoubtful = true;
      stream.call?.lost(direction);
      stream.undecided?.call.lost(direction);
    }
  }

  private endOldest(): void {
    for (const stream of this.streams.values()) {
      this.end(stream, StatusValue.INCOMPLETE, false, -1);
      return;
    }
  }

  /** The client's connection preface (section 3.4), where it is there. */
  private preface(half: Half, input: Input, at: number): number {
    const { bytes, end } = input;
    if (input.direction === Direction.SERVER || bytes[at] !== PREFACE[0]) {
      half.started = true;
      return at;
    }
    const length = Math.min(PREFACE.length, end - at);
    for (let i = 0; i < length; i++) {
      if (bytes[at + i] === PREFACE[i]) continue;
      half.started = true;
      return at;
    }
    if (length < PREFACE.length) return -1;
    half.started = true;
    return at + PREFACE.length;
  }

  /** Payload of a DATA frame, or of one that is skipped. */
  private body(half: Half, input: Input, at: number): number {
    const take = Math.min(half.left, input.end - at);
    const { stream } = half;
    if (stream?.exchange) {
      const body = Math.max(0, Math.min(take, half.left - half.padding));
      if (body > 0) {
        this.countBody(stream, input.direction, body);
        stream.call?.data(input.direction, input.bytes, at, at + body);
        stream.undecided?.call.data(input.direction, input.bytes, at, at + body);
      }
      if (take > body) count(stream.exchange, input.direction, take - body);
    }
    half.left -= take;
    if (half.left === 0) this.frameEnds(half, input.direction, input, at + take - 1);
    return at + take;
  }

  private countBody(stream: Stream, direction: Direction, bytes: number): void {
    count(stream.exchange!, direction, bytes);
    if (direction === Direction.CLIENT) stream.requestBodyBytes += bytes;
    else stream.responseBodyBytes += bytes;
  }

  /** The last byte of a DATA frame was seen, or lost. */
  private frameEnds(half: Half, direction: Direction, input: Input | null, last: number): void {
    const { stream } = half;
    half.stream = null;
    if (stream === null || stream.exchange === null) return;
    if (input !== null) this.seen(stream, direction, input, last);
    if (half.endStream) this.directionEnds(stream, direction);
  }

  /** The frame at `at`: answers the position to go on from, or -1 where more bytes are needed. */
  private frame(half: Half, input: Input, at: number): number {
    const { bytes, end, direction } = input;
    const length = uint24(bytes, at);
    const type = bytes[at + 3];
    const flags = bytes[at + 4];
    const id = streamId(bytes, at + 5);
    const payload = at + FRAME_HEADER_BYTES;
    const stop = payload + length;
    if (half.blockStream !== 0 && (type !== FrameType.CONTINUATION || id !== half.blockStream)) {
      this.lose(half, direction, 1);
      this.connection.undecodable(1);
      return at + 1;
    }
    if (type === FrameType.DATA) return this.dataFrame(half, input, at, payload, length, flags, id);
    if (length > MAX_BLOCK_BYTES) {
      if (type === FrameType.HEADERS || type === FrameType.PUSH_PROMISE || type === FrameType.CONTINUATION) {
        half.hpack.forget();
        half.blockStream = 0;
      }
      half.left = length;
      half.padding = 0;
      half.stream = null;
      return payload;
    }
    if (stop > end) {
      input.need = stop - at;
      return -1;
    }
    switch (type) {
      case FrameType.HEADERS:
      case FrameType.PUSH_PROMISE:
        this.headersFrame(half, input, at, payload, stop, type, flags, id);
        break;
      case FrameType.CONTINUATION:
        this.continuation(half, input, at, payload, stop, flags, id);
        break;
      case FrameType.RST_STREAM:
        if (length === 4) this.resetStream(input, at, id, streamCode(bytes, payload));
        break;
      case FrameType.GOAWAY:
        if (length >= 8) this.goAway(direction, streamId(bytes, payload), streamCode(bytes, payload + 4));
        break;
    }
    return stop;
  }

  private dataFrame(
    half: Half,
    input: Input,
    at: number,
    payload: number,
    length: number,
    flags: number,
    id: number,
  ): number {
    const { bytes, end, direction } = input;
    const padded = (flags & Flag.PADDED) !== 0;
    if (padded && length > 0 && payload >= end) return -1;
    const stream = this.find1(id);
    half.stream = stream;
    half.endStream = (flags & Flag.END_STREAM) !== 0;
    half.left = length;
    half.padding = 0;
    let next = payload;
    if (padded && length > 0) {
      half.padding = Math.min(bytes[payload], length - 1);
      half.left--;
      next++;
    }
    if (stream?.exchange) {
      count(stream.exchange, direction, next - at);
      this.seen(stream, direction, input, at);
    }
    if (half.left === 0) this.frameEnds(half, direction, input, next - 1);
    return next;
  }

  private headersFrame(
    half: Half,
    input: Input,
    at: number,
    payload: number,
    stop: number,
    type: number,
    flags: number,
    id: number,
  ): void {
    const { bytes } = input;
    let from = payload;
    let to = stop;
    if ((flags & Flag.PADDED) !== 0 && from < to) {
      to -= bytes[from];
      from++;
    }
    if (type === FrameType.HEADERS && (flags & Flag.PRIORITY) !== 0) from += 5;
    let promise = 0;
    if (type === FrameType.PUSH_PROMISE && from + 4 <= to) {
      promise = streamId(bytes, from);
      from += 4;
    }
    if (from > to) {
      half.hpack.forget();
      return;
    }
    half.blockFlags = flags;
    half.blockPromise = promise;
    half.blockFrameBytes = stop - at;
    half.blockStartNs = input.timeAt(at);
    half.blockStartSegment = input.segmentAt(at);
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.block(half, input, bytes, from, to, id, stop - 1);
      return;
    }
    half.blockStream = id;
    half.blockLength = 0;
    this.keep(half, bytes, from, to);
  }

  private continuation(
    half: Half,
    input: Input,
    at: number,
    payload: number,
    stop: number,
    flags: number,
    id: number,
  ): void {
    // One whose HEADERS were not seen.
    if (half.blockStream === 0) {
      half.hpack.forget();
      return;
    }
    half.blockFrameBytes += stop - at;
    this.keep(half, input.bytes, payload, stop);
    if ((flags & Flag.END_HEADERS) === 0) return;
    half.blockStream = 0;
    if (half.blockLength > MAX_BLOCK_BYTES) {
      half.hpack.forget();
      this.blockLost(half, input.direction, id);
    } else this.block(half, input, half.block, 0, half.blockLength, id, stop - 1);
    half.block = NO_BYTES;
    half.blockLength = 0;
  }

  /** A header block that cannot be read: of its stream it is known whether it ends there. */
  private blockLost(half: Half, direction: Direction, id: number): void {
    for (const stream of this.streams.values()) stream.doubtful = true;
    const stream = this.find1(id);
    if (stream === null || half.blockPromise !== 0 || (half.blockFlags & Flag.END_STREAM) === 0) return;
    if (direction === Direction.CLIENT) stream.requestEnded = true;
    else this.end(stream, StatusValue.INCOMPLETE, false, -1);
  }

  /** Keeps a part of a header block; of one that is too long only its length. */
  private keep(half: Half, bytes: Uint8Array, start: number, end: number): void {
    const length = half.blockLength + end - start;
    if (length <= MAX_BLOCK_BYTES) {
      if (length > half.block.length) {
        const grown = new Uint8Array(Math.max(length, half.block.length * 2));
        grown.set(half.block.subarray(0, half.blockLength));
        half.block = grown;
      }
      half.block.set(bytes.subarray(start, end), half.blockLength);
    }
    half.blockLength = length;
  }

  /** A whole header block: a request's, a response's, trailers, or a promised request's. */
  private block(
    half: Half,
    input: Input,
    bytes: Uint8Array,
    start: number,
    end: number,
    id: number,
    last: number,
  ): void {
    const { direction } = input;
    if (!half.hpack.decode(bytes, start, end, list)) {
      this.connection.undecodable(end - start);
      this.blockLost(half, direction, id);
      return;
    }
    if (half.blockPromise !== 0) {
      const stream = this.open(half, input, half.blockPromise, last);
      if (stream === null) return;
      stream.pushed = true;
      stream.requestEnded = true;
      return;
    }
    const endStream = (half.blockFlags & Flag.END_STREAM) !== 0;
    let stream = this.find1(id);
    if (direction === Direction.CLIENT) {
      if (stream === null) {
        stream = this.open(half, input, id, last);
        if (stream === null) return;
      } else if (stream.exchange !== null) {
        count(stream.exchange, direction, half.blockFrameBytes);
        this.seen(stream, direction, input, last);
        stream.requestHeaderBytes += half.blockFrameBytes;
        stream.call?.headers(direction, list);
      }
    } else {
      if (stream === null || stream.exchange === null) return;
      this.responseBlock(half, stream, input, last);
    }
    if (endStream) this.directionEnds(stream, direction);
  }

  /** A request: opens its stream. null where it cannot be one. */
  private open(half: Half, input: Input, id: number, last: number): Stream | null {
    const method = list.find(Pseudo.METHOD);
    // Trailers of a stream that was not seen, or a block of which too much is unknown.
    if (method < 0 && (list.find(Pseudo.PATH) < 0 || !list.incomplete)) return null;
    if (this.streams.size >= this.options.maxPending) this.endOldest();
    const older = this.streams.get(id);
    if (older !== undefined) this.end(older, StatusValue.INCOMPLETE, false, -1);
    const stream = this.free.pop() ?? new Stream();
    stream.reset(id);
    const exchange = this.connection.pool.take();
    stream.exchange = exchange;
    exchange.detailTag = DETAIL_TAG;
    exchange.requestStartNs = half.blockStartNs;
    exchange.requestEndNs = input.timeAt(last);
    const pushed = input.direction === Direction.SERVER;
    if (pushed) {
      count(exchange, Direction.SERVER, half.blockFrameBytes);
    } else {
      exchange.requestFirstSegment = half.blockStartSegment;
      exchange.requestLastSegment = input.segmentAt(last);
      count(exchange, Direction.CLIENT, half.blockFrameBytes);
    }
    stream.requestHeaderBytes = half.blockFrameBytes;
    exchange.envelope.constant(VERSION);
    this.sort(stream, exchange);
    writeFields(stream, list, Http2Tag.requestHeaders, this.options.headers, trace);
    trace.write(exchange.envelope);
    this.streams.set(id, stream);
    this.last = stream;
    return stream;
  }

  /** Whose is a stream with this request: the application's, or plain HTTP? */
  private sort(stream: Stream, exchange: Exchange): void {
    const { application } = this;
    const call = application === null ? null : application.open(stream, list);
    if (call !== null) {
      this.take(stream, exchange, call);
      return;
    }
    const { detail, envelope } = exchange;
    const detailBefore = detail.length;
    const envelopeBefore = envelope.length;
    writeRequest(stream, list);
    if (application === null || !list.incomplete || !isPost() || fieldOf(list, Field.CONTENT_TYPE) >= 0)
      return;
    // The field that tells may be among the unknown ones: both are kept until the stream shows which it is.
    const plainDetail = detail.bytes.slice(detailBefore, detail.length);
    const plainEnvelope = envelope.bytes.slice(envelopeBefore, envelope.length);
    detail.length = detailBefore;
    envelope.length = envelopeBefore;
    stream.undecided = {
      call: application.assume(stream, list),
      plainDetail,
      plainEnvelope,
      callDetail: detail.bytes.slice(detailBefore, detail.length),
      callEnvelope: envelope.bytes.slice(envelopeBefore, envelope.length),
    };
    detail.length = detailBefore;
    envelope.length = envelopeBefore;
  }

  private take(stream: Stream, exchange: Exchange, call: Call): void {
    stream.call = call;
    exchange.detailTag = this.application!.detailTag;
    this.hasCalls = true;
  }

  private decide(stream: Stream, undecided: Undecided, isCall: boolean): void {
    const exchange = stream.exchange!;
    stream.undecided = null;
    exchange.detail.raw(isCall ? undecided.callDetail : undecided.plainDetail);
    exchange.envelope.raw(isCall ? undecided.callEnvelope : undecided.plainEnvelope);
    if (isCall) this.take(stream, exchange, undecided.call);
    else if (stream.statusCode > 0) writeStatus(exchange, stream.statusCode);
  }

  private responseBlock(half: Half, stream: Stream, input: Input, last: number): void {
    const exchange = stream.exchange!;
    const code = statusOf(list);
    count(exchange, Direction.SERVER, half.blockFrameBytes);
    stream.responseHeaderBytes += half.blockFrameBytes;
    // 1xx is not the response yet (RFC 9110 section 15.2).
    if (code >= 100 && code < 200 && !stream.responded) return;
    if (exchange.responseStartNs < 0) {
      exchange.responseStartNs = half.blockStartNs;
      exchange.responseFirstSegment = half.blockStartSegment;
    }
    this.seen(stream, Direction.SERVER, input, last);
    const { undecided } = stream;
    if (undecided !== null) {
      const claim = this.application!.claims(list);
      if (claim !== 0) this.decide(stream, undecided, claim > 0);
      else undecided.call.headers(Direction.SERVER, list);
    }
    if (!stream.responded && (code > 0 || list.incomplete)) {
      stream.responded = true;
      stream.statusCode = code;
      if (stream.call === null && stream.undecided === null) writeResponse(stream, list);
    }
    stream.call?.headers(Direction.SERVER, list);
    writeFields(stream, list, Http2Tag.responseHeaders, this.options.headers, null);
  }

  /** END_STREAM of one side. The response's is the roundtrip's. */
  private directionEnds(stream: Stream, direction: Direction): void {
    if (direction === Direction.CLIENT) stream.requestEnded = true;
    else this.end(stream, StatusValue.OK, true, -1);
  }

  private resetStream(input: Input, at: number, id: number, code: number): void {
    const stream = this.find1(id);
    if (stream === null || stream.exchange === null) return;
    const { direction } = input;
    count(stream.exchange, direction, FRAME_HEADER_BYTES + 4);
    this.seen(stream, direction, input, at);
    this.end(stream, StatusValue.CANCELLED, false, code);
  }

  /** Streams of the other side above `lastId` were not and will not be processed (section 6.8). */
  private goAway(direction: Direction, lastId: number, code: number): void {
    if (direction === Direction.CLIENT) return;
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastId || (stream.id & 1) === 0) continue;
      // What a server that shuts down has not begun it refuses; a call is that for every code.
      const refused = code === ErrorCode.NO_ERROR || stream.call !== null ? ErrorCode.REFUSED_STREAM : code;
      this.end(stream, StatusValue.CANCELLED, false, refused);
    }
  }

  private end(stream: Stream, status: number, ended: boolean, resetCode: number): void {
    const exchange = stream.exchange!;
    const { undecided } = stream;
    if (undecided !== null) {
      const framing = undecided.call.framing();
      this.decide(stream, undecided, framing > 0 || (framing === 0 && this.hasCalls));
    }
    this.streams.delete(stream.id);
    if (this.last === stream) this.last = null;
    for (const half of this.halves) if (half.stream === stream) half.stream = null;
    exchange.status =
      stream.call === null
        ? this.plain(stream, status, ended, resetCode)
        : stream.call.finish(stream, status, ended, resetCode);
    // What is not there may be among what is lost.
    if (
      stream.doubtful &&
      (exchange.status === StatusValue.NO_RESPONSE || exchange.status === StatusValue.RESET)
    )
      exchange.status = StatusValue.INCOMPLETE;
    if (resetCode > ErrorCode.NO_ERROR && resetCode < ERROR_CODES.length && stream.call === null) {
      exchange.detail.constant(errorCodes[resetCode]);
    }
    stream.exchange = null;
    stream.call = null;
    this.connection.emit(exchange);
    if (this.free.length < MAX_POOLED) this.free.push(stream);
  }

  /** The rest of a record of plain HTTP; answers its status. */
  private plain(stream: Stream, status: number, ended: boolean, resetCode: number): number {
    const exchange = stream.exchange!;
    const { detail } = exchange;
    detail.uint(Http2Tag.streamId, stream.id);
    if (stream.pushed) detail.bool(Http2Tag.pushed, true);
    detail.uint(Http2Tag.requestHeaderBytes, stream.requestHeaderBytes);
    if (stream.requestEnded && !stream.requestBodyDoubtful)
      detail.uint(Http2Tag.requestBodyBytes, stream.requestBodyBytes);
    if (stream.responded) {
      detail.uint(Http2Tag.responseHeaderBytes, stream.responseHeaderBytes);
      if (ended && !stream.responseBodyDoubtful)
        detail.uint(Http2Tag.responseBodyBytes, stream.responseBodyBytes);
    }
    const code = stream.statusCode;
    if (ended) {
      // A status that was not seen may be any.
      if (!stream.responded || code === 0) return StatusValue.INCOMPLETE;
      if (code < 400) return StatusValue.OK;
      writeErrorType(exchange, code);
      return StatusValue.ERROR;
    }
    // A response that is whole but for END_STREAM: the server wants no more of the request (section 8.1).
    if (resetCode === ErrorCode.NO_ERROR && code > 0) return code >= 400 ? StatusValue.ERROR : StatusValue.OK;
    if (resetCode >= 0 && resetCode < errorTypes.length) exchange.envelope.constant(errorTypes[resetCode]);
    if (status === StatusValue.NO_RESPONSE && exchange.responseStartNs >= 0) return StatusValue.INCOMPLETE;
    return status;
  }

  private seen(stream: Stream, direction: Direction, input: Input, position: number): void {
    const exchange = stream.exchange!;
    const timeNs = input.timeAt(position);
    const segment = input.segmentAt(position);
    if (direction === Direction.CLIENT) {
      exchange.requestEndNs = timeNs;
      exchange.requestLastSegment = segment;
      return;
    }
    if (exchange.responseStartNs < 0) {
      exchange.responseStartNs = timeNs;
      exchange.responseFirstSegment = segment;
    }
    exchange.responseEndNs = timeNs;
    exchange.responseLastSegment = segment;
  }

  private find1(id: number): Stream | null {
    if (this.last?.id === id) return this.last;
    const stream = this.streams.get(id) ?? null;
    if (stream !== null) this.last = stream;
    return stream;
  }

  /** Position of the next frame; else ~position from which on bytes must be kept. */
  private find(bytes: Uint8Array, start: number, end: number, direction: Direction): number {
    for (let at = start; at + FRAME_HEADER_BYTES <= end; at++) {
      const found = chain(bytes, at, end, CHAIN_FRAMES);
      if (found === 1) return at;
      if (found !== 0) continue;
      // One header, and its frame goes on: a stream that is open makes it sure.
      const id = streamId(bytes, at + 5);
      const type = bytes[at + 3];
      const stop = at + FRAME_HEADER_BYTES + uint24(bytes, at);
      if ((type === FrameType.DATA || type === FrameType.HEADERS) && this.streams.has(id)) return at;
      if (stop === end && (id === 0 || direction === Direction.CLIENT)) return at;
      if (end - at < MAX_LOOK_BYTES) return ~at;
    }
    return ~Math.max(start, end - FRAME_HEADER_BYTES + 1);
  }
}

/** The method of `list` is POST, or may be. */
function isPost(): boolean {
  const method = list.find(Pseudo.METHOD);
  return method < 0 || knownMethod(list.values[method], list.starts[method], list.ends[method]) === POST;
}

function streamCode(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

function count(exchange: Exchange, direction: Direction, bytes: number): void {
  if (direction === Direction.CLIENT) exchange.requestBytes += bytes;
  else exchange.responseBytes += bytes;
}
