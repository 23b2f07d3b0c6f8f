/** Expected values are those of MongoDB's wire protocol reference and of bsonspec.org. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import type { Mongodb } from '@packetd/proto/gen/packetd/v1/mongodb_pb';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { compressSync } from 'snappy';
import { everyCut, rawZstd, type Step } from '../harness.js';
import { mongodb } from './index.js';

type Value = number | string | boolean | null | bigint | Value[] | { [key: string]: Value };

/** BSON of a plain value: numbers are int32 where whole, else double; a bigint is int64. */
function bson(document: { [key: string]: Value } | Value[]): Buffer {
  const elements = Object.entries(document).map(([key, value]) => element(key, value));
  const body = Buffer.concat([...elements, Buffer.of(0)]);
  return Buffer.concat([int32(body.length + 4), body]);
}
function element(key: string, value: Value): Buffer {
  const [type, bytes] = encode(value);
  return Buffer.concat([Buffer.of(type), Buffer.from(`${key}\0`), bytes]);
}
function encode(value: Value): [type: number, bytes: Buffer] {
  if (value === null) return [0x0a, Buffer.alloc(0)];
  switch (typeof value) {
    case 'string':
      return [0x02, Buffer.concat([int32(Buffer.byteLength(value) + 1), Buffer.from(`${value}\0`)])];
    case 'boolean':
      return [0x08, Buffer.of(value ? 1 : 0)];
    case 'bigint': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(value);
      return [0x12, bytes];
    }
    case 'number': {
      if (value === (value | 0)) return [0x10, int32(value)];
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(value);
      return [0x01, bytes];
    }
    default:
      return Array.isArray(value) ? [0x04, bson(value)] : [0x03, bson(value)];
  }
}
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
const double = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};

/** `{"a":{"a":…}}` */
function nested(levels: number): { [key: string]: Value } {
  let document: { [key: string]: Value } = {};
  for (let i = 0; i < levels; i++) document = { a: document };
  return document;
}

const message = (id: number, to: number, opcode: number, body: Uint8Array): Buffer =>
  Buffer.concat([int32(16 + body.length), int32(id), int32(to), int32(opcode), body]);
const msgBody = (flags: number, document: { [key: string]: Value }, sequences: Buffer[] = []): Buffer =>
  Buffer.concat([int32(flags), Buffer.of(0), bson(document), ...sequences]);
const msg = (id: number, to: number, document: { [key: string]: Value }, flags = 0): Buffer =>
  message(id, to, 2013, msgBody(flags, document));
const sequence = (name: string, documents: { [key: string]: Value }[]): Buffer => {
  const body = Buffer.concat([Buffer.from(`${name}\0`), ...documents.map(bson)]);
  return Buffer.concat([Buffer.of(1), int32(body.length + 4), body]);
};

const c = (...parts: Uint8Array[]): Step => ({ from: 0, bytes: Buffer.concat(parts) });
const s = (...parts: Uint8Array[]): Step => ({ from: 1, bytes: Buffer.concat(parts) });
const detail = (record: RoundTrip): Mongodb => record.detail.value as Mongodb;
const line = (record: RoundTrip): string => {
  const d = detail(record);
  return [d.command, d.collection, Status[record.status], d.statusCode]
    .filter((part) => part !== '')
    .join(' ');
};

interface Case {
  name: string;
  steps: Step[];
  expect: string[];
  check?: (details: Mongodb[], records: RoundTrip[]) => void;
}

const CASES: Case[] = [
  {
    name: 'find and its first batch; $db stands anywhere, values are not kept',
    steps: [
      c(
        msg(7, 0, {
          find: 'users',
          filter: { name: 'hunter2', age: { $gt: 30 } },
          tags: ['a', 'b'],
          lsid: { id: 'x' },
          $db: 'shop',
        }),
      ),
      s(
        msg(1, 7, {
          cursor: { firstBatch: [{ a: 1 }, { a: 2 }], id: 9007199254740993n, ns: 'shop.users' },
          ok: 1.0,
        }),
      ),
    ],
    expect: ['find users OK'],
    check: ([d], [r]) => {
      assert.equal(d.database, 'shop');
      assert.equal(d.queryText, '{"find":"users","filter":{"name":?,"age":{"$gt":?}},"tags":[?]}');
      assert.equal(d.querySummary, 'find users');
      assert.equal(d.documentsReturned, 2n);
      assert.equal(d.cursorId, '9007199254740993');
      assert.equal(r.target, 'users');
    },
  },
  {
    name: 'replies pair by responseTo, and ids are signed',
    steps: [
      c(msg(-5, 0, { ping: 1, $db: 'a' }), msg(2147483647, 0, { count: 'x', $db: 'a' })),
      s(msg(1, 2147483647, { n: 4, ok: 1 }), msg(2, -5, { ok: 1 })),
    ],
    expect: ['count x OK', 'ping OK'],
    check: (d) => {
      assert.equal(d[0].affected, 4n);
      assert.equal(d[1].requestId, -5);
    },
  },
  {
    name: 'a double that is no count',
    steps: [c(msg(1, 0, { delete: 'x', $db: 'a' })), s(msg(3, 1, { n: 1e70, ok: 1 }))],
    expect: ['delete x OK'],
    check: ([d]) => assert.equal(d.affected, undefined),
  },
  {
    name: 'getMore names its collection in another key',
    steps: [
      c(msg(1, 0, { getMore: 5n, collection: 'users', $db: 'shop' })),
      s(msg(2, 1, { cursor: { nextBatch: [], id: 0n, ns: 'shop.users' }, ok: 1 })),
    ],
    expect: ['getMore users OK'],
    check: ([d]) => {
      assert.equal(d.cursorId, '5');
      assert.equal(d.documentsReturned, 0n);
    },
  },
  {
    name: 'errors: ok of any type, code and name, without what the message repeats',
    steps: [
      c(msg(1, 0, { drop: 'none', $db: 'a' })),
      s(
        message(
          2,
          1,
          2013,
          Buffer.concat([
            int32(0),
            Buffer.of(0),
            bson({ ok: 0, errmsg: 'ns not found', code: 26, codeName: 'NamespaceNotFound' }),
          ]),
        ),
      ),
      c(msg(3, 0, { insert: 'users', $db: 'a' })),
      s(
        msg(4, 3, {
          n: 0,
          writeErrors: [
            {
              index: 0,
              code: 11000,
              errmsg:
                'E11000 duplicate key error collection: a.users index: email_1 dup key: { email: "hunter2" }',
            },
          ],
          ok: 1,
        }),
      ),
      c(msg(5, 0, { insert: 'users', $db: 'a' })),
      s(
        msg(6, 5, {
          n: 1,
          writeConcernError: { code: 64, codeName: 'WriteConcernFailed', errmsg: 'waiting' },
          ok: true,
        }),
      ),
    ],
    expect: ['drop none ERROR 26', 'insert users ERROR 11000', 'insert users ERROR 64'],
    check: (d, r) => {
      assert.equal(r[0].errorType, 'NamespaceNotFound');
      assert.equal(
        d[1].errorMessage,
        'E11000 duplicate key error collection: a.users index: email_1 dup key: ?',
      );
      assert.equal(r[2].errorType, 'WriteConcernFailed');
    },
  },
  {
    // Manual, "bulkWrite": nErrors, and in the cursor `ok: 0` and the code of each operation that failed.
    name: 'bulkWrite: its first write error is the error',
    steps: [
      c(
        message(
          1,
          0,
          2013,
          Buffer.concat([
            msgBody(0, { bulkWrite: 1, errorsOnly: false, $db: 'admin' }),
            sequence('ops', [
              { insert: 0, document: { _id: 1 } },
              { insert: 0, document: { _id: 1 } },
            ]),
            sequence('nsInfo', [{ ns: 'shop.users' }]),
          ]),
        ),
      ),
      s(
        msg(2, 1, {
          cursor: {
            id: 0n,
            firstBatch: [
              { ok: 1.0, idx: 0, n: 1 },
              { ok: 0, idx: 1, code: 11000, errmsg: 'E11000 duplicate key error: { _id: "hunter2" }', n: 0 },
              { ok: 0, idx: 2, code: 121, errmsg: 'Document failed validation', n: 0 },
            ],
            ns: 'admin.$cmd.bulkWrite',
          },
          nErrors: 2,
          nInserted: 1,
          nMatched: 3,
          nModified: 2,
          nUpserted: 1,
          nDeleted: 4,
          ok: 1,
        }),
      ),
      c(msg(3, 0, { bulkWrite: 1, $db: 'admin' })),
      s(
        msg(4, 3, {
          cursor: { id: 0n, firstBatch: [], ns: 'admin.$cmd.bulkWrite' },
          nErrors: 0,
          nInserted: 2,
          ok: 1,
        }),
      ),
      // The fields of a document that is found mean nothing.
      c(msg(5, 0, { find: 'x', $db: 'a' })),
      s(msg(6, 5, { cursor: { id: 0n, firstBatch: [{ ok: 0, code: 11000 }] }, nErrors: 1, ok: 1 })),
    ],
    expect: ['bulkWrite ERROR 11000', 'bulkWrite OK', 'find x OK'],
    check: ([d, whole]) => {
      assert.equal(d.documentsSent, 2n);
      assert.equal(d.affected, 9n);
      assert.equal(d.errorMessage, 'E11000 duplicate key error: ?');
      assert.equal(whole.affected, 2n);
    },
  },
  {
    // BSON of MongoDB ends at 100 levels; what is deeper than the text goes is stepped over.
    name: 'nesting without end',
    steps: [
      c(msg(1, 0, { find: 'x', filter: nested(500), $db: 'a' })),
      s(msg(2, 1, { cursor: { firstBatch: [nested(500)], id: 0n }, ok: 1 })),
    ],
    expect: ['find x OK'],
    check: ([d]) => assert.deepEqual([d.database, d.documentsReturned], ['a', 1n]),
  },
  {
    name: 'lengths that lie: a document of 2 GiB, of nothing, and of more than the one around it',
    steps: [0x7fffffff, 0, 200].flatMap((length, i) => {
      const lying = bson({ cursor: { firstBatch: [], id: 0n }, ok: 1 });
      lying.writeInt32LE(length, lying.indexOf('cursor\0') + 7);
      return [
        c(msg(i, 0, { find: 'x', $db: 'a' })),
        s(message(9, i, 2013, Buffer.concat([int32(0), Buffer.of(0), lying]))),
      ];
    }),
    expect: ['find x INCOMPLETE', 'find x INCOMPLETE', 'find x INCOMPLETE'],
  },
  {
    name: 'a responseTo of -1 is that of a request, found after a loss too',
    steps: [
      c(msg(1, -1, { ping: 1, $db: 'a' })),
      s(msg(2, 1, { ok: 1 })),
      { from: 0, gap: 100 },
      c(msg(3, -1, { find: 'x', $db: 'a' })),
      s(msg(4, 3, { ok: 1 })),
    ],
    expect: ['ping OK', 'find x OK'],
  },
  ...([0, 1, 2, 3] as const).flatMap((id) =>
    [-1, 1].map((lie): Case => {
      // A server refuses what does not unpack to its uncompressedSize: nothing is known of it.
      const pack = [
        (body: Buffer) => body,
        (body: Buffer) => compressSync(body) as Buffer,
        deflateSync,
        rawZstd,
      ][id];
      const packed = (requestId: number, to: number, body: Buffer) =>
        message(
          requestId,
          to,
          2012,
          Buffer.concat([int32(2013), int32(body.length + lie), Buffer.of(id), pack(body)]),
        );
      return {
        name: `OP_COMPRESSED with compressor ${id} whose size is off by ${lie}`,
        steps: [
          c(msg(1, 0, { find: 'users', $db: 'shop' })),
          s(packed(2, 1, msgBody(0, { cursor: { firstBatch: [{ a: 1 }], id: 0n }, ok: 1 }))),
        ],
        expect: ['find users INCOMPLETE'],
      };
    }),
  ),
  {
    name: 'document sequences before and behind the command, and the checksum',
    steps: [
      c(
        message(
          1,
          0,
          2013,
          Buffer.concat([
            int32(1),
            sequence('documents', [{ a: 1 }, { a: 2 }]),
            Buffer.of(0),
            bson({ insert: 'users', $db: 'shop' }),
            int32(-1),
          ]),
        ),
      ),
      s(msg(2, 1, { n: 2, ok: 1 })),
    ],
    expect: ['insert users OK'],
    check: ([d]) => {
      assert.equal(d.documentsSent, 2n);
      assert.equal(d.affected, 2n);
    },
  },
  {
    name: 'moreToCome: no reply is expected',
    steps: [c(msg(1, 0, { insert: 'logs', $db: 'a' }, 2))],
    expect: ['insert logs OK'],
    check: ([d]) => assert.equal(d.unacknowledged, true),
  },
  {
    name: 'exhaust: many replies to one request',
    steps: [
      c(msg(1, 0, { getMore: 5n, collection: 'users', $db: 'a' }, 1 << 16)),
      s(
        msg(10, 1, { cursor: { nextBatch: [{ a: 1 }], id: 5n }, ok: 1 }, 2),
        msg(11, 10, { cursor: { nextBatch: [{ a: 2 }, { a: 3 }], id: 5n }, ok: 1 }, 2),
        msg(12, 11, { cursor: { nextBatch: [], id: 0n }, ok: 1 }),
      ),
    ],
    expect: ['getMore users OK'],
    check: ([d]) => {
      assert.equal(d.documentsReturned, 3n);
      assert.equal(d.furtherReplies, 2);
    },
  },
  ...(
    [
      [0, (body) => body],
      [1, (body) => compressSync(Buffer.from(body)) as Buffer],
      [2, (body) => deflateSync(body)],
      [3, rawZstd],
    ] as [number, (body: Uint8Array) => Uint8Array][]
  ).map(([id, pack]): Case => {
    const packed = (requestId: number, to: number, body: Uint8Array) =>
      message(
        requestId,
        to,
        2012,
        Buffer.concat([int32(2013), int32(body.length), Buffer.of(id), pack(body)]),
      );
    return {
      name: `OP_COMPRESSED with compressor ${id}`,
      steps: [
        c(packed(1, 0, msgBody(0, { find: 'users', $db: 'shop' }))),
        s(packed(2, 1, msgBody(0, { cursor: { firstBatch: [{ a: 1 }], id: 0n }, ok: 1 }))),
      ],
      expect: ['find users OK'],
      check: ([d]) => {
        assert.equal(d.documentsReturned, 1n);
        assert.equal(d.compressor, ['', 'snappy', 'zlib', 'zstd'][id]);
      },
    };
  }),
  {
    name: 'legacy hello by OP_QUERY, answered by OP_REPLY',
    steps: [
      c(
        message(
          1,
          0,
          2004,
          Buffer.concat([int32(0), Buffer.from('admin.$cmd\0'), int32(0), int32(-1), bson({ isMaster: 1 })]),
        ),
      ),
      s(
        message(
          2,
          1,
          1,
          Buffer.concat([int32(8), Buffer.alloc(8), int32(0), int32(1), bson({ ismaster: true, ok: 1.0 })]),
        ),
      ),
    ],
    expect: ['isMaster OK'],
    check: ([d]) => assert.equal(d.database, 'admin'),
  },
  {
    name: 'legacy writes are one-way, a legacy query is a find',
    steps: [
      c(
        message(1, 0, 2002, Buffer.concat([int32(0), Buffer.from('shop.users\0'), bson({ a: 1 })])),
        message(
          2,
          0,
          2004,
          Buffer.concat([
            int32(0),
            Buffer.from('shop.users\0'),
            int32(0),
            int32(0),
            bson({ $query: { name: 'hunter2' }, $orderby: { a: 1 } }),
          ]),
        ),
      ),
      s(
        message(
          3,
          2,
          1,
          Buffer.concat([int32(2), Buffer.alloc(8), int32(0), int32(1), bson({ $err: 'bad', code: 13 })]),
        ),
      ),
    ],
    expect: ['insert users OK', 'find users ERROR 13'],
  },
  {
    name: 'no reply',
    steps: [c(msg(1, 0, { find: 'x', $db: 'a' }))],
    expect: ['find x NO_RESPONSE'],
  },
  {
    name: 'a gap inside of a document that is stepped over costs bytes',
    steps: [
      c(msg(1, 0, { find: 'x', $db: 'a' })),
      s(msg(2, 1, { big: 'y'.repeat(5000), ok: 1 }).subarray(0, 100)),
      { from: 1, gap: 1000 },
      s(msg(2, 1, { big: 'y'.repeat(5000), ok: 1 }).subarray(1100)),
    ],
    expect: ['find x OK'],
    check: (_, [r]) => assert.equal(r.missingBytes, 1000n),
  },
  ...(
    [
      // Inside the first document, up to its end, and beyond.
      [120, 1000, 3n],
      [80, 2002, 3n],
      [80, 2003, 0n],
    ] as const
  ).map(([from, length, sent]): Case => {
    const documents = ['a', 'b', 'c'].map((letter) => ({ text: letter.repeat(2000) }));
    const insert = message(
      1,
      0,
      2013,
      msgBody(0, { insert: 'x', $db: 'a' }, [sequence('documents', documents)]),
    );
    return {
      name: `documents of a sequence are counted where none may be missing: gap at ${from}`,
      steps: [
        c(insert.subarray(0, from)),
        { from: 0, gap: length },
        c(insert.subarray(from + length)),
        s(msg(2, 1, { n: 3, ok: 1 })),
      ],
      expect: ['insert x OK'],
      check: ([d], [r]) => {
        assert.equal(d.documentsSent, sent);
        assert.equal(d.affected, 3n);
        assert.equal(r.client?.bytes, BigInt(insert.length));
        assert.equal(r.missingBytes, BigInt(length));
      },
    };
  }),
  {
    name: 'a reply of which a part is lost has no count of documents, and is no success',
    steps: (() => {
      const batch = Array.from({ length: 20 }, (_, i) => ({ i }));
      const found = msg(2, 1, { cursor: { firstBatch: batch, id: 0n, ns: 'a.x' }, ok: 1 });
      const failed = msg(4, 3, { n: 0, ok: 1, writeErrors: [{ index: 0, code: 11000, errmsg: 'E11000' }] });
      const firstOk = failed.indexOf('ok\0') + 7;
      return [
        c(msg(1, 0, { find: 'x', $db: 'a' })),
        s(found.subarray(0, 150)),
        { from: 1, gap: 100 } as Step,
        s(found.subarray(250)),
        c(msg(3, 0, { insert: 'x', $db: 'a' })),
        s(failed.subarray(0, firstOk)),
        { from: 1, gap: failed.length - firstOk } as Step,
      ];
    })(),
    expect: ['find x INCOMPLETE', 'insert x INCOMPLETE'],
    check: ([d]) => assert.equal(d.documentsReturned, undefined),
  },
  {
    name: 'after a gap the next message is found',
    steps: [
      c(msg(1, 0, { find: 'x', $db: 'a' })),
      s(msg(9, 1, { ok: 1, note: 'zzzz' }).subarray(0, 10)),
      { from: 1, gap: 1000 },
      s(Buffer.from('rest of something'), msg(3, 2, { ok: 1 })),
      c(msg(4, 0, { ping: 1, $db: 'a' })),
      s(msg(5, 4, { ok: 1 })),
    ],
    expect: ['ping OK', 'find x INCOMPLETE'],
  },
];

for (const example of CASES) {
  test(example.name, () => {
    const outcome = everyCut(mongodb, example.steps, {}, (actual, expected, cut) =>
      assert.deepEqual(actual, expected, cut),
    );
    assert.deepEqual(outcome.records.map(line), example.expect);
    example.check?.(outcome.records.map(detail), outcome.records);
    const text = JSON.stringify(outcome.records, (_, value) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
    assert.ok(!text.includes('hunter2'));
  });
}

test('ok is a number of any type', () => {
  for (const [type, value, status] of [
    [0x01, double(0), 'ERROR'],
    [0x01, double(1), 'OK'],
    [0x10, int32(0), 'ERROR'],
    [0x12, Buffer.alloc(8), 'ERROR'],
    [0x08, Buffer.of(1), 'OK'],
  ] as const) {
    const body = Buffer.concat([Buffer.of(type), Buffer.from('ok\0'), value, Buffer.of(0)]);
    const document = Buffer.concat([int32(body.length + 4), body]);
    const reply = message(2, 1, 2013, Buffer.concat([int32(0), Buffer.of(0), document]));
    const outcome = everyCut(mongodb, [c(msg(1, 0, { ping: 1, $db: 'a' })), s(reply)], {}, () => {});
    assert.equal(Status[outcome.records[0].status], status);
  }
});
