/** One direction of a TCP connection: in-order delivery, a bounded hold for what comes early, gaps. */
import type { Side, StreamHandler } from './stream.js';

/** A segment that came before its turn; its bytes are a copy. */
interface HeldSegment {
  sequence: number;
  bytes: Uint8Array;
}

/** Further than this from what is expected, a sequence number is not of this connection. */
const MAX_DISTANCE = 1 << 30;

/** Limits of one direction's hold. */
export interface HoldLimits {
  readonly maxHeldBytes: number;
  readonly maxHeldSegments: number;
}

/** Signed distance from `b` to `a` on the circle of sequence numbers. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export class Half {
  known = false;
  /** Sequence number of the next byte to deliver. */
  next = 0;
  held: HeldSegment[] = [];
  heldBytes = 0;
  heldSinceNs = 0;
  finSequence = -1;
  finished = false;
  retransmitted = 0;
  outOfOrder = 0;

  constructor(
    private readonly side: Side,
    private readonly limits: HoldLimits,
  ) {}

  start(sequence: number): void {
    this.known = true;
    this.next = sequence >>> 0;
    this.held = [];
    this.heldBytes = 0;
    this.finSequence = -1;
    this.finished = false;
  }

  /** Bytes [start, end) with the sequence number of the first; `lost` more bytes of the segment were cut off. */
  segment(sequence: number, bytes: Uint8Array, start: number, end: number, lost: number, timeNs: number, to: StreamHandler): void {
    const ahead = distance(sequence, this.next);
    if (ahead > MAX_DISTANCE || ahead < -MAX_DISTANCE) return;
    if (ahead <= 0) {
      const fresh = end - start + ahead;
      if (fresh <= 0) {
        this.retransmitted++;
        return;
      }
      this.deliver(bytes, end - fresh, end, timeNs, to);
      if (lost > 0) this.gap(lost, timeNs, to);
      if (this.held.length > 0) this.drain(timeNs, to);
    } else {
      this.outOfOrder++;
      this.hold(sequence, bytes, start, end, timeNs);
      while (this.heldBytes > this.limits.maxHeldBytes || this.held.length > this.limits.maxHeldSegments) {
        this.skipTo(this.held[0].sequence, timeNs, to);
      }
    }
    this.tryFin(timeNs, to);
  }

  /** The peer has seen everything before `acknowledgement`: holes below it will never be filled. */
  acknowledged(acknowledgement: number, timeNs: number, to: StreamHandler): void {
    if (!this.known) return;
    const ahead = distance(acknowledgement, this.next);
    if (ahead <= 0 || ahead > MAX_DISTANCE) return;
    const end = acknowledgement >>> 0;
    for (;;) {
      const first = this.held[0];
      if (first === undefined || distance(first.sequence, end) >= 0) break;
      this.skipTo(first.sequence, timeNs, to);
    }
    if (distance(end, this.next) <= 0) return;
    // The FIN takes a number of its own.
    const fin = this.finSequence >= 0 && distance(end, this.finSequence) > 0;
    const missing = distance(fin ? this.finSequence : end, this.next);
    if (missing > 0) this.gap(missing, timeNs, to);
    this.tryFin(timeNs, to);
  }

  fin(sequence: number, timeNs: number, to: StreamHandler): void {
    this.finSequence = sequence >>> 0;
    this.tryFin(timeNs, to);
  }

  /** Delivers what is held with gaps before it: nothing more will come. */
  flush(timeNs: number, to: StreamHandler): void {
    while (this.held.length > 0) this.skipTo(this.held[0].sequence, timeNs, to);
    this.tryFin(timeNs, to);
  }

  private tryFin(timeNs: number, to: StreamHandler): void {
    if (this.finished || this.finSequence < 0 || distance(this.finSequence, this.next) > 0) return;
    this.finished = true;
    to.fin(this.side, timeNs);
  }

  private deliver(bytes: Uint8Array, start: number, end: number, timeNs: number, to: StreamHandler): void {
    this.next = (this.next + end - start) >>> 0;
    to.data(this.side, bytes, start, end, timeNs);
  }

  private gap(length: number, timeNs: number, to: StreamHandler): void {
    this.next = (this.next + length) >>> 0;
    to.gap(this.side, length, timeNs);
  }

  private skipTo(sequence: number, timeNs: number, to: StreamHandler): void {
    const missing = distance(sequence, this.next);
    if (missing > 0) this.gap(missing, timeNs, to);
    this.drain(timeNs, to);
  }

  private drain(timeNs: number, to: StreamHandler): void {
    while (this.held.length > 0) {
      const { sequence, bytes } = this.held[0];
      const ahead = distance(sequence, this.next);
      if (ahead > 0) break;
      this.held.shift();
      this.heldBytes -= bytes.length;
      if (-ahead < bytes.length) this.deliver(bytes, -ahead, bytes.length, timeNs, to);
    }
    this.heldSinceNs = timeNs;
  }

  /** Keeps the parts that are not held yet: what was seen first wins. */
  private hold(sequence: number, bytes: Uint8Array, start: number, end: number, timeNs: number): void {
    if (this.held.length === 0) this.heldSinceNs = timeNs;
    let at = sequence;
    let from = start;
    let index = 0;
    while (from < end) {
      const other = this.held[index];
      if (other === undefined) {
        this.insert(index, at, bytes.slice(from, end));
        return;
      }
      const before = distance(other.sequence, at);
      if (before > 0) {
        const size = Math.min(before, end - from);
        this.insert(index, at, bytes.slice(from, from + size));
        from += size;
        at = (at + size) >>> 0;
        index += 2;
      } else {
        index++;
      }
      const covered = distance((other.sequence + other.bytes.length) >>> 0, at);
      if (covered > 0) {
        from += covered;
        at = (at + covered) >>> 0;
      }
    }
  }

  private insert(index: number, sequence: number, bytes: Uint8Array): void {
    this.held.splice(index, 0, { sequence: sequence >>> 0, bytes });
    this.heldBytes += bytes.length;
  }
}
