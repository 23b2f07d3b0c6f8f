import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { KEYS } from './keys.js';
import { type ConfigError, loadConfig, referenceConfig, variableOf } from './load.js';

const directory = mkdtempSync(join(tmpdir(), 'packetd-config-'));
let files = 0;
function file(text: string): string {
  const path = join(directory, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

describe('the reference configuration', () => {
  for (const command of ['up', 'agent', 'collector'] as const) {
    it(`of ${command} loads as it is and says the defaults`, () => {
      const config = loadConfig(file(referenceConfig(command)), {});
      const defaults = loadConfig(undefined, {});
      for (const key of KEYS) assert.deepEqual(config.get(key.path), defaults.get(key.path), key.path);
    });
  }
});

describe('a configuration file', () => {
  it('takes nested and dotted names alike', () => {
    const nested = loadConfig(file('logger:\n  level: debug\nserver:\n  address: 0.0.0.0:80\n'), {});
    const dotted = loadConfig(file('logger.level: debug\nserver.address: 0.0.0.0:80\n'), {});
    for (const config of [nested, dotted]) {
      assert.equal(config.get('logger.level'), 'debug');
      assert.equal(config.get('server.address'), '0.0.0.0:80');
    }
  });

  it('reads rules and durations', () => {
    const config = loadConfig(
      file(
        "sniffer.protocols:\n  rules:\n    - 'http;80,8080'\n    - { name: r, protocol: redis, ports: [6379], host: 10.0.0.1 }\ncontroller.connExpired: 90s\n",
      ),
      {},
    );
    assert.deepEqual(config.get('sniffer.protocols.rules'), [
      { protocol: 'http', ports: [80, 8080], host: '' },
      { protocol: 'redis', ports: [6379], host: '10.0.0.1' },
    ]);
    assert.equal(config.get('controller.connExpired'), 90_000);
  });

  const mistakes: [name: string, text: string, message: RegExp][] = [
    [
      'an unknown key',
      'logger:\n  levle: debug\n',
      /line 2: unknown key logger\.levle; did you mean logger\.level\?/,
    ],
    ['a wrong value', 'logger.level: loud\n', /line 1: logger\.level: /],
    [
      'a wrong rule',
      "sniffer.protocols.rules: ['htpp;80']\n",
      /line 1: sniffer\.protocols\.rules.*'htpp' is no protocol/,
    ],
    ['a value for a group', 'server: yes\n', /line 1: server holds further keys/],
    ['broken YAML', 'a: [1\n', /line \d/],
  ];
  for (const [name, text, message] of mistakes) {
    it(`refuses ${name} and says where`, () => {
      assert.throws(
        () => loadConfig(file(text), {}),
        (error: ConfigError) => error.name === 'ConfigError' && message.test(error.message),
      );
    });
  }
});

describe('the environment', () => {
  it('sets every key', () => {
    assert.equal(variableOf('controller.layer4Metrics.enabled'), 'PACKETD_CONTROLLER_LAYER4_METRICS_ENABLED');
    const config = loadConfig(file('logger.level: debug\n'), {
      PACKETD_LOGGER_LEVEL: 'warn',
      PACKETD_CONTROLLER_LAYER4_METRICS_ENABLED: 'true',
      PACKETD_NATS_SERVERS: 'nats://a:4222,nats://b:4222',
      PACKETD_SNIFFER_WORKERS: '2',
    });
    assert.equal(config.get('logger.level'), 'warn');
    assert.equal(config.get('controller.layer4Metrics.enabled'), true);
    assert.deepEqual(config.get('nats.servers'), ['nats://a:4222', 'nats://b:4222']);
    assert.equal(config.get('sniffer.workers'), 2);
  });

  it('takes secrets from files, and never prints them', () => {
    const config = loadConfig(undefined, { PACKETD_NATS_PASSWORD_FILE: file('s3cret\n') });
    assert.equal(config.get('nats.password'), 's3cret');
  });

  it('refuses what it does not know, but not what Kubernetes adds', () => {
    assert.throws(
      () => loadConfig(undefined, { PACKETD_LOGER_LEVEL: 'x' }),
      /did you mean PACKETD_LOGGER_LEVEL/,
    );
    loadConfig(undefined, {
      PACKETD_COLLECTOR_SERVICE_HOST: '10.0.0.1',
      PACKETD_COLLECTOR_PORT_9091_TCP: 'tcp://10.0.0.1:9091',
    });
  });
});
