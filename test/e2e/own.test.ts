/**
 * Requests of packetd's other processes (a collector beside an agent) are known by their user agent, those to its
 * own server by address and port.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freePort, sleep } from '../bench/processes.js';
import { type Document, isRoot, PACKETD, unless, Watch } from './support.js';

const AGENTS = ['packetd', 'packetd/1.0.0', 'packetd grpc-node-js/1.14.0', 'packetdx/1', 'curl packetd'];
const OTHERS = ['packetdx/1', 'curl packetd'];

async function overHttp(port: number): Promise<void> {
  for (const agent of AGENTS) {
    const sent = request({ port, host: '127.0.0.1', headers: { 'user-agent': agent } }).end();
    const [response] = await once(sent, 'response');
    response.resume();
    await once(response, 'end');
  }
}

async function overHttp2(port: number, headers: Record<string, string>): Promise<void> {
  const session = connect(`http://127.0.0.1:${port}`);
  for (const agent of AGENTS) {
    const stream = session.request({ ':path': '/a.B/C', ':method': 'POST', 'user-agent': agent, ...headers });
    stream.end();
    stream.resume();
    await once(stream, 'close');
  }
  session.close();
}

describe("packetd's own requests", { skip: unless(isRoot, 'capturing needs root') }, () => {
  for (const [title, args, expected] of [
    ['are left out and counted', [], OTHERS],
    ['are shown with --own', ['--own'], AGENTS],
  ] as const) {
    it(title, async () => {
      const http = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
      const http2 = createHttp2Server().listen(0, '127.0.0.1');
      http2.on('stream', (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end();
      });
      await Promise.all([once(http, 'listening'), once(http2, 'listening')]);
      const ports = [http, http2].map((server) => (server.address() as AddressInfo).port);
      const watch = await new Watch(['--ifaces', 'lo', ...args]).ready();
      await overHttp(ports[0]);
      await overHttp2(ports[1], {});
      await overHttp2(ports[1], { 'content-type': 'application/grpc', te: 'trailers' });
      const { documents, ledger } = await watch.stop();
      http.close();
      http2.close();
      const agents = (protocol: string) =>
        documents
          .filter(({ server, packetd }) => ports.includes(server.port) && packetd.protocol === protocol)
          .map(({ user_agent }) => (user_agent as { original: string }).original);
      for (const protocol of ['http', 'http2', 'grpc'])
        assert.deepEqual(agents(protocol), expected, protocol);
      // Others of this machine may be packetd's too.
      assert.ok(ledger.ownRoundtrips >= (args.length === 0 ? 9 : 0));
    });
  }
});

describe("what is said to packetd's server", { skip: unless(isRoot, 'capturing needs root') }, () => {
  it('is left out, but not what is said to the same port of another', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'packetd-own-'));
    const port = await freePort();
    const file = join(directory, 'roundtrips.ndjson');
    const config = join(directory, 'up.yaml');
    writeFileSync(
      config,
      [
        'sniffer.ifaces: lo',
        `server.address: 127.0.0.1:${port}`,
        `exporter.roundtrips: { enabled: true, filename: ${file} }`,
      ].join('\n'),
    );
    const other = createServer((_, response) => response.end('ok')).listen(port, '127.0.0.2');
    const child = spawn(process.execPath, [PACKETD, 'up', '--quiet', '--config', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(child, 'exit');
    for await (const piece of child.stderr.setEncoding('utf8')) if (piece.includes('page')) break;
    for (const host of ['127.0.0.1', '127.0.0.2'])
      assert.equal((await fetch(`http://${host}:${port}/healthz`)).status, 200);
    await sleep(500);
    child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null]);
    other.closeAllConnections();
    other.close();
    const documents = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Document)
      .filter(({ server }) => server.port === port);
    assert.deepEqual(
      documents.map(({ server }) => server.address),
      ['127.0.0.2'],
    );
    rmSync(directory, { recursive: true });
  });
});
