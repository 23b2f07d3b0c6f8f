/** Interfaces that go away and come back while they are watched. Needs root, for a network namespace of its own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKETD } from './support.js';

const NAMESPACE = `packetd-ifaces-${process.pid}`;
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const made = process.getuid?.() === 0 && spawnSync('ip', ['netns', 'add', NAMESPACE]).status === 0;
after(() => {
  if (made) ip('netns', 'del', NAMESPACE);
});
const watches: Watch[] = [];
afterEach(() => {
  for (const watch of watches.splice(0)) watch.kill();
  for (const name of ['wan0', 'wan1']) spawnSync('ip', ['-n', NAMESPACE, 'link', 'del', name]);
});

/** One end of a link whose other end does not care. */
function makeInterface(name: string): void {
  const command = (...args: string[]) => ip('-n', NAMESPACE, ...args);
  command('link', 'add', name, 'type', 'veth', 'peer', 'name', 'far');
  command('link', 'set', 'far', 'up');
  command('addr', 'add', '10.9.0.1/24', 'dev', name);
  command('link', 'set', name, 'up');
  command('neigh', 'add', '10.9.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', name);
}

const SEND = `
  const [id, name] = process.argv.slice(1);
  const query = Buffer.concat([
    Buffer.from([0, Number(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.length]),
    Buffer.from(name),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
  const socket = require('node:dgram').createSocket('udp4');
  socket.send(query, 53, '10.9.0.2', () => socket.close());`;

/** Asks for the address of a name, through the namespace's one interface. */
function ask(id: number, name: string): void {
  execFileSync('ip', ['netns', 'exec', NAMESPACE, process.execPath, '-e', SEND, `${id}`, name]);
}

/** packetd in the namespace, watching what `ifaces` matches. */
class Watch {
  private readonly child;
  private out = '';
  private err = '';

  constructor(ifaces: string, ...args: string[]) {
    const command = [process.execPath, PACKETD, 'watch', '--ifaces', ifaces, '--json', ...args];
    const child = spawn('ip', ['netns', 'exec', NAMESPACE, ...command]);
    // A test that fails before the end must not leave it running.
    watches.push(this);
    child.stdout.on('data', (piece) => {
      this.out += piece;
    });
    child.stderr.on('data', (piece) => {
      this.err += piece;
    });
    this.child = child;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  async said(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.err)) {
      assert.equal(this.child.exitCode, null, this.err);
      await sleep(20);
    }
  }

  /** Ends it, and answers the names that were asked for. */
  async names(): Promise<string[]> {
    this.child.kill('SIGINT');
    await once(this.child, 'close');
    return this.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).dns.question.name);
  }
}

describe('an interface that goes and comes back under another number', { skip: !made }, () => {
  for (const workers of ['1', '2']) {
    it(`is watched again, ${workers} workers`, async () => {
      makeInterface('wan0');
      const watch = new Watch('wan.', '--workers', workers);
      await watch.said(/watching wan0,/);
      ask(1, 'first');
      ip('-n', NAMESPACE, 'link', 'del', 'wan0');
      await watch.said(/wan0 is gone/);
      makeInterface('wan1');
      await watch.said(/watching wan1 from now on/);
      // The thread takes the change with its next look at the ring.
      await sleep(500);
      ask(2, 'second');
      ip('-n', NAMESPACE, 'link', 'set', 'wan1', 'down');
      assert.deepEqual(await watch.names(), ['first', 'second']);
    });
  }

  it('is watched in both directions where loopback was alone before', async () => {
    ip('-n', NAMESPACE, 'link', 'set', 'lo', 'up');
    const watch = new Watch('lo|wan.');
    await watch.said(/watching lo,/);
    makeInterface('wan0');
    await watch.said(/watching wan0 from now on/);
    await sleep(500);
    ask(1, 'outgoing');
    assert.deepEqual(await watch.names(), ['outgoing']);
  });
});
