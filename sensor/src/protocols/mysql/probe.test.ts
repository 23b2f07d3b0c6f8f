import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProbeContext, Verdict } from '../decoder.js';
import { probe } from './probe.js';

const { NO, MORE, CLIENT, SERVER } = Verdict;
const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const command = (payload: string): Buffer =>
  Buffer.concat([
    Buffer.of(payload.length & 0xff, payload.length >> 8, 0, 0),
    Buffer.from(payload, 'latin1'),
  ]);

const START: ProbeContext = { side: 0, fromStart: true, sourcePort: 40_000, destinationPort: 5000 };
const MIDDLE: ProbeContext = { ...START, fromStart: false };
const KNOWN_PORT: ProbeContext = { ...MIDDLE, destinationPort: 3306 };

// The example of Protocol::HandshakeV10 in the protocol's documentation.
const GREETING =
  hex(`36 00 00 00 0a 35 2e 35 2e 32 2d 6d 32 00 0b 00 00 00 64 76 48 40 49 2d 43 4a 00 ff f7 08 02 00
  00 00 00 00 00 00 00 00 00 00 00 00 00 2a 34 64 7c 63 5a 77 6b 34 5e 5d 3a 00`);
const REFUSAL = Buffer.concat([hex('17 00 00 00 ff 10 04'), Buffer.from('Too many connections')]);

const CASES: [string, Buffer, ProbeContext, Verdict][] = [
  ['greeting', GREETING, START, SERVER],
  ['greeting without a SYN', GREETING, MIDDLE, SERVER],
  ['refusal', REFUSAL, START, SERVER],
  ['greeting with bytes behind it', Buffer.concat([GREETING, Buffer.of(1)]), START, NO],
  [
    'greeting with another sequence id',
    hex(GREETING.toString('hex').replace(/^(.{6})00/, '$101')),
    START,
    NO,
  ],
  ['query', command('\x03SELECT 1'), MIDDLE, CLIENT],
  [
    'query in small letters behind blanks and a comment',
    command('\x03 /* x */\n-- y\n( select 1'),
    MIDDLE,
    CLIENT,
  ],
  ['query carried out by version', command('\x03/*!40101 SET NAMES utf8 */'), MIDDLE, CLIENT],
  ['query with attributes', command('\x03\0\x01UPDATE t SET a=1'), MIDDLE, CLIENT],
  ['preparation', command('\x16INSERT INTO t VALUES (?)'), MIDDLE, CLIENT],
  ['execution', command('\x17\x01\0\0\0\0\x01\0\0\0'), MIDDLE, CLIENT],
  ['a query is no way to begin', command('\x03SELECT 1'), START, NO],
  ['no SQL', command('\x03PING 1'), MIDDLE, NO],
  ['a word that only begins like SQL', command('\x03SELECTION 1'), MIDDLE, NO],
  ['ping', command('\x0e'), KNOWN_PORT, CLIENT],
  ['ping, port unknown', command('\x0e'), MIDDLE, NO],
  ['two packets', Buffer.concat([command('\x0e'), command('\x0e')]), KNOWN_PORT, NO],
  ['answer', hex('07 00 00 01 00 00 00 02 00 00 00'), MIDDLE, NO],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), START, NO],
  ['TLS', hex('16 03 01 00 c8 01 00 00 c4 03 03'), START, NO],
  ['Redis', Buffer.from('*1\r\n$4\r\nPING\r\n'), MIDDLE, NO],
  [
    'PostgreSQL',
    Buffer.concat([Buffer.from('Q'), hex('00 00 00 0d'), Buffer.from('SELECT 1\0')]),
    MIDDLE,
    NO,
  ],
  ['MongoDB', hex('3a 00 00 00 01 00 00 00 00 00 00 00 d4 07 00 00'), START, NO],
  ['DNS over TCP', hex('00 1d 00 01 01 00 00 01 00 00 00 00 00 00'), START, NO],
  ['zeroes', Buffer.alloc(64), MIDDLE, NO],
];
for (const [name, bytes, context, expected] of CASES) {
  test(`probe: ${name}`, () => {
    assert.equal(probe(bytes, 0, bytes.length, context), expected);
    // The same at any place, and more is asked for as long as the bytes are its beginning.
    const shifted = Buffer.concat([Buffer.alloc(7, 0xff), bytes]);
    assert.equal(probe(shifted, 7, shifted.length, context), expected);
    if (expected === NO) return;
    for (let length = 1; length < bytes.length; length++) {
      const verdict = probe(bytes, 0, length, context);
      assert.ok(verdict === MORE || verdict === expected, `${length} bytes: ${verdict}`);
    }
  });
}

test('probe: random bytes are not it', () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return (seed >> 16) & 0xff;
  };
  const bytes = Buffer.alloc(64);
  for (let round = 0; round < 20_000; round++) {
    for (let i = 0; i < bytes.length; i++) bytes[i] = random();
    for (const context of [START, MIDDLE, KNOWN_PORT])
      assert.equal(probe(bytes, 0, bytes.length, context), NO);
  }
});
