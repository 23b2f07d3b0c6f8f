/** node:http2, @grpc/grpc-js and nghttp2's h2load: the records are what they did. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { has } from '../bench/processes.js';
import { at, isRoot, lines, of, unless, Watch } from './support.js';

const skip = unless(isRoot, 'capturing needs root');

describe('HTTP/2', { skip }, () => {
  let server: Http2Server;
  let port = 0;
  before(async () => {
    server = createServer((request, response) => {
      if (request.url.startsWith('/missing')) response.writeHead(404).end();
      else if (request.url === '/never') return;
      else request.resume().on('end', () => response.writeHead(200, { 'x-served-by': 'node' }).end('hello'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => server.close());

  async function ask(
    session: ClientHttp2Session,
    headers: Record<string, string>,
    body?: string,
  ): Promise<number> {
    const stream = session.request(headers);
    let status = 0;
    stream.on('response', (fields) => {
      status = Number(fields[':status']);
    });
    stream.resume().end(body);
    await once(stream, 'close');
    return status;
  }

  it('pairs interleaved streams, and says when one was cancelled', async () => {
    const watch = await new Watch().ready();
    const session = connect(`http://127.0.0.1:${port}`);
    const statuses = await Promise.all([
      ...Array.from({ length: 20 }, (_, i) =>
        ask(session, { ':path': `/users/${i}?token=canary-${i}`, authorization: 'Bearer canary' }),
      ),
      ask(session, { ':path': '/missing/1' }),
      ask(session, { ':path': '/upload', ':method': 'POST' }, 'x'.repeat(50_000)),
    ]);
    assert.deepEqual([...new Set(statuses)], [200, 404]);
    const never = session.request({ ':path': '/never' });
    never.on('error', () => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    never.close(8);
    await once(never, 'close');
    session.close();
    const { documents } = await watch.stop();
    const mine = of(documents, 'http2', port);
    const seen = lines(mine);
    assert.equal(seen.filter((line) => line === 'GET /users/{id} OK').length, 20, seen.join('\n'));
    assert.equal(seen.filter((line) => line === 'GET /missing/{id} ERROR').length, 1, seen.join('\n'));
    assert.equal(seen.filter((line) => line === 'GET /never CANCELLED').length, 1, seen.join('\n'));
    const upload = mine.find((d) => d.packetd.operation === 'POST');
    assert.equal(at(upload!, 'http.request.body.size'), 50_000);
    assert.equal(at(upload!, 'http.response.status_code'), 200);
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });

  it('sees every stream of h2load', {
    skip: unless(has('h2load'), 'nghttp2-client is not installed'),
  }, async () => {
    const watch = await new Watch().ready();
    // The server is in this process: it must not wait for the client.
    const { stdout } = await promisify(execFile)('h2load', [
      '-n',
      '5000',
      '-c',
      '4',
      '-m',
      '32',
      `http://127.0.0.1:${port}/bench`,
    ]);
    assert.match(stdout, /5000 succeeded/);
    const { documents, ledger } = await watch.stop();
    assert.equal(ledger.kernelDropped, 0);
    assert.equal(lines(of(documents, 'http2', port)).filter((line) => line === 'GET /bench OK').length, 5000);
  });
});

describe('gRPC', { skip }, () => {
  const identity = { serialize: (bytes: Buffer) => bytes, deserialize: (bytes: Buffer) => bytes };
  const path = (name: string) => `/shop.v1.Orders/${name}`;
  const definition = (name: string, requestStream: boolean, responseStream: boolean) => ({
    path: path(name),
    requestStream,
    responseStream,
    requestSerialize: identity.serialize,
    requestDeserialize: identity.deserialize,
    responseSerialize: identity.serialize,
    responseDeserialize: identity.deserialize,
  });
  let server: grpc.Server;
  let port = 0;
  before(async () => {
    server = new grpc.Server();
    server.addService(
      {
        get: definition('Get', false, false),
        fail: definition('Fail', false, false),
        slow: definition('Slow', false, false),
        list: definition('List', false, true),
        add: definition('Add', true, false),
      },
      {
        get: (_: unknown, reply: grpc.sendUnaryData<Buffer>) => reply(null, Buffer.from('canary-answer')),
        fail: (_: unknown, reply: grpc.sendUnaryData<Buffer>) =>
          reply({ code: grpc.status.NOT_FOUND, details: 'no order "canary-id"' }),
        slow: () => {},
        list: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
          for (let i = 0; i < 5; i++) call.write(Buffer.from('row'));
          call.end();
        },
        add: (call: grpc.ServerReadableStream<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
          call.on('data', () => {}).on('end', () => reply(null, Buffer.from('sum')));
        },
      },
    );
    port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
  });
  after(() => server.forceShutdown());

  it('knows method, status, streaming and deadline of every call', async () => {
    const watch = await new Watch().ready();
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();
    metadata.set('authorization', 'Bearer canary-token');
    const unary = (name: string, options: grpc.CallOptions = {}) =>
      new Promise<number>((resolve) => {
        client.makeUnaryRequest(
          path(name),
          identity.serialize,
          identity.deserialize,
          Buffer.from('canary-request'),
          metadata,
          options,
          (error) => resolve(error?.code ?? 0),
        );
      });
    assert.equal(await unary('Get'), grpc.status.OK);
    assert.equal(await unary('Fail'), grpc.status.NOT_FOUND);
    assert.equal(await unary('Nothing'), grpc.status.UNIMPLEMENTED);
    assert.equal(await unary('Slow', { deadline: Date.now() + 200 }), grpc.status.DEADLINE_EXCEEDED);
    const list = client.makeServerStreamRequest(
      path('List'),
      identity.serialize,
      identity.deserialize,
      Buffer.from('x'),
      metadata,
    );
    await once(list.resume(), 'end');
    await new Promise<void>((resolve, reject) => {
      const add = client.makeClientStreamRequest(
        path('Add'),
        identity.serialize,
        identity.deserialize,
        metadata,
        (error) => (error ? reject(error) : resolve()),
      );
      for (let i = 0; i < 3; i++) add.write(Buffer.from('row'));
      add.end();
    });
    client.close();
    const { documents } = await watch.stop();
    const mine = of(documents, 'grpc', port);
    const told = mine.map((d) =>
      [
        at(d, 'rpc.method'),
        d.packetd.status,
        at(d, 'rpc.response.status_code'),
        at(d, 'grpc.streaming'),
      ].join(' '),
    );
    assert.deepEqual(told, [
      'shop.v1.Orders/Get OK OK unary',
      'shop.v1.Orders/Fail ERROR NOT_FOUND unary',
      'shop.v1.Orders/Nothing ERROR UNIMPLEMENTED unary',
      'shop.v1.Orders/Slow CANCELLED CANCELLED unary',
      'shop.v1.Orders/List OK OK server_stream',
      'shop.v1.Orders/Add OK OK client_stream',
    ]);
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });
});
