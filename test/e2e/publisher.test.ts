/** The publisher of an agent against a nats-server that takes nothing: whatever is given up is counted. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  DEFAULT_JETSTREAM,
  ensureStream,
  JetStreamSource,
  subjectOf,
} from '@packetd/collector/source/jetstream';
import { RoundTripBatchSchema, RoundTripSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { Ledger } from '@packetd/sensor/ledger';
import { BatchCompleter, makeIdentity } from '@packetd/sensor/publish/identity';
import { DEFAULT_PUBLISHER, NatsPublisher, type PublisherOptions } from '@packetd/sensor/publish/nats';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
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
    const made = new NatsPublisher('test', identity, completer, () => {}, {
      ...DEFAULT_PUBLISHER,
      ...options,
    });
    made.connect(connection, async () => {});
    return made;
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

  it('keeps what it is given before it is connected', async () => {
    const identity = makeIdentity('test', '1.0.0');
    const completer = new BatchCompleter(identity, () => new Ledger([]));
    const agent = new NatsPublisher('test', identity, completer, () => {});
    agent.batch(batch, batch.length, 3);
    assert.equal(agent.counts.droppedRecords, 0);
    assert.equal(await agent.close(0), 3);
  });
});

describe('publisher and a server with a small max_payload', {
  skip: unless(has('nats-server'), 'nats-server is not installed'),
}, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-payload-'));
  let server: Background;
  let connection: NatsConnection;
  before(async () => {
    const port = await freePort();
    const file = join(directory, 'nats.conf');
    writeFileSync(
      file,
      `listen: 127.0.0.1:${port}\nmax_payload: 4096\njetstream { store_dir: "${directory}" }\n`,
    );
    server = new Background('nats-server', ['-c', file]);
    await listening(port);
    connection = await connect({ servers: `127.0.0.1:${port}` });
  });
  after(async () => {
    await connection.close();
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  });

  it('parts a batch that is too large, makes the stream that is not there, and counts the record that does not fit', async () => {
    const options = { ...DEFAULT_JETSTREAM, stream: 'SMALL' };
    const identity = makeIdentity('test', '1.0.0');
    const completer = new BatchCompleter(identity, () => new Ledger([]));
    const said: string[] = [];
    const agent = new NatsPublisher(subjectOf('SMALL'), identity, completer, (text) => said.push(text));
    agent.connect(connection, () => ensureStream(connection, options));
    // Random ids do not shrink; the target of one record alone is over the limit.
    const roundtrips = Array.from({ length: 400 }, (_, i) =>
      create(RoundTripSchema, {
        id: randomBytes(16),
        operation: `n${i}`,
        target: i === 200 ? randomBytes(8192).toString('hex') : '',
      }),
    );
    const bytes = toBinary(RoundTripBatchSchema, create(RoundTripBatchSchema, { roundtrips }));
    agent.batch(bytes, bytes.length, roundtrips.length);
    assert.equal(await agent.close(20_000), 1);
    assert.deepEqual([agent.counts.published, agent.counts.droppedRecords], [399, 1]);
    assert.match(said.join('\n'), /max_payload/);

    const operations: string[] = [];
    const source = await JetStreamSource.start(
      connection,
      [
        {
          name: 'documents',
          write: async ({ bytes }) => {
            const decoded = fromBinary(RoundTripBatchSchema, bytes);
            assert.equal(decoded.sensor?.name, 'test');
            for (const { operation } of decoded.roundtrips) operations.push(operation);
          },
          close: async () => {},
        },
      ],
      options,
      { debug() {}, info() {}, warn() {}, error() {} },
    );
    while (operations.length < 399) await sleep(10);
    await source.stop();
    const expected = roundtrips.map(({ operation }) => operation).filter((name) => name !== 'n200');
    assert.deepEqual(operations.sort(), expected.sort());
  });
});
