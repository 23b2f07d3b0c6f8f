import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Frame, LinkType } from '../capture/engine.js';
import type { FragmentOptions } from './fragments.js';
import { Packet, ParseStatus } from './packet.js';
import { PacketParser } from './parse.js';

const { OK, FRAGMENT_HELD, MALFORMED, TRUNCATED } = ParseStatus;

interface Piece {
  readonly offset: number;
  readonly more: boolean;
  readonly data: Uint8Array;
}

/** UDP, ports 1 and 2, with its payload. */
function datagram(payloadBytes: number): Uint8Array {
  const bytes = new Uint8Array(8 + payloadBytes);
  const length = bytes.length;
  bytes.set([0, 1, 0, 2, length >> 8, length, 0, 0]);
  for (let i = 8; i < length; i++) bytes[i] = i * 7 + (i >> 8);
  return bytes;
}

function ipv4({ offset, more, data }: Piece, identification: number): Uint8Array {
  const total = 20 + data.length;
  const field = (more ? 0x2000 : 0) | (offset / 8);
  const header = [
    0x45,
    0,
    total >> 8,
    total,
    identification >> 8,
    identification,
    field >> 8,
    field,
    64,
    17,
    0,
    0,
  ];
  return Uint8Array.from([...header, 10, 0, 0, 1, 10, 0, 0, 2, ...data]);
}

function ipv6({ offset, more, data }: Piece, identification: number): Uint8Array {
  const length = 8 + data.length;
  const field = offset | (more ? 1 : 0);
  const addresses = Array.from({ length: 32 }, (_, i) => i);
  const header = [0x60, 0, 0, 0, length >> 8, length, 44, 64, ...addresses];
  return Uint8Array.from([
    ...header,
    17,
    0,
    field >> 8,
    field,
    0,
    0,
    identification >> 8,
    identification,
    ...data,
  ]);
}

class Feed {
  readonly packet = new Packet();
  readonly parser: PacketParser;
  private readonly frame = new Frame();

  constructor(options?: Partial<FragmentOptions>) {
    this.parser = new PacketParser({ fragments: options });
  }

  add(bytes: Uint8Array, timeNs = 0, wireLength = bytes.length): ParseStatus {
    const frame = this.frame;
    frame.linkType = LinkType.RAW;
    frame.bytes = bytes;
    frame.end = bytes.length;
    frame.wireLength = wireLength;
    frame.timeNs = timeNs;
    return this.parser.parse(frame, this.packet);
  }

  payload(): Uint8Array {
    return this.packet.bytes.slice(this.packet.payloadStart, this.packet.payloadEnd);
  }
}

const cut = (bytes: Uint8Array, start: number, end = bytes.length): Piece => ({
  offset: start,
  more: end < bytes.length,
  data: bytes.slice(start, end),
});

for (const [name, build] of [
  ['IPv4', ipv4],
  ['IPv6', ipv6],
] as const) {
  test(`${name}: any cut in any order, repeated and overlapping, gives the datagram`, () => {
    const piece = fc.tuple(fc.nat({ max: 99 }), fc.integer({ min: 1, max: 40 }));
    fc.assert(
      fc.property(fc.integer({ min: 9, max: 800 }), fc.array(piece, { maxLength: 30 }), (size, pieces) => {
        const whole = datagram(size - 8);
        const feed = new Feed();
        // The model: which bytes have been seen.
        const seen = new Uint8Array(size);
        const units = Math.ceil(size / 8);
        const covering = [
          ...pieces,
          ...Array.from({ length: units }, (_, unit) => [unit, 1] as [number, number]),
        ];
        for (const [at, count] of covering) {
          const start = (at % units) * 8;
          const end = Math.min(start + count * 8, size);
          if (start === 0 && end === size) continue;
          seen.fill(1, start, end);
          const status = feed.add(build(cut(whole, start, end), 7));
          const complete = seen.every((byte) => byte === 1);
          assert.equal(status, complete ? OK : FRAGMENT_HELD);
          if (!complete) continue;
          assert.deepEqual(feed.payload(), whole.slice(8));
          assert.equal(feed.packet.payloadLength, size - 8);
          seen.fill(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  test(`${name}: datagrams apart by identification`, () => {
    const [first, second] = [datagram(100), datagram(100).fill(9, 8)];
    const feed = new Feed();
    assert.equal(feed.add(build(cut(first, 0, 48), 1)), FRAGMENT_HELD);
    assert.equal(feed.add(build(cut(second, 48), 2)), FRAGMENT_HELD);
    assert.equal(feed.add(build(cut(first, 48), 1)), OK);
    assert.deepEqual(feed.payload(), first.slice(8));
    assert.equal(feed.add(build(cut(second, 0, 48), 2)), OK);
    assert.deepEqual(feed.payload(), second.slice(8));
  });

  test(`${name}: of overlapping bytes the first win`, () => {
    const whole = datagram(40);
    const forged = { offset: 8, more: true, data: new Uint8Array(24).fill(0xff) };
    const feed = new Feed();
    feed.add(build(cut(whole, 16, 24), 1));
    feed.add(build(forged, 1));
    feed.add(build(cut(whole, 0, 16), 1));
    assert.equal(feed.add(build(cut(whole, 24), 1)), OK);
    const expected = whole.slice();
    expected.fill(0xff, 8, 16).fill(0xff, 24, 32);
    assert.deepEqual(feed.payload(), expected.slice(8));
  });

  test(`${name}: fragments that contradict the end, are empty, too long or cut`, () => {
    const whole = datagram(40);
    const feed = new Feed();
    feed.add(build(cut(whole, 24), 1));
    const beyond = { offset: 48, more: true, data: new Uint8Array(8) };
    assert.equal(feed.add(build(beyond, 1)), MALFORMED);
    assert.equal(feed.add(build({ ...beyond, more: false }, 1)), MALFORMED);
    assert.equal(feed.add(build({ offset: 8, more: true, data: new Uint8Array(0) }, 1)), MALFORMED);
    assert.equal(feed.add(build({ offset: 65_528, more: false, data: new Uint8Array(8) }, 1)), MALFORMED);
    const held = build(cut(whole, 0, 24), 1);
    assert.equal(feed.add(held.slice(0, -1), 0, held.length), TRUNCATED);
    assert.equal(feed.parser.counters.fragments.dropped, 5);
    assert.equal(feed.add(held), OK);
    assert.deepEqual(feed.payload(), whole.slice(8));
  });

  test(`${name}: given up after 30 s`, () => {
    const whole = datagram(40);
    const feed = new Feed();
    feed.add(build(cut(whole, 0, 24), 1), 0);
    assert.equal(feed.add(build(cut(whole, 24), 1), 30e9), FRAGMENT_HELD);
    assert.deepEqual(
      { ...feed.parser.counters.fragments },
      { held: 2, reassembled: 0, expired: 1, dropped: 0 },
    );
  });

  test(`${name}: the oldest makes room, by number and by bytes`, () => {
    const whole = datagram(40);
    for (const options of [{ maxDatagrams: 2 }, { maxBytes: 2 * 4096 }]) {
      const feed = new Feed(options);
      for (let id = 1; id <= 3; id++) feed.add(build(cut(whole, 0, 24), id), id);
      assert.equal(feed.add(build(cut(whole, 24), 3), 4), OK);
      assert.equal(feed.add(build(cut(whole, 24), 2), 5), OK);
      assert.equal(feed.add(build(cut(whole, 24), 1), 6), FRAGMENT_HELD);
      assert.equal(feed.parser.counters.fragments.dropped, 1);
    }
  });
}

test('a fragment that is the whole datagram (RFC 6946)', () => {
  const feed = new Feed();
  assert.equal(feed.add(ipv6({ offset: 0, more: false, data: datagram(5) }, 1)), OK);
  assert.equal(feed.packet.payloadLength, 5);
  assert.equal(feed.parser.counters.fragments.held, 0);
});

test('fragments of a tunnel within fragments', () => {
  const whole = datagram(80);
  const feed = new Feed();
  for (const [inner, last] of [
    [cut(whole, 0, 48), FRAGMENT_HELD],
    [cut(whole, 48), OK],
  ] as const) {
    const outer = ipv4(inner, 1);
    const identification = inner.offset + 2;
    for (const piece of [cut(outer, 0, 32), cut(outer, 32)]) {
      const bytes = ipv4(piece, identification);
      bytes[9] = 4;
      assert.equal(feed.add(bytes), piece.more ? FRAGMENT_HELD : last);
    }
  }
  assert.deepEqual(feed.payload(), whole.slice(8));
  assert.equal(feed.parser.counters.fragments.reassembled, 3);
});
