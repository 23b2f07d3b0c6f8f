/** Kafka. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { KafkaDecoder } from './decoder.js';
import { probe } from './probe.js';
import { PORT } from './wire.js';

export const kafka: StreamProtocol = {
  name: 'kafka',
  ports: [PORT],
  detailTag: RoundTripTag.kafka,
  probe,
  create: (connection, options) => new KafkaDecoder(connection, options),
};
