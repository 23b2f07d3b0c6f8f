import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recorder, segment } from './segments.js';
import { type EndpointVisitor, Stat } from './statistics.js';
import { TcpTracker } from './tcp.js';

type Row = Partial<Record<keyof typeof Stat, number>> & { port: number; protocol: number; active: number };

function drain(tracker: TcpTracker): Row[] {
  const rows: Row[] = [];
  const visitor: EndpointVisitor = {
    endpoint(_0, _1, _2, address3, port, protocol, active, columns, at) {
      assert.ok(address3 > 0);
      const row: Row = { port, protocol, active };
      for (const [name, column] of Object.entries(Stat)) {
        if (columns[at + column] !== 0) row[name as keyof typeof Stat] = columns[at + column];
      }
      rows.push(row);
    },
  };
  tracker.statistics!.drain(visitor);
  return rows;
}

function play(tracker: TcpTracker, list: Parameters<typeof segment>[0][]): void {
  for (const fields of list) tracker.packet(segment(fields));
}

test('a connection with a handshake, a repeated and an early segment', () => {
  const tracker = new TcpTracker(new Recorder());
  play(tracker, [
    { flags: 'S', seq: 100, ms: 0 },
    { from: 'server', flags: 'S.', seq: 500, ack: 101, ms: 8 },
    { seq: 101, ack: 501, ms: 9 },
    { seq: 101, ack: 501, data: 'abc', ms: 10 },
    { seq: 101, ack: 501, data: 'abc', ms: 300 },
    { from: 'server', seq: 503, ack: 104, data: 'cd', ms: 310 },
    { from: 'server', seq: 501, ack: 104, data: 'ab', ms: 600 },
  ]);
  assert.deepEqual(drain(tracker), [
    {
      port: 80,
      protocol: 6,
      active: 1,
      opened: 1,
      clientPackets: 4,
      clientBytes: 6,
      serverPackets: 3,
      serverBytes: 4,
      // The second of the server filled its hole 290 ms later: it was sent again.
      retransmittedSegments: 2,
      outOfOrderSegments: 1,
      handshakes: 1,
      handshakeNs: 9e6,
    },
  ]);
  assert.deepEqual(drain(tracker), [], 'nothing has grown');
  play(tracker, [{ flags: 'R', seq: 104, ms: 700 }]);
  assert.deepEqual(drain(tracker), [{ port: 80, protocol: 6, active: 0, reset: 1, clientPackets: 1 }]);
});

test('failed: a refused SYN, and one that nobody answered', () => {
  const tracker = new TcpTracker(new Recorder());
  const other = { address: 0x0a000001, port: 40001 };
  play(tracker, [
    { flags: 'S', seq: 100 },
    { from: 'server', flags: 'R.', seq: 0, ack: 101 },
    { flags: 'S', seq: 100, client: other },
  ]);
  tracker.tick(30e9);
  assert.deepEqual(drain(tracker), [
    { port: 80, protocol: 6, active: 0, opened: 2, failed: 2, clientPackets: 2, serverPackets: 1 },
  ]);
});

test('a handshake with a repeated SYN is not measured (RFC 6298 section 3)', () => {
  const tracker = new TcpTracker(new Recorder());
  play(tracker, [
    { flags: 'S', seq: 100, ms: 0 },
    { flags: 'S', seq: 100, ms: 1000 },
    { from: 'server', flags: 'S.', seq: 500, ack: 101, ms: 1001 },
    { seq: 101, ack: 501, ms: 1002 },
  ]);
  assert.equal(drain(tracker)[0].handshakes, undefined);
});

test('datagrams both ways count for the endpoint with the lower port', () => {
  const tracker = new TcpTracker(new Recorder());
  const server = { address: 7, port: 53 };
  tracker.statistics!.udp(segment({ seq: 0, data: 'query', server }));
  tracker.statistics!.udp(segment({ seq: 0, data: 'response', server, from: 'server' }));
  assert.deepEqual(drain(tracker), [
    { port: 53, protocol: 17, active: 0, clientPackets: 1, clientBytes: 5, serverPackets: 1, serverBytes: 8 },
  ]);
});

test('no more endpoints than allowed; idle ones make room', () => {
  const tracker = new TcpTracker(new Recorder(), { maxEndpoints: 2 });
  const udp = (port: number) => tracker.statistics!.udp(segment({ seq: 0, server: { address: 7, port } }));
  for (const port of [1, 2, 3]) udp(port);
  assert.equal(tracker.statistics!.size, 2);
  assert.equal(tracker.statistics!.overflow, 1);
  for (let i = 0; i < 62; i++) drain(tracker);
  assert.equal(tracker.statistics!.size, 0);
  udp(3);
  assert.deepEqual(drain(tracker), [{ port: 3, protocol: 17, active: 0, clientPackets: 1 }]);
});

test('an endpoint whose connections are silent is shown every sixth time', () => {
  const tracker = new TcpTracker(new Recorder());
  play(tracker, [
    { flags: 'S', seq: 100 },
    { from: 'server', flags: 'S.', seq: 500, ack: 101 },
    { seq: 101, ack: 501 },
  ]);
  const shown = Array.from({ length: 14 }, () => drain(tracker).map(({ active }) => active));
  const times = shown.flatMap((rows, time) => (rows.length > 0 ? [time] : []));
  assert.deepEqual(times, [0, 6, 12]);
  assert.deepEqual(shown[6], [1]);
});

test('switched off', () => {
  const tracker = new TcpTracker(new Recorder(), { statistics: false });
  play(tracker, [
    { flags: 'S', seq: 100 },
    { seq: 101, data: 'x' },
    { seq: 101, data: 'x' },
  ]);
  tracker.flush(0);
  assert.equal(tracker.statistics, null);
});
