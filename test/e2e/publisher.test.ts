/** The publisher of an agent against a nats-server that takes nothing: whatever is given up is counted. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Ledger } from '@packetd/sensor/ledger';
import { BatchCompleter, makeIdentity } from '@packetd/sensor/publish/identity';
import { DEFAULT_PUBLISHER, NatsPublisher, type PublisherOptions } from '@packetd/sensor/publish/nats';
import { Background, freePort, has, listening } from '../bench/processes.js';
import { unless } from './support.js';

describe('publisher', { skip: unless(has('nats-server'), 'nats-server is not installed') }, () => {
  let server: Background;
  let connection: NatsConnection;
  before(async () => {
    const port = await freePort();
    // Without JetStream nobody acknowledges.
    server = new Background('nats-server', ['-a', '127.0.0.1', '-p', String(port)]);
    await listening(port);
    connection = await connect({ servers: `127.0.0.1:${port}` });
  });
  after(async () => {
    await connection.close();
    await server.stop('SIGTERM');
  });
  const publisher = (options: Partial<PublisherOptions>) => {
    const identity = makeIdentity('test', '1.0.0');
    const completer = new BatchCompleter(identity, () => new Ledger([]));
    return new NatsPublisher(connection, 'test', identity, completer, () => {}, {
      ...DEFAULT_PUBLISHER,
      ...options,
    });
  };
  const batch = new Uint8Array(100);

  it('counts what is under way and what waits when the time at the end is over', async () => {
    const agent = publisher({ window: 1, batchBytes: 1 });
    agent.batch(batch, batch.length, 3);
    agent.batch(batch, batch.length, 4);
    assert.equal(await agent.close(0), 7);
    assert.equal(agent.counts.droppedRecords, 7);
    assert.equal(agent.counts.droppedBatches, 2);
    assert.equal(agent.counts.published, 0);
  });

  it('counts what has no room', async () => {
    const agent = publisher({ window: 1, batchBytes: 1, bufferBytes: 1 });
    for (const records of [1, 10, 100]) agent.batch(batch, batch.length, records);
    assert.equal(await agent.close(0), 101);
    assert.equal(agent.counts.droppedRecords, 111);
    assert.equal(agent.counts.droppedBatches, 3);
  });
});
