/** One direction of a TCP connection: where it stands and what is held of it. */
import { giveBuffer, takeBuffer } from './buffers.js';
import type { Side, StreamHandler } from './stream.js';

/** What is known of where a direction stands. */
export const Position = {
  UNKNOWN: 0,
  /** `next` is a guess from a packet without payload; bytes further on are no gap. */
  TENTATIVE: 1,
  KNOWN: 2,
} as const;
export type Position = (typeof Position)[keyof typeof Position];

/** Released segments kept to be used again: they live long enough to be expensive garbage. */
const MAX_FREE_SEGMENTS = 8192;
const NOTHING = new Uint8Array(0);

/** A copy of a segment, in the list of its direction by sequence number. */
export class HeldSegment {
  next: HeldSegment | null = null;
  previous: HeldSegment | null = null;
  sequence = 0;
  /** Bytes of the stream, of which only the first `captured` are there. */
  length = 0;
  captured = 0;
  bytes: Uint8Array = NOTHING;
  timeNs = 0;

  private static free: HeldSegment | null = null;
  private static freeCount = 0;

  /** Copies `captured` bytes from bytes[start] on. */
  static copy(
    sequence: number,
    length: number,
    bytes: Uint8Array,
    start: number,
    captured: number,
    timeNs: number,
  ): HeldSegment {
    let segment = HeldSegment.free;
    if (segment === null) segment = new HeldSegment();
    else {
      HeldSegment.free = segment.next;
      HeldSegment.freeCount--;
    }
    segment.sequence = sequence;
    segment.length = length;
    segment.captured = captured;
    segment.bytes = takeBuffer(captured);
    segment.bytes.set(bytes.subarray(start, start + captured));
    segment.timeNs = timeNs;
    return segment;
  }

  /** Ends the use of a segment that is in no list any more, and of its bytes. */
  release(): void {
    giveBuffer(this.bytes);
    this.bytes = NOTHING;
    this.previous = null;
    this.next = null;
    if (HeldSegment.freeCount === MAX_FREE_SEGMENTS) return;
    this.next = HeldSegment.free;
    HeldSegment.free = this;
    HeldSegment.freeCount++;
  }
}

/** One direction of a connection: what `side` sends. */
export class Half {
  handler: StreamHandler | null = null;
  position: Position = Position.UNKNOWN;
  /** Sequence number of the next byte to deliver. */
  next = 0;
  /** The highest acknowledgement of the other side; valid unless UNKNOWN. */
  acknowledged = 0;
  hasInitial = false;
  /** Sequence number of the SYN; valid with `hasInitial`. */
  initial = 0;
  hasPackets = false;
  hasData = false;
  finSeen = false;
  finDelivered = false;
  /** Sequence number of the FIN; valid with `finSeen`. */
  finSequence = 0;
  /** The last gap: [gapStart, gapEnd). */
  gapStart = 0;
  gapEnd = 0;
  head: HeldSegment | null = null;
  tail: HeldSegment | null = null;
  heldBytes = 0;
  /** Time of the last in-order bytes that came while something was held. */
  progressNs = 0;
  /** In the list of those that wait for a hole to be filled. */
  waiting = false;
  implausible = 0;
  implausibleNext = 0;

  constructor(readonly side: Side) {}

  /** For a new connection; nothing is held. `waiting` stays, as it tells about a list. */
  reset(): void {
    this.handler = null;
    this.position = Position.UNKNOWN;
    this.next = 0;
    this.acknowledged = 0;
    this.hasInitial = false;
    this.initial = 0;
    this.hasPackets = false;
    this.hasData = false;
    this.finSeen = false;
    this.finDelivered = false;
    this.finSequence = 0;
    this.gapStart = 0;
    this.gapEnd = 0;
    this.progressNs = 0;
    this.implausible = 0;
    this.implausibleNext = 0;
  }

  start(position: Position, next: number): void {
    this.position = position;
    this.next = next;
    this.acknowledged = next;
  }

  get pending(): boolean {
    return this.head !== null || (this.finSeen && !this.finDelivered);
  }
}
