/** packetd collector: consumes the sensors' batches from NATS JetStream and writes them to every output. */
import { Collector } from '@packetd/collector/collector';
import { Server } from '@packetd/collector/server/server';
import { Tail } from '@packetd/collector/server/tail';
import { followStream, JetStreamSource } from '@packetd/collector/source/jetstream';
import { loadConfig } from './config/load.js';
import { SERVICE_END_SIGNALS, waitForEnd } from './end.js';
import { UserError } from './fail.js';
import { jetstreamOptions } from './jetstream-options.js';
import { makeLog } from './log.js';
import { NatsLink } from './nats.js';
import { collectorConfig, serverConfig } from './settings.js';
import { onHangup, reload } from './up.js';

export interface CollectorOptions {
  config?: string;
}

export async function collector(options: CollectorOptions): Promise<void> {
  const config = loadConfig(options.config);
  const log = makeLog(config);
  const collector = new Collector(collectorConfig(config), log);
  if (collector.outputs.length === 0) {
    throw new UserError(
      'the collector has no output; enable metricsStorage, exporter.traces or exporter.roundtrips',
    );
  }
  onHangup(options.config, log, () => collector.reopen());
  const nats = new NatsLink(config, 'packetd collector', log);
  const stream = jetstreamOptions(config);
  const tail = new Tail();
  const settings = serverConfig(config);
  const server =
    settings === null
      ? null
      : new Server(settings, {
          tail,
          metrics: collector.metrics === null ? null : (open) => collector.metrics!.render(open),
          ledger: null,
          notReady: () => [...(nats.ready ? [] : ['nats']), ...collector.notReady()],
          reload: () => reload(options.config, log.level),
          logLevel: log.level,
        });
  await server?.listen();
  const { connection, used: source } = await nats.open((connection) =>
    JetStreamSource.start(connection, collector.outputs, stream, log),
  );
  followStream(connection, stream, tail, log);
  log.info('consuming', { stream: stream.stream, outputs: collector.outputs.map(({ name }) => name) });
  await waitForEnd(SERVICE_END_SIGNALS);
  await source.stop();
  await collector.close();
  await server?.close();
  await nats.end(connection);
  log.info('ended');
  process.exit(0);
}
