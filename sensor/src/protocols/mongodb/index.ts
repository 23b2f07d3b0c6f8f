/** The MongoDB wire protocol. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { MongodbDecoder } from './decoder.js';
import { probe } from './probe.js';

export const mongodb: StreamProtocol = {
  name: 'mongodb',
  ports: [27_017],
  detailTag: RoundTripTag.mongodb,
  probe,
  create: (connection, options) => new MongodbDecoder(connection, options),
};
