/** Credentials and values of MongoDB: OP_MSG, OP_QUERY, OP_COMPRESSED. */
import { deflateSync } from 'node:zlib';
import { BSON } from 'mongodb';
import { bytesOf, client, type Message, server, u32le } from '../messages/conversation.js';
import { body, OP_COMPRESSED, OP_MSG, OP_QUERY, OP_REPLY, wire, ZLIB } from '../messages/mongodb.js';
import { type Conversation, Secrets } from './secrets.js';

export function mongodbConversations(): Conversation[] {
  const s = new Secrets('mongodb');
  const messages: Message[] = [];
  const plain: Uint8Array[] = [];
  let id = 0;
  let records = 0;
  const ask = (
    command: BSON.Document,
    reply: BSON.Document,
    section?: readonly [string, BSON.Document[]],
  ) => {
    const asked = ++id;
    let sent = body({ ...command, $db: 'shop' });
    if (section !== undefined) {
      const documents = bytesOf(`${section[0]}\0`, ...section[1].map((d) => BSON.serialize(d)));
      sent = bytesOf(sent, 1, u32le(documents.length + 4), documents);
    }
    messages.push(client(wire(OP_MSG, asked, 0, sent)), server(wire(OP_MSG, ++id, asked, body(reply))));
    records++;
  };
  const binary = (text: string) => new BSON.Binary(Buffer.from(text));
  const handshake = ++id;
  messages.push(
    client(
      wire(
        OP_QUERY,
        handshake,
        0,
        ...[u32le(0), 'admin.$cmd\0', u32le(0), u32le(0xffffffff)],
        BSON.serialize({
          isMaster: 1,
          speculativeAuthenticate: {
            saslStart: 1,
            mechanism: 'SCRAM-SHA-256',
            payload: binary(s.word('speculative')),
          },
        }),
      ),
    ),
    server(
      wire(
        OP_REPLY,
        ++id,
        handshake,
        ...[u32le(8), u32le(0), u32le(0), u32le(0), u32le(1)],
        BSON.serialize({ ok: 1, speculativeAuthenticate: { payload: binary(s.word('speculative answer')) } }),
      ),
    ),
  );
  records++;
  ask(
    { saslStart: 1, mechanism: 'PLAIN', payload: binary(`\0app\0${s.word('saslStart')}`) },
    { conversationId: 1, payload: binary(s.word('saslStart answer')), ok: 1 },
  );
  ask(
    { saslContinue: 1, conversationId: 1, payload: binary(`c=biws,p=${s.word('saslContinue')}`) },
    {
      ok: 0,
      errmsg: `Authentication failed: "${s.word('authentication error')}"`,
      code: 18,
      codeName: 'AuthenticationFailed',
    },
  );
  ask({ authenticate: 1, user: 'u', key: s.word('authenticate') }, { ok: 1 });
  ask({ createUser: 'bob', pwd: s.word('createUser'), roles: ['root'] }, { ok: 1 });
  ask({ updateUser: 'bob', pwd: s.word('updateUser') }, { ok: 1 });
  ask(
    {
      find: 'users',
      filter: {
        email: s.word('filter'),
        card: BSON.Long.fromString(s.number('card')),
        $or: [{ a: s.word('nested filter') }],
      },
    },
    { cursor: { firstBatch: [{ name: s.word('returned document') }], id: 0n, ns: 'shop.users' }, ok: 1 },
  );
  ask(
    {
      aggregate: 'users',
      pipeline: [{ $match: { token: s.word('pipeline') } }],
      cursor: {},
      comment: s.word('comment'),
    },
    { ok: 1 },
  );
  ask({ insert: 'users', ordered: true }, { n: 1, ok: 1 }, [
    'documents',
    [{ _id: 1, password: s.word('inserted in a section') }],
  ]);
  ask({ insert: 'users', documents: [{ password: s.word('inserted in the body') }] }, { n: 1, ok: 1 });
  ask({ update: 'users' }, { n: 1, nModified: 1, ok: 1 }, [
    'updates',
    [{ q: { a: s.word('update filter') }, u: { $set: { b: s.word('updated') } } }],
  ]);
  ask({ findAndModify: 'users', query: { $where: `this.a == '${s.word('script')}'` } }, { ok: 1 });
  ask(
    { insert: 'users', documents: [{ email: 'x' }] },
    {
      n: 0,
      writeErrors: [
        {
          index: 0,
          code: 11000,
          errmsg: `E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: "${s.word('dup key')}", "n": '${s.word('single quotes')}' }`,
          keyValue: { email: s.word('keyValue') },
        },
      ],
      ok: 1,
    },
  );
  ask(
    { find: 'users', filter: {} },
    {
      ok: 0,
      code: 9,
      codeName: 'FailedToParse',
      errmsg: `unknown operator: 'say 'hi ${s.word('quotes in a value')}' now'`,
    },
  );
  ask(
    { insert: 'users', documents: [{}] },
    {
      ok: 0,
      code: 11000,
      codeName: 'DuplicateKey',
      errmsg: `dup key: { : "brace } ${s.word('brace in a value')}" }`,
    },
  );
  ask(
    { find: 'users', filter: { $where: 'f()' } },
    {
      ok: 0,
      code: 139,
      codeName: 'JSInterpreterFailure',
      errmsg: `Error: no user ${s.word('error of a script')} :\n@:1:1\n`,
    },
  );
  ask(
    { aggregate: 'users', pipeline: [], cursor: {} },
    {
      ok: 0,
      code: 241,
      codeName: 'ConversionFailure',
      errmsg: `Executor error during aggregate command on namespace: shop.users :: caused by :: Conversion would overflow target type in $convert with no onError value: ${s.number('converted')}`,
    },
  );
  const compressed = (opcode: Buffer, from: number, to: number) => {
    plain.push(opcode);
    return wire(OP_COMPRESSED, from, to, u32le(OP_MSG), u32le(opcode.length), ZLIB, deflateSync(opcode));
  };
  const asked = ++id;
  messages.push(
    client(
      compressed(body({ find: 'users', filter: { a: s.word('compressed filter') }, $db: 'shop' }), asked, 0),
    ),
    server(
      compressed(
        body({ ok: 0, code: 2, codeName: 'BadValue', errmsg: `bad value "${s.word('compressed error')}"` }),
        ++id,
        asked,
      ),
    ),
  );
  records++;
  ask({ ping: 1 }, { ok: 1 });
  return [{ protocol: 'mongodb', name: 'mongodb', serverPort: 27017, messages, secrets: s, records, plain }];
}
