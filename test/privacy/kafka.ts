/** SASL tokens, record data and configuration values of Kafka; layouts are those of the protocol guide. */
import {
  array,
  batch,
  blob,
  carray,
  cblob,
  cstr,
  i8,
  i16,
  i32,
  i64,
  message,
  raw,
  request,
  response,
  str,
  TAGS,
} from '@packetd/sensor/protocols/kafka/bytes';
import { client, type Message, server, u32 } from '../messages/conversation.js';
import { type Conversation, Secrets } from './secrets.js';

export function kafkaConversations(): Conversation[] {
  return [current(), old()];
}

class Dialogue {
  readonly messages: Message[] = [];
  private id = 0;

  ask(key: number, version: number, asked: number[], answered: number[], flexible = false): void {
    const id = this.id++;
    this.messages.push(
      client(request(key, version, id, 'app', asked, flexible)),
      server(response(id, answered, flexible)),
    );
  }
}

/** Of Metadata version 1, whose answers name at least one. */
const BROKER = [...i32(1), ...str('b'), ...i32(9092), ...str(null)];

function current(): Conversation {
  const s = new Secrets('kafka');
  const d = new Dialogue();
  let records = 0;
  const ask = (...parts: Parameters<Dialogue['ask']>) => {
    d.ask(...parts);
    records++;
  };
  // SaslHandshake and SaslAuthenticate; the broker's refusal repeats what it was given.
  ask(17, 1, str('PLAIN'), [...i16(0), ...array(str('PLAIN'))]);
  ask(
    36,
    2,
    [...cblob(raw(`\0app\0${s.word('SaslAuthenticate')}`)), ...TAGS],
    [
      ...i16(58),
      ...cstr(`failed: ${s.word('error message')}`),
      ...cblob(raw(s.word('SASL answer'))),
      ...i64(0),
      ...TAGS,
    ],
    true,
  );
  const record = (name: string) => ({
    key: s.word(`key of ${name}`),
    value: s.word(`value of ${name}`),
    headers: { token: s.word(`header of ${name}`) },
  });
  // Produce and Fetch.
  ask(
    0,
    7,
    [
      ...[...str(null), ...i16(1), ...i32(1000)],
      ...array([
        ...str('orders'),
        ...array([...i32(0), ...blob(batch([record('Produce'), record('Produce 2')]))]),
      ]),
    ],
    [
      ...array([...str('orders'), ...array([...i32(0), ...i16(0), ...i64(0), ...i64(-1), ...i64(0)])]),
      ...i32(0),
    ],
  );
  ask(
    1,
    4,
    [
      ...[...i32(-1), ...i32(500), ...i32(1), ...i32(1 << 20), ...i8(0)],
      ...array([...str('orders'), ...array([...i32(0), ...i64(0), ...i32(1 << 20)])]),
    ],
    [
      ...i32(0),
      ...array([
        ...str('orders'),
        ...array([
          ...[...i32(0), ...i16(0), ...i64(9), ...i64(9), ...i32(-1)],
          ...blob(batch([record('Fetch')])),
        ]),
      ]),
    ],
  );
  // Messages of formats 0 and 1, whole of text.
  ask(
    0,
    2,
    [
      ...[...i16(1), ...i32(1000)],
      ...array([
        ...str('old'),
        ...array([
          ...i32(0),
          ...blob([...message(0, s.word('format 0')), ...message(1, s.word('format 1'))]),
        ]),
      ]),
    ],
    [...array([...str('old'), ...array([...i32(0), ...i16(0), ...i64(0), ...i64(-1)])]), ...i32(0)],
  );
  // CreateTopics, AlterConfigs, IncrementalAlterConfigs, DescribeConfigs: values, and errors that repeat them.
  ask(
    19,
    2,
    [
      ...array([
        ...[...str('new'), ...i32(1), ...i16(1), ...array()],
        ...array([...str('retention.ms'), ...str(s.word('CreateTopics value'))]),
      ]),
      ...[...i32(1000), ...i8(0)],
    ],
    [...i32(0), ...array([...str('new'), ...i16(40), ...str(`bad ${s.word('CreateTopics error')}`)])],
  );
  ask(
    33,
    1,
    [
      ...array([
        ...i8(2),
        ...str('orders'),
        ...array([...str('ssl.password'), ...str(s.word('AlterConfigs'))]),
      ]),
      ...i8(0),
    ],
    [
      ...i32(0),
      ...array([...i16(40), ...str(`bad ${s.word('AlterConfigs error')}`), ...i8(2), ...str('orders')]),
    ],
  );
  ask(
    44,
    0,
    [
      ...array([
        ...[...i8(2), ...str('orders')],
        ...array([...str('sasl.jaas.config'), ...i8(0), ...str(s.word('IncrementalAlterConfigs'))]),
      ]),
      ...i8(0),
    ],
    [...i32(0), ...array([...i16(0), ...str(null), ...i8(2), ...str('orders')])],
  );
  ask(
    32,
    0,
    [...array([...i8(2), ...str('orders'), ...i32(-1)])],
    [
      ...i32(0),
      ...array([
        ...[...i16(0), ...str(null), ...i8(2), ...str('orders')],
        ...array([...str('password'), ...str(s.word('DescribeConfigs')), ...i8(0), ...i8(0), ...i8(1)]),
      ]),
    ],
  );
  // AlterUserScramCredentials: salt and salted password.
  ask(
    51,
    0,
    [
      ...carray(),
      ...carray([
        ...[...cstr('bob'), ...i8(1), ...i32(4096)],
        ...[...cblob(raw(s.word('salt'))), ...cblob(raw(s.word('salted password'))), ...TAGS],
      ]),
      ...TAGS,
    ],
    [...i32(0), ...carray([...cstr('bob'), ...i16(0), ...cstr(null), ...TAGS]), ...TAGS],
    true,
  );
  // CreateDelegationToken, RenewDelegationToken: the HMAC is the password.
  ask(
    38,
    1,
    [...array([...str('User'), ...str('bob')]), ...i64(-1)],
    [
      ...[...i16(0), ...str('User'), ...str('bob'), ...i64(1), ...i64(2), ...i64(3)],
      ...[...str('id'), ...blob(raw(s.word('token HMAC'))), ...i32(0)],
    ],
  );
  ask(39, 1, [...blob(raw(s.word('renewed HMAC'))), ...i64(1)], [...i16(0), ...i64(1), ...i32(0)]);
  // OffsetCommit and JoinGroup: text and bytes of the application's own.
  ask(
    8,
    5,
    [
      ...[...str('group'), ...i32(1), ...str('member')],
      ...array([...str('orders'), ...array([...i32(0), ...i64(5), ...str(s.word('commit metadata'))])]),
    ],
    [...i32(0), ...array([...str('orders'), ...array([...i32(0), ...i16(0)])])],
  );
  ask(
    11,
    5,
    [
      ...[...str('group'), ...i32(1000), ...i32(1000), ...str(''), ...str(null), ...str('consumer')],
      ...array([...str('range'), ...blob(raw(s.word('subscription')))]),
    ],
    [...i32(0), ...i16(0), ...i32(1), ...str('range'), ...str('m'), ...str('m'), ...array()],
  );
  ask(3, 1, [...array()], [...array(BROKER), ...i32(0), ...array()]);
  return { protocol: 'kafka', name: 'kafka', serverPort: 9092, messages: d.messages, secrets: s, records };
}

/** SaslHandshake version 0: tokens with a size and nothing else, as GSSAPI and PLAIN of old clients send them. */
function old(): Conversation {
  const s = new Secrets('kafka raw tokens');
  const d = new Dialogue();
  const token = (text: string) => [u32(text.length), text] as const;
  d.ask(18, 0, [], [...i16(0), ...array([...i16(17), ...i16(0), ...i16(1)])]);
  d.ask(17, 0, str('SCRAM-SHA-256'), [...i16(0), ...array(str('SCRAM-SHA-256'))]);
  d.messages.push(
    client(...token(`n,,n=app,r=${s.word('first token')}`)),
    server(...token(`r=${s.word('challenge')},s=AAAA,i=4096`)),
    client(...token(`c=biws,r=x,p=${s.word('proof')}`)),
    server(...token(`v=${s.word('verifier')}`)),
  );
  d.ask(3, 1, [...array()], [...array(BROKER), ...i32(0), ...array()]);
  return {
    protocol: 'kafka',
    name: 'kafka raw tokens',
    serverPort: 9092,
    messages: d.messages,
    secrets: s,
    records: 3,
  };
}
