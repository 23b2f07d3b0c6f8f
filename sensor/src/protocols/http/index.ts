/** HTTP/1.0 and HTTP/1.1. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { HttpDecoder } from './decoder.js';
import { probe } from './probe.js';

export const http: StreamProtocol = {
  name: 'http',
  ports: [80, 8080],
  detailTag: RoundTripTag.http,
  probe,
  create: (connection, options) => new HttpDecoder(connection, options),
};
