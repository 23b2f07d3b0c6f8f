/** Captures of real servers under real load, recorded with tcpdump on loopback. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { backend } from '../e2e/support.js';
import { Background, freePort, has, listening, sleep } from './processes.js';
import { repeat } from './repeat.js';

export interface Capture {
  readonly name: string;
  /** Why it cannot be made here, or null. */
  missing(): string | null;
  /** Makes the capture in `directory` (unless it is there) and answers its path. */
  make(directory: string): Promise<string>;
  /** Throws where the capture has far fewer roundtrips than requests were made. */
  check(roundtrips: number): void;
}

/** A server to load: started on `port`, its files in `directory`. */
export interface Load {
  readonly name: string;
  /** Requests of a capture, where the load is too slow for 200 000: their capture is repeated. */
  readonly requests?: number;
  /** Why it cannot be run here, or null. */
  missing?(): string | null;
  /** Requests that the client says it made; without it, those it was told to make. */
  made?(said: string): number;
  server(port: number, directory: string): Background;
  /** Command that makes about `requests` requests. */
  client(port: number, directory: string, requests: number): [string, ...string[]];
}

const redis: Load['server'] = (port) =>
  new Background('redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1']);

export const LOADS: readonly Load[] = [
  {
    name: 'redis',
    server: redis,
    client: (port, _, n) => [
      'redis-benchmark',
      '-p',
      String(port),
      '-n',
      String(n / 2),
      '-c',
      '20',
      '-t',
      'get,set',
      '-q',
    ],
  },
  {
    name: 'redis-p16',
    server: redis,
    client: (port, _, n) => [
      'redis-benchmark',
      '-p',
      String(port),
      '-n',
      String(n / 2),
      '-c',
      '20',
      '-P',
      '16',
      '-t',
      'get,set',
      '-q',
    ],
  },
  {
    name: 'http',
    server: nginx,
    // wrk is told a time: so much as a slow machine needs.
    client: (port, _, n) => [
      'wrk',
      '-t1',
      '-c20',
      `-d${Math.ceil(n / 20_000)}`,
      `http://127.0.0.1:${port}/users/42?page=1`,
    ],
    made: (said) => Number(/(\d+) requests in/.exec(said)?.[1]),
  },
  {
    name: 'dns',
    server: named,
    client: (port, directory, n) => {
      writeFileSync(
        join(directory, 'queries'),
        Array.from({ length: 1000 }, (_, i) => `h${i}.example.test A\n`).join(''),
      );
      return [
        'dnsperf',
        '-s',
        '127.0.0.1',
        '-p',
        String(port),
        '-d',
        join(directory, 'queries'),
        '-n',
        String(Math.ceil(n / 1000)),
        '-c',
        '4',
        '-q',
        '64',
      ];
    },
  },
  {
    name: 'http2',
    server: (port) => new Background('nghttpd', ['--no-tls', '-d', '/usr/share/doc', String(port)]),
    client: (port, _, n) => [
      'h2load',
      '-n',
      String(n),
      '-c',
      '4',
      '-m',
      '32',
      `http://127.0.0.1:${port}/none`,
    ],
  },
  {
    name: 'postgresql',
    server: postgres,
    client: (port, directory, n) => {
      const script = join(directory, 'select.sql');
      writeFileSync(script, '\\set id random(1, 100000)\nSELECT relname FROM pg_class WHERE oid = :id;\n');
      const login = ['-h', '127.0.0.1', '-p', String(port), '-U', 'bench'];
      // The extended protocol, with statements prepared once by each connection.
      const mode = ['-M', 'prepared', '-n', '-c', '8', '-t', String(n / 8), '-f', script];
      return [join(postgresBin(), 'pgbench'), ...login, ...mode, 'postgres'];
    },
  },
  {
    name: 'mysql',
    server: mariadb,
    client: (port, _, n) => [
      'mariadb-slap',
      '--no-defaults',
      '--host=127.0.0.1',
      `--port=${port}`,
      '--user=root',
      '--concurrency=8',
      `--number-of-queries=${n}`,
      '--create-schema=mysql',
      '--query=SELECT 42',
    ],
  },
  {
    name: 'grpc',
    requests: 40_000,
    server: (port) => new Background(process.execPath, [CLIENTS, 'grpc-server', String(port)]),
    client: (port, _, n) => [process.execPath, CLIENTS, 'grpc', String(port), String(n)],
  },
  {
    name: 'amqp',
    requests: 50_000,
    missing: () => (existsSync(RABBITMQ) ? null : 'RabbitMQ is not installed (package rabbitmq-server)'),
    server: rabbitmq,
    client: (port, _, n) => [process.execPath, CLIENTS, 'amqp', String(port), String(n)],
  },
  {
    name: 'kafka',
    requests: 20_000,
    missing: () => (backend('kafka.sh') === null || !has('java') ? NO_BACKEND : null),
    server: (port) => new Background(backend('kafka.sh')!, ['4.4.0', String(port), '--fresh']),
    client: (port, _, n) => [process.execPath, CLIENTS, 'kafka', String(port), String(n)],
  },
  {
    name: 'mongodb',
    requests: 20_000,
    missing: () => (backend('mongodb.sh') === null || !has('java') ? NO_BACKEND : null),
    server: (port) => new Background(backend('mongodb.sh')!, [String(port), '--fresh']),
    client: (port, _, n) => [process.execPath, CLIENTS, 'mongodb', String(port), String(n)],
  },
];

const CLIENTS = fileURLToPath(new URL('clients.js', import.meta.url));
const RABBITMQ = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const NO_BACKEND = 'its server is in no Debian package, and no start script lies beside the checkout';

const REQUESTS = 200_000;
/** Of the requests that were made, at least so many must be in the capture. */
const LEAST_SHARE = 0.9;

export const CAPTURES: readonly Capture[] = LOADS.map((load) => ({
  name: load.name,
  missing: () => load.missing?.() ?? null,
  async make(directory) {
    const file = join(directory, `${load.name}.pcap`);
    if (existsSync(file)) return file;
    const requests = load.requests ?? REQUESTS;
    const short = requests < REQUESTS ? join(directory, `${load.name}-short.pcap`) : file;
    const port = await freePort();
    // A server that will not be root must reach its files.
    chmodSync(directory, 0o755);
    const server = load.server(port, directory);
    try {
      await listening(port, 120_000);
      const filter = ['-i', 'lo', '-s', '0', '-B', '262144', '-Z', 'root', '-w', short, `port ${port}`];
      const tcpdump = new Background('tcpdump', filter);
      try {
        await tcpdump.said('listening on');
        // One that is told a time makes fewer on a busy machine.
        for (let made = 0; made < requests; ) made += runClient(load, port, directory, requests);
        await sleep(500);
      } finally {
        await tcpdump.stop();
      }
    } finally {
      await server.stop('SIGTERM');
    }
    if (short !== file) repeat(short, file, Math.ceil(REQUESTS / requests));
    return file;
  },
  check(roundtrips) {
    if (roundtrips >= REQUESTS * LEAST_SHARE) return;
    throw new Error(`the capture of ${load.name} has ${roundtrips} roundtrips instead of ${REQUESTS}`);
  },
}));

/** Runs the load's client to its end; answers the requests that it made and its output. */
export function runClient(load: Load, port: number, directory: string, requests: number): number {
  const [command, ...args] = load.client(port, directory, requests);
  const result = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command} failed: ${result.stderr || result.error}`);
  return load.made?.(result.stdout) ?? requests;
}

function rabbitmq(port: number, directory: string): Background {
  const home = join(directory, `rabbitmq-${port}`);
  mkdirSync(home, { recursive: true });
  const environment = {
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(port < 40_000 ? port + 20_000 : port - 20_000),
    RABBITMQ_NODENAME: `bench${port}@localhost`,
    RABBITMQ_MNESIA_BASE: join(home, 'mnesia'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
    HOME: home,
  };
  return new Background('env', [
    ...Object.entries(environment).map(([key, value]) => `${key}=${value}`),
    RABBITMQ,
  ]);
}

function nginx(port: number, directory: string): Background {
  const prefix = join(directory, `nginx-${port}`);
  mkdirSync(prefix, { recursive: true });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${prefix}/${name};`)
    .join(' ');
  writeFileSync(
    join(prefix, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${prefix}/pid; error_log stderr; events { worker_connections 512; }
http { access_log off; keepalive_requests 1000000; ${temporary} server { listen 127.0.0.1:${port}; location / { return 200 "hello world"; } } }`,
  );
  return new Background('/usr/sbin/nginx', ['-p', prefix, '-c', join(prefix, 'nginx.conf')]);
}

function named(port: number, directory: string): Background {
  const hosts = Array.from({ length: 1000 }, (_, i) => `h${i} A 192.0.2.${i % 250}\n`).join('');
  writeFileSync(
    join(directory, 'zone'),
    `$TTL 60\n@ SOA ns admin 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n${hosts}`,
  );
  writeFileSync(
    join(directory, 'named.conf'),
    `options { directory "${directory}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; };
controls {}; zone "example.test" { type primary; file "zone"; };`,
  );
  return new Background('/usr/sbin/named', ['-g', '-n', '1', '-c', join(directory, 'named.conf')]);
}

function postgresBin(): string {
  const root = '/usr/lib/postgresql';
  const version = existsSync(root) ? readdirSync(root).sort().at(-1) : undefined;
  if (version === undefined) throw new Error('PostgreSQL is not installed (package postgresql)');
  return join(root, version, 'bin');
}

/** It refuses to run as root. */
const NOBODY = 65_534;

function postgres(port: number, directory: string): Background {
  const data = join(directory, `postgres-${port}`);
  mkdirSync(data, { recursive: true });
  chownSync(data, NOBODY, NOBODY);
  const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  const cluster = join(data, 'cluster');
  execFileSync(
    'setpriv',
    [...asNobody, join(postgresBin(), 'initdb'), '-D', cluster, '-U', 'bench', '-A', 'trust', '--no-sync'],
    {
      cwd: data,
      stdio: 'ignore',
    },
  );
  const options = ['-p', String(port), '-k', data, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'];
  return new Background(
    'setpriv',
    [...asNobody, join(postgresBin(), 'postgres'), '-D', cluster, ...options],
    data,
  );
}

function mariadb(port: number, directory: string): Background {
  const data = join(directory, `mariadb-${port}`);
  execFileSync(
    'mariadb-install-db',
    ['--no-defaults', '--user=root', `--datadir=${data}`, '--auth-root-authentication-method=normal'],
    {
      stdio: 'ignore',
    },
  );
  return new Background('mariadbd', [
    '--no-defaults',
    '--user=root',
    `--datadir=${data}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${join(data, 'socket')}`,
    `--pid-file=${join(data, 'pid')}`,
  ]);
}
