import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type RoundTrip, RoundTripSchema, Status, Transport } from '../gen/packetd/v1/roundtrip_pb.js';
import { ENVELOPE_LABELS, MetricsReader, metricSchemas } from './metrics.js';

type Init = Exclude<MessageInitShape<typeof RoundTripSchema>, RoundTrip>;

const schemas = new Map(metricSchemas().map((schema) => [schema.name, schema]));

/** A reader of these labels of every protocol that has them. */
function readerOf(...names: string[]): MetricsReader {
  return new MetricsReader(
    new Map(
      [...schemas.values()].map(({ name, labels }) => [
        name,
        names.flatMap((label) => labels.get(label) ?? ENVELOPE_LABELS.get(label) ?? []),
      ]),
    ),
  );
}

/** Reads the record from the middle of other bytes. */
function read(reader: MetricsReader, init: Init): string {
  const bytes = toBinary(RoundTripSchema, create(RoundTripSchema, init));
  return reader.read(Uint8Array.of(0xff, ...bytes, 0xff), 1, bytes.length + 1);
}

function keyOf(reader: MetricsReader): string {
  return Buffer.from(reader.key.buffer, 0, reader.keyLength).toString('hex');
}

const HTTP: Init = {
  client: { address: Uint8Array.of(10, 0, 0, 1), port: 40000 },
  server: { address: Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 1 : 0)), port: 8080 },
  operation: 'GET',
  target: '/users/{id}',
  status: Status.NO_RESPONSE,
  errorType: '404',
  transport: Transport.TCP,
  durationNano: 2n ** 40n + 5n,
  trace: { traceId: Uint8Array.from({ length: 16 }, (_, i) => i) },
  detail: {
    case: 'http',
    value: {
      method: 'GET',
      statusCode: 404,
      requestHeaders: [{ key: 'accept', value: 'a' }],
      responseBodyBytes: 0n,
      requestHeaderBytes: 77n,
    },
  },
};

test('labels of the envelope', () => {
  const names = [...ENVELOPE_LABELS.keys()];
  const reader = readerOf(...names);
  assert.equal(read(reader, HTTP), 'http');
  assert.deepEqual(Object.fromEntries(names.map((name, i) => [name, reader.labels()[i]])), {
    protocol: 'http',
    operation: 'GET',
    target: '/users/{id}',
    status: 'NO_RESPONSE',
    error_type: '404',
    client_address: '10.0.0.1',
    server_address: '::1',
    server_port: '8080',
    transport: 'tcp',
  });
  assert.equal(read(reader, { detail: { case: 'redis', value: {} } }), 'redis');
  assert.deepEqual(
    reader.labels(),
    names.map((name) => (name === 'protocol' ? 'redis' : '')),
  );
});

test('labels and metrics of a protocol', () => {
  const reader = readerOf('method', 'status_code', 'host', 'path');
  assert.equal(read(reader, HTTP), 'http');
  assert.deepEqual(reader.labels(), ['GET', '404', '', '']);
  assert.equal(reader.durationNano, 2 ** 40 + 5);
  assert.equal(reader.traceId, '000102030405060708090a0b0c0d0e0f');
  const values = new Map(schemas.get('http')!.metrics.map(({ name }, i) => [name, reader.value(i)]));
  assert.equal(values.get('http_response_body_bytes'), 0);
  assert.equal(values.get('http_request_body_bytes'), undefined);
});

test('nothing of a record stays for the next', () => {
  const reader = readerOf('operation', 'status_code');
  read(reader, HTTP);
  assert.equal(read(reader, { detail: { case: 'http', value: {} } }), 'http');
  assert.deepEqual(reader.labels(), ['', '']);
  assert.equal(reader.durationNano, 0);
  assert.equal(reader.traceId, '');
  for (let i = 0; i < schemas.get('http')!.metrics.length; i++) assert.equal(reader.value(i), undefined);
});

test('what is malformed, or of no protocol, is of none', () => {
  const reader = readerOf('operation');
  assert.equal(read(reader, { operation: 'GET' }), '');
  assert.equal(reader.read(Uint8Array.of(0x4a, 5, 0x41), 0, 3), '');
  assert.equal(read(reader, HTTP), 'http');
});

test('keys are the same for the same values only', () => {
  const reader = readerOf('operation', 'target', 'status', 'server_port');
  const seen = new Map<string, string>();
  for (const [operation, target] of [
    ['', ''],
    ['a', ''],
    ['', 'a'],
    ['ab', 'c'],
    ['a', 'bc'],
    ['a\0', 'bc'],
    ['x'.repeat(5000), 'y'],
    ['x'.repeat(5000), 'z'],
  ]) {
    for (const port of [0, 1, 80]) {
      for (const status of [Status.OK, Status.ERROR]) {
        const record: Init = {
          operation,
          target,
          status,
          server: { port },
          detail: { case: 'dns', value: {} },
        };
        read(reader, record);
        const { hash } = reader;
        const key = keyOf(reader);
        read(reader, { ...HTTP, detail: { case: 'http2', value: {} } });
        read(reader, record);
        assert.deepEqual([keyOf(reader), reader.hash], [key, hash]);
        const values = JSON.stringify(reader.labels());
        assert.equal(seen.get(key) ?? values, values);
        seen.set(key, values);
      }
    }
  }
  assert.equal(seen.size, 8 * 3 * 2);
});
