/** RabbitMQ with amqplib, @cloudamqp/amqp-client, pika and rabbitmq-c: the records are what these were told. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AMQPClient } from '@cloudamqp/amqp-client';
import amqplib from 'amqplib';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
import {
  at,
  CLIENTS,
  type Document,
  hasModule,
  isRoot,
  lines,
  of,
  PYTHON,
  run,
  unless,
  Watch,
} from './support.js';

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

  it('numbers a window of unconfirmed messages as the server confirms them, one or several at once', async () => {
    const watch = await new Watch().ready();
    const connection = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}?heartbeat=1`);
    const channel = await connection.createConfirmChannel();
    const confirms: { deliveryTag: number; multiple: boolean }[] = [];
    channel.on('ack', (confirm) => confirms.push(confirm));
    const { queue } = await channel.assertQueue('', { exclusive: true });
    for (let i = 0; i < 2000; i++)
      channel.sendToQueue(queue, Buffer.from('canary'), { persistent: i % 2 === 0 });
    await channel.waitForConfirms();
    await connection.close();
    const { documents } = await watch.stop();
    const multipleOf = new Array<boolean>(2001);
    let confirmed = 0;
    for (const { deliveryTag, multiple } of confirms) {
      if (!multiple) multipleOf[deliveryTag] = false;
      // All before it that are not yet confirmed.
      else for (let tag = 1; tag <= deliveryTag; tag++) multipleOf[tag] ??= true;
      confirmed++;
    }
    assert.ok(confirmed > 0);
    const mine = of(documents, 'amqp', port).filter((d) => at(d, 'amqp.method') === 'basic.publish');
    assert.deepEqual(
      mine
        .map((d) => [
          Number(at(d, 'messaging.rabbitmq.message.delivery_tag')),
          at(d, 'amqp.multiple') ?? false,
          method(d),
          at(d, 'amqp.queue') ?? at(d, 'messaging.destination.name'),
          at(d, 'amqp.persistent') ?? false,
        ])
        .sort(([a], [b]) => Number(a) - Number(b)),
      Array.from({ length: 2000 }, (_, i) => [
        i + 1,
        multipleOf[i + 1],
        'basic.publish OK ack',
        queue,
        i % 2 === 0,
      ]),
    );
  });

  it('joins bodies over many frames both ways, with their properties', async () => {
    const watch = await new Watch().ready();
    const connection = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}?frameMax=4096`);
    const channel = await connection.createChannel();
    await channel.assertExchange('news', 'fanout', { autoDelete: true });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'news', '');
    const received = new Promise<number>((resolve) => {
      void channel.consume(
        queue,
        (message) => {
          channel.ack(message!);
          resolve(message!.content.length);
        },
        { consumerTag: 'reader' },
      );
    });
    channel.publish('news', 'today', Buffer.alloc(100_000, 'canary'), {
      contentType: 'text/plain',
      messageId: 'm-1',
      correlationId: 'c-1',
      replyTo: 'answers',
      headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', note: 'canary' },
    });
    assert.equal(await received, 100_000);
    // The ack goes before it; the Close of the connection, on another channel, may overtake it.
    await channel.close();
    await connection.close();
    const { documents } = await watch.stop();
    const mine = of(documents, 'amqp', port);
    const messages = mine.filter((d) => at(d, 'messaging.message.body.size') === 100_000);
    assert.deepEqual(
      messages.map((d) => [
        method(d),
        at(d, 'messaging.destination.name'),
        at(d, 'messaging.operation.type'),
        at(d, 'messaging.message.id'),
        at(d, 'messaging.message.conversation_id'),
        at(d, 'amqp.reply_to'),
        at(d, 'amqp.content_type'),
        at(d, 'trace.id'),
      ]),
      [
        ['basic.publish OK', 'news:today', 'send'],
        ['basic.deliver OK ack', `news:today:${queue}`, 'process'],
      ].map((each) => [...each, 'm-1', 'c-1', 'answers', 'text/plain', '0af7651916cd43dd8448eb211c80319c']),
    );
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });

  it('fails what is pending when the server closes the channel, or refuses the login', async () => {
    const watch = await new Watch().ready();
    const connection = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}`);
    const channel = await connection.createConfirmChannel();
    const closed = new Promise<Error & { code?: number }>((resolve) => channel.once('error', resolve));
    const failures = Promise.all(
      Array.from(
        { length: 5 },
        () =>
          new Promise<boolean>((resolve) => {
            channel.publish('nowhere', 'k', Buffer.from('canary'), {}, (error: unknown) => resolve(!!error));
          }),
      ),
    );
    assert.equal((await closed).code, 404);
    assert.deepEqual(await failures, [true, true, true, true, true]);
    await connection.close();
    await assert.rejects(
      amqplib.connect(`amqp://canary-user:canary-password@127.0.0.1:${port}`),
      /ACCESS.REFUSED/,
    );
    const { documents } = await watch.stop();
    const mine = of(documents, 'amqp', port);
    const published = mine.filter((d) => at(d, 'amqp.method') === 'basic.publish');
    assert.deepEqual(
      published.map(method),
      Array.from({ length: 5 }, () => 'basic.publish CANCELLED'),
    );
    // What was sent behind the Close the server has thrown away; the code is that of what it has read.
    assert.equal(at(published[0], 'amqp.reply_code'), 404);
    const close = mine.filter((d) => at(d, 'amqp.method') === 'channel.close');
    assert.deepEqual(
      close.map((d) => [d.packetd.status, at(d, 'amqp.reply_code')]),
      [['ERROR', 404]],
    );
    const refused = mine.filter((d) => d.packetd.operation === 'connect' && d.packetd.status === 'ERROR');
    assert.deepEqual(
      refused.map((d) => at(d, 'amqp.reply_code')),
      [403],
    );
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });

  it('sees what pika does', {
    skip: unless(hasModule('pika'), 'python3-pika is not installed'),
  }, async () => {
    const watch = await new Watch().ready();
    const { out, err, code } = await run(PYTHON, [join(CLIENTS, 'rabbitmq.py'), String(port)]);
    const { documents } = await watch.stop();
    assert.equal(code, 0, err);
    const facts = Object.fromEntries(
      out
        .trim()
        .split('\n')
        .map((each) => JSON.parse(each) as { fact: string; value: unknown })
        .map(({ fact, value }) => [fact, value]),
    ) as {
      queue: string;
      got: [string, boolean, number, number][];
      'after tx': number;
      purged: number;
      returned: number;
      nacks: number;
      refused: number[];
    };
    const mine = of(documents, 'amqp', port);
    const attempts = ['queue.declare', 'exchange.declare', 'queue.declare', 'queue.declare'];
    const refusals = mine.filter(
      (d) => at(d, 'amqp.method') === 'channel.close' && d.packetd.status === 'ERROR',
    );
    assert.deepEqual(
      refusals.map((d) => at(d, 'amqp.reply_code')),
      facts.refused,
    );
    assert.deepEqual(facts.refused, [404, 406, 406, 404]);
    // What was under way on these channels; whether it was sent before or behind the Close is a race.
    assert.deepEqual(
      mine
        .filter((d) => at(d, 'amqp.channel') === 4 && attempts.includes(String(at(d, 'amqp.method'))))
        .map((d) => [at(d, 'amqp.method'), d.packetd.status === 'OK']),
      attempts.map((each) => [each, false]),
    );
    const got = mine.filter((d) => at(d, 'amqp.method') === 'basic.get');
    assert.deepEqual(
      got.map((d) => [
        at(d, 'messaging.rabbitmq.destination.routing_key'),
        at(d, 'amqp.redelivered') ?? false,
        at(d, 'messaging.message.body.size'),
        at(d, 'amqp.message_count'),
        d.packetd.status,
      ]),
      [...facts.got.map((each) => [...each, 'OK']), [undefined, false, undefined, undefined, 'OK']],
    );
    assert.ok(
      got.every(
        (d) => at(d, 'amqp.queue') === facts.queue && at(d, 'messaging.operation.type') === 'receive',
      ),
    );
    const called = (name: string) => mine.filter((d) => at(d, 'amqp.method') === name);
    assert.equal(at(called('queue.purge')[0], 'amqp.message_count'), facts.purged);
    assert.equal(count(documents, 'basic.publish ERROR return'), 1);
    assert.equal(
      at(called('basic.publish').find((d) => at(d, 'amqp.settlement') === 'return')!, 'amqp.reply_code'),
      facts.returned,
    );
    assert.equal(count(documents, 'basic.publish ERROR nack'), facts.nacks);
    assert.equal(count(documents, 'basic.publish OK ack'), 1);
    for (const name of [
      'exchange.declare',
      'queue.bind',
      'basic.qos',
      'basic.consume',
      'basic.cancel',
      'tx.select',
      'tx.rollback',
      'tx.commit',
      'confirm.select',
      'queue.unbind',
      'queue.delete',
      'exchange.delete',
      'connection.close',
    ]) {
      assert.equal(count(documents, `${name} OK`), 1, name);
    }
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });

  it('sees what the tools of rabbitmq-c do', {
    skip: unless(has('amqp-publish'), 'amqp-tools is not installed'),
  }, async () => {
    const url = `--url=amqp://guest:guest@127.0.0.1:${port}`;
    const watch = await new Watch().ready();
    for (const [tool, ...args] of [
      ['amqp-declare-queue', '-q', 'tools'],
      ['amqp-publish', '-r', 'tools', '-p', '-C', 'text/plain', '-b', 'canary'],
      ['amqp-publish', '-r', 'tools', '-b', 'canary canary'],
      ['amqp-get', '-q', 'tools'],
      ['amqp-consume', '-q', 'tools', '-c', '1', 'cat'],
    ]) {
      const { code, err } = await run(tool, [url, ...args]);
      assert.equal(code, 0, `${tool} ${err}`);
    }
    // It says with its exit code that there was nothing to get.
    assert.equal((await run('amqp-get', [url, '-q', 'tools'])).code, 2);
    const gone = await run('amqp-delete-queue', [url, '-q', 'tools']);
    const { documents } = await watch.stop();
    const mine = of(documents, 'amqp', port).filter(
      (d) => !/connect|channel|close/.test(d.packetd.operation!),
    );
    assert.deepEqual(
      mine.map((d) => [
        method(d),
        d.packetd.target,
        at(d, 'messaging.message.body.size'),
        at(d, 'amqp.message_count'),
        at(d, 'amqp.content_type'),
        at(d, 'amqp.persistent'),
      ]),
      [
        ['queue.declare OK', 'tools', undefined, 0, undefined, undefined],
        ['basic.publish OK', 'tools', 6, undefined, 'text/plain', true],
        ['basic.publish OK', 'tools', 13, undefined, undefined, undefined],
        ['basic.get OK', 'tools', 6, 1, 'text/plain', true],
        ['basic.qos OK', undefined, undefined, undefined, undefined, undefined],
        ['basic.consume OK', 'tools', undefined, undefined, undefined, undefined],
        ['basic.deliver OK ack', 'tools', 13, undefined, undefined, undefined],
        ['basic.get OK', 'tools', undefined, undefined, undefined, undefined],
        ['queue.delete OK', 'tools', undefined, Number(gone.out.trim()), undefined, undefined],
      ],
    );
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });
});
