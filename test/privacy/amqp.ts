/** Login, bodies and header values of AMQP 0-9-1. */

import { content, long, method, short, table } from '../messages/amqp.js';
import { client, type Message, server, u16, u32, u64 } from '../messages/conversation.js';
import { type Conversation, Secrets } from './secrets.js';

export function amqpConversations(): Conversation[] {
  const s = new Secrets('amqp');
  const messages: Message[] = [
    client('AMQP', 0, 0, 9, 1),
    server(
      method(
        0,
        10,
        10,
        0,
        9,
        table({ cluster: s.word('server property') }),
        long('PLAIN AMQPLAIN'),
        long('en_US'),
      ),
    ),
    client(
      method(
        0,
        ...([10, 11] as const),
        ...[table({ secret: s.word('client property') }), short('PLAIN')],
        ...[long(`\0guest\0${s.word('Start-Ok response')}`), short('en_US')],
      ),
    ),
    server(method(0, 10, 20, long(s.word('Secure challenge')))),
    client(method(0, 10, 21, long(s.word('Secure-Ok response')))),
    server(method(0, 10, 30, u16(2047), u32(131072), u16(60))),
    client(method(0, 10, 31, u16(2047), u32(131072), u16(60)), method(0, 10, 40, short('/'), short(''), 0)),
    server(method(0, 10, 41, short(''))),
    client(method(1, 20, 10, short(''))),
    server(method(1, 20, 11, long(''))),
    client(method(0, 10, 70, long(s.word('Update-Secret')), long('rotated'))),
    server(method(0, 10, 71)),
    client(method(1, 50, 10, u16(0), short('orders'), 2, table({ 'x-token': s.word('queue argument') }))),
    server(method(1, 50, 11, short('orders'), u32(0), u32(0))),
    client(method(1, 85, 10, 0)),
    server(method(1, 85, 11)),
    client(
      method(1, 60, 40, u16(0), short(''), short('orders'), 0),
      content(1, { authorization: s.word('published header') }, `body ${s.word('published body')}`),
    ),
    server(method(1, 60, 80, u64(1), 0)),
    client(
      method(
        1,
        60,
        20,
        u16(0),
        short('orders'),
        short('tag'),
        0,
        table({ 'x-key': s.word('consume argument') }),
      ),
    ),
    server(
      method(1, 60, 21, short('tag')),
      method(1, 60, 60, short('tag'), u64(1), 0, short(''), short('orders')),
      content(1, { password: s.word('delivered header') }, `body ${s.word('delivered body')}`),
    ),
    client(method(1, 60, 80, u64(1), 0)),
    client(method(1, 60, 70, u16(0), short('orders'), 0)),
    server(
      method(1, 60, 71, u64(2), 0, short(''), short('orders'), u32(0)),
      content(1, { token: s.word('got header') }, `body ${s.word('got body')}`),
    ),
    client(method(1, 60, 90, u64(2), 1)),
    client(method(1, 20, 40, u16(200), short('bye'), u16(0), u16(0))),
    server(method(1, 20, 41)),
    client(method(2, 20, 10, short(''))),
    server(method(2, 20, 11, long(''))),
    client(method(2, 50, 10, u16(0), short('orders'), 0, table({}))),
    server(
      method(
        2,
        ...([20, 40] as const),
        u16(406),
        short(
          `PRECONDITION_FAILED - inequivalent arg 'x-key' for queue 'orders' in vhost '/': received the value '${s.word('received')}' of type 'longstr' but current is the value '${s.word('current')}' of type 'longstr'`,
        ),
        ...[u16(50), u16(10)],
      ),
    ),
    client(method(2, 20, 41)),
    client(method(0, 10, 50, u16(200), short('bye'), u16(0), u16(0))),
    server(method(0, 10, 51)),
  ];
  // Open, channel, Update-Secret, declare, select, publish, consume, deliver, get, close of the channel; the second
  // channel, its declare and the server's close; close.
  return [{ protocol: 'amqp', name: 'amqp', serverPort: 5672, messages, secrets: s, records: 14 }];
}
