/** Credentials, keys and values of Redis (RESP2, RESP3 and inline commands). */
import { client, type Message, server } from '../messages/conversation.js';
import { array, bulk } from '../messages/redis.js';
import { type Conversation, Secrets } from './secrets.js';

export function redisConversations(): Conversation[] {
  return [resp(), inline()];
}

function resp(): Conversation {
  const s = new Secrets('redis');
  const messages: Message[] = [];
  let records = 0;
  const ask = (command: string[], reply: string) => {
    messages.push(client(array(...command)), server(reply));
    records++;
  };
  ask(['AUTH', s.word('AUTH password')], '+OK\r\n');
  ask(['AUTH', 'alice', s.word('AUTH user password')], '-WRONGPASS invalid username-password pair\r\n');
  ask(
    ['HELLO', '3', 'AUTH', 'alice', s.word('HELLO AUTH'), 'SETNAME', 'app'],
    '%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n',
  );
  ask(['CONFIG', 'SET', 'requirepass', s.word('requirepass')], '+OK\r\n');
  ask(['config', 'set', 'maxmemory', '1gb', 'masterauth', s.word('masterauth')], '+OK\r\n');
  ask(['CONFIG', 'GET', 'requirepass'], array('requirepass', s.word('CONFIG GET reply')));
  ask(['ACL', 'SETUSER', 'bob', 'on', `>${s.word('ACL SETUSER')}`, '~*', '+@all'], '+OK\r\n');
  ask(
    ['MIGRATE', '10.0.0.9', '6379', s.word('key of MIGRATE'), '0', '5000', 'AUTH', s.word('MIGRATE AUTH')],
    '+OK\r\n',
  );
  ask(
    ['MIGRATE', 'h', '1', '', '0', '50', 'AUTH2', 'u', s.word('MIGRATE AUTH2'), 'KEYS', s.word('KEYS')],
    '+OK\r\n',
  );
  ask(['SET', s.word('key of SET'), s.word('value of SET'), 'EX', '10'], '+OK\r\n');
  ask(['MSET', 'a', s.word('first of MSET'), 'b', s.word('second of MSET')], '+OK\r\n');
  ask(['GET', s.word('key of GET')], bulk(s.word('reply of GET')));
  ask(['HSET', 'h', s.word('field'), s.word('value of HSET')], ':1\r\n');
  ask(
    ['EVAL', `return redis.call('set', KEYS[1], '${s.word('script')}')`, '1', 'k', s.word('ARGV')],
    '+OK\r\n',
  );
  ask(['PUBLISH', 'news', s.word('message')], ':0\r\n');
  ask(['XADD', 'stream', '*', 'card', s.number('card')], '$3\r\n1-0\r\n');
  ask(['SETEX', 'k', '9', `two\r\nlines\r\nGET ${s.word('second line of a value')}\r\n`], '+OK\r\n');
  ask(['INCR', 'k'], `-ERR value '${s.word('single quotes')}' is not an integer\r\n`);
  ask(
    ['SSET', 'k'],
    `-ERR unknown command \`SSET\`, with args beginning with: \`${s.word('backticks')}\` '${s.word('other quotes')}' \r\n`,
  );
  ask(['EVAL', 'x', '0'], `-ERR user_script:1: ${s.word('script error')} in ${s.word('script line')}\r\n`);
  ask(['EVALSHA', 'f', '0'], `-LOCKED ${s.word('error that a script replies')} is locked\r\n`);
  ask(
    ['FT.SEARCH', 'index', s.word('query of a module')],
    `-Syntax error at offset 0 near ${s.word('error of a module')}\r\n`,
  );
  // Redis 7.0 says so.
  ask(
    ['FUNCTION', 'LOAD', `#!lua nome=${s.word('metadata')}\n`],
    `-ERR Invalid metadata value given: nome=${s.word('metadata')}\r\n`,
  );
  ask(['FUNCTION', 'LOAD', '#!lua name=a\n'], `-${s.word('error of a library')} is wrong\r\n`);
  ask(
    ['GEOADD', 'places', '4.12345678901', '1234.5678901', 'home'],
    `-ERR invalid longitude,latitude pair ${s.word('a place')}\r\n`,
  );
  // A script's error may begin as a code does.
  ask(['FCALL', 'f', '0'], `-${s.word('code of a script').toUpperCase()} it is\r\n`);
  // Redis up to 6.2.
  ask(['CONFIG', 'SET', 'x', 'y'], `-ERR Unsupported CONFIG parameter: ${s.word('name of a parameter')}\r\n`);
  // rename-command hides commands by names that nobody guesses.
  ask([s.word('renamed'), 'GET', 'dir'], '+OK\r\n');
  ask([`9${s.word('renamed, a digit first')}`], '+OK\r\n');
  ask(['MULTI'], '+OK\r\n');
  ask(['AUTH', s.word('AUTH in MULTI')], '+QUEUED\r\n');
  ask(['SET', 'k', s.word('SET in MULTI')], '+QUEUED\r\n');
  ask(['GET', 'k'], '+QUEUED\r\n');
  ask(['EXEC'], `*3\r\n+OK\r\n+OK\r\n${bulk(s.word('reply of EXEC'))}`);
  ask(['SUBSCRIBE', 'news'], '>3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n');
  messages.push(server(`>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n${bulk(s.word('pushed message'))}`));
  ask(['PING'], '+PONG\r\n');
  return { protocol: 'redis', name: 'redis', serverPort: 6379, messages, secrets: s, records };
}

function inline(): Conversation {
  const s = new Secrets('redis inline');
  const lines: (readonly [string, string])[] = [
    [`AUTH ${s.word('AUTH')}`, '+OK'],
    [`auth alice ${s.word('AUTH with user')}`, '+OK'],
    [`SET k ${s.word('SET')}`, '+OK'],
    [`MSET a "${s.word('quoted')}" b '${s.word('in apostrophes')}'`, '+OK'],
    [`CONFIG SET requirepass "${s.word('requirepass')}"`, '+OK'],
    [`ACL SETUSER bob on >${s.word('ACL SETUSER')}`, '+OK'],
    [`HELLO 2 AUTH bob ${s.word('HELLO')}`, '+OK'],
    ['MULTI', '+OK'],
    [`SET k ${s.word('SET in MULTI')}`, '+QUEUED'],
    ['EXEC', '*1\r\n+OK'],
    [`GET ${s.word('key')}`, bulk(s.word('reply')).slice(0, -2)],
    ['PING', '+PONG'],
  ];
  const messages = lines.flatMap(([line, reply]) => [client(`${line}\r\n`), server(`${reply}\r\n`)]);
  return {
    protocol: 'redis',
    name: 'redis inline',
    serverPort: 6379,
    messages,
    secrets: s,
    records: lines.length,
  };
}
