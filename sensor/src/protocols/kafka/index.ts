/** The Kafka protocol. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { KafkaDecoder } from './decoder.js';
import { probe } from './probe.js';

export const kafka: StreamProtocol = {
  name: 'kafka',
  ports: [9092],
  detailTag: RoundTripTag.kafka,
  probe,
  create: (connection, options) => new KafkaDecoder(connection, options),
};
