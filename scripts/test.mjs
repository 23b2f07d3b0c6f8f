// npm test: sets itself up, then runs every test. Arguments are parts of file names to run only those.
// Test servers come from Debian packages when root; a test that lacks one says so and is skipped, which
// CI=true turns into a failure.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, say, setUp, stop } from './setup.mjs';

/** Programs and Python modules that the tests use, and the Debian package of each. */
const PROGRAMS = {
  'redis-server': 'redis-server',
  nginx: 'nginx-light',
  named: 'bind9',
  tshark: 'tshark',
  ip: 'iproute2',
  prometheus: 'prometheus',
  psql: 'postgresql',
  mariadbd: 'mariadb-server',
  'rabbitmq-server': 'rabbitmq-server',
  h2load: 'nghttp2-client',
  'nats-server': 'nats-server',
  'redis-benchmark': 'redis-tools',
  dnsperf: 'dnsperf',
  openssl: 'openssl',
  tcpdump: 'tcpdump',
  // Python clients: the tests make environments of their own.
  '/usr/lib/python3.*/ensurepip': 'python3-venv',
  kcat: 'kcat',
  dig: 'bind9-dnsutils',
  nghttpd: 'nghttp2-server',
  nghttpx: 'nghttp2-proxy',
  curl: 'curl',
  debootstrap: 'debootstrap',
  wrk: 'wrk',
  ab: 'apache2-utils',
  'amqp-publish': 'amqp-tools',
  '/usr/lib/python3/dist-packages/pika': 'python3-pika',
  '/usr/lib/python3/dist-packages/grpc': 'python3-grpcio',
};

setUp();
installPrograms();

const only = process.argv.slice(2);
const files = ['proto/dist', 'sensor/dist', 'collector/dist', 'cli/dist', 'test/dist']
  .flatMap((directory) => testFiles(join(root, directory)))
  .filter((file) => only.length === 0 || only.some((part) => file.includes(part)));
if (files.length === 0) stop(`no test file matches ${only.join(' ')}`);
process.exit(
  run(process.execPath, [
    '--test',
    '--test-force-exit',
    '--test-timeout=600000',
    '--test-reporter=spec',
    ...files,
  ]),
);

function testFiles(directory) {
  return readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(directory, name));
}

function installPrograms() {
  const has = (program) =>
    spawnSync('sh', ['-c', `command -v ${program} || test -x /usr/sbin/${program} || test -d ${program}`])
      .status === 0;
  const missing = Object.keys(PROGRAMS).filter((program) => !has(program));
  if (missing.length === 0) return;
  const packages = missing.map((program) => PROGRAMS[program]);
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    say(`without ${missing.join(', ')} some tests are skipped (packages ${packages.join(' ')})`);
    return;
  }
  say(`installing ${packages.join(' ')}`);
  // Servers are started by the tests that want them, not by their packages.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  run('apt-get', ['update', '-qq'], quiet);
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], quiet);
}
