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
    [
      'none of a few',
      'logger:\n  level: loud\n',
      /line 2: logger\.level: write one of debug, info, warn, error, not 'loud'$/,
    ],
    [
      'what is not true or false',
      'server.enabled: yes\n',
      /server\.enabled: write true or false, not 'yes'$/,
    ],
    [
      'a number out of range',
      'sniffer:\n  workers: 0\n',
      /line 2: sniffer\.workers: write a whole number from 1 to 64, not 0$/,
    ],
    ['a part of a number', 'sniffer.workers: 1.5\n', /write a whole number from 1 to 64, not 1\.5$/],
    ['no share', 'exporter.traces.sampleRatio: 2\n', /write a number from 0 to 1, not 2$/],
    ['no time', 'server.timeout: soon\n', /write a time as 500ms, 30s, 5m or 1h \(.*\), not 'soon'$/],
    // Node's timers would take it for 1 ms.
    ['a time that timers cannot wait', 'server.timeout: 999h\n', /at most 596h\), not '999h'$/],
    [
      'a number for text',
      'server.address: 9091\n',
      /server\.address: write it as text, in quotes, not 9091$/,
    ],
    [
      'text for a list',
      'nats.servers: nats://a\n',
      /nats\.servers: write a list, as \[a, b\], not 'nats:\/\/a'$/,
    ],
    ['a part of a list', 'nats.servers:\n  - a\n  - 5\n', /line 3: nats\.servers\[1\]: write it as text/],
    [
      'what is missing',
      'processor:\n  - config: {}\n',
      /line 2: processor\[0\]\.name: is missing; write one of roundtripstometrics, /,
    ],
    [
      'a misspelt part',
      'processor:\n  - nmae: roundtripstometrics\n',
      /line 2: processor\[0\]: unknown key nmae; write \{ name: /,
    ],
    [
      'a wrong part',
      'processor:\n  - name: roundtripstometrics\n    config:\n      http:\n        requireLabels: method\n',
      /line 5: processor\[0\]\.config\.http\.requireLabels: write a list, as \[a, b\], not 'method'$/,
    ],
    [
      'a rule with a wrong port',
      'sniffer.protocols.rules:\n  - protocol: http\n    ports: [0]\n',
      /line 3: sniffer\.protocols\.rules\[0\]\.ports\[0\]: write a whole number from 1 to 65535, not 0$/,
    ],
    [
      'a key given twice',
      'logger:\n  level: info\nlogger.level: warn\n',
      /line 3: logger\.level was given before, in .* line 2; leave one out$/,
    ],
    ['the same key twice', 'logger: {stdout: true, stdout: false}\n', /line 1: this key was given before/],
    ['two documents', 'logger.stdout: true\n---\n', /line 2: a second document begins here; keep one$/],
    ['an anchor that is not there', 'logger.level: *x\n', /line 1: there is no anchor \*x above$/],
    ['a list', '- a\n', /yaml: a configuration is keys with their values/],
    [
      'a wrong rule',
      "sniffer.protocols.rules: ['htpp;80']\n",
      /line 1: sniffer\.protocols\.rules.*'htpp' is no protocol/,
    ],
    ['a value for a group', 'server: yes\n', /line 1: server holds further keys/],
    [
      'a stream larger than numbers are',
      'nats.maxMegabytes: 8589934592\n',
      /line 1: nats\.maxMegabytes: write a whole number from 1 to 8589934591, not 8589934592$/,
    ],
    ['broken YAML', 'a:\n b: c: d\n', /line 2: this is not YAML: /],
    ['what holds itself', 'processor: &a [*a]\n', /line 1: processor\[0\]: write .*, not what holds itself$/],
    [
      'aliases that hold too much',
      `nats.servers:\n  - &a [${'x,'.repeat(9)}]\n${['ab', 'bc', 'cd', 'de', 'ef']
        .map(([from, to]) => `  - &${to} [${`*${from},`.repeat(9)}]\n`)
        .join('')}`,
      /line 1: nats\.servers: its aliases hold too much; write it out$/,
    ],
    ...['', 'a b', 'a.b', 'a/b', '>'].map((name): [string, string, RegExp] => [
      `a stream of the name '${name}'`,
      `nats.stream: '${name}'\n`,
      /line 1: nats\.stream: write a name without blanks, dots/,
    ]),
  ];
  for (const [name, text, message] of mistakes) {
    it(`refuses ${name} and says where`, () => {
      assert.throws(
        () => loadConfig(file(text), {}),
        (error: ConfigError) =>
          error.name === 'ConfigError' && message.test(error.message) && !error.message.includes('\n'),
      );
    });
  }

  it('knows anchors', () => {
    const config = loadConfig(file('nats.tls.cert: &pem /a.pem\nnats.tls.key: *pem\n'), {});
    assert.equal(config.get('nats.tls.key'), '/a.pem');
  });

  it('tells no secret', () => {
    for (const text of [
      'nats.password: 7777\n',
      'exporter.traces.headers: { Authorization: 7777 }\n',
      'exporter.traces.headers: [7777]\n',
      'nats.servers: nats://user:7777@host\n',
      'nats.servers: { a: "nats://7777@host" }\n',
    ]) {
      assert.throws(
        () => loadConfig(file(text), {}),
        ({ message }: ConfigError) => /: write /.test(message) && !message.includes('7777'),
      );
    }
  });
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

  it('is empty where a key is left to its default', () => {
    const config = loadConfig(undefined, { PACKETD_SNIFFER_WORKERS: '', PACKETD_NATS_SERVERS: '' });
    assert.equal(config.get('sniffer.workers'), 1);
    assert.deepEqual(config.get('nats.servers'), []);
  });

  it('has rules between blanks', () => {
    const config = loadConfig(undefined, { PACKETD_SNIFFER_PROTOCOLS_RULES: 'http;80,8080 redis;6379' });
    assert.deepEqual(config.get('sniffer.protocols.rules'), [
      { protocol: 'http', ports: [80, 8080], host: '' },
      { protocol: 'redis', ports: [6379], host: '' },
    ]);
  });

  const secretFile = file('{7777');
  for (const [name, environment, message] of [
    [
      'a wrong value',
      { PACKETD_SNIFFER_WORKERS: 'two' },
      /^variable PACKETD_SNIFFER_WORKERS: sniffer\.workers: write a whole number from 1 to 64, not 'two'$/,
    ],
    ['broken YAML', { PACKETD_PROCESSOR: '[1' }, /^variable PACKETD_PROCESSOR: this is not YAML: /],
    [
      'a file that is not there',
      { PACKETD_NATS_PASSWORD_FILE: '/nothere' },
      /^variable PACKETD_NATS_PASSWORD_FILE: cannot read '\/nothere' \(ENOENT\)/,
    ],
    [
      'a wrong value in a file',
      { PACKETD_SNIFFER_WORKERS_FILE: file('two\n') },
      /^variable PACKETD_SNIFFER_WORKERS_FILE: .*\.yaml: sniffer\.workers: write .*, not 'two'$/,
    ],
    [
      'broken YAML in a file, of which it tells nothing',
      { PACKETD_EXPORTER_TRACES_HEADERS_FILE: secretFile },
      /^variable PACKETD_EXPORTER_TRACES_HEADERS_FILE: [^{]*: exporter\.traces\.headers: this is not YAML; [^7]*$/,
    ],
    [
      'a value and its file',
      { PACKETD_NATS_PASSWORD: 'a', PACKETD_NATS_PASSWORD_FILE: secretFile },
      /^variables PACKETD_NATS_PASSWORD and PACKETD_NATS_PASSWORD_FILE both set nats\.password; leave one out$/,
    ],
  ] as const) {
    it(`refuses ${name} and names the variable`, () => {
      assert.throws(() => loadConfig(undefined, environment), { name: 'ConfigError', message });
    });
  }

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
