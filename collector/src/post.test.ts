/** The way to a backend: its certificate, what it is asked with, and what is said when it does not answer. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { Poster } from './post.js';
import { GrpcSender } from './traces/grpc.js';

const NEVER = new AbortController().signal;
const EMPTY = new Uint8Array(0);

const noOpenssl = spawnSync('openssl', ['version']).error === undefined ? false : 'openssl is not installed';
describe('a certificate of a private authority', { skip: noOpenssl }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-post-'));
  const path = (name: string) => join(directory, name);
  const asked: (string | undefined)[] = [];
  const web = (request: IncomingMessage, response: ServerResponse) => {
    asked.push(request.headers.authorization);
    request.resume().on('end', () => response.writeHead(429, { 'retry-after': '7' }).end('slow down'));
  };
  let secure: ReturnType<typeof createSecureServer>;
  const rpc = new Server();
  let httpsPort = 0;
  let grpcPort = 0;

  before(async () => {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
    const key = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', path(`${name}.key`)];
    openssl('req', '-x509', ...key('ca'), '-out', path('ca.pem'), '-days', '2', '-subj', '/CN=ca');
    openssl('req', ...key('server'), '-out', path('server.csr'), '-subj', '/CN=server');
    writeFileSync(path('names'), 'subjectAltName=DNS:localhost\n');
    const signed = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '2'];
    openssl(
      'x509',
      '-req',
      '-in',
      path('server.csr'),
      ...signed,
      '-out',
      path('server.pem'),
      '-extfile',
      path('names'),
    );
    const pair = { key: readFileSync(path('server.key')), cert: readFileSync(path('server.pem')) };
    secure = createSecureServer(pair, web).listen(0, 'localhost');
    await once(secure, 'listening');
    httpsPort = (secure.address() as AddressInfo).port;
    const bytes = (value: Buffer) => value;
    rpc.addService(
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
        export: (_: unknown, answer: (error: null, value: Buffer) => void) => answer(null, Buffer.alloc(0)),
      },
    );
    grpcPort = await new Promise<number>((resolve, reject) =>
      rpc.bindAsync(
        'localhost:0',
        ServerCredentials.createSsl(null, [{ private_key: pair.key, cert_chain: pair.cert }]),
        (error, port) => (error === null ? resolve(port) : reject(error)),
      ),
    );
  });
  after(() => {
    secure.close();
    rpc.forceShutdown();
    rmSync(directory, { recursive: true });
  });

  it('is taken with the ca that is named, and not without', async () => {
    const url = `https://u:p%40ss@localhost:${httpsPort}/w`;
    const known = new Poster('exporter.metrics', url, {}, path('ca.pem'), 5000);
    const { status, body, retryAfterMs } = await known.post(EMPTY, NEVER);
    assert.deepEqual([status, Buffer.from(body).toString(), retryAfterMs], [429, 'slow down', 7000]);
    assert.deepEqual(asked, [`Basic ${Buffer.from('u:p@ss').toString('base64')}`]);
    known.close();
    const unknown = new Poster('exporter.metrics', url, {}, '', 5000);
    await assert.rejects(unknown.post(EMPTY, NEVER), /certificate/);
    assert.throws(() => new Poster('exporter.metrics', url, {}, path('none'), 5000), {
      message: /exporter.metrics.ca: cannot read/,
    });
  });

  it('is taken for OTLP over gRPC too', async () => {
    for (const [ca, result] of [
      [path('ca.pem'), 'accepted'],
      ['', 'again'],
    ]) {
      const sender = new GrpcSender('exporter.traces', `https://localhost:${grpcPort}`, 5000, {}, ca);
      assert.equal((await sender.send(EMPTY, NEVER)).result, result);
      sender.close();
    }
  });
});

test('a header that cannot be is refused at start, without its value', () => {
  const headers = { Authorization: 'Bearer S3cret\nx' };
  const refused = (error: Error) =>
    error.name === 'CollectorError' && /headers/.test(error.message) && !/S3cret/.test(error.message);
  assert.throws(() => new Poster('exporter.metrics', 'http://h/', headers, '', 1000), refused);
  assert.throws(() => new GrpcSender('exporter.traces', 'http://h:1', 1000, headers, ''), refused);
});

test('a password of a URL that is not encoded is refused at start, without its value', () => {
  assert.throws(() => new Poster('exporter.metrics', 'http://u:S3cr%t@h/', {}, '', 1000), {
    name: 'CollectorError',
    message: 'exporter.metrics.endpoint: user and password of a URL are percent-encoded; write %25 for %',
  });
});

test('of an answer without measure little is kept', async () => {
  const megabyte = Buffer.alloc(1 << 20, 'x');
  const endless = createServer((_, response) => {
    response.write('begun ');
    for (let i = 0; i < 40; i++) response.write(megabyte);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(endless, 'listening');
  const { port } = endless.address() as AddressInfo;
  const poster = new Poster('exporter.metrics', `http://127.0.0.1:${port}/`, {}, '', 10_000);
  const { status, body } = await poster.post(EMPTY, NEVER);
  assert.equal(status, 200);
  assert.match(Buffer.from(body.subarray(0, 6)).toString(), /^begun $/);
  assert.ok(body.length <= 2 << 20, `${body.length} bytes`);
  poster.close();
  endless.closeAllConnections();
  endless.close();
});

test('says why there was no answer', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const post = (timeoutMs: number) =>
    new Poster('exporter.metrics', `http://127.0.0.1:${port}/`, {}, '', timeoutMs).post(EMPTY, NEVER);
  await assert.rejects(post(50), /no answer within 50 ms/);
  silent.closeAllConnections();
  silent.close();
  await once(silent, 'close');
  await assert.rejects(post(5000), /ECONNREFUSED/);
});
