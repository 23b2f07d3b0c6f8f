/** Real servers, real clients, the real capture engine: the records are what the clients did. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Resolver } from 'node:dns/promises';
import { after, before, describe, it } from 'node:test';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
import { isRoot, unless, Watch } from './support.js';

const skip = unless(isRoot, 'capturing needs root');

describe('redis-server', { skip: skip || unless(has('redis-server'), 'redis-server is not installed') }, () => {
  let port = 0;
  let server: Background;
  before(async () => {
    port = await freePort();
    server = new Background('redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1']);
    await listening(port);
  });
  after(() => server.stop('SIGTERM'));
  const cli = (...args: string[]) => execFileSync('redis-cli', ['-p', String(port), ...args]).toString();

  it('sees every command of redis-cli with its outcome', async () => {
    const watch = await new Watch().ready();
    cli('SET', 'user:1', 'a secret value');
    cli('GET', 'user:1');
    cli('INCR', 'user:1');
    cli('LPUSH', 'list', 'x', 'y');
    const { documents } = await watch.stop();
    const mine = documents.filter((d) => d.packetd.protocol === 'redis' && d.server.port === port);
    const seen = mine.map((d) => `${d.packetd.operation} ${d.packetd.status}`);
    for (const expected of ['SET OK', 'GET OK', 'INCR ERROR', 'LPUSH OK']) {
      assert.equal(seen.filter((s) => s === expected).length, 1, `${expected} in ${seen.join(', ')}`);
    }
    assert.ok(!JSON.stringify(mine).includes('a secret value'));
  });

  it('counts every command of a pipelined redis-benchmark exactly once, as the server does', async () => {
    cli('CONFIG', 'RESETSTAT');
    const watch = await new Watch().ready();
    const run = spawnSync('redis-benchmark', ['-p', String(port), '-n', '20000', '-P', '16', '-t', 'get,set', '-q']);
    assert.equal(run.status, 0);
    const { documents, ledger } = await watch.stop();
    const calls = (name: string) =>
      Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(cli('INFO', 'commandstats'))?.[1] ?? 0);
    const mine = documents.filter((d) => d.server.port === port && d.packetd.status === 'OK');
    assert.equal(ledger.kernelDropped, 0);
    assert.equal(mine.filter((d) => d.packetd.operation === 'GET').length, calls('get'));
    assert.equal(mine.filter((d) => d.packetd.operation === 'SET').length, calls('set'));
    assert.equal(new Set(documents.map((d) => d.event.id)).size, documents.length);
  });
});

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
    const mine = documents.filter((d) => d.packetd.protocol === 'http' && d.server.port === port) as (typeof documents[0] & {
      http: { response: { status_code: number } };
      url: { path: string };
    })[];
    assert.deepEqual(mine.map((d) => d.http.response.status_code), statuses);
    assert.deepEqual(mine.map((d) => d.url.path), paths.map((p) => p.split('?')[0]));
    assert.ok(!/canary/.test(JSON.stringify(mine)));
  });

  it('records a request whose answer never comes', async () => {
    const watch = await new Watch().ready();
    await new Promise<void>((resolve) => {
      const open = request({ port, method: 'POST', path: '/never', headers: { 'content-length': 10 } });
      open.on('error', () => resolve());
      open.write('12345');
      setTimeout(() => open.destroy(), 200);
    });
    const { documents } = await watch.stop();
    const mine = documents.filter((d) => d.server.port === port);
    assert.deepEqual(mine.map((d) => d.packetd.operation), ['POST']);
  });
});

describe('bind9', { skip: skip || unless(has('/usr/sbin/named'), 'named is not installed') }, () => {
  let port = 0;
  let server: Background;
  const directory = mkdtempSync(join(tmpdir(), 'packetd-named-'));
  before(async () => {
    port = await freePort();
    writeFileSync(
      join(directory, 'zone'),
      '$TTL 60\n@ SOA ns admin 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.7\nwww AAAA 2001:db8::7\ntxt TXT "hello"\n',
    );
    writeFileSync(
      join(directory, 'named.conf'),
      `options { directory "${directory}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; };
       controls {}; zone "example.test" { type primary; file "zone"; };`,
    );
    server = new Background('/usr/sbin/named', ['-g', '-c', join(directory, 'named.conf')]);
    await server.said('running');
  });
  after(async () => {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true });
  });

  it('pairs queries by id and question, and names the outcome', async () => {
    const watch = await new Watch().ready();
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${port}`]);
    const [a, aaaa, txt] = await Promise.all([
      resolver.resolve4('www.example.test'),
      resolver.resolve6('www.example.test'),
      resolver.resolveTxt('txt.example.test'),
    ]);
    await assert.rejects(resolver.resolve4('nothing.example.test'), { code: 'ENOTFOUND' });
    assert.deepEqual([a, aaaa, txt], [['192.0.2.7'], ['2001:db8::7'], [['hello']]]);
    await sleep(50);
    const { documents } = await watch.stop();
    const mine = documents.filter((d) => d.packetd.protocol === 'dns' && d.server.port === port) as (typeof documents[0] & {
      dns: { question: { name: string; type: string }; response_code: string; resolved_ip?: string[] };
    })[];
    const seen = mine.map((d) => `${d.dns.question.type} ${d.dns.question.name} ${d.dns.response_code} ${d.dns.resolved_ip?.join() ?? ''}`.trim());
    assert.deepEqual(seen.sort(), [
      'A nothing.example.test NXDOMAIN',
      'A www.example.test NOERROR 192.0.2.7',
      'AAAA www.example.test NOERROR 2001:db8::7',
      'TXT txt.example.test NOERROR',
    ]);
  });
});
