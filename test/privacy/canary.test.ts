/**
 * Marked secrets go through every protocol's credentials, literals, parameters and headers, and come out
 * nowhere: not in records, documents, lines of text, spans, metrics, logs or errors. DNS has no test: nothing
 * that it says is a secret by its specification, and all of a query and its answer is recorded.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { eachRecord, RECORD } from '@packetd/proto/batch';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { DocumentWriter } from '@packetd/proto/telemetry/document';
import { decodeFile } from '@packetd/sensor/offline';
import type { PipelineOptions } from '@packetd/sensor/pipeline';
import { PROTOCOL_NAMES } from '@packetd/sensor/protocols/registry';
import type { Rule } from '@packetd/sensor/rules';
import { CaptureBuilder, u64le } from '../corpus/conversation.js';
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

describe('the search', () => {
  const find = (name: string) => CONVERSATIONS.find((conversation) => conversation.name === name)!;

  it('finds keys of Redis where they are asked for', async () => {
    const conversation = find('redis');
    const [path, names] = capture(conversation, [WHOLE]);
    const seen = await decode(path, { decoder: { keys: true } });
    const found = leaks(searchFor(conversation), seen, names).join('\n');
    assert.match(found, /redis: key of SET/);
  });

  it('finds bodies of HTTP where they are asked for', async () => {
    const conversation = find('http');
    const [path, names] = capture(conversation, [WHOLE]);
    const seen = await decode(path, { decoder: { bodyBytes: 4096 } });
    const found = leaks(searchFor(conversation), seen, names).join('\n');
    assert.match(found, /http: (JSON|response) body/);
  });
});
