/** Expected values are those of PostgreSQL's manual, chapter "Frontend/Backend Protocol". */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Postgresql } from '@packetd/proto/gen/packetd/v1/postgresql_pb';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { converse, everyCut, type Step } from '../harness.js';
import { postgresql } from './index.js';

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
/** A message: type, length, body; a string is ended by the caller's `\0`. */
const message = (type: string, ...parts: (string | Uint8Array)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
};
const startup = (code: number, ...parameters: string[]): Buffer => {
  const body = Buffer.concat([int32(code), Buffer.from(`${parameters.join('\0')}\0\0`)]);
  return Buffer.concat([int32(body.length + 4), body]);
};
const VERSION = { 3.0: 0x30000, 3.2: 0x30002 } as const;

const c = (...parts: Uint8Array[]): Step => ({ from: 0, bytes: Buffer.concat(parts) });
const s = (...parts: Uint8Array[]): Step => ({ from: 1, bytes: Buffer.concat(parts) });

const ready = message('Z', 'I');
const login: readonly Step[] = [
  c(startup(VERSION[3.0], 'user', 'tester', 'database', 'shop')),
  s(message('R', int32(0)), ready),
];
const sync = message('S');
/** Parse, Bind, Describe and Execute of the unnamed statement and portal. */
const extended = (sql: string): Buffer =>
  Buffer.concat([
    message('P', `\0${sql}\0`, '\0\0'),
    message('B', '\0\0', '\0\0', '\0\0', '\0\0'),
    message('D', 'P\0'),
    message('E', '\0', int32(0)),
  ]);
const prepared = Buffer.concat([message('1'), message('2'), message('n')]);
const copyIn = message('G', '\0', '\0\0');
const error = (code: string): Buffer => message('E', `SERROR\0VERROR\0C${code}\0Mfailed\0\0`);
/** Answer to a SELECT of one row. */
const oneRow = Buffer.concat([
  message('1'),
  message('2'),
  message('T', '\0\0'),
  message('D', '\0\0'),
  message('C', 'SELECT 1\0'),
]);
const select = extended('SELECT a FROM t');

interface Case {
  name: string;
  steps: readonly Step[];
  /** `OPERATION STATUS code rows version` of each record. */
  want: readonly string[];
}

const cases: Case[] = [
  {
    name: 'the version is the one that the server offers instead (NegotiateProtocolVersion)',
    steps: [
      c(startup(VERSION[3.2], 'user', 'tester')),
      s(message('v', int32(VERSION[3.0]), int32(0)), message('R', int32(0)), ready),
      c(message('Q', 'SELECT a FROM t\0')),
      s(message('T', '\0\0'), message('C', 'SELECT 0\0'), ready),
    ],
    want: ['connect OK 3.0', 'SELECT OK 0 3.0'],
  },
  {
    name: 'the version is the one that was asked for where the server says nothing',
    steps: [c(startup(VERSION[3.2], 'user', 'tester')), s(message('R', int32(0)), ready)],
    want: ['connect OK 3.2'],
  },
  {
    name: 'a Sync before CopyDone is ignored by the server: what follows is not answered by its neighbour',
    steps: [
      ...login,
      c(extended('COPY t FROM STDIN'), sync),
      s(prepared, copyIn),
      c(message('d', '1\n'), message('d', '2\n')),
      c(message('c'), sync),
      s(message('C', 'COPY 2\0'), ready),
      c(select, sync),
      s(oneRow, ready),
    ],
    want: ['connect OK 3.0', 'COPY OK 2 3.0', 'SELECT OK 1 3.0'],
  },
  {
    name: 'a Sync while COPY data go on is ignored too, one after an error is not',
    steps: [
      ...login,
      c(extended('COPY t FROM STDIN')),
      s(prepared, copyIn),
      c(sync, message('d', 'x\n')),
      s(error('22P02')),
      c(sync),
      s(ready),
      c(select, sync),
      s(oneRow, ready),
    ],
    want: ['connect OK 3.0', 'COPY ERROR 22P02 3.0', 'SELECT OK 1 3.0'],
  },
  {
    name: 'a client that gives a COPY up (CopyFail)',
    steps: [
      ...login,
      c(extended('COPY t FROM STDIN'), sync),
      s(prepared, copyIn),
      c(message('d', '1\n'), message('f', 'no more\0'), sync),
      s(error('57014'), ready),
      c(select, sync),
      s(oneRow, ready),
    ],
    want: ['connect OK 3.0', 'COPY ERROR 57014 3.0', 'SELECT OK 1 3.0'],
  },
  {
    name: 'a COPY that does not begin is answered at its first Sync',
    steps: [
      ...login,
      c(extended('COPY missing FROM STDIN'), sync),
      s(message('1'), message('2'), message('n'), error('42P01'), ready),
      c(select, sync),
      s(oneRow, ready),
    ],
    want: ['connect OK 3.0', 'COPY ERROR 42P01 3.0', 'SELECT OK 1 3.0'],
  },
  {
    name: 'an error in a batch carries over to no Execute behind the next Sync',
    steps: [...login, c(select, select, sync, select, sync), s(error('42P01'), ready, oneRow, ready)],
    want: ['connect OK 3.0', 'SELECT ERROR 42P01 3.0', 'SELECT CANCELLED 3.0', 'SELECT OK 1 3.0'],
  },
  {
    name: 'a CancelRequest of protocol 3.2, whose key is longer',
    steps: [c(Buffer.concat([int32(44), int32(80_877_102), int32(7), Buffer.alloc(32, 1)]))],
    want: ['cancel OK'],
  },
  {
    name: 'a query that ends with the session (FATAL, then no ReadyForQuery) failed with that code',
    steps: [...login, c(message('Q', 'SELECT a FROM t\0')), s(error('57P01'))],
    want: ['connect OK 3.0', 'SELECT ERROR 57P01 3.0'],
  },
];

const ask = c(message('Q', 'SELECT a FROM t\0'));
const answer = s(message('T', '\0\0'), message('D', '\0\0'), message('C', 'SELECT 1\0'), ready);
const turn: readonly Step[] = [ask, answer];
const lostAnswer: Step = { from: 1, gap: 40 };
const [asked, unknown] = ['SELECT OK 1 3.0', 'SELECT INCOMPLETE 3.0'];
cases.push(
  {
    name: 'a lost answer costs no other one where the client waits for each',
    steps: [...login, ...turn, ...turn, ...turn, ...turn, ...turn, ask, lostAnswer, ...turn, ...turn],
    want: ['connect OK 3.0', ...Array(5).fill(asked), unknown, asked, asked],
  },
  {
    name: 'where nobody knows whether it does, one more',
    steps: [...login, ...turn, ask, lostAnswer, ...turn, ...turn],
    want: ['connect OK 3.0', asked, unknown, unknown, asked],
  },
  {
    name: 'requests held back behind a gap are not answered by what follows',
    steps: [
      ...login,
      ...Array(5).fill(turn).flat(),
      { ...ask, timeNs: 100e6 },
      { ...lostAnswer, timeNs: 101e6 },
      // The second request and its answer are lost, then an answer more.
      { from: 1, gap: 40, timeNs: 103e6 },
      { from: 1, gap: 40, timeNs: 105e6 },
      { from: 1, gap: 40, timeNs: 107e6 },
      { from: 0, gap: 40, timeNs: 107e6 },
      { ...ask, timeNs: 104e6 },
      { ...ask, timeNs: 106e6 },
      { ...ask, timeNs: 107e6 },
      { ...answer, timeNs: 108e6 },
      ...turn,
    ],
    want: ['connect OK 3.0', ...Array(5).fill(asked), ...Array(3).fill(unknown), asked, asked],
  },
  {
    name: 'where it has sent ahead, all up to a pause',
    steps: [...login, ...Array(5).fill(turn).flat(), ask, ask, answer, lostAnswer, ...turn, ...turn],
    want: ['connect OK 3.0', ...Array(6).fill(asked), unknown, unknown, unknown],
  },
);

const query = (sql: string): Buffer => message('Q', `${sql}\0`);
const parse = (name: string, sql: string): Buffer => message('P', `${name}\0${sql}\0`, '\0\0');
const run = (name: string): Buffer =>
  Buffer.concat([message('B', `\0${name}\0`, '\0\0', '\0\0', '\0\0'), message('E', '\0', int32(0)), sync]);
const ran = Buffer.concat([message('2'), message('D', '\0\0'), message('C', 'SELECT 1\0'), ready]);
cases.push(
  {
    name: 'an error in a batch skips simple queries too, up to the next Sync',
    steps: [
      ...login,
      c(extended('SELECT missing'), query('TABLE t'), message('F', int32(1), '\0\0', '\0\0', '\0\0'), sync),
      s(error('42703'), ready),
      ...turn,
    ],
    want: [
      'connect OK 3.0',
      'SELECT ERROR 42703 3.0',
      'TABLE CANCELLED 3.0',
      'function_call CANCELLED 3.0',
      asked,
    ],
  },
  {
    name: 'a batch whose Sync was lost fails no later one',
    steps: [
      ...login,
      c(parse('', 'SELEC 1')),
      s(error('42601')),
      { from: 0, gap: 5 },
      s(ready),
      c(select, sync),
      s(oneRow, ready),
    ],
    want: ['connect OK 3.0', asked],
  },
  {
    name: 'COPY data, CopyDone and Sync ahead of CopyInResponse are in force, a Sync among the data is not',
    steps: [
      ...login,
      c(extended('COPY t FROM STDIN'), sync, message('d', '1\n'), message('c'), sync, query('TABLE t')),
      s(prepared, copyIn, message('C', 'COPY 1\0'), ready),
      s(message('T', '\0\0'), message('C', 'SELECT 0\0'), ready),
      c(extended('COPY t FROM STDIN'), message('d', 'x\n'), message('c'), sync, query('TABLE t')),
      s(prepared, copyIn, error('22P02'), ready),
      s(message('T', '\0\0'), message('C', 'SELECT 0\0'), ready),
    ],
    want: ['connect OK 3.0', 'COPY OK 1 3.0', 'TABLE OK 0 3.0', 'COPY ERROR 22P02 3.0', 'TABLE OK 0 3.0'],
  },
);

for (const { name, steps, want } of cases) {
  test(name, () => {
    const { records } = everyCut(postgresql, steps, {}, assert.deepEqual);
    assert.deepEqual(records.map(line), want);
  });
}

test('backslashes escape in strings while standard_conforming_strings is off', () => {
  const reported = (value: string) => message('S', `standard_conforming_strings\0${value}\0`);
  const query = (sql: string) => [
    c(message('Q', `${sql}\0`)),
    s(message('T', '\0\0'), message('C', 'SELECT 0\0'), ready),
  ];
  const steps = [
    c(startup(VERSION[3.0], 'user', 'tester')),
    s(message('R', int32(0)), reported('off'), ready),
    ...query("SELECT 'it\\'s secret' FROM t"),
    c(message('Q', 'SET standard_conforming_strings TO on\0')),
    s(message('C', 'SET\0'), reported('on'), ready),
    ...query("SELECT 'C:\\', 'secret' FROM t"),
  ];
  const { records } = everyCut(postgresql, steps, {}, assert.deepEqual);
  assert.deepEqual(
    records.map((record) => (record.detail.value as Postgresql).queryText),
    ['', 'SELECT ? FROM t', 'SET standard_conforming_strings TO on', 'SELECT ? FROM t'],
  );
});

test('a statement that the server refuses to prepare is not executed by its name', () => {
  const steps = [
    ...login,
    c(parse('n', 'SELECT 1'), sync),
    s(message('1'), ready),
    c(parse('n', 'TABLE t'), sync),
    s(error('42P05'), ready),
    c(run('n')),
    s(ran),
    c(parse('', 'SELEC 1'), parse('n', 'TABLE t'), run('n')),
    s(error('42601'), ready),
  ];
  const { records } = everyCut(postgresql, steps, {}, assert.deepEqual);
  assert.deepEqual(
    records.map((record) => [line(record), (record.detail.value as Postgresql).queryText]),
    [
      ['connect OK 3.0', ''],
      ['TABLE ERROR 42P05 3.0', 'TABLE t'],
      ['SELECT OK 1 3.0', ''],
      ['TABLE ERROR 42601 3.0', 'TABLE t'],
    ],
  );
});

test('a name that is too long to be read neither shifts answers nor lends another text', () => {
  const long = 'n'.repeat(70_000);
  const steps = [
    ...login,
    c(parse('', 'TABLE t'), run('')),
    s(message('1'), ran),
    c(parse(long, 'SELECT 1'), run(long)),
    s(message('1'), ran),
    ...turn,
  ];
  const { records } = converse(postgresql, steps);
  assert.deepEqual(
    records.map((record) => [line(record), (record.detail.value as Postgresql).queryText]),
    [
      ['connect OK 3.0', ''],
      ['TABLE OK 1 3.0', 'TABLE t'],
      ['SELECT OK 1 3.0', ''],
      ['SELECT OK 1 3.0', 'SELECT a FROM t'],
    ],
  );
});

test('what was prepared before a Flush is no part of the execution, which may come much later', () => {
  const steps: readonly Step[] = [
    ...login,
    c(parse('n', 'SELECT 1'), message('D', 'Sn\0'), message('H')),
    s(message('1'), message('t', '\0\0'), message('T', '\0\0')),
    c(run('n')),
    s(ran),
  ];
  const record = everyCut(postgresql, steps, {}, assert.deepEqual).records[1];
  assert.deepEqual([record.client?.bytes, record.server?.bytes].map(Number), [
    run('n').length - sync.length,
    ran.length - ready.length,
  ]);
});

test('lost COPY data are missing from the COPY', () => {
  const steps: readonly Step[] = [
    ...login,
    c(query('COPY t FROM STDIN')),
    s(copyIn),
    { from: 0, gap: 40 },
    s(message('C', 'COPY 2\0'), ready),
  ];
  const record = everyCut(postgresql, steps, {}, assert.deepEqual).records[1];
  assert.deepEqual(
    [line(record), record.missingBytes, (record.detail.value as Postgresql).copyBytes],
    ['COPY OK 2 3.0', 40n, undefined],
  );
});

test('COPY data whose end was lost are not counted', () => {
  const steps: readonly Step[] = [
    ...login,
    c(query('COPY t FROM STDIN')),
    s(copyIn),
    c(message('d', '1\n')),
    // That more was sent is known when the client goes on.
    s(message('C', 'COPY 2\0'), ready),
    { from: 0, gap: 12 },
    ...turn,
  ];
  const record = everyCut(postgresql, steps, {}, assert.deepEqual).records[1];
  assert.deepEqual(
    [line(record), (record.detail.value as Postgresql).copyBytes],
    ['COPY OK 2 3.0', undefined],
  );
});

test('an answer to a login that is lost leaves its rest to no query', () => {
  const steps: readonly Step[] = [
    c(startup(VERSION[3.0], 'user', 'tester')),
    { from: 1, gap: 400 },
    ask,
    s(error('22012')),
    s(ready),
    ...turn,
  ];
  const { records } = converse(postgresql, steps, { fromStart: false });
  assert.deepEqual(records.map(line), ['connect INCOMPLETE 3.0', unknown, asked]);
});

test('parameters and notices are part of the answer', () => {
  const parameter = message('S', 'TimeZone\0UTC\0');
  const notice = message('N', 'SNOTICE\0C00000\0Mn\0\0');
  const steps = [
    c(startup(VERSION[3.0], 'user', 'tester')),
    s(message('R', int32(0)), parameter, notice, ready),
    c(query('DO $$$$')),
    s(notice, message('C', 'DO\0'), ready),
  ];
  const { records } = everyCut(postgresql, steps, {}, assert.deepEqual);
  assert.deepEqual(
    records.map((record) => Number(record.server?.bytes)),
    [9 + parameter.length + notice.length + ready.length, notice.length + 8 + ready.length],
  );
});

function line(record: RoundTrip): string {
  const detail = record.detail.value as Postgresql;
  const rows = detail.affectedRows ?? detail.returnedRows;
  return [
    record.operation,
    Status[record.status],
    detail.statusCode,
    rows?.toString(),
    record.protocolVersion,
  ]
    .filter((part) => part !== undefined && part !== '')
    .join(' ');
}
