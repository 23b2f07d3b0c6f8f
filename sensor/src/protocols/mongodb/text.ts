/** The sanitised text of a command document. */

/** Longest text recorded; what is beyond is cut and marked. */
export const MAX_TEXT_BYTES = 1024;
const ELLIPSIS = Buffer.from('…');
const [QUOTE, COLON, COMMA, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, UNKNOWN] = Buffer.from('":,{}[]?');
const BACKSLASH = 0x5c;

/** Writes `{"find":"users","filter":{"age":?}}` as the document is walked: keys are kept, values are not. */
export class CommandText {
  readonly bytes = new Uint8Array(MAX_TEXT_BYTES + ELLIPSIS.length);
  length = 0;
  /** Nothing more is written. */
  full = false;
  private first = true;

  reset(): void {
    this.length = 0;
    this.full = false;
    this.first = true;
  }

  open(list: boolean): void {
    this.put(list ? OPEN_LIST : OPEN);
    this.first = true;
  }

  close(list: boolean): void {
    this.put(list ? CLOSE_LIST : CLOSE);
    this.first = false;
  }

  /** The key of an element; elements of lists have none. */
  key(bytes: Uint8Array, start: number, end: number, inList: boolean): void {
    if (!this.first) this.put(COMMA);
    this.first = false;
    if (inList) return;
    this.quoted(bytes, start, end);
    this.put(COLON);
  }

  value(): void {
    this.put(UNKNOWN);
  }

  /** A value that is shown: the name of a collection. */
  quoted(bytes: Uint8Array, start: number, end: number): void {
    this.put(QUOTE);
    let at = start;
    if (!this.full && this.length + end - start < MAX_TEXT_BYTES) {
      let { length } = this;
      for (; at < end; at++) {
        const byte = bytes[at];
        if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) break;
        this.bytes[length++] = byte;
      }
      this.length = length;
    }
    for (let i = at; i < end; i++) {
      const byte = bytes[i];
      if (byte === QUOTE || byte === BACKSLASH) this.put(BACKSLASH);
      this.put(byte < 0x20 ? UNKNOWN : byte);
    }
    this.put(QUOTE);
  }

  private put(byte: number): void {
    if (this.full) return;
    if (this.length >= MAX_TEXT_BYTES) {
      this.full = true;
      // A character of several bytes is not cut in the middle.
      while (this.length > 0 && (this.bytes[this.length - 1] & 0xc0) === 0x80) this.length--;
      if (this.length > 0 && this.bytes[this.length - 1] >= 0xc0) this.length--;
      this.bytes.set(ELLIPSIS, this.length);
      this.length += ELLIPSIS.length;
      return;
    }
    this.bytes[this.length++] = byte;
  }
}
