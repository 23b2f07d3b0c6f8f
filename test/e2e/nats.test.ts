/** nats-server between an agent and a collector: every roundtrip arrives, and arrives once. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Output } from '@packetd/collector/output';
import {
  DEFAULT_JETSTREAM,
  ensureStream,
  JetStreamSource,
  subjectOf,
} from '@packetd/collector/source/jetstream';
import { RoundTripBatchSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { compress } from 'snappy';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
import { backend, isRoot, PACKETD, startBackend, stopBackend, unless } from './support.js';

const script = backend('nats.sh');
const skip =
  unless(isRoot, 'capturing needs root') ||
  unless(has('nats-server') || script !== null, 'nats-server is not installed');

describe('agent, JetStream and collector', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-nats-'));
  const out = join(directory, 'roundtrips.ndjson');
  const children: ChildProcess[] = [];
  let server: ChildProcess;
  let natsPort = 0;

  async function startNats(): Promise<ChildProcess> {
    if (!has('nats-server')) return startBackend(script!, [String(natsPort)]);
    const child = spawn(
      'nats-server',
      ['-a', '127.0.0.1', '-p', String(natsPort), '-js', '-sd', join(directory, 'jetstream')],
      { stdio: 'ignore' },
    );
    await listening(natsPort);
    return child;
  }

  /** A packetd command with this configuration, running when it has logged `ready`. */
  async function start(command: string, config: object, ready: string): Promise<ChildProcess> {
    const file = join(directory, `${command}-${children.length}.json`);
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ nats: { servers: [`nats://127.0.0.1:${natsPort}`] }, ...config }));
    const child = spawn(process.execPath, [PACKETD, command, '--config', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.push(child);
    let log = '';
    child.stderr!.on('data', (piece: Buffer) => {
      log += piece.toString();
    });
    while (!log.includes(ready)) {
      assert.equal(child.exitCode, null, log);
      await sleep(50);
    }
    return child;
  }
  const collector = () =>
    start(
      'collector',
      { server: { enabled: false }, exporter: { roundtrips: { enabled: true, filename: out } } },
      '"consuming"',
    );
  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
  const paths = (port: number): string[] =>
    readFileSync(out, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map(
        (line) =>
          JSON.parse(line) as {
            server: { port: number };
            url?: { path: string };
            observer: { name: string };
          },
      )
      .filter((d) => d.server.port === port && d.observer.name === 'sensor-1')
      .map((d) => d.url?.path ?? '');

  before(async () => {
    natsPort = await freePort();
    server = await startNats();
    // A stream that was left behind by another run is not this one's.
    const connection = await connect({ servers: `127.0.0.1:${natsPort}` });
    await (await jetstreamManager(connection)).streams.delete('PACKETD').catch(() => {});
    await connection.close();
  });
  after(async () => {
    for (const child of children)
      if (child.exitCode === null && child.signalCode === null) await end(child, 'SIGKILL');
    await stopBackend(server);
    rmSync(directory, { recursive: true, force: true });
  });

  it('delivers each roundtrip once, while the collector and NATS come and go', async () => {
    const http = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
    await once(http, 'listening');
    const { port } = http.address() as AddressInfo;
    const agent = new Agent({ keepAlive: true });
    let sent = 0;
    const request = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await new Promise<void>((resolve, reject) => {
          get({ port, path: `/n${sent++}`, agent }, (response) => response.resume().on('end', resolve)).on(
            'error',
            reject,
          );
        });
      }
      await sleep(400);
    };
    const sensor = await start(
      'agent',
      { sensor: { name: 'sensor-1' }, sniffer: { ifaces: 'lo' }, server: { enabled: false } },
      '"watching"',
    );
    let consumer = await collector();
    await request(50);
    // Ended in the middle of its work, as a machine that fails does; what it has not acknowledged comes again.
    await end(consumer, 'SIGTERM');
    await request(50);
    // NATS is away for a while: the sensor keeps what it cannot send.
    await stopBackend(server);
    await request(50);
    server = await startNats();
    await request(50);
    consumer = await collector();
    for (let i = 0; i < 200 && paths(port).length < sent; i++) await sleep(100);
    await end(sensor, 'SIGTERM');
    await sleep(500);
    await end(consumer, 'SIGTERM');
    http.close();
    agent.destroy();
    assert.deepEqual(paths(port).sort(), Array.from({ length: sent }, (_, i) => `/n${i}`).sort());
  });

  it('can stop while its outputs take nothing; another collector is given what was open', async () => {
    const connection = await connect({ servers: `127.0.0.1:${natsPort}` });
    const options = { ...DEFAULT_JETSTREAM, stream: 'STUCK' };
    const manager = await ensureStream(connection, options);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    try {
      for (let i = 0; i < 6; i++) {
        const batch = create(RoundTripBatchSchema, { sensor: { name: `s${i}` } });
        const bytes = await compress(Buffer.from(toBinary(RoundTripBatchSchema, batch)));
        await jetstream(connection).publish(`${subjectOf('STUCK')}.test`, bytes);
      }
      const rejects: (() => void)[] = [];
      const stuck: Output = {
        name: 'documents',
        window: 2,
        write: () => new Promise((_, reject) => rejects.push(() => reject(new Error('closed')))),
        close: async () => {
          for (const reject of rejects) reject();
        },
      };
      const first = await JetStreamSource.start(connection, [stuck], options, log);
      while (rejects.length < 2) await sleep(10);
      await sleep(200);
      assert.equal(rejects.length, 2);
      await first.stop();
      await stuck.close(0);

      const seen = new Set<string>();
      const taking: Output = {
        name: 'documents',
        write: async (batch) => {
          seen.add(batch.head.sensor?.name ?? '');
        },
        close: async () => {},
      };
      const second = await JetStreamSource.start(connection, [taking], options, log);
      while (seen.size < 6) await sleep(10);
      await second.stop();
    } finally {
      await manager.streams.delete('STUCK');
      await connection.close();
    }
  });

  /** An output that keeps what it is given until `release`; counts per sensor how often it was given. */
  function holding(window: number) {
    const given = new Map<string, number>();
    let held: (() => void)[] | null = [];
    const output: Output = {
      name: 'metrics',
      window,
      write: async (batch) => {
        const name = batch.head.sensor?.name ?? '';
        given.set(name, (given.get(name) ?? 0) + 1);
        if (held !== null) await new Promise<void>((resolve) => held!.push(resolve));
      },
      close: async () => {},
    };
    const release = () => {
      for (const resolve of held ?? []) resolve();
      held = null;
    };
    return { output, given, release };
  }
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  async function publish(connection: NatsConnection, stream: string, from: number, to: number) {
    for (let i = from; i < to; i++) {
      const batch = create(RoundTripBatchSchema, { sensor: { name: `s${i}` } });
      const bytes = await compress(Buffer.from(toBinary(RoundTripBatchSchema, batch)));
      await jetstream(connection).publish(`${subjectOf(stream)}.test`, bytes);
    }
  }
  const onceEach = (count: number) => Array.from({ length: count }, (_, i) => [`s${i}`, 1]).sort();

  it('gives an output nothing twice while its backend is away for longer than NATS waits', async () => {
    const connection = await connect({ servers: `127.0.0.1:${natsPort}` });
    const options = { ...DEFAULT_JETSTREAM, stream: 'SLOW', ackWaitMs: 1000 };
    const manager = await ensureStream(connection, options);
    try {
      // As another version would have made it.
      await manager.consumers.add('SLOW', {
        durable_name: 'packetd-metrics',
        ack_policy: AckPolicy.Explicit,
        max_ack_pending: 7,
      });
      await publish(connection, 'SLOW', 0, 300);
      const { output, given, release } = holding(100);
      const source = await JetStreamSource.start(connection, [output], options, quiet);
      while (given.size < 100) await sleep(10);
      await sleep(3500);
      release();
      while (given.size < 300) await sleep(10);
      await source.stop();
      assert.deepEqual([...given].sort(), onceEach(300));
    } finally {
      await manager.streams.delete('SLOW');
      await connection.close();
    }
  });

  it('gives nothing to another collector that waits here for what takes long', async () => {
    const connection = await connect({ servers: `127.0.0.1:${natsPort}` });
    const options = { ...DEFAULT_JETSTREAM, stream: 'LONG', ackWaitMs: 1000 };
    const manager = await ensureStream(connection, options);
    try {
      await publish(connection, 'LONG', 0, 300);
      const given = new Map<string, number>();
      const slow: Output = {
        name: 'metrics',
        window: 4096,
        write: async (batch) => {
          const name = batch.head.sensor?.name ?? '';
          given.set(name, (given.get(name) ?? 0) + 1);
          for (const until = performance.now() + 10; performance.now() < until; );
        },
        close: async () => {},
      };
      const first = await JetStreamSource.start(connection, [slow], options, quiet);
      while (given.size < 10) await sleep(10);
      const second = await JetStreamSource.start(connection, [slow], options, quiet);
      while (given.size < 300) await sleep(10);
      await sleep(1500);
      await first.stop();
      await second.stop();
      assert.deepEqual([...given].sort(), onceEach(300));
    } finally {
      await manager.streams.delete('LONG');
      await connection.close();
    }
  });

  it('goes on when its consumer, then the stream, are deleted', async () => {
    const connection = await connect({ servers: `127.0.0.1:${natsPort}` });
    const options = { ...DEFAULT_JETSTREAM, stream: 'GONE' };
    const manager = await ensureStream(connection, options);
    try {
      const { output, given, release } = holding(100);
      release();
      const source = await JetStreamSource.start(connection, [output], options, quiet);
      await publish(connection, 'GONE', 0, 10);
      while (given.size < 10) await sleep(10);
      await manager.consumers.delete('GONE', 'packetd-metrics');
      await publish(connection, 'GONE', 10, 20);
      while (given.size < 20) await sleep(10);
      await manager.streams.delete('GONE');
      // Made again by the collector, or by a sensor.
      while (!(await manager.streams.info('GONE').catch(() => null))) await sleep(50);
      await publish(connection, 'GONE', 20, 30);
      while (given.size < 30) await sleep(10);
      await source.stop();
      assert.deepEqual([...given].sort(), onceEach(30));
    } finally {
      await manager.streams.delete('GONE');
      await connection.close();
    }
  });

  it('ends while NATS is away', async () => {
    const consuming = await collector();
    let log = '';
    consuming.stderr!.on('data', (piece: Buffer) => {
      log += piece.toString();
    });
    await stopBackend(server);
    try {
      while (!log.includes('is lost')) await sleep(20);
      await end(consuming, 'SIGTERM');
      assert.equal(consuming.exitCode, 0, log);
      assert.match(log, /"ended"/);
    } finally {
      server = await startNats();
    }
  });

  it('goes on in new files at SIGHUP', async () => {
    const [documents, text] = ['moved.ndjson', 'moved.log'].map((name) => join(directory, name));
    const consumer = await start(
      'collector',
      {
        server: { enabled: false },
        logger: { filename: text },
        exporter: { roundtrips: { enabled: true, filename: documents } },
      },
      '',
    );
    const says = (path: string, what: string) =>
      existsSync(path) && readFileSync(path, 'utf8').includes(what);
    while (!says(text, '"consuming"')) await sleep(20);
    for (const path of [documents, text]) renameSync(path, `${path}.old`);
    consumer.kill('SIGHUP');
    while (!says(text, '"hang-up"')) await sleep(20);
    assert.equal(readFileSync(documents, 'utf8'), '');
    await end(consumer, 'SIGTERM');
    assert.ok(says(text, '"ended"'));
  });

  it('waits for a NATS that comes later, and then has what was captured before', async () => {
    const http = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
    await once(http, 'listening');
    const { port } = http.address() as AddressInfo;
    await stopBackend(server);
    const sensor = await start(
      'agent',
      { sensor: { name: 'sensor-1' }, sniffer: { ifaces: 'lo' }, server: { enabled: false } },
      'cannot connect to NATS',
    );
    const consumer = await start(
      'collector',
      { server: { enabled: false }, exporter: { roundtrips: { enabled: true, filename: out } } },
      'cannot connect to NATS',
    );
    await fetch(`http://127.0.0.1:${port}/early`);
    await sleep(300);
    server = await startNats();
    for (let i = 0; i < 300 && (!existsSync(out) || paths(port).length < 1); i++) await sleep(100);
    await end(sensor, 'SIGTERM');
    await end(consumer, 'SIGTERM');
    http.close();
    assert.deepEqual(paths(port), ['/early']);
  });
});

const noServer = unless(has('nats-server'), 'nats-server is not installed');
describe('logins at NATS', { skip: noServer }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-login-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const users = [
    '{ user: all, password: "p:w@d" }',
    // What a sensor needs where the stream is there (docs/deployment.md).
    '{ user: sensor, password: sec-ret, permissions: { publish: ["packetd.roundtrips.>", "$JS.API.STREAM.INFO.PACKETD"], subscribe: ["_INBOX.>"] } }',
  ];
  const ROWS: readonly (readonly [what: string, server: string, nats: object, says: RegExp])[] = [
    ['user and password', '', { user: 'all', password: 'p:w@d' }, /"consuming"/],
    ['user and password in the URL', 'all:p%3Aw%40d@', {}, /"consuming"/],
    [
      'a wrong password',
      '',
      { user: 'all', password: 'sec-ret' },
      /Authorization Violation.*check nats\.user/,
    ],
    ['a wrong password in the URL', 'all:sec-ret@', {}, /Authorization Violation.*check nats\.user/],
    ['no login', '', {}, /Authorization Violation.*check nats\.user/],
    [
      'a user that may not',
      'sensor:sec-ret@',
      {},
      /Permissions Violation.*CONSUMER.*give packetd's user this permission/,
    ],
    ['credentials that are none', '', { credentials: PACKETD }, /is no \.creds file/],
    ['a CA that is not there', '', { tls: { ca: '/nowhere.pem' } }, /nats\.tls\.ca: cannot read/],
  ];
  it('say what is wrong, and nothing secret', async () => {
    const port = await freePort();
    const conf = join(directory, 'nats.conf');
    writeFileSync(
      conf,
      `listen: 127.0.0.1:${port}\njetstream { store_dir: "${directory}" }\nauthorization { users: [${users.join(', ')}] }\n`,
    );
    const server = new Background('nats-server', ['-c', conf]);
    await listening(port);
    for (const [what, userinfo, nats, says] of ROWS) {
      const file = join(directory, 'collector.json');
      const servers = [`nats://${userinfo}127.0.0.1:${port}`];
      writeFileSync(file, JSON.stringify({ nats: { servers, ...nats }, server: { enabled: false } }));
      const child = spawn(process.execPath, [PACKETD, 'collector', '--config', file], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let log = '';
      child.stderr.on('data', (piece: Buffer) => {
        log += piece.toString();
        if (log.includes('"consuming"')) child.kill('SIGTERM');
      });
      await once(child, 'close');
      assert.match(log, says, what);
      assert.doesNotMatch(log, /sec-ret/, what);
    }
    await server.stop('SIGTERM');
  });
});
