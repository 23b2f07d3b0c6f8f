/** A server that speaks MongoDB's wire protocol, with the official driver: the records are what it did. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { MongoClient } from 'mongodb';
import { freePort, has } from '../bench/processes.js';
import { at, backend, isRoot, lines, of, startBackend, stopBackend, unless, Watch } from './support.js';

// No Debian package has one; where the script is not there, this cannot run.
const script = backend('mongodb.sh');
const skip =
  script === null || !has('java')
    ? 'no server of the MongoDB protocol is to be had here'
    : unless(isRoot, 'capturing needs root');

describe('MongoDB', { skip }, () => {
  let port = 0;
  let server: ChildProcess;
  before(async () => {
    port = await freePort();
    server = await startBackend(script!, [String(port), '--fresh']);
  });
  after(() => stopBackend(server));

  it('sees inserts, cursors, aggregations and errors', async () => {
    const watch = await new Watch().ready();
    const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
      monitorCommands: true,
    });
    const commands: string[] = [];
    client.on('commandSucceeded', ({ commandName }) => commands.push(`${commandName} OK`));
    client.on('commandFailed', ({ commandName }) => commands.push(`${commandName} ERROR`));
    await client.connect();
    const users = client.db('shop').collection('users');
    await users.createIndex({ email: 1 }, { unique: true });
    await users.insertMany(Array.from({ length: 250 }, (_, i) => ({ email: `canary-${i}` })));
    assert.equal(
      (
        await users
          .find({ email: /canary/ })
          .batchSize(100)
          .toArray()
      ).length,
      250,
    );
    await users.aggregate([{ $match: { email: 'canary-1' } }, { $count: 'n' }]).toArray();
    await assert.rejects(users.insertOne({ email: 'canary-1' }), { code: 11000 });
    await assert.rejects(client.db('shop').command({ nothing: 1 }));
    await client.close();
    const { documents } = await watch.stop();
    const mine = of(documents, 'mongodb', port);
    const seen = mine
      .map((d) => `${d.packetd.operation} ${d.packetd.status}`)
      .filter((line) => !/^(hello|isMaster|ismaster|ping|endSessions)/.test(line));
    // The driver takes an insert with write errors for a success.
    const expected = commands.filter((line) => !/^(ping|endSessions)/.test(line));
    const insertFailed = expected.lastIndexOf('insert OK');
    expected[insertFailed] = 'insert ERROR';
    assert.deepEqual(seen.sort(), expected.sort(), lines(mine).join('\n'));
    const found = mine.filter((d) => ['find', 'getMore'].includes(d.packetd.operation!));
    assert.equal(
      found.reduce((sum, d) => sum + Number(at(d, 'db.response.returned_rows')), 0),
      250,
    );
    const duplicate = mine.find((d) => d.packetd.operation === 'insert' && d.packetd.status === 'ERROR');
    assert.equal(at(duplicate!, 'db.response.status_code'), '11000');
    assert.ok(!JSON.stringify(mine).includes('canary'));
  });
});
