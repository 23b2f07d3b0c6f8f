/** Messages built by the protocol guide's grammar, not by what the decoder makes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusValue } from '@packetd/proto';
import type { RoundTrip } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { converse, type Outcome, type Step } from '../harness.js';
import {
  array,
  batch,
  blob,
  carray,
  cblob,
  cstr,
  frame,
  hex,
  i8,
  i16,
  i32,
  i64,
  message,
  raw,
  request,
  response,
  str,
  TAGS,
  uvarint,
} from './bytes.js';
import { kafka } from './index.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;
const TOPIC_ID = hex('6f1c2a4b 5d3e 4f70 8192 a3b4c5d6e7f8');
const OTHER_ID = hex('000102030405060708090a0b0c0d0e0f');

const client = (...bytes: Uint8Array[]): Step => ({ from: 0, bytes: Buffer.concat(bytes) });
const server = (...bytes: Uint8Array[]): Step => ({ from: 1, bytes: Buffer.concat(bytes) });

/** A record, short: what is said of it is compared, what is not said is not. */
interface Expected {
  api: string;
  version?: number | undefined;
  status: number;
  target?: string | undefined;
  topics?: string[] | undefined;
  partitions?: number[] | undefined;
  group?: string | undefined;
  count?: bigint | undefined;
  bytes?: bigint | undefined;
  error?: string | undefined;
  clientId?: string | undefined;
  acks?: number | undefined;
  codec?: string | undefined;
  throttleMs?: number | undefined;
  transaction?: string | undefined;
  trace?: string | undefined;
  missing?: bigint | undefined;
  correlationId?: number | undefined;
  requestBytes?: number | undefined;
  responseBytes?: number | undefined;
}

function summary(record: RoundTrip, like: Expected): Expected {
  assert.equal(record.detail.case, 'kafka');
  const detail = record.detail.value!;
  if (detail.$typeName !== 'packetd.v1.Kafka') throw new Error(detail.$typeName);
  assert.equal(record.operation, detail.apiName);
  assert.equal(record.errorType, detail.statusCode);
  const all: { [K in keyof Required<Expected>]: Expected[K] } = {
    api: detail.apiName,
    version: detail.apiVersion,
    status: record.status,
    target: record.target,
    topics: detail.destinationNames,
    partitions: detail.partitions,
    group: detail.consumerGroup,
    count: detail.messageCount,
    bytes: detail.recordBytes,
    error: detail.statusCode,
    clientId: detail.clientId,
    acks: detail.acks,
    codec: detail.compression,
    throttleMs: detail.throttleTimeMs,
    transaction: detail.transactionalId,
    trace: record.trace === undefined ? '' : Buffer.from(record.trace.traceId).toString('hex'),
    missing: record.missingBytes,
    correlationId: detail.correlationId,
    requestBytes: Number(record.client!.bytes),
    responseBytes: Number(record.server!.bytes),
  };
  return Object.fromEntries(
    Object.keys(like).map((key) => [key, all[key as keyof Expected]]),
  ) as unknown as Expected;
}

function check(outcome: Outcome, expected: Expected[]): void {
  assert.equal(outcome.records.length, expected.length);
  assert.deepEqual(
    outcome.records.map((record, i) => summary(record, expected[i])),
    expected,
  );
}

/** Whole, byte by byte, and cut once at every position. */
function every(steps: Step[], expected: Expected[], settings: Parameters<typeof converse>[2] = {}): void {
  check(converse(kafka, steps, settings), expected);
  check(converse(kafka, steps, { ...settings, cut: 'bytes' }), expected);
  const longest = Math.max(...steps.map((step) => ('bytes' in step ? step.bytes.length : 0)));
  for (let at = 1; at < longest; at++)
    check(converse(kafka, steps, { ...settings, cut: (length) => (at < length ? [at] : []) }), expected);
}

const produce7 = (acks: number, ...topics: number[][]): number[] => [
  ...str(null),
  ...i16(acks),
  ...i32(1000),
  ...array(...topics),
];
const produced = (topic: string, partition: number, records: number[]): number[] => [
  ...str(topic),
  ...array([...i32(partition), ...blob(records)]),
];
const produceAnswer = (topic: string, partition: number, error: number): number[] => [
  ...array([...str(topic), ...array([...i32(partition), ...i16(error), ...i64(5), ...i64(-1), ...i64(0)])]),
  ...i32(0),
];

const TWO_RECORDS = batch([{ value: 'a', headers: { k: 'v', traceparent: TRACEPARENT } }, { key: 'k' }]);

const CASES: {
  name: string;
  steps: Step[];
  expected: Expected[];
  settings?: Parameters<typeof converse>[2];
}[] = [
  {
    name: 'Produce v7: records counted from the batch header, trace context from the first record',
    steps: [
      client(request(0, 7, 9, 'app', produce7(-1, produced('orders', 3, TWO_RECORDS)))),
      server(response(9, produceAnswer('orders', 3, 0))),
    ],
    expected: [
      {
        api: 'Produce',
        version: 7,
        status: StatusValue.OK,
        target: 'orders',
        topics: ['orders'],
        partitions: [3],
        count: 2n,
        bytes: BigInt(TWO_RECORDS.length),
        error: '',
        clientId: 'app',
        acks: -1,
        codec: 'none',
        trace: TRACE_ID,
        missing: 0n,
        correlationId: 9,
        requestBytes: 4 + 8 + 5 + 2 + 2 + 4 + 4 + 8 + 4 + 4 + 4 + TWO_RECORDS.length,
        responseBytes: 4 + 4 + 4 + 8 + 4 + 4 + 2 + 24 + 4,
      },
    ],
  },
  {
    name: 'Produce v9: flexible, several topics and batches, compressed, an error on one partition',
    steps: [
      client(
        request(
          0,
          9,
          1,
          'app',
          [
            ...cstr('tx-1'),
            ...i16(1),
            ...i32(1000),
            ...carray(
              [
                ...cstr('a'),
                ...carray([
                  ...i32(0),
                  ...cblob([...batch([{}, {}, {}], 4), ...batch([{ headers: { b3: '0' } }], 1)]),
                  ...TAGS,
                ]),
                ...TAGS,
              ],
              [...cstr('b'), ...carray([...i32(7), ...cblob(batch([{}])), ...TAGS]), ...TAGS],
            ),
            // One tagged field that nobody knows.
            ...uvarint(1),
            ...uvarint(300),
            ...uvarint(5),
            ...raw('xxxxx'),
          ],
          true,
        ),
      ),
      server(
        response(
          1,
          [
            ...carray(
              [
                ...cstr('a'),
                ...carray([
                  ...i32(0),
                  ...i16(0),
                  ...i64(1),
                  ...i64(-1),
                  ...i64(0),
                  ...carray(),
                  ...cstr(null),
                  ...TAGS,
                ]),
                ...TAGS,
              ],
              [
                ...cstr('b'),
                ...carray([
                  ...i32(7),
                  ...i16(6),
                  ...i64(1),
                  ...i64(-1),
                  ...i64(0),
                  ...carray(),
                  ...cstr('no'),
                  ...TAGS,
                ]),
                ...TAGS,
              ],
            ),
            ...i32(120),
            ...TAGS,
          ],
          true,
        ),
      ),
    ],
    expected: [
      {
        api: 'Produce',
        status: StatusValue.ERROR,
        target: '',
        topics: ['a', 'b'],
        partitions: [0, 7],
        count: 5n,
        codec: 'zstd',
        error: 'NOT_LEADER_OR_FOLLOWER',
        throttleMs: 120,
        transaction: 'tx-1',
        trace: '',
      },
    ],
  },
  {
    name: 'Produce with acks=0 has no response; what follows pairs on',
    steps: [
      client(
        request(0, 7, 1, 'app', produce7(0, produced('t', 0, batch([{ value: 'x' }])))),
        request(12, 0, 2, 'app', [...str('g'), ...i32(1), ...str('m')]),
      ),
      server(response(2, i16(27))),
    ],
    expected: [
      { api: 'Produce', status: StatusValue.OK, acks: 0, count: 1n, responseBytes: 0 },
      { api: 'Heartbeat', status: StatusValue.ERROR, group: 'g', error: 'REBALANCE_IN_PROGRESS' },
    ],
  },
  {
    name: 'message sets: formats 0 and 1 are counted, a compressed one hides its count',
    steps: [
      client(
        request(0, 2, 1, 'app', [
          ...i16(1),
          ...i32(0),
          ...array(produced('t', 0, [...message(1, 'one'), ...message(1, 'two'), ...message(0, 'three')])),
        ]),
        request(0, 2, 2, 'app', [...i16(1), ...i32(0), ...array(produced('t', 0, message(1, 'packed', 1)))]),
      ),
    ],
    expected: [
      { api: 'Produce', status: StatusValue.NO_RESPONSE, count: 3n, codec: 'none' },
      { api: 'Produce', status: StatusValue.NO_RESPONSE, count: undefined, codec: 'gzip' },
    ],
  },
  {
    name: 'Fetch v4: the last batch is cut off and does not count, nor does a transaction marker',
    steps: [
      client(
        request(1, 4, 5, 'c', [
          ...i32(-1),
          ...i32(500),
          ...i32(1),
          ...i32(1 << 20),
          ...i8(0),
          ...array([...str('t'), ...array([...i32(2), ...i64(0), ...i32(1 << 20)])]),
        ]),
      ),
      server(
        response(5, [
          ...i32(7),
          ...array([
            ...str('t'),
            ...array([
              ...i32(2),
              ...i16(0),
              ...i64(9),
              ...i64(9),
              ...array(),
              ...blob([...batch([{}, {}]), ...batch([{}], 1 << 5), ...batch([{}, {}]).slice(0, -3)]),
            ]),
          ]),
        ]),
      ),
    ],
    expected: [
      {
        api: 'Fetch',
        status: StatusValue.OK,
        topics: ['t'],
        partitions: [2],
        count: 2n,
        throttleMs: 7,
        target: 't',
      },
    ],
  },
  {
    name: 'Fetch v13: names of topics by their ids, learned from Metadata v12; topics of an incremental fetch',
    steps: [
      client(request(3, 12, 1, 'c', [0, ...i8(1), ...i8(0), ...TAGS], true)),
      server(
        response(
          1,
          [
            ...i32(0),
            ...carray([...i32(1), ...cstr('h'), ...i32(9092), ...cstr(null), ...TAGS]),
            ...cstr('cluster'),
            ...i32(1),
            ...carray(
              [...i16(0), ...cstr(null), ...OTHER_ID, ...i8(0), ...carray(), ...i32(0), ...TAGS],
              [...i16(0), ...cstr('learned'), ...TOPIC_ID, ...i8(0), ...carray(), ...i32(0), ...TAGS],
            ),
            ...TAGS,
          ],
          true,
        ),
      ),
      client(
        request(1, 13, 2, 'c', [...fetch13(TOPIC_ID)], true),
        request(1, 13, 3, 'c', [...fetch13(OTHER_ID)], true),
        request(1, 13, 4, 'c', [...fetch13(null)], true),
      ),
      server(
        response(2, fetched13(TOPIC_ID, batch([{}])), true),
        response(3, fetched13(OTHER_ID, batch([{}])), true),
        response(4, fetched13(TOPIC_ID, batch([{}, {}])), true),
      ),
    ],
    expected: [
      { api: 'Metadata', status: StatusValue.OK, topics: [] },
      {
        api: 'Fetch',
        status: StatusValue.OK,
        topics: ['learned'],
        target: 'learned',
        partitions: [4],
        count: 1n,
      },
      { api: 'Fetch', status: StatusValue.OK, topics: [], target: '', count: 1n },
      {
        api: 'Fetch',
        status: StatusValue.OK,
        topics: ['learned'],
        target: 'learned',
        partitions: [4],
        count: 2n,
      },
    ],
  },
  {
    name: 'ApiVersions v3: response header version 0 although the body is flexible (KIP-511)',
    steps: [
      client(request(18, 3, 0, null, [...cstr('lib'), ...cstr('1'), ...TAGS], true)),
      server(
        response(0, [...i16(0), ...carray([...i16(0), ...i16(0), ...i16(9), ...TAGS]), ...i32(3), ...TAGS]),
      ),
    ],
    expected: [{ api: 'ApiVersions', status: StatusValue.OK, clientId: '', throttleMs: 3, error: '' }],
  },
  {
    name: 'ApiVersions v3 to an old broker: the answer is of version 0',
    steps: [
      client(request(18, 3, 0, 'c', [...cstr('lib'), ...cstr('1'), ...TAGS], true)),
      server(response(0, [...i16(35), ...array([...i16(18), ...i16(0), ...i16(2)])])),
    ],
    expected: [
      { api: 'ApiVersions', status: StatusValue.ERROR, error: 'UNSUPPORTED_VERSION', throttleMs: 0 },
    ],
  },
  {
    name: 'responses out of order and in one segment pair by correlation id',
    steps: [
      client(
        request(12, 0, 1, 'c', [...str('g1'), ...i32(1), ...str('m')]),
        request(12, 0, 2, 'c', [...str('g2'), ...i32(1), ...str('m')]),
        request(12, 0, 3, 'c', [...str('g3'), ...i32(1), ...str('m')]),
      ),
      server(response(2, i16(25)), response(1, i16(0)), response(3, i16(-1))),
    ],
    expected: [
      { api: 'Heartbeat', status: StatusValue.ERROR, group: 'g2', error: 'UNKNOWN_MEMBER_ID' },
      { api: 'Heartbeat', status: StatusValue.OK, group: 'g1' },
      { api: 'Heartbeat', status: StatusValue.ERROR, group: 'g3', error: 'UNKNOWN_SERVER_ERROR' },
    ],
  },
  {
    name: 'FindCoordinator: the key is a group where the type says so, wherever the type stands',
    steps: [
      client(
        request(10, 0, 1, 'c', str('g0')),
        request(10, 2, 2, 'c', [...str('g2'), ...i8(0)]),
        request(10, 2, 3, 'c', [...str('tx'), ...i8(1)]),
        request(10, 4, 4, 'c', [...i8(0), ...carray(cstr('g4')), ...TAGS], true),
        request(10, 4, 5, 'c', [...i8(1), ...carray(cstr('tx')), ...TAGS], true),
      ),
    ],
    expected: ['g0', 'g2', '', 'g4', ''].map((group) => ({
      api: 'FindCoordinator',
      status: StatusValue.NO_RESPONSE,
      group,
    })),
  },
  {
    name: 'DescribeConfigs: only resources of type topic are topics',
    steps: [
      client(
        request(32, 1, 1, 'c', [
          ...array([...i8(4), ...str('1'), ...i32(-1)], [...i8(2), ...str('t'), ...i32(-1)]),
          ...i8(0),
        ]),
      ),
    ],
    expected: [{ api: 'DescribeConfigs', status: StatusValue.NO_RESPONSE, topics: ['t'] }],
  },
  {
    // CreateTopicsResponse.json: TopicConfigErrorCode, tag 0, of version 5 and up.
    name: 'CreateTopics: the error of the configuration is a tagged field',
    steps: [
      client(
        request(
          19,
          7,
          1,
          'c',
          [
            ...carray([...cstr('t'), ...i32(1), ...i16(1), ...carray(), ...carray(), ...TAGS]),
            ...i32(1000),
            ...i8(0),
            ...TAGS,
          ],
          true,
        ),
      ),
      server(
        response(
          1,
          [
            ...i32(0),
            ...carray([
              ...[...cstr('t'), ...i64(0), ...i64(7), ...i16(0), ...cstr(null), ...i32(1), ...i16(1)],
              ...[...cstr(null), 2, 0, 2, ...i16(29), 7, 1, 0],
            ]),
            ...TAGS,
          ],
          true,
        ),
      ),
    ],
    expected: [
      { api: 'CreateTopics', status: StatusValue.ERROR, error: 'TOPIC_AUTHORIZATION_FAILED', topics: ['t'] },
    ],
  },
  {
    name: 'an unknown API is its number; an unknown version has a name and a client id',
    steps: [
      client(request(999, 3, 1, 'c', raw('whatever this is')), request(3, 50, 2, 'c', raw('later'))),
      server(response(1, raw('anything')), response(2, [])),
      client(request(0, 50, 3, 'c', raw('later'))),
      server(response(3, raw('anything'))),
    ],
    expected: [
      { api: '999', version: 3, status: StatusValue.OK, clientId: 'c' },
      { api: 'Metadata', version: 50, status: StatusValue.OK, clientId: 'c' },
      {
        api: 'Produce',
        version: 50,
        status: StatusValue.OK,
        clientId: 'c',
        count: undefined,
        bytes: undefined,
      },
    ],
  },
  {
    name: 'SaslHandshake v0: tokens without headers, an empty one too, then requests again',
    steps: [
      client(request(17, 0, 1, 'c', str('PLAIN'))),
      server(response(1, [...i16(0), ...array(str('PLAIN'))])),
      client(frame(raw('\0user\0secret'))),
      server(frame([])),
      client(request(3, 0, 2, 'c', array(str('t')))),
      server(response(2, [...array(), ...array([...i16(3), ...str('t'), ...array()])])),
    ],
    expected: [
      { api: 'SaslHandshake', status: StatusValue.OK },
      { api: 'Metadata', status: StatusValue.ERROR, error: 'UNKNOWN_TOPIC_OR_PARTITION', target: 't' },
    ],
  },
  {
    name: 'ControlledShutdown v0: a header without client id',
    steps: [
      client(frame(i16(7), i16(0), i32(5), i32(1))),
      server(response(5, [...i16(0), ...array([...str('t'), ...i32(0)])])),
    ],
    expected: [{ api: 'ControlledShutdown', status: StatusValue.OK, clientId: '', correlationId: 5 }],
  },
  {
    name: 'a request whose lengths point out of it keeps its name',
    steps: [
      client(
        request(20, 0, 1, 'c', [...i32(1), ...i16(-2)]),
        request(12, 0, 2, 'c', [...str('g'), ...i32(1), ...str('m')]),
      ),
      server(response(1, array()), response(2, i16(0))),
    ],
    expected: [
      { api: 'DeleteTopics', status: StatusValue.OK, topics: [] },
      { api: 'Heartbeat', status: StatusValue.OK, group: 'g' },
    ],
  },
  {
    name: 'the connection is reset while a response is on its way',
    steps: [
      client(
        request(12, 0, 1, 'c', [...str('g'), ...i32(1), ...str('m')]),
        request(12, 0, 2, 'c', [...str('g'), ...i32(1), ...str('m')]),
      ),
      server(response(1, i16(0)).slice(0, -1)),
    ],
    settings: { close: StatusValue.RESET },
    expected: [
      { api: 'Heartbeat', status: StatusValue.RESET, correlationId: 2 },
      { api: 'Heartbeat', status: StatusValue.RESET, correlationId: 1 },
    ],
  },
];

function fetch13(id: number[] | null): number[] {
  const partition = [...i32(4), ...i32(-1), ...i64(0), ...i32(-1), ...i64(-1), ...i32(1024), ...TAGS];
  const topics = id === null ? carray() : carray([...id, ...carray(partition), ...TAGS]);
  return [
    ...i32(-1),
    ...i32(500),
    ...i32(1),
    ...i32(1024),
    ...i8(0),
    ...i32(0),
    ...i32(0),
    ...topics,
    ...carray(),
    ...cstr(''),
    ...TAGS,
  ];
}

function fetched13(id: number[], records: number[]): number[] {
  return [
    ...i32(0),
    ...i16(0),
    ...i32(1),
    ...carray([
      ...id,
      ...carray([
        ...i32(4),
        ...i16(0),
        ...i64(9),
        ...i64(9),
        ...i64(0),
        ...carray(),
        ...i32(-1),
        ...cblob(records),
        ...TAGS,
      ]),
      ...TAGS,
    ]),
    ...TAGS,
  ];
}

for (const { name, steps, expected, settings } of CASES) test(name, () => every(steps, expected, settings));

const heartbeat = (id: number, group: string): Uint8Array =>
  request(12, 0, id, 'c', [...str(group), ...i32(1), ...str('m')]);

test('nothing of a SASL exchange is in a record', () => {
  const outcome = converse(kafka, [
    client(request(36, 2, 1, 'c', [...cblob(raw('\0user\0secret')), ...TAGS], true)),
    server(response(1, [...i16(58), ...cstr('bad'), ...cblob(raw('token')), ...i64(0), ...TAGS], true)),
  ]);
  check(outcome, [
    { api: 'SaslAuthenticate', status: StatusValue.ERROR, error: 'SASL_AUTHENTICATION_FAILED' },
  ]);
  const text = JSON.stringify(outcome.records, (_key, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  assert.doesNotMatch(text, /user|secret|token/);
});

test('a hole inside record data costs its bytes and nothing else', () => {
  const records = [...batch([{ value: 'v'.repeat(500) }]), ...batch([{}, {}])];
  const whole = request(0, 7, 1, 'app', produce7(-1, produced('t', 0, records)));
  every(
    [
      client(whole.slice(0, 300)),
      { from: 0, gap: 100 },
      client(whole.slice(400)),
      server(response(1, produceAnswer('t', 0, 0))),
    ],
    [
      {
        api: 'Produce',
        status: StatusValue.OK,
        count: 3n,
        missing: 100n,
        requestBytes: whole.length,
        topics: ['t'],
        bytes: BigInt(records.length),
      },
    ],
  );
});

test('a hole over the header of a batch leaves the counts open, not at what was seen', () => {
  const records = batch([{ value: 'v'.repeat(500) }, {}]);
  const whole = request(0, 7, 1, 'app', produce7(0, produced('t', 0, [...records, ...records])));
  const second = whole.length - records.length;
  for (const hole of [second - records.length + 10, second + 10]) {
    every(
      [client(whole.slice(0, hole)), { from: 0, gap: 100 }, client(whole.slice(hole + 100))],
      [
        {
          api: 'Produce',
          status: StatusValue.OK,
          acks: 0,
          count: undefined,
          bytes: undefined,
          missing: 100n,
        },
      ],
    );
  }
  // The connection goes with the first batch only: there may be more.
  every(
    [client(whole.slice(0, second + 70))],
    [{ api: 'Produce', status: StatusValue.INCOMPLETE, count: undefined, bytes: undefined }],
  );
});

test('a hole in the fields of a response leaves its outcome open', () => {
  const answer = response(1, produceAnswer('topic', 0, 0));
  every(
    [
      client(request(0, 7, 1, 'app', produce7(-1, produced('topic', 0, batch([{}]))))),
      server(answer.slice(0, 14)),
      { from: 1, gap: 10 },
      server(answer.slice(24), response(1, [])),
    ],
    [{ api: 'Produce', status: StatusValue.INCOMPLETE, missing: 10n, responseBytes: answer.length }],
  );
});

test('after lost responses the next awaited one is found; those before it stay without', () => {
  every(
    [
      client(heartbeat(100, 'a'), heartbeat(101, 'b'), heartbeat(102, 'c')),
      { from: 1, gap: 17 },
      server(Uint8Array.from([0, 0, 1, 2, 3, 0]), response(102, i16(0))),
    ],
    [
      { api: 'Heartbeat', group: 'a', status: StatusValue.INCOMPLETE },
      { api: 'Heartbeat', group: 'b', status: StatusValue.INCOMPLETE },
      { api: 'Heartbeat', group: 'c', status: StatusValue.OK },
    ],
  );
});

test('a message whose end is lost ends where the hole is seen', () => {
  const records = batch([{ value: 'v'.repeat(500) }]);
  const asked = request(0, 7, 1, 'app', produce7(-1, produced('t', 0, records)));
  const partition = [...i32(0), ...i16(0), ...i64(9), ...i64(9), ...array(), ...blob(records)];
  const answer = response(2, [...i32(0), ...array([...str('t'), ...array(partition)])]);
  const fetch = [...i32(-1), ...i32(500), ...i32(1), ...i32(1000), ...i8(0), ...array()];
  const steps: Step[] = [
    { ...client(asked.slice(0, -100)), timeNs: 1000 },
    { from: 0, gap: 100, timeNs: 3000 },
    { ...server(response(1, produceAnswer('t', 0, 0))), timeNs: 5000 },
    { ...client(request(1, 4, 2, 'app', fetch)), timeNs: 6000 },
    { ...server(answer.slice(0, -100)), timeNs: 8000 },
    { from: 1, gap: 100, timeNs: 9000 },
  ];
  const outcome = converse(kafka, steps);
  check(outcome, [
    { api: 'Produce', status: StatusValue.OK, missing: 100n, requestBytes: asked.length },
    { api: 'Fetch', status: StatusValue.OK, missing: 100n, responseBytes: answer.length },
  ]);
  assert.deepEqual(outcome.timesNs, [
    [1000, 3000, 5000, 5000],
    [6000, 6000, 8000, 9000],
  ]);
});

test('in the middle of Metadata, the number and leader of a partition are no response', () => {
  const broker = (id: number): number[] => [...i32(id), ...cstr('h'), ...i32(9092), ...i8(0), ...TAGS];
  const partition = (id: number): number[] => [
    ...[...i16(0), ...i32(id), ...i32(1), ...i32(0)],
    ...[...carray(i32(1)), ...carray(i32(1)), ...carray(), ...TAGS],
  ];
  const partitions = Array.from({ length: 50 }, (_, i) => partition(i));
  const topic = [
    ...i16(0),
    ...cstr('t'),
    ...TOPIC_ID,
    ...i8(0),
    ...carray(...partitions),
    ...i32(0),
    ...TAGS,
  ];
  const metadata = (id: number): Uint8Array =>
    response(
      id,
      [...i32(0), ...carray(broker(1)), ...cstr(null), ...i32(1), ...carray(topic), ...TAGS],
      true,
    );
  const ask = (id: number): Uint8Array => request(3, 11, id, 'c', [0, ...i8(1), ...i8(0), ...TAGS], true);
  every(
    [
      client(ask(1)),
      { from: 1, gap: 200 },
      server(metadata(1).slice(200)),
      client(ask(2)),
      server(metadata(2)),
    ],
    [
      { api: 'Metadata', correlationId: 1, status: StatusValue.INCOMPLETE },
      { api: 'Metadata', correlationId: 2, status: StatusValue.OK, responseBytes: metadata(2).length },
    ],
  );
});

test('after lost requests the next one is found', () => {
  every(
    [
      client(heartbeat(1, 'a').slice(0, 20)),
      { from: 0, gap: 90 },
      client(raw8('tail of something \0\0\0'), heartbeat(9, 'z')),
      server(response(5, i16(0)), response(9, i16(0))),
    ],
    [
      { api: 'Heartbeat', correlationId: 1, status: StatusValue.INCOMPLETE },
      { api: 'Heartbeat', correlationId: 9, group: 'z', status: StatusValue.OK },
    ],
  );
});

function raw8(text: string): Uint8Array {
  return Uint8Array.from(raw(text));
}

test('joined in the middle, responses to requests before are passed over', () => {
  every(
    [client(heartbeat(7, 'a')), server(response(6, i16(0)), response(7, i16(0)))],
    [{ api: 'Heartbeat', correlationId: 7, status: StatusValue.OK }],
    { fromStart: false },
  );
});

test('the trace context of a request on its way is not that of a response that comes meanwhile', () => {
  const whole = request(0, 7, 2, 'c', produce7(1, produced('t', 0, TWO_RECORDS)));
  every(
    [
      client(heartbeat(1, 'a'), whole.slice(0, -4)),
      server(response(1, i16(0))),
      client(whole.slice(-4)),
      server(response(2, produceAnswer('t', 0, 0))),
    ],
    [
      { api: 'Heartbeat', status: StatusValue.OK, trace: '' },
      { api: 'Produce', status: StatusValue.OK, trace: TRACE_ID },
    ],
  );
});

test('joined in the middle, the first response is taken for one even with an error that nobody knows', () => {
  every(
    [client(heartbeat(20, 'a')), server(response(20, i16(5120)))],
    [{ api: 'Heartbeat', status: StatusValue.ERROR, error: '5120' }],
    { fromStart: false },
  );
});

test('behind a hole, zeros in a body are not the response to request 0', () => {
  every(
    [
      client(heartbeat(0, 'a'), heartbeat(1, 'b')),
      { from: 1, gap: 50 },
      server(hex8('00000006 00000000 0100'), response(1, i16(0))),
    ],
    [
      { api: 'Heartbeat', correlationId: 0, status: StatusValue.INCOMPLETE },
      { api: 'Heartbeat', correlationId: 1, status: StatusValue.OK },
    ],
  );
});

function hex8(digits: string): Uint8Array {
  return Uint8Array.from(hex(digits));
}

test('a Produce request of 3 MiB is counted as it comes', () => {
  const big = batch([{ value: 'v'.repeat(1 << 20) }]);
  const whole = request(0, 7, 1, 'app', produce7(1, produced('t', 0, [...big, ...big, ...big])));
  const pieces = (length: number): number[] =>
    Array.from({ length: Math.ceil(length / 1448) }, (_, i) => (i + 1) * 1448).filter((at) => at < length);
  const outcome = converse(kafka, [client(whole), server(response(1, produceAnswer('t', 0, 0)))], {
    cut: pieces,
  });
  check(outcome, [
    {
      api: 'Produce',
      status: StatusValue.OK,
      count: 3n,
      requestBytes: whole.length,
      bytes: BigInt(big.length * 3),
    },
  ]);
});

test('the oldest request goes when too many wait', () => {
  const requests = Array.from({ length: 20 }, (_, i) => heartbeat(i, `g${i}`));
  const outcome = converse(kafka, [client(...requests)], { options: { maxPending: 16 }, close: null });
  check(
    outcome,
    [0, 1, 2, 3].map((id) => ({ api: 'Heartbeat', correlationId: id, status: StatusValue.NO_RESPONSE })),
  );
});

test('damaged bytes and holes never throw, and the same bytes give the same records however they are cut', () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const texts = (outcome: Outcome): string =>
    JSON.stringify(outcome.records, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
  for (let round = 0; round < 1500; round++) {
    const { steps } = CASES[random(CASES.length)];
    const damaged = steps.flatMap((step): Step[] => {
      if (!('bytes' in step)) return [step];
      const bytes = Uint8Array.from(step.bytes as Uint8Array);
      for (let n = random(4); n > 0; n--) bytes[random(bytes.length)] = random(2) === 0 ? random(256) : 0xff;
      const { from } = step;
      if (random(3) > 0) return [{ from, bytes }];
      const hole = random(bytes.length);
      const behind = hole + random(bytes.length - hole);
      return [
        { from, bytes: bytes.subarray(0, hole) },
        { from, gap: behind - hole + 1 },
        { from, bytes: bytes.subarray(behind + 1) },
      ].filter((part) => !('bytes' in part) || part.bytes!.length > 0) as Step[];
    });
    const whole = converse(kafka, damaged);
    assert.equal(texts(converse(kafka, damaged, { cut: 'bytes' })), texts(whole));
  }
});
