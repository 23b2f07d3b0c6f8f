/**
 * The compose stack as native processes: real backends and services from ../shared/backends and Debian, and
 * packetd with the configuration files that the containers mount; only addresses are overridden.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROTOCOL_NAMES } from '@packetd/sensor/protocols/registry';
import { freePort, has, listening, sleep } from '../../bench/processes.js';
import { BACKENDS_HOME, PACKETD, ROOT } from '../support.js';

export const BACKENDS = join(ROOT, '../shared/backends');
const DEPLOY = join(ROOT, 'deploy');
/** A first start downloads. */
const READY_MS = 600_000;
const END_MS = 15_000;

/** A process with its output, ended by its id. */
class Process {
  output = '';
  readonly child: ChildProcess;
  readonly exited: Promise<void>;

  constructor(
    readonly name: string,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ) {
    this.child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const collect = (piece: Buffer) => {
      this.output = (this.output + piece.toString()).slice(-20_000);
    };
    this.child.stdout!.on('data', collect);
    this.child.stderr!.on('data', collect);
    this.exited = new Promise((resolve) => {
      this.child.once('exit', () => resolve());
      this.child.once('error', () => resolve());
    });
  }

  async said(text: string, timeoutMs: number): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (!this.output.includes(text)) {
      if (this.child.exitCode !== null || Date.now() > until) {
        throw new Error(`${this.name} did not get ready: ${this.output.slice(-2000)}`);
      }
      await sleep(50);
    }
  }

  async end(): Promise<void> {
    if (this.child.exitCode === null) this.child.kill('SIGTERM');
    await Promise.race([this.exited, sleep(END_MS)]);
    if (this.child.exitCode === null) this.child.kill('SIGKILL');
  }
}

export class Stack {
  readonly directory = mkdtempSync(join(tmpdir(), 'packetd-stack-'));
  /** Host and port of each service that the load drives, by protocol. */
  readonly services = new Map<string, number>();
  /** Why a service or backend is not there. */
  readonly absent = new Map<string, string>();
  readonly urls = { elasticsearch: '', metrics: '', collector: '', jaeger: '' };
  /** What the OpenTelemetry collector received, as text. */
  spansFile = '';
  private readonly processes: Process[] = [];
  private readonly environment: NodeJS.ProcessEnv = {};
  private scraper: NodeJS.Timeout | null = null;

  constructor() {
    // A test that is cut off must not leave them running; SIGTERM, so that start scripts end their servers.
    process.once('exit', () => {
      for (const { child } of this.processes) child.kill('SIGTERM');
    });
  }

  async start(): Promise<void> {
    // One after the other: what they need of memory and time while starting is more than of running.
    await this.nats();
    await Promise.all([this.elasticsearch(), this.victoriaMetrics(), this.traces()]);
    await this.demo();
    await this.packetd();
  }

  async stop(): Promise<void> {
    if (this.scraper !== null) clearInterval(this.scraper);
    for (const process of this.processes.reverse()) await process.end();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Runs the demo's load to its end; answers what it did. */
  async load(env: NodeJS.ProcessEnv): Promise<Record<string, { rounds: number; failed: number }>> {
    const addresses = [...this.services].map(([protocol, port]) => [
      `DEMO_${protocol.toUpperCase()}`,
      `127.0.0.1:${port}`,
    ]);
    const load = new Process('load', process.execPath, [join(DEPLOY, 'demo/load.mjs')], {
      ...this.environment,
      ...Object.fromEntries(addresses),
      ...env,
    });
    this.processes.push(load);
    await load.exited;
    const line = load.output.split('\n').find((text) => text.startsWith('{'));
    if (line === undefined) throw new Error(`the load ended without a result: ${load.output}`);
    return JSON.parse(line);
  }

  // ── backends ───────────────────────────────────────────────────────────────────────────────────────────

  private async nats(): Promise<void> {
    const binary = join(BACKENDS_HOME, 'bin/nats-server');
    if (!existsSync(binary)) {
      // The script installs it; here the server runs with the configuration of the containers instead.
      const [port, monitoring] = [await freePort(), await freePort()];
      const first = await this.backend('nats.sh', [String(port), String(monitoring)]);
      await first.end();
    }
    const secrets = join(this.directory, 'secrets');
    execFileSync(process.execPath, [join(DEPLOY, 'init.mjs'), secrets, join(this.directory, 'demo')]);
    const port = await freePort();
    const config = readFileSync(join(DEPLOY, 'config/nats.conf'), 'utf8')
      .replace('../../run/packetd/nats-authorization.conf', 'secrets/nats-authorization.conf')
      .replace('store_dir: /data', `store_dir: ${join(this.directory, 'nats')}`)
      .replace('0.0.0.0:4222', `127.0.0.1:${port}`)
      .replace('127.0.0.1:8222', `127.0.0.1:${await freePort()}`);
    const file = join(this.directory, 'nats.conf');
    writeFileSync(file, config);
    const server = this.run('nats-server', binary, ['-c', file]);
    await server.said('Server is ready', END_MS);
    this.environment.PACKETD_NATS_SERVERS = `nats://127.0.0.1:${port}`;
    this.environment.PACKETD_NATS_TOKEN_FILE = join(secrets, 'nats-token');
  }

  private async elasticsearch(): Promise<void> {
    const port = await freePort();
    await this.backend('elasticsearch.sh', ['full', String(port), '--fresh']);
    this.urls.elasticsearch = `http://127.0.0.1:${port}`;
    this.environment.PACKETD_EXPORTER_ROUNDTRIPS_ELASTICSEARCH_SERVERS = this.urls.elasticsearch;
  }

  private async victoriaMetrics(): Promise<void> {
    const port = await freePort();
    const built = existsSync(join(BACKENDS_HOME, 'bin/victoria-metrics'));
    await this.backend('victoria-metrics.sh', [String(port), '--fresh'], built ? {} : { DEBIAN: '1' });
    this.urls.metrics = `http://127.0.0.1:${port}`;
    this.environment.PACKETD_EXPORTER_METRICS_ENDPOINT = `${this.urls.metrics}/api/v1/write`;
    this.environment.PACKETD_EXPORTER_METRICS_INTERVAL = '1s';
  }

  /** Building either takes minutes, so that one is used which is there; the collector is the quicker one to build. */
  private async traces(): Promise<void> {
    const [grpc, http, query] = [await freePort(), await freePort(), await freePort()];
    this.environment.PACKETD_EXPORTER_TRACES_ENDPOINT = `http://127.0.0.1:${http}/v1/traces`;
    if (existsSync(join(BACKENDS_HOME, 'bin/jaeger'))) {
      await this.backend('jaeger.sh', [String(grpc), String(http), String(query), '--fresh']);
      this.urls.jaeger = `http://127.0.0.1:${query}`;
    } else if (existsSync(join(BACKENDS_HOME, 'bin/otelcol')) || has('go')) {
      await this.backend('otelcol.sh', [String(grpc), String(http), '--fresh']);
      this.spansFile = join(BACKENDS_HOME, `data/otelcol-${grpc}/received.txt`);
    } else {
      this.environment.PACKETD_EXPORTER_TRACES_ENABLED = 'false';
      this.absent.set(
        'traces',
        'neither Jaeger nor an OpenTelemetry collector was built here, and there is no Go to build one',
      );
    }
  }

  // ── services ───────────────────────────────────────────────────────────────────────────────────────────

  private async demo(): Promise<void> {
    const own = [this.web(), this.http2AndGrpc(), this.redis(), this.dns(), this.mariadb()];
    const kits = (
      [
        ['postgresql', 'postgres.sh', ['17.6.0'], {}],
        ['mongodb', 'mongodb.sh', [], {}],
        ['kafka', 'kafka.sh', ['4.4.0'], {}],
        ['amqp', 'rabbitmq.sh', [], {}],
      ] as const
    ).map(async ([protocol, script, args]) => {
      // RabbitMQ wants a port below 45536.
      const port = protocol === 'amqp' ? await lowPort() : await freePort();
      await this.backend(script, [...args, String(port), '--fresh']);
      this.services.set(protocol, port);
    });
    const names = [
      'http',
      'http2 and grpc',
      'redis',
      'dns',
      'mysql',
      'postgresql',
      'mongodb',
      'kafka',
      'amqp',
    ];
    const results = await Promise.allSettled([...own, ...kits]);
    results.forEach((result, i) => {
      if (result.status === 'rejected') this.absent.set(names[i], (result.reason as Error).message);
    });
    this.environment.DEMO_POSTGRESQL_DATABASE = 'postgres';
    this.environment.DEMO_POSTGRESQL_PASSWORD = 'packetd-test';
  }

  private async web(): Promise<void> {
    need('nginx');
    const port = await freePort();
    const directory = join(this.directory, 'nginx');
    mkdirSync(directory, { mode: 0o777 });
    const config = readFileSync(join(DEPLOY, 'demo/nginx.conf'), 'utf8')
      .replace('listen 8080', `listen 127.0.0.1:${port}`)
      .replaceAll('/tmp/', `${directory}/`);
    const file = join(this.directory, 'nginx.conf');
    writeFileSync(file, config);
    const user = process.getuid?.() === 0 ? 'user root; ' : '';
    this.run('nginx', 'nginx', ['-c', file, '-e', 'stderr', '-g', `${user}daemon off;`]);
    await listening(port);
    this.services.set('http', port);
  }

  private async http2AndGrpc(): Promise<void> {
    const [http2, grpc] = [await freePort(), await freePort()];
    const env = { DEMO_BIND: '127.0.0.1', DEMO_HTTP2_PORT: String(http2), DEMO_GRPC_PORT: String(grpc) };
    this.run('demo services', process.execPath, [join(DEPLOY, 'demo/services.mjs')], env);
    await Promise.all([listening(http2), listening(grpc)]);
    this.services.set('http2', http2).set('grpc', grpc);
  }

  private async redis(): Promise<void> {
    need('redis-server');
    const port = await freePort();
    this.run('redis-server', 'redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1']);
    await listening(port);
    this.services.set('redis', port);
  }

  /** The zone of the demo's Corefile, served by bind9. */
  private async dns(): Promise<void> {
    need('/usr/sbin/named');
    const port = await freePort();
    const directory = join(this.directory, 'named');
    mkdirSync(directory);
    const names = ['www', 'api', 'db'].flatMap((name) => [
      `${name} A 192.0.2.10`,
      `${name} AAAA 2001:db8::10`,
    ]);
    writeFileSync(
      join(directory, 'shop.test'),
      ['$TTL 60', '@ SOA ns admin 1 60 60 60 60', '@ NS ns', 'ns A 127.0.0.1', ...names, ''].join('\n'),
    );
    writeFileSync(
      join(directory, 'named.conf'),
      `options { directory "${directory}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file "${directory}/named.pid"; session-keyfile "${directory}/session.key"; };
controls { };
zone "shop.test" { type primary; file "shop.test"; };
`,
    );
    this.run('named', '/usr/sbin/named', ['-g', '-c', join(directory, 'named.conf')]);
    await listening(port);
    this.services.set('dns', port);
  }

  private async mariadb(): Promise<void> {
    need('/usr/sbin/mariadbd');
    const port = await freePort();
    const directory = join(this.directory, 'mariadb');
    const user = process.getuid?.() === 0 ? ['--user=root'] : [];
    execFileSync(
      'mariadb-install-db',
      [
        '--no-defaults',
        `--datadir=${directory}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        ...user,
      ],
      { stdio: 'ignore' },
    );
    const init = join(this.directory, 'mariadb.sql');
    writeFileSync(init, 'CREATE DATABASE IF NOT EXISTS shop;\n');
    this.run('mariadbd', '/usr/sbin/mariadbd', [
      '--no-defaults',
      `--datadir=${directory}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(this.directory, 'mariadb.sock')}`,
      `--init-file=${init}`,
      ...user,
    ]);
    await listening(port, 60_000);
    this.services.set('mysql', port);
  }

  // ── packetd ────────────────────────────────────────────────────────────────────────────────────────────

  private async packetd(): Promise<void> {
    const [sensor, collector] = [await freePort(), await freePort()];
    const common = this.environment;
    const config = (name: string) => join(DEPLOY, `config/${name}.yaml`);
    const variables = Object.entries(common).filter(([name]) => name.startsWith('PACKETD_'));
    const only = (pattern: RegExp) => Object.fromEntries(variables.filter(([name]) => pattern.test(name)));
    const second = this.run(
      'collector',
      process.execPath,
      [PACKETD, 'collector', '--config', config('collector')],
      {
        ...Object.fromEntries(variables),
        PACKETD_SERVER_ADDRESS: `127.0.0.1:${collector}`,
      },
    );
    await second.said('consuming', END_MS);
    const first = this.run('sensor', process.execPath, [PACKETD, 'agent', '--config', config('sensor')], {
      ...only(/^PACKETD_NATS_/),
      PACKETD_SENSOR_NAME: 'stack',
      PACKETD_SNIFFER_IFACES: 'lo',
      PACKETD_SNIFFER_PROTOCOLS_RULES: this.rules(),
      PACKETD_SERVER_ADDRESS: `127.0.0.1:${sensor}`,
    });
    await first.said('watching', END_MS);
    this.urls.collector = `http://127.0.0.1:${collector}`;
    this.scraper = setInterval(() => void this.scrape().catch(() => {}), 1000);
  }

  /** Only the services: here they share loopback with the backends, which in compose have a network of their own. */
  private rules(): string {
    const rules = [...this.services].filter(([protocol]) => (PROTOCOL_NAMES as string[]).includes(protocol));
    return JSON.stringify(rules.map(([protocol, port]) => ({ protocol, ports: [port] })));
  }

  /** What the stack's VictoriaMetrics does by itself (deploy/config/scrape.yaml). */
  private async scrape(): Promise<void> {
    const text = await (await fetch(`${this.urls.collector}/metrics`)).text();
    const labels = 'extra_label=job=packetd-collector&extra_label=instance=collector';
    await fetch(`${this.urls.metrics}/api/v1/import/prometheus?${labels}`, {
      method: 'POST',
      body: `${text}\nup 1\n`,
    });
  }

  private async backend(
    script: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<Process> {
    const started = this.run(script, join(BACKENDS, script), args, env);
    await started.said('READY', READY_MS);
    return started;
  }

  private run(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Process {
    const started = new Process(name, command, args, env);
    this.processes.push(started);
    return started;
  }
}

function need(program: string): void {
  if (!has(program)) throw new Error(`${program} is not installed`);
}

async function lowPort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port < 45_000) return port;
  }
}
