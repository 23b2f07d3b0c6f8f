/** Expected values are those of the AMQP 0-9-1 specification and of RabbitMQ's extensions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Amqp } from '@packetd/proto/gen/packetd/v1/amqp_pb';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { converse, everyCut, type Step } from '../harness.js';
import { amqp } from './index.js';

const bytes = (...parts: (number | string | Uint8Array)[]): Buffer =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'number'
        ? Buffer.of(part)
        : typeof part === 'string'
          ? Buffer.from(part, 'latin1')
          : part,
    ),
  );
const u16 = (value: number): Buffer => bytes(value >> 8, value & 255);
const u32 = (value: number): Buffer => bytes(u16(value >>> 16), u16(value & 0xffff));
const u64 = (value: number): Buffer => bytes(u32(0), u32(value));
const short = (text: string): Buffer => bytes(text.length, text);
const long = (text: string): Buffer => bytes(u32(text.length), text);
const frame = (type: number, channel: number, payload: Uint8Array): Buffer =>
  bytes(type, u16(channel), u32(payload.length), payload, 0xce);
const method = (
  channel: number,
  classId: number,
  methodId: number,
  ...args: (number | string | Uint8Array)[]
): Buffer => frame(1, channel, bytes(u16(classId), u16(methodId), ...args));
/** Content header and body; `flags` and `properties` as in section 2.3.5.2. */
const content = (channel: number, body: string, flags = 0, properties: Uint8Array = bytes()): Buffer =>
  bytes(
    frame(2, channel, bytes(u16(60), u16(0), u64(body.length), u16(flags), properties)),
    ...(body === '' ? [] : [frame(3, channel, bytes(body))]),
  );
const publish = (channel: number, exchange: string, key: string, body: string, flags = 0): Buffer =>
  bytes(method(channel, 60, 40, u16(0), short(exchange), short(key), flags), content(channel, body));
const deliver = (channel: number, tag: number, exchange: string, key: string, body: string): Buffer =>
  bytes(
    method(channel, 60, 60, short('ctag'), u64(tag), 0, short(exchange), short(key)),
    content(channel, body),
  );

const c = (...parts: Uint8Array[]): Step => ({ from: 0, bytes: Buffer.concat(parts) });
const s = (...parts: Uint8Array[]): Step => ({ from: 1, bytes: Buffer.concat(parts) });
const detail = (record: RoundTrip): Amqp => record.detail.value as Amqp;
const line = (record: RoundTrip): string =>
  [detail(record).method, Status[record.status], detail(record).settlement]
    .filter((part) => part !== '')
    .join(' ');

const OPEN = c(method(1, 20, 10, short('')));
const OPENED = s(method(1, 20, 11, long('')));
const CONFIRM = [c(method(1, 85, 10, 0)), s(method(1, 85, 11))];

interface Case {
  name: string;
  steps: Step[];
  expect: string[];
  check?: (details: Amqp[], records: RoundTrip[]) => void;
  close?: number;
}

const CASES: Case[] = [
  {
    name: 'login is one roundtrip, without its secrets',
    steps: [
      c(bytes('AMQP', 0, 0, 9, 1)),
      s(method(0, 10, 10, 0, 9, long(''), long('PLAIN'), long('en_US'))),
      c(method(0, 10, 11, long(''), short('PLAIN'), long('\u0000guest\u0000hunter2'), short('en_US'))),
      s(method(0, 10, 30, u16(2047), u32(131072), u16(60))),
      c(method(0, 10, 31, u16(2047), u32(131072), u16(60)), method(0, 10, 40, short('/shop'), short(''), 0)),
      s(method(0, 10, 41, short(''))),
    ],
    expect: ['connection.open OK'],
    check: ([d], [r]) => {
      assert.equal(d.virtualHost, '/shop');
      assert.equal(r.operation, 'connect');
    },
  },
  {
    name: 'a call and its -ok, on two channels that interleave',
    steps: [
      OPEN,
      OPENED,
      c(method(1, 50, 10, u16(0), short('orders'), 0, u32(0)), method(2, 20, 10, short(''))),
      s(method(2, 20, 11, long('')), method(1, 50, 11, short('orders'), u32(5), u32(1))),
    ],
    expect: ['channel.open OK', 'channel.open OK', 'queue.declare OK'],
    check: (d, r) => {
      assert.equal(d[2].queue, 'orders');
      assert.equal(d[2].messageCount, 5n);
      assert.equal(r[2].target, 'orders');
    },
  },
  {
    name: 'a server-named queue comes from Declare-Ok, and its target has no random part',
    steps: [
      c(method(1, 50, 10, u16(0), short(''), 0, u32(0))),
      s(method(1, 50, 11, short('amq.gen-Xa2lw'), u32(0), u32(0))),
    ],
    expect: ['queue.declare OK'],
    check: ([d], [r]) => {
      assert.equal(d.queue, 'amq.gen-Xa2lw');
      assert.equal(r.target, 'amq.gen-*');
    },
  },
  {
    name: 'a publish without confirms is one-way',
    steps: [c(publish(1, 'shop', 'order.new', 'hello'))],
    expect: ['basic.publish OK'],
    check: ([d], [r]) => {
      assert.equal(d.destinationName, 'shop:order.new');
      assert.equal(d.bodyBytes, 5n);
      assert.equal(d.operationType, 'send');
      assert.equal(r.server?.bytes, 0n);
    },
  },
  {
    name: 'confirms: one, several at once, and a nack',
    steps: [
      ...CONFIRM,
      c(
        publish(1, '', 'q', 'a'),
        publish(1, '', 'q', 'b'),
        publish(1, '', 'q', 'c'),
        publish(1, '', 'q', 'd'),
      ),
      s(method(1, 60, 80, u64(2), 1), method(1, 60, 120, u64(4), 0), method(1, 60, 80, u64(3), 0)),
    ],
    expect: [
      'confirm.select OK',
      'basic.publish OK ack',
      'basic.publish OK ack',
      'basic.publish ERROR nack',
      'basic.publish OK ack',
    ],
    check: (d) => {
      assert.deepEqual(
        d.slice(1).map((x) => Number(x.deliveryTag)),
        [1, 2, 4, 3],
      );
      assert.deepEqual(
        d.slice(1).map((x) => x.multiple),
        [true, true, false, false],
      );
    },
  },
  {
    name: 'a mandatory publish comes back before its ack',
    steps: [
      ...CONFIRM,
      c(publish(1, 'x', 'nowhere', 'a', 1)),
      s(
        method(1, 60, 50, u16(312), short('NO_ROUTE'), short('x'), short('nowhere')),
        content(1, 'a'),
        method(1, 60, 80, u64(1), 0),
      ),
    ],
    expect: ['confirm.select OK', 'basic.publish ERROR return'],
    check: (d, r) => {
      assert.equal(d[1].replyCode, 312);
      assert.equal(r[1].errorType, 'NO_ROUTE');
    },
  },
  {
    name: 'deliveries: ack of several, reject, and auto-ack',
    steps: [
      c(method(1, 60, 20, u16(0), short('orders'), short('ctag'), 0, u32(0))),
      s(
        method(1, 60, 21, short('ctag')),
        deliver(1, 1, 'x', 'k', 'a'),
        deliver(1, 2, 'x', 'k', 'b'),
        deliver(1, 3, '', 'orders', 'c'),
      ),
      c(method(1, 60, 80, u64(2), 1), method(1, 60, 90, u64(3), 1)),
    ],
    expect: [
      'basic.consume OK',
      'basic.deliver OK ack',
      'basic.deliver OK ack',
      'basic.deliver ERROR reject',
    ],
    check: (d) => {
      assert.equal(d[1].destinationName, 'x:k:orders');
      assert.equal(d[3].destinationName, 'orders');
      assert.equal(d[1].queue, 'orders');
      assert.equal(d[3].requeue, true);
    },
  },
  {
    name: 'Get-Ok with its content, and Get-Empty',
    steps: [
      c(method(1, 60, 70, u16(0), short('q'), 1)),
      s(method(1, 60, 71, u64(1), 0, short('x'), short('k'), u32(4)), content(1, 'abc')),
      c(method(1, 60, 70, u16(0), short('q'), 1)),
      s(method(1, 60, 72, short(''))),
    ],
    expect: ['basic.get OK', 'basic.get OK'],
    check: ([d]) => {
      assert.equal(d.bodyBytes, 3n);
      assert.equal(d.messageCount, 4n);
      assert.equal(d.exchange, 'x');
    },
  },
  {
    name: 'a body over several frames, interleaved with another channel',
    steps: [
      c(
        method(1, 60, 40, u16(0), short('x'), short('k'), 0),
        frame(2, 1, bytes(u16(60), u16(0), u64(6), u16(0))),
        frame(3, 1, bytes('abc')),
        publish(2, 'y', 'k', 'z'),
        frame(3, 1, bytes('def')),
      ),
    ],
    expect: ['basic.publish OK', 'basic.publish OK'],
    check: (d) =>
      assert.deepEqual(
        d.map((x) => [x.exchange, Number(x.bodyBytes)]),
        [
          ['y', 1],
          ['x', 6],
        ],
      ),
  },
  {
    name: 'properties, and the trace in the headers',
    steps: [
      c(
        method(1, 60, 40, u16(0), short('x'), short('k'), 0),
        content(
          1,
          'a',
          (1 << 15) | (1 << 13) | (1 << 12) | (1 << 10) | (1 << 7),
          bytes(
            short('text/plain'),
            long(
              bytes(
                short('traceparent'),
                'S',
                long('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
              ).toString('latin1'),
            ),
            2,
            short('corr-1'),
            short('msg-1'),
          ),
        ),
      ),
    ],
    expect: ['basic.publish OK'],
    check: ([d], [r]) => {
      assert.equal(d.contentType, 'text/plain');
      assert.equal(d.persistent, true);
      assert.equal(d.correlationId, 'corr-1');
      assert.equal(d.messageId, 'msg-1');
      assert.equal(Buffer.from(r.trace!.traceId).toString('hex'), '0af7651916cd43dd8448eb211c80319c');
    },
  },
  {
    name: 'an exception closes the channel and fails what waits on it',
    steps: [
      ...CONFIRM,
      c(publish(1, 'none', 'k', 'a'), method(1, 50, 10, u16(0), short('q'), 0, u32(0))),
      s(method(1, 20, 40, u16(404), short("NOT_FOUND - no exchange 'none'"), u16(60), u16(40))),
      c(method(1, 20, 41)),
    ],
    expect: ['confirm.select OK', 'queue.declare ERROR', 'basic.publish CANCELLED', 'channel.close ERROR'],
    check: (d, r) => {
      assert.equal(d[1].replyCode, 404);
      assert.equal(r[3].errorType, 'NOT_FOUND');
    },
  },
  {
    name: "an exception is an error also where the connection's Close overtakes its Close-Ok (amqplib)",
    steps: [
      OPEN,
      OPENED,
      c(method(1, 50, 10, u16(0), short('q'), 1, u32(0))),
      s(method(1, 20, 40, u16(404), short("NOT_FOUND - no queue 'q'"), u16(50), u16(10))),
      c(method(0, 10, 50, u16(200), short('Goodbye'), u16(0), u16(0)), method(1, 20, 41)),
      s(method(0, 10, 51)),
    ],
    expect: ['channel.open OK', 'queue.declare ERROR', 'channel.close ERROR', 'connection.close OK'],
    check: (d) => assert.equal(d[2].replyCode, 404),
  },
  {
    name: 'a login that is refused is a failed connect, though the client just leaves (RabbitMQ, amqplib)',
    steps: [
      c(bytes('AMQP', 0, 0, 9, 1)),
      s(method(0, 10, 10, 0, 9, long(''), long('PLAIN'), long('en_US'))),
      c(method(0, 10, 11, long(''), short('PLAIN'), long('\u0000guest\u0000hunter2'), short('en_US'))),
      s(method(0, 10, 50, u16(403), short('ACCESS_REFUSED - Login was refused'), u16(0), u16(0))),
    ],
    expect: ['connection.start ERROR', 'connection.close ERROR'],
    check: (d, r) => {
      assert.equal(r[0].operation, 'connect');
      assert.deepEqual(
        r.map(({ errorType }) => errorType),
        ['ACCESS_REFUSED', 'ACCESS_REFUSED'],
      );
      assert.equal(d[0].replyCode, 403);
    },
  },
  {
    name: 'deliveries that were on their way when the client cancelled are those of an auto-ack consumer still (pika)',
    steps: [
      c(method(1, 60, 20, u16(0), short('jobs'), short('ctag'), 2, u32(0))),
      s(method(1, 60, 21, short('ctag')), deliver(1, 1, '', 'jobs', 'a')),
      c(method(1, 60, 30, short('ctag'), 0)),
      s(deliver(1, 2, '', 'jobs', 'b'), method(1, 60, 31, short('ctag'))),
      // Of another consumer, which was not seen: the tag is free again.
      s(deliver(1, 3, '', 'jobs', 'c')),
      c(method(1, 60, 120, u64(3), 3)),
    ],
    expect: [
      'basic.consume OK',
      'basic.deliver OK',
      'basic.deliver OK',
      'basic.cancel OK',
      'basic.deliver ERROR nack',
    ],
    check: (d) => {
      assert.deepEqual(
        d.map(({ queue }) => queue),
        ['jobs', 'jobs', 'jobs', '', ''],
      );
    },
  },
  {
    name: 'two consumers in a row whose tags the server names',
    steps: [
      c(
        method(1, 60, 20, u16(0), short('one'), short(''), 0, u32(0)),
        method(1, 60, 20, u16(0), short('two'), short(''), 2, u32(0)),
      ),
      s(method(1, 60, 21, short('t1')), method(1, 60, 21, short('t2'))),
      s(
        method(1, 60, 60, short('t2'), u64(1), 0, short(''), short('two')),
        content(1, 'x'),
        method(1, 60, 60, short('t1'), u64(2), 0, short(''), short('one')),
        content(1, 'x'),
      ),
      c(method(1, 60, 80, u64(2), 0)),
    ],
    expect: ['basic.consume OK', 'basic.consume OK', 'basic.deliver OK', 'basic.deliver OK ack'],
    check: (d) => {
      assert.deepEqual(
        d.map(({ queue, consumerTag }) => `${queue} ${consumerTag}`),
        ['one t1', 'two t2', 'two t2', 'one t1'],
      );
    },
  },
  {
    name: 'what basic.recover takes back is not settled by the ack of several that comes later',
    steps: [
      s(deliver(1, 1, '', 'jobs', 'a'), deliver(1, 2, '', 'jobs', 'b')),
      c(method(1, 60, 80, u64(1), 0), method(1, 60, 110, 1)),
      s(method(1, 60, 111), deliver(1, 3, '', 'jobs', 'b')),
      c(method(1, 60, 80, u64(3), 1)),
    ],
    expect: ['basic.deliver OK ack', 'basic.deliver CANCELLED', 'basic.recover OK', 'basic.deliver OK ack'],
  },
  {
    name: "a Close with code 0 is no error: py-amqp's (kombu)",
    steps: [
      c(method(1, 20, 40, u16(0), short(''), u16(0), u16(0))),
      s(method(1, 20, 41)),
      c(method(0, 10, 50, u16(0), short(''), u16(0), u16(0))),
      s(method(0, 10, 51)),
    ],
    expect: ['channel.close OK', 'connection.close OK'],
    check: (_details, r) => {
      for (const { errorType } of r) assert.equal(errorType, '');
    },
  },
  {
    name: 'heartbeats are no traffic',
    steps: [c(frame(8, 0, bytes())), s(frame(8, 0, bytes()))],
    expect: [],
  },
  {
    name: 'no answer',
    steps: [...CONFIRM, c(publish(1, '', 'q', 'a'))],
    expect: ['confirm.select OK', 'basic.publish NO_RESPONSE'],
  },
  {
    name: 'a gap inside of a body costs bytes',
    steps: [
      c(
        method(1, 60, 40, u16(0), short('x'), short('k'), 0),
        frame(2, 1, bytes(u16(60), u16(0), u64(10), u16(0))),
        bytes(3, u16(1), u32(10), 'abc'),
      ),
      { from: 0, gap: 4 },
      c(bytes('hij', 0xce), publish(1, 'x', 'k', 'z')),
    ],
    expect: ['basic.publish OK', 'basic.publish OK'],
    check: (_, [r]) => assert.equal(r.missingBytes, 4n),
  },
  {
    name: 'what may have been acknowledged or answered in a gap is not cancelled by a Close',
    steps: [
      s(deliver(1, 1, '', 'jobs', 'a')),
      { from: 0, gap: 21 },
      c(method(1, 60, 10, u32(0), u16(1), 0)),
      { from: 1, gap: 12 },
      c(method(1, 20, 40, u16(200), short(''), u16(0), u16(0))),
      s(method(1, 20, 41)),
    ],
    expect: ['basic.qos INCOMPLETE', 'basic.deliver INCOMPLETE', 'channel.close OK'],
  },
  {
    name: 'after a gap the next frame is found; publishes can no longer be numbered',
    steps: [
      ...CONFIRM,
      c(publish(1, '', 'q', 'a')),
      { from: 0, gap: 30 },
      c(bytes('ody', 0xce), publish(1, '', 'q', 'c')),
      s(method(1, 60, 80, u64(1), 0), method(1, 60, 80, u64(3), 0)),
    ],
    expect: ['confirm.select OK', 'basic.publish INCOMPLETE', 'basic.publish OK ack'],
  },
  {
    name: 'after a gap and a pause the server tells the numbers again',
    steps: [
      ...CONFIRM,
      { from: 0, gap: 30 },
      c(publish(1, '', 'q', 'b')),
      s(method(1, 60, 80, u64(2), 1)),
      c(publish(1, '', 'q', 'c')),
      s(method(1, 60, 80, u64(3), 0)),
      { ...c(publish(1, '', 'q', 'd'), publish(1, '', 'q', 'e')), timeNs: 9e9 },
      s(method(1, 60, 120, u64(4), 0), method(1, 60, 80, u64(5), 0)),
    ],
    expect: [
      'confirm.select OK',
      'basic.publish INCOMPLETE',
      'basic.publish INCOMPLETE',
      'basic.publish ERROR nack',
      'basic.publish OK ack',
    ],
  },
  ...[method(0, 10, 41, short('')), method(1, 20, 11, long(''))].map(
    (answer): Case => ({
      name: 'a login whose end is lost did not fail, where the connection is used',
      steps: [
        c(bytes('AMQP', 0, 0, 9, 1)),
        s(method(0, 10, 10, 0, 9, long(''), long('PLAIN'), long('en_US'))),
        c(method(0, 10, 11, long(''), short('PLAIN'), long('\u0000guest\u0000hunter2'), short('en_US'))),
        s(method(0, 10, 30, u16(2047), u32(131072), u16(60))),
        { from: 0, gap: 40 },
        s(answer),
        s(method(0, 10, 50, u16(320), short('CONNECTION_FORCED'), u16(0), u16(0))),
        c(method(0, 10, 51)),
      ],
      expect: ['connection.close ERROR'],
    }),
  ),
  {
    name: 'what was lost may have settled a message otherwise than an ack of several that comes behind it',
    steps: [
      ...CONFIRM,
      c(publish(1, '', 'q', 'a'), publish(1, '', 'q', 'b'), publish(1, '', 'q', 'c')),
      s(method(1, 60, 120, u64(1), 0)),
      { from: 1, gap: 21 },
      s(method(1, 60, 80, u64(3), 1)),
      s(deliver(1, 1, '', 'q', 'a'), deliver(1, 2, '', 'q', 'b')),
      { from: 0, gap: 21 },
      c(method(1, 60, 80, u64(2), 1)),
    ],
    expect: [
      'confirm.select OK',
      'basic.publish ERROR nack',
      'basic.publish INCOMPLETE',
      'basic.publish OK ack',
      'basic.deliver INCOMPLETE',
      'basic.deliver OK ack',
    ],
  },
  {
    name: 'a mandatory message is not settled where its Return may be what was lost',
    steps: [
      ...CONFIRM,
      c(publish(1, '', 'nowhere', 'a', 1), publish(1, '', 'q', 'b')),
      { from: 1, gap: 60 },
      s(method(1, 60, 80, u64(1), 0), method(1, 60, 80, u64(2), 0)),
    ],
    expect: ['confirm.select OK', 'basic.publish INCOMPLETE', 'basic.publish OK ack'],
  },
  {
    name: 'where confirm.select was lost its answer tells that publishes wait for their confirms',
    steps: [
      OPEN,
      OPENED,
      { from: 0, gap: 13 },
      s(method(1, 85, 11)),
      c(publish(1, '', 'q', 'a')),
      s(method(1, 60, 120, u64(1), 0)),
    ],
    expect: ['channel.open OK', 'basic.publish INCOMPLETE'],
  },
  {
    name: 'what is lost before confirm.select had no numbers',
    steps: [
      OPEN,
      OPENED,
      { from: 0, gap: 30 },
      ...CONFIRM,
      c(publish(1, '', 'q', 'a')),
      s(method(1, 60, 120, u64(1), 0)),
    ],
    expect: ['channel.open OK', 'confirm.select OK', 'basic.publish ERROR nack'],
  },
  {
    name: 'a channel that is opened again numbers from 1, where the Close-Ok before it was lost',
    steps: [
      ...CONFIRM,
      c(publish(1, '', 'q', 'a')),
      s(method(1, 60, 80, u64(1), 0)),
      c(method(1, 20, 40, u16(200), short(''), u16(0), u16(0))),
      { from: 1, gap: 12 },
      OPEN,
      OPENED,
      ...CONFIRM,
      c(publish(1, '', 'q', 'b')),
      s(method(1, 60, 80, u64(1), 0)),
    ],
    expect: [
      'confirm.select OK',
      'basic.publish OK ack',
      'channel.close INCOMPLETE',
      'channel.open OK',
      'confirm.select OK',
      'basic.publish OK ack',
    ],
  },
  {
    name: 'a channel that is opened again numbers from 1, where its Close and Open were lost',
    steps: [
      ...CONFIRM,
      c(publish(1, '', 'q', 'a')),
      s(method(1, 60, 80, u64(1), 0)),
      { from: 0, gap: 34 },
      s(method(1, 20, 41)),
      OPENED,
      ...CONFIRM,
      c(publish(1, '', 'q', 'b')),
      s(method(1, 60, 80, u64(1), 0)),
    ],
    expect: ['confirm.select OK', 'basic.publish OK ack', 'confirm.select OK', 'basic.publish OK ack'],
  },
  {
    name: 'a publisher that was joined in its course has its confirms after a pause',
    steps: [
      s(method(1, 60, 80, u64(1000), 1)),
      c(publish(1, '', 'q', 'a')),
      s(method(1, 60, 80, u64(1001), 0)),
      { ...c(publish(1, '', 'q', 'b')), timeNs: 9e9 },
      s(method(1, 60, 80, u64(1002), 0)),
    ],
    expect: ['basic.publish OK', 'basic.publish OK ack'],
    check: ([, d]) => assert.equal(d.deliveryTag, 1002n),
  },
  {
    name: 'a pause of the server says nothing, and what it then settles shows that a number was wrong',
    steps: [
      s(method(1, 60, 80, u64(10), 0)),
      c(publish(1, '', 'q', 'a'), publish(1, '', 'q', 'b')),
      { ...c(publish(1, '', 'q', 'c')), timeNs: 9e9 },
      s(method(1, 60, 80, u64(13), 1)),
      c(publish(1, '', 'q', 'd')),
    ],
    expect: ['basic.publish OK', 'basic.publish OK', 'basic.publish INCOMPLETE', 'basic.publish INCOMPLETE'],
  },
  {
    name: 'a server that is blocked settles nothing, so its pause tells no numbers',
    steps: [
      s(method(1, 60, 80, u64(10), 0), method(0, 10, 60, short('memory'))),
      c(publish(1, '', 'q', 'a')),
      { ...c(publish(1, '', 'q', 'b')), timeNs: 9e9 },
      s(method(0, 10, 61), method(1, 60, 80, u64(11), 0), method(1, 60, 80, u64(12), 0)),
    ],
    expect: ['connection.blocked OK', 'basic.publish OK', 'basic.publish OK', 'connection.unblocked OK'],
  },
];

for (const example of CASES) {
  test(example.name, () => {
    const outcome = everyCut(amqp, example.steps, { close: example.close }, (actual, expected, cut) =>
      assert.deepEqual(actual, expected, cut),
    );
    assert.deepEqual(outcome.records.map(line), example.expect);
    example.check?.(outcome.records.map(detail), outcome.records);
    assert.ok(
      !outcome.records.some((r) =>
        JSON.stringify(r.detail.value, (_, v) => (typeof v === 'bigint' ? Number(v) : v)).includes('hunter2'),
      ),
    );
  });
}

test('a body whose end is lost ends where the hole is seen', () => {
  const got = bytes(method(1, 60, 71, u64(1), 0, short(''), short('q'), u32(0)), content(1, 'x'.repeat(100)));
  const sent = publish(1, '', 'q', 'y'.repeat(100));
  const steps: Step[] = [
    { ...c(method(1, 60, 70, u16(0), short('q'), 1)), timeNs: 1000 },
    { ...s(got.subarray(0, -50)), timeNs: 3000 },
    { from: 1, gap: 50, timeNs: 4000 },
    { ...c(sent.subarray(0, -50)), timeNs: 5000 },
    { from: 0, gap: 50, timeNs: 7000 },
  ];
  const { records, timesNs } = converse(amqp, steps);
  assert.deepEqual(records.map(line), ['basic.get OK', 'basic.publish OK']);
  assert.deepEqual(timesNs, [
    [1000, 1000, 3000, 4000],
    [5000, 7000, -1, -1],
  ]);
});

/** What RabbitMQ 3.10 says of a wrong declaration, binding or message, and what is recorded of it. */
const REPLY_TEXTS: readonly (readonly [string, string])[] = [
  ["NOT_FOUND - no queue 'nope' in vhost '/'", "NOT_FOUND - no queue 'nope' in vhost '/'"],
  [
    "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value 'hunter2' of type 'longstr' but current is none",
    "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value '?' but current is none",
  ],
  [
    "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'zz' in vhost '/': {value_negative,-77}",
    "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'zz' in vhost '/': {?}",
  ],
  [
    "PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'zz' in vhost '/': \"unsupported queue mode 'hunter2'\"",
    "PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'zz' in vhost '/': \"unsupported queue mode '?'\"",
  ],
  [
    "PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'zz' in vhost '/': \"expected integer, got longstr\"",
    "PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'zz' in vhost '/': \"expected integer, got longstr\"",
  ],
  [
    'PRECONDITION_FAILED - Invalid x-match field value <<"hunter2">>; expected all, any, all-with-x, or any-with-x',
    'PRECONDITION_FAILED - Invalid x-match field value <<?>>; expected all, any, all-with-x, or any-with-x',
  ],
  [
    'PRECONDITION_FAILED - Invalid x-match field value <<"hunter2',
    'PRECONDITION_FAILED - Invalid x-match field value <<?',
  ],
  ["COMMAND_INVALID - unknown exchange type 'hunter2'", "COMMAND_INVALID - unknown exchange type '?'"],
  [
    "COMMAND_INVALID - unknown exchange type 'a' user 'hunter2'",
    "COMMAND_INVALID - unknown exchange type '?'",
  ],
  [
    "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'e' in vhost '/': received 'hunter2' but current is 'direct'",
    "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'e' in vhost '/': received '?'",
  ],
  [
    'PRECONDITION_FAILED - invalid expiration \'hunter2\': {leftover_string,"hunter2"}',
    "PRECONDITION_FAILED - invalid expiration '?': {?}",
  ],
  [
    "PRECONDITION_FAILED - user_id property set to 'hunter2' but authenticated user was 'guest'",
    "PRECONDITION_FAILED - user_id property set to '?'",
  ],
  [
    'FRAME_ERROR - type 1, first 16 octets = <<"hunter2">>: {invalid_frame_end_marker,65}',
    'FRAME_ERROR - type 1, first 16 octets = ?',
  ],
  ['PRECONDITION_FAILED - invalid message: {error,"hunter2"}', 'PRECONDITION_FAILED - invalid message: ?'],
  [
    "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'",
    "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'",
  ],
  [
    "NOT_ALLOWED - access to vhost 'v' refused for user 'u': vhost 'v' is down",
    "NOT_ALLOWED - access to vhost 'v' refused for user 'u': vhost 'v' is down",
  ],
  ["NOT_FOUND - queue 'open", "NOT_FOUND - queue 'open"],
];

test('the text of a Close has no values of arguments', () => {
  for (const [text, recorded] of REPLY_TEXTS) {
    const close = method(1, 20, 40, u16(406), short(text), u16(50), u16(10));
    const outcome = everyCut(amqp, [s(close), c(method(1, 20, 41))], {}, (actual, expected, cut) =>
      assert.deepEqual(actual, expected, cut),
    );
    assert.equal(detail(outcome.records[0]).replyText, recorded);
  }
});

test('AMQP 1.0 is recognised and not decoded', () => {
  const outcome = everyCut(amqp, [c(bytes('AMQP', 0, 1, 0, 0, 'whatever follows'))], {}, () => {});
  assert.deepEqual(outcome.records, []);
  assert.equal(outcome.undecodable, 16);
});
