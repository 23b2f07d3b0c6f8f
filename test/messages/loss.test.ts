/**
 * Lost segments of conversations that every checkout has. Each segment is left out in turn, handshake and
 * FINs too, then bursts of them, then 1 % and 5 % at random. A roundtrip during which nothing was lost comes out
 * as it does from the whole capture, nothing is said that is not so, and the lost bytes are in the ledger.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { decode, random } from '../corpus/corpus.js';
import { amqpConversations } from '../privacy/amqp.js';
import { httpConversations } from '../privacy/http.js';
import { http2Conversations } from '../privacy/http2.js';
import { kafkaConversations } from '../privacy/kafka.js';
import { mongodbConversations } from '../privacy/mongodb.js';
import { mysqlConversations } from '../privacy/mysql.js';
import { postgresqlConversations } from '../privacy/postgresql.js';
import { redisConversations } from '../privacy/redis.js';
import { CaptureBuilder, client, type Message, server, u16 } from './conversation.js';

interface Reference {
  readonly protocol: string;
  readonly name: string;
  readonly serverPort: number;
  readonly messages: readonly Message[];
}

/** Queries over TCP, one at a time and several in a segment: RFC 7766 and section 4 of RFC 1035. */
function dnsReference(): Reference {
  const message = (id: number, flags: number, answer: string) => {
    const body = Buffer.concat([
      ...[id, flags, 1, answer === '' ? 0 : 1, 0, 0].map(u16),
      Buffer.from(`\x04host\x07example\0\0\x01\0\x01${answer}`, 'latin1'),
    ]);
    return Buffer.concat([u16(body.length), body]);
  };
  const query = (id: number) => message(id, 0x0100, '');
  const answer = (id: number) => message(id, 0x8180, '\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01');
  const messages: Message[] = [];
  for (let id = 1; id <= 10; id++) messages.push(client(query(id)), server(answer(id)));
  messages.push(client(query(11), query(12)), server(answer(12)), server(answer(11)));
  for (let id = 13; id <= 20; id++) messages.push(client(query(id)), server(answer(id)));
  return { protocol: 'dns', name: 'dns', serverPort: 53, messages };
}

const REFERENCES: readonly Reference[] = [
  ...amqpConversations(),
  dnsReference(),
  ...httpConversations(),
  ...(await http2Conversations()),
  ...kafkaConversations(),
  ...mongodbConversations(),
  ...mysqlConversations(),
  ...postgresqlConversations(),
  ...redisConversations(),
];
/**
 * Roundtrips after a loss that may be INCOMPLETE or absent. Those with ids lose none. The pairing of HTTP and
 * PostgreSQL restarts with the next request after an answer, that of MySQL with a command that is sent when all
 * before it is answered. AMQP's methods pair by channel, but what opens a channel or consumer may be what is
 * lost. Redis has neither ids nor numbers: its pairing restarts when a client that sends ahead has its answers.
 */
const RESTART: Readonly<Record<string, number>> = {
  dns: 0,
  kafka: 0,
  mongodb: 0,
  postgresql: 1,
  http: 1,
  http2: 1,
  grpc: 1,
  mysql: 3,
  amqp: 3,
  redis: 12,
};
const FIRST_NS = 1_700_000_000_000_000_000n;
const SEGMENT_NS = 100_000n;
const MAX_BURST = 5;
const RANDOM_RUNS = 5;

const directory = mkdtempSync(join(tmpdir(), 'packetd-loss-'));
after(() => rmSync(directory, { recursive: true }));

const endOf = (r: RoundTrip) => r.startUnixNano + r.durationNano;
const plain = (value: unknown) =>
  JSON.stringify(value, (key, field) =>
    key === 'id' ? undefined : typeof field === 'bigint' ? String(field) : field,
  );
const asked = (r: RoundTrip) => `${r.operation} ${Status[r.status]} ${r.errorType}`;
/** An execution whose statement's preparation is lost is named by its command. */
const UNKNOWN_STATEMENT = 'STMT_EXECUTE';

/**
 * Says `record` nothing that `whole` does not say? What the connection had agreed on or defined in the lost bytes
 * (database, user, names in HPACK's table, text of a statement, how SQL is read) may be absent.
 */
function saysNoOther(record: unknown, whole: unknown): boolean {
  if (record === whole || record === undefined || record === '' || record === '0' || record === 0)
    return true;
  if (record === UNKNOWN_STATEMENT) return true;
  // Where literals of SQL end is known no more.
  if (typeof record === 'string' && record.endsWith('…') && typeof whole === 'string')
    return whole.startsWith(record.slice(0, -1));
  if (Array.isArray(record) && Array.isArray(whole))
    return record.every((part) => whole.some((other) => plain(part) === plain(other)));
  if (typeof record !== 'object' || record === null || typeof whole !== 'object' || whole === null)
    return false;
  const fields = whole as Readonly<Record<string, unknown>>;
  return Object.entries(record).every(([key, value]) => saysNoOther(value, fields[key]));
}

const claims = (r: RoundTrip) => r.status === Status.OK || r.status === Status.ERROR;

class Row {
  runs = 0;
  there = 0;
  untouched = 0;
  exact = 0;
  less = 0;
  absent = 0;
  touched = 0;
  incomplete = 0;
  wrong = 0;
  /** Roundtrips after a loss that it took until all came out again. */
  restart = 0;
  readonly failures: string[] = [];
}

describe('loss of segments', () => {
  const rows = new Map<string, Row>();
  for (const reference of REFERENCES) {
    it(reference.name, { timeout: 300_000 }, async () => {
      const builder = new CaptureBuilder();
      builder.add(reference.messages, { serverPort: reference.serverPort });
      const path = builder.write(join(directory, `${reference.name.replaceAll(/\W/g, '_')}.pcap`));
      const whole = await decode(path);
      const row = rows.get(reference.protocol) ?? new Row();
      rows.set(reference.protocol, row);
      const run = async (lost: ReadonlySet<number>, what: string) => {
        const { records, pipeline } = await decode(path, (index) => !lost.has(index));
        row.runs++;
        const times = [...lost].map((index) => FIRST_NS + BigInt(index + 1) * SEGMENT_NS);
        const left = new Set(records);
        for (const expected of whole.records) {
          row.there++;
          const touched = times.some((time) => time >= expected.startUnixNano && time <= endOf(expected));
          if (touched) {
            row.touched++;
            continue;
          }
          row.untouched++;
          const text = plain(expected);
          const same = [...left].find((r) => plain(r) === text);
          const likely =
            same ??
            [...left].find(
              (r) =>
                r.startUnixNano === expected.startUnixNano &&
                (asked(r) === asked(expected) ||
                  (r.operation === UNKNOWN_STATEMENT && r.status === expected.status)),
            );
          if (likely !== undefined) left.delete(likely);
          if (same !== undefined) row.exact++;
          else if (likely !== undefined) {
            row.less++;
            if (!saysNoOther(JSON.parse(plain(likely)), JSON.parse(text)))
              row.failures.push(`${reference.name} without ${what}: ${plain(likely)} instead of ${text}`);
          } else {
            row.absent++;
            const last = times.filter((time) => time < expected.startUnixNano).at(-1) ?? 0n;
            const since = whole.records.filter(
              (r) => r.startUnixNano > last && r.startUnixNano < expected.startUnixNano,
            ).length;
            row.restart = Math.max(row.restart, since + 1);
            if (since >= RESTART[reference.protocol])
              row.failures.push(`${reference.name} without ${what}: lacks ${asked(expected)}`);
          }
        }
        for (const record of left) {
          if (!claims(record)) row.incomplete++;
          else if (
            record.missingBytes === 0n &&
            record.operation !== '' &&
            !whole.records.some(
              (r) =>
                asked(r) === asked(record) &&
                (r.startUnixNano === record.startUnixNano || endOf(r) === endOf(record)),
            )
          ) {
            row.wrong++;
            row.failures.push(`${reference.name} without ${what}: wrong ${asked(record)} ${record.target}`);
          }
        }
        const payload = [...lost].reduce(
          (sum, index) => sum + (reference.messages[index - 3]?.bytes.length ?? 0),
          0,
        );
        const report = pipeline.ledger.report();
        // The acknowledgement of a FIN that was lost looks like that of one more byte.
        const fins = lost.has(whole.frames - 3) || lost.has(whole.frames - 2) ? 2 : 0;
        if (
          report.lostBytes > payload + fins ||
          (lost.size === 1 && !lost.has(0) && !lost.has(1) && report.lostBytes < payload)
        )
          row.failures.push(`${reference.name} without ${what}: ${report.lostBytes} of ${payload} counted`);
      };
      for (let first = 0; first < whole.frames; first++) {
        await run(new Set([first]), `frame ${first}`);
        const burst = 2 + (first % (MAX_BURST - 1));
        await run(new Set(Array.from({ length: burst }, (_, n) => first + n)), `frames ${first} + ${burst}`);
      }
      for (const share of [0.01, 0.05]) {
        for (let seed = 1; seed <= RANDOM_RUNS; seed++) {
          const next = random(seed * 7919);
          const lost = new Set<number>();
          for (let index = 0; index < whole.frames; index++) if (next() < share) lost.add(index);
          await run(lost, `${share * 100} %, seed ${seed}`);
        }
      }
      assert.deepEqual(row.failures, []);
    });
  }
  it('prints how much comes out', () => {
    console.table(Object.fromEntries([...rows].map(([name, { failures: _, ...row }]) => [name, row])));
  });
});
