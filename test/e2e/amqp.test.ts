/** RabbitMQ with amqplib and @cloudamqp/amqp-client: the records are what they did. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AMQPClient } from '@cloudamqp/amqp-client';
import amqplib from 'amqplib';
import { Background, freePort, listening, sleep } from '../bench/processes.js';
import { at, type Document, isRoot, lines, of, unless, Watch } from './support.js';

/** The program itself: the one on the path wants to be another user. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const skip =
  unless(isRoot, 'capturing needs root') || unless(existsSync(SERVER), 'rabbitmq-server is not installed');

describe('RabbitMQ', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-rabbitmq-'));
  let port = 0;
  let server: Background;

  before(async () => {
    port = await freePort();
    Object.assign(process.env, {
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(await freePort()),
      RABBITMQ_NODENAME: `packetd${process.pid}@localhost`,
      RABBITMQ_MNESIA_BASE: join(directory, 'mnesia'),
      RABBITMQ_LOG_BASE: join(directory, 'log'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'plugins'),
      HOME: directory,
    });
    server = new Background(SERVER, []);
    await listening(port, 120_000);
    await sleep(500);
  });
  after(async () => {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  });

  const method = (d: Document) =>
    [at(d, 'amqp.method'), d.packetd.status, at(d, 'amqp.settlement')]
      .filter((p) => p !== undefined)
      .join(' ');
  const count = (documents: readonly Document[], line: string) =>
    of(documents, 'amqp', port)
      .map(method)
      .filter((each) => each === line).length;

  it('pairs 100 publishes of amqplib with their confirms, and deliveries with their acks', async () => {
    const watch = await new Watch().ready();
    const connection = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}`);
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    await channel.assertQueue('orders', { durable: false });
    await Promise.all(
      Array.from(
        { length: 100 },
        () =>
          new Promise<void>((resolve, reject) => {
            channel.sendToQueue('orders', Buffer.from('canary-body'), {}, (error: unknown) =>
              error ? reject(error) : resolve(),
            );
          }),
      ),
    );
    let left = 100;
    await new Promise<void>((resolve) => {
      void channel.consume('orders', (message) => {
        left--;
        if (left === 50) channel.ack(message!, true);
        else if (left < 50 && left > 0) channel.ack(message!);
        else if (left === 0) {
          channel.nack(message!, false, false);
          resolve();
        }
      });
    });
    await assert.rejects(channel.checkQueue('missing'));
    await connection.close();
    const { documents } = await watch.stop();
    assert.equal(count(documents, 'basic.publish OK ack'), 100);
    assert.equal(count(documents, 'basic.deliver OK ack'), 99);
    assert.equal(count(documents, 'basic.deliver ERROR nack'), 1);
    assert.equal(count(documents, 'connection.open OK'), 1);
    const failed = of(documents, 'amqp', port).filter(
      (d) => at(d, 'amqp.method') === 'queue.declare' && d.packetd.status === 'ERROR',
    );
    assert.deepEqual(
      failed.map((d) => at(d, 'amqp.reply_code')),
      [404],
    );
    assert.ok(!JSON.stringify(documents).includes('canary'));
    assert.ok(!/guest/.test(JSON.stringify(documents)));
  });

  it('sees get, return, reject, tx and large bodies of the other client', async () => {
    const watch = await new Watch().ready();
    const client = new AMQPClient(`amqp://guest:guest@127.0.0.1:${port}`);
    const connection = await client.connect();
    const channel = await connection.channel();
    await channel.confirmSelect();
    channel.onReturn = () => {};
    await channel.queueDeclare('big', { durable: false });
    await channel.basicPublish('', 'big', 'x'.repeat(400_000));
    await channel.basicPublish('', 'nowhere', 'returned', {}, true);
    const message = await channel.basicGet('big', { noAck: false });
    assert.equal(message?.bodySize, 400_000);
    await channel.basicReject(message!.deliveryTag, false);
    assert.equal(await channel.basicGet('big', { noAck: true }), null);
    const other = await connection.channel();
    await other.txSelect();
    await other.basicPublish('', 'big', 'in a transaction');
    await other.txCommit();
    await connection.close();
    const { documents } = await watch.stop();
    const mine = of(documents, 'amqp', port);
    const big = mine.find((d) => at(d, 'messaging.message.body.size') === 400_000);
    assert.equal(big?.packetd.status, 'OK');
    assert.equal(count(documents, 'basic.publish ERROR return'), 1, lines(mine).join('\n'));
    assert.equal(mine.filter((d) => at(d, 'amqp.method') === 'basic.get').length, 2);
    assert.equal(count(documents, 'tx.commit OK'), 1);
  });
});
