/** Expected values are those of RFC 9110 and RFC 9112, section by section, and of tshark for captures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusValue } from '@packetd/proto';
import type { Http } from '@packetd/proto/gen/packetd/v1/http_pb';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import fc from 'fast-check';
import type { DecoderOptions } from '../decoder.js';
import { converse, type Outcome, type Step } from '../harness.js';
import { http } from './index.js';

const c = (bytes: string): Step => ({ from: 0, bytes });
const s = (bytes: string): Step => ({ from: 1, bytes });
const lost = (from: 0 | 1, gap: number): Step => ({ from, gap });
const fin = (from: 0 | 1): Step => ({ from, fin: true });

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
const OK0 = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const OK5 = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

interface Case {
  name: string;
  steps: Step[];
  /** `METHOD path status STATUS`, one a record. */
  expect: string[];
  handOver?: string;
  close?: number;
  fromStart?: boolean;
  undecodable?: number;
  options?: Partial<DecoderOptions>;
  check?: (details: Http[], records: RoundTrip[]) => void;
}

const detail = (record: RoundTrip): Http => {
  assert.equal(record.detail.case, 'http');
  return record.detail.value as Http;
};
const line = (record: RoundTrip): string => {
  const { method, path, statusCode } = detail(record);
  return `${method || '-'} ${path || '-'} ${statusCode || '-'} ${Status[record.status]}`;
};

const CASES: Case[] = [
  {
    name: 'one request',
    steps: [c(GET), s(OK5)],
    expect: ['GET /a 200 OK'],
    check: ([d], [r]) => {
      assert.equal(d.host, 'h');
      assert.equal(d.scheme, 'http');
      assert.equal(d.route, '/a');
      assert.equal(r.operation, 'GET');
      assert.equal(r.target, '/a');
      assert.equal(r.protocolVersion, '1.1');
      assert.equal(d.requestHeaderBytes, 28n);
      assert.equal(d.responseHeaderBytes, 38n);
      assert.equal(d.requestBodyBytes, 0n);
      assert.equal(d.responseBodyBytes, 5n);
      assert.equal(r.client?.bytes, 28n);
      assert.equal(r.server?.bytes, 43n);
      assert.equal(r.errorType, '');
    },
  },
  {
    name: 'pipelining answers in order',
    steps: [
      c('GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n'),
      s(`${OK5}HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n${OK0}`),
    ],
    expect: ['GET /1 200 OK', 'GET /2 404 ERROR', 'GET /3 200 OK'],
  },
  {
    // What a head left behind must not stick to the next one that is like it, or nearly.
    name: 'heads that repeat, and then do not',
    steps: (() => {
      const ask = (line: string, agent: string) =>
        c(`${line} HTTP/1.1\r\nHost: h\r\nUser-Agent: ${agent}\r\n\r\n`);
      const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
      const failed = 'HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello';
      return [
        ...[1, 2, 3].flatMap(() => [ask('GET /a', 'one'), s(OK5)]),
        ...[ask('GET /a', 'two'), s(failed)],
        ...[ask('HEAD /a', 'two'), s('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')],
        ...[1, 2, 3].flatMap(() => [ask('GET /a', 'one'), s(chunked)]),
        ...[ask('GET http://other/a', 'one'), s(OK5), ask('GET /a', 'one'), s(OK5)],
      ];
    })(),
    expect: [
      ...[1, 2, 3].map(() => 'GET /a 200 OK'),
      'GET /a 503 ERROR',
      'HEAD /a 200 OK',
      ...[1, 2, 3].map(() => 'GET /a 200 OK'),
      ...[1, 2].map(() => 'GET /a 200 OK'),
    ],
    check: (details, records) => {
      assert.deepEqual(
        details.map((d) => `${d.userAgent} ${d.host} ${d.responseBodyBytes}`),
        [
          ...[1, 2, 3].map(() => 'one h 5'),
          'two h 5',
          'two h 0',
          ...[1, 2, 3].map(() => 'one h 3'),
          ...['one other 5', 'one h 5'],
        ],
      );
      assert.deepEqual(
        details.map((d) => d.requestHeaders.map(({ key, value }) => `${key}: ${value}`)),
        details.map((d) => ['host: h', `user-agent: ${d.userAgent}`]),
      );
      assert.deepEqual(
        records.map((r) => r.errorType),
        records.map((r) => (r.status === Status.ERROR ? '503' : '')),
      );
    },
  },
  {
    name: '100 is not the final response',
    steps: [
      c('POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n'),
      s('HTTP/1.1 100 Continue\r\n\r\n'),
      c('abc'),
      s(OK0),
    ],
    expect: ['POST /p 200 OK'],
  },
  {
    name: '103 with fields is not the final response',
    steps: [c(GET), s(`HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n${OK5}`)],
    expect: ['GET /a 200 OK'],
  },
  {
    name: 'expectation refused and the body never sent',
    steps: [
      c('PUT /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n'),
      s('HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n'),
      c(GET),
      s(OK0),
    ],
    expect: ['PUT /p 417 ERROR', 'GET /a 200 OK'],
  },
  {
    name: '101 websocket is opaque',
    steps: [
      c('GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      s('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello'),
    ],
    expect: ['GET /ws 101 OK'],
    handOver: 'opaque',
    check: ([d]) => assert.equal(d.upgrade, 'websocket'),
  },
  {
    name: '101 h2c hands over to http2',
    steps: [
      c('GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n'),
      s('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n'),
    ],
    expect: ['GET / 101 OK'],
    handOver: 'http2',
  },
  {
    name: 'preface sent before the 101 waits for it',
    steps: [
      c('GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      s('HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n'),
    ],
    expect: ['GET / 101 OK'],
    handOver: 'http2',
  },
  {
    name: 'upgrade refused stays HTTP',
    steps: [c('GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n'), s(OK5), c(GET), s(OK0)],
    expect: ['GET / 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'prior-knowledge preface hands over',
    steps: [c('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    expect: [],
    handOver: 'http2',
  },
  {
    name: 'CONNECT 2xx is a tunnel',
    steps: [
      c('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n'),
      s('HTTP/1.1 200 Connection established\r\nContent-Length: 10\r\n\r\n'),
    ],
    expect: ['CONNECT - 200 OK'],
    handOver: 'detect',
    check: ([d]) => {
      assert.equal(d.host, 'example.com');
      assert.equal(d.hostPort, 443);
    },
  },
  {
    name: 'CONNECT refused is an ordinary response',
    steps: [
      c('CONNECT h:1 HTTP/1.1\r\n\r\n'),
      s('HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno'),
      c('CONNECT h:1 HTTP/1.1\r\n\r\n'),
      s('HTTP/1.1 200 OK\r\n\r\n'),
    ],
    expect: ['CONNECT - 407 ERROR', 'CONNECT - 200 OK'],
    handOver: 'detect',
  },
  {
    name: 'HEAD has no body',
    steps: [
      c('HEAD /h HTTP/1.1\r\n\r\n'),
      s('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n'),
      c(GET),
      s(OK0),
    ],
    expect: ['HEAD /h 200 OK', 'GET /a 200 OK'],
  },
  {
    name: '204 has no body',
    steps: [c(GET), s('HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n'), c(GET), s(OK5)],
    expect: ['GET /a 204 OK', 'GET /a 200 OK'],
  },
  {
    name: '304 has no body',
    steps: [c(GET), s('HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n'), c(GET), s(OK5)],
    expect: ['GET /a 304 OK', 'GET /a 200 OK'],
  },
  {
    name: 'chunked with extensions and trailers',
    steps: [
      c(GET),
      s(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n5;a="b;c"\r\nhello\r\n0A\r\n0123456789\r\n0;x\r\nExpires: 0\r\n\r\n',
      ),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
    check: ([d]) => assert.equal(d.responseBodyBytes, 15n),
  },
  {
    name: '0 CRLF inside chunk data is data',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n0\r\n\r\nab\r\n0\r\n\r\n'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
    check: ([d]) => assert.equal(d.responseBodyBytes, 7n),
  },
  {
    name: 'chunked request',
    steps: [
      c('POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'),
      s(OK0),
      c(GET),
      s(OK5),
    ],
    expect: ['POST /p 200 OK', 'GET /a 200 OK'],
    check: ([d]) => assert.equal(d.requestBodyBytes, 3n),
  },
  {
    name: 'close-delimited body ends at FIN',
    steps: [c('GET /a HTTP/1.0\r\n\r\n'), s('HTTP/1.0 200 OK\r\n\r\nsome HTTP/1.1 200 OK\r\nbody'), fin(1)],
    expect: ['GET /a 200 OK'],
    check: ([d], [r]) => {
      assert.equal(d.responseBodyBytes, 26n);
      assert.equal(r.protocolVersion, '1.0');
    },
  },
  {
    name: 'close-delimited body cut by RST',
    steps: [c(GET), s('HTTP/1.1 200 OK\r\n\r\nsome')],
    close: StatusValue.RESET,
    expect: ['GET /a 200 RESET'],
  },
  {
    name: 'HTTP/1.0 keep-alive with a length goes on',
    steps: [
      c('GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'),
      s('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
  },
  // PROTOCOL-WEB.md: the trailers are the last frame of the body, or header fields where there is no body.
  ...(
    [
      ['web+proto', 'grpc-status: 13\r\n', 'ERROR'],
      ['web+proto', 'grpc-message:x\r\nGRPC-Status:0\r\n', 'OK'],
      ['web-text', 'grpc-status:5\r\n', 'ERROR'],
      ['web-text+proto', 'grpc-status:0\r\n', 'OK'],
      ['web', '', 'OK'],
    ] as const
  ).map(([subtype, trailers, status]): Case => {
    const frame = (flags: number, text: string) =>
      Buffer.concat([Buffer.of(flags, 0, 0, 0, text.length), Buffer.from(text)]);
    const parts = [frame(0, 'a message'), ...(trailers === '' ? [] : [frame(0x80, trailers)])];
    const body = subtype.startsWith('web-text')
      ? parts.map((part) => part.toString('base64')).join('')
      : Buffer.concat(parts).toString('latin1');
    return {
      name: `gRPC-Web, application/grpc-${subtype}, ${JSON.stringify(trailers)}`,
      steps: [
        c('POST /a.B/C HTTP/1.1\r\nContent-Length: 0\r\n\r\n'),
        s(
          `HTTP/1.1 200 OK\r\nContent-Type: application/grpc-${subtype}\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
        ),
        c(GET),
        s(OK5),
      ],
      expect: [`POST /a.B/C 200 ${status}`, 'GET /a 200 OK'],
      check: (_, [r]) =>
        assert.equal(
          r.errorType,
          { '1': 'INTERNAL', '5': 'NOT_FOUND' }[trailers.match(/:\s*([15])/)?.[1] ?? ''] ?? '',
        ),
    };
  }),
  {
    name: 'gRPC-Web without a body',
    steps: [
      c('POST /a.B/C HTTP/1.1\r\nContent-Length: 0\r\n\r\n'),
      s(
        'HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\ngrpc-status: 16\r\nContent-Length: 0\r\n\r\n',
      ),
      c(GET),
      // Nothing else is a call.
      s('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ngrpc-status: 16\r\nContent-Length: 0\r\n\r\n'),
    ],
    expect: ['POST /a.B/C 200 ERROR', 'GET /a 200 OK'],
    check: (_, [r]) => assert.equal(r.errorType, 'UNAUTHENTICATED'),
  },
  // RFC 9112 section 6.3: the server answers 400 (Node, or 501: nginx, Go) and closes.
  ...['Transfer-Encoding: xchunked', 'Transfer-Encoding: chunked, gzip', 'Content-Length: 7'].map(
    (field): Case => {
      const request = `POST /p HTTP/1.1\r\n${field}\r\nContent-Length: 5\r\n\r\nhello\r\nGET /b HTTP/1.1\r\n\r\n`;
      return {
        name: `a request that nobody can delimit is the last: ${field}`,
        steps: [c(request), s('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'), fin(1), fin(0)],
        expect: ['POST /p 400 ERROR'],
        check: (_, [r]) => assert.equal(r.client?.bytes, BigInt(request.length)),
      };
    },
  ),
  {
    name: 'a request that nobody can delimit, to a server that does not mind',
    steps: [
      c('POST /p HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello'),
      s(OK0),
      c('GET /b HTTP/1.1\r\n\r\n'),
      s(OK5),
    ],
    expect: ['POST /p 200 OK', 'GET /b 200 OK'],
  },
  {
    name: 'a response whose last coding is not chunked: until close',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n5\r\nhello'),
      fin(1),
    ],
    expect: ['GET /a 200 OK'],
    check: ([d]) => assert.equal(d.responseBodyBytes, 8n),
  },
  {
    name: 'Transfer-Encoding beats Content-Length',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'equal Content-Lengths are one',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'different Content-Lengths of a response: until close',
    steps: [c(GET), s('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'), fin(1)],
    expect: ['GET /a 200 OK'],
    check: ([d]) => assert.equal(d.responseBodyBytes, 6n),
  },
  {
    name: 'bare LF and leading empty lines',
    steps: [c('\r\n\nGET /a HTTP/1.1\nHost: h\n\n'), s('\r\nHTTP/1.1 200 OK\nContent-Length: 5\n\nhello')],
    expect: ['GET /a 200 OK'],
    check: ([d], [r]) => {
      assert.equal(d.host, 'h');
      assert.equal(r.client?.bytes, 25n);
    },
  },
  {
    name: 'obs-fold is one space',
    steps: [c('GET /a HTTP/1.1\r\nX-Long: one\r\n  two\r\n\tthree\r\nHost: h\r\n\r\n'), s(OK0)],
    expect: ['GET /a 200 OK'],
    check: ([d]) => {
      assert.deepEqual(
        d.requestHeaders.map((h) => [h.key, h.value]),
        [
          ['x-long', 'one two three'],
          ['host', 'h'],
        ],
      );
    },
  },
  {
    name: 'folded Content-Length frames the body',
    steps: [c(GET), s('HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello'), c(GET), s(OK0)],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'names in any case, duplicates keep all values',
    steps: [
      c('GET /a HTTP/1.1\r\nHOST: h:81\r\nAccept: a\r\naCCEPT:b \r\nX-Empty:\r\nUser-agent: ua\r\n\r\n'),
      s('HTTP/1.1 200 OK\r\ncontent-LENGTH: 1\r\n\r\nx'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
    check: ([d]) => {
      assert.deepEqual(
        d.requestHeaders.map((h) => [h.key, h.value]),
        [
          ['host', 'h:81'],
          ['accept', 'a'],
          ['accept', 'b'],
          ['x-empty', ''],
          ['user-agent', 'ua'],
        ],
      );
      assert.equal(d.userAgent, 'ua');
      assert.equal(d.hostPort, 81);
    },
  },
  {
    name: 'absolute form',
    steps: [c('GET https://u:p@Example.com:8443/x/42?q=1#f HTTP/1.1\r\nHost: other\r\n\r\n'), s(OK0)],
    expect: ['GET /x/42 200 OK'],
    check: ([d]) => {
      assert.equal(d.scheme, 'https');
      assert.equal(d.host, 'Example.com');
      assert.equal(d.hostPort, 8443);
      assert.equal(d.query, 'q=1');
      assert.equal(d.route, '/x/{id}');
    },
  },
  {
    name: 'absolute form without path',
    steps: [c('GET http://h HTTP/1.1\r\n\r\n'), s(OK0)],
    expect: ['GET / 200 OK'],
  },
  {
    name: 'asterisk form',
    steps: [c('OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n'), s(OK0)],
    expect: ['OPTIONS * 200 OK'],
    check: ([d]) => {
      assert.equal(d.host, '::1');
      assert.equal(d.hostPort, 8080);
    },
  },
  {
    name: 'any method token',
    steps: [c('fr0b! /a HTTP/1.1\r\n\r\n'), s(OK0)],
    expect: ['fr0b! /a 200 OK'],
    check: (_, [r]) => assert.equal(r.operation, '_OTHER'),
  },
  {
    name: 'space in the target, several spaces in the line',
    steps: [c('GET  /a b  HTTP/1.1 \r\n\r\n'), s(OK0)],
    expect: ['GET /a b 200 OK'],
  },
  {
    name: 'status line without reason',
    steps: [c(GET), s('HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n')],
    expect: ['GET /a 500 ERROR'],
    check: (_, [r]) => assert.equal(r.errorType, '500'),
  },
  {
    name: 'early 4xx: the record waits for the request',
    steps: [
      c('POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234'),
      s('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'),
      c('56789'),
      c(GET),
      s(OK0),
    ],
    expect: ['POST /p 413 ERROR', 'GET /a 200 OK'],
    check: ([d]) => assert.equal(d.requestBodyBytes, 10n),
  },
  {
    name: 'early 4xx and then the end',
    steps: [
      c('POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234'),
      s('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'),
    ],
    expect: ['POST /p 413 ERROR'],
  },
  {
    name: 'server times out a silent client',
    steps: [s('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n'), fin(1)],
    expect: ['- - 408 ERROR'],
  },
  {
    name: 'more responses than requests',
    steps: [c(GET), s(OK0 + OK5), c(GET), s(OK0)],
    expect: ['GET /a 200 OK', '- - 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'joined in the middle: response without its request',
    fromStart: false,
    steps: [s(OK5), c(GET), s(OK0)],
    expect: ['- - 200 INCOMPLETE', 'GET /a 200 OK'],
  },
  {
    name: 'only what the server sends is captured: requests are lost before each response',
    fromStart: false,
    steps: [s(OK5), lost(0, 30), s(OK0), lost(0, 30), s(OK5)],
    expect: ['- - 200 INCOMPLETE', '- - 200 INCOMPLETE', '- - 200 INCOMPLETE'],
  },
  {
    name: 'the client was lost only, and is seen in the end',
    fromStart: false,
    steps: [s(OK5), lost(0, 30), s(OK0), c(GET), s(OK0), lost(0, 30), s(OK5)],
    expect: ['- - 200 INCOMPLETE', '- - 200 INCOMPLETE', 'GET /a 200 OK'],
  },
  {
    name: 'joined inside a body',
    fromStart: false,
    steps: [s('of something\nHTTP/1.1 is\nold'), c(GET), s(`\n${OK5}`)],
    expect: ['GET /a 200 OK'],
    undecodable: 29,
  },
  {
    name: 'gap inside a body of known length',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123'),
      lost(1, 90),
      s('678901'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
    check: ([d], [r]) => {
      assert.equal(r.missingBytes, 90n);
      assert.equal(d.responseBodyBytes, 100n);
      assert.equal(r.server?.bytes, 140n);
    },
  },
  {
    name: 'gap at the end of a body',
    steps: [c(GET), s('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123'), lost(1, 96), c(GET), s(OK0)],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'gap inside a body up to the end of the connection: its bytes are of the size all the same',
    steps: [c(GET), s('HTTP/1.0 200 OK\r\n\r\nabc'), lost(1, 100), s('def'), { from: 1, fin: true }],
    expect: ['GET /a 200 OK'],
    check: ([d], [r]) => {
      assert.equal(d.responseBodyBytes, 106n);
      // 19 bytes of head.
      assert.equal(r.server?.bytes, 125n);
      assert.equal(r.missingBytes, 100n);
    },
  },
  {
    name: 'gap inside chunk data',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n0123'),
      lost(1, 96),
      s('\r\n0\r\n\r\n'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'gap over a chunk line',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n01'),
      lost(1, 30),
      s('rest\r\n0\r\n\r\n'),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 INCOMPLETE', 'GET /a 200 OK'],
  },
  {
    name: 'gap in a request body',
    steps: [c('PUT /p HTTP/1.1\r\nContent-Length: 50\r\n\r\n'), lost(0, 50), s(OK0), c(GET), s(OK0)],
    expect: ['PUT /p 200 OK', 'GET /a 200 OK'],
  },
  {
    name: 'gap in a response head',
    steps: [
      c(GET),
      s('HTTP/1.1 200 OK\r\nContent-'),
      lost(1, 20),
      s('xyz'),
      c('GET /b HTTP/1.1\r\n\r\n'),
      s(OK5),
    ],
    expect: ['GET /a 200 INCOMPLETE', 'GET /b 200 OK'],
  },
  {
    name: 'gap in a request head',
    steps: [
      c('GET /a HTTP/1.1\r\nHos'),
      lost(0, 20),
      c('x: y\r\n\r\n'),
      s(OK0),
      c('GET /b HTTP/1.1\r\n\r\n'),
      s(OK5),
    ],
    expect: ['GET /a 200 INCOMPLETE', 'GET /b 200 OK'],
  },
  {
    name: 'a whole response lost',
    steps: [c(GET), lost(1, 43), c('GET /b HTTP/1.1\r\n\r\n'), s(OK5), c('GET /c HTTP/1.1\r\n\r\n'), s(OK0)],
    expect: ['GET /a - INCOMPLETE', 'GET /b 200 OK', 'GET /c 200 OK'],
  },
  {
    name: 'a whole response lost, noticed after the next request',
    steps: [c(GET), c('GET /b HTTP/1.1\r\n\r\n'), lost(1, 43), s(OK5)],
    expect: ['GET /a - INCOMPLETE', 'GET /b 200 OK'],
  },
  {
    name: 'a whole response lost: what comes next answers a request that is lost too',
    steps: [c(GET), lost(1, 43), s(OK5), lost(0, 30), c('GET /c HTTP/1.1\r\n\r\n'), s(OK0)],
    expect: ['GET /a - INCOMPLETE', 'GET /c 200 OK'],
  },
  {
    name: 'joined before the response to HEAD: its length is that of no body',
    fromStart: false,
    steps: [
      s('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n'),
      c('GET /b HTTP/1.1\r\n\r\n'),
      s('HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx'),
      c('GET /c HTTP/1.1\r\n\r\n'),
      s(OK0),
    ],
    expect: ['- - 200 INCOMPLETE', 'GET /b 404 ERROR', 'GET /c 200 OK'],
  },
  {
    name: 'joined before the response to HEAD, chunked',
    fromStart: false,
    steps: [s('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), c('GET /b HTTP/1.1\r\n\r\n'), s(OK5)],
    expect: ['- - 200 INCOMPLETE', 'GET /b 200 OK'],
  },
  {
    name: 'a whole request lost',
    steps: [c(GET), s(OK0), lost(0, 30), s(OK5), c('GET /c HTTP/1.1\r\n\r\n'), s(OK0)],
    expect: ['GET /a 200 OK', 'GET /c 200 OK'],
  },
  {
    name: 'loss among pipelined requests is not guessed at',
    steps: [
      c(GET + GET),
      s(OK0 + OK0),
      c('GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n'),
      lost(1, 38),
      s(OK5 + OK5),
      c('GET /4 HTTP/1.1\r\n\r\n'),
      s(OK0),
    ],
    expect: [
      'GET /a 200 OK',
      'GET /a 200 OK',
      'GET /1 - INCOMPLETE',
      'GET /2 - INCOMPLETE',
      'GET /3 - INCOMPLETE',
      'GET /4 200 OK',
    ],
  },
  { name: 'unanswered at the end', steps: [c(GET)], expect: ['GET /a - NO_RESPONSE'] },
  {
    name: "unanswered at the server's FIN",
    steps: [c(GET + GET), s(OK0), fin(1)],
    expect: ['GET /a 200 OK', 'GET /a - NO_RESPONSE'],
  },
  {
    name: 'reset behind a hole in which the response began',
    steps: [c(GET), { from: 1, gap: 100 }],
    close: StatusValue.RESET,
    expect: ['GET /a - INCOMPLETE'],
  },
  { name: 'reset while waiting', steps: [c(GET)], close: StatusValue.RESET, expect: ['GET /a - RESET'] },
  {
    name: 'response cut at FIN',
    steps: [c(GET), s('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'), fin(1)],
    expect: ['GET /a 200 INCOMPLETE'],
  },
  {
    name: 'head over the cap',
    steps: [c(`GET /a HTTP/1.1\r\nX: ${'y'.repeat(70_000)}\r\n\r\n`), s(OK0), c(GET), s(OK0)],
    expect: ['GET /a 200 INCOMPLETE', 'GET /a 200 OK'],
  },
  {
    name: 'bytes that are no response are passed over',
    steps: [c(GET), s(`${OK0}junk\nmore`), c('GET /b HTTP/1.1\r\n\r\n'), s(`\n${OK5}`)],
    expect: ['GET /a 200 OK', 'GET /b 200 OK'],
    undecodable: 10,
  },
  {
    name: 'secrets in fields',
    steps: [
      c(
        'GET /a?x=1&Access_Token=abc&code=q HTTP/1.1\r\nAuthorization: Basic Zm9v\r\nCookie: a=b\r\nX-Api-Key: k\r\nX-Vault-Token: t\r\nReferer: https://u:p@h/?password=1&y=2\r\n\r\n',
      ),
      s(
        'HTTP/1.1 302 F\r\nSet-Cookie: s=1\r\nLocation: /cb?code=1#id_token=eyJ\r\nContent-Length: 0\r\n\r\n',
      ),
    ],
    expect: ['GET /a 302 OK'],
    check: ([d]) => {
      assert.equal(d.query, 'x=1&Access_Token=[redacted]&code=[redacted]');
      assert.deepEqual(
        d.requestHeaders.map((h) => h.value),
        [
          '[redacted]',
          '[redacted]',
          '[redacted]',
          '[redacted]',
          'https://[redacted]@h/?password=[redacted]&y=2',
        ],
      );
      assert.deepEqual(
        d.responseHeaders.map((h) => h.value),
        ['[redacted]', '/cb?code=[redacted]#id_token=[redacted]', '0'],
      );
    },
  },
  {
    name: 'no headers when not asked for',
    options: { headers: false },
    steps: [c(GET), s(OK0)],
    expect: ['GET /a 200 OK'],
    check: ([d]) => assert.equal(d.requestHeaders.length + d.responseHeaders.length, 0),
  },
  {
    name: 'bodies when asked for, textual and capped',
    options: { bodyBytes: 8 },
    steps: [
      c(
        'POST /f HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\npin=1234',
      ),
      s(
        'HTTP/1.1 200 OK\r\nContent-Type: application/problem+json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"abc"\r\n6\r\n:1234}\r\n0\r\n\r\n',
      ),
      c(GET),
      s('HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\nPNG'),
    ],
    expect: ['POST /f 200 OK', 'GET /a 200 OK'],
    check: ([d, e]) => {
      assert.equal(d.requestBody, 'pin=[redacted]');
      assert.equal(d.responseBody, '{"abc":1');
      assert.equal(e.responseBody, '');
    },
  },
  {
    name: 'trace context of the request',
    steps: [
      c(
        'GET /a HTTP/1.1\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=1\r\n\r\n',
      ),
      s(OK0),
      c(GET),
      s(OK0),
    ],
    expect: ['GET /a 200 OK', 'GET /a 200 OK'],
    check: (_, [r, second]) => {
      assert.equal(Buffer.from(r.trace!.traceId).toString('hex'), '0af7651916cd43dd8448eb211c80319c');
      assert.equal(Buffer.from(r.trace!.parentSpanId).toString('hex'), 'b7ad6b7169203331');
      assert.equal(r.trace!.flags, 1);
      assert.equal(r.trace!.tracestate, 'a=1');
      assert.equal(second.trace, undefined);
    },
  },
];

/** What must not depend on how the stream is cut: all but times. */
const essence = (outcome: Outcome) => ({
  records: outcome.records.map((r) => ({ ...r, $unknown: undefined })),
  undecodable: outcome.undecodable,
  handOvers: outcome.handOvers,
});

for (const example of CASES) {
  test(example.name, () => {
    const settings = { options: example.options, close: example.close, fromStart: example.fromStart };
    const whole = converse(http, example.steps, settings);
    assert.deepEqual(whole.records.map(line), example.expect);
    assert.deepEqual(whole.handOvers, example.handOver === undefined ? [] : [example.handOver]);
    if (example.undecodable !== undefined) assert.equal(whole.undecodable, example.undecodable);
    example.check?.(whole.records.map(detail), whole.records);
    assert.deepEqual(
      essence(converse(http, example.steps, { ...settings, cut: 'bytes' })),
      essence(whole),
      'byte by byte',
    );
    const longest = Math.max(...example.steps.map((step) => ('bytes' in step ? step.bytes.length : 0)));
    const splits = Math.min(longest, 400);
    for (let at = 1; at < splits; at++) {
      const cut = (length: number) => (at < length ? [at] : []);
      assert.deepEqual(
        essence(converse(http, example.steps, { ...settings, cut })),
        essence(whole),
        `split at ${at}`,
      );
    }
  });
}

test('any bytes, gaps and ends: no throw, nothing held back for good', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      GET,
      OK0,
      OK5,
      'HTTP/1.1 100 C\r\n\r\n',
      'HTTP/1.1 101 S\r\n',
      'Transfer-Encoding: chunked\r\n',
      '\r\n',
      '5\r\nhello\r\n',
      '0\r\n\r\n',
      'POST /x HTTP/1.1\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n',
      'CONNECT h:1 HTTP/1.1\r\n',
      'Upgrade: h2c\r\n',
      ' fold\r\n',
      'HEAD / HTTP/1.0\r\n',
    ),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ from: fc.constantFrom(0 as const, 1 as const), bytes: piece }) },
    {
      weight: 1,
      arbitrary: fc.record({
        from: fc.constantFrom(0 as const, 1 as const),
        gap: fc.integer({ min: 0, max: 60 }),
      }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.boolean(), (steps, fromStart) => {
      const whole = converse(http, steps, { fromStart });
      for (const record of whole.records) assert.notEqual(record.status, Status.UNSPECIFIED);
      // A switch of protocols ends the conversation at once, wherever the other side's bytes are.
      if (whole.handOvers.length > 0) return;
      assert.deepEqual(essence(converse(http, steps, { fromStart, cut: 'bytes' })), essence(whole));
    }),
    { numRuns: 500 },
  );
});
