import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { RoundTripSchema, Status, Transport } from '../gen/packetd/v1/roundtrip_pb.js';
import { compileProtocols, ENVELOPE_LABELS } from './labels.js';

const protocols = new Map(compileProtocols().map((p) => [p.name, p]));
const http = create(RoundTripSchema, {
  client: { address: Uint8Array.of(10, 0, 0, 1), port: 40000 },
  server: { address: Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 1 : 0)), port: 8080 },
  operation: 'GET',
  target: '/users/{id}',
  status: Status.NO_RESPONSE,
  errorType: '404',
  transport: Transport.TCP,
  detail: {
    case: 'http',
    value: {
      method: 'GET',
      statusCode: 404,
      requestHeaders: [
        { key: 'accept', value: 'a' },
        { key: 'host', value: 'h' },
        { key: 'accept', value: 'b' },
      ],
      responseBodyBytes: 0n,
      requestHeaderBytes: 77n,
    },
  },
});

test('labels of the envelope', () => {
  const labels = Object.fromEntries([...ENVELOPE_LABELS].map(([name, read]) => [name, read(http)]));
  assert.deepEqual(labels, {
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
  for (const read of ENVELOPE_LABELS.values()) assert.equal(read(create(RoundTripSchema)), '');
});

test('labels, metrics and attributes of a protocol', () => {
  const telemetry = protocols.get('http')!;
  const label = (name: string) => telemetry.labels.get(name)!(http);
  assert.deepEqual(['method', 'status_code', 'host', 'path'].map(label), ['GET', '404', '', '']);
  const metric = new Map(telemetry.metrics.map((m) => [m.name, m.value(http)]));
  assert.equal(metric.get('http_response_body_bytes'), 0);
  assert.equal(metric.get('http_request_body_bytes'), undefined);
  const attributes: { [key: string]: unknown } = {};
  telemetry.attributes(http, (key, value) => {
    attributes[key] = value;
  });
  assert.deepEqual(attributes, {
    'http.request.method': 'GET',
    'http.response.status_code': 404,
    'http.request.header.accept': ['a', 'b'],
    'http.request.header.host': ['h'],
    'http.request.header_size': 77,
    'http.response.body.size': 0,
  });
});

test('a record of another protocol has nothing to tell', () => {
  const redis = protocols.get('redis')!;
  assert.deepEqual(redis.fixed, [['db.system.name', 'redis']]);
  for (const read of redis.labels.values()) assert.equal(read(http), '');
  for (const metric of protocols.get('http')!.metrics)
    assert.equal(metric.value(create(RoundTripSchema)), undefined);
  redis.attributes(http, () => assert.fail());
});

test('lists are text, and messages in them JSON', () => {
  const dns = create(RoundTripSchema, {
    detail: {
      case: 'dns',
      value: {
        headerFlags: ['RD', 'RA'],
        answers: [{ name: 'a.example', type: 'A', ttl: 60, data: '192.0.2.1' }],
      },
    },
  });
  const attributes: { [key: string]: unknown } = {};
  protocols.get('dns')!.attributes(dns, (key, value) => {
    attributes[key] = value;
  });
  assert.deepEqual(attributes, {
    'dns.header_flags': ['RD', 'RA'],
    'dns.answers': ['{"name":"a.example","type":"A","ttl":60,"data":"192.0.2.1"}'],
  });
});
