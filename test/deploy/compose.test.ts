/** The compose stack's file keeps to its rules: pinned, on loopback, non-root, limited, without a secret. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT, unless } from '../e2e/support.js';
import { yaml } from './support.js';

interface Service {
  readonly image: string;
  readonly pull_policy?: string;
  readonly build?: { readonly target: string };
  readonly user?: string;
  readonly ports?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly read_only?: boolean;
  readonly mem_limit?: string;
  readonly pids_limit?: number;
  readonly stop_grace_period?: string;
  readonly network_mode?: string;
  readonly networks?: readonly string[];
  readonly profiles?: readonly string[];
  readonly privileged?: boolean;
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: object;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: object;
  readonly networks: object;
}

const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
const settings = readFileSync(join(ROOT, '.env'), 'utf8');
const compose = yaml.parse(text, { merge: true }) as Compose;
const services = Object.entries(compose.services);
const variables = new Map(
  settings
    .split('\n')
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
);
/** Images that begin as root and drop to their own user. */
const BEGIN_AS_ROOT = ['demo-postgres', 'demo-mariadb', 'demo-mongo', 'demo-rabbitmq'];
/** Images whose own user is none of these numbers, and those that are non-root by their USER line. */
const USER_OF_IMAGE = ['demo-http', 'demo-dns'];
const WRITABLE_ROOT = ['elasticsearch', 'kibana', 'demo-kafka', ...BEGIN_AS_ROOT];

/** With the values of .env, else the default. */
function filled(value: string): string {
  return value.replaceAll(
    /\$\{(\w+)(?::?-([^}]*))?\}/g,
    (_, name: string, fallback = '') => variables.get(name) ?? fallback,
  );
}

describe('docker-compose.yml', () => {
  for (const [name, service] of services) {
    it(`${name}: pinned, limited, unprivileged`, () => {
      const image = filled(service.image);
      assert.match(image, /:v?\d+\.\d+[\w.-]*$/, `${image} is not pinned`);
      // An image of ours never comes from a registry where anybody could have put one of that name.
      if (image.startsWith('packetd-'))
        assert.equal(service.pull_policy, service.build === undefined ? 'never' : 'build');
      const version = /\$\{(\w+)/.exec(service.image)?.[1];
      if (version !== undefined)
        assert.ok(service.image.includes(`:-${variables.get(version)}}`), `${version} differs from .env`);
      assert.deepEqual(service.cap_drop, ['ALL']);
      assert.notEqual(service.privileged, true);
      assert.ok(service.mem_limit !== undefined && service.pids_limit !== undefined);
      if (!BEGIN_AS_ROOT.includes(name) && !USER_OF_IMAGE.includes(name))
        assert.match(service.user ?? '', /^[1-9]\d*:\d+$/);
      assert.equal(service.read_only ?? false, !WRITABLE_ROOT.includes(name));
      const escalation = name === 'sensor' ? 'no-new-privileges:false' : 'no-new-privileges:true';
      assert.deepEqual(service.security_opt, [escalation]);
      assert.deepEqual(
        service.cap_add ?? [],
        name === 'sensor'
          ? ['NET_RAW']
          : name === 'demo-dns'
            ? ['NET_BIND_SERVICE']
            : BEGIN_AS_ROOT.includes(name)
              ? ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID']
              : [],
      );
      assert.equal(service.network_mode === 'host', name === 'sensor');
    });

    it(`${name}: ports on loopback, mounted files there, secrets from files`, () => {
      for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/);
      for (const volume of service.volumes ?? []) {
        const [source] = volume.split(':');
        if (source.startsWith('./')) {
          assert.ok(existsSync(join(ROOT, source)), source);
          assert.match(volume, /:ro$/);
        } else assert.ok(Object.hasOwn(compose.volumes, source), source);
      }
      for (const [variable, value] of Object.entries(service.environment ?? {})) {
        if (/PASSWORD|TOKEN|SECRET|API_KEY/.test(variable) && !/_FILE$|ALLOW_EMPTY/.test(variable))
          assert.fail(`${variable}=${value}`);
      }
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        const wanted = compose.services[other];
        assert.ok(wanted !== undefined, other);
        if (condition === 'service_healthy')
          assert.ok(wanted.healthcheck !== undefined, `${other} has no health check`);
        if (wanted.profiles !== undefined) assert.deepEqual(service.profiles, wanted.profiles);
      }
    });
  }

  it('has only built-in targets of the Dockerfile', () => {
    const stages = [...readFileSync(join(ROOT, 'Dockerfile'), 'utf8').matchAll(/^FROM .* AS (\S+)$/gm)].map(
      ([, stage]) => stage,
    );
    const targets = services.flatMap(([, { build }]) => build?.target ?? []);
    assert.deepEqual([...new Set(targets)].sort(), ['collector', 'demo', 'sensor']);
    for (const target of targets) assert.ok(stages.includes(target), target);
  });

  it('gives packetd more time to end than it takes to hand over what it holds', () => {
    for (const name of ['sensor', 'collector'])
      assert.ok(Number.parseInt(compose.services[name].stop_grace_period ?? '10s', 10) > 10, name);
  });

  it('lets init alone decide whose a volume is that it hands to another image', () => {
    const given = compose.services.init.volumes?.map((volume) => volume.split(':')[0]) ?? [];
    for (const [name, { image, volumes = [] }] of services) {
      if (image.startsWith('packetd-')) continue;
      for (const volume of volumes.filter((text) => given.includes(text.split(':')[0])))
        assert.match(volume, /:(ro|nocopy)$/, `${name}: ${volume}`);
    }
  });

  it('drives all ten protocols', () => {
    const { environment = {} } = compose.services['demo-load'];
    const driven = Object.entries(environment).filter(([name]) => /^DEMO_[A-Z0-9]+$/.test(name));
    assert.equal(driven.length, 10);
    for (const [, address] of driven) {
      const service = compose.services[address.split(':')[0]];
      assert.deepEqual(service?.profiles, ['demo'], address);
    }
  });

  it('leaves the network of the backends out of what the sensor watches', () => {
    const pattern = new RegExp(`^(?:${variables.get('PACKETD_SNIFFER_IFACES')?.replace(/^'|'$/g, '')})$`);
    const watched = ['eth0', 'lo', 'veth12ab', 'packetd-back', 'packetd-demo', 'docker0', 'wlp2s0'].filter(
      (name) => pattern.test(name),
    );
    assert.deepEqual(watched, ['eth0', 'packetd-demo', 'docker0', 'wlp2s0']);
    for (const [name, { networks, profiles, network_mode }] of services) {
      if (network_mode === undefined)
        assert.deepEqual(networks, [profiles === undefined ? 'back' : 'demo'], name);
    }
  });

  it('is valid for docker compose', (t) => {
    const compose = composeProgram();
    if (compose === null) {
      const reason = 'docker compose is not installed, and debootstrap cannot bring it';
      assert.ok(unless(false, reason), reason);
      t.skip(reason);
      return;
    }
    const [program, ...args] = compose;
    const file = ['-f', join(ROOT, 'docker-compose.yml'), 'config', '--quiet'];
    const run = spawnSync(program, [...args, ...file], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stderr);
  });
});

/** Compose v2: Docker's plugin, or the same program from Debian 13, which runs without Docker too. */
function composeProgram(): string[] | null {
  if (spawnSync('docker', ['compose', 'version']).status === 0) return ['docker', 'compose'];
  const unpacked = join(ROOT, 'node_modules/.cache/packetd-compose');
  const program = join(unpacked, 'usr/libexec/docker/cli-plugins/docker-compose');
  if (existsSync(program)) return [program];
  const packages = mkdtempSync(join(tmpdir(), 'packetd-compose-'));
  try {
    const download = ['--download-only', '--variant=minbase', '--include=docker-compose', 'trixie', packages];
    if (spawnSync('debootstrap', download, { stdio: 'ignore' }).status !== 0) return null;
    const archives = join(packages, 'var/cache/apt/archives');
    const archive = readdirSync(archives).find((name) => name.startsWith('docker-compose_'));
    if (archive === undefined) return null;
    mkdirSync(unpacked, { recursive: true });
    if (spawnSync('dpkg-deb', ['-x', join(archives, archive), unpacked]).status !== 0) return null;
  } finally {
    rmSync(packages, { recursive: true, force: true });
  }
  return existsSync(program) ? [program] : null;
}

describe('.env', () => {
  it('holds no secret and nothing unused', () => {
    assert.doesNotMatch(settings, /^\w*(PASSWORD|TOKEN|SECRET|KEY)\w*=/m);
    for (const name of variables.keys()) {
      if (name !== 'COMPOSE_PROFILES') assert.ok(text.includes(`\${${name}`), `${name} is used nowhere`);
    }
  });
});

describe('deploy/init.mjs', () => {
  it('makes secrets once, readable, and unlike each other', () => {
    const directory = mkdtempSync(join(tmpdir(), 'packetd-init-'));
    try {
      const run = () =>
        spawnSync(process.execPath, [
          join(ROOT, 'deploy/init.mjs'),
          join(directory, 'a'),
          join(directory, 'b'),
        ]);
      const read = (path: string) => readFileSync(join(directory, path), 'utf8');
      assert.equal(run().status, 0);
      const token = read('a/nats-token');
      assert.match(token, /^[\w-]{32}$/);
      assert.equal(read('a/nats-authorization.conf'), `token: "${token}"\n`);
      assert.notEqual(read('b/rabbitmq-password'), token);
      assert.ok(read('b/rabbitmq.conf').includes(read('b/rabbitmq-password')));
      assert.equal(statSync(join(directory, 'a/nats-token')).mode & 0o777, 0o444);
      assert.equal(run().status, 0);
      assert.equal(read('a/nats-token'), token);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
