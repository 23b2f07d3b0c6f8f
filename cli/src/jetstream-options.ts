/** The stream's options, as the configuration has them. */
import { DEFAULT_JETSTREAM, type JetStreamOptions } from '@packetd/collector/source/jetstream';
import type { Config } from './config/load.js';

const MEGABYTE = 1 << 20;

export function jetstreamOptions(config: Config): JetStreamOptions {
  return {
    ...DEFAULT_JETSTREAM,
    stream: config.get<string>('nats.stream'),
    maxAgeMs: config.get<number>('nats.maxAge'),
    leafDomains: config.get<string[]>('nats.leafDomains'),
    maxBytes: config.get<number>('nats.maxMegabytes') * MEGABYTE,
  };
}
