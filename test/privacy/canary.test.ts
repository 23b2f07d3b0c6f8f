/**
 * Marked secrets go through every protocol's credentials, literals, parameters and headers, and come out
 * nowhere: not in records, documents, lines of text, spans, metrics, logs or errors. DNS has no test: nothing
 * that it says is a secret by its specification, and all of a query and its answer is recorded.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Backend } from '@packetd/collector/harness';
import { eachRecord, RECORD } from '@packetd/proto/batch';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { DocumentWriter } from '@packetd/proto/telemetry/document';
import { decodeFile } from '@packetd/sensor/offline';
import type { PipelineOptions } from '@packetd/sensor/pipeline';
import { PROTOCOL_NAMES } from '@packetd/sensor/protocols/registry';
import type { Rule } from '@packetd/sensor/rules';
import { uncompress } from 'snappy';
import { freePort, sleep } from '../bench/processes.js';
import { PACKETD, packetd } from '../e2e/support.js';
import { CaptureBuilder, u64le } from '../messages/conversation.js';
import { amqpConversations } from './amqp.js';
import { httpConversations } from './http.js';
import { http2Conversations } from './http2.js';
import { kafkaConversations } from './kafka.js';
import { mongodbConversations } from './mongodb.js';
import { mysqlConversations } from './mysql.js';
import { postgresqlConversations } from './postgresql.js';
import { redisConversations } from './redis.js';
import { type Conversation, Search } from './secrets.js';
import { type Variant, variantsOf, WHOLE } from './variants.js';

const CONVERSATIONS: readonly Conversation[] = [
  ...httpConversations(),
  ...(await http2Conversations()),
  ...redisConversations(),
  ...postgresqlConversations(),
  ...mysqlConversations(),
  ...mongodbConversations(),
  ...kafkaConversations(),
  ...amqpConversations(),
];
/** Secrets that a leak of one is shown of; more say no more. */
const SHOWN = 5;

const directory = mkdtempSync(join(tmpdir(), 'packetd-canary-'));
after(() => rmSync(directory, { recursive: true }));

interface Seen {
  readonly protocol: string;
  readonly clientPort: number;
  readonly record: Uint8Array;
  readonly document: string;
}

/** Every record of a capture, and its document. */
async function decode(path: string, options: Partial<PipelineOptions>): Promise<Seen[]> {
  const seen: Seen[] = [];
  const writer = new DocumentWriter();
  const out = new ByteBuffer(1 << 16);
  await decodeFile(
    path,
    {
      batch(bytes, length) {
        eachRecord(bytes, length, RECORD, (start, end) => {
          out.length = 0;
          assert.ok(writer.write(bytes, start, end, out));
          const document = Buffer.from(out.bytes.subarray(0, out.length)).toString();
          const { packetd, client } = JSON.parse(document) as {
            packetd: { protocol: string };
            client: { port: number };
          };
          seen.push({
            protocol: packetd.protocol,
            clientPort: client.port,
            record: bytes.slice(start, end),
            document,
          });
        });
      },
    },
    options,
  );
  return seen;
}

/** A capture with each of the variants as a connection of its own; names of the variants by client port. */
function capture(conversation: Conversation, variants: readonly Variant[]): [string, Map<number, string>] {
  const builder = new CaptureBuilder();
  const names = new Map<number, string>();
  for (const variant of variants) {
    const { clientPort } = builder.add(conversation.messages, {
      ...variant,
      serverPort: conversation.serverPort,
    });
    names.set(clientPort, variant.name);
  }
  return [builder.write(join(directory, `${conversation.name.replaceAll(/\W/g, '_')}.pcap`)), names];
}

const searchFor = ({ name, secrets }: Conversation) =>
  new Search([...secrets.values].map(([secret, value]) => [`${name}: ${secret}`, value]));

/** What decoding leaks, each secret once, with the variant that it was seen in. */
function leaks(search: Search, seen: readonly Seen[], names: ReadonlyMap<number, string>): string[] {
  const found = new Map<string, string>();
  for (const { record, document, clientPort } of seen) {
    for (const text of [record, document]) {
      for (const [secret, context] of search.in(text)) {
        if (!found.has(secret)) found.set(secret, `${secret}, ${names.get(clientPort)}: ${context}`);
      }
    }
  }
  return [...found.values()].slice(0, SHOWN);
}

describe('what the capture has', () => {
  for (const conversation of CONVERSATIONS) {
    it(`${conversation.name}: every secret`, () => {
      const said = Buffer.concat([
        ...conversation.messages.filter(({ from }) => from === 'client').map(({ bytes }) => bytes),
        ...conversation.messages.filter(({ from }) => from === 'server').map(({ bytes }) => bytes),
        ...(conversation.plain ?? []),
      ]);
      const missing = [...conversation.secrets.values].filter(([name, value]) => {
        const isNumber = /^\d+$/.test(value) && said.includes(u64le(BigInt(value)));
        return !isNumber && new Search([[name, value]]).in(said).size === 0;
      });
      assert.deepEqual(missing, []);
      assert.ok(conversation.secrets.values.size > 0);
    });
  }

  it('every protocol but dns', () => {
    const there = new Set(CONVERSATIONS.map(({ protocol }) => protocol));
    assert.deepEqual(
      PROTOCOL_NAMES.filter((name) => !there.has(name)),
      ['dns'],
    );
  });
});

describe('records and documents', () => {
  for (const conversation of CONVERSATIONS) {
    const { name, protocol, serverPort } = conversation;
    const rules = [{ protocol, ports: [serverPort], host: '' }] as Rule[];
    for (const [how, options] of [
      ['found by its content', {}],
      ['by a rule', { rules }],
    ] as const) {
      it(`${name} ${how}`, { timeout: 300_000 }, async () => {
        const [path, names] = capture(conversation, variantsOf(conversation));
        const seen = await decode(path, options);
        const whole = seen.filter((record) => names.get(record.clientPort) === WHOLE.name);
        assert.deepEqual(
          whole.map((record) => record.protocol),
          Array.from({ length: conversation.records }, () => protocol),
        );
        assert.deepEqual(leaks(searchFor(conversation), seen, names), []);
      });
    }
  }
});

describe('programs', () => {
  const search = new Search(
    CONVERSATIONS.flatMap(({ name, secrets }) =>
      [...secrets.values].map(([secret, value]) => [`${name}: ${secret}`, value] as const),
    ),
  );
  let path = '';
  before(() => {
    const builder = new CaptureBuilder();
    for (const conversation of CONVERSATIONS) {
      for (const variant of variantsOf(conversation))
        builder.add(conversation.messages, { ...variant, serverPort: conversation.serverPort });
    }
    path = builder.write(join(directory, 'all.pcap'));
  });
  const clean = (what: string, text: string | Uint8Array) => {
    assert.ok(text.length > 0, `${what} is empty`);
    assert.deepEqual([...search.in(text)].slice(0, SHOWN), [], what);
  };
  /** Names of the protocols that `text` has something about. */
  const named = (text: string, form: (protocol: string) => string) =>
    PROTOCOL_NAMES.filter((name) => name !== 'dns' && !text.includes(form(name)));

  for (const output of ['text', 'json', 'records']) {
    it(`packetd watch --output ${output}`, { timeout: 300_000 }, async () => {
      const { out, err, code } = await packetd(['watch', '--pcap-file', path, '--output', output, '--stats']);
      assert.equal(code, 0);
      clean('stdout', out);
      clean('stderr', err);
      if (output === 'text')
        assert.deepEqual(
          named(out, (name) => ` ${name} `),
          [],
        );
    });
  }

  it('packetd up: documents, spans, remote write, metrics, live tail, page, log', {
    timeout: 300_000,
  }, async () => {
    const traces = await Backend.start();
    const remote = await Backend.start();
    const lines = join(directory, 'documents.ndjson');
    const port = await freePort();
    const child = spawn(process.execPath, [PACKETD, 'up'], {
      env: {
        ...process.env,
        PACKETD_SNIFFER_FILE: path,
        PACKETD_SERVER_ADDRESS: `127.0.0.1:${port}`,
        PACKETD_LOGGER_LEVEL: 'debug',
        PACKETD_EXPORTER_TRACES_ENABLED: 'true',
        PACKETD_EXPORTER_TRACES_ENDPOINT: traces.url,
        PACKETD_EXPORTER_METRICS_ENABLED: 'true',
        PACKETD_EXPORTER_METRICS_ENDPOINT: remote.url,
        PACKETD_EXPORTER_METRICS_INTERVAL: '1s',
        PACKETD_EXPORTER_ROUNDTRIPS_ENABLED: 'true',
        PACKETD_EXPORTER_ROUNDTRIPS_FILENAME: lines,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => said.push(piece));
    child.stderr.on('data', (piece: Buffer) => said.push(piece));
    try {
      const get = async (route: string) => {
        const response = await fetch(`http://127.0.0.1:${port}${route}`);
        assert.equal(response.status, 200, route);
        return response.text();
      };
      while (!Buffer.concat(said).includes('page, /watch')) {
        assert.equal(child.exitCode, null, Buffer.concat(said).toString());
        await sleep(50);
      }
      // Everything is decoded by now; the outputs follow.
      const total = Number(/packetd_sensor_records_total (\d+)/.exec(await get('/metrics'))?.[1] ?? 0);
      assert.ok(total > 1000, `${total} records`);
      const written = async () => {
        const text = await get('/metrics');
        return ['metrics', 'traces', 'file'].every((output) =>
          new RegExp(`packetd_output_records_total{output="${output}",result="written"} ${total}\\b`).test(
            text,
          ),
        );
      };
      while (!(await written())) await sleep(200);
      const metrics = await get('/protocol/metrics');
      clean('/protocol/metrics', metrics);
      assert.deepEqual(
        named(metrics, (name) => `${name}_requests_total{`),
        [],
      );
      clean('/metrics', await get('/metrics'));
      clean('/watch', await get('/watch?max_message=100'));
      clean('/', await get('/'));
    } finally {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      await traces.stop();
      await remote.stop();
    }
    clean('output and log', Buffer.concat(said));
    const documents = readdirSync(directory)
      .filter((name) => name.startsWith('documents'))
      .map((name) => readFileSync(join(directory, name), 'utf8'))
      .join('');
    clean('documents', documents);
    assert.deepEqual(
      named(documents, (name) => `"protocol":"${name}"`),
      [],
    );
    const spans = Buffer.concat(
      traces.received.map(({ headers, body }) =>
        headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body,
      ),
    );
    clean('spans', spans);
    assert.deepEqual(
      named(spans.toString('latin1'), (name) => name),
      [],
    );
    const series: Buffer[] = [];
    for (const { body } of remote.received)
      series.push((await uncompress(body, { asBuffer: true })) as Buffer);
    clean('remote write', Buffer.concat(series));
    assert.deepEqual(
      named(Buffer.concat(series).toString('latin1'), (name) => `${name}_requests_total`),
      [],
    );
  });
});

describe('the search', () => {
  const find = (name: string) => CONVERSATIONS.find((conversation) => conversation.name === name)!;

  it('finds keys of Redis where they are asked for', async () => {
    const conversation = find('redis');
    const [path, names] = capture(conversation, [WHOLE]);
    const seen = await decode(path, { decoder: { keys: true } });
    const found = leaks(searchFor(conversation), seen, names).join('\n');
    assert.match(found, /redis: key of SET/);
  });

  it('finds bodies of HTTP where they are asked for, but not what is named for a secret in them', async () => {
    const conversation = find('http');
    const [path, names] = capture(conversation, [WHOLE]);
    const seen = await decode(path, { decoder: { bodyBytes: 4096 } });
    const found = leaks(searchFor(conversation), seen, names).join('\n');
    assert.match(found, /http: chunk/);
    assert.doesNotMatch(found, /http: (JSON|response) body|http: form/);
  });
});
