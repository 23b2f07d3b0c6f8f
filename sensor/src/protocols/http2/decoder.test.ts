/** Expected values are those of RFC 9113 and of gRPC's PROTOCOL-HTTP2.md. Header blocks are plain literals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusValue } from '@packetd/proto';
import type { Grpc } from '@packetd/proto/gen/packetd/v1/grpc_pb';
import type { Http2 } from '@packetd/proto/gen/packetd/v1/http2_pb';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { http2 } from '../grpc/index.js';
import { everyCut, type Step } from '../harness.js';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PUSH_PROMISE = 5;
const GOAWAY = 7;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 32;

const u32 = (value: number): Buffer =>
  Buffer.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
const frame = (type: number, flags: number, stream: number, payload: Uint8Array | string = ''): Buffer => {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : Buffer.from(payload);
  return Buffer.concat([u32(body.length).subarray(1), Buffer.of(type, flags), u32(stream), body]);
};
/** Literals without indexing (RFC 7541 section 6.2.2). */
const block = (fields: Record<string, string>): Buffer =>
  Buffer.concat(
    Object.entries(fields).map(([name, value]) =>
      Buffer.concat([
        Buffer.of(0, name.length),
        Buffer.from(name),
        Buffer.of(value.length),
        Buffer.from(value),
      ]),
    ),
  );
const request = (path: string, further: Record<string, string> = {}): Buffer =>
  block({ ':method': 'GET', ':scheme': 'http', ':path': path, ':authority': 'shop.test', ...further });
const headers = (stream: number, fields: Buffer, flags = END_HEADERS | END_STREAM): Buffer =>
  frame(HEADERS, flags, stream, fields);
const OPEN = END_HEADERS;

const c = (...parts: Uint8Array[]): Step => ({ from: 0, bytes: Buffer.concat(parts) });
const s = (...parts: Uint8Array[]): Step => ({ from: 1, bytes: Buffer.concat(parts) });
const START: Step[] = [c(Buffer.from(PREFACE), frame(SETTINGS, 0, 0)), s(frame(SETTINGS, 0, 0))];

const line = (record: RoundTrip): string => {
  const { detail } = record;
  if (detail.case === 'grpc')
    return `${detail.value.method} ${detail.value.statusCode} ${Status[record.status]}`;
  const d = detail.value as Http2;
  return `${d.method || '-'} ${d.path || '-'} ${d.statusCode || '-'} ${Status[record.status]}`;
};

interface Case {
  name: string;
  steps: Step[];
  expect: string[];
  fromStart?: boolean;
  close?: number;
  check?: (records: RoundTrip[]) => void;
}

const GRPC = { ':method': 'POST', 'content-type': 'application/grpc+proto', te: 'trailers' };
const call = (stream: number, method: string, further: Record<string, string> = {}, flags = OPEN): Buffer =>
  headers(stream, request(`/shop.v1.Orders/${method}`, { ...GRPC, ...further }), flags);
const message = (text: string): Buffer => Buffer.concat([Buffer.of(0), u32(text.length), Buffer.from(text)]);
const grpcHeaders = (stream: number): Buffer =>
  headers(stream, block({ ':status': '200', 'content-type': 'application/grpc' }), OPEN);
const trailers = (stream: number, status: string, text?: string): Buffer =>
  headers(stream, block({ 'grpc-status': status, ...(text === undefined ? {} : { 'grpc-message': text }) }));
const grpcOf = (record: RoundTrip): Grpc => record.detail.value as Grpc;

/** 0x80 + 62 and on are entries of the dynamic table (RFC 7541 section 2.3.3). */
const HIDDEN_REQUEST = Buffer.of(0x83, 0x86, 0xbe, 0xbf);
const HIDDEN_RESPONSE = Buffer.of(0x88, 0xbe);

/** Literals with incremental indexing (section 6.2.1), and references to them: 62 is the newest. */
const added = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.of(0x40, name.length),
    Buffer.from(name),
    Buffer.of(value.length),
    Buffer.from(value),
  ]);
const ADDED_RESPONSE = Buffer.concat([Buffer.of(0x88), added('content-type', 'application/grpc')]);
const ADDED_TRAILERS = added('grpc-status', '0');
const SAME_RESPONSE = Buffer.of(0x88, 0xbf);
const SAME_TRAILERS = Buffer.of(0xbe);

const CASES: Case[] = [
  {
    name: 'a request and its response, END_STREAM on HEADERS',
    steps: [
      ...START,
      c(headers(1, request('/users/42?token=hunter2', { authorization: 'Bearer hunter2' }))),
      s(headers(1, block({ ':status': '204' }))),
    ],
    expect: ['GET /users/42 204 OK'],
    check: ([r]) => {
      const d = r.detail.value as Http2;
      assert.equal(d.route, '/users/{id}');
      assert.equal(d.host, 'shop.test');
      assert.equal(d.streamId, 1);
      assert.equal(r.protocolVersion, '2');
    },
  },
  {
    name: 'streams interleave, bodies are counted without their padding',
    steps: [
      ...START,
      c(
        headers(1, request('/a')),
        headers(3, request('/b'), OPEN),
        frame(DATA, END_STREAM | PADDED, 3, '\u0003hellopad'),
      ),
      s(
        headers(3, block({ ':status': '200' }), OPEN),
        headers(1, block({ ':status': '404' }), OPEN),
        frame(DATA, 0, 3, 'abc'),
        frame(DATA, END_STREAM, 1, ''),
        frame(DATA, END_STREAM, 3, 'def'),
      ),
    ],
    expect: ['GET /a 404 ERROR', 'GET /b 200 OK'],
    check: ([, r]) => {
      const d = r.detail.value as Http2;
      assert.equal(d.requestBodyBytes, 5n);
      assert.equal(d.responseBodyBytes, 6n);
    },
  },
  {
    name: 'CONTINUATION, PRIORITY, PADDED HEADERS, unknown frames',
    steps: [
      ...START,
      c(
        frame(
          HEADERS,
          PADDED | PRIORITY | END_STREAM,
          1,
          Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 16), request('/a').subarray(0, 9), Buffer.of(0, 0)]),
        ),
        frame(CONTINUATION, 0, 1, request('/a').subarray(9, 20)),
        frame(CONTINUATION, END_HEADERS, 1, request('/a').subarray(20)),
        frame(0xbe, 0xff, 0, 'grease'),
      ),
      s(headers(1, block({ ':status': '200' }))),
    ],
    expect: ['GET /a 200 OK'],
  },
  {
    name: '1xx is not the response; trailers are not either',
    steps: [
      ...START,
      c(headers(1, request('/a'))),
      s(
        headers(1, block({ ':status': '103' }), OPEN),
        headers(1, block({ ':status': '200' }), OPEN),
        frame(DATA, 0, 1, 'x'),
        headers(1, block({ 'x-sum': '1' })),
      ),
    ],
    expect: ['GET /a 200 OK'],
  },
  {
    name: 'RST_STREAM cancels with its code; GOAWAY what it did not process',
    steps: [
      ...START,
      c(
        headers(1, request('/a')),
        frame(RST_STREAM, 0, 1, u32(8)),
        headers(3, request('/b')),
        headers(5, request('/c')),
      ),
      s(frame(GOAWAY, 0, 0, Buffer.concat([u32(3), u32(0)])), headers(3, block({ ':status': '200' }))),
    ],
    expect: ['GET /a - CANCELLED', 'GET /c - CANCELLED', 'GET /b 200 OK'],
    check: ([r]) => {
      assert.equal((r.detail.value as Http2).errorCode, 'CANCEL');
      assert.equal(r.errorType, 'CANCEL');
    },
  },
  {
    name: 'the server pushes',
    steps: [
      ...START,
      c(headers(1, request('/a'))),
      s(
        frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([u32(2), request('/style.css')])),
        headers(1, block({ ':status': '200' })),
        headers(2, block({ ':status': '200' })),
      ),
    ],
    expect: ['GET /a 200 OK', 'GET /style.css 200 OK'],
    check: ([, r]) => assert.equal((r.detail.value as Http2).pushed, true),
  },
  {
    name: 'no response, and one that is cut off',
    steps: [
      ...START,
      c(headers(1, request('/a')), headers(3, request('/b'))),
      s(headers(3, block({ ':status': '200' }), OPEN), frame(DATA, 0, 3, 'abc')),
    ],
    expect: ['GET /a - NO_RESPONSE', 'GET /b 200 INCOMPLETE'],
  },
  {
    name: 'a gap inside of DATA costs bytes; behind another, frames are found again',
    steps: [
      ...START,
      c(headers(1, request('/a')), headers(3, request('/b'))),
      s(
        headers(1, block({ ':status': '200' }), OPEN),
        frame(DATA, END_STREAM, 1, 'x'.repeat(100)).subarray(0, 50),
      ),
      { from: 1, gap: 30 },
      s(Buffer.from('x'.repeat(29))),
      { from: 1, gap: 500 },
      s(
        Buffer.from('rest of a body'),
        frame(DATA, 0, 3, 'abc'),
        frame(DATA, 0, 3, 'abc'),
        frame(DATA, END_STREAM, 3, 'abc'),
      ),
      c(headers(5, request('/c'))),
      s(headers(5, block({ ':status': '200' }))),
    ],
    expect: ['GET /a 200 OK', 'GET /b - INCOMPLETE', 'GET /c 200 OK'],
    check: ([r]) => assert.equal(r.missingBytes, 30n),
  },
  {
    name: 'frames lost: whose DATA they were is not known, so no size of a body that was under way is told',
    steps: [
      ...START,
      c(headers(1, request('/a')), headers(3, request('/b'), OPEN), frame(DATA, 0, 3, 'abc')),
      { from: 0, gap: 500 },
      c(frame(DATA, END_STREAM, 3, 'def')),
      s(headers(1, block({ ':status': '200' }), OPEN), frame(DATA, END_STREAM, 1, 'abc')),
      s(headers(3, block({ ':status': '404' }), OPEN), frame(DATA, 0, 3, 'abc')),
      { from: 1, gap: 500 },
      s(frame(DATA, END_STREAM, 3, 'def')),
      c(headers(5, request('/c'))),
      s(headers(5, block({ ':status': '200' }))),
    ],
    expect: ['GET /a 200 OK', 'GET /b 404 ERROR', 'GET /c 200 OK'],
    check: (records) =>
      assert.deepEqual(
        records
          .map(({ detail }) => detail.value as Http2)
          .map((d) => [d.requestBodyBytes, d.responseBodyBytes]),
        [
          [0n, 3n],
          [undefined, undefined],
          [0n, 0n],
        ],
      ),
  },
  {
    name: 'a response that may be among what is lost was not cut off by the reset behind it',
    steps: [
      ...START,
      c(headers(1, request('/a')), headers(3, request('/b'))),
      s(headers(3, block({ ':status': '200' }), OPEN)),
      { from: 1, gap: 30 },
      c(headers(5, request('/c'))),
    ],
    close: StatusValue.RESET,
    expect: ['GET /a - INCOMPLETE', 'GET /b 200 INCOMPLETE', 'GET /c - RESET'],
  },
  {
    name: 'gRPC: frames lost: neither messages nor bytes are told',
    steps: [
      ...START,
      c(call(1, 'Add'), frame(DATA, END_STREAM, 1, message('one'))),
      s(grpcHeaders(1), frame(DATA, 0, 1, message('sum'))),
      { from: 0, gap: 30 },
      { from: 1, gap: 30 },
      s(trailers(1, '0')),
    ],
    expect: ['shop.v1.Orders/Add OK OK'],
    check: ([r]) => {
      const { requestMessages, requestBodyBytes, responseMessages, responseBodyBytes } = grpcOf(r);
      assert.deepEqual([requestMessages, requestBodyBytes], [1, 8n]);
      assert.deepEqual([responseMessages, responseBodyBytes], [undefined, undefined]);
    },
  },
  {
    name: 'gRPC: what the server has added before frames were lost is known behind them',
    steps: [
      ...START,
      c(call(1, 'Get', {}, OPEN | END_STREAM), call(3, 'Get', {}, OPEN | END_STREAM)),
      s(headers(1, ADDED_RESPONSE, OPEN), headers(1, ADDED_TRAILERS)),
      s(headers(3, SAME_RESPONSE, OPEN), headers(3, SAME_TRAILERS)),
      c(call(5, 'Get', {}, OPEN | END_STREAM)),
      { from: 1, gap: 60 },
      c(call(7, 'Get', {}, OPEN | END_STREAM), call(9, 'Get', {}, OPEN | END_STREAM)),
      s(headers(7, SAME_RESPONSE, OPEN), headers(7, SAME_TRAILERS)),
      s(headers(9, SAME_RESPONSE, OPEN), headers(9, SAME_TRAILERS)),
    ],
    expect: [
      'shop.v1.Orders/Get OK OK',
      'shop.v1.Orders/Get OK OK',
      'shop.v1.Orders/Get OK OK',
      'shop.v1.Orders/Get OK OK',
      'shop.v1.Orders/Get  INCOMPLETE',
    ],
    check: (records) =>
      assert.deepEqual(
        records.map((r) => grpcOf(r).streamId),
        [1, 3, 7, 9, 5],
      ),
  },
  {
    name: 'gRPC: unary, with its message, metadata and deadline',
    steps: [
      ...START,
      c(
        call(1, 'Get', { 'grpc-timeout': '100m', authorization: 'Bearer hunter2' }),
        frame(DATA, END_STREAM, 1, message('abc')),
      ),
      s(grpcHeaders(1), frame(DATA, 0, 1, message('defgh')), trailers(1, '0')),
    ],
    expect: ['shop.v1.Orders/Get OK OK'],
    check: ([r]) => {
      const d = grpcOf(r);
      assert.equal(d.service, 'shop.v1.Orders');
      assert.equal(d.timeout, '100m');
      assert.equal(d.contentSubtype, 'proto');
      assert.equal(d.streaming, 'unary');
      assert.deepEqual([d.requestMessages, d.responseMessages], [1, 1]);
      assert.equal(d.responseBodyBytes, 10n);
      assert.equal(r.operation, 'shop.v1.Orders/Get');
    },
  },
  {
    name: 'gRPC: Trailers-Only, and a message that is percent-encoded and repeats a value',
    steps: [
      ...START,
      c(call(1, 'Get'), frame(DATA, END_STREAM, 1, message('abc'))),
      s(
        headers(
          1,
          block({
            ':status': '200',
            'content-type': 'application/grpc',
            'grpc-status': '5',
            'grpc-message': 'no%20order%20"hunter2"',
          }),
        ),
      ),
    ],
    expect: ['shop.v1.Orders/Get NOT_FOUND ERROR'],
    check: ([r]) => {
      assert.equal(grpcOf(r).statusMessage, 'no order ?');
      assert.equal(r.errorType, 'NOT_FOUND');
    },
  },
  {
    name: 'gRPC: streams of messages, split anywhere between frames',
    steps: [
      ...START,
      c(
        call(1, 'Chat'),
        frame(DATA, 0, 1, message('one').subarray(0, 3)),
        frame(DATA, END_STREAM, 1, Buffer.concat([message('one').subarray(3), message('two')])),
      ),
      s(
        grpcHeaders(1),
        frame(DATA, 0, 1, Buffer.concat([message('a'), message('b'), message('')])),
        trailers(1, '0'),
      ),
    ],
    expect: ['shop.v1.Orders/Chat OK OK'],
    check: ([r]) => {
      assert.deepEqual([grpcOf(r).requestMessages, grpcOf(r).responseMessages], [2, 3]);
      assert.equal(grpcOf(r).streaming, 'bidi_stream');
    },
  },
  {
    name: 'gRPC: no trailers but RST_STREAM, and an HTTP error of a proxy',
    steps: [
      ...START,
      c(call(1, 'Slow', {}, OPEN), frame(RST_STREAM, 0, 1, u32(8)), call(3, 'Get', {}, OPEN | END_STREAM)),
      s(headers(3, block({ ':status': '503', 'content-type': 'text/html' }))),
    ],
    expect: ['shop.v1.Orders/Slow CANCELLED CANCELLED', 'shop.v1.Orders/Get UNAVAILABLE ERROR'],
  },
  {
    name: 'gRPC: what a GOAWAY leaves unprocessed is UNAVAILABLE, which clients may send again',
    steps: [
      ...START,
      c(call(1, 'Get', {}, END_HEADERS | END_STREAM)),
      s(frame(GOAWAY, 0, 0, Buffer.concat([u32(0), u32(11)]))),
    ],
    expect: ['shop.v1.Orders/Get UNAVAILABLE CANCELLED'],
  },
  {
    name: 'gRPC: joined in the middle, path and content type in a table that was not seen',
    fromStart: false,
    steps: [
      // POST, http, and what the dynamic table had at 62 and 63.
      c(headers(7, HIDDEN_REQUEST, OPEN), frame(DATA, END_STREAM, 7, message('x'))),
      s(headers(7, HIDDEN_RESPONSE, OPEN), frame(DATA, 0, 7, message('y')), trailers(7, '5')),
      // The status is in the table too: it may be any.
      c(headers(9, HIDDEN_REQUEST, OPEN), frame(DATA, END_STREAM, 9, message('x'))),
      s(headers(9, HIDDEN_RESPONSE, OPEN), frame(DATA, 0, 9, message('y')), headers(9, Buffer.of(0xbf))),
      // A form is no message.
      c(headers(11, HIDDEN_REQUEST, OPEN), frame(DATA, END_STREAM, 11, 'a=b')),
      s(headers(11, HIDDEN_RESPONSE)),
    ],
    expect: [' NOT_FOUND ERROR', '  INCOMPLETE', 'POST - 200 OK'],
  },
  {
    name: 'joined in the middle: a status that is not known is not a success',
    fromStart: false,
    steps: [c(headers(1, Buffer.of(0x82, 0x86, 0x84))), s(headers(1, Buffer.of(0xbe)))],
    expect: ['GET / - INCOMPLETE'],
  },
  {
    name: 'joined inside of a frame of the server',
    fromStart: false,
    steps: [
      c(headers(9, request('/a'))),
      s(
        Buffer.from('z'.repeat(40)),
        frame(DATA, END_STREAM, 7, 'abc'),
        headers(9, block({ ':status': '200' })),
      ),
    ],
    expect: ['GET /a 200 OK'],
  },
  {
    name: 'a header block that cannot be read ends its stream all the same',
    steps: [
      ...START,
      c(headers(1, request('/a')), headers(3, request('/b'))),
      // Index 62 of an empty dynamic table.
      s(headers(1, Buffer.of(0xbe)), headers(3, block({ ':status': '200' }))),
    ],
    expect: ['GET /a - INCOMPLETE', 'GET /b 200 OK'],
  },
  {
    name: 'gRPC-Web: the trailers are in the body',
    steps: [
      ...START,
      c(
        call(1, 'Get', { 'content-type': 'application/grpc-web+proto' }),
        frame(DATA, END_STREAM, 1, message('abc')),
      ),
      s(
        headers(1, block({ ':status': '200', 'content-type': 'application/grpc-web+proto' }), OPEN),
        frame(
          DATA,
          END_STREAM,
          1,
          Buffer.concat([message('x'), Buffer.of(0x80), u32(16), Buffer.from('grpc-status: 3\r\n')]),
        ),
      ),
    ],
    expect: ['shop.v1.Orders/Get INVALID_ARGUMENT ERROR'],
    check: ([r]) => {
      assert.equal(grpcOf(r).responseMessages, 1);
      assert.equal(grpcOf(r).contentSubtype, 'web+proto');
    },
  },
  {
    name: 'gRPC-Web in base64, padded where it was flushed',
    steps: [
      ...START,
      c(
        call(1, 'Get', { 'content-type': 'application/grpc-web-text' }),
        frame(DATA, END_STREAM, 1, Buffer.from(message('abc').toString('base64'))),
      ),
      s(
        headers(1, block({ ':status': '200', 'content-type': 'application/grpc-web-text' }), OPEN),
        frame(DATA, 0, 1, Buffer.from(message('x').toString('base64'))),
        frame(
          DATA,
          END_STREAM,
          1,
          Buffer.from(
            Buffer.concat([Buffer.of(0x80), u32(16), Buffer.from('grpc-status: 0\r\n')]).toString('base64'),
          ),
        ),
      ),
    ],
    expect: ['shop.v1.Orders/Get OK OK'],
    check: ([r]) => {
      assert.deepEqual([grpcOf(r).requestMessages, grpcOf(r).responseMessages], [1, 1]);
      assert.equal(grpcOf(r).contentSubtype, 'web-text');
    },
  },
];

for (const example of CASES) {
  test(example.name, () => {
    const outcome = everyCut(
      http2,
      example.steps,
      { fromStart: example.fromStart, close: example.close },
      (actual, expected, cut) => assert.deepEqual(actual, expected, cut),
    );
    assert.deepEqual(outcome.records.map(line), example.expect);
    example.check?.(outcome.records);
    const text = JSON.stringify(outcome.records, (_, value) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
    assert.ok(!text.includes('hunter2'));
  });
}
