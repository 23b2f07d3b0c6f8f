/** Spans read by the field numbers of opentelemetry-proto 1.x, and what becomes of requests over HTTP and gRPC. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { create } from '@bufbuild/protobuf';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { AmqpSchema } from '@packetd/proto/gen/packetd/v1/amqp_pb';
import { Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import {
  answering,
  Backend,
  batchOf,
  bitsOf,
  type Fields,
  fieldsOf,
  httpRecord,
  Lines,
  messages,
  textOf,
} from '../harness.js';
import { TracesOutput } from './index.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
const CONFIG = {
  endpoint: '',
  protocol: 'http' as const,
  timeoutMs: 10_000,
  headers: { 'x-tenant': 'a' },
  ca: '',
  sampleRatio: 1,
  slowMs: 1000,
};

/** AnyValue: string_value 1, bool_value 2, int_value 3, array_value 5. */
function anyValue(value: Fields): unknown {
  if (value.has(1)) return textOf(value, 1);
  if (value.has(2)) return bitsOf(value, 2) === 1n;
  if (value.has(3)) return Number(BigInt.asIntN(64, bitsOf(value, 3)));
  return messages(messages(value, 5)[0], 1).map(anyValue);
}

function attributesOf(fields: Fields, number: number): Record<string, unknown> {
  const entries = messages(fields, number).map((entry) => {
    return [textOf(entry, 1), anyValue(messages(entry, 2)[0])] as const;
  });
  assert.equal(new Set(entries.map(([key]) => key)).size, entries.length, 'no key twice');
  return Object.fromEntries(entries);
}

interface SpanSeen {
  readonly resource: Record<string, unknown>;
  readonly scope: readonly [name: string, version: string];
  readonly fields: Fields;
  readonly attributes: Record<string, unknown>;
}

/** ExportTraceServiceRequest.resource_spans 1 → resource 1, scope_spans 2 → scope 1, spans 2. */
function spansOf(request: Uint8Array): SpanSeen[] {
  return messages(fieldsOf(request), 1).flatMap((resourceSpans) => {
    const resource = attributesOf(messages(resourceSpans, 1)[0], 1);
    return messages(resourceSpans, 2).flatMap((scopeSpans) => {
      const [scope] = messages(scopeSpans, 1);
      return messages(scopeSpans, 2).map((fields) => ({
        resource,
        scope: [textOf(scope, 1), textOf(scope, 2)] as const,
        fields,
        attributes: attributesOf(fields, 9),
      }));
    });
  });
}

const hexOf = (fields: Fields, number: number) =>
  Buffer.from((fields.get(number)?.[0] ?? new Uint8Array(0)) as Uint8Array).toString('hex');

async function withHttp(
  script: ((response: ServerResponse) => void)[],
  test: (output: TracesOutput, backend: Backend, log: Lines) => Promise<void>,
  config: Partial<typeof CONFIG> = {},
): Promise<void> {
  const backend = await Backend.start(script);
  const log = new Lines();
  const output = new TracesOutput({ ...CONFIG, endpoint: backend.url, ...config }, log);
  try {
    await test(output, backend, log);
  } finally {
    await output.close(0);
    await backend.stop();
  }
}

const sent = (backend: Backend) => backend.received.flatMap(({ body }) => spansOf(gunzipSync(body)));

describe('spans', () => {
  it('have the trace context of the request, times, kind and attributes', () =>
    withHttp([], async (output, backend) => {
      const trace = { traceId: hex(TRACE), parentSpanId: hex(PARENT), flags: 1, tracestate: 'a=b' };
      await output.write(batchOf([httpRecord({ trace }, { host: 'shop.example' })]));
      const [span] = sent(backend);
      assert.equal(hexOf(span.fields, 1), TRACE);
      assert.equal(hexOf(span.fields, 2), '090a0b0c0d0e0f10');
      assert.equal(textOf(span.fields, 3), 'a=b');
      assert.equal(hexOf(span.fields, 4), PARENT);
      assert.equal(textOf(span.fields, 5), 'GET /users/:id');
      assert.equal(bitsOf(span.fields, 6), 2n);
      assert.equal(bitsOf(span.fields, 7), 1_700_000_000_123_456_789n);
      assert.equal(bitsOf(span.fields, 8), 1_700_000_000_143_456_789n);
      assert.equal(bitsOf(span.fields, 16), 0x301n);
      assert.equal(span.fields.has(15), false, 'status is unset');
      assert.deepEqual(span.resource, {
        'service.name': 'shop.example',
        'host.name': 'edge-1.example',
        'packetd.sensor.name': 'edge-1',
      });
      assert.deepEqual(span.scope, ['packetd', '1.2.3']);
      const expected = {
        'network.protocol.name': 'http',
        'network.protocol.version': '1.1',
        'network.transport': 'tcp',
        'client.address': '10.0.0.1',
        'client.port': 41000,
        'server.address': '10.0.0.2',
        'server.port': 8080,
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'http.response.body.size': 512,
        'url.path': '/users/7',
        'packetd.protocol': 'http',
        'packetd.status': 'OK',
      };
      for (const [key, value] of Object.entries(expected)) assert.equal(span.attributes[key], value, key);
    }));

  it('have ids made of the record without a trace context, and the place of the server as service', () =>
    withHttp([], async (output, backend) => {
      await output.write(batchOf([httpRecord()]));
      await output.write(batchOf([httpRecord()]));
      const [first, second] = sent(backend);
      assert.equal(hexOf(first.fields, 1), '0102030405060708090a0b0c0d0e0f10');
      assert.equal(hexOf(first.fields, 2), hexOf(second.fields, 2));
      assert.equal(first.fields.has(4), false);
      assert.equal(first.resource['service.name'], 'http 10.0.0.2:8080');
    }));

  it('have status ERROR with the type of the error', () =>
    withHttp([], async (output, backend) => {
      await output.write(batchOf([httpRecord({ status: Status.ERROR, errorType: '503' })]));
      const [span] = sent(backend);
      const [state] = messages(span.fields, 15);
      assert.deepEqual([bitsOf(state, 3), textOf(state, 2)], [2n, '503']);
      assert.equal(span.attributes['error.type'], '503');
    }));

  it('of messages are PRODUCER and CONSUMER', () =>
    withHttp([], async (output, backend) => {
      const kinds = [];
      for (const operationType of ['send', 'receive', 'process', 'create']) {
        const detail = { case: 'amqp' as const, value: create(AmqpSchema, { operationType }) };
        await output.write(batchOf([httpRecord({ detail })]));
        kinds.push(Number(bitsOf(sent(backend).at(-1)!.fields, 6)));
      }
      assert.deepEqual(kinds, [4, 5, 5, 3]);
    }));

  it('of one service and sensor share a resource', () =>
    withHttp([], async (output, backend) => {
      const other = httpRecord({}, { host: 'b.example' });
      await output.write(batchOf([httpRecord(), other, httpRecord()]));
      const resources = messages(fieldsOf(gunzipSync(backend.received[0].body)), 1);
      assert.deepEqual(
        resources.map((r) => messages(messages(r, 2)[0], 2).length),
        [2, 1],
      );
    }));

  it('are left out for records of no protocol or without an id', () =>
    withHttp([], async (output, backend) => {
      const nothing = httpRecord({ detail: { case: undefined } });
      await output.write(batchOf([nothing, httpRecord({ id: new Uint8Array(3) })]));
      assert.equal(backend.received.length, 0);
    }));
});

describe('sampling', () => {
  it('keeps errors and what is slow, and the rest by trace', () =>
    withHttp(
      [],
      async (output, backend) => {
        const withId = (last: number, init = {}) =>
          httpRecord({ id: Uint8Array.from({ length: 16 }, (_, i) => (i === 12 ? last : 1)), ...init });
        await output.write(
          batchOf([
            withId(0x3f),
            withId(0x40),
            withId(0xff, { status: Status.NO_RESPONSE }),
            withId(0xff, { durationNano: 1_000_000_000n }),
            withId(0xff, { durationNano: 999_999_999n }),
          ]),
        );
        assert.equal(sent(backend).length, 3);
      },
      { sampleRatio: 0.25 },
    ));
});

describe('OTLP/HTTP', () => {
  it('sends gzip with the headers, and resolves when it is accepted', () =>
    withHttp([], async (output, backend) => {
      await output.write(batchOf([httpRecord()]));
      const { headers } = backend.received[0];
      assert.equal(headers['content-type'], 'application/x-protobuf');
      assert.equal(headers['content-encoding'], 'gzip');
      assert.equal(headers['x-tenant'], 'a');
    }));

  it('tries 429 and 503 again, as late as asked', () =>
    withHttp([answering(429), answering(503, { 'retry-after': '1' })], async (output, backend) => {
      await output.write(batchOf([httpRecord()]));
      assert.equal(backend.received.length, 3);
      assert.deepEqual(backend.received[0].body, backend.received[2].body);
      assert.ok(backend.received[2].atMs - backend.received[1].atMs >= 990);
    }));

  it('leaves out what is refused, with the reason of the receiver', () => {
    // google.rpc.Status { code: 3, message: "bad span" }
    const body = Buffer.from('08031208626164207370616e', 'hex');
    return withHttp([answering(400, {}, body)], async (output, backend, log) => {
      await output.write(batchOf([httpRecord()]));
      assert.equal(backend.received.length, 1);
      assert.match(log.lines.join(), /refused.*400 bad span/);
    });
  });

  it('counts and tells a partial success', () => {
    // ExportTraceServiceResponse { partial_success { rejected_spans: 1, error_message: "old" } }
    const body = Buffer.from('0a07080112036f6c64', 'hex');
    return withHttp([answering(200, {}, body)], async (output, _, log) => {
      await output.write(batchOf([httpRecord(), httpRecord()]));
      assert.match(log.lines.join(), /refused spans.*"rejected":1.*old/);
    });
  });

  it('has four requests under way at most', () =>
    withHttp(
      Array.from({ length: 12 }, () => (response: ServerResponse) => {
        setTimeout(() => response.writeHead(200).end(), 50);
      }),
      async (output, backend) => {
        const record = httpRecord({}, { path: '/x'.repeat(400) });
        await output.write(batchOf(Array.from({ length: 2048 * 6 }, () => record)));
        assert.equal(sent(backend).length, 2048 * 6);
        assert.ok(backend.received.length >= 6 && backend.mostOpen <= 4, String(backend.mostOpen));
      },
    ));

  it('rejects what nobody accepted by the deadline', async () => {
    const backend = await Backend.start();
    const endpoint = backend.url;
    await backend.stop();
    const output = new TracesOutput({ ...CONFIG, endpoint }, new Lines());
    const written = assert.rejects(output.write(batchOf([httpRecord()])), { name: 'ClosedError' });
    await output.close(100);
    await written;
    assert.equal(output.reachable, false);
    await assert.rejects(output.write(batchOf([httpRecord()])), { name: 'ClosedError' });
  });

  it('says which key is no URL', () => {
    for (const protocol of ['http', 'grpc'] as const) {
      assert.throws(
        () => new TracesOutput({ ...CONFIG, protocol, endpoint: 'localhost:4317' }, new Lines()),
        /exporter\.traces\.endpoint/,
      );
    }
  });
});

type Answer = (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => void;

describe('OTLP/gRPC', () => {
  async function withGrpc(
    script: Answer[],
    test: (output: TracesOutput, calls: ServerUnaryCall<Buffer, Buffer>[], log: Lines) => Promise<void>,
  ): Promise<void> {
    const calls: ServerUnaryCall<Buffer, Buffer>[] = [];
    const server = new Server();
    const bytes = (value: Buffer) => value;
    server.addService(
      {
        export: {
          path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
          requestStream: false,
          responseStream: false,
          requestSerialize: bytes,
          requestDeserialize: bytes,
          responseSerialize: bytes,
          responseDeserialize: bytes,
        },
      },
      {
        export: ((call, callback) => {
          calls.push(call);
          const answer = script.shift() ?? ((_, done) => done(null, Buffer.alloc(0)));
          answer(call, callback);
        }) as Answer,
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    const log = new Lines();
    const output = new TracesOutput(
      { ...CONFIG, protocol: 'grpc', endpoint: `http://127.0.0.1:${port}` },
      log,
    );
    try {
      await test(output, calls, log);
    } finally {
      await output.close(0);
      server.forceShutdown();
    }
  }
  const failing =
    (code: number, details = ''): Answer =>
    (_, done) => {
      const metadata = new Metadata();
      if (details !== '') metadata.set('grpc-status-details-bin', Buffer.from(details, 'hex'));
      done({ code, details: 'no', metadata });
    };

  it('sends the same request, with metadata', () =>
    withGrpc([], async (output, calls) => {
      await output.write(batchOf([httpRecord()]));
      const [span] = spansOf(calls[0].request);
      assert.equal(textOf(span.fields, 5), 'GET /users/:id');
      assert.deepEqual(calls[0].metadata.get('x-tenant'), ['a']);
    }));

  it('tries UNAVAILABLE again', () =>
    withGrpc([failing(status.UNAVAILABLE)], async (output, calls) => {
      await output.write(batchOf([httpRecord()]));
      assert.equal(calls.length, 2);
    }));

  it('tries RESOURCE_EXHAUSTED again only with RetryInfo, and then as late as it asks', () => {
    // google.rpc.Status { code: 8, details: [Any { RetryInfo { retry_delay { nanos: 600000000 } } }] }
    const url = Buffer.from('type.googleapis.com/google.rpc.RetryInfo');
    const value = '0a0610808c8d9e02';
    const any = `0a${url.length.toString(16).padStart(2, '0')}${url.toString('hex')}12${(value.length / 2).toString(16).padStart(2, '0')}${value}`;
    const details = `08081a${(any.length / 2).toString(16).padStart(2, '0')}${any}`;
    const script = [failing(status.RESOURCE_EXHAUSTED, details), failing(status.RESOURCE_EXHAUSTED)];
    return withGrpc(script, async (output, calls, log) => {
      const start = Date.now();
      await output.write(batchOf([httpRecord()]));
      assert.equal(calls.length, 2);
      assert.ok(Date.now() - start >= 600);
      assert.match(log.lines.join(), /refused spans.*RESOURCE_EXHAUSTED no/);
    });
  });

  it('leaves out what is refused', () =>
    withGrpc([failing(status.INVALID_ARGUMENT)], async (output, calls, log) => {
      await output.write(batchOf([httpRecord()]));
      assert.equal(calls.length, 1);
      assert.match(log.lines.join(), /INVALID_ARGUMENT/);
    }));
});
