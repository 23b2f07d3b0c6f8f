/**
 * Walks one BSON document as its bytes come, in any pieces: names and small values are needed whole,
 * everything else is stepped over. What an element means is the visitor's business.
 */
import { Bson, int32, MALFORMED, MIN_DOCUMENT_BYTES, NEED_MORE, valueSize } from './wire.js';

/** Documents deeper than this are stepped over; BSON of MongoDB ends at 100. */
const MAX_DEPTH = 32;
const MAX_NAME_BYTES = 1024;
/** Values that are wanted must be whole; longer ones are not wanted. */
export const MAX_VALUE_BYTES = 4096;

export interface Visitor {
  /**
   * An element of the document with this context. `value` is whole in `bytes` where `size` is at most
   * MAX_VALUE_BYTES, or the first 4 bytes of it are. Answers 0 to step over it, or the
   * context with which to go into the document or array.
   */
  element(
    context: number,
    type: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: number,
    size: number,
  ): number;
  /** The document with this context is over. */
  leave(context: number): void;
}

export class Walker {
  /** The document is over. */
  done = true;
  malformed = false;
  private depth = 0;
  private skip = 0;
  /** Per level: bytes of the document that are still to come, and its context. */
  private readonly left = new Float64Array(MAX_DEPTH);
  private readonly contexts = new Uint8Array(MAX_DEPTH);

  /** A document begins: its length comes next. */
  begin(context: number): void {
    this.depth = 0;
    this.skip = 0;
    this.left[0] = -1;
    this.contexts[0] = context;
    this.done = false;
    this.malformed = false;
  }

  /** Bytes that may be lost without harm: the rest of a value that is stepped over. */
  get skipping(): number {
    return this.skip;
  }

  /** Passes over `bytes` of a value that is stepped over. */
  pass(bytes: number): void {
    this.skip -= bytes;
  }

  /** Walks on over [at, end); answers the position up to which it consumed. Stops for good when `done`. */
  walk(bytes: Uint8Array, at: number, end: number, visitor: Visitor): number {
    while (!this.done) {
      if (this.skip > 0) {
        const take = Math.min(this.skip, end - at);
        this.skip -= take;
        at += take;
        if (this.skip > 0) return at;
      }
      const { depth } = this;
      if (this.left[depth] < 0) {
        if (end - at < 4) return at;
        const length = int32(bytes, at);
        if (length < MIN_DOCUMENT_BYTES) return this.fail(at);
        this.left[depth] = length - 4;
        at += 4;
        continue;
      }
      if (at >= end) return at;
      const type = bytes[at];
      if (type === 0) {
        if (this.left[depth] !== 1) return this.fail(at);
        at++;
        visitor.leave(this.contexts[depth]);
        if (depth === 0) this.done = true;
        else this.depth--;
        continue;
      }
      const next = this.element(type, bytes, at, end, visitor);
      if (next < 0) return next === NEED_MORE ? at : this.fail(at);
      at = next;
    }
    return at;
  }

  private element(type: number, bytes: Uint8Array, at: number, end: number, visitor: Visitor): number {
    const nameStart = at + 1;
    let nameEnd = nameStart;
    while (nameEnd < end && bytes[nameEnd] !== 0) nameEnd++;
    if (nameEnd - nameStart > MAX_NAME_BYTES) return MALFORMED;
    if (nameEnd >= end) return NEED_MORE;
    const value = nameEnd + 1;
    const size = valueSize(type, bytes, value, end);
    if (size < 0) return size === NEED_MORE && end - value > MAX_NAME_BYTES * 4 ? MALFORMED : size;
    const { depth } = this;
    const whole = value + size - at;
    // One byte is left for the document's final 0.
    if (whole > this.left[depth] - 1) return MALFORMED;
    const nested = type === Bson.DOCUMENT || type === Bson.ARRAY;
    if (!nested && size <= MAX_VALUE_BYTES && value + size > end) return NEED_MORE;
    const into = visitor.element(this.contexts[depth], type, bytes, nameStart, nameEnd, value, size);
    this.left[depth] -= whole;
    if (into > 0 && nested && depth + 1 < MAX_DEPTH) {
      this.depth = depth + 1;
      this.left[depth + 1] = size - 4;
      this.contexts[depth + 1] = into;
      return value + 4;
    }
    const stop = Math.min(value + size, end);
    this.skip = value + size - stop;
    return stop;
  }

  private fail(at: number): number {
    this.malformed = true;
    this.done = true;
    return at;
  }
}
