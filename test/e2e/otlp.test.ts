/** What packetd up sees on the wire arrives as spans, by OTLP/HTTP and OTLP/gRPC. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { Background, freePort, has, sleep } from '../bench/processes.js';
import {
  BACKENDS_HOME,
  backend,
  isRoot,
  PACKETD,
  ROOT,
  startBackend,
  stopBackend,
  unless,
} from './support.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
/** An OpenTelemetry collector; its first start builds it, which takes Go and minutes. */
const otelcol = backend('otelcol.sh');
const BUILD_MS = 1_200_000;
const skip = unless(isRoot, 'capturing needs root');

interface AnyValue {
  readonly value: string;
  readonly [kind: string]: unknown;
}
interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}
interface Span {
  readonly trace_id: Buffer;
  readonly span_id: Buffer;
  readonly parent_span_id: Buffer;
  readonly name: string;
  readonly kind: string;
  readonly start_time_unix_nano: string;
  readonly end_time_unix_nano: string;
  readonly attributes: readonly KeyValue[];
  readonly status: { readonly code: string; readonly message: string } | null;
}
interface Request {
  readonly resource_spans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scope_spans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly Span[];
    }[];
  }[];
}

const service = loadSync(join(ROOT, 'test/e2e/otlp.proto'), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
})['opentelemetry.proto.collector.trace.v1.TraceService'] as ServiceDefinition;

const directory = mkdtempSync(join(tmpdir(), 'packetd-otlp-'));
after(() => rmSync(directory, { recursive: true }));

/** packetd up, and a web server on loopback that is asked for `paths` with a trace context. Answers its port. */
async function observe(exporter: string, paths: readonly string[]): Promise<number> {
  const web = createServer((request, response) => {
    response.writeHead(request.url === '/broken' ? 503 : 200).end('hello');
  }).listen(0, '127.0.0.1');
  await once(web, 'listening');
  const { port } = web.address() as AddressInfo;
  const configuration = join(directory, 'packetd.yaml');
  writeFileSync(
    configuration,
    `sniffer: { ifaces: lo, protocols: { rules: ['http;${port}'] } }
exporter: { traces: { enabled: true, ${exporter} } }
server: { enabled: false }
`,
  );
  const packetd = new Background(process.execPath, [PACKETD, 'up', '--quiet', '--config', configuration]);
  try {
    await packetd.said('watching');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const headers = { host: 'shop.example', traceparent: `00-${TRACE}-${PARENT}-01` };
    for (const path of paths) {
      const [response] = await once(get({ port, path, agent, headers }), 'response');
      response.resume();
      await once(response, 'end');
    }
    agent.destroy();
    await sleep(500);
  } finally {
    await packetd.stop('SIGINT');
    web.close();
  }
  return port;
}

function textsOf(attributes: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(value[value.value])]));
}

function check(requests: readonly Request[], port: number): void {
  const groups = requests.flatMap(({ resource_spans }) => resource_spans);
  for (const { resource, scope_spans } of groups) {
    assert.equal(textsOf(resource.attributes)['service.name'], 'shop.example');
    for (const { scope } of scope_spans) assert.equal(scope.name, 'packetd');
  }
  const spans = groups.flatMap(({ scope_spans }) => scope_spans.flatMap((scope) => scope.spans));
  assert.equal(spans.length, 2);
  assert.notDeepEqual(spans[0].span_id, spans[1].span_id);
  for (const span of spans) {
    assert.equal(span.trace_id.toString('hex'), TRACE);
    assert.equal(span.parent_span_id.toString('hex'), PARENT);
    assert.equal(span.kind, 'SPAN_KIND_SERVER');
    assert.match(span.name, /^GET/);
    const nanos = BigInt(span.end_time_unix_nano) - BigInt(span.start_time_unix_nano);
    assert.ok(nanos > 0n && nanos < 1_000_000_000n, String(nanos));
    assert.ok(Math.abs(Number(BigInt(span.start_time_unix_nano) / 1_000_000n) - Date.now()) < 60_000);
    const attributes = textsOf(span.attributes);
    assert.equal(attributes['server.port'], String(port));
    assert.equal(attributes['network.protocol.version'], '1.1');
  }
  const [ok, broken] = spans;
  assert.equal(textsOf(ok.attributes)['http.response.status_code'], '200');
  assert.notEqual(ok.status?.code, 'STATUS_CODE_ERROR');
  assert.equal(textsOf(broken.attributes)['http.response.status_code'], '503');
  assert.equal(broken.status?.code, 'STATUS_CODE_ERROR');
}

describe('OTLP', { skip }, () => {
  it('over HTTP', async () => {
    const requests: Request[] = [];
    const receiver = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        requests.push(service.Export.requestDeserialize(gunzipSync(Buffer.concat(pieces))) as Request);
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
      });
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    const { port } = receiver.address() as AddressInfo;
    const web = await observe(`endpoint: 'http://127.0.0.1:${port}/v1/traces'`, ['/', '/broken']);
    receiver.closeAllConnections();
    receiver.close();
    check(requests, web);
  });

  it('over gRPC', async () => {
    const requests: Request[] = [];
    const receiver = new Server();
    receiver.addService(service, {
      Export: (call: ServerUnaryCall<Request, object>, done: sendUnaryData<object>) => {
        requests.push(call.request);
        done(null, {});
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      receiver.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    const web = await observe(`protocol: grpc, endpoint: 'http://127.0.0.1:${port}'`, ['/', '/broken']);
    receiver.forceShutdown();
    check(requests, web);
  });

  it('to an OpenTelemetry collector', {
    skip:
      otelcol === null
        ? 'no OpenTelemetry collector is to be had here'
        : unless(existsSync(join(BACKENDS_HOME, 'bin/otelcol')) || has('go'), 'go is not installed'),
    timeout: BUILD_MS,
  }, async () => {
    const [grpc, http] = [await freePort(), await freePort()];
    const collector = await startBackend(otelcol!, [String(grpc), String(http), '--fresh'], BUILD_MS);
    try {
      await observe(`endpoint: 'http://127.0.0.1:${http}/v1/traces'`, ['/']);
      await observe(`protocol: grpc, endpoint: 'http://127.0.0.1:${grpc}'`, ['/broken']);
    } finally {
      await stopBackend(collector);
    }
    const received = join(BACKENDS_HOME, `data/otelcol-${grpc}/received.txt`);
    assert.ok(existsSync(received));
    const text = readFileSync(received, 'utf8');
    const all = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, value]) => value);
    assert.deepEqual(all(/Trace ID +: (\w+)/g), [TRACE, TRACE]);
    assert.deepEqual(all(/Parent ID +: (\w+)/g), [PARENT, PARENT]);
    assert.deepEqual(all(/Kind +: (\w+)/g), ['Server', 'Server']);
    assert.deepEqual(all(/service\.name: Str\((.*)\)/g), ['shop.example', 'shop.example']);
    assert.deepEqual(all(/http\.response\.status_code: Int\((\d+)\)/g), ['200', '503']);
    assert.deepEqual(all(/Status code +: (\w+)/g), ['Unset', 'Error']);
  });
});
