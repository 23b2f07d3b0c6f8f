/**
 * Without rules each protocol is found by its content on any port: from the first message of either side, joined
 * between two roundtrips, beside another protocol on the same port, and behind another on the same connection.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { i16, i32, array as items, request, response, str } from '@packetd/sensor/protocols/kafka/bytes';
import * as amqp from '../messages/amqp.js';
import {
  bytesOf,
  CaptureBuilder,
  client,
  type Message,
  type Shape,
  server,
  u16,
  u32,
  u64,
} from '../messages/conversation.js';
import * as h2 from '../messages/http2.js';
import * as mongodb from '../messages/mongodb.js';
import * as mysql from '../messages/mysql.js';
import * as postgresql from '../messages/postgresql.js';
import * as redis from '../messages/redis.js';
import { byteByByte, decode } from './corpus.js';

/** A port that no protocol has for its own. */
const PORT = 31_999;

const directory = mkdtempSync(join(tmpdir(), 'packetd-detection-'));
after(() => rmSync(directory, { recursive: true }));

interface Exchange {
  readonly messages: readonly Message[];
  /** protocol, operation, target and status of the record. */
  readonly record: string;
}

/** A conversation of one protocol: roundtrips, each whole before the next. */
interface Spoken {
  readonly protocol: string;
  /** What opens a connection, with its record where there is one. */
  readonly opening?: Exchange | { readonly messages: readonly Message[]; readonly record: null };
  readonly exchanges: readonly Exchange[];
  /** Joined behind its opening, the first exchange is found, and with it all. */
  readonly joinable: boolean;
}

const http = (method: string, path: string): Exchange => ({
  messages: [
    client(`${method} ${path} HTTP/1.1\r\nHost: example.test\r\n\r\n`),
    server('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  ],
  record: `http ${method} ${path} OK`,
});
const http2 = (stream: number, path: string): Exchange => ({
  messages: [
    client(
      h2.frame(
        h2.FrameType.HEADERS,
        h2.END_STREAM | h2.END_HEADERS,
        stream,
        ...[
          h2.indexed(h2.GET),
          h2.indexed(h2.HTTP),
          h2.plain(h2.PATH, path),
          h2.plain(h2.AUTHORITY, 'example.test'),
        ],
      ),
    ),
    server(
      h2.frame(h2.FrameType.HEADERS, h2.END_HEADERS, stream, h2.indexed(h2.OK)),
      h2.frame(h2.FrameType.DATA, h2.END_STREAM, stream, 'ok'),
    ),
  ],
  record: `http2 GET ${path} OK`,
});
const grpc = (stream: number, method: string): Exchange => ({
  messages: [
    client(
      h2.frame(
        h2.FrameType.HEADERS,
        h2.END_HEADERS,
        stream,
        ...[h2.indexed(h2.POST), h2.indexed(h2.HTTP), h2.plain(h2.PATH, `/shop.Cart/${method}`)],
        ...[h2.plain(h2.AUTHORITY, 'cart.test'), h2.plain(h2.CONTENT_TYPE, 'application/grpc')],
      ),
      h2.frame(h2.FrameType.DATA, h2.END_STREAM, stream, 0, u32(2), 'hi'),
    ),
    server(
      h2.frame(
        h2.FrameType.HEADERS,
        h2.END_HEADERS,
        stream,
        h2.indexed(h2.OK),
        h2.plain(h2.CONTENT_TYPE, 'application/grpc'),
      ),
      h2.frame(h2.FrameType.DATA, 0, stream, 0, u32(2), 'ho'),
      h2.frame(h2.FrameType.HEADERS, h2.END_STREAM | h2.END_HEADERS, stream, h2.plain('grpc-status', '0')),
    ),
  ],
  record: `grpc shop.Cart/${method} OK`,
});
const resp = (reply: string, ...command: string[]): Exchange => ({
  messages: [client(redis.array(...command)), server(reply)],
  record: `redis ${command[0]} OK`,
});
const labels = (name: string) => bytesOf(...name.split('.').flatMap((label) => [label.length, label]), 0);
const dns = (id: number, name: string): Exchange => {
  const question = bytesOf(labels(name), u16(1), u16(1));
  const query = bytesOf(u16(id), u16(0x0100), u16(1), u16(0), u16(0), u16(0), question);
  const answer = bytesOf(
    ...[u16(id), u16(0x8180), u16(1), u16(1), u16(0), u16(0), question],
    ...[u16(0xc00c), u16(1), u16(1), u32(60), u16(4), u32(0xc0000207)],
  );
  return {
    messages: [client(u16(query.length), query), server(u16(answer.length), answer)],
    record: 'dns QUERY A OK',
  };
};
const kafka = (id: number, topic: string): Exchange => ({
  messages: [
    // ListOffsets version 1.
    client(
      request(2, 1, id, 'app', [
        ...i32(-1),
        ...items([...str(topic), ...items([...i32(0), ...i32(-1), ...i32(-1)])]),
      ]),
    ),
    server(
      response(
        id,
        items([...str(topic), ...items([...i32(0), ...i16(0), ...i32(0), ...i32(7), ...i32(0), ...i32(9)])]),
      ),
    ),
  ],
  record: `kafka ListOffsets ${topic} OK`,
});
const find = (id: number, collection: string): Exchange => ({
  messages: [
    client(mongodb.wire(mongodb.OP_MSG, id, 0, mongodb.body({ find: collection, $db: 'shop' }))),
    server(
      mongodb.wire(
        mongodb.OP_MSG,
        id + 100,
        id,
        mongodb.body({ cursor: { firstBatch: [], id: 0n, ns: `shop.${collection}` }, ok: 1 }),
      ),
    ),
  ],
  record: `mongodb find ${collection} OK`,
});
const simple = (sql: string, tag: string, record: string): Exchange => ({
  messages: [postgresql.query(sql), postgresql.done(tag)],
  record: `postgresql ${record}`,
});
const com = (sql: string, record: string): Exchange => ({
  messages: [client(mysql.packet(0, mysql.COM_QUERY, sql)), server(mysql.ok(1, 1))],
  record: `mysql ${record}`,
});
const declare = (queue: string): Exchange => ({
  messages: [
    client(amqp.method(1, 50, 10, u16(0), amqp.short(queue), 2, amqp.table({}))),
    server(amqp.method(1, 50, 11, amqp.short(queue), u32(0), u32(0))),
  ],
  record: `amqp queue.declare ${queue} OK`,
});

const CONVERSATIONS: readonly Spoken[] = [
  {
    protocol: 'http',
    exchanges: [http('GET', '/a'), http('DELETE', '/b'), http('GET', '/c')],
    joinable: true,
  },
  {
    protocol: 'http2',
    opening: { messages: h2.greetings(), record: null },
    exchanges: [http2(1, '/a'), http2(3, '/b'), http2(5, '/c')],
    joinable: true,
  },
  {
    protocol: 'grpc',
    opening: { messages: h2.greetings(), record: null },
    exchanges: [grpc(1, 'Add'), grpc(3, 'List'), grpc(5, 'Clear')],
    joinable: true,
  },
  {
    protocol: 'redis',
    exchanges: [
      resp('+OK\r\n', 'SET', 'a', 'b'),
      resp('$1\r\nb\r\n', 'GET', 'a'),
      resp(':1\r\n', 'DEL', 'a'),
    ],
    joinable: true,
  },
  {
    protocol: 'redis',
    exchanges: [
      resp('*0\r\n', 'GRAPH.QUERY', 'g', 'q'),
      resp('$1\r\nb\r\n', 'JSON.MGET', 'a', '$'),
      resp(':1\r\n', 'TS.MADD', 'a', '1', '2'),
    ],
    joinable: true,
  },
  { protocol: 'dns', exchanges: [dns(1, 'a.test'), dns(2, 'b.test'), dns(3, 'c.test')], joinable: true },
  {
    protocol: 'amqp',
    opening: {
      messages: [
        client('AMQP', 0, 0, 9, 1),
        server(amqp.method(0, 10, 10, 0, 9, amqp.table({}), amqp.long('PLAIN'), amqp.long('en_US'))),
        client(
          amqp.method(
            0,
            10,
            11,
            amqp.table({}),
            amqp.short('PLAIN'),
            amqp.long('\0u\0p'),
            amqp.short('en_US'),
          ),
        ),
        server(amqp.method(0, 10, 30, u16(2047), u32(131072), u16(60))),
        client(
          amqp.method(0, 10, 31, u16(2047), u32(131072), u16(60)),
          amqp.method(0, 10, 40, amqp.short('/'), amqp.short(''), 0),
        ),
        server(amqp.method(0, 10, 41, amqp.short(''))),
        client(amqp.method(1, 20, 10, amqp.short(''))),
        server(amqp.method(1, 20, 11, amqp.long(''))),
      ],
      record: 'amqp connect OK\namqp channel.open OK',
    },
    exchanges: [declare('a'), declare('b'), declare('c')],
    joinable: true,
  },
  { protocol: 'mongodb', exchanges: [find(1, 'a'), find(2, 'b'), find(3, 'c')], joinable: true },
  { protocol: 'kafka', exchanges: [kafka(1, 'a'), kafka(2, 'b'), kafka(3, 'c')], joinable: true },
  {
    protocol: 'postgresql',
    opening: {
      messages: [
        client(postgresql.startup(0x30000, 'user\0app\0database\0shop\0\0')),
        server(postgresql.message('R', u32(0)), postgresql.READY),
      ],
      record: 'postgresql connect OK',
    },
    exchanges: [
      simple('SELECT a FROM t', 'SELECT 0', 'SELECT t OK'),
      simple('DELETE FROM u', 'DELETE 1', 'DELETE u OK'),
      simple('COMMIT', 'COMMIT', 'COMMIT OK'),
    ],
    joinable: true,
  },
  {
    protocol: 'mysql',
    // The server speaks first.
    opening: {
      messages: [
        server(mysql.greeting),
        client(mysql.login(1, 'secret', 'mysql_native_password', 'x')),
        server(mysql.ok(2)),
      ],
      record: 'mysql connect OK',
    },
    exchanges: [
      com('DELETE FROM t', 'DELETE t OK'),
      com('UPDATE u SET a = 1', 'UPDATE u OK'),
      com('COMMIT', 'COMMIT OK'),
    ],
    joinable: true,
  },
];

const all = ({ opening, exchanges }: Spoken): Message[] => [
  ...(opening?.messages ?? []),
  ...exchanges.flatMap(({ messages }) => messages),
];
const records = ({ opening, exchanges }: Spoken): string[] => [
  ...(opening?.record?.split('\n') ?? []),
  ...exchanges.map(({ record }) => record),
];

/** `protocol operation target status` of every record, and the ledger. */
async function seen(
  connections: readonly (readonly [messages: readonly Message[], shape?: Partial<Shape>])[],
  single = false,
): Promise<{ lines: string[]; ledger: Record<string, unknown>; documents: Record<string, unknown>[] }> {
  const builder = new CaptureBuilder();
  for (const [messages, shape] of connections) builder.add(messages, { serverPort: PORT, ...shape });
  const path = builder.write(join(directory, 'detection.pcap'));
  const { documents, pipeline } = await decode(path, () => true, single ? byteByByte : null);
  const parsed = documents.map((text) => JSON.parse(text) as Document);
  return {
    documents: parsed as unknown as Record<string, unknown>[],
    lines: parsed.map(({ packetd: { protocol, operation, target, status } }) =>
      [protocol, operation, target, status].filter(Boolean).join(' '),
    ),
    ledger: pipeline.ledger.report(),
  };
}
interface Document {
  readonly packetd: { protocol: string; operation?: string; target?: string; status: string };
}

for (const single of [false, true]) {
  describe(single ? 'byte by byte' : 'in whole messages', () => {
    for (const spoken of CONVERSATIONS) {
      it(`${spoken.protocol} from its first message, on any port`, async () => {
        assert.deepEqual((await seen([[all(spoken)]], single)).lines, records(spoken));
      });
      if (!spoken.joinable) continue;
      it(`${spoken.protocol} joined between two roundtrips`, async () => {
        for (let from = 0; from < spoken.exchanges.length; from++) {
          const rest = spoken.exchanges.slice(from);
          const { lines } = await seen(
            [[rest.flatMap(({ messages }) => messages), { handshake: false }]],
            single,
          );
          assert.deepEqual(
            lines,
            rest.map(({ record }) => record),
          );
        }
      });
      it(`${spoken.protocol} joined between a request and its response`, async () => {
        const [first, ...rest] = spoken.exchanges;
        const messages = [...first.messages.slice(1), ...rest.flatMap((exchange) => exchange.messages)];
        const { lines } = await seen([[messages, { handshake: false }]], single);
        // The response without its request is said to be that, or not said at all.
        const answered = lines.filter((line) => / (OK|ERROR)$/.test(line) && line.split(' ').length > 2);
        assert.deepEqual(
          answered,
          rest.map(({ record }) => record),
        );
        assert.deepEqual([...new Set(lines.map((line) => line.split(' ')[0]))], [spoken.protocol]);
      });
    }

    it('any two protocols on one port', async () => {
      for (const one of CONVERSATIONS) {
        for (const other of CONVERSATIONS) {
          const { lines } = await seen([[all(one)], [all(other)]], single);
          assert.deepEqual(lines, [...records(one), ...records(other)]);
        }
      }
    });
  });
}

/** A ClientHello as far as its record header tells, and a record of the server. */
const TLS = [
  client(0x16, 3, 1, u16(5), 1, 0, 0, 1, 3),
  server(0x16, 3, 3, u16(5), 2, 0, 0, 1, 3),
  client(0x17, 3, 3, u16(40), 'GET / HTTP/1.1\r\nHost: hidden.test\r\n\r\n  '),
];
const tlsBytes = TLS.reduce((sum, { bytes }) => sum + bytes.length, 0);

for (const single of [false, true]) {
  describe(single ? 'what a connection becomes, byte by byte' : 'what a connection becomes', () => {
    const inside = (...exchanges: readonly Exchange[]) => exchanges.flatMap(({ messages }) => [...messages]);
    const connect = [
      client('CONNECT inner.test:1 HTTP/1.1\r\nHost: inner.test:1\r\n\r\n'),
      server('HTTP/1.1 200 Connection established\r\n\r\n'),
    ];

    it('HTTP/1.1 → h2c: stream 1 answers the request that asked for it', async () => {
      const { lines, documents } = await seen(
        [
          [
            [
              ...inside(http('GET', '/before')),
              client(
                'PUT /first HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade, HTTP2-Settings\r\n',
                'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 3\r\n\r\nabc',
              ),
              server(
                'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
                h2.frame(h2.FrameType.SETTINGS, 0, 0),
                h2.frame(h2.FrameType.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, h2.indexed(h2.OK)),
              ),
              client(h2.PREFACE, h2.frame(h2.FrameType.SETTINGS, 0, 0)),
              ...inside(http2(3, '/next')),
            ],
          ],
        ],
        single,
      );
      assert.deepEqual(lines, [
        'http GET /before OK',
        'http PUT /first OK',
        'http2 PUT /first OK',
        'http2 GET /next OK',
      ]);
      const codes = documents.map(
        ({ http }) => (http as { response: { status_code: number } }).response.status_code,
      );
      assert.deepEqual(codes, [200, 101, 200, 200]);
      const { request } = documents[2].http as { request: { method: string; body: { size: number } } };
      assert.deepEqual([request.method, request.body.size], ['PUT', 3]);
    });

    it('HTTP 101 → websocket: named, and what follows is no protocol of ours whatever is in it', async () => {
      const frames = [
        server(0x81, 40, 'GET /inside HTTP/1.1\r\nHost: hidden\r\n\r\n  '),
        client('GET /no HTTP/1.1\r\nHost: x\r\n\r\n'),
      ];
      const { lines, ledger, documents } = await seen(
        [
          [
            [
              client('GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
              server('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
              ...frames,
            ],
          ],
        ],
        single,
      );
      assert.deepEqual(lines, ['http GET /chat OK']);
      assert.equal((documents[0].http as { upgrade?: string }).upgrade, 'websocket');
      assert.equal(ledger.skippedOpaque, frames[0].bytes.length + frames[1].bytes.length);
    });

    for (const spoken of CONVERSATIONS) {
      it(`HTTP CONNECT → ${spoken.protocol}`, async () => {
        const { lines } = await seen([[[...connect, ...all(spoken)]]], single);
        assert.deepEqual(lines, ['http CONNECT OK', ...records(spoken)]);
      });
    }

    it('HTTP CONNECT → TLS: counted as that', async () => {
      const { lines, ledger } = await seen([[[...connect, ...TLS]]], single);
      assert.deepEqual(lines, ['http CONNECT OK']);
      assert.equal(ledger.skippedTls, tlsBytes);
    });

    it('HTTP CONNECT refused: still HTTP', async () => {
      const { lines } = await seen(
        [
          [
            [
              connect[0],
              server('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
              ...inside(http('GET', '/a')),
            ],
          ],
        ],
        single,
      );
      assert.deepEqual(lines, ['http CONNECT ERROR', 'http GET /a OK']);
    });

    it('PostgreSQL SSLRequest accepted: the rest is TLS', async () => {
      const { lines, ledger } = await seen(
        [[[client(postgresql.startup(80_877_103)), server('S'), ...TLS]]],
        single,
      );
      assert.deepEqual(lines, []);
      assert.equal(ledger.skippedTls, tlsBytes);
      assert.equal((ledger.protocols as Record<string, { connections: number }>).postgresql.connections, 1);
    });

    it('PostgreSQL SSLRequest and GSSENCRequest refused: the session follows', async () => {
      const postgres = CONVERSATIONS.find(({ protocol }) => protocol === 'postgresql')!;
      const { lines } = await seen(
        [
          [
            [
              ...[client(postgresql.startup(80_877_104)), server('N')],
              ...[client(postgresql.startup(80_877_103)), server('N'), ...all(postgres)],
            ],
          ],
        ],
        single,
      );
      assert.deepEqual(lines, records(postgres));
    });

    it('PostgreSQL GSSENCRequest accepted: the rest is opaque', async () => {
      const { lines, ledger } = await seen(
        [
          [
            [
              client(postgresql.startup(80_877_104)),
              server('G'),
              client(u32(6), 'secret'),
              server(u32(6), 'secret'),
            ],
          ],
        ],
        single,
      );
      assert.deepEqual(lines, []);
      assert.equal(ledger.skippedOpaque, 20);
    });

    it('MySQL SSLRequest: the login is said to go on in TLS', async () => {
      // SSLRequest: capabilities with CLIENT_SSL, largest packet, character set, filler.
      const asked = client(mysql.packet(1, ssl()));
      const { lines, ledger, documents } = await seen([[[server(mysql.greeting), asked, ...TLS]]], single);
      assert.deepEqual(
        lines.map((line) => line.split(' ').slice(0, 2).join(' ')),
        ['mysql connect'],
      );
      assert.equal((documents[0].mysql as { tls?: boolean }).tls, true);
      assert.equal(ledger.skippedTls, tlsBytes);
    });

    for (const [how, header] of [
      ['plain', [0, 1, 0, 0]],
      ['TLS', [2, 1, 0, 0]],
      ['SASL', [3, 1, 0, 0]],
    ] as const) {
      it(`AMQP 1.0 (${how}) is known as AMQP and not decoded`, async () => {
        // Its frames: size, data offset, type, channel.
        const frame = bytesOf(u32(16), 2, 0, u16(0), u64(0));
        const { lines, ledger } = await seen(
          [[[client('AMQP', ...header), server('AMQP', ...header), client(frame), server(frame)]]],
          single,
        );
        assert.deepEqual(lines, []);
        const counts = (ledger.protocols as Record<string, Record<string, number>>).amqp;
        assert.equal(counts.connections, 1);
        assert.equal(counts.undecodableBytes, 2 * frame.length + 8);
        assert.equal(counts.decodedBytes, 8);
      });
    }
  });
}

/** CLIENT_PROTOCOL_41 and CLIENT_SSL, 16 MB, utf8mb4, 23 bytes of nothing. */
function ssl(): Buffer {
  const body = Buffer.alloc(32);
  body.writeUInt32LE(0x200 | 0x800 | 0x8000 | 0x80000, 0);
  body.writeUInt32LE(1 << 24, 4);
  body[8] = 45;
  return body;
}
