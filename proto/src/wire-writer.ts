/**
 * Writes the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) straight from
 * captured bytes, without objects or strings. Tags are those of gen/tags.ts.
 *
 * Nested messages get a length of fixed width (3 bytes, up to 2 MiB; a longer varint than needed is
 * valid), so that nothing is moved when their length is known.
 */

import { copyExactly, copyWords, STRIDE_BYTES, viewOf } from './words.js';

const NESTED_LENGTH_BYTES = 3;
/** Longest nested message that `begin`/`end` can hold. */
export const MAX_NESTED_BYTES = 2 ** 21 - 1;

/** From here `set` is faster than a loop, for a whole array. */
const LONG_WHOLE_BYTES = 24;
/** From here words are faster than a loop, and from there `set` than words. */
const MIN_WORDS_BYTES = 16;
const LONG_BYTES = 384;

const encoder = new TextEncoder();

export class WireWriter {
  bytes: Uint8Array;
  /** Of `bytes`, for copies by words. */
  view: DataView;
  /** Bytes written so far. */
  length = 0;

  constructor(initialBytes = 256) {
    // Whole strides, for `putWriter`.
    this.bytes = new Uint8Array((initialBytes + STRIDE_BYTES - 1) & -STRIDE_BYTES);
    this.view = new DataView(this.bytes.buffer);
  }

  reset(): void {
    this.length = 0;
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    const need = this.length + more;
    if (need <= this.bytes.length) return;
    let size = this.bytes.length * 2;
    while (size < need) size *= 2;
    const grown = new Uint8Array(size);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Unsigned integer up to 2^53, as a varint field. */
  uint(tag: number, value: number): void {
    this.reserve(15);
    this.length = putField(this.bytes, this.length, tag, value);
  }

  /** The same, left out when 0 as proto3 does for fields without presence. */
  uintNonZero(tag: number, value: number): void {
    if (value > 0) this.uint(tag, value);
  }

  /** Signed 64-bit varint field (int32, int64): negative values take ten bytes. */
  int(tag: number, value: number): void {
    if (value >= 0) {
      this.uint(tag, value);
      return;
    }
    this.reserve(15);
    this.varint(tag);
    let low = value >>> 0;
    let high = Math.floor(value / 0x100000000) >>> 0;
    const bytes = this.bytes;
    for (let i = 0; i < 9; i++) {
      bytes[this.length++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    bytes[this.length++] = low & 0x7f;
  }

  bool(tag: number, value: boolean): void {
    this.uint(tag, value ? 1 : 0);
  }

  double(tag: number, value: number): void {
    this.reserve(13);
    this.varint(tag);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** fixed64 of two halves. */
  fixed64(tag: number, low: number, high: number): void {
    this.reserve(13);
    this.varint(tag);
    this.view.setInt32(this.length, low, true);
    this.view.setInt32(this.length + 4, high, true);
    this.length += 8;
  }

  /** Bytes field: [start, end) of `source`, as it is. */
  blob(tag: number, source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.reserve(length + 10);
    this.varint(tag);
    this.varint(length);
    this.copy(source, start, end);
  }

  /**
   * String field of captured bytes. What is not UTF-8 becomes U+FFFD, for a string on the wire must
   * be UTF-8.
   */
  text(tag: number, source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.reserve(length + 10);
    const before = this.length;
    this.varint(tag);
    this.varint(length);
    let at = this.length;
    let ascii: boolean;
    if (length < MIN_WORDS_BYTES) {
      const bytes = this.bytes;
      let high = 0;
      for (let i = start; i < end; i++) {
        const byte = source[i];
        high |= byte;
        bytes[at++] = byte;
      }
      ascii = high < 0x80;
    } else {
      ascii = copyExactly(this.view, at, this.viewOf(source), start, end);
    }
    if (ascii) {
      this.length += length;
      return;
    }
    this.length = before;
    this.string(tag, decoder.decode(source.subarray(start, end)));
  }

  /** String field of a JavaScript string. */
  string(tag: number, value: string): void {
    const length = value.length;
    this.reserve(length * 3 + 10);
    this.varint(tag);
    if (length < 128) {
      const lengthAt = this.length++;
      const bytes = this.bytes;
      let at = this.length;
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code >= 0x80) break;
        bytes[at++] = code;
      }
      if (i === length) {
        bytes[lengthAt] = length;
        this.length = at;
        return;
      }
      this.length = lengthAt;
    }
    const encoded = encoder.encode(value);
    this.varint(encoded.length);
    this.copy(encoded, 0, encoded.length);
  }

  /** Bytes that are wire format already. */
  raw(source: Uint8Array, start = 0, end = source.length): void {
    this.reserve(end - start);
    this.copy(source, start, end);
  }

  /** The same by words, up to three bytes too many of which are overwritten by what follows. */
  constant({ words, length }: Constant): void {
    this.reserve(words.length * 4);
    const { view } = this;
    for (let i = 0, at = this.length; i < words.length; i++, at += 4) view.setInt32(at, words[i], true);
    this.length += length;
  }

  /** Opens a nested message; its fields follow until `end`. Answers the mark that `end` needs. */
  begin(tag: number): number {
    this.reserve(5 + NESTED_LENGTH_BYTES);
    this.varint(tag);
    this.length += NESTED_LENGTH_BYTES;
    return this.length;
  }

  /** Closes the nested message of `begin`. */
  end(mark: number): void {
    const length = this.length - mark;
    const bytes = this.bytes;
    bytes[mark - 3] = (length & 0x7f) | 0x80;
    bytes[mark - 2] = ((length >>> 7) & 0x7f) | 0x80;
    bytes[mark - 1] = (length >>> 14) & 0x7f;
  }

  /** A varint without a tag; the caller has reserved. */
  varint(value: number): void {
    this.length = putVarint(this.bytes, this.length, value);
  }

  /** Four bytes of a field of bytes, the highest first; the caller has reserved. */
  word(value: number): void {
    this.view.setInt32(this.length, value);
    this.length += 4;
  }

  /** `length` bytes that are wire format already, of a view that goes on for a stride behind them. */
  words(source: DataView, start: number, length: number): void {
    this.reserve(length + STRIDE_BYTES);
    copyWords(this.view, this.length, source, start, length);
    this.length += length;
  }

  private copy(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const { bytes } = this;
    if (length > LONG_WHOLE_BYTES && length === source.length) {
      bytes.set(source, this.length);
    } else if (length > LONG_BYTES) {
      bytes.set(source.subarray(start, end), this.length);
    } else if (length < MIN_WORDS_BYTES || length === source.length) {
      for (let i = start, at = this.length; i < end; i++) bytes[at++] = source[i];
    } else {
      copyExactly(this.view, this.length, this.viewOf(source), start, end);
    }
    this.length += length;
  }

  private viewOf(source: Uint8Array): DataView {
    return source === this.bytes ? this.view : viewOf(source);
  }
}

/** Writes a varint at `at`, where the caller has made room, and answers the position behind it. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 0x7fffffff) {
    bytes[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  let word = value | 0;
  while (word > 0x7f) {
    bytes[at++] = (word & 0x7f) | 0x80;
    word >>>= 7;
  }
  bytes[at++] = word;
  return at;
}

/** The same for a varint field: at most 5 bytes of tag and 8 of a value up to 2^53. */
export function putField(bytes: Uint8Array, at: number, tag: number, value: number): number {
  return putVarint(bytes, putVarint(bytes, at, tag), value);
}

/** Varints below this are one word. */
const ONE_WORD = 2 ** 28;

/**
 * The same with a tag of one byte and a value above 0. Up to three bytes behind the field are overwritten. What fits
 * into a word is spread over it without a loop: seven bits a byte, and all but the last say that there is another.
 */
export function putPositive({ bytes, view }: WireWriter, at: number, tag: number, value: number): number {
  if (value >= ONE_WORD) return putField(bytes, at, tag, value);
  const word = value | 0;
  bytes[at] = tag;
  if (word < 0x80) {
    bytes[at + 1] = word;
    return at + 2;
  }
  const length = ((31 - Math.clz32(word)) * 9 + 73) >> 6;
  const spread =
    (word & 0x7f) | ((word & 0x3f80) << 1) | ((word & 0x1fc000) << 2) | ((word & 0xfe00000) << 3);
  view.setInt32(at + 1, spread | (0x808080 >> ((4 - length) * 8)), true);
  return at + 1 + length;
}

/**
 * All of `source` at `at`, where the caller has made room for it and a stride more, which may be overwritten;
 * answers the position behind it.
 */
export function putWriter(target: WireWriter, at: number, source: WireWriter): number {
  const { length } = source;
  if (length > LONG_BYTES) target.bytes.set(source.bytes.subarray(0, length), at);
  else copyWords(target.view, at, source.view, 0, length);
  return at + length;
}

const decoder = new TextDecoder();

/** Wire format that is made once and appended often, with `constant`. */
export class Constant {
  readonly length: number;
  /** Little-endian; behind the last byte is whatever. */
  readonly words: Int32Array;

  /** Copies what was written. */
  constructor({ length, view }: WireWriter) {
    this.length = length;
    this.words = new Int32Array((length + 3) >> 2);
    for (let i = 0; i < this.words.length; i++) this.words[i] = view.getInt32(i * 4, true);
  }

  /** A copy of the bytes. */
  toBytes(): Uint8Array {
    const writer = new WireWriter(this.length + 4);
    writer.constant(this);
    return writer.bytes.subarray(0, this.length);
  }

  /** All of them, one behind the other. */
  static of(...parts: readonly Constant[]): Constant {
    return encode((writer) => {
      for (const part of parts) writer.constant(part);
    });
  }
}

const constants = new WireWriter(256);

/** What `write` writes, to be appended with `constant`. */
export function encode(write: (writer: WireWriter) => void): Constant {
  constants.reset();
  write(constants);
  return new Constant(constants);
}

/** One string field. */
export function encodeString(tag: number, value: string): Constant {
  return encode((writer) => writer.string(tag, value));
}

export const NO_FIELDS = Constant.of();
