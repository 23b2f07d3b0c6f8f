/** Expected values are those of the RESP specification and of Redis' command reference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Redis } from '@packetd/proto/gen/packetd/v1/redis_pb';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import type { DecoderOptions } from '../decoder.js';
import { converse, everyCut, type Step } from '../harness.js';
import { redis } from './index.js';

const c = (bytes: string): Step => ({ from: 0, bytes });
const s = (bytes: string): Step => ({ from: 1, bytes });
/** A command as an array of bulk strings. */
const cmd = (...words: string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

const detail = (record: RoundTrip): Redis => record.detail.value as Redis;
/** `COMMAND STATUS reply_type code` */
const line = (record: RoundTrip): string => {
  const d = detail(record);
  return [d.command, Status[record.status], d.replyType, d.statusCode]
    .filter((part) => part !== '')
    .join(' ');
};

interface Case {
  name: string;
  steps: Step[];
  expect: string[];
  close?: number;
  fromStart?: boolean;
  handOver?: string;
  options?: Partial<DecoderOptions>;
  /** Bytes that become no roundtrip. */
  undecodable?: number;
  check?: (details: Redis[], records: RoundTrip[]) => void;
}

const CASES: Case[] = [
  {
    name: 'one command',
    steps: [c(cmd('SET', 'user:1', 'secret')), s('+OK\r\n')],
    expect: ['SET OK simple_string'],
    check: ([d], [r]) => {
      assert.equal(d.queryText, 'SET ? ?');
      assert.equal(d.keyCount, 1);
      assert.equal(d.argumentCount, 3);
      assert.equal(d.database, '0');
      assert.equal(r.operation, 'SET');
      assert.equal(r.client?.bytes, BigInt(cmd('SET', 'user:1', 'secret').length));
      assert.equal(r.server?.bytes, 5n);
    },
  },
  {
    name: 'a pipeline pairs in order',
    steps: [
      c(cmd('GET', 'a') + cmd('INCR', 'b') + cmd('LRANGE', 'l', '0', '-1') + cmd('GET', 'none')),
      s(`${bulk('value\r\n+OK')}:42\r\n*2\r\n${bulk('x')}${bulk('y')}$-1\r\n`),
    ],
    expect: ['GET OK bulk_string', 'INCR OK integer', 'LRANGE OK array', 'GET OK null'],
    check: (d) => assert.equal(d[2].elementCount, 2),
  },
  {
    name: 'keys only when they are asked for',
    steps: [c(cmd('MSET', 'k1', 'v1', 'k2', 'v2')), s('+OK\r\n')],
    expect: ['MSET OK simple_string'],
    options: { keys: true },
    check: ([d]) => {
      assert.deepEqual(d.keys, ['k1', 'k2']);
      assert.equal(d.keyCount, 2);
    },
  },
  {
    name: 'keys that an argument counts',
    steps: [c(cmd('EVAL', 'return 1', '2', 'a', 'b', 'x')), s(':1\r\n')],
    expect: ['EVAL OK integer'],
    check: ([d]) => assert.equal(d.keyCount, 2),
  },
  {
    name: 'errors by their prefix, without what they repeat',
    steps: [
      c(cmd('INCR', 'a') + cmd('FOO', 'hunter2')),
      s(
        "-WRONGTYPE Operation against a key\r\n-ERR unknown command 'FOO', with args beginning with: 'hunter2' \r\n",
      ),
    ],
    expect: ['INCR ERROR error WRONGTYPE', 'FOO ERROR error ERR'],
    check: (details, records) => {
      assert.equal(records[0].errorType, 'WRONGTYPE');
      assert.equal(details[0].errorMessage, 'Operation against a key');
      assert.equal(details[1].errorMessage, 'unknown command ?, with args beginning with:?');
    },
  },
  {
    name: 'subcommands are part of the command',
    steps: [
      c(cmd('config', 'set', 'requirepass', 'hunter2') + cmd('CLIENT', 'SETINFO', 'x', 'y')),
      s('+OK\r\n+OK\r\n'),
    ],
    expect: ['CONFIG SET OK simple_string', 'CLIENT SETINFO OK simple_string'],
    check: ([d]) => assert.equal(d.queryText, 'CONFIG SET ? ?'),
  },
  {
    name: 'inline commands',
    steps: [c('PING\r\nSET a b\r\n'), s('+PONG\r\n+OK\r\n')],
    expect: ['PING OK simple_string', 'SET OK simple_string'],
  },
  {
    name: 'the database follows SELECT, when it is answered by OK',
    steps: [
      c(cmd('SELECT', '7') + cmd('GET', 'a') + cmd('SELECT', '99') + cmd('GET', 'a')),
      s('+OK\r\n$-1\r\n-ERR DB index is out of range\r\n$-1\r\n'),
    ],
    expect: ['SELECT OK simple_string', 'GET OK null', 'SELECT ERROR error ERR', 'GET OK null'],
    check: (d) =>
      assert.deepEqual(
        d.map((x) => x.database),
        ['0', '7', '7', '7'],
      ),
  },
  {
    name: 'MULTI, QUEUED and the array of EXEC',
    steps: [
      c(cmd('MULTI') + cmd('SET', 'a', '1') + cmd('INCR', 'a') + cmd('EXEC')),
      s('+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n'),
    ],
    expect: ['MULTI OK simple_string', 'SET OK simple_string', 'INCR OK simple_string', 'EXEC OK array'],
  },
  {
    name: 'RESP3: map, set, double, boolean, big number, verbatim, null',
    steps: [
      c(
        cmd('HELLO', '3') +
          cmd('SMEMBERS', 's') +
          cmd('ZSCORE', 'z', 'm') +
          cmd('A') +
          cmd('B') +
          cmd('C') +
          cmd('D'),
      ),
      s(
        '%1\r\n+server\r\n+redis\r\n~2\r\n:1\r\n:2\r\n,1.5\r\n#t\r\n(3492890328409238509324850943850943825024385\r\n=7\r\ntxt:abc\r\n_\r\n',
      ),
    ],
    expect: [
      'HELLO OK map',
      'SMEMBERS OK set',
      'ZSCORE OK double',
      'A OK boolean',
      'B OK big_number',
      'C OK verbatim_string',
      'D OK null',
    ],
  },
  {
    name: 'RESP3: attributes, pushes out of the order, streamed strings and aggregates',
    steps: [
      c(cmd('GET', 'a') + cmd('GET', 'b') + cmd('LRANGE', 'l', '0', '1')),
      s(
        '|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n>2\r\n+invalidate\r\n*1\r\n$1\r\nq\r\n$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n*?\r\n:1\r\n*?\r\n:2\r\n.\r\n.\r\n',
      ),
    ],
    expect: ['GET OK bulk_string', 'GET OK bulk_string', 'LRANGE OK array'],
  },
  {
    name: 'RESP2 publish and subscribe: confirmations answer, messages do not',
    steps: [
      c(cmd('SUBSCRIBE', 'a', 'b')),
      s('*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n'),
      s('*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n'),
      c(cmd('PING')),
      s('*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n'),
    ],
    expect: ['SUBSCRIBE OK array', 'PING OK array'],
  },
  {
    name: 'RESP2 no longer subscribed: a list that begins like a message is a reply',
    steps: [
      c(cmd('SUBSCRIBE', 'a')),
      s('*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n'),
      c(cmd('UNSUBSCRIBE', 'a')),
      s('*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n'),
      c(cmd('GET', 'a') + cmd('LRANGE', 'l', '0', '2') + cmd('GET', 'b')),
      s('$1\r\nx\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\ny\r\n'),
    ],
    expect: [
      'SUBSCRIBE OK array',
      'UNSUBSCRIBE OK array',
      'GET OK bulk_string',
      'LRANGE OK array',
      'GET OK bulk_string',
    ],
  },
  {
    name: 'CLIENT REPLY OFF, SKIP and ON',
    steps: [
      c(cmd('CLIENT', 'REPLY', 'OFF') + cmd('SET', 'a', '1') + cmd('CLIENT', 'REPLY', 'ON')),
      s('+OK\r\n'),
      c(cmd('CLIENT', 'REPLY', 'SKIP') + cmd('SET', 'a', '2') + cmd('GET', 'a')),
      s('$1\r\n2\r\n'),
    ],
    expect: [
      'CLIENT REPLY OK',
      'SET OK',
      'CLIENT REPLY OK simple_string',
      'CLIENT REPLY OK',
      'SET OK',
      'GET OK bulk_string',
    ],
  },
  {
    // Replies as redis-server 7.0.15 sent them, here and in the following.
    name: 'SKIP while replies are off changes nothing',
    steps: [
      c(cmd('CLIENT', 'REPLY', 'OFF') + cmd('CLIENT', 'REPLY', 'SKIP') + cmd('SET', 'a', '1')),
      c(cmd('SET', 'b', '2') + cmd('CLIENT', 'REPLY', 'ON') + cmd('GET', 'b')),
      s('+OK\r\n$1\r\n2\r\n'),
    ],
    expect: [
      'CLIENT REPLY OK',
      'CLIENT REPLY OK',
      'SET OK',
      'SET OK',
      'CLIENT REPLY OK simple_string',
      'GET OK bulk_string',
    ],
  },
  {
    name: 'CLIENT REPLY OFF in a transaction is queued like all commands',
    steps: [
      c(cmd('MULTI') + cmd('CLIENT', 'REPLY', 'OFF') + cmd('DISCARD') + cmd('GET', 'b')),
      s('+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n2\r\n'),
    ],
    expect: [
      'MULTI OK simple_string',
      'CLIENT REPLY OK simple_string',
      'DISCARD OK simple_string',
      'GET OK bulk_string',
    ],
  },
  {
    name: 'RESET switches replies on again',
    steps: [
      c(cmd('CLIENT', 'REPLY', 'OFF') + cmd('SET', 'a', '1') + cmd('RESET') + cmd('GET', 'b')),
      s('+RESET\r\n$1\r\n2\r\n'),
    ],
    expect: ['CLIENT REPLY OK', 'SET OK', 'RESET OK simple_string', 'GET OK bulk_string'],
  },
  {
    name: 'an array that looks like a message, after the last channel was left',
    steps: [
      c(cmd('SUBSCRIBE', 'c')),
      s('*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n'),
      c(cmd('UNSUBSCRIBE', 'c')),
      s('*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n'),
      c(cmd('RPUSH', 'l', 'message', 'x') + cmd('LRANGE', 'l', '0', '-1') + cmd('GET', 'a')),
      s(':2\r\n*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n$-1\r\n'),
    ],
    expect: [
      'SUBSCRIBE OK array',
      'UNSUBSCRIBE OK array',
      'RPUSH OK integer',
      'LRANGE OK array',
      'GET OK null',
    ],
  },
  {
    name: 'the confirmations of a bare UNSUBSCRIBE are not those of the SUBSCRIBE behind it',
    steps: [
      c(cmd('SUBSCRIBE', 'a', 'b')),
      s('*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n'),
      c(cmd('UNSUBSCRIBE') + cmd('SUBSCRIBE', 'longer')),
      s('*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n'),
      s('*3\r\n$9\r\nsubscribe\r\n$6\r\nlonger\r\n:1\r\n'),
    ],
    expect: ['SUBSCRIBE OK array', 'UNSUBSCRIBE OK array', 'SUBSCRIBE OK array'],
    check: (_, records) =>
      assert.equal(
        records[2].server?.bytes,
        BigInt('*3\r\n$9\r\nsubscribe\r\n$6\r\nlonger\r\n:1\r\n'.length),
      ),
  },
  {
    name: 'a master that keeps its replica waiting with empty lines',
    steps: [
      c(cmd('PSYNC', '?', '-1')),
      s('\n'),
      s('\n+FULLRESYNC 1d4f08d6421d781de8bdf774aa7ed7a7e91765f2 0\r\n'),
    ],
    expect: ['PSYNC OK simple_string'],
    handOver: 'opaque',
  },
  {
    name: 'what follows the length that answers SYNC is a stream',
    steps: [c(cmd('SYNC')), s('$212\r\n')],
    expect: ['SYNC OK bulk_string'],
    handOver: 'opaque',
  },
  {
    name: 'a snapshot without a length, to SYNC',
    steps: [c(cmd('SYNC')), s('$EOF:c8ab9cbbd49d1e9a1c2dcbd17a8a2a9f3f7d9a53\r\n')],
    expect: ['SYNC OK bulk_string'],
    handOver: 'opaque',
  },
  {
    // valkey-server 9.1.2 with dual-channel-replication-enabled, on the connection for the snapshot.
    name: 'a snapshot on a connection of its own',
    steps: [
      c(cmd('REPLCONF', 'rdb-channel', '1')),
      s('+OK\r\n'),
      c(cmd('SYNC')),
      s('$ENDOFF:51 1d4f08d6421d781de8bdf774aa7ed7a7e91765f2 0 12\r\n'),
    ],
    expect: ['REPLCONF OK simple_string', 'SYNC OK bulk_string'],
    handOver: 'opaque',
  },
  {
    name: 'and on the other connection the stream begins with the second PSYNC',
    steps: [
      c(cmd('PSYNC', '?', '-1')),
      s('+DUALCHANNELSYNC\r\n'),
      c(cmd('PSYNC', '1d4f08d6421d781de8bdf774aa7ed7a7e91765f2', '52')),
      s('+CONTINUE 1d4f08d6421d781de8bdf774aa7ed7a7e91765f2\r\n'),
    ],
    expect: ['PSYNC OK simple_string', 'PSYNC OK simple_string'],
    handOver: 'opaque',
  },
  {
    name: 'MONITOR is a stream, not answers',
    steps: [
      c(cmd('MONITOR')),
      s('+OK\r\n+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"\r\n'),
      c(cmd('QUIT')),
      s('+OK\r\n'),
    ],
    expect: ['MONITOR OK simple_string', 'QUIT OK simple_string'],
  },
  {
    name: 'PSYNC hands over to the replication stream',
    steps: [
      c(cmd('PSYNC', '?', '-1')),
      s('+FULLRESYNC 8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb 0\r\n$88\r\nREDIS0009'),
    ],
    expect: ['PSYNC OK simple_string'],
    handOver: 'opaque',
  },
  {
    name: 'CLIENT REPLY SKIP while replies are off leaves them off, RESET puts them on',
    steps: [
      c(cmd('CLIENT', 'REPLY', 'OFF') + cmd('CLIENT', 'REPLY', 'SKIP') + cmd('SET', 'a', '1')),
      c(cmd('SET', 'a', '2') + cmd('RESET') + cmd('INCR', 'a')),
      s('+RESET\r\n:3\r\n'),
    ],
    expect: [
      'CLIENT REPLY OK',
      'CLIENT REPLY OK',
      'SET OK',
      'SET OK',
      'RESET OK simple_string',
      'INCR OK integer',
    ],
  },
  {
    name: 'PSYNC: line ends until the master is ready (replicationCron of redis-server)',
    steps: [
      c(cmd('PSYNC', '?', '-1')),
      s('\n'),
      s('\n+FULLRESYNC 8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb 0\r\n$88\r\nREDIS0009'),
    ],
    expect: ['PSYNC OK simple_string'],
    handOver: 'opaque',
  },
  {
    name: "a master's link joined in its midst, by what the replica answers: nothing on it is a roundtrip",
    fromStart: false,
    steps: [c(cmd('SELECT', '0') + cmd('SET', 'a', '1')), c(cmd('PING')), s(cmd('REPLCONF', 'ACK', '13411'))],
    expect: [],
    undecodable: cmd('SELECT', '0').length + cmd('SET', 'a', '1').length + cmd('PING').length,
    handOver: 'opaque',
  },
  {
    name: "a replica's link joined in its midst",
    fromStart: false,
    steps: [
      s(cmd('PING') + cmd('SET', 'a', '1')),
      c(cmd('REPLCONF', 'ACK', '13411', 'FACK', '13000')),
      s(cmd('PING')),
    ],
    expect: [],
    handOver: 'opaque',
  },
  {
    name: 'joined in its midst: a list whose first element is that of a replica, behind other replies',
    fromStart: false,
    steps: [
      s('$1\r\nx\r\n'),
      { ...c(cmd('LRANGE', 'l', '0', '-1')), timeNs: 5e9 },
      { ...s(`*2\r\n${bulk('REPLCONF')}${bulk('ACK')}`), timeNs: 5.001e9 },
      { ...c(cmd('GET', 'a')), timeNs: 8e9 },
      { ...s('$1\r\nx\r\n'), timeNs: 8.001e9 },
    ],
    expect: ['LRANGE OK array', 'GET OK bulk_string'],
  },
  {
    name: 'joined in its midst: RESP3 confirms a subscription with a push, which answers no command',
    fromStart: false,
    steps: [
      c(cmd('GET', 'a') + cmd('SUBSCRIBE', 'c')),
      s('$1\r\nx\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n'),
      { ...c(cmd('INCR', 'b')), timeNs: 5e9 },
      { ...s(':1\r\n'), timeNs: 5.001e9 },
    ],
    expect: ['SUBSCRIBE INCOMPLETE', 'GET OK bulk_string', 'INCR OK integer'],
  },
  {
    name: 'joined in its midst: RESP2 confirms a subscription n times, and its messages are arrays',
    fromStart: false,
    steps: [
      c(cmd('HGETALL', 'h') + cmd('SUBSCRIBE', 'a', 'b')),
      s('*0\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n'),
      s('*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n'),
      { ...c(cmd('PING')), timeNs: 5e9 },
      { ...s('*2\r\n$4\r\npong\r\n$0\r\n\r\n'), timeNs: 5.001e9 },
    ],
    expect: ['SUBSCRIBE INCOMPLETE', 'HGETALL INCOMPLETE', 'PING OK array'],
  },
  {
    name: 'joined in its midst: the lines of MONITOR are no replies',
    fromStart: false,
    steps: [
      s('+OK\r\n'),
      { ...c(cmd('PING')), timeNs: 5e9 },
      { ...s('+PONG\r\n+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"\r\n'), timeNs: 5.001e9 },
      { ...s('+1339518087.107412 [0 127.0.0.1:60866] "keys" "*"\r\n'), timeNs: 7e9 },
    ],
    expect: ['PING OK simple_string'],
    check: (_, [r]) => assert.equal(r.server?.bytes, 7n),
  },
  {
    // redis-server 8.2.3 to `redis.error_reply('MYERR hunter2 is locked')` and `error('secret')`.
    name: 'errors of scripts by their code, without their words',
    steps: [
      c(cmd('EVAL', 'x', '0') + cmd('FCALL', 'f', '0') + cmd('EVALSHA', 'f', '0') + cmd('EVAL', 'y', '0')),
      s('-MYERR hunter2 is locked\r\n-ERR secret\r\n-NOSCRIPT No matching script.\r\n'),
      s('-ERR user_script:1: secret script: 4d3c, on @user_script:1.\r\n'),
      c(cmd('FT.SEARCH', 'i', 'q')),
      s('-Syntax error at offset 0 near hunter2\r\n'),
    ],
    expect: [
      'EVAL ERROR error MYERR',
      'FCALL ERROR error ERR',
      'EVALSHA ERROR error NOSCRIPT',
      'EVAL ERROR error ERR',
      'FT.SEARCH ERROR error',
    ],
    check: (details) =>
      assert.deepEqual(
        details.map((d) => d.errorMessage),
        ['?', '?', 'No matching script.', 'user_script:?', '?'],
      ),
  },
  {
    name: 'the same where pairing was held off',
    fromStart: false,
    steps: [
      c(cmd('EVAL', 'x', '0') + cmd('INCR', 'a') + cmd('EVAL', 'y', '0')),
      s("-MYERR hunter2 is locked\r\n-ERR value 'x' is not an integer\r\n-NOSCRIPT No matching script.\r\n"),
      { ...c(cmd('PING')), timeNs: 5e9 },
      { ...s('+PONG\r\n'), timeNs: 5.001e9 },
    ],
    expect: [
      'EVAL ERROR error MYERR',
      'INCR ERROR error ERR',
      'EVAL ERROR error NOSCRIPT',
      'PING OK simple_string',
    ],
    check: (details) =>
      assert.deepEqual(
        details.map((d) => d.errorMessage),
        ['?', 'value ? is not an integer', 'No matching script.', ''],
      ),
  },
  {
    name: 'no answer, and a reset',
    steps: [c(cmd('BLPOP', 'q', '0'))],
    expect: ['BLPOP NO_RESPONSE'],
  },
  {
    name: 'an answer cut off',
    steps: [c(cmd('GET', 'a')), s('$100\r\nabc')],
    expect: ['GET INCOMPLETE'],
  },
  {
    name: 'a gap inside of a value costs bytes',
    steps: [
      c(cmd('GET', 'a') + cmd('GET', 'b')),
      s('$10\r\nabc'),
      { from: 1, gap: 4 },
      s('hij\r\n$1\r\nx\r\n'),
    ],
    expect: ['GET OK bulk_string', 'GET OK bulk_string'],
    check: (_, [r]) => assert.equal(r.missingBytes, 4n),
  },
  {
    name: 'a gap up to the end of a value costs bytes as well: what follows begins a reply',
    steps: [c(cmd('GET', 'a') + cmd('GET', 'b')), s('$10\r\nabc'), { from: 1, gap: 9 }, s('$1\r\nx\r\n')],
    expect: ['GET OK bulk_string', 'GET OK bulk_string'],
    check: (_, [r, next]) => {
      assert.equal(r.missingBytes, 9n);
      assert.equal(r.server?.bytes, 17n);
      assert.equal(next.missingBytes, 0n);
    },
  },
  {
    name: 'the same of a command',
    steps: [
      c('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$9\r\nxyz'),
      { from: 0, gap: 8 },
      s('+OK\r\n'),
      c(cmd('INCR', 'b')),
      s(':1\r\n'),
    ],
    expect: ['SET OK simple_string', 'INCR OK integer'],
    check: (_, [r]) => assert.equal(r.missingBytes, 8n),
  },
  {
    name: 'a lost reply: the next exchange is right again',
    steps: [
      c(cmd('GET', 'a')),
      { from: 1, gap: 7 },
      c(cmd('GET', 'b')),
      s('$1\r\nx\r\n'),
      c(cmd('INCR', 'c')),
      s(':1\r\n'),
      c(cmd('TTL', 'c')),
      s(':2\r\n'),
      { from: 0, fin: true },
    ],
    expect: ['GET INCOMPLETE', 'GET OK bulk_string', 'INCR OK integer', 'TTL OK integer'],
  },
  {
    name: 'a lost reply, and behind it one that begins like none: a client that always waited goes on waiting',
    steps: [
      ...Array.from({ length: 20 }, () => [c(cmd('GET', 'a')), s('$1\r\nx\r\n')]).flat(),
      c(cmd('GET', 'b')),
      { from: 1, gap: 7 },
      c(cmd('FT.SEARCH', 'i', 'q')),
      s('-Syntax error at offset 0 near q\r\n'),
      ...Array.from({ length: 5 }, () => [c(cmd('INCR', 'c')), s(':1\r\n')]).flat(),
    ],
    expect: [
      ...Array(20).fill('GET OK bulk_string'),
      'GET INCOMPLETE',
      'FT.SEARCH INCOMPLETE',
      ...Array(5).fill('INCR OK integer'),
    ],
    undecodable: 34,
  },
  {
    name: "joined while a client that waits for its replies waits for one: it is nobody's",
    fromStart: false,
    steps: [
      s('$5\r\nwrong\r\n'),
      ...Array.from({ length: 20 }, (_, n) => [
        c(cmd('MGET', ...Array(n + 1).fill('k'))),
        s(`*${n + 1}\r\n${'$-1\r\n'.repeat(n + 1)}`),
      ]).flat(),
      { from: 0, fin: true },
    ],
    expect: Array(20).fill('MGET OK array'),
    check: (details) =>
      assert.deepEqual(
        details.map((d) => d.elementCount),
        Array.from({ length: 20 }, (_, n) => n + 1),
      ),
  },
  {
    name: 'joined in its midst: a client that pauses for longer than the server takes waits for its replies',
    fromStart: false,
    steps: Array.from({ length: 20 }, (_, n) => [
      { ...c(cmd('GET', 'a')), timeNs: (n + 1) * 1e8 },
      { ...s('$1\r\nx\r\n'), timeNs: (n + 1) * 1e8 + 1e6 },
    ]).flat(),
    expect: Array(20).fill('GET OK bulk_string'),
  },
  {
    name: 'joined in its midst: a client whose replies do not fit the commands before their own waits for them',
    fromStart: false,
    steps: Array.from({ length: 20 }, (_, n) =>
      n % 9 === 0 ? [c(cmd('INCR', 'n')), s(':1\r\n')] : [c(cmd('GET', 'a')), s('$1\r\nx\r\n')],
    ).flat(),
    expect: Array.from({ length: 20 }, (_, n) => (n % 9 === 0 ? 'INCR OK integer' : 'GET OK bulk_string')),
  },
  {
    name: 'all there is of a connection is one command and its reply',
    fromStart: false,
    steps: [c(cmd('GET', 'a')), s('-NOAUTH Authentication required.\r\n')],
    expect: ['GET ERROR error NOAUTH'],
  },
  {
    name: 'joined in its midst: a client that may always have one more in flight',
    fromStart: false,
    steps: Array.from({ length: 20 }, () => [c(cmd('GET', 'a')), s('$1\r\nx\r\n')]).flat(),
    expect: Array(20).fill('GET INCOMPLETE'),
  },
  {
    name: 'joined in the middle of a pipeline: no reply goes to the command after its own',
    fromStart: false,
    steps: [
      c(cmd('GET', 'a')),
      s('+OK\r\n'),
      c(cmd('INCR', 'b')),
      s('$1\r\nx\r\n'),
      c(cmd('SET', 'c', '1') + cmd('GET', 'c')),
      s(':1\r\n'),
      c(cmd('INCR', 'b')),
      s('+OK\r\n$1\r\n1\r\n'),
    ],
    expect: Array(5)
      .fill(0)
      .map((_, n) => `${['GET', 'INCR', 'SET', 'GET', 'INCR'][n]} INCOMPLETE`),
  },
  {
    name: 'two gaps in a pipeline: what is in between is not matched from the end',
    steps: [
      c(cmd('INCR', 'a')),
      { from: 0, gap: 20 },
      c(cmd('INCR', 'c') + cmd('INCR', 'd')),
      { from: 0, gap: 20 },
      c(cmd('INCR', 'f')),
      s(':1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n'),
      { ...c(cmd('GET', 'g')), timeNs: 5e9 },
      { ...s('$1\r\nx\r\n'), timeNs: 5.001e9 },
    ],
    expect: [
      'INCR INCOMPLETE',
      'INCR INCOMPLETE',
      'INCR OK integer',
      'INCR OK integer',
      'GET OK bulk_string',
    ],
  },
  {
    name: 'a lost command: no reply goes to the wrong one',
    steps: [
      { from: 0, gap: 20 },
      s('$5\r\nwrong\r\n'),
      c(cmd('INCR', 'c')),
      s(':1\r\n'),
      c(cmd('LLEN', 'c')),
      s(':2\r\n'),
      { from: 0, fin: true },
    ],
    expect: ['INCR OK integer', 'LLEN OK integer'],
  },
];

for (const example of CASES) {
  test(example.name, () => {
    const { steps, fromStart, options, close } = example;
    const outcome = everyCut(redis, steps, { fromStart, options, close }, (actual, expected, cut) =>
      assert.deepEqual(actual, expected, cut),
    );
    assert.deepEqual(outcome.records.map(line), example.expect);
    assert.deepEqual(outcome.handOvers, example.handOver === undefined ? [] : [example.handOver]);
    assert.equal(outcome.undecodable, example.undecodable ?? 0);
    example.check?.(outcome.records.map(detail), outcome.records);
    const text = JSON.stringify(outcome.records, (_, value) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
    assert.ok(!/hunter2|secret/.test(text));
  });
}

/** Deterministic numbers from 0 up to 1 (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A client that sends ECHO of texts of all lengths, and with `ahead` as its chance while a command is unanswered,
 * at most `window` of them; of the segments a share `lost` is a gap, from `firstLost` on.
 */
function echoes(seed: number, ahead: number, window: number, lost: number, firstLost: number): Step[] {
  const next = random(seed);
  const steps: Step[] = [];
  const unanswered: string[] = [];
  for (let i = 0; i < 1500; i++) {
    const sends = unanswered.length === 0 || (unanswered.length < window && next() < ahead);
    const text = sends ? 'x'.repeat(1 + Math.floor(next() * 900)) : unanswered.shift()!;
    if (sends) unanswered.push(text);
    const bytes = sends ? cmd('ECHO', text) : bulk(text);
    const from = sends ? 0 : 1;
    steps.push(next() < lost && i >= firstLost ? { from, gap: bytes.length } : { from, bytes });
  }
  return steps;
}

test('whatever is lost and however far ahead the client sends, no reply goes to the command of another', () => {
  const ECHO_BYTES = cmd('ECHO', '').length - bulk('').length;
  for (const window of [2, 3, 8]) {
    for (const ahead of [0, 0.02, 0.1, 0.3, 0.6, 0.9, 1]) {
      for (const fromStart of [true, false]) {
        let right = 0;
        for (let seed = 1; seed <= 8; seed++) {
          const steps = echoes(seed, ahead, window, 0.02, seed % 2 === 0 ? 0 : 20);
          for (const record of converse(redis, steps, { fromStart }).records) {
            if (record.status !== Status.OK) continue;
            right++;
            assert.equal(
              Number(record.client!.bytes - record.server!.bytes),
              ECHO_BYTES,
              `window ${window}, ahead ${ahead}, seed ${seed}, from start ${fromStart}`,
            );
          }
        }
        // Of a client that waits little more is lost than what was in the gaps, if not its very first turns were.
        if (ahead === 0 && fromStart) assert.ok(right > 0.75 * 8 * 750, `${right} right`);
      }
    }
  }
});

test('a command inside of a value whose beginning is lost is none', () => {
  const value = `${cmd('PING')}\r\n`;
  const outcome = converse(redis, [
    c(cmd('GET', 'a')),
    s('$1\r\nx\r\n'),
    { from: 0, gap: 30 },
    c(value),
    s('*2\r\n:1\r\n:2\r\n'),
    c(cmd('INCR', 'b')),
    s(':1\r\n'),
  ]);
  assert.deepEqual(
    outcome.records.map(line).filter((text) => text.startsWith('PING')),
    [],
  );
});

test('the end of a lost reply, then a reply: its elements are none', () => {
  const outcome = converse(redis, [
    c(cmd('LRANGE', 'a', '0', '-1')),
    s('*9\r\n'),
    { from: 1, gap: 200 },
    s('tail\r\n'),
    { ...c(cmd('LRANGE', 'b', '0', '-1')), timeNs: 5e9 },
    { ...s('*2\r\n$1\r\nx\r\n$1\r\ny\r\n'), timeNs: 5.001e9 },
  ]);
  assert.deepEqual(outcome.records.map(line), ['LRANGE INCOMPLETE', 'LRANGE OK array']);
});

test('garbage never throws, and a command behind it is found', () => {
  const outcome = everyCut(
    redis,
    [c(`\u0000\u0001garbage${cmd('GET', 'a')}`), s('$1\r\nx\r\n')],
    { fromStart: false },
    () => {},
  );
  assert.ok(outcome.undecodable >= 9);
});
