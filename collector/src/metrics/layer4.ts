/** Metrics of layer 4, from the sensors' figures per server endpoint. */
import { type EndpointStats, Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { addressText } from '@packetd/proto/telemetry/address';
import { LabelError } from './labels.js';
import { Family, type FamilyOptions } from './store.js';

const LABELS: ReadonlyMap<string, (stats: EndpointStats, sensor: string) => string> = new Map<
  string,
  (stats: EndpointStats, sensor: string) => string
>([
  ['server_address', (stats) => addressText(stats.address)],
  ['server_port', (stats) => String(stats.port)],
  ['sensor', (_, sensor) => sensor],
]);

const TCP: readonly (readonly [name: string, help: string, value: (stats: EndpointStats) => bigint])[] = [
  ['connections_opened_total', 'Connections opened.', (s) => s.connectionsOpened],
  ['connections_failed_total', 'Connections refused or not answered.', (s) => s.connectionsFailed],
  ['connections_reset_total', 'Connections ended by RST.', (s) => s.connectionsReset],
  ['retransmitted_segments_total', 'Segments sent again.', (s) => s.retransmittedSegments],
  ['out_of_order_segments_total', 'Segments that overtook another.', (s) => s.outOfOrderSegments],
  ['handshakes_total', 'Handshakes whose time was measured.', (s) => s.handshakes],
];
const BOTH: readonly (readonly [name: string, help: string, value: (stats: EndpointStats) => bigint])[] = [
  ['client_packets_total', 'Packets from clients.', (s) => s.clientPackets],
  ['client_bytes_total', 'Payload bytes from clients.', (s) => s.clientBytes],
  ['server_packets_total', 'Packets from the server.', (s) => s.serverPackets],
  ['server_bytes_total', 'Payload bytes from the server.', (s) => s.serverBytes],
];
const NANOS = 1e9;

export class Layer4 {
  private readonly families = new Map<string, Family>();
  private readonly readers: readonly ((stats: EndpointStats, sensor: string) => string)[];

  /** Throws LabelError. */
  constructor(
    private readonly names: readonly string[],
    private readonly options: FamilyOptions,
  ) {
    this.readers = names.map((name) => {
      const reader = LABELS.get(name);
      if (reader !== undefined) return reader;
      throw new LabelError(
        `controller.layer4Metrics.requireLabels: there is no label '${name}'; there are ${[...LABELS.keys()].join(', ')}`,
      );
    });
  }

  all(): Iterable<Family> {
    return this.families.values();
  }

  take(stats: EndpointStats, sensor: string, nowMs: number): void {
    const labels = this.readers.map((read) => read(stats, sensor));
    const prefix = stats.transport === Transport.UDP ? 'udp' : 'tcp';
    for (const [name, help, value] of BOTH)
      this.count(`${prefix}_${name}`, help, labels, Number(value(stats)), nowMs);
    if (prefix === 'udp') return;
    for (const [name, help, value] of TCP)
      this.count(`tcp_${name}`, help, labels, Number(value(stats)), nowMs);
    this.count(
      'tcp_handshake_seconds_total',
      'Time of those handshakes, from the SYN to the ACK that ends them.',
      labels,
      Number(stats.handshakeNano) / NANOS,
      nowMs,
    );
    // Of each sensor: several may see the same server.
    const withSensor = this.names.includes('sensor') ? this.names : [...this.names, 'sensor'];
    const values = this.names.includes('sensor') ? labels : [...labels, sensor];
    this.family('tcp_connections_active', 'gauge', 'Connections that are open.', withSensor).set(
      values,
      Number(stats.connectionsActive),
      nowMs,
    );
  }

  private count(name: string, help: string, labels: readonly string[], amount: number, nowMs: number): void {
    this.family(name, 'counter', help, this.names).add(labels, amount, nowMs);
  }

  private family(name: string, kind: 'counter' | 'gauge', help: string, labels: readonly string[]): Family {
    let family = this.families.get(name);
    if (family === undefined) {
      family = new Family(name, kind, help, labels, [], this.options);
      this.families.set(name, family);
    }
    return family;
  }
}
