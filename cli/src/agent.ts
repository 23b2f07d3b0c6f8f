/** packetd agent: a sensor that publishes its batches on NATS JetStream. */

import { registry } from '@packetd/collector/health';
import { Server } from '@packetd/collector/server/server';
import { ensureStream, subjectOf } from '@packetd/collector/source/jetstream';
import { Count, type Ledger } from '@packetd/sensor/ledger';
import { LiveCapture } from '@packetd/sensor/live';
import { BatchCompleter, makeIdentity } from '@packetd/sensor/publish/identity';
import { DEFAULT_PUBLISHER, NatsPublisher } from '@packetd/sensor/publish/nats';
import { Gauge } from 'prom-client';
import { loadConfig } from './config/load.js';
import { SERVICE_END_SIGNALS, waitForEnd } from './end.js';
import { fail, UserError } from './fail.js';
import { jetstreamOptions } from './jetstream-options.js';
import { ledgerMetrics } from './ledger-metrics.js';
import { makeLog } from './log.js';
import { NatsLink } from './nats.js';
import { liveOptions, serverConfig } from './settings.js';
import { onHangup, reload } from './up.js';
import { VERSION } from './version.js';

export interface AgentOptions {
  config?: string;
}

const CLOSE_MS = 10_000;
const MEGABYTE = 1 << 20;

export async function agent(options: AgentOptions): Promise<void> {
  const config = loadConfig(options.config);
  if (config.get<string>('sniffer.file') !== '') {
    throw new UserError(
      'sniffer.file is read by packetd up only; the agent watches interfaces, so leave it out',
    );
  }
  const log = makeLog(config);
  const identity = makeIdentity(config.get<string>('sensor.name'), VERSION);
  const warn = (message: string) => log.warn(message);

  onHangup(options.config, log, () => {});
  const nats = new NatsLink(config, `packetd agent ${identity.name}`, log);
  const stream = jetstreamOptions(config);

  // The sockets of the capture are opened first, so that a missing right is told before anything else.
  const capture: LiveCapture = new LiveCapture(
    liveOptions(config),
    { batch: (bytes, length, records) => publisher.batch(bytes, length, records) },
    warn,
  );
  /** With what the publisher has dropped, which the batches after it report. */
  const ledger = (): Ledger => {
    const now = capture.ledger();
    now.add(Count.recordsDropped, publisher.counts.droppedRecords);
    return now;
  };
  const completer = new BatchCompleter(identity, ledger);
  const publisher = new NatsPublisher(subjectOf(stream.stream), identity, completer, warn, {
    ...DEFAULT_PUBLISHER,
    bufferBytes: config.get<number>('nats.bufferMegabytes') * MEGABYTE,
  });
  await capture.start();
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

  const settings = serverConfig(config);
  const server =
    settings === null
      ? null
      : new Server(settings, {
          tail: null,
          metrics: null,
          ledger: () => ledgerMetrics(ledger()),
          notReady: () => (nats.ready ? [] : ['nats']),
          reload: () => reload(options.config, log.level),
          logLevel: log.level,
        });
  await server?.listen();
  for (const { address, port } of server?.addresses ?? []) capture.own.listen(address, port);
  log.info('watching', { interfaces: capture.interfaces.map((i) => i.name), sensor: identity.name });
  capture.failed.catch(fail);
  // What is captured until NATS is there waits in the publisher's buffer.
  const connecting = nats.open((connection) => ensureStream(connection, stream));
  connecting.then(
    ({ connection }) => publisher.connect(connection, () => ensureStream(connection, stream)),
    fail,
  );
  await waitForEnd(SERVICE_END_SIGNALS);
  const final = (await capture.stop()).report();
  const left = await publisher.close(CLOSE_MS);
  if (left > 0) log.error('NATS did not take everything before the end', { records: left });
  await server?.close();
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
