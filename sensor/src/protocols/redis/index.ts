/** Redis and Valkey: RESP2 and RESP3. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { RedisDecoder } from './decoder.js';
import { probe } from './probe.js';

export const redis: StreamProtocol = {
  name: 'redis',
  ports: [6379],
  detailTag: RoundTripTag.redis,
  probe,
  create: (connection, options) => new RedisDecoder(connection, options),
};
