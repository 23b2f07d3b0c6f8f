import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type RoundTrip, RoundTripSchema } from '../gen/packetd/v1/roundtrip_pb.js';
import { compileProtocols } from './protocols.js';

const protocols = new Map(compileProtocols().map((p) => [p.name, p]));

function attributesOf(protocol: string, record: RoundTrip): { [key: string]: unknown } {
  const attributes: { [key: string]: unknown } = {};
  protocols.get(protocol)!.attributes(record, (key, value) => {
    attributes[key] = value;
  });
  return attributes;
}

const http = create(RoundTripSchema, {
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

test('attributes of a protocol', () => {
  assert.deepEqual(attributesOf('http', http), {
    'http.request.method': 'GET',
    'http.response.status_code': 404,
    'http.request.header.accept': ['a', 'b'],
    'http.request.header.host': ['h'],
    'http.request.header_size': 77,
    'http.response.body.size': 0,
  });
});

test('a record of another protocol has nothing to tell', () => {
  assert.deepEqual(protocols.get('redis')!.fixed, [['db.system.name', 'redis']]);
  assert.deepEqual(attributesOf('redis', http), {});
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
  assert.deepEqual(attributesOf('dns', dns), {
    'dns.header_flags': ['RD', 'RA'],
    'dns.answers': ['{"name":"a.example","type":"A","ttl":60,"data":"192.0.2.1"}'],
  });
});
