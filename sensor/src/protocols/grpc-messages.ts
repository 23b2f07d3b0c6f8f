/** The messages of one direction of a gRPC call, over any version of HTTP (PROTOCOL-HTTP2.md, PROTOCOL-WEB.md). */

/** Flags (1) and length (4) before every message. */
const PREFIX_BYTES = 5;
/** Set in the flags of gRPC-Web's trailer frame. */
const TRAILER = 0x80;
const COMPRESSED = 1;
const MAX_TRAILER_BYTES = 4096;

/** How messages are framed. */
export const Framing = {
  PLAIN: 0,
  /** gRPC-Web: trailers are a frame of their own. */
  WEB: 1,
  /** The same in base64, padded wherever the sender has flushed. */
  WEB_TEXT: 2,
} as const;
export type Framing = (typeof Framing)[keyof typeof Framing];

const CONTENT_TYPE = Buffer.from('application/grpc-web', 'latin1');
const TEXT = Buffer.from('-text', 'latin1');

/** That of a media type [start, end). */
export function framingOf(bytes: Uint8Array, start: number, end: number): Framing {
  if (!startsWith(CONTENT_TYPE, bytes, start, end)) return Framing.PLAIN;
  return startsWith(TEXT, bytes, start + CONTENT_TYPE.length, end) ? Framing.WEB_TEXT : Framing.WEB;
}

function startsWith(lower: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < lower.length) return false;
  for (let i = 0; i < lower.length; i++) if ((bytes[start + i] | 0x20) !== lower[i]) return false;
  return true;
}

/** Value of each digit of base64; -1 for what is none. */
const DIGITS = new Int8Array(256).fill(-1);
for (const [value, byte] of Buffer.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  'latin1',
).entries()) {
  DIGITS[byte] = value;
}
const PADDING = 0x3d;
const decoded = new Uint8Array(4096);

export class GrpcMessages {
  count = 0;
  /** Not all of them could be counted. */
  uncertain = false;
  private malformed = false;
  private prefix = 0;
  private length = 0;
  private left = 0;
  private flags = 0;
  /** Base64 digits that make no byte yet. */
  private bits = 0;
  private digits = 0;
  /** The text of a trailer frame. */
  private trailer: number[] | null = null;

  constructor(private readonly kind: Framing) {}

  /** 1 whole messages and nothing else, -1 something else, 0 unknown. */
  get framing(): number {
    if (this.malformed) return -1;
    return this.count > 0 && !this.uncertain && this.left === 0 && this.prefix === 0 ? 1 : 0;
  }

  take(bytes: Uint8Array, start: number, end: number): void {
    if (this.kind === Framing.WEB_TEXT) this.takeText(bytes, start, end);
    else this.frames(bytes, start, end);
  }

  /** Value of a field of the trailer frame, or null: `grpc-status:0\r\ngrpc-message:…`. */
  trailerField(wanted: string): Buffer | null {
    if (this.trailer === null || this.uncertain) return null;
    for (const line of Buffer.from(this.trailer).toString('latin1').split('\r\n')) {
      const colon = line.indexOf(':');
      if (colon < 0 || line.slice(0, colon).trim().toLowerCase() !== wanted) continue;
      return Buffer.from(line.slice(colon + 1).trim(), 'latin1');
    }
    return null;
  }

  private takeText(bytes: Uint8Array, start: number, end: number): void {
    let length = 0;
    for (let at = start; at < end && !this.uncertain; at++) {
      if (bytes[at] === PADDING) {
        this.digits = 0;
        continue;
      }
      const digit = DIGITS[bytes[at]];
      if (digit < 0) {
        this.uncertain = true;
        return;
      }
      this.bits = ((this.bits << 6) | digit) & 0xffffff;
      this.digits++;
      // Of four digits the first makes no byte, each of the others one.
      if (this.digits === 1) continue;
      decoded[length++] = (this.bits >> (8 - 2 * this.digits)) & 0xff;
      if (this.digits === 4) this.digits = 0;
      if (length === decoded.length) {
        this.frames(decoded, 0, length);
        length = 0;
      }
    }
    this.frames(decoded, 0, length);
  }

  private frames(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end && !this.uncertain) {
      if (this.left > 0) {
        const take = Math.min(this.left, end - at);
        if (this.trailer !== null && (this.flags & TRAILER) !== 0) {
          for (let i = at; i < at + take && this.trailer.length < MAX_TRAILER_BYTES; i++)
            this.trailer.push(bytes[i]);
        }
        this.left -= take;
        at += take;
        continue;
      }
      const byte = bytes[at++];
      if (this.prefix === 0) {
        this.flags = byte;
        this.length = 0;
        if ((byte & ~(this.kind === Framing.PLAIN ? COMPRESSED : TRAILER | COMPRESSED)) !== 0) {
          this.uncertain = true;
          this.malformed = true;
          return;
        }
      } else this.length = this.length * 256 + byte;
      if (++this.prefix < PREFIX_BYTES) continue;
      this.prefix = 0;
      this.left = this.length;
      if ((this.flags & TRAILER) !== 0) this.trailer = [];
      else this.count++;
    }
  }
}
