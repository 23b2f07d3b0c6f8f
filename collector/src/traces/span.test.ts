/** What spans show of a record is what its document shows: both are compiled from the schema, apart from each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { DocumentWriter } from '@packetd/proto/telemetry/document';
import { batchOf, bitsOf, type Fields, fieldsOf, httpRecord, messages, textOf } from '../harness.js';
import { SpanEncoder } from './span.js';

type Json = { readonly [key: string]: unknown };
type Detail = NonNullable<ReturnType<typeof httpRecord>['detail']>;

function anyValue(value: Fields): unknown {
  if (value.has(1)) return textOf(value, 1);
  if (value.has(2)) return bitsOf(value, 2) === 1n;
  if (value.has(3)) return Number(BigInt.asIntN(64, bitsOf(value, 3)));
  return messages(messages(value, 5)[0], 1).map(anyValue);
}

/** The document's leaves by dotted name, as attributes show them: lists as text, objects in them as JSON. */
function flat(value: unknown, name: string, into: Record<string, unknown>): Record<string, unknown> {
  if (Array.isArray(value)) {
    into[name] = value.map((element) =>
      typeof element === 'object' ? JSON.stringify(element) : String(element),
    );
  } else if (typeof value === 'object') {
    for (const [key, member] of Object.entries(value as Json))
      flat(member, name === '' ? key : `${name}.${key}`, into);
  } else into[name] = value;
  return into;
}

const DETAILS: Detail[] = [
  { case: 'http', value: { method: 'GET', statusCode: 404, requestBodyBytes: 0n, responseBodyBytes: 5n } },
  {
    case: 'http',
    value: {
      requestHeaders: [
        { key: 'accept', value: 'a' },
        { key: 'x', value: '' },
        { key: '', value: 'no name' },
        { key: 'accept', value: 'ä' },
      ],
      responseHeaders: [{ key: 'server', value: 'nginx' }],
    },
  },
  {
    case: 'dns',
    value: {
      questionName: 'a.example',
      headerFlags: ['RD', 'RA'],
      resolvedIp: [Uint8Array.of(192, 0, 2, 1), new Uint8Array(16)],
      answers: [{ name: 'a.example', type: 'A', ttl: 60, data: '192.0.2.1' }, { name: 'b.example' }],
    },
  },
  { case: 'redis', value: { command: 'GET', queryText: 'GET ?', keys: ['a', 'b'] } },
  { case: 'amqp', value: { method: 'basic.publish', exchange: 'e', redelivered: true } },
  { case: 'mongodb', value: { command: 'find', database: 'shop' } },
] as Detail[];

for (const detail of DETAILS) {
  test(`the attributes of ${detail.case} are the fields of its document`, () => {
    const { bytes } = batchOf([httpRecord({ detail })]);
    let seen = 0;
    batchOf([httpRecord({ detail })]).eachRecord((start, end) => {
      const out = new ByteBuffer(64);
      assert.ok(new DocumentWriter().write(bytes, start, end, out));
      const document = JSON.parse(out.toString()) as Json;
      const encoder = new SpanEncoder();
      assert.ok(encoder.read(bytes, start, end));
      const attributes = messages(fieldsOf(encoder.encode().bytes), 9).map(
        (entry) => [textOf(entry, 1), anyValue(messages(entry, 2)[0])] as const,
      );
      // The span has these elsewhere, or of its own.
      const { event, packetd, client, server, span, '@timestamp': time, network, ...own } = document;
      assert.ok(event && packetd && client && server && span && time && network);
      const shown = attributes.filter(([key]) => !/^(packetd|client|server|network)\./.test(key));
      assert.deepEqual(Object.fromEntries(shown), flat(own, '', {}));
      assert.equal(new Set(attributes.map(([key]) => key)).size, attributes.length, 'no key twice');
      seen++;
    });
    assert.equal(seen, 1);
  });
}
