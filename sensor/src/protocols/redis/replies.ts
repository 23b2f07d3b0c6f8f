/** Reads replies and pushes as they come, in any pieces; values are stepped over. */
import type { Input } from '../decoder.js';
import {
  BAD,
  CR,
  findLineEnd,
  IS_TYPE,
  LF,
  lineEnd,
  MAX_BULK_BYTES,
  MAX_ELEMENTS,
  MAX_LINE_BYTES,
  NEED_MORE,
  readNumber,
  STREAMED,
  Type,
} from './wire.js';

/** Streamed aggregates in one another that are followed. */
const MAX_STREAMED = 16;
/** A first element or an error longer than this is not looked at. */
const MAX_SHOWN_BYTES = 4096;

export interface ReplySink {
  /** A value or push begins. Answers whether its first element is wanted. */
  replyBegins(type: number): boolean;
  /** The next reply is that of SYNC or PSYNC: empty lines may come before it, and a stream follows. */
  readonly awaitsStream: boolean;
  /** It is over: `reader` says what it was. False ends the reading: something else follows. */
  replyEnds(reader: ReplyReader, input: Input, last: number): boolean;
}

export class ReplyReader {
  /** First byte of the value; NULL for the nulls of RESP2. */
  type = 0;
  /** Elements of an aggregate (pairs of a map); -1 for another value. */
  elements = -1;
  /** [textStart, textEnd) of `text`: a simple string, an error, or the first element where it was wanted. */
  text: Uint8Array = NOTHING;
  textStart = 0;
  textEnd = 0;
  /** The last integer among the elements; -1 without one. */
  integer = -1;
  startNs = -1;
  startSegment = 0;
  bytes = 0;
  missing = 0;
  /** Values that are still to come before the reply is whole. */
  private left = 0;
  /** Bytes of a value that are stepped over. */
  private skip = 0;
  /** Inside a line whose end was not found yet. */
  private inLine = false;
  private inStreamedString = false;
  /** Of the streamed aggregates that are open: `left` outside of each. */
  private readonly outer: number[] = [];
  /** The next value is a first element that is wanted. */
  private first = false;
  /** Attributes came, the reply itself not yet. */
  private attributed = false;
  private stopped = false;

  constructor(private readonly sink: ReplySink) {}

  /** A reply is half read. */
  get active(): boolean {
    return this.left > 0;
  }

  /** Bytes that may be lost without harm. */
  get skipping(): number {
    return this.skip;
  }

  /** Passes over lost bytes of a value, which may end with them: `input` says when. */
  pass(length: number, input: Input): void {
    this.skip -= length;
    this.bytes += length;
    this.missing += length;
    if (this.skip === 0 && !this.inStreamedString) this.valueEnds(input, input.end);
  }

  reset(): void {
    this.left = 0;
    this.skip = 0;
    this.inLine = false;
    this.inStreamedString = false;
    if (this.outer.length > 0) this.outer.length = 0;
    this.missing = 0;
    this.first = false;
    this.attributed = false;
  }

  /**
   * Reads from `at`; answers the position up to which it consumed, or ~position where the bytes are no
   * reply. Stops early where the sink said so.
   */
  read(input: Input, at: number): number {
    const { bytes, end } = input;
    this.stopped = false;
    while (at < end && !this.stopped) {
      if (this.skip > 0) {
        const take = Math.min(this.skip, end - at);
        this.skip -= take;
        this.bytes += take;
        at += take;
        // A chunk of a streamed string is not the string.
        if (this.skip === 0 && !this.inStreamedString) this.valueEnds(input, at);
        continue;
      }
      if (this.inLine) {
        const stop = bytes.indexOf(LF, at);
        const found = stop >= 0 && stop < end;
        const next = found ? stop + 1 : end;
        this.bytes += next - at;
        at = next;
        if (found) {
          this.inLine = false;
          this.valueEnds(input, at);
        }
        continue;
      }
      const next = this.value(input, at);
      if (next < 0 || next === at) return next;
      at = next;
    }
    return at;
  }

  /** One value, or as much of it as decides how it goes on. Answers `at` where more bytes are needed. */
  private value(input: Input, at: number): number {
    const { bytes, end } = input;
    const type = bytes[at];
    if (this.inStreamedString) return type === Type.CHUNK ? this.chunk(input, at) : ~at;
    if (type === Type.END) return this.endOfStreamed(input, at);
    if (IS_TYPE[type] === 0) {
      // So a master keeps its replica waiting while it saves.
      return type === LF && this.left === 0 && this.sink.awaitsStream ? at + 1 : ~at;
    }
    const top = this.left === 0 || (this.attributed && this.left === 1);
    switch (type) {
      case Type.SIMPLE_STRING:
      case Type.ERROR:
      case Type.INTEGER:
      case Type.NULL:
      case Type.BOOLEAN:
      case Type.DOUBLE:
      case Type.BIG_NUMBER: {
        const stop = findLineEnd(bytes, at + 1, end);
        if (stop < 0) {
          if (end - at <= MAX_LINE_BYTES) return at;
          if (top) this.begin(type, input, at);
          this.bytes += end - at;
          this.inLine = true;
          return end;
        }
        if (top) {
          this.begin(type, input, at);
          this.text = bytes;
          this.textStart = at + 1;
          this.textEnd = stop;
        } else if (this.first) this.keep(bytes, at + 1, stop);
        else if (type === Type.INTEGER) this.integer = readNumber(bytes, at + 1, end);
        this.bytes += stop + 2 - at;
        this.valueEnds(input, stop + 2);
        return stop + 2;
      }
      case Type.BULK_STRING:
      case Type.BULK_ERROR:
      case Type.VERBATIM_STRING:
        return this.bulk(input, at, type, top);
      default:
        return this.aggregate(input, at, type, top);
    }
  }

  private bulk(input: Input, at: number, type: number, top: boolean): number {
    const { bytes, end } = input;
    const length = readNumber(bytes, at + 1, end);
    if (length === NEED_MORE) return at;
    if (length === BAD && top && this.sink.awaitsStream) return this.mark(input, at);
    if (length === BAD || length > MAX_BULK_BYTES) return ~at;
    const next = lineEnd;
    const shown = (top ? type === Type.BULK_ERROR : this.first) && length <= MAX_SHOWN_BYTES;
    if (shown && length > 0 && next + length + 2 > end) {
      input.need = next + length + 2 - at;
      return at;
    }
    if (top) this.begin(length === -1 ? Type.NULL : type, input, at);
    if (shown && length > 0) this.keep(bytes, next, next + length);
    this.first = false;
    this.bytes += next - at;
    if (length === STREAMED) this.inStreamedString = true;
    else if (length < 0 || (top && this.sink.awaitsStream)) this.valueEnds(input, next);
    else if (next + length + 2 > end) this.skip = length + 2;
    else {
      this.bytes += length + 2;
      this.valueEnds(input, next + length + 2);
      return next + length + 2;
    }
    return next;
  }

  /** `$EOF:` and the mark at the end of a snapshot whose length nobody knows; `$ENDOFF:` and where it ends (Valkey). */
  private mark(input: Input, at: number): number {
    const stop = findLineEnd(input.bytes, at + 1, input.end);
    if (stop < 0) return input.end - at <= MAX_LINE_BYTES ? at : ~at;
    this.begin(Type.BULK_STRING, input, at);
    this.bytes += stop + 2 - at;
    this.valueEnds(input, stop + 2);
    return stop + 2;
  }

  private chunk(input: Input, at: number): number {
    const length = readNumber(input.bytes, at + 1, input.end);
    if (length === NEED_MORE) return at;
    if (length < 0 || length > MAX_BULK_BYTES) return ~at;
    const next = lineEnd;
    this.bytes += next - at;
    if (length > 0) this.skip = length + 2;
    else {
      this.inStreamedString = false;
      this.valueEnds(input, next);
    }
    return next;
  }

  private endOfStreamed(input: Input, at: number): number {
    const { bytes, end } = input;
    if (this.outer.length === 0) return ~at;
    if (end - at < 3) return at;
    if (bytes[at + 1] !== CR || bytes[at + 2] !== LF) return ~at;
    this.bytes += 3;
    this.left = this.outer.pop()!;
    this.valueEnds(input, at + 3);
    return at + 3;
  }

  private aggregate(input: Input, at: number, type: number, top: boolean): number {
    const count = readNumber(input.bytes, at + 1, input.end);
    if (count === NEED_MORE) return at;
    if (count === BAD || count > MAX_ELEMENTS) return ~at;
    const next = lineEnd;
    let wanted = false;
    if (top) {
      wanted = this.begin(count === -1 ? Type.NULL : type, input, at);
      if (count >= 0) this.elements = count;
    }
    this.first = wanted && count > 0;
    this.bytes += next - at;
    if (count === STREAMED) {
      if (this.outer.length === MAX_STREAMED || type === Type.ATTRIBUTE) return ~at;
      this.outer.push(this.left);
      this.left = Number.POSITIVE_INFINITY;
      return next;
    }
    const values = type === Type.MAP || type === Type.ATTRIBUTE ? 2 * count : count;
    // Attributes stand before the value they belong to, which is still to come.
    if (type === Type.ATTRIBUTE) this.left += Math.max(0, values);
    else if (values > 0) this.left += values - 1;
    else this.valueEnds(input, next);
    return next;
  }

  /** Keeps text beyond this call. */
  private keep(bytes: Uint8Array, start: number, end: number): void {
    this.text = bytes.slice(start, end);
    this.textStart = 0;
    this.textEnd = end - start;
    this.first = false;
  }

  /** The reply itself, or the attributes before it, begins. Answers whether its first element is wanted. */
  private begin(type: number, input: Input, at: number): boolean {
    this.type = type;
    this.elements = -1;
    this.integer = -1;
    this.text = NOTHING;
    this.textStart = 0;
    this.textEnd = 0;
    if (!this.attributed) {
      this.startNs = input.timeAt(at);
      this.startSegment = input.segmentAt(at);
      this.bytes = 0;
      this.missing = 0;
      this.left = 1;
    }
    this.attributed = type === Type.ATTRIBUTE;
    return !this.attributed && this.sink.replyBegins(type);
  }

  /** A value ended before `at`: perhaps the reply did. */
  private valueEnds(input: Input, at: number): void {
    this.first = false;
    if (--this.left > 0) return;
    if (!this.sink.replyEnds(this, input, at - 1)) this.stopped = true;
  }
}

const NOTHING = new Uint8Array(0);
