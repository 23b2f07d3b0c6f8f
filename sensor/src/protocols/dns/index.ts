/** DNS over UDP and TCP. */
import { RoundTripTag } from '@packetd/proto';
import type { DatagramProtocol } from '../datagram.js';
import type { StreamProtocol } from '../decoder.js';
import { DnsDatagramDecoder } from './datagram.js';
import { DnsStreamDecoder } from './decoder.js';
import { probe, probeDatagram, probeMulticast } from './probe.js';

export const dnsStream: StreamProtocol = {
  name: 'dns',
  ports: [53],
  detailTag: RoundTripTag.dns,
  probe,
  create: (connection, options) => new DnsStreamDecoder(connection, options),
};

export const dnsDatagram: DatagramProtocol = {
  name: 'dns',
  ports: [53],
  detailTag: RoundTripTag.dns,
  probe: probeDatagram,
  create: (sink, options) => new DnsDatagramDecoder(sink, options),
  configured: (options) => (options.multicastDns ? { ...dnsDatagram, probe: probeMulticast } : dnsDatagram),
};
