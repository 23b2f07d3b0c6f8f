/** redis-server with redis-cli, redis-benchmark, ioredis and node-redis: the records are what they did. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
import { isRoot, lines, of, unless, Watch } from './support.js';

const skip =
  unless(isRoot, 'capturing needs root') || unless(has('redis-server'), 'redis-server is not installed');

describe('redis-server', { skip }, () => {
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
    const mine = of(documents, 'redis', port);
    const seen = lines(mine);
    for (const expected of ['SET OK', 'GET OK', 'INCR ERROR', 'LPUSH OK']) {
      assert.equal(seen.filter((s) => s === expected).length, 1, `${expected} in ${seen.join(', ')}`);
    }
    assert.ok(!JSON.stringify(mine).includes('a secret value'));
  });

  it('follows ioredis through pipelines, MULTI and publish/subscribe', async () => {
    const watch = await new Watch().ready();
    const client = new Redis(port, '127.0.0.1');
    const subscriber = new Redis(port, '127.0.0.1');
    await client.pipeline().set('a', '1').incr('a').get('a').exec();
    await client.multi().set('b', '2').lpush('b', 'x').exec();
    await subscriber.subscribe('news');
    const heard = new Promise((resolve) => subscriber.once('message', (_, text) => resolve(text)));
    await client.publish('news', 'canary-1');
    assert.equal(await heard, 'canary-1');
    await Promise.all([client.quit(), subscriber.quit()]);
    const { documents } = await watch.stop();
    const mine = of(documents, 'redis', port);
    const seen = lines(mine).filter((line) => !/^(INFO|CLIENT|HELLO)/.test(line));
    assert.deepEqual(
      seen.sort(),
      [
        ...['SET OK', 'INCR OK', 'GET OK'],
        ...['MULTI OK', 'SET OK', 'LPUSH OK', 'EXEC OK'],
        ...['SUBSCRIBE OK', 'PUBLISH OK', 'QUIT OK', 'QUIT OK'],
      ].sort(),
    );
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });

  it('follows node-redis in RESP3, with errors by their code', async () => {
    const watch = await new Watch().ready();
    const client = createClient({ url: `redis://127.0.0.1:${port}/3`, RESP: 3 });
    await client.connect();
    await client.hSet('h', { f: 'v' });
    assert.deepEqual({ ...(await client.hGetAll('h')) }, { f: 'v' });
    await assert.rejects(client.get('h'), /WRONGTYPE/);
    await client.close();
    const { documents } = await watch.stop();
    const mine = of(documents, 'redis', port) as (ReturnType<typeof of>[0] & {
      db: { namespace: string; response?: { status_code: string } };
    })[];
    const byName = new Map(mine.map((d) => [d.packetd.operation, d]));
    assert.equal(byName.get('HGETALL')?.db.namespace, '3');
    assert.equal(byName.get('GET')?.db.response?.status_code, 'WRONGTYPE');
  });

  it('counts every command of a pipelined redis-benchmark exactly once, as the server does', async () => {
    cli('CONFIG', 'RESETSTAT');
    const watch = await new Watch().ready();
    const run = spawnSync('redis-benchmark', [
      '-p',
      String(port),
      '-n',
      '20000',
      '-P',
      '16',
      '-t',
      'get,set',
      '-q',
    ]);
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

  it('takes nothing on the link of a replica for roundtrips, whether it was there before or not', async () => {
    const replicaPort = await freePort();
    const replica = new Background('redis-server', [
      ...['--port', String(replicaPort), '--save', '', '--bind', '127.0.0.1'],
      ...['--replicaof', '127.0.0.1', String(port), '--dbfilename', `replica-${replicaPort}.rdb`],
      ...['--dir', tmpdir()],
    ]);
    try {
      await listening(replicaPort);
      const replicated = async () => {
        while (!/^slave0:.*state=online/m.test(cli('INFO', 'replication'))) await sleep(100);
      };
      await replicated();
      const client = new Redis(port, '127.0.0.1');
      const watch = await new Watch().ready();
      for (let i = 0; i < 50; i++) {
        await client.set(`k${i}`, 'v');
        // A replica says every second how far it is.
        await sleep(50);
      }
      // It comes again on a new connection, which begins with roundtrips.
      cli('CLIENT', 'KILL', 'TYPE', 'replica');
      await sleep(1500);
      await replicated();
      await client.set('last', 'v');
      await client.quit();
      const { documents } = await watch.stop();
      const redis = documents.filter((d) => d.packetd.protocol === 'redis');
      assert.deepEqual(
        redis.filter((d) => d.server.port !== port),
        [],
        'the replica is no server here',
      );
      const counts = new Map<string, number>();
      for (const seen of lines(redis)) counts.set(seen, (counts.get(seen) ?? 0) + 1);
      assert.equal(counts.get('SET OK'), 51);
      assert.equal(counts.get('PSYNC OK'), 1);
      assert.deepEqual(
        [...counts.keys()].filter((seen) => !/ OK$/.test(seen)),
        [],
      );
    } finally {
      await replica.stop('SIGTERM');
    }
  });
});
