/** PostgreSQL's frontend/backend protocol. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { PostgresqlDecoder } from './decoder.js';
import { probe } from './probe.js';

export const postgresql: StreamProtocol = {
  name: 'postgresql',
  ports: [5432],
  detailTag: RoundTripTag.postgresql,
  probe,
  create: (connection, options) => new PostgresqlDecoder(connection, options),
};
