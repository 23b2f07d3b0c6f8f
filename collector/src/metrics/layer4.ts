/** Metrics of layer 4, from the sensors' figures per server endpoint. */
import { type EndpointStats, Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { addressText } from '@packetd/proto/telemetry/address';
import { LabelError } from './labels.js';
import { Family, type FamilyKind, type FamilyOptions, LabelSet } from './store.js';

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
];
const BOTH: readonly (readonly [name: string, help: string, value: (stats: EndpointStats) => bigint])[] = [
  ['client_packets_total', 'Packets from clients.', (s) => s.clientPackets],
  ['client_bytes_total', 'Payload bytes from clients.', (s) => s.clientBytes],
  ['server_packets_total', 'Packets from the server.', (s) => s.serverPackets],
  ['server_bytes_total', 'Payload bytes from the server.', (s) => s.serverBytes],
];
/** Gauges of several capture threads or servers cannot be added up here, so a gauge always has every label. */
const GAUGE_LABELS = [...LABELS.keys(), 'worker'];
const NANOS = 1e9;

export class Layer4 {
  private readonly families = new Map<string, Family>();
  private readonly names: readonly string[];
  private readonly readers: readonly ((stats: EndpointStats, sensor: string) => string)[];

  /** Throws LabelError. */
  constructor(
    names: readonly string[],
    private readonly options: FamilyOptions,
  ) {
    this.names = [...new Set(names)];
    this.readers = this.names.map((name) => {
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
    const labels = new LabelSet(this.readers.map((read) => read(stats, sensor)));
    const prefix = stats.transport === Transport.UDP ? 'udp' : 'tcp';
    for (const [name, help, value] of BOTH)
      this.count(`${prefix}_${name}`, help, labels, Number(value(stats)), nowMs);
    if (prefix === 'udp') return;
    for (const [name, help, value] of TCP)
      this.count(`tcp_${name}`, help, labels, Number(value(stats)), nowMs);
    const duration = this.family(
      'tcp_handshake_duration_seconds',
      'summary',
      'From the SYN to the ACK that ends the handshake.',
      this.names,
    );
    duration.addAll(labels, Number(stats.handshakes), Number(stats.handshakeNano) / NANOS, nowMs);
    const active = this.family('tcp_connections_active', 'gauge', 'Connections that are open.', GAUGE_LABELS);
    const all = [...Array.from(LABELS.values(), (read) => read(stats, sensor)), String(stats.worker)];
    active.set(new LabelSet(all), Number(stats.connectionsActive), nowMs);
  }

  private count(name: string, help: string, labels: LabelSet, amount: number, nowMs: number): void {
    this.family(name, 'counter', help, this.names).add(labels, amount, nowMs);
  }

  private family(name: string, kind: FamilyKind, help: string, labels: readonly string[]): Family {
    let family = this.families.get(name);
    if (family === undefined) {
      family = new Family(name, kind, help, labels, [], this.options);
      this.families.set(name, family);
    }
    return family;
  }
}
