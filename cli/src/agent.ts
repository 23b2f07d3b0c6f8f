/** packetd agent: a sensor that publishes its batches on NATS JetStream. */

import { registry } from '@packetd/collector/health';
import { Server } from '@packetd/collector/server/server';
import { ensureStream, subjectOf } from '@packetd/collector/source/jetstream';
import { LiveCapture } from '@packetd/sensor/live';
import { BatchCompleter, makeIdentity } from '@packetd/sensor/publish/identity';
import { DEFAULT_PUBLISHER, NatsPublisher } from '@packetd/sensor/publish/nats';
import { Gauge } from 'prom-client';
import { loadConfig } from './config/load.js';
import { waitForEnd } from './end.js';
import { fail } from './fail.js';
import { jetstreamOptions } from './jetstream-options.js';
import { ledgerMetrics } from './ledger-metrics.js';
import { makeLog } from './log.js';
import { connectNats } from './nats.js';
import { liveOptions, serverConfig } from './settings.js';
import { reload } from './up.js';
import { VERSION } from './version.js';

export interface AgentOptions {
  config?: string;
}

const CLOSE_MS = 10_000;
const MEGABYTE = 1 << 20;

export async function agent(options: AgentOptions): Promise<void> {
  const config = loadConfig(options.config);
  const log = makeLog(config);
  const identity = makeIdentity(config.get<string>('sensor.name'), VERSION);
  const warn = (message: string) => log.warn(message);

  // The sockets of the capture are opened first, so that a missing right is told before anything else.
  let publisher: NatsPublisher | null = null;
  let droppedBefore = 0;
  const capture = new LiveCapture(
    liveOptions(config),
    {
      batch(bytes, length, records) {
        if (publisher === null) droppedBefore += records;
        else publisher.batch(bytes, length, records);
      },
    },
    warn,
  );
  await capture.start();
  const connection = await connectNats(config, `packetd agent ${identity.name}`);
  const stream = jetstreamOptions(config);
  await ensureStream(connection, stream);
  const completer = new BatchCompleter(identity, () => capture.ledger());
  publisher = new NatsPublisher(connection, subjectOf(stream.stream), identity, completer, warn, {
    ...DEFAULT_PUBLISHER,
    bufferBytes: config.get<number>('nats.bufferMegabytes') * MEGABYTE,
  });
  const { counts } = publisher;
  for (const [name, help] of Object.entries(COUNTS) as [keyof typeof counts, string][]) {
    new Gauge({
      name: `packetd_publisher_${name.replace(/([A-Z])/g, (letter) => `_${letter.toLowerCase()}`)}`,
      help,
      registers: [registry],
      collect() {
        this.set(counts[name]);
      },
    });
  }

  new Gauge({
    name: 'packetd_publisher_dropped_before_connected',
    help: 'Records dropped because NATS was not there yet.',
    registers: [registry],
    collect() {
      this.set(droppedBefore);
    },
  });

  const settings = serverConfig(config);
  const server =
    settings === null
      ? null
      : new Server(settings, {
          tail: null,
          metrics: null,
          ledger: () => ledgerMetrics(capture.ledger()),
          notReady: () => (connection.isClosed() ? ['nats'] : []),
          reload: () => reload(options.config, log.level),
          logLevel: log.level,
        });
  await server?.listen();
  if (server !== null) capture.ownPorts.add(server.port);
  log.info('watching', { interfaces: capture.interfaces.map((i) => i.name), sensor: identity.name });
  capture.failed.catch(fail);
  await waitForEnd();
  const final = (await capture.stop()).report();
  const left = await publisher.close(CLOSE_MS);
  if (left > 0) log.error('NATS did not take everything before the end', { records: left });
  await server?.close();
  await connection.close();
  log.info('ended', { records: final.records, frames: final.frames, dropped: final.kernelDropped });
  process.exit(0);
}

const COUNTS = {
  published: 'Records that NATS has acknowledged.',
  droppedRecords:
    'Records dropped because the buffer was full, at the end, or when they could not be packed.',
  droppedBatches: 'Batches dropped for the same reasons.',
  retries: 'Attempts to publish that failed.',
  bufferedBytes: 'Bytes of batches that wait for their acknowledgement.',
} as const;
