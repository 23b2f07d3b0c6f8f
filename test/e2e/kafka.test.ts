/** A KRaft broker with kafkajs: the records are what it did. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import kafkajs from 'kafkajs';
import { freePort, has } from '../bench/processes.js';
import { at, backend, isRoot, of, startBackend, stopBackend, unless, Watch } from './support.js';

// No Debian package has one; where the script is not there, this cannot run.
const script = backend('kafka.sh');
const skip =
  script === null || !has('java')
    ? 'no Kafka broker is to be had here'
    : unless(isRoot, 'capturing needs root');

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

      it('sees produce with every kind of acks, fetch, groups, admin and errors', async () => {
        const watch = await new Watch().ready();
        const kafka = new kafkajs.Kafka({
          clientId: 'shop',
          brokers: [`127.0.0.1:${port}`],
          logLevel: kafkajs.logLevel.NOTHING,
        });
        const admin = kafka.admin();
        await admin.connect();
        await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1 }] });
        await assert.rejects(
          admin
            .createTopics({ topics: [{ topic: 'orders' }], waitForLeaders: false })
            .then((made) => assert.ok(made)),
        );
        await admin.disconnect();
        const producer = kafka.producer({ allowAutoTopicCreation: false });
        await producer.connect();
        for (const acks of [-1, 1, 0]) {
          await producer.send({
            topic: 'orders',
            acks,
            messages: Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, value: 'canary-value' })),
          });
        }
        await producer.disconnect();
        const consumer = kafka.consumer({ groupId: 'billing' });
        await consumer.connect();
        await consumer.subscribe({ topic: 'orders', fromBeginning: true });
        let seen = 0;
        await new Promise<void>((resolve) => {
          void consumer.run({
            eachMessage: async () => {
              if (++seen === 30) resolve();
            },
          });
        });
        await consumer.disconnect();
        const { documents } = await watch.stop();
        const mine = of(documents, 'kafka', port);
        const produced = mine.filter((d) => d.packetd.operation === 'Produce');
        assert.deepEqual(
          produced.map((d) => [
            at(d, 'kafka.acks'),
            d.packetd.target,
            at(d, 'messaging.batch.message_count'),
            d.packetd.status,
          ]),
          [-1, 1, 0].map((acks) => [acks, 'orders', 10, 'OK']),
        );
        const fetched = mine.filter((d) => d.packetd.operation === 'Fetch');
        assert.equal(
          fetched.reduce((sum, d) => sum + Number(at(d, 'messaging.batch.message_count') ?? 0), 0),
          30,
        );
        const operations = new Set(mine.map((d) => d.packetd.operation));
        for (const api of [
          'ApiVersions',
          'Metadata',
          'CreateTopics',
          'FindCoordinator',
          'JoinGroup',
          'SyncGroup',
          'OffsetCommit',
          'LeaveGroup',
        ]) {
          assert.ok(operations.has(api), `${api} in ${[...operations].join(', ')}`);
        }
        const failed = mine.filter(
          (d) => d.packetd.operation === 'CreateTopics' && d.packetd.status === 'ERROR',
        );
        assert.deepEqual(
          failed.map((d) => at(d, 'messaging.response.status_code')),
          ['TOPIC_ALREADY_EXISTS'],
        );
        assert.ok(!JSON.stringify(mine).includes('canary'));
      });
    });
  }
});
