/** Layer 4 figures as messages EndpointStats of the batch, beside the roundtrips. */
import { EndpointStatsTag, RoundTripBatchTag, TransportValue, WireWriter } from '@packetd/proto';
import type { Clock } from './capture/engine.js';
import { type EndpointVisitor, IpProtocol, Stat } from './flow/statistics.js';
import { type RecordEncoder, writeUnixNano } from './protocols/records.js';

export class EndpointRecords implements EndpointVisitor {
  /** When the figures were taken, in capture time. */
  timeNs = 0;
  private readonly writer = new WireWriter(256);

  constructor(
    private readonly clock: Clock,
    private readonly encoder: RecordEncoder,
    private readonly worker: number,
  ) {}

  endpoint(
    address0: number,
    address1: number,
    address2: number,
    address3: number,
    port: number,
    protocol: number,
    active: number,
    columns: Float64Array,
    at: number,
  ): void {
    const w = this.writer;
    w.reset();
    const isIpv4 = address0 === 0 && address1 === 0 && address2 === 0xffff;
    w.varint(EndpointStatsTag.address);
    w.varint(isIpv4 ? 4 : 16);
    if (!isIpv4) for (const word of [address0, address1, address2]) putWord(w, word);
    putWord(w, address3);
    w.uintNonZero(EndpointStatsTag.port, port);
    w.uint(EndpointStatsTag.transport, protocol === IpProtocol.UDP ? TransportValue.UDP : TransportValue.TCP);
    w.uintNonZero(EndpointStatsTag.connectionsOpened, columns[at + Stat.opened]);
    w.uintNonZero(EndpointStatsTag.connectionsActive, active);
    w.uintNonZero(EndpointStatsTag.connectionsFailed, columns[at + Stat.failed]);
    w.uintNonZero(EndpointStatsTag.connectionsReset, columns[at + Stat.reset]);
    w.uintNonZero(EndpointStatsTag.clientPackets, columns[at + Stat.clientPackets]);
    w.uintNonZero(EndpointStatsTag.clientBytes, columns[at + Stat.clientBytes]);
    w.uintNonZero(EndpointStatsTag.serverPackets, columns[at + Stat.serverPackets]);
    w.uintNonZero(EndpointStatsTag.serverBytes, columns[at + Stat.serverBytes]);
    w.uintNonZero(EndpointStatsTag.retransmittedSegments, columns[at + Stat.retransmittedSegments]);
    w.uintNonZero(EndpointStatsTag.outOfOrderSegments, columns[at + Stat.outOfOrderSegments]);
    w.uintNonZero(EndpointStatsTag.handshakes, columns[at + Stat.handshakes]);
    w.uintNonZero(EndpointStatsTag.handshakeNano, Math.round(columns[at + Stat.handshakeNs]));
    writeUnixNano(w, EndpointStatsTag.timeUnixNano, this.clock.baseSeconds, this.timeNs);
    w.uintNonZero(EndpointStatsTag.worker, this.worker);
    this.encoder.append(RoundTripBatchTag.endpoints, w);
  }
}

function putWord(w: WireWriter, word: number): void {
  w.bytes[w.length++] = word >>> 24;
  w.bytes[w.length++] = word >>> 16;
  w.bytes[w.length++] = word >>> 8;
  w.bytes[w.length++] = word;
}
