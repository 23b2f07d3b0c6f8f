/** nginx and Node's HTTP client: the records are what the client did. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
import { isRoot, unless, Watch } from './support.js';

const skip = unless(isRoot, 'capturing needs root');

describe('nginx', { skip: skip || unless(has('/usr/sbin/nginx'), 'nginx is not installed') }, () => {
  let port = 0;
  let server: Background;
  const directory = mkdtempSync(join(tmpdir(), 'packetd-nginx-'));
  before(async () => {
    port = await freePort();
    writeFileSync(
      join(directory, 'nginx.conf'),
      `daemon off; pid ${directory}/pid; error_log stderr; events {} http { access_log off;
       client_body_temp_path ${directory}/a; proxy_temp_path ${directory}/b; fastcgi_temp_path ${directory}/c;
       uwsgi_temp_path ${directory}/d; scgi_temp_path ${directory}/e;
       server { listen 127.0.0.1:${port}; location / { return 200 "hello"; } location /missing { return 404; } location /broken { return 503; } } }`,
    );
    server = new Background('/usr/sbin/nginx', ['-p', directory, '-c', join(directory, 'nginx.conf')]);
    await listening(port);
  });
  after(async () => {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true });
  });

  it('pairs requests on kept-alive connections with their status', async () => {
    const watch = await new Watch().ready();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const statusOf = (path: string) =>
      new Promise<number>((resolve, reject) => {
        get({ port, path, agent, headers: { authorization: 'Bearer canary-0815' } }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode!));
        }).on('error', reject);
      });
    const paths = ['/', '/missing/42', '/broken', '/users/7?token=canary-4711'];
    const statuses: number[] = [];
    for (const path of paths) statuses.push(await statusOf(path));
    agent.destroy();
    const { documents } = await watch.stop();
    const mine = documents.filter(
      (d) => d.packetd.protocol === 'http' && d.server.port === port,
    ) as ((typeof documents)[0] & {
      http: { response: { status_code: number } };
      url: { path: string };
    })[];
    assert.deepEqual(
      mine.map((d) => d.http.response.status_code),
      statuses,
    );
    assert.deepEqual(
      mine.map((d) => d.url.path),
      paths.map((p) => p.split('?')[0]),
    );
    assert.ok(!/canary/.test(JSON.stringify(mine)));
  });

  it('records a request whose answer never comes', async () => {
    const silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const silentPort = (silent.address() as AddressInfo).port;
    const watch = await new Watch().ready();
    const open = request({ port: silentPort, path: '/never' });
    open.on('error', () => {});
    open.end();
    await sleep(200);
    const closed = new Promise((resolve) => open.once('close', resolve));
    open.destroy();
    await closed;
    silent.close();
    const { documents } = await watch.stop();
    const mine = documents.filter((d) => d.server.port === silentPort);
    assert.deepEqual(
      mine.map((d) => [d.packetd.operation, d.packetd.status, d.event.outcome]),
      [['GET', 'NO_RESPONSE', 'unknown']],
    );
  });
});
