/** Every protocol the sensor knows. A new one is one line here, which the compiler demands. */
import type { RoundTrip } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { amqp } from './amqp/index.js';
import type { DatagramProtocol } from './datagram.js';
import type { StreamProtocol } from './decoder.js';
import { dnsDatagram, dnsStream } from './dns/index.js';
import { grpc, http2 } from './grpc/index.js';
import { http } from './http/index.js';
import { kafka } from './kafka/index.js';
import { mongodb } from './mongodb/index.js';
import { mysql } from './mysql/index.js';
import { postgresql } from './postgresql/index.js';
import { redis } from './redis/index.js';

export type ProtocolName = NonNullable<RoundTrip['detail']['case']>;

interface Entry {
  readonly stream?: StreamProtocol;
  readonly datagram?: DatagramProtocol;
}

/** In the order in which detection tries them. */
const REGISTRY: Record<ProtocolName, Entry> = {
  http: { stream: http },
  http2: { stream: http2 },
  grpc: { stream: grpc },
  redis: { stream: redis },
  dns: { stream: dnsStream, datagram: dnsDatagram },
  amqp: { stream: amqp },
  mongodb: { stream: mongodb },
  kafka: { stream: kafka },
  postgresql: { stream: postgresql },
  mysql: { stream: mysql },
};

export const PROTOCOL_NAMES = Object.keys(REGISTRY) as ProtocolName[];
export const STREAM_PROTOCOLS: readonly StreamProtocol[] = Object.values(REGISTRY).flatMap(
  (e) => e.stream ?? [],
);
export const DATAGRAM_PROTOCOLS: readonly DatagramProtocol[] = Object.values(REGISTRY).flatMap(
  (e) => e.datagram ?? [],
);

export function isProtocolName(name: string): name is ProtocolName {
  return Object.hasOwn(REGISTRY, name);
}
