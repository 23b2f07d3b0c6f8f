/** Reassembly against a naive model: a map of offsets, marked byte by byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { segment } from './segments.js';
import type { Side, StreamHandler } from './stream.js';
import { TcpTracker } from './tcp.js';

const SIZE = 300;

type Event =
  | { kind: 'segment'; offset: number; length: number; captured: number }
  | { kind: 'ack'; offset: number };

/** The byte that segment number `index` has at `offset`: each copy of a byte differs. */
function byteOf(index: number, offset: number): number {
  return (index * 37 + offset * 101 + 1) & 0xff;
}

const Unseen = -1;
const Cut = -2;
const Gap = -3;

/** What of each offset is known: the number of the first segment that had it, or one of the above. */
class Model {
  readonly state = new Array<number>(SIZE * 2).fill(Unseen);
  next = 0;

  segment(index: number, offset: number, length: number, captured: number): void {
    for (let i = 0; i < length; i++) {
      if (this.state[offset + i] === Unseen) this.state[offset + i] = i < captured ? index : Cut;
    }
    while (this.state[this.next] !== Unseen) this.next++;
  }

  passed(offset: number): void {
    for (let i = this.next; i < offset; i++) if (this.state[i] === Unseen) this.state[i] = Gap;
    while (this.state[this.next] !== Unseen) this.next++;
  }

  end(): void {
    let last = this.state.length;
    while (last > 0 && this.state[last - 1] === Unseen) last--;
    this.passed(last);
  }
}

/** What came up: a byte or -1 for a gap by offset. */
class Stream implements StreamHandler {
  readonly bytes: number[] = [];

  open(): StreamHandler {
    return this;
  }

  data(side: Side, bytes: Uint8Array, start: number, end: number): void {
    assert.equal(side, 0);
    assert.ok(start < end);
    for (let i = start; i < end; i++) this.bytes.push(bytes[i]);
  }

  gap(side: Side, length: number): void {
    assert.equal(side, 0);
    assert.ok(length > 0);
    for (let i = 0; i < length; i++) this.bytes.push(-1);
  }

  fin(): void {}
  close(): void {}
}

const segments = fc
  .record({
    offset: fc.nat(SIZE - 1),
    length: fc.integer({ min: 1, max: 60 }),
    cut: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(60) }),
  })
  .map(({ offset, length, cut }) => {
    const captured = Math.max(0, length - cut);
    return { kind: 'segment' as const, offset, length, captured };
  });
const acks = fc.record({ kind: fc.constant('ack' as const), offset: fc.nat(SIZE) });
const events = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: segments as fc.Arbitrary<Event> },
    { weight: 1, arbitrary: acks as fc.Arbitrary<Event> },
  ),
  { maxLength: 60 },
);
/** A whole stream in pieces, swapped, lost and repeated as a network would. */
const transfers = fc
  .array(
    fc.record({
      length: fc.integer({ min: 1, max: 40 }),
      swap: fc.nat(3),
      lost: fc.nat(9),
      again: fc.nat(9),
      ack: fc.nat(4),
    }),
    {
      maxLength: 20,
    },
  )
  .map((pieces) => {
    const out: { at: number; event: Event }[] = [];
    let offset = 0;
    pieces.forEach((piece, i) => {
      const event: Event = { kind: 'segment', offset, length: piece.length, captured: piece.length };
      offset = Math.min(SIZE, offset + piece.length);
      if (piece.lost > 0) out.push({ at: i + piece.swap, event });
      if (piece.again === 0)
        out.push({ at: i + 5, event: { ...event, offset: Math.max(0, event.offset - 3) } });
      if (piece.ack === 0) out.push({ at: i + 4, event: { kind: 'ack', offset } });
    });
    return out.sort((a, b) => a.at - b.at).map(({ event }) => event);
  });
const initial = fc.oneof(
  fc.constantFrom(0, 0xffffffff, 0x7fffffff, 0xffffff80, 0x7fffff80),
  fc.nat(0xffffffff),
);

function contents(index: number, offset: number, captured: number): Uint8Array {
  const data = new Uint8Array(captured);
  for (let i = 0; i < captured; i++) data[i] = byteOf(index, offset + i);
  return data;
}

function accounted(tracker: TcpTracker): void {
  const c = tracker.counters;
  const sum =
    c.deliveredBytes +
    c.skippedBytes +
    c.retransmittedBytes +
    c.lateBytes +
    c.implausibleBytes +
    c.ignoredBytes +
    c.droppedBytes;
  assert.equal(sum, c.payloadBytes);
  assert.equal(c.heldBytes, 0);
}

for (const [name, generated] of [
  ['any segments', events],
  ['a disturbed transfer', transfers],
] as const) {
  test(`bytes and gaps are those of the model: ${name}`, () => {
    fc.assert(
      fc.property(initial, generated, (isn, list) => {
        const model = new Model();
        const stream = new Stream();
        // The model knows no time: what is acknowledged is a gap at once.
        const tracker = new TcpTracker(stream, { maxDeferNs: 0 });
        tracker.packet(segment({ flags: 'S', seq: isn }));
        tracker.packet(segment({ from: 'server', flags: 'S.', seq: 5000, ack: isn + 1 }));
        list.forEach((event, index) => {
          if (event.kind === 'ack') {
            tracker.packet(segment({ from: 'server', seq: 5001, ack: isn + 1 + event.offset }));
            model.passed(event.offset);
          } else {
            const { offset, length, captured } = event;
            const data = contents(index, offset, captured);
            tracker.packet(segment({ seq: isn + 1 + offset, ack: 5001, data, length }));
            model.segment(index, offset, length, captured);
          }
          assert.equal(stream.bytes.length, model.next, `after event ${index}`);
        });
        tracker.flush(1e9);
        model.end();
        const expected = model.state
          .slice(0, model.next)
          .map((s, offset) => (s >= 0 ? byteOf(s, offset) : -1));
        assert.deepEqual(stream.bytes, expected);
        accounted(tracker);
      }),
      { numRuns: 1500 },
    );
  });
}

test('within small limits no byte is wrong or out of place and no limit is passed', () => {
  const limits = fc.record({
    maxHoldBytes: fc.constantFrom(0, 100, 150, 400, 1000),
    maxTotalHoldBytes: fc.constantFrom(0, 140, 600, 2000),
    maxWaitNs: fc.constantFrom(1e6, 20e6, 1e9),
  });
  fc.assert(
    fc.property(
      initial,
      limits,
      events,
      fc.array(fc.nat(30), { maxLength: 60 }),
      (isn, limit, list, waits) => {
        const stream = new Stream();
        const tracker = new TcpTracker(stream, limit);
        const seen = new Map<number, Set<number>>();
        let ms = 0;
        tracker.packet(segment({ flags: 'S', seq: isn }));
        list.forEach((event, index) => {
          ms += waits[index] ?? 0;
          if (event.kind === 'ack') {
            tracker.packet(segment({ from: 'server', seq: 5001, ack: isn + 1 + event.offset, ms }));
          } else {
            const data = contents(index, event.offset, event.captured);
            data.forEach((byte, i) => {
              const at = event.offset + i;
              seen.set(at, (seen.get(at) ?? new Set()).add(byte));
            });
            tracker.packet(
              segment({ seq: isn + 1 + event.offset, ack: 5001, data, length: event.length, ms }),
            );
          }
          if (index % 3 === 0) tracker.tick(ms * 1e6);
          assert.ok(tracker.counters.heldBytes <= Math.min(limit.maxHoldBytes, limit.maxTotalHoldBytes));
        });
        tracker.flush(ms * 1e6);
        stream.bytes.forEach((byte, at) => {
          assert.ok(byte === -1 || seen.get(at)?.has(byte), `offset ${at}`);
        });
        assert.equal(tracker.counters.gapBytes, stream.bytes.filter((byte) => byte === -1).length);
        assert.equal(tracker.counters.deliveredBytes, stream.bytes.filter((byte) => byte !== -1).length);
        accounted(tracker);
      },
    ),
    { numRuns: 1500 },
  );
});

test('no packet, whatever its fields, throws or leaves bytes unaccounted', () => {
  const near = fc.oneof(fc.integer({ min: -40, max: 40 }), fc.nat(0xffffffff));
  const packets = fc.array(
    fc.record({
      from: fc.constantFrom('client' as const, 'server' as const),
      flags: fc.constantFrom('', '.', 'P.', 'S', 'S.', 'F.', 'F', 'R', 'R.', 'SF', 'SR', '.', '.'),
      seq: near,
      ack: near,
      length: fc.nat(20),
      cut: fc.nat(3),
      ms: fc.oneof(fc.nat(5), fc.nat(100_000)),
    }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(packets, fc.boolean(), (list, wanted) => {
      const stream = new Stream();
      let closed = 0;
      let opened = 0;
      const handler: StreamHandler = {
        data: () => assert.equal(opened, closed + 1),
        gap: () => assert.equal(opened, closed + 1),
        fin: () => assert.equal(opened, closed + 1),
        close: () => closed++,
      };
      const open = () => {
        if (!wanted) return null;
        opened++;
        return handler;
      };
      const tracker = new TcpTracker({ open }, { maxHoldBytes: 400 });
      let ms = 0;
      for (const f of list) {
        ms += f.ms;
        const data = new Uint8Array(Math.max(0, f.length - f.cut));
        tracker.packet(segment({ ...f, data, ms }));
        tracker.tick(ms * 1e6);
      }
      tracker.flush(ms * 1e6);
      assert.equal(tracker.size, 0);
      assert.equal(opened, closed);
      assert.deepEqual(stream.bytes, []);
      accounted(tracker);
    }),
    { numRuns: 3000 },
  );
});

test('neighbours that change places in the capture lose nothing, in whatever direction they go', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ size: fc.integer({ min: 1, max: 9 }), swap: fc.boolean() }), { maxLength: 40 }),
      initial,
      (turns, isn) => {
        const sent = [0, 0];
        const packets = turns.map(({ size }, turn) => {
          const side = turn & 1;
          const packet = segment({
            from: side === 0 ? 'client' : 'server',
            seq: (side === 0 ? isn + 1 : 5001) + sent[side],
            ack: (side === 0 ? 5001 : isn + 1) + sent[side ^ 1],
            data: new Uint8Array(size).fill(turn),
          });
          sent[side] += size;
          return packet;
        });
        for (let i = 0; i + 1 < packets.length; i++) {
          if (!turns[i].swap) continue;
          [packets[i], packets[i + 1]] = [packets[i + 1], packets[i]];
          i++;
        }
        const order: number[] = [];
        const handler: StreamHandler = {
          data(_side, bytes, start) {
            order.push(bytes[start]);
          },
          gap: () => assert.fail('a gap'),
          fin() {},
          close() {},
        };
        const tracker = new TcpTracker({ open: () => handler });
        tracker.packet(segment({ flags: 'S', seq: isn }));
        tracker.packet(segment({ from: 'server', flags: 'S.', seq: 5000, ack: isn + 1 }));
        for (const packet of packets) tracker.packet(packet);
        tracker.flush(1e9);
        assert.deepEqual(order, [...turns.keys()]);
        accounted(tracker);
      },
    ),
    { numRuns: 1500 },
  );
});
