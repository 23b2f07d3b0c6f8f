/**
 * Packets marked "docs" are the examples of "MySQL Internals Manual, Client/Server Protocol"; the others
 * are put together by its grammar and by that of the MariaDB Knowledge Base.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { StatusValue } from '@packetd/proto';
import type { Mysql } from '@packetd/proto/gen/packetd/v1/mysql_pb';
import type { RoundTrip } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { Direction } from '../decoder.js';
import { type Cut, converse, type Outcome, rawZstd, type Step } from '../harness.js';
import { mysql } from './index.js';
import { Capability } from './wire.js';

const { CLIENT, SERVER } = Direction;
const { OK, ERROR, NO_RESPONSE, INCOMPLETE, RESET } = StatusValue;

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const c = (...parts: Uint8Array[]): Step => ({ from: CLIENT, bytes: Buffer.concat(parts) });
const s = (...parts: Uint8Array[]): Step => ({ from: SERVER, bytes: Buffer.concat(parts) });

function packet(sequence: number, ...parts: (Uint8Array | string | number)[]): Buffer {
  const payload = Buffer.concat(
    parts.map((p) =>
      typeof p === 'number' ? Buffer.of(p) : typeof p === 'string' ? Buffer.from(p, 'latin1') : p,
    ),
  );
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, payload]);
}

const u16 = (n: number): Buffer => Buffer.of(n & 0xff, n >> 8);
const u32 = (n: number): Buffer => Buffer.of(n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24);
const query = (sql: string): Buffer => packet(0, 0x03, sql);
const ok = (
  sequence: number,
  { affected = 0, id = 0, status = 2, warnings = 0, head = 0, more = Buffer.alloc(0) as Buffer } = {},
): Buffer => packet(sequence, head, affected, id, u16(status), u16(warnings), more);
const eof = (sequence: number, status = 2, warnings = 0): Buffer =>
  packet(sequence, 0xfe, u16(warnings), u16(status));
const err = (sequence: number, code: number, text: string): Buffer => packet(sequence, 0xff, u16(code), text);
const column = (sequence: number, name = 'col1'): Buffer =>
  packet(
    sequence,
    hex('03 64 65 66 00 00 00'),
    name.length,
    name,
    0,
    hex('0c 3f 00 00 00 00 00 fd 80 00 1f 00 00'),
  );

// docs: Protocol::HandshakeV10 and Protocol::HandshakeResponse41 of user pam, database test.
const GREETING =
  hex(`36 00 00 00 0a 35 2e 35 2e 32 2d 6d 32 00 0b 00 00 00 64 76 48 40 49 2d 43 4a 00 ff f7 08 02 00
  00 00 00 00 00 00 00 00 00 00 00 00 00 2a 34 64 7c 63 5a 77 6b 34 5e 5d 3a 00`);
const LOGIN =
  hex(`54 00 00 01 8d a6 0f 00 00 00 00 01 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  00 00 00 00 70 61 6d 00 14 ab 09 ee f6 bc b1 32 3e 61 14 38 65 c0 99 1d 95 7d 75 d4 47 74 65 73 74 00 6d 79 73
  71 6c 5f 6e 61 74 69 76 65 5f 70 61 73 73 77 6f 72 64 00`);
// docs: OK_Packet.
const LOGIN_OK = hex('07 00 00 02 00 00 00 02 00 00 00');

const DEFAULTS =
  Capability.PROTOCOL_41 |
  Capability.SECURE_CONNECTION |
  Capability.CONNECT_WITH_DB |
  Capability.PLUGIN_AUTH |
  1;

/** A greeting and a handshake response that agree on `capabilities`. */
function login(capabilities: number, version = '8.0.36', end: Buffer = ok(2)): Step[] {
  return [
    s(
      packet(
        0,
        10,
        version,
        0,
        u32(8),
        'saltsalt',
        0,
        u16(capabilities & 0xffff),
        0xff,
        u16(2),
        u16(capabilities >>> 16),
        21,
        Buffer.alloc(10),
        'saltsaltsalt',
        0,
        'mysql_native_password',
        0,
      ),
    ),
    c(
      packet(
        1,
        u32(capabilities),
        u32(1 << 24),
        33,
        Buffer.alloc(23),
        'root',
        0,
        20,
        'SECRETSECRETSECRETSE',
        'shop',
        0,
        'mysql_native_password',
        0,
      ),
    ),
    s(end),
  ];
}
const PLAIN = login(DEFAULTS);
const NEW = login(DEFAULTS | Capability.DEPRECATE_EOF | Capability.SESSION_TRACK);

/** What a record says, without what is zero. */
function told(record: RoundTrip): Record<string, unknown> {
  assert.equal(record.detail.case, 'mysql');
  const detail = record.detail.value as Mysql;
  const out: Record<string, unknown> = { status: record.status, operation: record.operation };
  for (const [key, value] of Object.entries(detail)) {
    if (key.startsWith('$') || value === '' || value === 0 || value === 0n || value === undefined) continue;
    if (key === 'queryText' || key === 'querySummary' || key === 'operationName') continue;
    if (value === false) continue;
    out[key] = typeof value === 'bigint' ? Number(value) : value;
  }
  if (record.missingBytes > 0n) out.missingBytes = Number(record.missingBytes);
  return out;
}

type Settings = Parameters<typeof converse>[2];

/** Runs a conversation whole, byte by byte and cut at every place; the results must be the same. */
function run(steps: readonly Step[], settings: Settings = {}): Outcome {
  const whole = converse(mysql, steps, settings);
  const show = (outcome: Outcome): unknown => [
    outcome.records.map((r) => [told(r), r.target, r.client?.bytes, r.server?.bytes]),
    outcome.undecodable,
    outcome.handOvers,
  ];
  const longest = Math.max(...steps.map((step) => ('bytes' in step ? step.bytes.length : 0)));
  const cuts: Cut[] = ['bytes'];
  for (let at = 1; at < Math.min(longest, 400); at++) cuts.push((length) => (at < length ? [at] : []));
  for (const cut of cuts) assert.deepEqual(show(converse(mysql, steps, { ...settings, cut })), show(whole));
  return whole;
}

/** The records behind the login. */
function after(
  steps: readonly Step[],
  rest: readonly Step[],
  settings: Settings = {},
): Record<string, unknown>[] {
  return run([...steps, ...rest], settings)
    .records.slice(1)
    .map(brief);
}

/** `told` without what the login said. */
function brief(record: RoundTrip): Record<string, unknown> {
  const { system: _s, user: _u, serverVersion: _v, namespace: _n, ...rest } = told(record);
  return rest;
}

test('connect: greeting, handshake response, OK', () => {
  const { records } = run([s(GREETING), c(LOGIN), s(LOGIN_OK)]);
  assert.deepEqual(records.map(told), [
    {
      status: OK,
      operation: 'connect',
      command: 'connect',
      system: 'mysql',
      user: 'pam',
      namespace: 'test',
      serverVersion: '5.5.2-m2',
    },
  ]);
  assert.equal(records[0].client?.bytes, BigInt(LOGIN.length));
  assert.equal(records[0].server?.bytes, BigInt(GREETING.length + LOGIN_OK.length));
});

test('connect: MariaDB by its version, with and without the replication prefix', () => {
  for (const [version, system, shown] of [
    ['5.5.5-10.4.12-MariaDB-log', 'mariadb', '10.4.12-MariaDB-log'],
    ['11.8.1-MariaDB', 'mariadb', '11.8.1-MariaDB'],
    ['9.7.0', 'mysql', '9.7.0'],
  ]) {
    const [record] = run(login(DEFAULTS, version)).records.map(told);
    assert.equal(record.system, system);
    assert.equal(record.serverVersion, shown);
  }
});

test('connect: refused login; nothing that is quoted leaves', () => {
  const { records } = run(
    login(
      DEFAULTS,
      '8.0.36',
      err(2, 1045, "#28000Access denied for user 'root'@'10.0.0.9' (using password: YES)"),
    ),
  );
  assert.equal(records.length, 1);
  assert.equal(records[0].errorType, '1045');
  const record = told(records[0]);
  assert.equal(record.status, ERROR);
  assert.equal(record.statusCode, '1045');
  assert.equal(record.sqlstate, '28000');
  assert.equal(record.errorMessage, 'Access denied for user ? (using password: YES)');
  assert.equal(record.namespace, undefined);
});

test('connect: the server does not want the client at all (docs: Too many connections)', () => {
  const { records } = run([s(hex('17 00 00 00 ff 10 04'), Buffer.from('Too many connections'))]);
  assert.deepEqual(
    records.map((r) => [r.status, r.operation, told(r).statusCode, told(r).errorMessage]),
    [[ERROR, 'connect', '1040', 'Too many connections']],
  );
});

test('connect: auth switch and a full caching_sha2 exchange are one record, and say nothing of it', () => {
  const steps = [
    ...login(DEFAULTS, '8.0.36', packet(2, 0xfe, 'caching_sha2_password', 0, 'saltsaltsaltsaltsalt', 0)),
    c(packet(3, 'HASHHASHHASHHASHHASHHASHHASHHASH')),
    s(packet(4, 1, 4)),
    c(packet(5, 2)),
    s(packet(6, 1, '-----BEGIN PUBLIC KEY-----')),
    c(packet(7, 'ENCRYPTED'.repeat(28))),
    s(ok(8)),
  ];
  const { records, undecodable } = run(steps);
  assert.deepEqual(
    records.map((r) => told(r).command),
    ['connect'],
  );
  assert.equal(records[0].status, OK);
  assert.equal(undecodable, 0);
  const sent = steps.reduce(
    (n, step) => n + ('bytes' in step && step.from === CLIENT ? step.bytes.length : 0),
    0,
  );
  assert.equal(records[0].client?.bytes, BigInt(sent));
  assert.doesNotMatch(JSON.stringify(told(records[0])), /SECRET|HASH|ENCRYPTED|salt/);
});

test('connect: lenenc auth data, connection attributes', () => {
  const capabilities = DEFAULTS | Capability.PLUGIN_AUTH_LENENC;
  const steps = login(capabilities);
  steps[1] = c(
    packet(
      1,
      u32(capabilities),
      u32(1 << 24),
      33,
      Buffer.alloc(23),
      'root',
      0,
      hex('fc 00 01'),
      Buffer.alloc(256, 1),
      'db',
      0,
    ),
  );
  assert.equal(told(run(steps).records[0]).namespace, 'db');
});

test('connect: SSLRequest hands the connection over', () => {
  const capabilities = DEFAULTS | Capability.SSL;
  const { records, handOvers } = run([
    login(capabilities)[0],
    c(packet(1, u32(capabilities), u32(1 << 24), 33, Buffer.alloc(23))),
  ]);
  assert.deepEqual(handOvers, ['tls']);
  assert.deepEqual(
    records.map((r) => [r.status, told(r).tls, told(r).user]),
    [[INCOMPLETE, true, undefined]],
  );
});

test('connect: a client that leaves after the greeting is no roundtrip', () => {
  assert.equal(run([s(GREETING)]).records.length, 0);
});

// docs: COM_QUERY and its Text Resultset.
const SELECT_VERSION =
  hex(`21 00 00 00 03 73 65 6c 65 63 74 20 40 40 76 65 72 73 69 6f 6e 5f 63 6f 6d 6d 65 6e 74 20 6c 69
  6d 69 74 20 31`);
const VERSION_RESULT =
  hex(`01 00 00 01 01 27 00 00 02 03 64 65 66 00 00 00 11 40 40 76 65 72 73 69 6f 6e 5f 63 6f 6d 6d 65
  6e 74 00 0c 08 00 1c 00 00 00 fd 00 00 1f 00 00 05 00 00 03 fe 00 00 02 00 1d 00 00 04 1c 4d 79 53 51 4c 20 43 6f
  6d 6d 75 6e 69 74 79 20 53 65 72 76 65 72 20 28 47 50 4c 29 05 00 00 05 fe 00 00 02 00`);

test('COM_QUERY: a result set with EOF packets (docs)', () => {
  const { records } = run([s(GREETING), c(LOGIN), s(LOGIN_OK), c(SELECT_VERSION), s(VERSION_RESULT)]);
  assert.deepEqual(brief(records[1]), {
    status: OK,
    operation: 'SELECT',
    command: 'COM_QUERY',
    columns: 1,
    resultSets: 1,
    returnedRows: 1,
  });
  assert.equal(told(records[1]).namespace, 'test');
  assert.equal(records[1].client?.bytes, BigInt(SELECT_VERSION.length));
  assert.equal(records[1].server?.bytes, BigInt(VERSION_RESULT.length));
});

test('COM_QUERY: error (docs: No tables used)', () => {
  const error = hex('17 00 00 01 ff 48 04 23 48 59 30 30 30 4e 6f 20 74 61 62 6c 65 73 20 75 73 65 64');
  assert.deepEqual(after(PLAIN, [c(query('select *')), s(error)]), [
    {
      status: ERROR,
      operation: 'SELECT',
      command: 'COM_QUERY',
      statusCode: '1096',
      sqlstate: 'HY000',
      errorMessage: 'No tables used',
    },
  ]);
});

test('COM_QUERY: affected rows, last insert id and warnings; literals stay', () => {
  const { records } = run([
    ...PLAIN,
    c(query("insert into orders values (4711, 'hidden')")),
    s(packet(1, 0, hex('fc 2c 01'), hex('fd 01 00 01'), u16(2), u16(3))),
  ]);
  const { queryText, ...rest } = {
    ...brief(records[1]),
    queryText: (records[1].detail.value as Mysql).queryText,
  };
  assert.deepEqual(rest, {
    status: OK,
    operation: 'INSERT',
    command: 'COM_QUERY',
    collection: 'orders',
    affectedRows: 300,
    lastInsertId: 65_537,
    warnings: 3,
  });
  assert.equal(records[1].target, 'orders');
  assert.doesNotMatch(queryText, /4711|hidden/);
});

const MESSAGES: [string, number, string, string][] = [
  ['a value with quotes', 1062, "Duplicate entry 'it's 'secret' x' for key 'PRIMARY'", 'Duplicate entry ?'],
  [
    'SQL near an error',
    1064,
    "right syntax to use near 'x = 'secret' or' at line 1",
    'right syntax to use near ? at line 1',
  ],
  ['names', 1054, "Unknown column 'a' in 'field list'", 'Unknown column ?'],
  [
    'a value with quotes in any message',
    1231,
    "Variable 'sql_mode' can't be set to the value of 'a' secret 'b'",
    'Variable ?',
  ],
  ['back and double quotes', 1046, 'No `x` and "y" here', 'No ? and ? here'],
  ['no closing quote', 1366, "Incorrect value: 'secret", 'Incorrect value: ?'],
  ['apostrophe in a word', 1146, "Table 'a.b' doesn't exist", "Table ? doesn't exist"],
  ["the application's own text", 1644, 'customer secret is broke', ''],
  [
    'too long to see the last quote',
    1062,
    `Duplicate entry '${"secret' ".repeat(100)}' for`,
    'Duplicate entry ?',
  ],
];
for (const [name, code, text, expected] of MESSAGES) {
  test(`error message: ${name}`, () => {
    const [record] = after(PLAIN, [c(query('do 1')), s(err(1, code, `#42000${text}`))]);
    assert.equal(record.errorMessage ?? '', expected);
  });
}

test('CLIENT_DEPRECATE_EOF: no EOF behind the definitions, an OK packet at the end', () => {
  const rows = [packet(3, 1, 'a'), packet(4, 0xfb), packet(5, 0xfc, u16(300), Buffer.alloc(300, 0x78))];
  assert.deepEqual(
    after(NEW, [
      c(query('select a')),
      s(packet(1, 1), column(2), ...rows, ok(6, { head: 0xfe, warnings: 1 })),
    ]),
    [
      {
        status: OK,
        operation: 'SELECT',
        command: 'COM_QUERY',
        columns: 1,
        resultSets: 1,
        returnedRows: 3,
        warnings: 1,
      },
    ],
  );
});

test('a NULL in the first column of a row is not a request for a file', () => {
  const [record] = after(PLAIN, [
    c(query('select a, b')),
    s(packet(1, 2), column(2), column(3), eof(4), packet(5, 0xfb, 1, 'x'), packet(6, 0xfb, 0xfb), eof(7)),
  ]);
  assert.equal(record.returnedRows, 2);
});

test('an error in the middle of the rows', () => {
  const [record] = after(PLAIN, [
    c(query('select a')),
    s(
      packet(1, 1),
      column(2),
      eof(3),
      packet(4, 1, 'a'),
      err(5, 1317, '#70100Query execution was interrupted'),
    ),
  ]);
  assert.equal(record.status, ERROR);
  assert.equal(record.statusCode, '1317');
  assert.equal(record.returnedRows, 1);
});

test('several statements and procedures: every result counts', () => {
  for (const [steps, end] of [
    [PLAIN, (n: number, status: number) => eof(n, status)],
    [NEW, (n: number, status: number) => ok(n, { head: 0xfe, status })],
  ] as const) {
    const definitionsEnd = (n: number): Buffer[] => (steps === PLAIN ? [eof(n, 10)] : []);
    assert.deepEqual(
      after(steps, [
        c(query('call p()')),
        s(
          packet(1, 1),
          column(2),
          ...definitionsEnd(3),
          packet(4, 1, '1'),
          end(5, 0x0a),
          packet(6, 2),
          column(7),
          column(8),
          ...definitionsEnd(9),
          packet(10, 1, '1', 1, '2'),
          packet(11, 1, '1', 1, '2'),
          end(12, 0x0a),
          ok(13, { affected: 5 }),
        ),
      ]),
      [
        {
          status: OK,
          operation: 'CALL',
          command: 'COM_QUERY',
          collection: 'p',
          columns: 1,
          resultSets: 2,
          returnedRows: 3,
          affectedRows: 5,
        },
      ],
    );
  }
});

test('LOCAL INFILE: the file is part of the request, its sequence ids go round', () => {
  const data = Array.from({ length: 260 }, (_, i) => packet((2 + i) & 0xff, 'row\n'));
  const { records, undecodable } = converse(mysql, [
    ...PLAIN,
    c(query("load data local infile 'f' into table t1")),
    s(packet(1, 0xfb, 'f')),
    c(...data, packet(6, '')),
    s(packet(7, 0, hex('fc 04 01'), 0, u16(2), u16(0))),
    c(packet(0, 0x0e)),
    s(ok(1)),
  ]);
  assert.equal(undecodable, 0);
  assert.deepEqual(records.slice(1).map(brief), [
    { status: OK, operation: 'LOAD', command: 'COM_QUERY', collection: 't1', affectedRows: 260 },
    { status: OK, operation: 'PING', command: 'COM_PING' },
  ]);
  assert.equal(records[1].client?.bytes, BigInt(45 + 260 * 8 + 4));
});

test('LOCAL INFILE cut anywhere', () => {
  const [record] = after(PLAIN, [
    c(query('load data')),
    s(packet(1, 0xfb, 'f')),
    c(packet(2, 'SELECT 1'), packet(3, '')),
    s(err(4, 1148, '#42000no')),
  ]);
  assert.equal(record.statusCode, '1148');
});

// docs: COM_STMT_PREPARE, its answer, COM_STMT_EXECUTE and a Binary Protocol Resultset.
const PREPARE = hex(
  '1c 00 00 00 16 53 45 4c 45 43 54 20 43 4f 4e 43 41 54 28 3f 2c 20 3f 29 20 41 53 20 63 6f 6c 31',
);
const PREPARED =
  hex(`0c 00 00 01 00 01 00 00 00 01 00 02 00 00 00 00 17 00 00 02 03 64 65 66 00 00 00 01 3f 00 0c 3f 00 00
  00 00 00 fd 80 00 00 00 00 17 00 00 03 03 64 65 66 00 00 00 01 3f 00 0c 3f 00 00 00 00 00 fd 80 00 00 00 00 05 00 00
  04 fe 00 00 02 00 1a 00 00 05 03 64 65 66 00 00 00 04 63 6f 6c 31 00 0c 3f 00 00 00 00 00 fd 80 00 1f 00 00 05 00 00
  06 fe 00 00 02 00`);
const EXECUTE = hex('12 00 00 00 17 01 00 00 00 00 01 00 00 00 00 01 0f 00 03 66 6f 6f');
const BINARY_RESULT =
  hex(`01 00 00 01 01 1a 00 00 02 03 64 65 66 00 00 00 04 63 6f 6c 31 00 0c 08 00 06 00 00 00 fd 00 00
  1f 00 00 05 00 00 03 fe 00 00 02 00 09 00 00 04 00 00 06 66 6f 6f 62 61 72 05 00 00 05 fe 00 00 02 00`);
const PREPARED_RECORD = {
  status: OK,
  operation: 'SELECT',
  command: 'COM_STMT_PREPARE',
  columns: 1,
  parameters: 2,
  statementId: 1,
};
const EXECUTED_RECORD = {
  status: OK,
  operation: 'SELECT',
  command: 'COM_STMT_EXECUTE',
  columns: 1,
  resultSets: 1,
  returnedRows: 1,
  parameters: 2,
  statementId: 1,
};

test('prepared statement: its text at every execution, no parameter values (docs)', () => {
  const { records } = run([
    ...PLAIN,
    c(PREPARE),
    s(PREPARED),
    c(EXECUTE),
    s(BINARY_RESULT),
    c(EXECUTE),
    s(BINARY_RESULT),
  ]);
  assert.deepEqual(records.slice(1).map(brief), [PREPARED_RECORD, EXECUTED_RECORD, EXECUTED_RECORD]);
  const [first, second] = records.slice(1).map((r) => (r.detail.value as Mysql).queryText);
  assert.match(first, /CONCAT/);
  assert.equal(second, first);
  assert.doesNotMatch(JSON.stringify(told(records[2])), /foo/);
});

test('prepared statement: COM_STMT_SEND_LONG_DATA and COM_STMT_CLOSE have no answer', () => {
  const { records, undecodable } = run([
    ...PLAIN,
    c(PREPARE),
    s(PREPARED),
    c(packet(0, 0x18, u32(1), u16(0), Buffer.alloc(100)), EXECUTE),
    s(BINARY_RESULT),
    c(packet(0, 0x19, u32(1)), EXECUTE),
    s(err(1, 1243, '#HY000Unknown prepared statement handler (1) given')),
    c(packet(0, 0x01)),
  ]);
  assert.equal(undecodable, 0);
  assert.deepEqual(records.slice(1).map(brief), [
    PREPARED_RECORD,
    EXECUTED_RECORD,
    {
      status: ERROR,
      operation: 'STMT_EXECUTE',
      command: 'COM_STMT_EXECUTE',
      statementId: 1,
      statusCode: '1243',
      sqlstate: 'HY000',
      errorMessage: 'Unknown prepared statement handler (1) given',
    },
  ]);
});

test('prepared statement with CLIENT_DEPRECATE_EOF; without parameters and columns', () => {
  const prepared = (columns: number, parameters: number, definitions: Buffer[]): Step =>
    s(packet(1, 0, u32(7), u16(columns), u16(parameters), 0, u16(0)), ...definitions);
  const one = after(NEW, [
    c(PREPARE),
    prepared(1, 2, [column(2), column(3), column(4)]),
    c(packet(0, 0x0e)),
    s(ok(1)),
  ]);
  assert.deepEqual(
    one.map((r) => r.command),
    ['COM_STMT_PREPARE', 'COM_PING'],
  );
  const none = after(PLAIN, [c(packet(0, 0x16, 'commit')), prepared(0, 0, []), c(packet(0, 0x0e)), s(ok(1))]);
  assert.deepEqual(
    none.map((r) => [r.command, r.status]),
    [
      ['COM_STMT_PREPARE', OK],
      ['COM_PING', OK],
    ],
  );
});

test('cursor: no rows follow the execution, COM_STMT_FETCH brings them', () => {
  const execute = packet(0, 0x17, u32(1), 1, u32(1));
  const records = after(PLAIN, [
    c(PREPARE),
    s(PREPARED),
    c(execute),
    s(packet(1, 1), column(2), eof(3, 0x42)),
    c(packet(0, 0x1c, u32(1), u32(2))),
    s(packet(1, 0, 0, 1, 'a'), packet(2, 0, 0, 1, 'b'), eof(3, 0x42)),
    c(packet(0, 0x1c, u32(1), u32(2))),
    s(eof(1, 0x82)),
    c(packet(0, 0x1a, u32(1))),
    s(ok(1)),
  ]);
  assert.deepEqual(
    records.slice(1),
    [
      { ...EXECUTED_RECORD, returnedRows: undefined },
      { status: OK, operation: 'STMT_FETCH', command: 'COM_STMT_FETCH', statementId: 1, returnedRows: 2 },
      { status: OK, operation: 'STMT_FETCH', command: 'COM_STMT_FETCH', statementId: 1 },
      { status: OK, operation: 'STMT_RESET', command: 'COM_STMT_RESET', statementId: 1 },
    ].map((r) => JSON.parse(JSON.stringify(r)) as Record<string, unknown>),
  );
});

test('database: COM_INIT_DB and USE upon OK, session tracking, unknown after an odd USE', () => {
  const use = (step: Buffer, answer: Buffer): Step[] => [c(step), s(answer)];
  const tracked = ok(1, { status: 0x4002, more: hex('00 07 01 05 04 6e 65 77 31') });
  const { records } = run([
    ...NEW,
    ...use(packet(0, 0x02, 'one'), ok(1)),
    ...use(query('use `two`'), ok(1)),
    ...use(query('USE nix'), err(1, 1049, "#42000Unknown database 'nix'")),
    ...use(query('select 1'), tracked),
    ...use(query('do 1'), ok(1)),
  ]);
  assert.deepEqual(
    records.map((r) => told(r).namespace),
    ['shop', 'one', 'two', 'two', 'new1', 'new1'],
  );
});

test('COM_CHANGE_USER authenticates again; COM_RESET_CONNECTION drops the statements', () => {
  const { records } = run([
    ...PLAIN,
    c(packet(0, 0x11, 'bob', 0, 4, 'HASH', 'other', 0, 33, 0)),
    s(packet(1, 0xfe, 'mysql_native_password', 0, 'saltsaltsaltsaltsalt', 0)),
    c(packet(2, 'HASHHASHHASHHASHHASH')),
    s(ok(3)),
    c(PREPARE),
    s(PREPARED),
    c(packet(0, 0x1f)),
    s(ok(1)),
    c(EXECUTE),
    s(err(1, 1243, 'gone')),
  ]);
  assert.deepEqual(
    records.map((r) => [told(r).command, told(r).user, told(r).namespace]),
    [
      ['connect', 'root', 'shop'],
      ['COM_CHANGE_USER', 'bob', 'other'],
      ['COM_STMT_PREPARE', 'bob', 'other'],
      ['COM_RESET_CONNECTION', 'bob', 'other'],
      ['COM_STMT_EXECUTE', 'bob', 'other'],
    ],
  );
  assert.equal(records[4].operation, 'STMT_EXECUTE');
});

test('query attributes stand before the SQL', () => {
  const steps = login(DEFAULTS | Capability.QUERY_ATTRIBUTES);
  const records = after(steps, [
    c(packet(0, 0x03, 0, 1, 'delete from t1')),
    s(ok(1)),
    // docs: parameter_count 1, set count 1, null bitmap, bound, MYSQL_TYPE_STRING, "n1", "v1".
    c(packet(0, 0x03, 1, 1, 0, 1, hex('fe 00'), 2, 'n1', 2, 'v1', 'update t1 set a=1')),
    s(ok(1)),
    // NULL, LONG and DATETIME.
    c(
      packet(
        0,
        0x03,
        3,
        1,
        1,
        1,
        hex('06 00 00 03 00 01 78 0c 00 00'),
        u32(7),
        4,
        hex('e8 07 01 02'),
        'select 1',
      ),
    ),
    s(ok(1)),
  ]);
  assert.deepEqual(
    records.map((r) => r.operation),
    ['DELETE', 'UPDATE', 'SELECT'],
  );
});

test('query attributes of a session whose login was not seen are no part of its SQL', () => {
  const attributes = [0x03, 1, 1, 0, 1, hex('fe 00'), 2, 'n1', 6, 'SECRET'];
  const { records } = run(
    [
      c(packet(0, ...attributes, 'delete from t1')),
      s(ok(1)),
      // One that says its value is longer than the packet.
      c(packet(0, ...attributes.slice(0, -2), 200, 'SECRET', 'delete from t2')),
      s(ok(1)),
    ],
    { fromStart: false },
  );
  assert.deepEqual(
    records.map((r) => [r.operation, (r.detail.value as Mysql).queryText]),
    [
      ['DELETE', 'delete from t1'],
      ['QUERY', ''],
    ],
  );
});

test('commands with other answers: COM_STATISTICS, COM_FIELD_LIST, COM_SET_OPTION, COM_PROCESS_INFO', () => {
  assert.deepEqual(
    after(PLAIN, [
      c(packet(0, 0x09)),
      s(packet(1, 'Uptime: 5  Threads: 1')),
      c(packet(0, 0x04, 't1', 0, '%')),
      s(column(1), column(2), eof(3)),
      c(packet(0, 0x1b, u16(1))),
      s(eof(1)),
      c(packet(0, 0x0a)),
      s(packet(1, 1), column(2), eof(3), packet(4, 1, 'x'), eof(5)),
    ]),
    [
      { status: OK, operation: 'STATISTICS', command: 'COM_STATISTICS' },
      { status: OK, operation: 'FIELD_LIST', command: 'COM_FIELD_LIST', columns: 2 },
      { status: OK, operation: 'SET_OPTION', command: 'COM_SET_OPTION' },
      {
        status: OK,
        operation: 'PROCESS_INFO',
        command: 'COM_PROCESS_INFO',
        columns: 1,
        resultSets: 1,
        returnedRows: 1,
      },
    ],
  );
});

test('replication ends the roundtrips', () => {
  const { records, handOvers } = run([
    ...PLAIN,
    c(packet(0, 0x15, u32(2), 'host')),
    s(ok(1)),
    c(packet(0, 0x12, u32(4), u16(0), u32(2), 'bin.000001')),
    s(packet(1, 0, Buffer.alloc(40))),
  ]);
  assert.deepEqual(
    records.map((r) => r.operation),
    ['connect', 'REGISTER_SLAVE'],
  );
  assert.deepEqual(handOvers, ['opaque']);
});

test('packets of 16 MB and over: a query and a row that go on in the next packet', () => {
  const full = 0xffffff;
  const big = Buffer.alloc(full, 0x20);
  big[0] = 0x03;
  big.write('select', 1);
  const row = Buffer.alloc(full, 0x78);
  row.set(hex('fe ff ff ff 00 00 00 00 00'));
  const pieces = (length: number): number[] =>
    Array.from({ length: Math.ceil(length / 65_536) - 1 }, (_, i) => (i + 1) * 65_536);
  const { records, undecodable } = converse(
    mysql,
    [
      ...PLAIN,
      c(packet(0, big), packet(1, ' 1')),
      s(
        packet(2, 1),
        column(3),
        eof(4),
        packet(5, row),
        packet(6, Buffer.alloc(9)),
        packet(7, row),
        packet(8),
        eof(9),
      ),
    ],
    { cut: pieces },
  );
  assert.equal(undecodable, 0);
  assert.deepEqual(records.slice(1).map(brief), [
    { status: OK, operation: 'SELECT', command: 'COM_QUERY', columns: 1, resultSets: 1, returnedRows: 2 },
  ]);
  assert.equal(records[1].client?.bytes, BigInt(full + 4 + 6));
});

const MARIADB = login((DEFAULTS | Capability.DEPRECATE_EOF) & ~1, '11.4.2-MariaDB');

test('MariaDB: PREPARE and EXECUTE of "the last statement" sent ahead, bulk execution', () => {
  const records = after(MARIADB, [
    c(
      packet(0, 0x16, 'insert into t1 values (?)'),
      packet(0, 0xfa, u32(0xffffffff), u16(128), hex('fe 00'), 0, 1, 'a'),
    ),
    s(packet(1, 0, u32(9), u16(0), u16(1), 0, u16(0)), column(2)),
    s(ok(1, { affected: 1 })),
    c(packet(0, 0x17, u32(9), 0, u32(1))),
    s(ok(1, { affected: 1 })),
  ]);
  assert.deepEqual(
    records.map((r) => [r.command, r.operation, r.collection, r.affectedRows]),
    [
      ['COM_STMT_PREPARE', 'INSERT', 't1', undefined],
      ['COM_STMT_BULK_EXECUTE', 'INSERT', 't1', 1],
      ['COM_STMT_EXECUTE', 'INSERT', 't1', 1],
    ],
  );
});

test('MariaDB: progress reports are not errors', () => {
  const report = packet(1, 0xff, u16(0xffff), 1, 1, 2, hex('10 27 00'), 5, 'stage');
  assert.deepEqual(after(MARIADB, [c(query('alter table t1 add x int')), s(report, report), s(ok(3))]), [
    { status: OK, operation: 'ALTER TABLE', command: 'COM_QUERY', collection: 't1' },
  ]);
});

test('MariaDB: definitions left out because the client has them', () => {
  const steps = login(DEFAULTS & ~1, '11.4.2-MariaDB').map((step) => {
    if (!('bytes' in step)) return step;
    const bytes = Buffer.from(step.bytes as Uint8Array);
    // Extended capabilities: the last 4 of the reserved bytes, on either side.
    if (step.from === CLIENT) bytes.writeUInt32LE(0x10, 4 + 28);
    else if (bytes[4] === 10)
      bytes.writeUInt32LE(0x10, 4 + bytes.indexOf(0, 4) - 4 + 1 + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 6);
    return { ...step, bytes };
  });
  const [first, second] = after(steps, [
    c(EXECUTE),
    s(packet(1, 1, 1), column(2), eof(3), packet(4, 0, 0, 1), eof(5)),
    c(EXECUTE),
    s(packet(1, 1, 0), eof(2), packet(3, 0, 0, 1), packet(4, 0, 0, 1), eof(5)),
  ]);
  assert.deepEqual([first.returnedRows, second.returnedRows], [1, 2]);
});

test('MySQL: CLIENT_OPTIONAL_RESULTSET_METADATA, as 9.7 sends it', () => {
  const steps = login(DEFAULTS | Capability.OPTIONAL_RESULTSET_METADATA | Capability.DEPRECATE_EOF);
  const prepared = (follow: number) => packet(1, hex('00 01 00 00 00 01 00 01 00 00 00 00'), follow);
  const records = after(steps, [
    c(query('select 1')),
    s(packet(1, 1, 0), packet(2, 1, 'a'), ok(3, { head: 0xfe })),
    c(query('select 1, 2')),
    s(packet(1, 2, 1), column(2), column(3), packet(4, 1, 'a', 0xfb), ok(5, { head: 0xfe })),
    c(packet(0, 0x16, 'select ?')),
    s(prepared(0)),
    c(packet(0, 0x16, 'select ?')),
    s(prepared(1), column(2), column(3)),
    c(query('do 1')),
    s(ok(1)),
  ]);
  assert.deepEqual(
    records.map((r) => [r.status, r.returnedRows]),
    [
      [OK, 1],
      [OK, 1],
      [OK, undefined],
      [OK, undefined],
      [OK, undefined],
    ],
  );
});

test('MySQL: EOF packets end definitions that are not sent', () => {
  const steps = login(DEFAULTS | Capability.OPTIONAL_RESULTSET_METADATA);
  const records = after(steps, [
    c(query('select 1, 2')),
    s(packet(1, 2, 0), eof(2), packet(3, 1, '1', 1, '2'), packet(4, 1, '3', 1, '4'), eof(5)),
    c(packet(0, 0x16, 'select ?')),
    s(packet(1, hex('00 01 00 00 00 01 00 01 00 00 00 00'), 0), eof(2), eof(3)),
    c(query('select 1')),
    s(packet(1, 1, 1), column(2), eof(3), packet(4, 1, '1'), eof(5)),
  ]);
  assert.deepEqual(
    records.map((r) => [r.status, r.returnedRows]),
    [
      [OK, 2],
      [OK, undefined],
      [OK, 1],
    ],
  );
});

test('pipelined commands are answered in order', () => {
  const records = after(MARIADB, [
    c(query('select 1'), query('update t1 set a=1'), query('do 1')),
    s(packet(1, 1), column(2), packet(3, 1, '1'), ok(4, { head: 0xfe }), ok(1, { affected: 3 })),
    s(err(1, 1317, 'interrupted')),
  ]);
  assert.deepEqual(
    records.map((r) => [r.operation, r.status, r.returnedRows, r.affectedRows]),
    [
      ['SELECT', OK, 1, undefined],
      ['UPDATE', OK, undefined, 3],
      ['DO', ERROR, undefined, undefined],
    ],
  );
});

function compressed(
  sequence: number,
  plain: Buffer,
  deflate: boolean,
  pack: (plain: Buffer) => Buffer = deflateSync,
): Buffer {
  const payload = deflate ? pack(plain) : plain;
  const header = Buffer.alloc(7);
  header.writeUIntLE(payload.length, 0, 3);
  header[3] = sequence;
  header.writeUIntLE(deflate ? plain.length : 0, 4, 3);
  return Buffer.concat([header, payload]);
}

test('compression: packets packed and unpacked, over several compressed packets', () => {
  const steps = login(DEFAULTS | Capability.COMPRESS);
  const answer = Buffer.concat([
    packet(1, 1),
    column(2),
    eof(3),
    packet(4, 200, Buffer.alloc(200, 0x78)),
    eof(5),
  ]);
  const request = compressed(0, query('select 1'), false);
  const wire = [
    compressed(1, answer.subarray(0, 3), false),
    compressed(2, answer.subarray(3, 70), true),
    compressed(3, answer.subarray(70), true),
  ];
  const { records, undecodable } = run([
    ...steps,
    c(request),
    s(...wire),
    c(compressed(0, packet(0, 0x0e), false)),
    s(compressed(1, ok(1), false)),
  ]);
  assert.equal(undecodable, 0);
  assert.deepEqual(records.slice(1).map(brief), [
    { status: OK, operation: 'SELECT', command: 'COM_QUERY', columns: 1, resultSets: 1, returnedRows: 1 },
    { status: OK, operation: 'PING', command: 'COM_PING' },
  ]);
  assert.equal(records[1].client?.bytes, BigInt(request.length));
  assert.equal(records[1].server?.bytes, BigInt(Buffer.concat(wire).length));
});

test('compression: zstd', () => {
  const { records, undecodable } = run([
    ...login(DEFAULTS | Capability.ZSTD),
    c(compressed(0, query('select 1'), true, rawZstd)),
    s(compressed(1, ok(1), true, rawZstd)),
  ]);
  assert.equal(undecodable, 0);
  assert.deepEqual(records.slice(1).map(brief), [{ status: OK, operation: 'SELECT', command: 'COM_QUERY' }]);
});

test('compression: damaged data and a wrong declared length end it', () => {
  const bad = [
    Buffer.concat([hex('05 00 00 01 10 00 00'), Buffer.from('abcde')]),
    compressed(1, Buffer.alloc(50), true),
  ];
  bad[1].writeUIntLE(20, 4, 3);
  for (const answer of bad) {
    const { records, handOvers } = run([
      ...login(DEFAULTS | Capability.COMPRESS),
      c(compressed(0, query('select 1'), false)),
      s(answer),
    ]);
    assert.deepEqual(handOvers, ['opaque']);
    assert.deepEqual(
      records.map((r) => r.status),
      [OK, INCOMPLETE],
    );
  }
});

test('compression that nobody announced: the login was lost', () => {
  const [greeting] = login(DEFAULTS | Capability.COMPRESS);
  const { records, handOvers } = run([
    greeting,
    { from: CLIENT, gap: 100 },
    s(ok(2)),
    c(compressed(0, query('select 1'), false)),
    s(compressed(1, ok(1), false)),
  ]);
  assert.deepEqual(handOvers, ['opaque']);
  assert.deepEqual(
    records.filter((r) => r.operation !== 'connect'),
    [],
  );
});

test('backslashes do not escape while the server says so (SERVER_STATUS_NO_BACKSLASH_ESCAPES)', () => {
  const text = (record: RoundTrip) => (record.detail.value as Mysql).queryText;
  const { records } = run([
    ...PLAIN,
    c(query("set sql_mode = 'NO_BACKSLASH_ESCAPES'")),
    s(ok(1, { status: 0x0202 })),
    c(query("select 'C:\\', 'hidden' from t")),
    s(packet(1, 1), column(2), eof(3, 0x0202), packet(4, 3, 'abc'), eof(5, 0x0202)),
    c(query("set sql_mode = ''")),
    s(ok(1)),
    c(query("select 'it\\'s hidden' from t")),
    s(err(1, 1146, 'no')),
  ]);
  assert.deepEqual([records[2], records[4]].map(text), ['select ? from t', 'select ? from t']);
});

test('statements are read in the character set of the connection', () => {
  // 0x955C is one character of GBK: there is no escape in it. In UTF-8 the string goes on up to "hidden".
  const sql = "select '\x95\\', 'hidden' from t";
  const inGbk = 'select ? from t';
  const unknown = 'select ?…';
  // {name, value} of SESSION_TRACK_SYSTEM_VARIABLES.
  const tracked = (value: string) => {
    const data = Buffer.concat([
      Buffer.of(20),
      Buffer.from('character_set_client'),
      Buffer.of(value.length),
      Buffer.from(value),
    ]);
    const change = Buffer.concat([Buffer.of(0, data.length), data]);
    return Buffer.concat([Buffer.of(0, change.length), change]);
  };
  const change = [DEFAULTS, DEFAULTS | Capability.SESSION_TRACK].map((capabilities) => login(capabilities));
  const select = c(query(sql));
  const failed = s(err(1, 1146, 'no'));
  const cases: [name: string, steps: Step[], text: string][] = [
    ['SET NAMES', [...PLAIN, c(query("SET NAMES 'gbk'")), s(ok(1)), select, failed], inGbk],
    ['of mysqldump', [...PLAIN, c(query('/*!40101 SET NAMES gbk */')), s(ok(1)), select, failed], inGbk],
    [
      "MariaDB Connector/J's",
      [...PLAIN, c(query("set sql_mode='',NAMES gbk")), s(ok(1)), select, failed],
      inGbk,
    ],
    [
      'a literal that looks like it',
      [...PLAIN, c(query("set sql_mode=', NAMES gbk'")), s(ok(1)), select, failed],
      unknown,
    ],
    ['SET NAMES that is not answered yet', [...PLAIN, c(query('SET NAMES gbk'), query(sql))], unknown],
    ['SET NAMES by a variable', [...PLAIN, c(query('SET NAMES @x')), s(ok(1)), select, failed], unknown],
    [
      'what the server tracks',
      [
        ...change[1],
        c(query('SET NAMES @x')),
        s(ok(1, { status: 0x4002, more: tracked('gbk') })),
        select,
        failed,
      ],
      inGbk,
    ],
    [
      'another variable changes nothing',
      [
        ...[
          ...PLAIN,
          c(query('SET NAMES gbk')),
          s(ok(1)),
          c(query("SET sql_mode = ''")),
          s(ok(1)),
          select,
          failed,
        ],
      ],
      inGbk,
    ],
    ['a connection joined in its midst', [select, failed], unknown],
    [
      'behind it in the same packet',
      [...PLAIN, c(query(`SET NAMES gbk; ${sql}`)), s(ok(1))],
      `SET NAMES gbk; ${unknown}`,
    ],
  ];
  for (const [name, steps, text] of cases) {
    const { queryText } = run(steps).records.at(-1)!.detail.value as Mysql;
    assert.equal(queryText, text, name);
  }
});

test('an error for nobody, when the server ends an idle connection, is understood', () => {
  // ER_CLIENT_INTERACTION_TIMEOUT of MySQL 8.0.24 and later.
  const outcome = run([...PLAIN, s(err(0, 4031, '#HY000The client was disconnected'))]);
  assert.equal(outcome.records.length, 1);
  assert.equal(outcome.undecodable, 0);
});

test('no answer, reset, cut answer', () => {
  assert.deepEqual(
    after(PLAIN, [c(query('select 1'))]).map((r) => r.status),
    [NO_RESPONSE],
  );
  assert.deepEqual(
    after(PLAIN, [c(query('select 1'))], { close: RESET }).map((r) => r.status),
    [RESET],
  );
  const cut = [c(query('select 1')), s(packet(1, 1), column(2))];
  assert.deepEqual(
    after(PLAIN, cut).map((r) => r.status),
    [INCOMPLETE],
  );
  assert.deepEqual(
    after(PLAIN, cut, { close: RESET }).map((r) => r.status),
    [RESET],
  );
  assert.deepEqual(
    after(PLAIN, [c(query('select 1')), { from: SERVER, fin: true }]).map((r) => r.status),
    [NO_RESPONSE],
  );
});

test('joined in the middle: EOF packets or none, told by the answer', () => {
  for (const [end, last] of [
    [[eof(3)], eof(9)],
    [[], ok(9, { head: 0xfe })],
  ] as const) {
    const { records } = run(
      [
        c(query('select a')),
        s(packet(1, 1), column(2), ...end, packet(4, 1, 'x'), packet(5, 1, 'x'), last),
        c(PREPARE),
        s(packet(1, 0, u32(1), u16(1), u16(1), 0, u16(0)), column(2), ...end, column(4), ...end),
        c(EXECUTE),
        s(ok(1)),
      ],
      { fromStart: false },
    );
    assert.deepEqual(
      records.map((r) => [told(r).command, r.status, told(r).returnedRows]),
      [
        ['COM_QUERY', OK, 2],
        ['COM_STMT_PREPARE', OK, undefined],
        ['COM_STMT_EXECUTE', OK, undefined],
      ],
    );
    assert.equal(told(records[0]).system, 'mysql');
    assert.equal(told(records[0]).namespace, undefined);
  }
});

test('joined in the middle: a preparation before EOF packets are known of', () => {
  for (const end of [[eof(3)], []] as Buffer[][]) {
    const { records } = run(
      [
        c(PREPARE),
        s(packet(1, 0, u32(1), u16(1), u16(1), 0, u16(0)), column(2), ...end, column(4), ...end),
        c(EXECUTE),
        s(ok(1)),
      ],
      { fromStart: false },
    );
    assert.deepEqual(
      records.map((r) => [told(r).command, r.status, told(r).parameters]),
      [
        ['COM_STMT_PREPARE', OK, 1],
        ['COM_STMT_EXECUTE', OK, 1],
      ],
    );
  }
});

test('joined in the middle of an answer: it is not the answer to the next command', () => {
  const { records } = run([s(packet(7, 1, 'x'), eof(8)), c(query('select 1')), s(ok(1, { affected: 4 }))], {
    fromStart: false,
  });
  assert.deepEqual(
    records.map((r) => [r.status, told(r).affectedRows]),
    [[OK, 4]],
  );
});

test('joined in the middle: MariaDB says behind the count whether definitions follow', () => {
  const execute = c(packet(0, 0x17, u32(7), 0, u32(1)));
  const row = packet(2, 0, 0, 1);
  const steps = [
    execute,
    s(packet(1, 1, 1), column(2), packet(3, 0, 0, 1), ok(4, { head: 0xfe })),
    execute,
    s(packet(1, 1, 0), row, ok(3, { head: 0xfe })),
    execute,
    s(packet(1, 1, 0), ok(2, { head: 0xfe })),
  ];
  assert.deepEqual(
    run(steps, { fromStart: false }).records.map((r) => [r.status, told(r).returnedRows ?? 0]),
    [
      [OK, 1],
      [OK, 1],
      [OK, 0],
    ],
  );
});

test('joined in the middle: a preparation and what runs it, sent in one go', () => {
  const steps = [
    c(query('delete from t')),
    s(ok(1, { affected: 4 })),
    c(packet(0, 0x16, 'delete from t where a = ?'), packet(0, 0x17, u32(0xffffffff), 0, u32(1))),
    s(packet(1, 0, u32(9), u16(0), u16(1), 0, u16(0)), column(2)),
    s(ok(1, { affected: 3 })),
    c(packet(0, 0x16, 'delete from missing'), packet(0, 0x17, u32(0xffffffff), 0, u32(1))),
    s(err(1, 1146, 'no'), err(1, 1146, 'no')),
  ];
  assert.deepEqual(
    run(steps, { fromStart: false }).records.map((r) => [r.status, told(r).affectedRows]),
    [
      [OK, 4],
      [OK, undefined],
      [OK, 3],
      [ERROR, undefined],
      [ERROR, undefined],
    ],
  );
});

test('joined between a preparation and what runs it: the first answer is that to the preparation', () => {
  const steps = [
    c(packet(0, 0x17, u32(0xffffffff), 0, u32(1))),
    s(packet(1, 0, u32(9), u16(0), u16(0), 0, u16(0))),
    s(ok(1, { affected: 3 })),
    c(query('delete from t')),
    s(ok(1, { affected: 4 })),
  ];
  assert.deepEqual(
    run(steps, { fromStart: false }).records.map((r) => [r.status, told(r).affectedRows]),
    [
      [INCOMPLETE, undefined],
      [OK, 4],
    ],
  );
});

test('joined behind the header of a compressed packet: what is in it is no answer', () => {
  // As MariaDB Connector/J writes it: the header (1f0000 00 000000) and what is in the packet apart.
  const execute = packet(0, 0x17, u32(2), 0, u32(1));
  const answer = ok(1, { affected: 1 });
  const header = Buffer.of(answer.length, 0, 0, 1, 0, 0, 0);
  const { records, handOvers } = run([c(execute), s(header, answer)], { fromStart: false });
  assert.deepEqual([records.map((r) => r.status), handOvers], [[INCOMPLETE], ['opaque']]);
});

test('joined before the greeting, without a SYN', () => {
  const { records } = run([s(GREETING), c(LOGIN), s(LOGIN_OK)], { fromStart: false });
  assert.deepEqual(
    records.map((r) => [r.operation, r.status, told(r).user]),
    [['connect', OK, 'pam']],
  );
});

test('gap inside a row: missing bytes only', () => {
  const row = packet(4, 0xfc, u16(300), Buffer.alloc(300, 0x78));
  const { records } = run([
    ...PLAIN,
    c(query('select a')),
    s(packet(1, 1), column(2), eof(3), row.subarray(0, 100)),
    { from: SERVER, gap: 150 },
    s(row.subarray(250), eof(5)),
  ]);
  assert.deepEqual(brief(records[1]), {
    status: OK,
    operation: 'SELECT',
    command: 'COM_QUERY',
    columns: 1,
    resultSets: 1,
    returnedRows: 1,
    missingBytes: 150,
  });
});

test('gap over the end of an answer: INCOMPLETE, and the next command has its own answer', () => {
  const records = after(PLAIN, [
    c(query('select a')),
    s(packet(1, 1), column(2), eof(3)),
    { from: SERVER, gap: 50 },
    s(packet(9, 1, 'x'), eof(10)),
    c(query('delete from t1')),
    s(ok(1, { affected: 2 })),
  ]);
  assert.deepEqual(
    records.map((r) => [r.operation, r.status, r.affectedRows, r.missingBytes]),
    [
      ['SELECT', INCOMPLETE, undefined, 50],
      ['DELETE', OK, 2, undefined],
    ],
  );
});

test('gap over an answer that is known of only after the next command', () => {
  const records = after(PLAIN, [
    c(query('select a')),
    c(query('delete from t1')),
    { from: SERVER, gap: 50 },
    { ...s(packet(9, 1, 'x'), eof(10)), timeNs: 3.5e6 },
    { ...s(ok(1, { affected: 2 })), timeNs: 9e6 },
  ]);
  assert.deepEqual(
    records.map((r) => [r.operation, r.status, r.affectedRows]),
    [
      ['SELECT', INCOMPLETE, undefined],
      ['DELETE', OK, 2],
    ],
  );
});

test('gap over a command: its answer is nobody else’s, and the database is unknown', () => {
  const { records } = run([
    ...PLAIN,
    { from: CLIENT, gap: 20 },
    s(ok(1, { affected: 9 })),
    c(Buffer.from('tail of a query'), query('delete from t1')),
    s(ok(1, { affected: 1 })),
    c(query('delete from t2')),
    s(ok(1, { affected: 2 })),
  ]);
  // The first command could have been sent before the lost one was answered.
  assert.deepEqual(
    records.slice(1).map((r) => [r.target, r.status, told(r).affectedRows, told(r).namespace]),
    [
      ['t1', INCOMPLETE, undefined, undefined],
      ['t2', OK, 2, undefined],
    ],
  );
});

test('gap over one of several commands sent ahead: no answer goes to another', () => {
  const records = after(PLAIN, [
    c(query('delete from t1')),
    { from: CLIENT, gap: 20 },
    s(ok(1, { affected: 1 })),
    c(query('delete from t3')),
    s(ok(1, { affected: 2 })),
    c(query('delete from t4')),
    s(ok(1, { affected: 3 }), ok(1, { affected: 4 })),
    c(query('delete from t5')),
    s(ok(1, { affected: 5 })),
  ]);
  assert.deepEqual(
    records.map((r) => [r.collection, r.status, r.affectedRows]),
    [
      ['t1', OK, 1],
      ['t3', INCOMPLETE, undefined],
      ['t4', INCOMPLETE, undefined],
      ['t5', OK, 5],
    ],
  );
});

test('a client known to send ahead only after a loss: no answer goes to another command', () => {
  const { records, handOvers } = run([
    ...PLAIN,
    { from: CLIENT, gap: 20 },
    s(ok(1, { affected: 9 })),
    c(query('delete from t1')),
    s(ok(1, { affected: 1 })),
    c(query('delete from t2')),
    s(ok(1, { affected: 2 })),
    c(query('delete from t3')),
    c(query('delete from t4')),
    s(ok(1, { affected: 3 })),
    c(query('delete from t5')),
    s(ok(1, { affected: 4 })),
    c(query('delete from t6')),
    s(ok(1, { affected: 5 })),
  ]);
  assert.deepEqual(
    records.slice(1).map((r) => [r.target, r.status, told(r).affectedRows]),
    [
      ['t1', INCOMPLETE, undefined],
      ['t2', OK, 2],
      ['t3', INCOMPLETE, undefined],
      ['t4', INCOMPLETE, undefined],
    ],
  );
  assert.deepEqual(handOvers, ['opaque']);
});

test('user: unknown after lost commands, one of which may have changed it', () => {
  const { records } = run([
    ...PLAIN,
    { from: CLIENT, gap: 60 },
    s(ok(1)),
    c(query('do 1')),
    s(ok(1)),
    c(query('do 2')),
    s(ok(1)),
  ]);
  assert.deepEqual(
    records.map((r) => [r.status, told(r).user]),
    [
      [OK, 'root'],
      [INCOMPLETE, undefined],
      [OK, undefined],
    ],
  );
});

test('half an answer: what was counted of it is not said', () => {
  const records = after(PLAIN, [
    c(query('select a from t1')),
    s(packet(1, 1), column(2), eof(3), packet(4, 1, '1')),
  ]);
  assert.deepEqual(records, [
    { status: INCOMPLETE, operation: 'SELECT', command: 'COM_QUERY', collection: 't1', columns: 1 },
  ]);
});

test('database: unknown after a change whose answer is lost', () => {
  const { records } = run([
    ...PLAIN,
    c(packet(0, 0x02, 'one')),
    { from: SERVER, gap: 11 },
    c(query('do 1')),
    s(ok(1)),
  ]);
  assert.deepEqual(
    records.map((r) => [r.status, told(r).namespace]),
    [
      [OK, 'shop'],
      [INCOMPLETE, undefined],
      [OK, undefined],
    ],
  );
});

test('an answer out of sequence is not taken', () => {
  const records = after(PLAIN, [c(query('select 1')), s(ok(5)), c(query('delete from t1')), s(ok(1))]);
  assert.deepEqual(
    records.map((r) => [r.operation, r.status]),
    [
      ['SELECT', INCOMPLETE],
      ['DELETE', OK],
    ],
  );
});

test('never throws, never answers outside its input', () => {
  let seed = 1;
  const random = (n: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return seed % n;
  };
  const base = [
    ...NEW,
    c(PREPARE),
    s(PREPARED),
    c(EXECUTE),
    s(BINARY_RESULT),
    c(query('select 1')),
    s(ok(1)),
  ];
  for (let round = 0; round < 500; round++) {
    const steps = base.map((step): Step => {
      if (!('bytes' in step)) return step;
      const bytes = Buffer.from(step.bytes as Uint8Array);
      for (let n = random(4); n > 0; n--) bytes[random(bytes.length)] = random(256);
      return random(8) === 0 ? { from: step.from, gap: 1 + random(30) } : { ...step, bytes };
    });
    converse(mysql, steps, { cut: round % 2 === 0 ? 'whole' : 'bytes', fromStart: round % 3 !== 0 });
  }
});
