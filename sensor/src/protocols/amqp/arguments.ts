/** Reads the arguments of a method: positions of short strings, and numbers. One object for all. */
import { type Method, uint16, uint32, uint64 } from './wire.js';

export class Arguments {
  /** Bounds of short strings; start === end where absent or empty. */
  exchangeStart = 0;
  exchangeEnd = 0;
  keyStart = 0;
  keyEnd = 0;
  queueStart = 0;
  queueEnd = 0;
  consumerStart = 0;
  consumerEnd = 0;
  hostStart = 0;
  hostEnd = 0;
  textStart = 0;
  textEnd = 0;
  /** -1 where absent. */
  deliveryTag = -1;
  messageCount = -1;
  replyCode = 0;
  flags = 0;
  redelivered = false;

  /** [start, end) is what follows the method's ids. False where it is too short for what it should hold. */
  parse(method: Method, bytes: Uint8Array, start: number, end: number): boolean {
    this.clear();
    const spec = method.arguments;
    let at = start;
    for (let i = 0; i < spec.length; i++) {
      const kind = spec.charCodeAt(i);
      const size = fixedSize(kind);
      if (size === 0) {
        if (at >= end) return false;
        const from = at + 1;
        at = from + bytes[at];
        if (at > end) return false;
        this.string(kind, from, at);
      } else {
        if (at + size > end) return false;
        this.number(kind, bytes, at);
        at += size;
      }
    }
    return true;
  }

  private string(kind: number, start: number, end: number): void {
    switch (kind) {
      case E:
        this.exchangeStart = start;
        this.exchangeEnd = end;
        return;
      case K:
        this.keyStart = start;
        this.keyEnd = end;
        return;
      case Q:
        this.queueStart = start;
        this.queueEnd = end;
        return;
      case C:
        this.consumerStart = start;
        this.consumerEnd = end;
        return;
      case V:
        this.hostStart = start;
        this.hostEnd = end;
        return;
      case X:
        this.textStart = start;
        this.textEnd = end;
    }
  }

  private number(kind: number, bytes: Uint8Array, at: number): void {
    switch (kind) {
      case T:
        this.deliveryTag = uint64(bytes, at);
        return;
      case M:
        this.messageCount = uint32(bytes, at);
        return;
      case H:
        this.replyCode = uint16(bytes, at);
        return;
      case F:
        this.flags = bytes[at];
        return;
      case R:
        this.redelivered = bytes[at] !== 0;
    }
  }

  private clear(): void {
    this.exchangeStart = this.exchangeEnd = 0;
    this.keyStart = this.keyEnd = 0;
    this.queueStart = this.queueEnd = 0;
    this.consumerStart = this.consumerEnd = 0;
    this.hostStart = this.hostEnd = 0;
    this.textStart = this.textEnd = 0;
    this.deliveryTag = -1;
    this.messageCount = -1;
    this.replyCode = 0;
    this.flags = 0;
    this.redelivered = false;
  }
}

const [E, K, Q, C, V, X, T, M, H, F, R, RESERVED] = [...'ekqcvxtmhfr-'].map((c) => c.charCodeAt(0));

/** Bytes of a fixed-size argument; 0 for a short string. */
function fixedSize(kind: number): number {
  switch (kind) {
    case T:
      return 8;
    case M:
      return 4;
    case H:
    case RESERVED:
      return 2;
    case F:
    case R:
      return 1;
    default:
      return 0;
  }
}
