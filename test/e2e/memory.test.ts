/** What endless traffic costs: the peak of resident memory of `packetd watch` on a stream of a capture. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { PACKETD } from './support.js';

const MEBIBYTE = 2 ** 20;
const CHUNK_BYTES = 1 << 16;
const SERVER = 0x0a800001;
const SYN = 2;
const ACK = 0x10;
const REQUEST = Buffer.from('GET /users/42 HTTP/1.1\r\nHost: shop.test\r\n\r\n');
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');

const SEGMENT = Buffer.alloc(100, '~');

/** A pcap of raw IPv4 (link type 101), 5 µs from packet to packet, handed on in pieces. */
class Traffic {
  private out = Buffer.alloc(CHUNK_BYTES);
  private length = 0;
  private us = 0;
  private readonly full: Buffer[] = [Buffer.from('d4c3b2a1020004000000000000000000ffff000065000000', 'hex')];

  *pieces(count: number, one: (traffic: Traffic, i: number) => void): Generator<Buffer> {
    for (let i = 0; i < count; i++) {
      one(this, i);
      yield* this.full.splice(0);
    }
    yield this.out.subarray(0, this.length);
  }

  /** From or to client `i`, each of which has an address and a port that no other has. */
  tcp(
    i: number,
    fromClient: boolean,
    sequence: number,
    ack: number,
    flags: number,
    data = Buffer.alloc(0),
  ): void {
    const packet = this.ip(i, fromClient, 6, 20 + data.length, 80);
    packet.writeUInt32BE(sequence, 24);
    packet.writeUInt32BE(ack, 28);
    packet[32] = 0x50;
    packet[33] = flags;
    packet.set(data, 40);
  }

  udp(i: number, port: number, data: Buffer): void {
    const packet = this.ip(i, true, 17, 8 + data.length, port);
    packet.writeUInt16BE(8 + data.length, 24);
    packet.set(data, 28);
  }

  private ip(i: number, fromClient: boolean, protocol: number, bytes: number, port: number): Buffer {
    const length = 20 + bytes;
    if (this.length + 16 + length > CHUNK_BYTES) {
      this.full.push(this.out.subarray(0, this.length));
      this.out = Buffer.alloc(CHUNK_BYTES);
      this.length = 0;
    }
    const { out } = this;
    this.us += 5;
    out.writeUInt32LE(1_700_000_000 + Math.floor(this.us / 1e6), this.length);
    out.writeUInt32LE(this.us % 1e6, this.length + 4);
    out.writeUInt32LE(length, this.length + 8);
    out.writeUInt32LE(length, this.length + 12);
    const packet = out.subarray(this.length + 16, this.length + 16 + length);
    this.length += 16 + length;
    packet[0] = 0x45;
    packet.writeUInt16BE(length, 2);
    packet[8] = 64;
    packet[9] = protocol;
    const client = 0x0a000001 + Math.floor(i / 50_000);
    const clientPort = 10_000 + (i % 50_000);
    packet.writeUInt32BE(fromClient ? client : SERVER, 12);
    packet.writeUInt32BE(fromClient ? SERVER : client, 16);
    packet.writeUInt16BE(fromClient ? clientPort : port, 20);
    packet.writeUInt16BE(fromClient ? port : clientPort, 22);
    return packet;
  }
}

function request(t: Traffic, i: number): void {
  t.tcp(i, true, 1, 0, SYN);
  t.tcp(i, false, 1, 2, SYN | ACK);
  t.tcp(i, true, 2, 2, ACK, REQUEST);
  t.tcp(i, false, 2, 2 + REQUEST.length, ACK, ANSWER);
}

function end(t: Traffic, i: number): void {
  t.tcp(i, true, 2 + REQUEST.length, 2 + ANSWER.length, ACK | 1);
  t.tcp(i, false, 2 + ANSWER.length, 3 + REQUEST.length, ACK | 1);
  t.tcp(i, true, 3 + REQUEST.length, 3 + ANSWER.length, ACK);
}

/** A query for hostN.example.test (RFC 1035 section 4.1). */
function query(i: number): Buffer {
  const labels = [`host${i}`, 'example', 'test'].map(
    (label) => `${String.fromCharCode(label.length)}${label}`,
  );
  const header = Buffer.from([(i >> 8) & 255, i & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, Buffer.from(`${labels.join('')}\0\0\x01\0\x01`, 'latin1')]);
}

const CASES: [
  title: string,
  count: number,
  limit: number,
  records: number,
  (t: Traffic, i: number) => void,
][] = [
  ['SYNs', 300_000, 100, 0, (t, i) => t.tcp(i, true, 1, 0, SYN)],
  ['packets without payload', 300_000, 100, 0, (t, i) => t.tcp(i, true, 1, 1, ACK)],
  ['datagrams', 300_000, 100, 0, (t, i) => t.udp(i, 7777, REQUEST)],
  ['DNS queries without response', 100_000, 100, 100_000, (t, i) => t.udp(i, 53, query(i))],
  [
    'short connections',
    50_000,
    100,
    50_000,
    (t, i) => {
      request(t, i);
      end(t, i);
    },
  ],
  // 16 384 of them are followed.
  ['connections that stay open', 50_000, 180, 50_000, request],
  [
    'segments, of which one in fifty is lost and nothing is acknowledged',
    600_000,
    100,
    0,
    (t, i) => {
      if (i % 50 !== 2) t.tcp(0, false, 1 + 100 * i, 1, ACK, SEGMENT);
    },
  ],
];

describe('memory', { skip: existsSync('/proc/self/status') ? false : 'needs /proc' }, () => {
  for (const [title, count, limit, records, one] of CASES) {
    it(`${count} ${title}: at most ${limit} MiB`, async () => {
      const child = spawn(process.execPath, [
        PACKETD,
        'watch',
        '--pcap-file',
        '-',
        '--output',
        'none',
        '--stats',
      ]);
      const exited = once(child, 'exit');
      const stats = text(child.stderr);
      let peak = 0;
      for (const piece of new Traffic().pieces(count, one)) {
        if (!child.stdin.write(piece)) await once(child.stdin, 'drain');
        const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
        peak = Math.max(peak, Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0) * 1024);
      }
      child.stdin.end();
      assert.deepEqual(await exited, [0, null]);
      assert.equal(JSON.parse(await stats).records, records);
      assert.ok(peak <= limit * MEBIBYTE, `${Math.round(peak / MEBIBYTE)} MiB`);
    });
  }
});
