import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServer } from './nats.js';

for (const [server, address, user, password] of [
  ['nats://a:4222', 'nats://a:4222', '', ''],
  ['a', 'a', '', ''],
  ['nats://joe:secret@a:4222', 'nats://a:4222', 'joe', 'secret'],
  ['TLS://joe:secret@a', 'TLS://a', 'joe', 'secret'],
  ['joe:secret@a', 'a', 'joe', 'secret'],
  ['//joe:secret@a', '//a', 'joe', 'secret'],
  ['nats://joe@a', 'nats://a', 'joe', ''],
  ['nats://j%40e:s%2Fcret@a', 'nats://a', 'j@e', 's/cret'],
  // Not encoded, as they ought to be.
  ['nats://joe:se/cr@t@a:4222', 'nats://a:4222', 'joe', 'se/cr@t'],
  ['nats://joe:se:cret@a', 'nats://a', 'joe', 'se:cret'],
] as const) {
  test(`the parts of ${server}`, () => assert.deepEqual(parseServer(server), { address, user, password }));
}
