/** Growable output bytes. `bytes` is replaced when it grows: read it again after `reserve`. */
export class ByteBuffer {
  bytes: Uint8Array;
  /** Bytes written so far. */
  length = 0;

  constructor(initialBytes = 4096) {
    this.bytes = new Uint8Array(Math.max(initialBytes, 16));
  }

  /** Forgets what was written; the memory stays. */
  clear(): void {
    this.length = 0;
  }

  /** Makes room for `more` bytes behind `length`. */
  reserve(more: number): void {
    const need = this.length + more;
    if (need <= this.bytes.length) return;
    let size = this.bytes.length * 2;
    while (size < need) size *= 2;
    const grown = new Uint8Array(size);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** Appends [start, end) of `source`. */
  append(source: Uint8Array, start = 0, end = source.length): void {
    this.reserve(end - start);
    this.bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.length);
    this.length += end - start;
  }

  /** Appends a string of ASCII characters; for other text use `text`. */
  ascii(value: string): void {
    const length = value.length;
    this.reserve(length);
    const bytes = this.bytes;
    let at = this.length;
    for (let i = 0; i < length; i++) bytes[at++] = value.charCodeAt(i);
    this.length = at;
  }

  /** Appends a string as UTF-8. */
  text(value: string): void {
    this.reserve(value.length * 3);
    this.length += encoder.encodeInto(value, this.bytes.subarray(this.length)).written;
  }

  /** What was written, borrowed until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  toString(): string {
    return decoder.decode(this.view());
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
