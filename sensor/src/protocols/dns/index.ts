/** DNS over UDP and TCP. */
import { RoundTripTag } from '@packetd/proto';
import type { DatagramProtocol } from '../datagram.js';
import type { StreamProtocol } from '../decoder.js';
import { DnsDatagrams, probeDatagram } from './datagrams.js';
import { DnsStream, probeStream } from './stream.js';

const PORTS = [53];

export const dnsStream: StreamProtocol = {
  name: 'dns',
  ports: PORTS,
  detailTag: RoundTripTag.dns,
  probe: probeStream,
  create: (connection, options) => new DnsStream(connection, options),
};

export const dnsDatagram: DatagramProtocol = {
  name: 'dns',
  ports: PORTS,
  detailTag: RoundTripTag.dns,
  probe: probeDatagram,
  create: (sink, options) => new DnsDatagrams(sink, options),
};
