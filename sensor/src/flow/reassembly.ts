/**
 * Puts the segments of each direction of a TCP connection in order (RFC 9293 section 3.4).
 *
 * In-order bytes go up borrowed. Segments behind a hole are copied and held. A hole is a gap as
 * soon as the receiver has acknowledged past it, since then nobody will send it again, or when the
 * hold or the wait limit is full. Of bytes that are seen twice the first seen win.
 *
 * Sequence numbers are kept as signed 32-bit integers; `(a - b) | 0` is their distance.
 */
import type { TcpCounters } from './counters.js';
import { type Half, HeldSegment, Position } from './half.js';

/** Bookkeeping that a held segment is charged beside its bytes. */
export const HELD_SEGMENT_OVERHEAD_BYTES = 128;
/** The largest window (RFC 7323 section 2.3): nothing plausible lies further ahead or behind. */
export const MAX_WINDOW_BYTES = 1 << 30;
/** So many implausible segments in a row, each following the one before, become the stream. */
const RESYNC_SEGMENTS = 4;
/** A hole that is filled sooner was reordering, later a retransmission (as in Wireshark's packet-tcp.c). */
const REORDERING_NS = 3e6;

export interface ReassemblyOptions {
  /** Held bytes of one direction, 128 bytes charged for each segment. */
  readonly maxHoldBytes: number;
  /** Held bytes of all connections. */
  readonly maxTotalHoldBytes: number;
  /** Time that a hole may stay without any progress. */
  readonly maxWaitNs: number;
}

/** What `segment` found. */
export const SegmentKind = { IN_ORDER: 0, OUT_OF_ORDER: 1, RETRANSMITTED: 2, OTHER: 3 } as const;
export type SegmentKind = (typeof SegmentKind)[keyof typeof SegmentKind];

type GapCounter =
  | 'gapsAcknowledged'
  | 'gapsHoldFull'
  | 'gapsTotalHoldFull'
  | 'gapsWaited'
  | 'gapsCut'
  | 'gapsClosed'
  | 'gapsResynchronised';

/** Shared by all connections of a tracker. The handlers of the halves given to it are not null. */
export class Reassembly {
  private readonly waiting: Half[] = [];

  constructor(
    private readonly options: ReassemblyOptions,
    private readonly counters: TcpCounters,
  ) {}

  /**
   * `length` bytes of the stream from `sequence` on, of which bytes[start, end) were captured:
   * the first `end - start`, at most `length`.
   */
  segment(
    half: Half,
    bytes: Uint8Array,
    start: number,
    end: number,
    sequence: number,
    length: number,
    timeNs: number,
  ): SegmentKind {
    let distance = (sequence - half.next) | 0;
    if (half.position !== Position.KNOWN) {
      // The past of a connection that was joined is no gap.
      if (half.position === Position.UNKNOWN) half.start(Position.KNOWN, sequence);
      else if (distance > 0) half.next = sequence;
      half.position = Position.KNOWN;
      distance = (sequence - half.next) | 0;
    }
    half.hasData = true;
    if (distance === 0 && half.head === null && !half.finSeen) {
      half.implausible = 0;
      this.deliver(half, bytes, start, end, length, timeNs);
      return SegmentKind.IN_ORDER;
    }
    return this.unusual(half, bytes, start, end, sequence, length, timeNs);
  }

  /** The FIN stands at `sequence`, behind the last byte. */
  fin(half: Half, sequence: number, timeNs: number): void {
    const distance = (sequence - half.next) | 0;
    if (half.finSeen || distance < 0 || distance > MAX_WINDOW_BYTES) return;
    half.finSeen = true;
    half.finSequence = sequence;
    this.cutHold(half, sequence);
    this.finish(half, timeNs);
    if (half.pending) this.wait(half, timeNs);
  }

  /** The receiver has everything before `sequence`, which lies ahead of what was delivered. */
  acknowledge(half: Half, sequence: number, timeNs: number): void {
    const distance = (sequence - half.next) | 0;
    if (distance <= 0) return;
    if (distance > MAX_WINDOW_BYTES) {
      this.counters.implausibleAcks++;
      return;
    }
    if (half.position === Position.TENTATIVE && distance === 1) {
      // The probe of a keep-alive stands one before the next byte (RFC 9293 section 3.8.4).
      half.next = sequence;
      return;
    }
    half.position = Position.KNOWN;
    const past = half.finSeen && ((sequence - half.finSequence) | 0) > 0;
    this.advance(half, past ? half.finSequence : sequence, timeNs, 'gapsAcknowledged');
  }

  /** Gives up what has waited for too long. */
  tick(timeNs: number): void {
    const { waiting } = this;
    for (let i = waiting.length - 1; i >= 0; i--) {
      const half = waiting[i];
      if (half.pending) this.expire(half, timeNs);
      if (half.pending) continue;
      half.waiting = false;
      waiting[i] = waiting[waiting.length - 1];
      waiting.pop();
    }
  }

  /** Delivers all that is held, and the FIN, with gaps where bytes are missing. */
  flush(half: Half, timeNs: number): void {
    while (half.head !== null) this.advance(half, half.head.sequence, timeNs, 'gapsClosed');
    if (half.finSeen && !half.finDelivered) this.advance(half, half.finSequence, timeNs, 'gapsClosed');
  }

  private unusual(
    half: Half,
    bytes: Uint8Array,
    start: number,
    end: number,
    sequence: number,
    length: number,
    timeNs: number,
  ): SegmentKind {
    const { counters } = this;
    let distance = (sequence - half.next) | 0;
    if (distance > MAX_WINDOW_BYTES || distance < -MAX_WINDOW_BYTES) {
      if (!this.resynchronise(half, sequence, length, timeNs)) {
        counters.implausibleSegments++;
        counters.implausibleBytes += end - start;
        return SegmentKind.OTHER;
      }
      distance = 0;
    }
    half.implausible = 0;
    if (half.finSeen) {
      const beyond = (sequence + length - half.finSequence) | 0;
      if (beyond > 0) {
        length = Math.max(0, length - beyond);
        const kept = Math.min(end, start + length);
        counters.ignoredBytes += end - kept;
        end = kept;
        if (length === 0) return SegmentKind.OTHER;
      }
    }
    let kind: SegmentKind = SegmentKind.IN_ORDER;
    if (distance < 0) {
      const behind = Math.min(-distance, length);
      const old = Math.min(behind, end - start);
      const late = this.old(half, sequence, old);
      if (distance === -1 && length === 1) {
        counters.keepAlives++;
        return SegmentKind.OTHER;
      }
      kind = late ? SegmentKind.OUT_OF_ORDER : SegmentKind.RETRANSMITTED;
      start += old;
      length -= behind;
      sequence = (sequence + behind) | 0;
    } else if (distance > 0) {
      kind = SegmentKind.OUT_OF_ORDER;
    } else if (half.head !== null) {
      const soon = timeNs - half.head.timeNs < REORDERING_NS;
      kind = soon ? SegmentKind.OUT_OF_ORDER : SegmentKind.RETRANSMITTED;
    }
    if (kind === SegmentKind.OUT_OF_ORDER) counters.outOfOrderSegments++;
    else if (kind === SegmentKind.RETRANSMITTED) counters.retransmittedSegments++;
    if (length > 0) {
      if (sequence === half.next) this.fill(half, bytes, start, end, length, timeNs);
      else this.hold(half, bytes, start, end, sequence, length, timeNs);
    }
    return kind;
  }

  /** In-order bytes while something is held or the FIN is known. What is held was seen first. */
  private fill(
    half: Half,
    bytes: Uint8Array,
    start: number,
    end: number,
    length: number,
    timeNs: number,
  ): void {
    half.progressNs = timeNs;
    const sequence = half.next;
    const last = (sequence + length) | 0;
    for (let left = length; left > 0; left = (last - half.next) | 0) {
      const done = length - left;
      // Where held segments were delivered in between, their bytes are here a second time.
      const from = Math.min(start + done, end);
      const room = half.head === null ? left : Math.min(left, (half.head.sequence - half.next) | 0);
      const to = Math.min(from + room, end);
      this.deliver(half, bytes, from, to, room, timeNs);
      const before = half.next;
      this.drain(half);
      const covered = Math.min((half.next - before) | 0, (last - before) | 0);
      if (covered > 0) this.old(half, before, Math.min(to + covered, end) - to);
    }
    this.finish(half, timeNs);
  }

  private deliver(
    half: Half,
    bytes: Uint8Array,
    start: number,
    end: number,
    length: number,
    timeNs: number,
  ): void {
    const captured = end - start;
    half.next = (half.next + captured) | 0;
    if (captured > 0) {
      this.counters.deliveredBytes += captured;
      half.handler!.data(half.side, bytes, start, end, timeNs);
    }
    if (captured < length) this.gap(half, length - captured, timeNs, 'gapsCut');
  }

  private gap(half: Half, length: number, timeNs: number, counter: GapCounter): void {
    this.counters[counter]++;
    this.counters.gapBytes += length;
    half.gapStart = half.next;
    half.next = (half.next + length) | 0;
    half.gapEnd = half.next;
    half.handler!.gap(half.side, length, timeNs);
  }

  /** Delivers what is held up to the next hole. */
  private drain(half: Half): void {
    for (let held = half.head; held !== null && held.sequence === half.next; held = half.head) {
      this.unlink(half, held);
      const timeNs = Math.max(held.timeNs, half.progressNs);
      this.deliver(half, held.bytes, 0, held.captured, held.length, timeNs);
      held.release();
    }
  }

  private finish(half: Half, timeNs: number): void {
    if (!half.finSeen || half.finDelivered || half.next !== half.finSequence) return;
    half.finDelivered = true;
    half.next = (half.next + 1) | 0;
    half.handler?.fin(half.side, timeNs);
  }

  /** Delivers everything before `to`, with gaps for holes, and what is held right behind. */
  private advance(half: Half, to: number, timeNs: number, counter: GapCounter): void {
    for (let left = (to - half.next) | 0; left > 0; left = (to - half.next) | 0) {
      const { head } = half;
      const hole = head === null ? left : (head.sequence - half.next) | 0;
      // A gap before held bytes was there when they were: the time of an acknowledgement is later.
      if (hole >= left) this.gap(half, left, timeNs, counter);
      else this.gap(half, hole, Math.max(head!.timeNs, half.progressNs), counter);
      this.drain(half);
    }
    this.drain(half);
    this.finish(half, timeNs);
  }

  private expire(half: Half, timeNs: number): void {
    const { maxWaitNs } = this.options;
    while (half.head !== null) {
      if (timeNs - Math.max(half.head.timeNs, half.progressNs) < maxWaitNs) return;
      this.advance(half, half.head.sequence, timeNs, 'gapsWaited');
    }
    if (half.finSeen && !half.finDelivered && timeNs - half.progressNs >= maxWaitNs) {
      this.advance(half, half.finSequence, timeNs, 'gapsWaited');
    }
  }

  /** Counts `length` bytes from `sequence` on, seen before or given up; true for given up. */
  private old(half: Half, sequence: number, length: number): boolean {
    const from = Math.max(0, (half.gapStart - sequence) | 0);
    const to = Math.min(length, (half.gapEnd - sequence) | 0);
    const late = half.gapStart === half.gapEnd ? 0 : Math.max(0, to - from);
    this.counters.lateBytes += late;
    this.counters.retransmittedBytes += length - late;
    return late > 0;
  }

  /** True when the stream goes on at `sequence`, far away. */
  private resynchronise(half: Half, sequence: number, length: number, timeNs: number): boolean {
    half.implausible = half.implausibleNext === sequence ? half.implausible + 1 : 1;
    half.implausibleNext = (sequence + length) | 0;
    if (half.implausible < RESYNC_SEGMENTS || half.finSeen) return false;
    this.flush(half, timeNs);
    this.gap(half, (sequence - half.next) >>> 0, timeNs, 'gapsResynchronised');
    half.acknowledged = half.next;
    return true;
  }

  private wait(half: Half, timeNs: number): void {
    if (half.head === null) half.progressNs = timeNs;
    if (half.waiting) return;
    half.waiting = true;
    this.waiting.push(half);
  }

  /** Copies a segment behind a hole; where there is no room the first holes become gaps. */
  private hold(
    half: Half,
    bytes: Uint8Array,
    start: number,
    end: number,
    sequence: number,
    length: number,
    timeNs: number,
  ): void {
    const { counters, options } = this;
    this.expire(half, timeNs);
    const cost = end - start + HELD_SEGMENT_OVERHEAD_BYTES;
    for (;;) {
      if (((sequence - half.next) | 0) <= 0) break;
      const full = half.heldBytes + cost > options.maxHoldBytes;
      if (!full && counters.heldBytes + cost <= options.maxTotalHoldBytes) break;
      const counter = full ? 'gapsHoldFull' : 'gapsTotalHoldFull';
      const first = half.head;
      const before = first !== null && ((first.sequence - sequence) | 0) < 0;
      this.advance(half, before ? first.sequence : sequence, timeNs, counter);
    }
    const behind = (half.next - sequence) | 0;
    if (behind >= 0) {
      const old = Math.min(behind, end - start);
      if (old > 0) this.old(half, sequence, old);
      if (behind < length) this.fill(half, bytes, start + old, end, length - behind, timeNs);
      return;
    }
    let previous = half.tail;
    while (previous !== null && ((previous.sequence - sequence) | 0) > 0) previous = previous.previous;
    let following = previous === null ? half.head : previous.next;
    let at = 0;
    if (previous !== null) at = Math.max(0, (previous.sequence + previous.length - sequence) | 0);
    const captured = end - start;
    counters.retransmittedBytes += Math.min(at, captured);
    while (at < length) {
      const from = (sequence + at) | 0;
      const room = following === null ? length - at : Math.min(length - at, (following.sequence - from) | 0);
      if (room > 0) {
        const copyFrom = Math.min(at, captured);
        const copyTo = Math.min(at + room, captured);
        const pieceCost = copyTo - copyFrom + HELD_SEGMENT_OVERHEAD_BYTES;
        if (
          half.heldBytes + pieceCost <= options.maxHoldBytes &&
          counters.heldBytes + pieceCost <= options.maxTotalHoldBytes
        ) {
          const held = HeldSegment.copy(from, room, bytes, start + copyFrom, copyTo - copyFrom, timeNs);
          this.link(half, held, previous);
          previous = held;
        } else {
          counters.droppedBytes += copyTo - copyFrom;
        }
        at += room;
      }
      if (following === null) break;
      const covered = Math.min(length - at, following.length);
      counters.retransmittedBytes += Math.min(at + covered, captured) - Math.min(at, captured);
      at += covered;
      previous = following;
      following = following.next;
    }
    this.wait(half, timeNs);
  }

  private link(half: Half, held: HeldSegment, previous: HeldSegment | null): void {
    const following = previous === null ? half.head : previous.next;
    held.previous = previous;
    held.next = following;
    if (previous === null) half.head = held;
    else previous.next = held;
    if (following === null) half.tail = held;
    else following.previous = held;
    const cost = held.captured + HELD_SEGMENT_OVERHEAD_BYTES;
    half.heldBytes += cost;
    this.counters.heldBytes += cost;
  }

  private unlink(half: Half, held: HeldSegment): void {
    if (held.previous === null) half.head = held.next;
    else held.previous.next = held.next;
    if (held.next === null) half.tail = held.previous;
    else held.next.previous = held.previous;
    const cost = held.captured + HELD_SEGMENT_OVERHEAD_BYTES;
    half.heldBytes -= cost;
    this.counters.heldBytes -= cost;
  }

  /** Gives up what is held behind the FIN. */
  private cutHold(half: Half, finSequence: number): void {
    for (let held = half.tail; held !== null; held = half.tail) {
      const beyond = (held.sequence + held.length - finSequence) | 0;
      if (beyond <= 0) return;
      this.unlink(half, held);
      const kept = held.length - beyond;
      const captured = Math.max(0, Math.min(kept, held.captured));
      this.counters.ignoredBytes += held.captured - captured;
      if (kept <= 0) {
        held.release();
        continue;
      }
      held.length = kept;
      held.captured = captured;
      this.link(half, held, half.tail);
    }
  }
}
