/** DNS over TCP (RFC 1035 section 4.2.2, RFC 7766), zone transfers (RFC 5936, RFC 1995) and detection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusValue } from '@packetd/proto';
import fc from 'fast-check';
import { type ProbeContext, Verdict } from '../decoder.js';
import { converse, type Step } from '../harness.js';
import { dnsStream } from './index.js';
import { A, details, line, message, opt, type Question, soa } from './support.js';

const framed = (payload: string): string =>
  String.fromCharCode(payload.length >> 8, payload.length & 255) + payload;
const q = (m: Question = {}): string => framed(message(m));
const r = (m: Question = {}): string => framed(message({ flags: 0x8180, answers: [A], ...m }));
const c = (...bytes: string[]): Step => ({ from: 0, bytes: bytes.join('') });
const s = (...bytes: string[]): Step => ({ from: 1, bytes: bytes.join('') });

const AXFR = 252;
const IXFR = 251;
const zone = { name: 'example.com', flags: 0x8400 };
const ns = { name: '*', type: 2, data: '\x02ns\xc0\x0c' };

interface Case {
  name: string;
  steps: Step[];
  /** `TYPE name RCODE STATUS`, one a record. */
  expect: string[];
  close?: number;
  undecodable?: number;
  counts?: number[];
}

const OK = 'A www.example.com NOERROR OK';
const CASES: readonly Case[] = [
  { name: 'a query and its response', steps: [c(q()), s(r())], expect: [OK] },
  {
    name: 'several messages in a segment, answered out of order',
    steps: [
      c(q({ id: 1 }), q({ id: 2, type: 28 }), q({ id: 3, name: 'b' })),
      s(r({ id: 3, name: 'b' }), r({ id: 1 }), r({ id: 2, type: 28, answers: [] })),
    ],
    expect: ['A b NOERROR OK', OK, 'AAAA www.example.com NOERROR OK'],
  },
  {
    name: 'one id and two questions',
    steps: [c(q(), q({ type: 28 })), s(r({ type: 28, answers: [] }), r())],
    expect: ['AAAA www.example.com NOERROR OK', OK],
  },
  {
    name: 'the same query twice is two',
    steps: [c(q(), q()), s(r(), r({ flags: 0x8183, answers: [] }))],
    expect: [OK, 'A www.example.com NXDOMAIN ERROR'],
  },
  { name: 'no response before the end', steps: [c(q())], expect: ['A www.example.com - NO_RESPONSE'] },
  { name: 'a reset', steps: [c(q())], close: StatusValue.RESET, expect: ['A www.example.com - RESET'] },
  { name: 'a response without its query', steps: [s(r())], expect: [], undecodable: 51 },
  {
    name: 'a response without a question',
    steps: [c(q()), s(framed(message({ flags: 0x8001, name: null })))],
    expect: ['A www.example.com FORMERR ERROR'],
  },
  { name: 'a query on the side of the server', steps: [s(q())], expect: [], undecodable: 35 },
  {
    name: 'a message that is none, and the next',
    steps: [c(framed('x'.repeat(20)), q()), s(r())],
    expect: [OK],
    undecodable: 22,
  },
  {
    name: 'a length that is too short: the next message is found',
    steps: [c('\0\x03abc', q()), s(r())],
    expect: [OK],
    undecodable: 5,
  },
  {
    name: 'AXFR in one message',
    steps: [
      c(q({ name: 'example.com', type: AXFR, flags: 0 })),
      s(r({ ...zone, type: AXFR, answers: [soa(5), ns, A, soa(5)] })),
    ],
    expect: ['AXFR example.com NOERROR OK'],
    counts: [4],
  },
  {
    name: 'AXFR in four messages, of which only the first has the question',
    steps: [
      c(q({ name: 'example.com', type: AXFR, flags: 0 }), q({ id: 8 })),
      s(r({ ...zone, type: AXFR, answers: [soa(5)] })),
      s(framed(message({ ...zone, name: null, answers: [{ ...ns, name: 'a', data: '\0' }] }))),
      s(r({ id: 8 })),
      s(framed(message({ ...zone, name: null, answers: [{ ...ns, name: 'b', data: '\0' }] }))),
      s(r({ ...zone, type: AXFR, answers: [soa(5)] })),
    ],
    expect: [OK, 'AXFR example.com NOERROR OK'],
    counts: [1, 4],
  },
  {
    name: 'AXFR that is refused',
    steps: [c(q({ type: AXFR })), s(r({ type: AXFR, flags: 0x8185, answers: [] }))],
    expect: ['AXFR www.example.com REFUSED ERROR'],
  },
  {
    name: 'AXFR that is cut off',
    steps: [c(q({ type: AXFR })), s(r({ type: AXFR, answers: [soa(5), ns] }))],
    expect: ['AXFR www.example.com NOERROR INCOMPLETE'],
    counts: [2],
  },
  {
    name: 'IXFR: the differences of RFC 1995 section 7',
    steps: [
      c(q({ type: IXFR, authorities: [soa(1)] })),
      s(r({ type: IXFR, answers: [soa(3), soa(1), A, soa(2)] })),
      s(r({ type: IXFR, answers: [A, A, soa(2), A, soa(3)] })),
      s(r({ type: IXFR, answers: [A, soa(3)] })),
    ],
    expect: ['IXFR www.example.com NOERROR OK'],
    counts: [11],
  },
  {
    name: 'IXFR with the whole zone',
    steps: [
      c(q({ type: IXFR, authorities: [soa(1)] })),
      s(r({ type: IXFR, answers: [soa(3)] })),
      s(r({ type: IXFR, answers: [A, soa(3)] })),
    ],
    expect: ['IXFR www.example.com NOERROR OK'],
    counts: [3],
  },
  {
    name: 'IXFR of a zone that is up to date',
    steps: [c(q({ type: IXFR, authorities: [soa(3)] })), s(r({ type: IXFR, answers: [soa(3)] }))],
    expect: ['IXFR www.example.com NOERROR OK'],
    counts: [1],
  },
  {
    name: 'the requests for zone transfers of Windows',
    steps: [c(framed(`${message({ type: AXFR })}MS`)), s(r({ type: AXFR, answers: [soa(1), soa(1)] }))],
    expect: ['AXFR www.example.com NOERROR OK'],
  },
];

const check = (kase: Case, cut: 'whole' | 'bytes' | ((length: number) => number[])): void => {
  const outcome = converse(dnsStream, kase.steps, {
    cut,
    ...(kase.close === undefined ? {} : { close: kase.close }),
  });
  assert.deepEqual(outcome.records.map(line), kase.expect);
  assert.equal(outcome.undecodable, kase.undecodable ?? 0);
  if (kase.counts !== undefined)
    assert.deepEqual(
      outcome.records.map((x) => details(x).answerCount),
      kase.counts,
    );
};

for (const kase of CASES) {
  test(kase.name, () => {
    check(kase, 'whole');
    check(kase, 'bytes');
    for (let at = 1; at < 140; at++) check(kase, (length) => (at < length ? [at] : []));
  });
}

test('sizes have the length before the message, and all messages of a transfer', () => {
  const query = q({ type: AXFR });
  const first = r({ type: AXFR, answers: [soa(1), A] });
  const second = r({ type: AXFR, answers: [soa(1)] });
  const { records } = converse(dnsStream, [c(query), s(first, second)]);
  assert.equal(records[0].client?.bytes, BigInt(query.length));
  assert.equal(records[0].server?.bytes, BigInt(first.length + second.length));
});

test('the oldest query gives way to one too many', () => {
  const { records } = converse(dnsStream, [c(q({ id: 1 }), q({ id: 2 }), q({ id: 3 })), s(r({ id: 3 }))], {
    options: { maxPending: 2 },
  });
  assert.deepEqual(
    records.map((x) => `${details(x).id} ${line(x)}`),
    ['1 A www.example.com - NO_RESPONSE', `3 ${OK}`, '2 A www.example.com - NO_RESPONSE'],
  );
});

test('a hole inside a message costs that message; the next one is where its length says', () => {
  const responses = [r({ id: 1 }), r({ id: 2 }), r({ id: 3 })];
  const all = responses.join('');
  const size = responses[0].length;
  for (let from = size + 2; from < size * 2; from++) {
    for (let to = from + 1; to <= size * 2; to++) {
      const { records } = converse(dnsStream, [
        c(q({ id: 1 }), q({ id: 2 }), q({ id: 3 })),
        s(all.slice(0, from)),
        { from: 1, gap: to - from },
        s(all.slice(to)),
      ]);
      assert.deepEqual(
        records.map((x) => `${details(x).id} ${line(x)}`),
        [`1 ${OK}`, `3 ${OK}`, '2 A www.example.com - INCOMPLETE'],
      );
    }
  }
});

test('after a hole of unknown messages the next one is found', () => {
  const queries = Array.from({ length: 6 }, (_, i) => q({ id: i }));
  const all = Array.from({ length: 6 }, (_, i) => r({ id: i })).join('');
  for (let to = 60; to < 200; to++) {
    const { records } = converse(dnsStream, [c(...queries), { from: 1, gap: to }, s(all.slice(to))]);
    const answered = records.filter((x) => details(x).rcode !== '').map((x) => details(x).id);
    const first = Math.ceil(to / r().length);
    assert.deepEqual(answered, [0, 1, 2, 3, 4, 5].slice(first));
    assert.equal(records.length, 6);
  }
});

const context: ProbeContext = { side: 0, fromStart: true, sourcePort: 40_000, destinationPort: 5300 };
const probe = (bytes: string): Verdict =>
  dnsStream.probe(Buffer.from(bytes, 'latin1'), 0, bytes.length, context);

test('detection from the first message of either side, cut anywhere', () => {
  for (const [bytes, verdict] of [
    [q(), Verdict.CLIENT],
    [q({ additionals: [opt({ dnssec: true })] }), Verdict.CLIENT],
    [r(), Verdict.SERVER],
    [framed(`${message({ type: AXFR })}MS`), Verdict.CLIENT],
    [r({ type: AXFR, answers: Array(1000).fill(A) }).slice(0, 5000), Verdict.SERVER],
  ] as const) {
    for (let n = 0; n < bytes.length; n += n < 200 ? 1 : 97) {
      const early = n >= 4096 ? verdict : Verdict.MORE;
      assert.equal(probe(bytes.slice(0, n)), early, `${n} bytes`);
    }
    assert.equal(probe(bytes), verdict);
    assert.equal(probe(bytes + q()), verdict);
  }
});

test('detection of others', () => {
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    '*1\r\n$4\r\nPING\r\n',
    'AMQP\0\0\x09\x01',
    '\0\0\0\x2e\0\x12\0\x03\0\0\0\x01\0\x0ctest',
    '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\0\x1d\0\x07\x01\0\0\x02\0\0\0\0\0\0',
    framed(message({ flags: 0x0140 })),
    framed(message({ type: 300 })),
    framed(`${message({})}x`),
  ])
    assert.equal(probe(bytes), Verdict.NO, JSON.stringify(bytes));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 400 }), (bytes) => {
      const verdict = dnsStream.probe(bytes, 0, bytes.length, context);
      assert.ok(verdict === Verdict.NO || verdict === Verdict.MORE);
    }),
    { numRuns: 3000 },
  );
});

test('nothing that bytes can do makes it throw, and cuts do not matter', () => {
  const seeds = [
    c(q(), q({ id: 9, type: AXFR })),
    s(r(), r({ id: 9, type: AXFR, answers: [soa(1), A, soa(1)] })),
  ];
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 1 }), fc.array(change, { maxLength: 5 })), { maxLength: 5 }),
      (pieces) => {
        const steps = pieces.map(([seed, changes]): Step => {
          const bytes = Buffer.from((seeds[seed] as { bytes: string }).bytes, 'latin1');
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          return { from: seed as 0 | 1, bytes };
        });
        const whole = converse(dnsStream, steps);
        const split = converse(dnsStream, steps, { cut: 'bytes' });
        assert.deepEqual(split.records.map(line).sort(), whole.records.map(line).sort());
      },
    ),
    { numRuns: 500 },
  );
});
