/** AMQP 0-9-1. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { AmqpDecoder } from './decoder.js';
import { probe } from './probe.js';

export const amqp: StreamProtocol = {
  name: 'amqp',
  ports: [5672],
  detailTag: RoundTripTag.amqp,
  probe,
  create: (connection, options) => new AmqpDecoder(connection, options),
};
