/** redis-server, redis-cli and redis-benchmark: the records are what they did. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { Background, freePort, has, listening } from '../bench/processes.js';
import { isRoot, unless, Watch } from './support.js';

const skip = unless(isRoot, 'capturing needs root');

describe('redis-server', {
  skip: skip || unless(has('redis-server'), 'redis-server is not installed'),
}, () => {
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
});
