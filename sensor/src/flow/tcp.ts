/**
 * Follows TCP connections (RFC 9293): who opened them, when they end, and, by reassembly, what
 * each side sent. Everything here is passive: what an endpoint would answer is not known, only
 * what was captured.
 *
 * The factory is asked for a handler at the first payload (or gap), so that scans and floods of
 * SYNs cost an entry in the table and nothing above it. The `TcpFlow` is valid until `close`.
 */
import { type Packet, TcpFlag } from '../packet/packet.js';
import { giveBuffer } from './buffers.js';
import { State, TcpConnection } from './connection.js';
import { TcpCounters } from './counters.js';
import { DeferredPackets } from './deferred.js';
import { type Half, Position } from './half.js';
import { Reassembly, type ReassemblyOptions, SegmentKind } from './reassembly.js';
import { EndpointStatistics, IpProtocol, ServerGuess, Stat } from './statistics.js';
import { CloseReason, type StreamHandlerFactory } from './stream.js';
import { AgeList, TupleTable } from './table.js';

export interface TcpOptions extends ReassemblyOptions {
  /** The oldest goes when there is one more. */
  readonly maxConnections: number;
  /** The same of those of which a handshake is all that was seen, or less: floods of SYNs are cheap. */
  readonly maxHalfOpen: number;
  /** The same of those that are over and remembered. */
  readonly maxClosed: number;
  /** A connection without a packet for so long is over. */
  readonly idleNs: number;
  /** The same while only one side was seen and no payload. */
  readonly halfOpenIdleNs: number;
  /** How long a closed connection is remembered, so that its late packets open none. */
  readonly lingerNs: number;
  /** A packet that was captured before what it acknowledges waits so long for it; 0: not at all. */
  readonly maxDeferNs: number;
  /** A RST is believed up to so far ahead of the last byte seen. */
  readonly maxResetAheadBytes: number;
  /** Ports of servers, for connections whose SYN was not seen, and for UDP. */
  readonly serverPorts: readonly number[];
  readonly statistics: boolean;
  readonly maxEndpoints: number;
}

export const DEFAULT_TCP_OPTIONS: TcpOptions = {
  maxConnections: 200_000,
  maxHalfOpen: 16_384,
  maxClosed: 8192,
  idleNs: 300e9,
  halfOpenIdleNs: 30e9,
  lingerNs: 10e9,
  maxDeferNs: 20e6,
  maxResetAheadBytes: 8 << 20,
  maxHoldBytes: 1 << 20,
  maxTotalHoldBytes: 64 << 20,
  maxWaitNs: 5e9,
  serverPorts: [],
  statistics: true,
  maxEndpoints: 10_000,
};

/** Limits are looked at once in this time of the capture. */
const TICK_NS = 100e6;
/** An entry moves up in the order of age at most this often. */
const TOUCH_NS = 1e9;
/** A SYN that was captured behind the connection's first segments stands at most so far before them. */
const LATE_SYN_BYTES = 1 << 20;
const LATE_SYN_NS = 1e9;

export class TcpTracker {
  readonly counters = new TcpCounters();
  /** null when switched off. */
  readonly statistics: EndpointStatistics | null;
  private readonly options: TcpOptions;
  private readonly table = new TupleTable();
  private readonly connections: TcpConnection[] = [];
  private readonly reassembly: Reassembly;
  private readonly guess: ServerGuess;
  private readonly halfOpen = new AgeList<TcpConnection>();
  private readonly open = new AgeList<TcpConnection>();
  private readonly closed = new AgeList<TcpConnection>();
  /** Connections that hold packets back; some may not any more. */
  private readonly deferring: TcpConnection[] = [];
  private tickedNs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly factory: StreamHandlerFactory,
    options: Partial<TcpOptions> = {},
  ) {
    this.options = { ...DEFAULT_TCP_OPTIONS, ...options };
    this.reassembly = new Reassembly(this.options, this.counters);
    this.guess = new ServerGuess(this.options.serverPorts);
    this.statistics = this.options.statistics
      ? new EndpointStatistics(this.options.maxEndpoints, this.guess)
      : null;
  }

  /** Entries of the table: connections, and those that are over but remembered. */
  get size(): number {
    return this.table.size;
  }

  /** One TCP packet; its bytes are borrowed until the call returns. */
  packet(p: Packet): void {
    const { counters, table, statistics } = this;
    const { flags, timeNs } = p;
    const captured = p.payloadEnd - p.payloadStart;
    counters.segments++;
    counters.payloadBytes += captured;
    const entry = table.find(p);
    const connection = entry < 0 ? this.admit(p) : this.connections[entry];
    if (connection === null) {
      counters.ignoredBytes += captured;
      return;
    }
    if (entry >= 0 && ((flags & TcpFlag.SYN) !== 0 || connection.state === State.CLOSED)) {
      if (!this.belongs(connection, p)) {
        counters.ignoredBytes += captured;
        return;
      }
    }
    const fromOpener = table.reversed === connection.openerIsHigher;
    const half = fromOpener ? connection.half0 : connection.half1;
    const peer = fromOpener ? connection.half1 : connection.half0;
    if (statistics !== null && connection.row >= 0) {
      statistics.packet(connection.row, half.side, p.payloadLength);
    }
    half.hasPackets = true;
    connection.lastNs = timeNs;
    if (timeNs - connection.listedNs > TOUCH_NS) this.touch(connection);
    if (connection.deferred !== null) {
      if (this.follow(connection, half, p)) return;
      // What was held back may have ended it.
      if (connection.state === State.CLOSED) {
        counters.ignoredBytes += captured;
        return;
      }
    } else if ((flags & TcpFlag.ACK) !== 0 && ((p.acknowledgement - peer.next) | 0) > 0) {
      if (this.defer(connection, half, peer, p)) return;
    }
    this.segment(connection, half, peer, p);
    if (connection.deferred !== null) this.release(connection, false);
  }

  /** A packet in its turn. */
  private segment(connection: TcpConnection, half: Half, peer: Half, p: Packet): void {
    const { counters } = this;
    const { flags, timeNs } = p;
    const captured = p.payloadEnd - p.payloadStart;
    if (
      (flags & (TcpFlag.RST | TcpFlag.SYN | TcpFlag.FIN)) !== 0 &&
      !this.control(connection, half, peer, p)
    ) {
      counters.ignoredBytes += captured;
      return;
    }
    // What a packet acknowledges was sent before what it carries.
    if ((flags & TcpFlag.ACK) !== 0) this.acknowledge(connection, half, peer, p);
    const length = Math.max(p.payloadLength, captured);
    const sequence = (flags & TcpFlag.SYN) === 0 ? p.sequence : (p.sequence + 1) | 0;
    if (length > 0) this.payload(connection, half, p, sequence, length, captured);
    else this.mark(half, sequence);
    if (connection.state === State.HALF_OPEN && (length > 0 || this.bothSeen(connection))) {
      this.halfOpen.remove(connection);
      connection.state = State.OPEN;
      connection.listedNs = timeNs;
      this.open.add(connection);
    }
    if ((flags & TcpFlag.FIN) !== 0) this.fin(connection, half, (sequence + length) | 0, timeNs);
    if (half.finDelivered && peer.finDelivered) this.close(connection, CloseReason.FIN, timeNs);
  }

  /** Ends what has waited or been idle for too long; called now and then with the time of the capture. */
  tick(timeNs: number): void {
    if (this.deferring.length > 0) this.expireDeferred(timeNs);
    const sinceNs = timeNs - this.tickedNs;
    if (sinceNs >= 0 && sinceNs < TICK_NS) return;
    this.tickedNs = timeNs;
    const { options, halfOpen, open, closed } = this;
    this.reassembly.tick(timeNs);
    this.expire(halfOpen, timeNs, options.halfOpenIdleNs);
    this.expire(open, timeNs, options.idleNs);
    for (let c = closed.oldest; c !== null && isAged(c, timeNs, options.lingerNs); c = closed.oldest) {
      this.forget(c);
    }
  }

  /** The capture has ended: closes every connection. The tracker is empty then and may go on. */
  flush(timeNs: number): void {
    for (const list of [this.open, this.halfOpen]) {
      for (let c = list.oldest; c !== null; c = list.oldest) this.close(c, CloseReason.END, timeNs);
    }
    for (let c = this.closed.oldest; c !== null; c = this.closed.oldest) this.forget(c);
  }

  /** Holds a packet back that acknowledges what has not come; false where there is nothing to wait for. */
  private defer(connection: TcpConnection, half: Half, peer: Half, p: Packet): boolean {
    const unwanted = connection.asked && connection.handler === null;
    const special = (p.flags & (TcpFlag.RST | TcpFlag.SYN)) !== 0;
    if (unwanted || special || peer.position !== Position.KNOWN) return false;
    const ahead = (p.acknowledgement - peer.next) | 0;
    const { maxDeferNs, maxHoldBytes } = this.options;
    if (maxDeferNs === 0 || ahead > maxHoldBytes || !this.hasRoom(p)) return false;
    connection.deferred = new DeferredPackets(half, peer, p.timeNs);
    this.deferring.push(connection);
    this.hold(connection.deferred, p);
    return true;
  }

  /** A packet behind those held back: true where it is held back too. */
  private follow(connection: TcpConnection, half: Half, p: Packet): boolean {
    const deferred = connection.deferred!;
    if (half === deferred.half) {
      const special = (p.flags & (TcpFlag.RST | TcpFlag.SYN)) !== 0;
      if (!special && !deferred.isFull && this.hasRoom(p)) {
        this.hold(deferred, p);
        return true;
      }
      this.release(connection, true);
      return false;
    }
    // What was held back has been answered: what it waits for will not come.
    if ((p.flags & TcpFlag.ACK) !== 0 && ((p.acknowledgement - deferred.half.next) | 0) > 0) {
      this.release(connection, true);
    }
    return false;
  }

  /** Gives the packets held back their turn, where not `all` only those whose acknowledged bytes have come. */
  private release(connection: TcpConnection, all: boolean): void {
    const { deferred } = connection;
    if (deferred === null) return;
    if (all) connection.deferred = null;
    for (let p = deferred.take(all); p !== null; p = deferred.take(all)) {
      this.counters.heldBytes -= p.payloadEnd;
      if (connection.state === State.CLOSED) this.counters.ignoredBytes += p.payloadEnd;
      else this.segment(connection, deferred.half, deferred.peer, p);
      giveBuffer(p.bytes);
    }
    if (connection.deferred === deferred && deferred.isEmpty) connection.deferred = null;
  }

  private hasRoom(p: Packet): boolean {
    return this.counters.heldBytes + p.payloadEnd - p.payloadStart <= this.options.maxTotalHoldBytes;
  }

  private hold(deferred: DeferredPackets, p: Packet): void {
    deferred.hold(p);
    this.counters.heldBytes += p.payloadEnd - p.payloadStart;
  }

  private expireDeferred(timeNs: number): void {
    const { deferring } = this;
    for (let i = deferring.length - 1; i >= 0; i--) {
      const connection = deferring[i];
      const { deferred } = connection;
      if (deferred !== null) {
        const waitedNs = timeNs - deferred.sinceNs;
        if (waitedNs >= 0 && waitedNs < this.options.maxDeferNs) continue;
        this.release(connection, true);
      }
      deferring[i] = deferring[deferring.length - 1];
      deferring.pop();
    }
  }

  /** The entry of a packet that belongs to none, or null where it shall not make one. */
  private admit(p: Packet): TcpConnection | null {
    const { table, connections, options } = this;
    if (table.looped || (p.flags & TcpFlag.RST) !== 0 || malformed(p.flags)) {
      this.counters.straySegments++;
      return null;
    }
    if (table.size >= options.maxConnections) {
      this.evict(p.timeNs);
      table.find(p);
    }
    const entry = table.insert(p);
    if (entry === connections.length) connections.push(new TcpConnection(entry, table));
    const connection = connections[entry];
    this.begin(connection, p);
    return connection;
  }

  /** Makes the entry, in no list, a connection that begins with this packet. */
  private begin(connection: TcpConnection, p: Packet): void {
    const { flags } = p;
    connection.reset(p.timeNs, p.ipVersion);
    this.halfOpen.add(connection);
    if (this.halfOpen.size > this.options.maxHalfOpen) this.end(this.halfOpen.oldest!, p.timeNs);
    let fromOpener: boolean;
    if ((flags & TcpFlag.SYN) !== 0) {
      this.counters.connectionsOpened++;
      connection.sideKnown = true;
      fromOpener = (flags & TcpFlag.ACK) === 0;
    } else {
      this.counters.connectionsJoined++;
      fromOpener = this.guess.of(p.sourcePort, p.destinationPort) >= 0;
    }
    connection.openerIsHigher = this.table.reversed === fromOpener;
    const { statistics } = this;
    if (statistics === null) return;
    connection.row = statistics.row(p, !fromOpener, IpProtocol.TCP);
    statistics.attach(connection.row);
    if (connection.sideKnown) statistics.add(connection.row, Stat.opened, 1);
  }

  /**
   * Whether a packet with SYN, or one to a closed connection, is of the entry's connection, or of a
   * new one, which then has begun. False where it shall be left out.
   */
  private belongs(connection: TcpConnection, p: Packet): boolean {
    const { flags } = p;
    const syn = (flags & TcpFlag.SYN) !== 0 && (flags & TcpFlag.RST) === 0;
    const fromOpener = this.table.reversed === connection.openerIsHigher;
    const half = fromOpener ? connection.half0 : connection.half1;
    const peer = fromOpener ? connection.half1 : connection.half0;
    const sequence = p.sequence;
    if (malformed(flags)) {
      this.counters.straySegments++;
      return false;
    }
    if (connection.state === State.CLOSED) {
      const copy = connection.reason === CloseReason.FIN && half.hasInitial && half.initial === sequence;
      if (!syn || copy) {
        if (connection.row >= 0) this.statistics?.packet(connection.row, half.side, p.payloadLength);
        return false;
      }
      this.reopen(connection, p);
      return true;
    }
    if (!syn || (half.hasInitial && half.initial === sequence)) return true;
    if ((flags & TcpFlag.ACK) !== 0) {
      const answers = peer.hasInitial && p.acknowledgement === ((peer.initial + 1) | 0);
      const answersData = peer.hasInitial && within(p.acknowledgement, peer.initial, peer.next);
      if ((answers || answersData) && !half.hasData) {
        // The answer to the SYN, or another in place of the first.
        half.hasInitial = false;
        half.position = Position.UNKNOWN;
        return true;
      }
      if (!half.hasInitial && peer.hasInitial && half.position === Position.UNKNOWN) {
        // Answers a SYN that is not this connection's.
        this.counters.implausibleSegments++;
        return false;
      }
    } else if (!fromOpener && half.position === Position.UNKNOWN && peer.hasInitial) {
      // Both sides open at once (RFC 9293 section 3.5).
      return true;
    }
    if (
      !half.hasInitial &&
      half.position !== Position.UNKNOWN &&
      p.timeNs - connection.firstTimeNs < LATE_SYN_NS
    ) {
      // Captured behind the segments that followed it.
      const behind = (half.next - ((sequence + 1) | 0)) | 0;
      if (behind >= 0 && behind < LATE_SYN_BYTES) return true;
    }
    this.close(connection, CloseReason.REUSED, p.timeNs);
    this.reopen(connection, p);
    return true;
  }

  private reopen(connection: TcpConnection, p: Packet): void {
    this.closed.remove(connection);
    this.statistics?.detach(connection.row);
    this.begin(connection, p);
  }

  /** What SYN and RST do. False where the rest of the packet is left out. */
  private control(connection: TcpConnection, half: Half, peer: Half, p: Packet): boolean {
    const { flags, timeNs } = p;
    if ((flags & TcpFlag.RST) !== 0) {
      if (this.plausibleReset(half, peer, p)) this.close(connection, CloseReason.RST, timeNs);
      else this.counters.implausibleResets++;
      return false;
    }
    if ((flags & TcpFlag.SYN) === 0) return true;
    const sequence = p.sequence;
    const answer = (flags & TcpFlag.ACK) !== 0;
    if (half.hasInitial) {
      connection.synRepeated = true;
      this.counters.synRetransmits++;
    } else {
      half.hasInitial = true;
      half.initial = sequence;
      if (half.position === Position.UNKNOWN) half.start(Position.KNOWN, (sequence + 1) | 0);
      else connection.synRepeated = true;
    }
    if (answer) {
      connection.synAckSeen = true;
      if (peer.position === Position.UNKNOWN) peer.start(Position.KNOWN, p.acknowledgement);
    } else {
      connection.synSeen = true;
      if (!connection.synRepeated) connection.synNs = timeNs;
    }
    return true;
  }

  /**
   * A RST counts when its sequence number lies between what its receiver has acknowledged and a
   * little ahead of what was seen (RFC 5961 section 3 is stricter, but a passive observer may have
   * seen more, or less, than the receiver), or when it refuses a SYN.
   */
  private plausibleReset(half: Half, peer: Half, p: Packet): boolean {
    if ((p.flags & TcpFlag.ACK) !== 0 && half.position !== Position.KNOWN) {
      return (
        peer.position !== Position.UNKNOWN &&
        within(p.acknowledgement, (peer.acknowledged - 1) | 0, peer.next)
      );
    }
    if (half.position === Position.UNKNOWN) return false;
    const sequence = p.sequence;
    const ahead = (sequence - half.next) | 0;
    if (ahead >= 0) return ahead <= this.options.maxResetAheadBytes;
    return ((sequence - half.acknowledged) | 0) >= 0;
  }

  private acknowledge(connection: TcpConnection, half: Half, peer: Half, p: Packet): void {
    const { timeNs } = p;
    const acknowledgement = p.acknowledgement;
    if (connection.synAckSeen && !connection.handshakeDone && half.side === 0) {
      connection.handshakeDone = true;
      if (connection.synSeen && !connection.synRepeated && this.statistics !== null) {
        this.statistics.add(connection.row, Stat.handshakes, 1);
        this.statistics.add(connection.row, Stat.handshakeNs, Math.max(0, timeNs - connection.synNs));
      }
    }
    if (peer.position === Position.UNKNOWN) {
      peer.start(Position.TENTATIVE, acknowledgement);
      return;
    }
    if (((acknowledgement - peer.next) | 0) > 0) {
      if (connection.asked && connection.handler === null) this.pass(peer, acknowledgement);
      else if (this.ask(connection)) this.reassembly.acknowledge(peer, acknowledgement, timeNs);
    }
    // Only what lies within what was seen moves the mark.
    if (((acknowledgement - peer.acknowledged) | 0) > 0 && ((acknowledgement - peer.next) | 0) <= 0) {
      peer.acknowledged = acknowledgement;
    }
  }

  private payload(
    connection: TcpConnection,
    half: Half,
    p: Packet,
    sequence: number,
    length: number,
    captured: number,
  ): void {
    if (connection.handler === null && !this.ask(connection)) {
      this.counters.skippedBytes += captured;
      if (half.position === Position.UNKNOWN) half.start(Position.KNOWN, sequence);
      half.hasData = true;
      const ahead = (sequence - half.next) | 0;
      if (ahead < 0 && this.statistics !== null) {
        this.statistics.add(connection.row, Stat.retransmittedSegments, 1);
      }
      this.pass(half, (sequence + length) | 0);
      return;
    }
    const kind = this.reassembly.segment(
      half,
      p.bytes,
      p.payloadStart,
      p.payloadEnd,
      sequence,
      length,
      p.timeNs,
    );
    if (kind === SegmentKind.IN_ORDER || this.statistics === null) return;
    if (kind === SegmentKind.RETRANSMITTED)
      this.statistics.add(connection.row, Stat.retransmittedSegments, 1);
    else if (kind === SegmentKind.OUT_OF_ORDER)
      this.statistics.add(connection.row, Stat.outOfOrderSegments, 1);
  }

  private fin(connection: TcpConnection, half: Half, sequence: number, timeNs: number): void {
    // A FIN behind a hole will need somebody to tell of the gap.
    if (((sequence - half.next) | 0) > 0 && !this.ask(connection)) this.pass(half, sequence);
    this.reassembly.fin(half, sequence, timeNs);
  }

  /** A skipped direction stands at least there. */
  private pass(half: Half, sequence: number): void {
    if (((sequence - half.next) | 0) > 0) half.next = sequence;
  }

  /** What a packet without payload tells of where its side stands. */
  private mark(half: Half, sequence: number): void {
    if (half.position === Position.UNKNOWN) half.start(Position.TENTATIVE, sequence);
    else if (half.position === Position.TENTATIVE && ((sequence - half.next) | 0) > 0) half.next = sequence;
    else if (half.position === Position.KNOWN && ((sequence - half.next) | 0) === -1 && half.hasData) {
      if (!half.finDelivered) this.counters.keepAlives++;
    }
  }

  /** True when the connection has a handler; asks for it the first time. */
  private ask(connection: TcpConnection): boolean {
    if (connection.asked) return connection.handler !== null;
    connection.asked = true;
    const handler = this.factory.open(connection);
    connection.handler = handler;
    connection.half0.handler = handler;
    connection.half1.handler = handler;
    if (handler === null) this.counters.connectionsSkipped++;
    return handler !== null;
  }

  private bothSeen(connection: TcpConnection): boolean {
    if (connection.sideKnown) return connection.handshakeDone;
    return connection.half0.hasPackets && connection.half1.hasPackets;
  }

  private touch(connection: TcpConnection): void {
    const list = connection.state === State.OPEN ? this.open : this.halfOpen;
    list.remove(connection);
    connection.listedNs = connection.lastNs;
    list.add(connection);
  }

  private expire(list: AgeList<TcpConnection>, timeNs: number, idleNs: number): void {
    for (let c = list.oldest; c !== null && isAged(c, timeNs, idleNs); c = list.oldest) {
      if (timeNs < c.lastNs) c.lastNs = timeNs;
      if (timeNs - c.lastNs < idleNs) {
        this.touch(c);
        continue;
      }
      // Not remembered: whatever it still sends is joined anew.
      this.close(c, CloseReason.IDLE, timeNs);
      this.forget(c);
    }
  }

  private evict(timeNs: number): void {
    const over = this.closed.oldest;
    if (over !== null) {
      this.forget(over);
      return;
    }
    const oldest = this.halfOpen.oldest ?? this.open.oldest;
    if (oldest === null) return;
    this.end(oldest, timeNs);
  }

  private end(connection: TcpConnection, timeNs: number): void {
    this.close(connection, CloseReason.EVICTED, timeNs);
    this.forget(connection);
  }

  private close(connection: TcpConnection, reason: CloseReason, timeNs: number): void {
    const { statistics, counters } = this;
    if (connection.deferred !== null) {
      this.release(connection, true);
      if (connection.state === State.CLOSED) return;
    }
    const { half0, half1, handler, row } = connection;
    if (handler !== null) {
      this.reassembly.flush(half0, timeNs);
      this.reassembly.flush(half1, timeNs);
    }
    (connection.state === State.OPEN ? this.open : this.halfOpen).remove(connection);
    if (statistics !== null) {
      statistics.end(row);
      const unanswered = connection.synSeen && !connection.synAckSeen && !half1.hasData;
      if (
        unanswered &&
        (reason === CloseReason.RST || reason === CloseReason.IDLE || reason === CloseReason.REUSED)
      ) {
        statistics.add(row, Stat.failed, 1);
      } else if (reason === CloseReason.RST) statistics.add(row, Stat.reset, 1);
    }
    countClose(counters, reason);
    connection.state = State.CLOSED;
    connection.reason = reason;
    connection.handler = null;
    half0.handler = null;
    half1.handler = null;
    connection.listedNs = timeNs;
    this.closed.add(connection);
    handler?.close(reason, timeNs);
    if (this.closed.size > this.options.maxClosed) this.forget(this.closed.oldest!);
  }

  /** Frees the entry of a closed connection. */
  private forget(connection: TcpConnection): void {
    this.closed.remove(connection);
    this.statistics?.detach(connection.row);
    this.table.remove(connection.entry);
  }
}

/** Listed `ageNs` ago, or so far in the future: the clock was set back. */
function isAged(connection: TcpConnection, timeNs: number, ageNs: number): boolean {
  return Math.abs(timeNs - connection.listedNs) >= ageNs;
}

/** No stack sends SYN and FIN together. */
function malformed(flags: number): boolean {
  return (flags & (TcpFlag.SYN | TcpFlag.FIN)) === (TcpFlag.SYN | TcpFlag.FIN);
}

/** `sequence` is in (after, last]. */
function within(sequence: number, after: number, last: number): boolean {
  return ((sequence - after) | 0) > 0 && ((last - sequence) | 0) >= 0;
}

function countClose(counters: TcpCounters, reason: CloseReason): void {
  switch (reason) {
    case CloseReason.FIN:
      counters.closedFin++;
      return;
    case CloseReason.RST:
      counters.closedRst++;
      return;
    case CloseReason.IDLE:
      counters.closedIdle++;
      return;
    case CloseReason.END:
      counters.closedEnd++;
      return;
    case CloseReason.EVICTED:
      counters.closedEvicted++;
      return;
    case CloseReason.REUSED:
      counters.closedReused++;
  }
}
