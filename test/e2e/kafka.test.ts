/** KRaft brokers with kafkajs, librdkafka's kcat and Kafka's own client: the records are what these say they did. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import kafkajs from 'kafkajs';
import { freePort, has } from '../bench/processes.js';
import {
  at,
  BACKENDS_HOME,
  backend,
  CLIENTS,
  type Document,
  isRoot,
  of,
  run,
  startBackend,
  stopBackend,
  unless,
  Watch,
} from './support.js';

/** The size in front of a message, which kafkajs leaves out where it tells sizes. */
const SIZE_BYTES = 4;
/** Size and correlation id, which librdkafka leaves out where it tells the size of a response. */
const RESPONSE_HEADER_BYTES = 8;
/** Error code of the protocol guide. */
const NON_EMPTY_GROUP = 68;

// No Debian package has one; where the script is not there, this cannot run.
const script = backend('kafka.sh');
const skip =
  script === null
    ? 'no Kafka broker is to be had here'
    : unless(isRoot, 'capturing needs root') || unless(has('java'), 'java is not installed');

describe('Kafka', { skip }, () => {
  for (const version of ['4.4.0', '3.9.1']) {
    describe(version, () => {
      let port = 0;
      let server: ChildProcess;
      before(async () => {
        port = await freePort();
        server = await startBackend(script!, [version, String(port), '--fresh']);
      });
      after(() => stopBackend(server));

      /** The records of the broker while `run` ran; nothing of a message or of a configuration is in any. */
      async function watched(run: () => Promise<void>): Promise<Document[]> {
        const watch = await new Watch().ready();
        await run();
        const { documents } = await watch.stop();
        const mine = of(documents, 'kafka', port);
        assert.ok(!JSON.stringify(mine).includes('canary'));
        return mine;
      }

      it('sees what kafkajs does: acks, transactions, groups, admin and errors', async () => {
        const told: string[] = [];
        const kafka = new kafkajs.Kafka({
          clientId: 'shop',
          brokers: [`127.0.0.1:${port}`],
          logLevel: kafkajs.logLevel.NOTHING,
        });
        const note = ({ payload }: kafkajs.RequestEvent) =>
          told.push(
            `${payload.correlationId} ${payload.apiName.replace('GroupCoordinator', 'FindCoordinator')} v${payload.apiVersion} ${payload.size}`,
          );
        const batch = Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, value: 'canary-value' }));
        const mine = await watched(async () => {
          const admin = kafka.admin();
          admin.on(admin.events.REQUEST, note);
          await admin.connect();
          await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1 }] });
          assert.equal(await admin.createTopics({ topics: [{ topic: 'orders' }] }), false);
          await assert.rejects(admin.describeConfigs({ includeSynonyms: false, resources: [ghost] }), {
            type: 'UNKNOWN_TOPIC_OR_PARTITION',
          });
          const producer = kafka.producer({ allowAutoTopicCreation: false });
          producer.on(producer.events.REQUEST, note);
          await producer.connect();
          for (const acks of [-1, 1, 0]) await producer.send({ topic: 'orders', acks, messages: batch });
          await producer.disconnect();
          const atomic = kafka.producer({
            transactionalId: 'shop-1',
            idempotent: true,
            maxInFlightRequests: 1,
          });
          atomic.on(atomic.events.REQUEST, note);
          await atomic.connect();
          for (const commit of [true, false]) {
            const transaction = await atomic.transaction();
            await transaction.send({ topic: 'orders', messages: batch });
            await (commit ? transaction.commit() : transaction.abort());
          }
          await atomic.disconnect();
          const consumer = kafka.consumer({ groupId: 'billing', readUncommitted: true });
          consumer.on(consumer.events.REQUEST, note);
          await consumer.connect();
          await consumer.subscribe({ topic: 'orders', fromBeginning: true });
          let seen = 0;
          await new Promise<void>((resolve) => {
            void consumer.run({
              eachMessage: async () => {
                if (++seen === 50) resolve();
              },
            });
          });
          await assert.rejects(admin.deleteGroups(['billing']), (error: kafkajs.KafkaJSDeleteGroupsError) => {
            assert.equal(error.groups?.[0]?.errorCode, NON_EMPTY_GROUP);
            return true;
          });
          await consumer.disconnect();
          await admin.deleteTopics({ topics: ['orders'] });
          await admin.disconnect();
        });
        const clients = mine.filter((d) => at(d, 'messaging.client.id') === 'shop');
        // Every response that kafkajs had, with its size: for acks 0 it says 0.
        const answered = clients.filter((d) => d.packetd.status === 'OK' || d.packetd.status === 'ERROR');
        assert.deepEqual(
          answered
            .map(
              (d) =>
                `${at(d, 'kafka.correlation_id')} ${d.packetd.operation} v${at(d, 'kafka.api.version')} ${
                  Number(d.server.bytes ?? SIZE_BYTES) - SIZE_BYTES
                }`,
            )
            .sort(),
          told.sort(),
        );
        const produced = clients.filter((d) => d.packetd.operation === 'Produce');
        assert.deepEqual(
          produced.map((d) => [
            at(d, 'kafka.acks'),
            at(d, 'messaging.destination.name'),
            at(d, 'messaging.batch.message_count'),
            at(d, 'messaging.operation.name'),
            at(d, 'kafka.transactional_id'),
            d.packetd.status,
          ]),
          [
            ...[-1, 1, 0].map((acks) => [acks, ['orders'], 10, 'send', undefined, 'OK']),
            ...Array.from({ length: 2 }, () => [-1, ['orders'], 10, 'send', 'shop-1', 'OK']),
          ],
        );
        const fetched = clients.filter((d) => d.packetd.operation === 'Fetch');
        assert.equal(messages(fetched), 50);
        assert.ok(fetched.every((d) => at(d, 'messaging.operation.name') === 'poll'));
        for (const api of ['JoinGroup', 'SyncGroup', 'OffsetFetch', 'LeaveGroup']) {
          const group = clients.filter((d) => d.packetd.operation === api && d.packetd.status === 'OK');
          assert.ok(group.length > 0, api);
          assert.ok(
            group.every((d) => at(d, 'messaging.consumer.group.name') === 'billing'),
            api,
          );
        }
        // While the broker makes its own topics, other APIs may be told to come again.
        const apis = ['CreateTopics', 'DeleteGroups', 'DescribeConfigs', 'JoinGroup'];
        assert.deepEqual(errors(clients.filter((d) => apis.includes(d.packetd.operation!))), [
          'CreateTopics TOPIC_ALREADY_EXISTS',
          'DeleteGroups NON_EMPTY_GROUP',
          'DescribeConfigs UNKNOWN_TOPIC_OR_PARTITION',
          // KIP-394: the first join is told to come again with the id that it gets.
          'JoinGroup MEMBER_ID_REQUIRED',
        ]);
      });

      it('sees what kcat does', { skip: unless(has('kcat'), 'kcat is not installed') }, async () => {
        const runs = new Map<string, { out: string; err: string }>();
        const kcat = async (clientId: string, args: readonly string[], input = '') => {
          const all = ['-b', `127.0.0.1:${port}`, '-X', `client.id=${clientId}`, '-d', 'protocol', ...args];
          runs.set(clientId, await run('kcat', all, input));
        };
        const rows = (count: number) => 'canary-value\n'.repeat(count);
        const admin = new kafkajs.Kafka({ clientId: 'setup', brokers: [`127.0.0.1:${port}`] }).admin();
        await admin.connect();
        await admin.createTopics({ topics: [{ topic: 'cats', numPartitions: 1 }] });
        await admin.disconnect();
        const to = ['-P', '-t', 'cats', '-p', '0'];
        // All rows in one batch, which goes when it has them: librdkafka does not compress what gets no smaller,
        // such as a row that went alone. (linger.ms has to be below the timeout of a transaction.)
        const together = (count: number, ...options: string[]) => [
          ...[`batch.num.messages=${count}`, 'linger.ms=30000', ...options].flatMap((each) => ['-X', each]),
        ];
        const produce = (clientId: string, count: number, options: string[], args: string[] = []) =>
          kcat(clientId, [...to, ...args, ...together(count, ...options)], rows(count));
        const mine = await watched(async () => {
          await produce('p0', 20, ['acks=0']);
          await produce('p1', 30, ['acks=1'], ['-z', 'snappy']);
          await produce('pall', 40, ['acks=all'], ['-z', 'zstd']);
          await produce('pidem', 50, ['enable.idempotence=true'], ['-z', 'lz4']);
          await produce('ptx', 60, ['transactional.id=kcat-1'], ['-z', 'gzip']);
          await kcat('plarge', [...to, '-D', '|', '-X', 'message.max.bytes=4000000'], 'x'.repeat(900_000));
          await kcat('phuge', [...to, '-D', '|', '-X', 'message.max.bytes=4000000'], 'x'.repeat(2_000_000));
          await kcat('list', ['-L', '-t', 'cats']);
          await kcat('query', ['-Q', '-t', 'cats:0:-1']);
          await kcat('take', ['-C', '-t', 'cats', '-o', 'beginning', '-e', '-q']);
          await kcat('group', ['-G', 'cat-lovers', '-X', 'auto.offset.reset=earliest', '-e', '-q', 'cats']);
          await kcat('ghost', ['-C', '-t', 'ghost', '-e', '-X', 'allow.auto.create.topics=false']);
        });
        for (const [clientId, { err }] of runs) {
          const seen = mine.filter((d) => at(d, 'messaging.client.id') === clientId);
          const { sent, received } = kcatLog(err);
          assert.ok(sent.length > 0, err);
          const line = (d: Document) =>
            `${at(d, 'kafka.correlation_id')} ${d.packetd.operation} v${at(d, 'kafka.api.version')}`;
          assert.deepEqual(seen.map((d) => `${line(d)} ${d.client.bytes}`).sort(), sent.sort());
          const answered = seen
            .filter((d) => d.server.bytes !== undefined)
            .map((d) => `${line(d)} ${d.server.bytes! - RESPONSE_HEADER_BYTES}`);
          // A consumer goes while its last Fetch waits, and does not read the answer to it.
          assert.deepEqual(
            answered.filter((each) => received.includes(each) || !each.includes('Fetch')).sort(),
            received.sort(),
          );
        }
        const produced = mine.filter((d) => d.packetd.operation === 'Produce');
        const by = (clientId: string) => produced.filter((d) => at(d, 'messaging.client.id') === clientId);
        for (const [clientId, acks, compression, count] of [
          ['p0', 0, 'none', 20],
          ['p1', 1, 'snappy', 30],
          ['pall', -1, 'zstd', 40],
          ['pidem', -1, 'lz4', 50],
          ['ptx', -1, 'gzip', 60],
          ['plarge', -1, 'none', 1],
        ] as const) {
          assert.equal(messages(by(clientId)), count, clientId);
          for (const d of by(clientId)) {
            assert.deepEqual(
              [at(d, 'kafka.acks'), at(d, 'kafka.compression'), d.packetd.target, d.packetd.status],
              [acks, compression, 'cats', 'OK'],
              clientId,
            );
          }
        }
        assert.ok(by('ptx').every((d) => at(d, 'kafka.transactional_id') === 'kcat-1'));
        assert.match(runs.get('phuge')!.err, /Message size too large/);
        assert.deepEqual(errors(by('phuge')), ['Produce MESSAGE_TOO_LARGE']);
        assert.match(runs.get('ghost')!.err, /Unknown topic or partition/);
        assert.ok(
          errors(mine.filter((d) => at(d, 'messaging.client.id') === 'ghost')).includes(
            'Metadata UNKNOWN_TOPIC_OR_PARTITION',
          ),
        );
        // 20 + 30 + 40 + 50 + 60 lines and one of 900 kB.
        for (const clientId of ['take', 'group']) {
          assert.equal(runs.get(clientId)!.out.trim().split('\n').length, 201, clientId);
          const fetched = mine.filter(
            (d) => d.packetd.operation === 'Fetch' && at(d, 'messaging.client.id') === clientId,
          );
          assert.equal(messages(fetched), 201, clientId);
        }
        const commits = mine.filter((d) => d.packetd.operation === 'OffsetCommit');
        assert.deepEqual(
          commits.map((d) => [at(d, 'messaging.consumer.group.name'), d.packetd.target, d.packetd.status]),
          [['cat-lovers', 'cats', 'OK']],
        );
      });

      it("sees what Kafka's own client does, to the byte", async () => {
        const newGroups = version !== '3.9.1';
        let told: Told[] = [];
        const mine = await watched(async () => {
          told = await java('KafkaClient.java', [`127.0.0.1:${port}`, ...(newGroups ? ['new'] : [])]);
        });
        const of = (clientId: string, operation?: string) =>
          mine.filter(
            (d) =>
              at(d, 'messaging.client.id') === clientId &&
              (operation === undefined || d.packetd.operation === operation),
          );
        const facts = new Map(told.map(({ fact, value }) => [fact, value]));
        const totals = told.filter((each) => each.client !== undefined);
        assert.equal(totals.length, newGroups ? 8 : 7);
        assert.deepEqual(
          totals.map(({ client }) => ({
            client,
            requests: of(client!).length,
            sent: of(client!).reduce((sum, d) => sum + (d.client.bytes ?? 0), 0),
            received: of(client!).reduce((sum, d) => sum + (d.server.bytes ?? 0), 0),
          })),
          totals,
        );
        for (const [clientId, acks, compression] of [
          ['acks-0', 0, 'none'],
          ['acks-1', 1, 'gzip'],
          ['acks-all', -1, 'snappy'],
          ['idempotent', -1, 'lz4'],
        ] as const) {
          assert.equal(messages(of(clientId, 'Produce')), 40, clientId);
          for (const d of of(clientId, 'Produce')) {
            assert.deepEqual(
              [at(d, 'kafka.acks'), at(d, 'kafka.compression'), d.packetd.target, d.packetd.status],
              [acks, compression, 'ledger', 'OK'],
            );
          }
        }
        assert.deepEqual(errors(of('admin')), [
          `CreatePartitions ${facts.get('fewer partitions')}`,
          ...['a bad config', 'a bad name', '7 replicas']
            .map((what) => `CreateTopics ${facts.get(`create with ${what}`)}`)
            .sort(),
          `CreateTopics ${facts.get('create ledger again')}`,
          `DeleteGroups ${facts.get('delete a group that is not there')}`,
          `DeleteTopics ${facts.get('delete a topic that is not there')}`,
          `IncrementalAlterConfigs ${facts.get('alter with a bad value')}`,
        ]);
        // Two transactions of 7, and one record that was refused.
        assert.equal(messages(of('atomic', 'Produce').filter((d) => d.packetd.status === 'OK')), 14);
        // Which request is the first to be refused is the version's own; 4.x does without AddPartitionsToTxn.
        const refused = newGroups ? 'Produce' : 'AddPartitionsToTxn';
        assert.ok(
          errors(of('atomic', refused)).includes(`${refused} ${facts.get('produce with an old epoch')}`),
          errors(of('atomic')).join(),
        );
        assert.ok(of('atomic', 'Produce').every((d) => at(d, 'kafka.transactional_id') === 'atomic-1'));
        assert.equal(of('atomic', 'EndTxn').filter((d) => d.packetd.status === 'OK').length, 2);
        assert.deepEqual(
          of('atomic', 'TxnOffsetCommit').map((d) => [
            at(d, 'messaging.consumer.group.name'),
            d.packetd.target,
            at(d, 'kafka.transactional_id'),
          ]),
          [['atomic-readers', 'ledger', 'atomic-1']],
        );
        // What was aborted was fetched too; the markers of a transaction's end are not messages.
        assert.equal(messages(of('auditor', 'Fetch')), Number(facts.get('end of atomic')) - 2);
        for (const [clientId, group, heartbeat] of [
          ['classic', 'ledger-readers', 'JoinGroup'],
          ...(newGroups ? [['kip848', 'ledger-watchers', 'ConsumerGroupHeartbeat']] : []),
        ]) {
          assert.equal(messages(of(clientId, 'Fetch')), facts.get(`consumed by ${group}`));
          for (const api of [heartbeat, 'OffsetFetch', 'OffsetCommit']) {
            assert.ok(of(clientId, api).length > 0, `${clientId} ${api}`);
            for (const d of of(clientId, api)) assert.equal(at(d, 'messaging.consumer.group.name'), group);
          }
        }
        assert.equal(facts.get('commit of a stranger'), 'REFUSED');
        assert.deepEqual(errors(of('intruder')), ['OffsetCommit UNKNOWN_MEMBER_ID']);
        assert.ok(errors(of('janitor')).includes(`DeleteGroups ${facts.get('delete a group with members')}`));
        assert.deepEqual(
          of('sweeper', 'DeleteTopics').map((d) => at(d, 'messaging.destination.name')),
          [['ledger', 'atomic']],
        );
      });

      it('sees share groups', { skip: version === '3.9.1' && 'this version has none' }, async () => {
        let told: Told[] = [];
        const mine = await watched(async () => {
          told = await java('KafkaShareClient.java', [`127.0.0.1:${port}`]);
        });
        const shared = mine.filter((d) => at(d, 'messaging.client.id') === 'sharer');
        const fetched = shared.filter((d) => d.packetd.operation === 'ShareFetch');
        assert.equal(messages(fetched), told[0].value);
        assert.ok(fetched.every((d) => at(d, 'messaging.consumer.group.name') === 'sharers'));
        const heartbeats = shared.filter((d) => d.packetd.operation === 'ShareGroupHeartbeat');
        assert.ok(heartbeats.length >= 2);
        assert.ok(heartbeats.every((d) => at(d, 'messaging.consumer.group.name') === 'sharers'));
        assert.deepEqual(errors(shared), []);
      });

      /** Runs a source file with the libraries that the broker came with. */
      async function java(file: string, args: readonly string[]): Promise<Told[]> {
        const classes = join(BACKENDS_HOME, 'apps', `kafka-${version}`, '*');
        const { out, err, code } = await run('java', ['-cp', classes, join(CLIENTS, file), ...args]);
        assert.equal(code, 0, err);
        return out
          .trim()
          .split('\n')
          .map((each) => JSON.parse(each) as Told);
      }
    });
  }
});

/** A line of our Java programs. */
interface Told {
  fact?: string;
  value?: string | number;
  client?: string;
  requests?: number;
  sent?: number;
  received?: number;
}

/** librdkafka's names of APIs where they are not the protocol guide's. */
const LIBRDKAFKA_NAMES: Record<string, string> = { ApiVersion: 'ApiVersions' };

/** `correlation-id Api vN bytes` of every message in librdkafka's log. */
function kcatLog(log: string): { sent: string[]; received: string[] } {
  const told = (pattern: RegExp) =>
    [...log.matchAll(pattern)].map(
      ([, name, version, bytes, id]) => `${id} ${LIBRDKAFKA_NAMES[name] ?? name} v${version} ${bytes}`,
    );
  return {
    sent: told(/Sent (\w+)Request \(v(\d+), (\d+) bytes @ 0, CorrId (\d+)\)/g),
    received: told(/Received (\w+)Response \(v(\d+), (\d+) bytes, CorrId (\d+),/g),
  };
}

const ghost = { type: kafkajs.ConfigResourceTypes.TOPIC, name: 'ghost', configNames: [] };

function messages(documents: readonly Document[]): number {
  return documents.reduce((sum, d) => sum + Number(at(d, 'messaging.batch.message_count') ?? 0), 0);
}

/** `Api NAME_OF_ERROR` of all that failed, in the order of the alphabet. */
function errors(documents: readonly Document[]): string[] {
  return documents
    .filter((d) => d.packetd.status === 'ERROR')
    .map((d) => `${d.packetd.operation} ${at(d, 'messaging.response.status_code')}`)
    .sort();
}
