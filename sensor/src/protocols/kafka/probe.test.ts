import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Verdict } from '../decoder.js';
import { array, cstr, frame, hex, i16, i32, raw, request, response, str, TAGS } from './bytes.js';
import { probe } from './probe.js';

const context = { side: 0, fromStart: true, sourcePort: 40000, destinationPort: 7 } as const;
const verdict = (bytes: Uint8Array, destinationPort = 7): Verdict =>
  probe(bytes, 0, bytes.length, { ...context, destinationPort });

const REQUESTS: [string, Uint8Array][] = [
  ['ApiVersions v0 without client id', request(18, 0, 0, null, [])],
  ['ApiVersions v3', request(18, 3, 1, 'c', [...cstr('lib'), ...cstr('1'), ...TAGS], true)],
  ['Metadata v0', request(3, 0, 1, 'client', array(str('topic')))],
  ['Heartbeat v0', request(12, 0, 7, 'c', [...str('g'), ...i32(1), ...str('m')])],
];

for (const [name, bytes] of REQUESTS) {
  test(`${name}: found when whole, possible before`, () => {
    for (let end = 0; end < bytes.length; end++)
      assert.equal(verdict(bytes.subarray(0, end)), Verdict.MORE, `${end} bytes`);
    assert.equal(verdict(bytes), Verdict.CLIENT);
    assert.equal(verdict(Buffer.concat([bytes, bytes])), Verdict.CLIENT);
  });
}

test('what it is not', () => {
  const others: [string, Uint8Array][] = [
    [
      // StartupMessage 3.0: the same first bytes as Metadata v0 (protocol-message-formats).
      'PostgreSQL start-up',
      frame(i32(196608), raw('user\0postgres\0database\0app\0\0')),
    ],
    ['PostgreSQL SSLRequest', frame(i32(80877103))],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['Redis', Buffer.from('*1\r\n$4\r\nPING\r\n')],
    ['TLS', Uint8Array.from(hex('16030100c8010000c40303'))],
    ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['Thrift, framed', frame(hex('80010001 00000004 70696e67 00000001 00'))],
    ['a response', response(5, i16(0))],
    ['an unknown API', request(999, 0, 1, 'c', [])],
    ['an unknown version', request(12, 40, 1, 'c', [])],
    ['a client id that is not text', request(12, 0, 1, 'c\u0001', [...str('g'), ...i32(1), ...str('m')])],
    ['a body that is too long', request(12, 0, 1, 'c', [...str('g'), ...i32(1), ...str('m'), 0])],
    ['a negative correlation id', request(12, 0, -1, 'c', [...str('g'), ...i32(1), ...str('m')])],
  ];
  for (const [name, bytes] of others) assert.equal(verdict(bytes), Verdict.NO, name);
});

test('on its own port a later version is believed by its header', () => {
  assert.equal(verdict(request(18, 9, 0, 'c', raw('later')), 9092), Verdict.CLIENT);
  assert.equal(verdict(request(999, 9, 0, 'c', raw('later')), 9092), Verdict.NO);
});

test('random bytes are not it', () => {
  let seed = 7;
  for (let round = 0; round < 20_000; round++) {
    const bytes = new Uint8Array(64);
    for (let i = 0; i < bytes.length; i++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      // Small sizes, keys and versions: the hardest to tell.
      bytes[i] = i < 12 && i !== 3 && i !== 5 && i !== 7 ? 0 : seed >>> 16;
    }
    assert.notEqual(verdict(bytes), Verdict.CLIENT);
  }
});
