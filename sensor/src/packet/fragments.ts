/**
 * Reassembly of IPv4 and IPv6 fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
 *
 * Where fragments overlap the bytes that came first win; a fragment that contradicts the known end of
 * its datagram is malformed and changes nothing. (RFC 5722 has receivers discard overlapping IPv6
 * datagrams; an observer rather shows them.) Fragments that the capture cut are no use and dropped.
 *
 * A datagram is known by addresses, identification and, in IPv4, protocol; the interface has no part,
 * for fragments may take different ways.
 */
import type { Cursor } from './cursor.js';
import { type Packet, ParseStatus } from './packet.js';

export interface FragmentOptions {
  /** Datagrams in flight; the oldest makes room. Default 1024. */
  readonly maxDatagrams: number;
  /** Memory for the fragments of all of them; the oldest makes room. Default 8 MiB. */
  readonly maxBytes: number;
  /** Age at which an incomplete datagram is given up, in ns of capture time. Default 30 s. */
  readonly maxAgeNs: number;
}

export const DEFAULT_FRAGMENT_OPTIONS: FragmentOptions = {
  maxDatagrams: 1024,
  maxBytes: 8 * 1024 * 1024,
  maxAgeNs: 30e9,
};

/** The largest payload of an IPv4 packet, and of IPv6 (fragments cannot be jumbograms). */
const MAX_PAYLOAD_BYTES = 65_535;
/** Offsets count these. */
const UNIT_BYTES = 8;
const MIN_BUFFER_BYTES = 4096;
const MAX_BUFFER_BYTES = 65_536;
/** Age is looked at this often. */
const SWEEP_INTERVAL_NS = 1e9;

export class FragmentCounters {
  /** Fragments kept. */
  held = 0;
  /** Datagrams completed. */
  reassembled = 0;
  /** Datagrams given up for their age. */
  expired = 0;
  /** Datagrams that made room for others, and fragments that were cut, malformed or too big to keep. */
  dropped = 0;
}

const State = { FREE: 0, FILLING: 1, LENT: 2 } as const;
type State = (typeof State)[keyof typeof State];

class Datagram {
  state: State = State.FREE;
  ipVersion = 0;
  source0 = 0;
  source1 = 0;
  source2 = 0;
  source3 = 0;
  destination0 = 0;
  destination1 = 0;
  destination2 = 0;
  destination3 = 0;
  identification = 0;
  /** Of the first fragment, which alone counts in IPv6. */
  protocol = 0;
  sinceNs = 0;
  /** -1 until the last fragment came. */
  totalBytes = -1;
  highestEnd = 0;
  receivedUnits = 0;
  bytes: Uint8Array = new Uint8Array(0);
  /** One byte for each unit: 1 where it is there. */
  units: Uint8Array = new Uint8Array(0);
}

export class FragmentTable {
  readonly counters = new FragmentCounters();
  private readonly options: FragmentOptions;
  private readonly datagrams: Datagram[] = [];
  private bufferBytes = 0;
  private lent = false;
  private sweptNs = Number.NEGATIVE_INFINITY;

  constructor(options: Partial<FragmentOptions> = {}) {
    this.options = { ...DEFAULT_FRAGMENT_OPTIONS, ...options };
  }

  /** Takes back the buffers of datagrams completed in the frame before. */
  takeBack(): void {
    if (!this.lent) return;
    this.lent = false;
    for (const datagram of this.datagrams) if (datagram.state === State.LENT) datagram.state = State.FREE;
  }

  /**
   * Adds the fragment at the cursor. Answers OK when that completes its datagram: the cursor then is
   * at its payload, in a buffer that stays as it is until `takeBack`.
   */
  add(c: Cursor, packet: Packet, timeNs: number): ParseStatus {
    if (c.end < c.declaredEnd) {
      this.counters.dropped++;
      return ParseStatus.TRUNCATED;
    }
    if (Math.abs(timeNs - this.sweptNs) >= SWEEP_INTERVAL_NS) this.sweep(timeNs);
    let length = c.end - c.position;
    if (c.moreFragments && length % UNIT_BYTES !== 0) {
      // RFC 8200 has it an error; in IPv4 the whole units count, as in Linux.
      if (c.ipVersion === 6) return this.drop(ParseStatus.MALFORMED);
      length -= length % UNIT_BYTES;
    }
    const start = c.fragmentOffset;
    const end = start + length;
    if (length === 0 || end > MAX_PAYLOAD_BYTES) return this.drop(ParseStatus.MALFORMED);

    const datagram = this.find(c, packet) ?? this.open(c, packet, timeNs);
    if (c.moreFragments) {
      if (datagram.totalBytes >= 0 && end > datagram.totalBytes) return this.drop(ParseStatus.MALFORMED);
    } else {
      if (datagram.totalBytes >= 0 ? end !== datagram.totalBytes : end < datagram.highestEnd) {
        return this.drop(ParseStatus.MALFORMED);
      }
    }
    if (!this.grow(datagram, end)) {
      this.release(datagram);
      return this.drop(ParseStatus.FRAGMENT_HELD);
    }
    if (!c.moreFragments) datagram.totalBytes = end;
    if (end > datagram.highestEnd) datagram.highestEnd = end;
    if (start === 0) datagram.protocol = c.protocol;
    copyUnits(datagram, c.bytes, c.position, start, end);
    this.counters.held++;
    if (datagram.totalBytes < 0 || datagram.receivedUnits * UNIT_BYTES < datagram.totalBytes) {
      return ParseStatus.FRAGMENT_HELD;
    }
    datagram.state = State.LENT;
    this.lent = true;
    this.counters.reassembled++;
    c.bytes = datagram.bytes;
    c.position = 0;
    c.end = datagram.totalBytes;
    c.declaredEnd = datagram.totalBytes;
    c.protocol = datagram.protocol;
    c.fragmentOffset = 0;
    c.moreFragments = false;
    return ParseStatus.OK;
  }

  private drop(status: ParseStatus): ParseStatus {
    this.counters.dropped++;
    return status;
  }

  private find(c: Cursor, p: Packet): Datagram | null {
    const datagrams = this.datagrams;
    for (let i = 0; i < datagrams.length; i++) {
      const d = datagrams[i];
      if (
        d.state === State.FILLING &&
        d.identification === c.identification &&
        d.source3 === p.source3 &&
        d.destination3 === p.destination3 &&
        d.ipVersion === c.ipVersion &&
        (c.ipVersion === 6 || d.protocol === c.protocol) &&
        d.source0 === p.source0 &&
        d.source1 === p.source1 &&
        d.source2 === p.source2 &&
        d.destination0 === p.destination0 &&
        d.destination1 === p.destination1 &&
        d.destination2 === p.destination2
      ) {
        return d;
      }
    }
    return null;
  }

  private open(c: Cursor, p: Packet, timeNs: number): Datagram {
    const d = this.free();
    d.state = State.FILLING;
    d.ipVersion = c.ipVersion;
    d.source0 = p.source0;
    d.source1 = p.source1;
    d.source2 = p.source2;
    d.source3 = p.source3;
    d.destination0 = p.destination0;
    d.destination1 = p.destination1;
    d.destination2 = p.destination2;
    d.destination3 = p.destination3;
    d.identification = c.identification;
    d.protocol = c.protocol;
    d.sinceNs = timeNs;
    d.totalBytes = -1;
    d.highestEnd = 0;
    d.receivedUnits = 0;
    d.units.fill(0);
    return d;
  }

  /** A datagram that is free; where all are in use, the oldest. */
  private free(): Datagram {
    const datagrams = this.datagrams;
    for (let i = 0; i < datagrams.length; i++) if (datagrams[i].state === State.FREE) return datagrams[i];
    // Those that are lent stand beside the cap: at most one for each IP header of the frame.
    const oldest = datagrams.length >= this.options.maxDatagrams ? this.oldest(null) : null;
    if (oldest !== null) {
      this.counters.dropped++;
      return oldest;
    }
    const datagram = new Datagram();
    datagrams.push(datagram);
    return datagram;
  }

  private oldest(except: Datagram | null): Datagram | null {
    let oldest: Datagram | null = null;
    for (const d of this.datagrams) {
      if (d.state !== State.FILLING || d === except) continue;
      if (oldest === null || d.sinceNs < oldest.sinceNs) oldest = d;
    }
    return oldest;
  }

  /** Makes room for `end` bytes within the cap on memory: free buffers go first, then the oldest. */
  private grow(datagram: Datagram, end: number): boolean {
    const current = datagram.bytes.length;
    if (end <= current) return true;
    let size = current === 0 ? MIN_BUFFER_BYTES : current;
    while (size < end) size *= 2;
    if (size > MAX_BUFFER_BYTES) size = MAX_BUFFER_BYTES;
    const more = size - current;
    if (this.bufferBytes + more > this.options.maxBytes) {
      for (const d of this.datagrams) {
        if (d.state === State.FREE && d.bytes.length > 0) this.forgetBuffer(d);
        if (this.bufferBytes + more <= this.options.maxBytes) break;
      }
    }
    while (this.bufferBytes + more > this.options.maxBytes) {
      const oldest = this.oldest(datagram);
      if (oldest === null) return false;
      this.counters.dropped++;
      this.release(oldest);
      this.forgetBuffer(oldest);
    }
    const bytes = new Uint8Array(size);
    bytes.set(datagram.bytes);
    const units = new Uint8Array(size / UNIT_BYTES);
    units.set(datagram.units);
    datagram.bytes = bytes;
    datagram.units = units;
    this.bufferBytes += more;
    return true;
  }

  private release(datagram: Datagram): void {
    datagram.state = State.FREE;
  }

  private forgetBuffer(datagram: Datagram): void {
    this.bufferBytes -= datagram.bytes.length;
    datagram.bytes = new Uint8Array(0);
    datagram.units = new Uint8Array(0);
  }

  private sweep(timeNs: number): void {
    this.sweptNs = timeNs;
    const { datagrams, options, counters } = this;
    for (const d of datagrams) {
      if (d.state === State.FILLING && Math.abs(timeNs - d.sinceNs) >= options.maxAgeNs) {
        counters.expired++;
        this.release(d);
      }
    }
  }
}

/** Copies [start, end) of the datagram's payload, less the units that are there. */
function copyUnits(datagram: Datagram, from: Uint8Array, position: number, start: number, end: number): void {
  const { bytes, units } = datagram;
  for (let at = start; at < end; at += UNIT_BYTES) {
    const unit = at / UNIT_BYTES;
    if (units[unit] !== 0) continue;
    units[unit] = 1;
    datagram.receivedUnits++;
    const unitEnd = Math.min(at + UNIT_BYTES, end);
    for (let i = at; i < unitEnd; i++) bytes[i] = from[position + i - start];
  }
}
