/** MySQL and MariaDB. */
import { RoundTripTag } from '@packetd/proto';
import type { StreamProtocol } from '../decoder.js';
import { MysqlDecoder } from './decoder.js';
import { probe } from './probe.js';

export const mysql: StreamProtocol = {
  name: 'mysql',
  ports: [3306],
  detailTag: RoundTripTag.mysql,
  probe,
  create: (connection, options) => new MysqlDecoder(connection, options),
};
