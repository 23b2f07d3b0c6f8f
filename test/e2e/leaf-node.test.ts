/** A leaf node keeps what sensors publish while it is cut off from the collectors' NATS, with the file of deploy/. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { connect } from '@nats-io/transport-node';
import {
  DEFAULT_JETSTREAM,
  ensureStream,
  JetStreamSource,
  subjectOf,
} from '@packetd/collector/source/jetstream';
import { RoundTripBatchSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { Ledger } from '@packetd/sensor/ledger';
import { BatchCompleter, makeIdentity } from '@packetd/sensor/publish/identity';
import { DEFAULT_PUBLISHER, NatsPublisher } from '@packetd/sensor/publish/nats';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
import { unless } from './support.js';

const LEAF_CONFIG = new URL('../../../deploy/config/nats-leaf.conf', import.meta.url);
const { stream } = DEFAULT_JETSTREAM;

describe('leaf node', { skip: unless(has('nats-server'), 'nats-server is not installed') }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-leaf-'));
  const file = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  let hubPort = 0;
  let leafPort = 0;
  let hub: Background;
  let leaf: Background;
  let hubConfig = '';

  async function startHub(): Promise<Background> {
    const server = new Background('nats-server', ['-c', hubConfig]);
    await listening(hubPort);
    return server;
  }

  before(async () => {
    hubPort = await freePort();
    leafPort = await freePort();
    const link = await freePort();
    hubConfig = file(
      'hub.conf',
      `listen: 127.0.0.1:${hubPort}\njetstream { store_dir: "${directory}/hub" }\nleafnodes { listen: 127.0.0.1:${link} }\n`,
    );
    const leafConfig = file(
      'leaf.conf',
      readFileSync(LEAF_CONFIG, 'utf8')
        .replace('4222', String(leafPort))
        .replace('$SITE', 'site-a')
        .replace('$STORE_DIR', `"${directory}/leaf"`)
        .replace('$HUB', `"nats-leaf://127.0.0.1:${link}"`),
    );
    hub = await startHub();
    leaf = new Background('nats-server', ['-c', leafConfig]);
    await listening(leafPort);
  });
  after(async () => {
    await hub.stop('SIGKILL');
    await leaf.stop('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  it('hands on each batch once, those of a sensor at the hub too', async () => {
    const sensor = async (name: string, port: number) => {
      const connection = await connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1 });
      const identity = makeIdentity(name, '1.0.0');
      const completer = new BatchCompleter(identity, () => new Ledger([]));
      const publisher = new NatsPublisher(subjectOf(stream), identity, completer, () => {}, {
        ...DEFAULT_PUBLISHER,
        batchBytes: 1,
      });
      await ensureStream(connection, DEFAULT_JETSTREAM);
      publisher.connect(connection, async () => {});
      return { connection, publisher };
    };
    const publish = (publisher: NatsPublisher, from: number, to: number) => {
      for (let i = from; i < to; i++) {
        const bytes = toBinary(
          RoundTripBatchSchema,
          create(RoundTripBatchSchema, { roundtrips: [{ operation: `n${i}` }] }),
        );
        publisher.batch(bytes, bytes.length, 1);
      }
    };
    const published = async ({ counts }: NatsPublisher, count: number) => {
      while (counts.published < count) await sleep(10);
    };

    const edge = await sensor('edge', leafPort);
    const central = await sensor('central', hubPort);
    publish(edge.publisher, 0, 20);
    publish(central.publisher, 100, 120);
    await published(edge.publisher, 20);
    await published(central.publisher, 20);

    // The link is down: the leaf node takes what comes.
    await hub.stop('SIGKILL');
    publish(edge.publisher, 20, 40);
    await published(edge.publisher, 40);
    hub = await startHub();

    const connection = await connect({ servers: `127.0.0.1:${hubPort}` });
    const seen: string[] = [];
    const source = await JetStreamSource.start(
      connection,
      [
        {
          name: 'documents',
          write: async ({ bytes }) => {
            const decoded = fromBinary(RoundTripBatchSchema, bytes);
            for (const { operation } of decoded.roundtrips) seen.push(`${decoded.sensor?.name} ${operation}`);
          },
          close: async () => {},
        },
      ],
      { ...DEFAULT_JETSTREAM, leafDomains: ['site-a'] },
      { debug() {}, info() {}, warn() {}, error() {} },
    );
    while (seen.length < 60) await sleep(20);
    await sleep(300);
    await source.stop();
    for (const { connection } of [edge, central]) await connection.close();
    await connection.close();
    const expected = [
      ...Array.from({ length: 40 }, (_, i) => `edge n${i}`),
      ...Array.from({ length: 20 }, (_, i) => `central n${i + 100}`),
    ];
    assert.deepEqual(seen.sort(), expected.sort());
  });
});
