/** Openings, ends and oddities of connections, one row each. Sequence numbers count from 100 and 500. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recorder, type SegmentFields, segment } from './segments.js';
import { CloseReason } from './stream.js';
import type { TcpOptions } from './tcp.js';
import { TcpTracker } from './tcp.js';

const SYN: SegmentFields = { flags: 'S', seq: 100 };
const SYN_ACK: SegmentFields = { from: 'server', flags: 'S.', seq: 500, ack: 101 };
const HANDSHAKE: SegmentFields[] = [SYN, SYN_ACK, { seq: 101, ack: 501 }];
const { FIN, RST, IDLE, END, EVICTED, REUSED } = CloseReason;

interface Case {
  title: string;
  segments: SegmentFields[];
  /** Lines of `Recorder`. */
  up: string[];
  /** Counters that must have these values. */
  counters?: Record<string, number>;
  options?: Partial<TcpOptions>;
  /** Time of a `tick` before the flush. */
  tickMs?: number;
  /** Whether side 0 is known to be the opener; its port. */
  side0?: [known: boolean, port: number];
}

const CASES: Case[] = [
  {
    title: 'a whole connection: FIN of both sides closes it, the last ACK opens nothing',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'get' },
      { from: 'server', seq: 501, ack: 104, data: 'ok' },
      { flags: 'F.', seq: 104, ack: 503 },
      { from: 'server', flags: 'F.', seq: 503, ack: 105 },
      { seq: 105, ack: 504 },
    ],
    up: ['0 get', '1 ok', '0 fin', '1 fin', `close ${FIN}`],
    counters: { closedFin: 1, connectionsOpened: 1, connectionsJoined: 0, gapBytes: 0 },
    side0: [true, 40000],
  },
  {
    title: 'no payload, no handler: a connection that only opens and closes',
    segments: [
      ...HANDSHAKE,
      { flags: 'F.', seq: 101, ack: 501 },
      { from: 'server', flags: 'F.', seq: 501, ack: 102 },
    ],
    up: [],
    counters: { closedFin: 1 },
  },
  {
    title: 'SYN-ACK alone tells the opener, and where both sides begin',
    segments: [
      SYN_ACK,
      { from: 'server', seq: 501, ack: 101, data: 'hi' },
      { seq: 104, ack: 503, data: 'c' },
      { from: 'server', seq: 503, ack: 105 },
    ],
    up: ['1 hi', '0 gap 3', '0 c', `close ${END}`],
    side0: [true, 40000],
  },
  {
    title: 'joined mid-stream: the port below 1024 is the server, the past is no gap',
    segments: [
      { from: 'server', seq: 9000, ack: 7000, data: 'tail' },
      { seq: 7000, ack: 9004, data: 'next' },
    ],
    up: ['1 tail', '0 next', `close ${END}`],
    counters: { connectionsJoined: 1, gapBytes: 0 },
    side0: [false, 40000],
  },
  {
    title: 'joined mid-stream between two high ports: the first to speak is taken for the client',
    segments: [
      { seq: 1, ack: 1, data: 'x', client: { address: 9, port: 50000 }, server: { address: 8, port: 40000 } },
    ],
    up: ['0 x', `close ${END}`],
    side0: [false, 50000],
  },
  {
    title: 'a port of a rule is the server against all other signs',
    options: { serverPorts: [40000] },
    segments: [{ seq: 1, ack: 1, data: 'x' }],
    up: ['1 x', `close ${END}`],
    side0: [false, 80],
  },
  {
    title: 'joined with an ACK alone: what was in flight before is no gap',
    segments: [
      { seq: 7000, ack: 9000 },
      { from: 'server', seq: 9100, ack: 7000, data: 'later' },
      { seq: 7000, ack: 9105 },
    ],
    up: ['1 later', `close ${END}`],
    counters: { gapBytes: 0 },
  },
  {
    title: 'joined with an ACK alone: what is acknowledged afterwards and was not seen is a gap',
    segments: [
      { seq: 7000, ack: 9000 },
      { from: 'server', seq: 9000, ack: 7020, data: 'answer' },
    ],
    up: ['0 gap 20', '1 answer', `close ${END}`],
  },
  {
    title: 'joined with the probe of a keep-alive, which stands one before the stream',
    segments: [
      { seq: 6999, ack: 9000 },
      { from: 'server', seq: 9000, ack: 7000 },
      { seq: 7000, ack: 9000, data: 'go' },
    ],
    up: ['0 go', `close ${END}`],
    counters: { gapBytes: 0 },
  },
  {
    title: 'data in the SYN (RFC 7413), sent again because the server took only the SYN',
    segments: [{ ...SYN, data: 'abc' }, SYN_ACK, { seq: 101, ack: 501, data: 'abcdef' }],
    up: ['0 abc', '0 def', `close ${END}`],
    counters: { retransmittedBytes: 3 },
  },
  {
    title: 'SYN and SYN-ACK repeated',
    segments: [
      SYN,
      { ...SYN, ms: 1000 },
      SYN_ACK,
      { ...SYN_ACK, ms: 1001 },
      { seq: 101, ack: 501, data: 'x' },
    ],
    up: ['0 x', `close ${END}`],
    counters: { synRetransmits: 2, connectionsOpened: 1 },
  },
  {
    title: 'both sides open at once (RFC 9293 section 3.5)',
    segments: [
      SYN,
      { from: 'server', flags: 'S', seq: 500 },
      { from: 'server', flags: 'S.', seq: 500, ack: 101 },
      { seq: 101, ack: 501, data: 'x' },
      { from: 'server', seq: 501, ack: 102, data: 'y' },
    ],
    up: ['0 x', '1 y', `close ${END}`],
    counters: { connectionsOpened: 1, closedReused: 0 },
  },
  {
    title: 'the SYN was captured behind the segments that followed it',
    segments: [
      { seq: 101, ack: 501, data: 'early' },
      { ...SYN, ms: 1 },
      { seq: 106, ack: 501, data: 'next', ms: 2 },
    ],
    up: ['0 early', '0 next', `close ${END}`],
    counters: { closedReused: 0 },
  },
  {
    title: 'a SYN with another number while the connection is open: its addresses are used again',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'old' },
      { flags: 'S', seq: 90_000 },
      { from: 'server', flags: 'S.', seq: 70_000, ack: 90_001 },
      { seq: 90_001, ack: 70_001, data: 'new' },
    ],
    up: ['0 old', `close ${REUSED}`, '0 new', `close ${END}`],
    counters: { closedReused: 1, connectionsOpened: 2 },
  },
  {
    title: 'addresses used again after both FINs',
    segments: [
      ...HANDSHAKE,
      { flags: 'F.', seq: 101, ack: 501, data: 'bye' },
      { from: 'server', flags: 'F.', seq: 501, ack: 105 },
      { flags: 'S', seq: 90_000 },
      { from: 'server', flags: 'S.', seq: 70_000, ack: 90_001 },
      { seq: 90_001, ack: 70_001, data: 'new' },
    ],
    up: ['0 bye', '0 fin', '1 fin', `close ${FIN}`, '0 new', `close ${END}`],
  },
  {
    title: 'the peer of a swapped pair opens next: the sides turn',
    segments: [
      ...HANDSHAKE,
      { flags: 'R', seq: 101 },
      { from: 'server', flags: 'S', seq: 3000 },
      { flags: 'S.', seq: 4000, ack: 3001 },
      { from: 'server', seq: 3001, ack: 4001, data: 'mine' },
    ],
    up: ['0 mine', `close ${END}`],
    side0: [true, 80],
  },
  {
    title: 'a FIN that comes before the bytes it follows waits for them',
    segments: [
      ...HANDSHAKE,
      { flags: 'F.', seq: 104, ack: 501, data: 'def' },
      { seq: 101, ack: 501, data: 'abc' },
    ],
    up: ['0 abc', '0 def', '0 fin', `close ${END}`],
  },
  {
    title: 'a FIN behind bytes that are acknowledged but were never seen comes after their gap',
    segments: [...HANDSHAKE, { flags: 'F.', seq: 111, ack: 501 }, { from: 'server', seq: 501, ack: 112 }],
    up: ['0 gap 10', '0 fin', `close ${END}`],
  },
  {
    title: 'a FIN behind a hole is delivered after the wait limit',
    segments: [...HANDSHAKE, { flags: 'F.', seq: 104, ack: 501, data: 'z' }],
    tickMs: 5001,
    up: ['0 gap 3', '0 z', '0 fin', `close ${END}`],
    counters: { gapsWaited: 1 },
  },
  {
    title: 'a FIN sent again, and data behind a FIN, are left out',
    segments: [
      ...HANDSHAKE,
      { flags: 'F.', seq: 101, ack: 501, data: 'a' },
      { flags: 'F.', seq: 101, ack: 501, data: 'a' },
      { seq: 102, ack: 501, data: 'junk' },
    ],
    up: ['0 a', '0 fin', `close ${END}`],
    counters: { ignoredBytes: 4, retransmittedBytes: 1 },
  },
  {
    title: 'one side may go on after the FIN of the other',
    segments: [
      ...HANDSHAKE,
      { flags: 'F.', seq: 101, ack: 501, data: 'q' },
      { from: 'server', seq: 501, ack: 103, data: 'a' },
      { from: 'server', seq: 502, ack: 103, data: 'b' },
    ],
    up: ['0 q', '0 fin', '1 a', '1 b', `close ${END}`],
  },
  {
    title: 'RST at the expected number ends the connection',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'q' },
      { from: 'server', flags: 'R.', seq: 501, ack: 102 },
      { seq: 102, ack: 501, data: 'late' },
    ],
    up: ['0 q', `close ${RST}`],
    counters: { closedRst: 1, ignoredBytes: 4 },
  },
  {
    title: 'RST at the number its receiver has acknowledged, though more was seen',
    segments: [...HANDSHAKE, { seq: 101, ack: 501, data: 'q' }, { flags: 'R', seq: 101 }],
    up: ['0 q', `close ${RST}`],
  },
  {
    title: 'RST far from the window, as a forger would send it, is not believed',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'q' },
      { from: 'server', flags: 'R', seq: 900_000_000 },
      { seq: 102, ack: 501, data: 'r' },
    ],
    up: ['0 q', '0 r', `close ${END}`],
    counters: { implausibleResets: 1, closedRst: 0 },
  },
  {
    title: 'what is held goes up before the RST closes',
    segments: [...HANDSHAKE, { seq: 103, ack: 501, data: 'q' }, { flags: 'R', seq: 104 }],
    up: ['0 gap 2', '0 q', `close ${RST}`],
    counters: { gapsClosed: 1 },
  },
  {
    title: 'a refused SYN',
    segments: [SYN, { from: 'server', flags: 'R.', seq: 0, ack: 101 }],
    up: [],
    counters: { closedRst: 1 },
  },
  {
    title: 'a RST of nobody makes no connection',
    segments: [{ flags: 'R', seq: 5 }],
    up: [],
    counters: { straySegments: 1, connectionsJoined: 0 },
  },
  {
    title: 'the gap in the request comes before the response that acknowledges it',
    segments: [
      ...HANDSHAKE,
      { seq: 105, ack: 501, data: 'tail' },
      { from: 'server', seq: 501, ack: 109, data: 'answer' },
    ],
    up: ['0 gap 4', '0 tail', '1 answer', `close ${END}`],
    counters: { gapsAcknowledged: 1 },
  },
  {
    title: 'an ACK that was captured before its bytes waits for them',
    segments: [
      ...HANDSHAKE,
      { from: 'server', seq: 501, ack: 105 },
      { seq: 101, ack: 501, data: 'late' },
      { seq: 105, ack: 501, data: 'on' },
    ],
    up: ['0 late', '0 on', `close ${END}`],
    counters: { lateBytes: 0, gapBytes: 0 },
  },
  {
    title: 'an answer that was captured before its request waits for it, and what follows it too',
    segments: [
      ...HANDSHAKE,
      { from: 'server', seq: 501, ack: 104, data: 'yes' },
      { from: 'server', seq: 504, ack: 108, data: 'no' },
      { seq: 101, ack: 501, data: 'one' },
      { seq: 104, ack: 501, data: 'more' },
      { seq: 108, ack: 506, data: 'on' },
    ],
    up: ['0 one', '1 yes', '0 more', '1 no', '0 on', `close ${END}`],
    counters: { lateBytes: 0, gapBytes: 0 },
  },
  {
    title: 'a request is lost when its answer is acknowledged, and a gap before it',
    segments: [
      ...HANDSHAKE,
      { from: 'server', seq: 501, ack: 104, data: 'yes' },
      { seq: 104, ack: 504, data: 'next' },
    ],
    up: ['0 gap 3', '1 yes', '0 next', `close ${END}`],
    counters: { gapsAcknowledged: 1 },
  },
  {
    title: 'a FIN and a RST end the wait',
    segments: [
      ...HANDSHAKE,
      { from: 'server', seq: 501, ack: 104, data: 'yes' },
      { from: 'server', seq: 504, ack: 104, flags: 'R.' },
    ],
    up: ['0 gap 3', '1 yes', `close ${RST}`],
    counters: { gapsAcknowledged: 1 },
  },
  {
    title: 'bytes captured long after the ACK that passed them are late, not repeated',
    options: { maxDeferNs: 0 },
    segments: [
      ...HANDSHAKE,
      { from: 'server', seq: 501, ack: 105 },
      { seq: 101, ack: 501, data: 'late' },
      { seq: 105, ack: 501, data: 'on' },
    ],
    up: ['0 gap 4', '0 on', `close ${END}`],
    counters: { lateBytes: 4, retransmittedBytes: 0 },
  },
  {
    title: 'an ACK more than 1 GiB ahead is ignored',
    segments: [
      ...HANDSHAKE,
      { from: 'server', seq: 501, ack: 101 + 0x40000001 },
      { seq: 101, ack: 501, data: 'on' },
    ],
    up: ['0 on', `close ${END}`],
    counters: { implausibleAcks: 1, gapBytes: 0 },
  },
  {
    title: 'segments far away are left out until four follow one another',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'a' },
      ...[0, 1, 2, 3].map((i) => ({ seq: 102 + 0x50000000 + i, ack: 501, data: 'wxyz'[i] })),
      { seq: 106 + 0x50000000, ack: 501, data: 'on' },
    ],
    up: ['0 a', `0 gap ${0x50000000 + 3}`, '0 z', '0 on', `close ${END}`],
    counters: { implausibleSegments: 3, gapsResynchronised: 1 },
  },
  {
    title: 'keep-alive probes with and without a byte',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'abc' },
      { seq: 103, ack: 501 },
      { seq: 103, ack: 501, data: '\0' },
      { seq: 104, ack: 501, data: 'd' },
    ],
    up: ['0 abc', '0 d', `close ${END}`],
    counters: { keepAlives: 2, retransmittedSegments: 0 },
  },
  {
    title: 'a zero-window probe carries the next byte, which comes again with the rest',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'a' },
      { seq: 102, ack: 501, data: 'b' },
      { seq: 102, ack: 501, data: 'b' },
      { seq: 102, ack: 501, data: 'bcd' },
    ],
    up: ['0 a', '0 b', '0 cd', `close ${END}`],
  },
  {
    title: 'sequence numbers pass 2^32',
    segments: [
      { flags: 'S', seq: 0xfffffffd },
      { from: 'server', flags: 'S.', seq: 0xffffffff, ack: 0xfffffffe },
      { seq: 0xfffffffe, ack: 0, data: 'abcd' },
      { from: 'server', seq: 0, ack: 2, data: 'e' },
      { seq: 4, ack: 1, data: 'gh' },
      { seq: 2, ack: 1, data: 'ef' },
    ],
    up: ['0 abcd', '1 e', '0 ef', '0 gh', `close ${END}`],
    counters: { outOfOrderSegments: 2 },
  },
  {
    title: 'a segment cut by the snap length: what is there, then a gap',
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'head', length: 10 },
      { seq: 111, ack: 501, data: 'on' },
    ],
    up: ['0 head', '0 gap 6', '0 on', `close ${END}`],
    counters: { gapsCut: 1, gapBytes: 6 },
  },
  {
    title: 'a full hold gives up its first hole',
    options: { maxHoldBytes: 260 },
    segments: [
      ...HANDSHAKE,
      { seq: 103, ack: 501, data: 'c' },
      { seq: 105, ack: 501, data: 'e' },
      { seq: 107, ack: 501, data: 'g' },
    ],
    up: ['0 gap 2', '0 c', '0 gap 1', '0 e', '0 gap 1', '0 g', `close ${END}`],
    counters: { gapsHoldFull: 1, gapsClosed: 2 },
  },
  {
    title: 'the hold of all connections is full',
    options: { maxTotalHoldBytes: 100 },
    segments: [...HANDSHAKE, { seq: 103, ack: 501, data: 'c' }],
    up: ['0 gap 2', '0 c', `close ${END}`],
    counters: { gapsTotalHoldFull: 1 },
  },
  {
    title: 'idle for five minutes',
    segments: [...HANDSHAKE, { seq: 101, ack: 501, data: 'x' }],
    tickMs: 300_000,
    up: ['0 x', `close ${IDLE}`],
  },
  {
    title: 'a SYN without an answer is forgotten after 30 s',
    segments: [SYN],
    tickMs: 30_000,
    up: [],
    counters: { closedIdle: 1 },
  },
  {
    title: 'a silent connection whose handshake is complete stays longer than 30 s',
    segments: HANDSHAKE,
    tickMs: 31_000,
    up: [],
    counters: { closedIdle: 0, closedEnd: 1 },
  },
  {
    title: 'one connection too many: the oldest goes',
    options: { maxConnections: 1 },
    segments: [
      ...HANDSHAKE,
      { seq: 101, ack: 501, data: 'x' },
      { flags: 'S', seq: 1, client: { address: 77, port: 2000 } },
    ],
    up: ['0 x', `close ${EVICTED}`],
    counters: { closedEvicted: 1 },
  },
  {
    title: 'one SYN too many: the oldest half-open one goes, none that is open',
    options: { maxHalfOpen: 1 },
    segments: [
      ...HANDSHAKE,
      { flags: 'S', seq: 1, client: { address: 77, port: 2000 } },
      { flags: 'S', seq: 1, client: { address: 78, port: 2000 } },
      { seq: 101, ack: 501, data: 'x' },
    ],
    up: ['0 x', `close ${END}`],
    counters: { closedEvicted: 1, closedEnd: 2 },
  },
  {
    title: 'packets from an endpoint to itself, and SYN with FIN, are no connection',
    segments: [
      { seq: 1, data: 'x', client: { address: 5, port: 80 }, server: { address: 5, port: 80 } },
      { flags: 'SF', seq: 1 },
    ],
    up: [],
    counters: { straySegments: 2, connectionsOpened: 0 },
  },
];

for (const row of CASES) {
  test(row.title, () => {
    const recorder = new Recorder();
    const tracker = new TcpTracker(recorder, row.options);
    for (const fields of row.segments) tracker.packet(segment(fields));
    if (row.side0 !== undefined) {
      const flow = recorder.flows[0];
      assert.deepEqual([flow.sideKnown, flow.port0], row.side0);
      assert.equal(flow.port0 === 40000 || flow.port0 === 80 ? flow.address0[2] : 0xffff, 0xffff);
    }
    const endMs = row.tickMs ?? 0;
    tracker.tick(endMs * 1e6);
    tracker.flush(endMs * 1e6);
    assert.deepEqual(recorder.lines, row.up);
    for (const [name, value] of Object.entries(row.counters ?? {})) {
      assert.equal(tracker.counters[name as keyof typeof tracker.counters], value, name);
    }
    assert.equal(tracker.size, 0);
  });
}

test('floods leave no more behind than the limits', () => {
  const recorder = new Recorder();
  const tracker = new TcpTracker(recorder, { maxHalfOpen: 100, maxClosed: 50 });
  for (let i = 0; i < 5000; i++) {
    const client = { address: 1000 + i, port: 2000 };
    tracker.packet(segment({ flags: 'S', seq: 1, client }));
    assert.ok(tracker.size <= 150);
  }
  for (let i = 0; i < 5000; i++) {
    const client = { address: 10_000 + i, port: 2000 };
    tracker.packet(segment({ flags: 'S', seq: 1, client }));
    tracker.packet(segment({ flags: 'S.', seq: 1, ack: 2, client, from: 'server' }));
    tracker.packet(segment({ flags: 'R.', seq: 2, ack: 2, client, from: 'server' }));
    assert.ok(tracker.size <= 151);
  }
  assert.equal(tracker.counters.closedRst, 5000);
});

test('a skipped connection is asked for once and its bytes are counted', () => {
  const recorder = new Recorder();
  recorder.wanted = false;
  const tracker = new TcpTracker(recorder);
  for (const fields of HANDSHAKE) tracker.packet(segment(fields));
  tracker.packet(segment({ seq: 101, ack: 501, data: 'abc' }));
  tracker.packet(segment({ seq: 110, ack: 501, data: 'def' }));
  tracker.packet(segment({ from: 'server', flags: 'F.', seq: 509, ack: 113 }));
  tracker.packet(segment({ flags: 'F.', seq: 120, ack: 510 }));
  assert.equal(recorder.flows.length, 1);
  assert.equal(tracker.counters.skippedBytes, 6);
  assert.equal(tracker.counters.heldBytes, 0);
  assert.equal(tracker.counters.closedFin, 1);
  assert.deepEqual(recorder.lines, []);
});

test('held bytes have the time when they came, unless a later segment filled the hole before them', () => {
  const recorder = new Recorder();
  const tracker = new TcpTracker(recorder);
  for (const fields of HANDSHAKE) tracker.packet(segment(fields));
  tracker.packet(segment({ seq: 103, ack: 501, data: 'b', ms: 10 }));
  tracker.packet(segment({ from: 'server', seq: 501, ack: 104, data: 'r', ms: 50 }));
  tracker.packet(segment({ seq: 105, ack: 502, data: 'd', ms: 60 }));
  tracker.packet(segment({ seq: 104, ack: 502, data: 'c', ms: 70 }));
  assert.deepEqual(recorder.lines, ['0 gap 2', '0 b', '1 r', '0 c', '0 d']);
  assert.deepEqual(
    recorder.times.map((ns) => ns / 1e6),
    [10, 10, 50, 70, 70],
  );
});

test('the entry of a connection that is over goes after the linger time, and its number is used again', () => {
  const tracker = new TcpTracker(new Recorder());
  for (const fields of HANDSHAKE) tracker.packet(segment(fields));
  tracker.packet(segment({ flags: 'R', seq: 101, ms: 5 }));
  tracker.tick(9_000e6);
  assert.equal(tracker.size, 1);
  tracker.tick(10_005e6);
  assert.equal(tracker.size, 0);
});

test('a clock that is set back ends no connection, and those from before end in their time', () => {
  const recorder = new Recorder();
  const tracker = new TcpTracker(recorder);
  const before = { address: 1, port: 2000 };
  for (const fields of HANDSHAKE) tracker.packet(segment({ ...fields, client: before, ms: 3_600_000 }));
  tracker.packet(segment({ seq: 101, ack: 501, data: 'a', client: before, ms: 3_600_000 }));
  const after = { address: 2, port: 2000 };
  for (const fields of HANDSHAKE) tracker.packet(segment({ ...fields, client: after, ms: 1000 }));
  tracker.packet(segment({ seq: 101, ack: 501, data: 'b', client: after, ms: 1000 }));
  tracker.tick(1000e6);
  assert.deepEqual(recorder.lines, ['0 a', '0 b']);
  tracker.tick(302_000e6);
  assert.deepEqual(recorder.lines, ['0 a', '0 b', `close ${IDLE}`, `close ${IDLE}`]);
});

test('what a connection sends after its idle time is joined at once', () => {
  const recorder = new Recorder();
  const tracker = new TcpTracker(recorder);
  for (const fields of HANDSHAKE) tracker.packet(segment(fields));
  tracker.packet(segment({ seq: 101, ack: 501, data: 'a' }));
  tracker.tick(301_000e6);
  tracker.packet(segment({ seq: 102, ack: 501, data: 'b', ms: 302_000 }));
  assert.deepEqual(recorder.lines, ['0 a', `close ${IDLE}`, '0 b']);
});
