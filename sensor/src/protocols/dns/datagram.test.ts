/** DNS over UDP: which response belongs to which query, and what a record says (RFC 1035, 6891, 7871, 7873). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import fc from 'fast-check';
import { Verdict } from '../decoder.js';
import { MAX_OPEN_QUERIES } from './datagram.js';
import { dnsDatagram } from './index.js';
import { MAX_PARKED_BYTES } from './parked.js';
import { MAX_RECORDED_ANSWERS } from './record.js';
import {
  A,
  CLIENT,
  Datagrams,
  details,
  type End,
  line,
  message,
  opt,
  packet,
  type Question,
  SERVER,
  wireName,
} from './support.js';

const RESPONSE = 0x8180;
const NXDOMAIN = 0x8183;
const q = (m: Question = {}): string => message(m);
const r = (m: Question = {}): string => message({ flags: RESPONSE, answers: [A], ...m });

test('a query and its response', () => {
  const d = new Datagrams().send(CLIENT, SERVER, q(), 1).send(SERVER, CLIENT, r(), 3);
  assert.deepEqual(d.lines, ['A www.example.com NOERROR OK']);
  assert.deepEqual(d.ends, [[CLIENT, SERVER]]);
  const [record] = d.records;
  assert.equal(record.operation, 'QUERY');
  assert.equal(record.target, 'A');
  assert.equal(record.errorType, '');
  assert.equal(record.client?.bytes, 33n);
  assert.equal(record.server?.bytes, 49n);
  const dns = details(record);
  assert.equal(dns.id, 7);
  assert.equal(dns.opcode, 'QUERY');
  assert.equal(dns.questionClass, 'IN');
  assert.deepEqual(dns.headerFlags, ['RD', 'RA']);
  assert.deepEqual(
    [dns.questionCount, dns.answerCount, dns.authorityCount, dns.additionalCount, dns.retransmits],
    [1, 1, 0, 0, 0],
  );
  assert.deepEqual(dns.resolvedIp, ['192.0.2.7']);
  assert.equal(dns.answers.length, 1);
  const { name, type, class: klass, ttl, data } = dns.answers[0];
  assert.deepEqual([name, type, klass, ttl, data], ['www.example.com', 'A', 'IN', 60, '192.0.2.7']);
  assert.deepEqual(
    [dns.ednsUdpSize, dns.ednsDo, dns.clientSubnet, dns.cookie],
    [undefined, undefined, '', false],
  );
});

test('A and AAAA of one socket with one id stay apart', () => {
  const d = new Datagrams()
    .send(CLIENT, SERVER, q({ type: 1 }), 1)
    .send(CLIENT, SERVER, q({ type: 28 }), 1)
    .send(SERVER, CLIENT, r({ type: 28, answers: [] }), 2)
    .send(SERVER, CLIENT, r({ type: 1 }), 3);
  assert.deepEqual(d.lines, ['AAAA www.example.com NOERROR OK', 'A www.example.com NOERROR OK']);
  assert.deepEqual(
    d.records.map((x) => details(x).answerCount),
    [0, 1],
  );
});

test('the case of letters does not count, and is recorded as asked', () => {
  const d = new Datagrams()
    .send(CLIENT, SERVER, q({ name: 'wWw.eXample.COM' }), 1)
    .send(SERVER, CLIENT, r({ name: 'www.example.com' }), 2);
  assert.deepEqual(d.lines, ['A wWw.eXample.COM NOERROR OK']);
});

const OTHERS: readonly (readonly [title: string, from: End, to: End, response: string])[] = [
  ['another id', SERVER, CLIENT, r({ id: 8 })],
  ['another name', SERVER, CLIENT, r({ name: 'www.example.org' })],
  ['another class', SERVER, CLIENT, r({ class: 3 })],
  ['another opcode', SERVER, CLIENT, r({ flags: 0xa180 })],
  ['another server', [3, 53], CLIENT, r()],
  ['another port of the server', [2, 54], CLIENT, r()],
  ['another client', SERVER, [3, 40_000], r()],
  ['another socket', SERVER, [1, 40_001], r()],
];
for (const [title, from, to, response] of OTHERS) {
  test(`no response from ${title}`, () => {
    const d = new Datagrams().send(CLIENT, SERVER, q(), 1).send(from, to, response, 2);
    assert.deepEqual(d.lines, []);
    assert.equal(d.undecoded, response.length);
    d.decoder.flush(5e6);
    assert.deepEqual(d.lines, ['A www.example.com - NO_RESPONSE']);
  });
}

test('a response without its query, and a second response, are no records', () => {
  const d = new Datagrams().send(SERVER, CLIENT, r(), 1);
  assert.deepEqual(d.lines, []);
  d.send(CLIENT, SERVER, q(), 2).send(SERVER, CLIENT, r(), 3).send(SERVER, CLIENT, r(), 4);
  assert.equal(d.lines.length, 1);
});

test('a query that is sent again is counted on the first', () => {
  const d = new Datagrams()
    .send(CLIENT, SERVER, q(), 1000)
    .send(CLIENT, SERVER, q(), 6000)
    .send(CLIENT, SERVER, q(), 11_000)
    .send(SERVER, CLIENT, r(), 11_002);
  assert.deepEqual(d.lines, ['A www.example.com NOERROR OK']);
  assert.equal(details(d.records[0]).retransmits, 2);
  assert.deepEqual(d.packets, [[3, 1]]);
});

test('a packet that is captured on two interfaces is one packet', () => {
  const d = new Datagrams()
    .send(CLIENT, SERVER, q(), 1, 0, 1)
    .send(CLIENT, SERVER, q(), 1.01, 0, 2)
    .send(SERVER, CLIENT, r(), 1.3, 0, 2)
    .send(SERVER, CLIENT, r(), 1.31, 0, 1)
    .send(CLIENT, SERVER, q(), 1.32, 0, 3);
  d.decoder.flush(9e6);
  assert.deepEqual(d.lines, ['A www.example.com NOERROR OK']);
  assert.equal(details(d.records[0]).retransmits, 0);
  // The same question two milliseconds later is another one.
  d.send(CLIENT, SERVER, q(), 3.4).send(SERVER, CLIENT, r(), 3.5);
  assert.equal(d.lines.length, 2);
});

test('a query that is sent again at once is counted, and one that is answered before is one of its own', () => {
  const d = new Datagrams()
    .send(CLIENT, SERVER, q(), 1)
    .send(CLIENT, SERVER, q(), 1.01)
    .send(SERVER, CLIENT, r(), 1.3)
    .send(CLIENT, SERVER, q(), 1.32)
    .send(SERVER, CLIENT, r(), 1.4);
  assert.deepEqual(d.lines, Array(2).fill('A www.example.com NOERROR OK'));
  assert.deepEqual(
    d.records.map((record) => details(record).retransmits),
    [1, 0],
  );
});

test('no response within the time-out, oldest first', () => {
  const d = new Datagrams({ datagramTimeoutNs: 2e9 })
    .send(CLIENT, SERVER, q({ name: 'a' }), 0)
    .send(CLIENT, SERVER, q({ name: 'b' }), 500)
    .send(CLIENT, SERVER, q({ name: 'c' }), 1500);
  d.decoder.tick(2e9);
  assert.deepEqual(d.lines, []);
  d.decoder.tick(2.6e9);
  assert.deepEqual(d.lines, ['A a - NO_RESPONSE', 'A b - NO_RESPONSE']);
  assert.deepEqual(details(d.records[0]).headerFlags, ['RD']);
  assert.equal(details(d.records[0]).answerCount, undefined);
  d.decoder.flush(2.7e9);
  assert.deepEqual(d.lines.at(-1), 'A c - NO_RESPONSE');
});

test('a clock that is set back leaves no query behind', () => {
  const d = new Datagrams({ datagramTimeoutNs: 2e9 }).send(CLIENT, SERVER, q({ name: 'before' }), 3_600_000);
  d.decoder.tick(1e9);
  d.send(CLIENT, SERVER, q({ name: 'after' }), 1000).send(SERVER, CLIENT, r({ name: 'after' }), 1500);
  assert.deepEqual(d.lines, ['A before - NO_RESPONSE', 'A after NOERROR OK']);
});

test('the time-out counts from the last time a query was sent, six times at most', () => {
  const d = new Datagrams({ datagramTimeoutNs: 2e9 });
  for (let ms = 0; ms <= 40_000; ms += 1000) d.send(CLIENT, SERVER, q(), ms);
  d.decoder.flush(41e9);
  assert.equal(d.lines.length, 3);
  assert.ok(d.records.every(({ status }) => status === Status.NO_RESPONSE));
  assert.equal(
    d.records.reduce((sum, x) => sum + details(x).retransmits + 1, 0),
    41,
  );
});

test('no more than so many queries wait', () => {
  const d = new Datagrams();
  const extra = 100;
  for (let i = 0; i < MAX_OPEN_QUERIES + extra; i++) {
    d.send([1 + (i % 200), 1024 + (i >> 8)], SERVER, q({ id: i & 0xffff, name: `n${i}` }), i / 1e3);
  }
  assert.equal(d.lines.length, extra);
  assert.equal(d.lines[0], 'A n0 - NO_RESPONSE');
  const last = MAX_OPEN_QUERIES + extra - 1;
  d.send(
    SERVER,
    [1 + (last % 200), 1024 + (last >> 8)],
    r({ id: last & 0xffff, name: `n${last}` }),
    last / 1e3,
  );
  assert.ok(d.lines.includes(`A n${last} NOERROR OK`));
});

test('a query keeps what it says while thousands come and go', () => {
  const d = new Datagrams();
  const asked = (i: number): [End, string] => [[1 + (i % 200), 1024 + i], `asked-${i}.example.com`];
  for (let i = 0; i < 100; i++) {
    const [client, name] = asked(i);
    d.send(client, SERVER, q({ id: i, name, additionals: [opt({ options: '\0\x0a\0\x08cookie!!' })] }), i);
    // Several times what is held at first.
    for (let j = 0; j < 100; j++) {
      const name = `n${i}-${j}.example.com`;
      d.send(CLIENT, SERVER, q({ id: j, name }), i).send(SERVER, CLIENT, r({ id: j, name }), i);
    }
  }
  assert.equal(d.records.length, 10_000);
  for (let i = 99; i >= 0; i -= 2) {
    const [client, name] = asked(i);
    d.send(SERVER, client, r({ id: i, name: name.toUpperCase() }), 200);
  }
  d.decoder.flush(200e6);
  const rest = d.records.slice(10_000);
  const expected = (i: number, tail: string) => `A asked-${i}.example.com ${tail}`;
  assert.deepEqual(rest.map(line), [
    ...Array.from({ length: 50 }, (_, i) => expected(99 - 2 * i, 'NOERROR OK')),
    ...Array.from({ length: 50 }, (_, i) => expected(2 * i, '- NO_RESPONSE')),
  ]);
  assert.ok(rest.every((record) => details(record).cookie && record.operation === 'QUERY'));
});

test('queries of long names wait in no more memory than so much', () => {
  const d = new Datagrams();
  const name = (i: number) => [...[0, 1, 2].map((part) => 'x'.repeat(59) + part), `n${i}`].join('.');
  const queries = 40_000;
  const port = (i: number) => 1024 + (i >> 8);
  for (let i = 0; i < queries; i++) {
    d.send([1 + (i % 200), port(i)], SERVER, q({ id: i & 0xffff, name: name(i) }), i / 1e4);
  }
  const waiting = queries - d.records.length;
  assert.ok(waiting * 190 <= MAX_PARKED_BYTES && waiting * 250 > MAX_PARKED_BYTES, `${waiting} wait`);
  const last = queries - 1;
  d.send(SERVER, [1 + (last % 200), port(last)], r({ id: last & 0xffff, name: name(last) }), 4000);
  assert.equal(d.lines.at(-1), `A ${name(last)} NOERROR OK`);
  d.decoder.flush(4000e6);
  // Each query once, in turn.
  const lines = d.lines.filter((line) => line.endsWith('NO_RESPONSE'));
  assert.deepEqual(
    lines,
    Array.from({ length: queries - 1 }, (_, i) => `A ${name(i)} - NO_RESPONSE`),
  );
});

test('one socket with one id cannot fill a bucket', () => {
  const d = new Datagrams();
  for (let i = 0; i < 1000; i++) d.send(CLIENT, SERVER, q({ name: `n${i}` }), i / 100);
  assert.equal(d.lines.length, 1000 - 64);
  assert.equal(d.lines[0], 'A n0 - NO_RESPONSE');
});

test('pairs as a plain search does', () => {
  const event = fc.record({
    response: fc.boolean(),
    id: fc.integer({ min: 0, max: 2 }),
    port: fc.integer({ min: 0, max: 2 }),
    type: fc.constantFrom(1, 28),
    name: fc.constantFrom('a', 'A', 'b.c'),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const d = new Datagrams();
      const open: string[] = [];
      const expected: string[] = [];
      events.forEach((e, i) => {
        const client: End = [1, 1000 + e.port];
        const key = `${e.id} ${e.port} ${e.type} ${e.name.toLowerCase()}`;
        if (e.response) {
          d.send(SERVER, client, r({ id: e.id, type: e.type, name: e.name }), i * 2);
          const at = open.indexOf(key);
          if (at >= 0) expected.push(open.splice(at, 1)[0]);
        } else {
          d.send(client, SERVER, q({ id: e.id, type: e.type, name: e.name }), i * 2);
          const at = open.indexOf(key);
          if (at >= 0) open.splice(at, 1);
          open.push(key);
        }
      });
      d.decoder.flush(1e9);
      const got = d.records.map((x, i) => {
        const dns = details(x);
        const type = dns.questionType === 'A' ? 1 : 28;
        return `${dns.id} ${d.ends[i][0][1] - 1000} ${type} ${dns.questionName.toLowerCase()}`;
      });
      assert.deepEqual(got, [...expected, ...open]);
    }),
  );
});

test('rcodes, their status, and the upper bits of EDNS', () => {
  const rcode = (flags: number, additionals: Question['additionals']): string[] => {
    const d = new Datagrams()
      .send(CLIENT, SERVER, q({ additionals: [opt()] }), 1)
      .send(SERVER, CLIENT, r({ flags, answers: [], additionals }), 2);
    return [details(d.records[0]).rcode, Status[d.records[0].status], d.records[0].errorType];
  };
  assert.deepEqual(rcode(RESPONSE, []), ['NOERROR', 'OK', '']);
  assert.deepEqual(rcode(NXDOMAIN, []), ['NXDOMAIN', 'ERROR', 'NXDOMAIN']);
  assert.deepEqual(rcode(0x8181, []), ['FORMERR', 'ERROR', 'FORMERR']);
  assert.deepEqual(rcode(0x8182, []), ['SERVFAIL', 'ERROR', 'SERVFAIL']);
  assert.deepEqual(rcode(0x8184, []), ['NOTIMP', 'ERROR', 'NOTIMP']);
  assert.deepEqual(rcode(0x8185, []), ['REFUSED', 'ERROR', 'REFUSED']);
  assert.deepEqual(rcode(0x8180, [opt({ rcode: 16 })]), ['BADVERS', 'ERROR', 'BADVERS']);
  assert.deepEqual(rcode(0x8187, [opt({ rcode: 23 })]), ['BADCOOKIE', 'ERROR', 'BADCOOKIE']);
  assert.deepEqual(rcode(0x818c, []), ['RCODE12', 'ERROR', 'RCODE12']);
});

test('flags of the response', () => {
  const d = new Datagrams()
    .send(CLIENT, SERVER, q({ flags: 0x0130 }), 1)
    .send(SERVER, CLIENT, r({ flags: 0x87b0, answers: [] }), 2);
  assert.deepEqual(details(d.records[0]).headerFlags, ['AA', 'TC', 'RD', 'RA', 'AD', 'CD']);
});

test('EDNS of the query, or else of the response', () => {
  const COOKIE = '\x00\x0a\x00\x08\x24\x64\xc4\xab\xcf\x10\xc9\x57';
  const SUBNET = '\x00\x08\x00\x07\x00\x01\x18\x00\xc0\x00\x02';
  const edns = (query: Question['additionals'], response: Question['additionals']): unknown[] => {
    const d = new Datagrams()
      .send(CLIENT, SERVER, q({ additionals: query }), 1)
      .send(SERVER, CLIENT, r({ additionals: response }), 2);
    const { ednsUdpSize, ednsDo, clientSubnet, cookie } = details(d.records[0]);
    return [ednsUdpSize, ednsDo, clientSubnet, cookie];
  };
  const plain = { ...opt({ options: SUBNET }), class: 512 };
  assert.deepEqual(edns([opt({ dnssec: true, options: COOKIE + SUBNET })], [plain]), [
    1232,
    true,
    '192.0.2.0/24',
    true,
  ]);
  assert.deepEqual(edns([], [plain]), [512, false, '192.0.2.0/24', false]);
  const SUBNET6 = '\x00\x08\x00\x0b\x00\x02\x38\x00\x20\x01\x0d\xb8\xfd\x13\x42';
  assert.deepEqual(edns([opt({ options: SUBNET6 })], []), [1232, false, '2001:db8:fd13:4200::/56', false]);
  assert.deepEqual(edns([opt({ options: '\x00\x08\x00\x04\x00\x01\x00\x00' })], []), [
    1232,
    false,
    '0.0.0.0/0',
    false,
  ]);
  // RFC 7871 section 6: a prefix longer than the address, bytes beyond the prefix, an unknown family.
  for (const bad of [
    '\x00\x08\x00\x09\x00\x01\x21\x00\x01\x02\x03\x04\x05',
    '\x00\x08\x00\x06\x00\x01\x08\x00\x0a\x0b',
    '\x00\x08\x00\x05\x00\x03\x08\x00\x0a',
  ])
    assert.deepEqual(edns([opt({ options: bad })], []), [1232, false, '', false]);
});

test('a response without a question belongs to the only query of its id', () => {
  const FORMERR = message({ flags: 0x8001, name: null });
  const one = new Datagrams().send(CLIENT, SERVER, q(), 1).send(SERVER, CLIENT, FORMERR, 2);
  assert.deepEqual(one.lines, ['A www.example.com FORMERR ERROR']);
  const two = new Datagrams()
    .send(CLIENT, SERVER, q(), 1)
    .send(CLIENT, SERVER, q({ type: 28 }), 1)
    .send(SERVER, CLIENT, FORMERR, 2);
  assert.deepEqual(two.lines, []);
});

test('such a response is awaited on any port, where its query is open', () => {
  const server = [2, 5301] as const;
  // As BIND 9.18 answers STATUS and IQUERY, which it does not implement.
  const NOTIMP = Buffer.from(message({ flags: 0x9004, name: null }), 'latin1');
  const d = new Datagrams();
  const awaited = (port: number, bytes: Uint8Array = NOTIMP) =>
    d.decoder.awaits(packet(server, [CLIENT[0], port], bytes));
  assert.equal(awaited(CLIENT[1]), false);
  d.send(CLIENT, server, q({ flags: 0x1000 }), 1);
  assert.equal(dnsDatagram.probe(packet(server, CLIENT, NOTIMP)), Verdict.NO);
  assert.equal(awaited(CLIENT[1]), true);
  assert.equal(awaited(CLIENT[1] + 1), false);
  assert.equal(
    awaited(CLIENT[1], Buffer.from(message({ id: 8, flags: 0x9004, name: null }), 'latin1')),
    false,
  );
  assert.equal(awaited(CLIENT[1], Buffer.from(message({ flags: 0x1004, name: null }), 'latin1')), false);
  d.send(server, CLIENT, NOTIMP.toString('latin1'), 2);
  assert.deepEqual(d.lines, ['A www.example.com NOTIMP ERROR']);
  assert.equal(awaited(CLIENT[1]), false);
});

test('opcodes', () => {
  for (const [flags, name] of [
    [0x2000, 'NOTIFY'],
    [0x2800, 'UPDATE'],
  ] as const) {
    const d = new Datagrams()
      .send(CLIENT, SERVER, q({ flags, name: 'example.com', type: 6 }), 1)
      .send(SERVER, CLIENT, r({ flags: flags | 0x8000, name: 'example.com', type: 6, answers: [] }), 2);
    assert.deepEqual(d.lines, ['SOA example.com NOERROR OK']);
    assert.equal(d.records[0].operation, name);
    assert.equal(details(d.records[0]).opcode, name);
  }
  // RFC 2136 section 2.4.2: a prerequisite of class NONE with no data.
  const update = new Datagrams()
    .send(
      CLIENT,
      SERVER,
      q({ flags: 0x2800, type: 6, answers: [{ name: 'a', type: 1, class: 254, data: '' }] }),
      1,
    )
    .send(SERVER, CLIENT, message({ flags: 0xa806, type: 6 }), 2);
  assert.deepEqual(update.lines, ['SOA www.example.com YXDOMAIN ERROR']);
  const unassigned = new Datagrams().send(CLIENT, SERVER, q({ flags: 0x1800 }), 1);
  assert.equal(unassigned.undecoded, 33);
});

test('types and classes without a name, and the root', () => {
  const d = new Datagrams().send(CLIENT, SERVER, q({ name: '.', type: 65_280, class: 257 }), 1).send(
    SERVER,
    CLIENT,
    r({
      name: '.',
      type: 65_280,
      class: 257,
      answers: [{ name: '.', type: 65_280, class: 257, data: 'ab' }],
    }),
    2,
  );
  assert.deepEqual(d.lines, ['TYPE65280 . NOERROR OK']);
  const dns = details(d.records[0]);
  assert.equal(dns.questionClass, 'CLASS257');
  assert.deepEqual(
    [dns.answers[0].name, dns.answers[0].class, dns.answers[0].data],
    ['.', 'CLASS257', '\\# 2 6162'],
  );
});

test('a chain of aliases with compressed names', () => {
  const d = new Datagrams().send(CLIENT, SERVER, q(), 1).send(
    SERVER,
    CLIENT,
    r({
      answers: [
        { name: '*', type: 5, data: '\x03cdn\xc0\x10' },
        { ...A, name: 'cdn.example.com' },
        { ...A, name: 'cdn.example.com', type: 28, data: `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01` },
      ],
    }),
    2,
  );
  const dns = details(d.records[0]);
  assert.deepEqual(
    dns.answers.map((a) => `${a.name} ${a.type} ${a.data}`),
    [
      'www.example.com CNAME cdn.example.com',
      'cdn.example.com A 192.0.2.7',
      'cdn.example.com AAAA 2001:db8::1',
    ],
  );
  assert.deepEqual(dns.resolvedIp, ['192.0.2.7', '2001:db8::1']);
});

test('as many answers as are recorded, and all of them counted', () => {
  const d = new Datagrams()
    .send(CLIENT, SERVER, q(), 1)
    .send(SERVER, CLIENT, r({ answers: Array(MAX_RECORDED_ANSWERS + 20).fill(A) }), 2);
  const dns = details(d.records[0]);
  assert.equal(dns.answers.length, MAX_RECORDED_ANSWERS);
  assert.equal(dns.answerCount, MAX_RECORDED_ANSWERS + 20);
});

test('records that are broken: what stands before them counts', () => {
  const whole = r({ answers: [A, A] });
  const d = new Datagrams().send(CLIENT, SERVER, q(), 1).send(SERVER, CLIENT, whole.slice(0, -1), 2);
  assert.deepEqual(d.lines, ['A www.example.com NOERROR OK']);
  assert.equal(details(d.records[0]).answers.length, 1);
  assert.equal(d.undecoded, 15);
});

test('an owner whose pointers loop is no answer', () => {
  const loop = message({ flags: RESPONSE, answers: [{ name: 'x', type: 1, data: 'abcd' }] }).replace(
    '\x01x\0',
    '\xc0\x21',
  );
  const d = new Datagrams().send(CLIENT, SERVER, q(), 1).send(SERVER, CLIENT, loop, 2);
  assert.equal(details(d.records[0]).answers.length, 0);
  assert.equal(d.undecoded, loop.length - 33);
});

test('a question that is broken is no query', () => {
  const payload = `${message({ name: null }).slice(0, 4)}\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01`;
  const d = new Datagrams().send(CLIENT, SERVER, payload, 1);
  d.decoder.flush(1e9);
  assert.deepEqual(d.lines, []);
  assert.equal(d.undecoded, payload.length);
});

test('captures that are cut say less and nothing wrong', () => {
  const whole = r({ answers: [A, { ...A, data: '\x0a\x01\x02\x03' }], additionals: [opt({ rcode: 0 })] });
  for (let cut = 1; cut <= whole.length; cut++) {
    const d = new Datagrams()
      .send(CLIENT, SERVER, q({ additionals: [opt()] }), 1)
      .send(SERVER, CLIENT, whole, 2, cut);
    for (const record of d.records) {
      assert.equal(record.status, Status.OK);
      const dns = details(record);
      assert.ok(['NOERROR', ''].includes(dns.rcode));
      assert.equal(dns.answerCount, 2);
      assert.deepEqual(dns.resolvedIp, ['192.0.2.7', '10.1.2.3'].slice(0, dns.answers.length));
      assert.equal(record.server?.bytes, BigInt(whole.length));
      assert.equal(record.missingBytes, BigInt(cut));
    }
  }
  // BADVERS is 16: without OPT its lower bits look like NOERROR.
  const badvers = message({ flags: RESPONSE, additionals: [opt({ rcode: 16 })] });
  const d = new Datagrams()
    .send(CLIENT, SERVER, q({ additionals: [opt({ version: 1 })] }), 1)
    .send(SERVER, CLIENT, badvers, 2, 5);
  assert.equal(details(d.records[0]).rcode, '');
  // A query that is cut behind its question is a query.
  const query = q({ additionals: [opt()] });
  const short = new Datagrams().send(CLIENT, SERVER, query, 1, 5).send(SERVER, CLIENT, r(), 2);
  assert.deepEqual(short.lines, ['A www.example.com NOERROR OK']);
  assert.equal(details(short.records[0]).ednsUdpSize, undefined);
});

const GROUP: End = [224, 5353];
const MDNS = { multicastDns: true };

test('mDNS and LLMNR only when asked for', () => {
  const d = new Datagrams().send([1, 5353], GROUP, q({ id: 0 }), 1);
  d.decoder.flush(1e9);
  assert.deepEqual(d.lines, []);
  assert.equal(dnsDatagram.probe(packet([1, 5353], GROUP, Buffer.from(q()))), Verdict.NO);
  assert.equal(dnsDatagram.probe(packet([1, 40_000], [224, 5355], Buffer.from(q()))), Verdict.NO);
  const on = dnsDatagram.configured!({
    ...({} as Parameters<NonNullable<typeof dnsDatagram.configured>>[0]),
    ...MDNS,
  });
  assert.equal(on.probe(packet([1, 5353], GROUP, Buffer.from(q()))), Verdict.CLIENT);
  assert.equal(on.probe(packet([2, 5353], GROUP, Buffer.from(r({ name: null }), 'latin1'))), Verdict.SERVER);
});

test('LLMNR: a member of the group answers (RFC 4795 section 2.2)', () => {
  const d = new Datagrams(MDNS)
    .send([1, 40_000], [224, 5355], q({ name: 'host' }), 1)
    .send([9, 5355], [1, 40_000], r({ name: 'host' }), 2);
  assert.deepEqual(d.lines, ['A host NOERROR OK']);
  assert.deepEqual(d.ends, [
    [
      [1, 40_000],
      [9, 5355],
    ],
  ]);
});

test('mDNS: the response goes to the group and has no question (RFC 6762 section 6)', () => {
  const response = message({
    id: 0,
    flags: 0x8400,
    name: null,
    answers: [{ ...A, name: 'host.local', class: 0x8001 }],
  });
  const d = new Datagrams(MDNS)
    .send([1, 5353], GROUP, q({ id: 0, name: 'host.local', class: 0x8001 }), 1)
    .send([9, 5353], GROUP, response, 2);
  assert.deepEqual(d.lines, ['A host.local NOERROR OK']);
  assert.deepEqual(d.ends, [
    [
      [1, 5353],
      [9, 5353],
    ],
  ]);
  assert.equal(details(d.records[0]).questionClass, 'IN');
  assert.equal(details(d.records[0]).answers[0].class, 'IN');
});

test('detection takes port 53 by its header, others by every byte', () => {
  const verdict = (payload: string, port: number, cut = 0): Verdict =>
    dnsDatagram.probe(packet(CLIENT, [2, port], Buffer.from(payload, 'latin1'), 0, cut));
  assert.equal(verdict(q(), 53), Verdict.CLIENT);
  assert.equal(verdict(q(), 8053), Verdict.CLIENT);
  assert.equal(verdict(r(), 8053), Verdict.SERVER);
  assert.equal(verdict(q({ additionals: [opt({ dnssec: true })] }), 8053), Verdict.CLIENT);
  assert.equal(verdict(r(), 8053, 4), Verdict.SERVER);
  assert.equal(verdict(q({ type: 0xff00 }), 8053), Verdict.CLIENT, 'a type for private use');
  for (const [title, payload] of [
    ['bytes behind the message', `${q()}x`],
    ['a header alone', q().slice(0, 12)],
    ['the bit Z', q({ flags: 0x0140 })],
    ['an unassigned opcode', q({ flags: 0x1900 })],
    ['an rcode in a query', q({ flags: 0x0103 })],
    ['an answer in a query', q({ answers: [A] })],
    ['an unassigned type', q({ type: 300 })],
    ['an unassigned class', q({ class: 7 })],
    ['no question', message({ name: null })],
    ['a question that is cut', q().slice(0, -1)],
    ['an answer that is cut', r().slice(0, -1)],
  ] as const)
    assert.equal(verdict(payload, 8053), Verdict.NO, title);
  assert.equal(verdict(q(), 137), Verdict.NO, 'NetBIOS');
});

test('random bytes are not DNS on any port but 53', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(dnsDatagram.probe(packet(CLIENT, [2, 9999], bytes)), Verdict.NO);
    }),
    { numRuns: 5000 },
  );
});

test('nothing that bytes can do makes it throw', () => {
  const seeds = [
    q(),
    r(),
    q({ additionals: [opt({ options: '\x00\x0a\x00\x08abcdefgh' })] }),
    r({
      answers: [{ name: '*', type: 5, data: '\x03cdn\xc0\x10' }, A],
      authorities: [{ name: '*', type: 2, data: wireName('ns') }],
      additionals: [opt()],
    }),
  ].map((s) => Buffer.from(s, 'latin1'));
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          seed: fc.nat({ max: 3 }),
          changes: fc.array(change, { maxLength: 6 }),
          cut: fc.nat({ max: 20 }),
          back: fc.boolean(),
        }),
        { maxLength: 8 },
      ),
      (events) => {
        const d = new Datagrams();
        events.forEach(({ seed, changes, cut, back }, i) => {
          const payload = Buffer.from(seeds[seed]);
          for (const [at, value] of changes) payload[at % payload.length] = value;
          const text = payload.toString('latin1');
          if (back) d.send(SERVER, CLIENT, text, i, Math.min(cut, text.length));
          else d.send(CLIENT, SERVER, text, i, Math.min(cut, text.length));
        });
        d.decoder.flush(1e12);
      },
    ),
    { numRuns: 2000 },
  );
});
