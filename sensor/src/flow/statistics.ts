/**
 * Layer 4 figures by server endpoint (address, port, transport): the message EndpointStats of
 * roundtrip.proto. One row of numbers per endpoint; TCP connections keep the number of their row.
 */
import type { Packet } from '../packet/packet.js';
import { KeyTable } from './table.js';

/** Columns of a row. Bytes are payload. */
export const Stat = {
  opened: 0,
  /** RST to the SYN, or a SYN without an answer. */
  failed: 1,
  reset: 2,
  clientPackets: 3,
  clientBytes: 4,
  serverPackets: 5,
  serverBytes: 6,
  retransmittedSegments: 7,
  outOfOrderSegments: 8,
  handshakes: 9,
  /** Sum over the handshakes of the time from the SYN to the ACK that answers the SYN-ACK. */
  handshakeNs: 10,
} as const;
export type Stat = (typeof Stat)[keyof typeof Stat];
const COLUMNS = 11;

/** IANA protocol numbers. */
export const IpProtocol = { TCP: 6, UDP: 17 } as const;

/** Receives the rows of a drain; `columns[at + Stat.…]` is the growth since the drain before. */
export interface EndpointVisitor {
  /**
   * `active` is the number of connections now. The address is four words as in `Packet`, and
   * `columns` borrowed until the call returns.
   */
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
  ): void;
}

/** Address, then protocol and port. */
const KEY_WORDS = 5;
/** An endpoint without connections and without growth for so many drains makes room for others. */
const IDLE_DRAINS = 60;
/** One with connections is shown again after so many, for a gauge that is not heard of is taken for gone. */
const REPEAT_DRAINS = 6;
const FIRST_ROWS = 64;

/** Says which end of a packet is the server when no SYN tells: 1 its destination, -1 its source, 0 unknown. */
export class ServerGuess {
  private readonly known = new Uint8Array(65536);

  /** `serverPorts` are those that a rule names. */
  constructor(serverPorts: readonly number[]) {
    for (const port of serverPorts) this.known[port & 0xffff] = 1;
  }

  of(sourcePort: number, destinationPort: number): number {
    const named = this.known[destinationPort] - this.known[sourcePort];
    if (named !== 0) return named;
    const low = Math.min(sourcePort, destinationPort);
    const high = Math.max(sourcePort, destinationPort);
    if (low === high) return 0;
    const clear =
      low < WELL_KNOWN_PORTS || (low < EPHEMERAL_PORTS && high >= EPHEMERAL_PORTS) || low * 2 <= high;
    if (!clear) return 0;
    return low === destinationPort ? 1 : -1;
  }
}

/** RFC 6335 section 6: system ports. */
const WELL_KNOWN_PORTS = 1024;
/** Linux takes the ports of clients from here on (ip_local_port_range), others from 49152. */
const EPHEMERAL_PORTS = 32768;

export class EndpointStatistics {
  /** Packets that found no room for their endpoint. */
  overflow = 0;
  private readonly table = new KeyTable(KEY_WORDS);
  private columns = new Float64Array(FIRST_ROWS * COLUMNS);
  /** Connections in the flow table, among them those that are over but remembered. */
  private attached = new Int32Array(FIRST_ROWS);
  private active = new Int32Array(FIRST_ROWS);
  /** Active connections as of the drain before. */
  private told = new Int32Array(FIRST_ROWS);
  /** Drains without growth; -1 for a row not in use. */
  private idle = new Int16Array(FIRST_ROWS).fill(-1);
  private rows = 0;

  constructor(
    private readonly maxEndpoints: number,
    private readonly guess: ServerGuess,
  ) {}

  get size(): number {
    return this.table.size;
  }

  /** One datagram. */
  udp(p: Packet): void {
    const fromServer = this.guess.of(p.sourcePort, p.destinationPort) < 0;
    const row = this.row(p, fromServer, IpProtocol.UDP);
    if (row >= 0) this.packet(row, fromServer ? 1 : 0, p.payloadLength);
  }

  /** The row of the packet's source or destination, -1 when the table is full. */
  row(p: Packet, ofSource: boolean, protocol: number): number {
    const { key } = this.table;
    if (ofSource) {
      key[0] = p.source0;
      key[1] = p.source1;
      key[2] = p.source2;
      key[3] = p.source3;
      key[4] = (protocol << 16) | p.sourcePort;
    } else {
      key[0] = p.destination0;
      key[1] = p.destination1;
      key[2] = p.destination2;
      key[3] = p.destination3;
      key[4] = (protocol << 16) | p.destinationPort;
    }
    const found = this.table.find();
    if (found >= 0) return found;
    if (this.table.size >= this.maxEndpoints) {
      this.overflow++;
      return -1;
    }
    const row = this.table.insert();
    if (row >= this.idle.length) this.grow();
    if (row >= this.rows) this.rows = row + 1;
    this.idle[row] = 0;
    this.told[row] = 0;
    return row;
  }

  /** A packet of side 0 (the client) or 1 with so much payload. */
  packet(row: number, side: number, bytes: number): void {
    const at = row * COLUMNS + (side === 0 ? Stat.clientPackets : Stat.serverPackets);
    this.columns[at]++;
    this.columns[at + 1] += bytes;
  }

  add(row: number, stat: Stat, amount: number): void {
    if (row >= 0) this.columns[row * COLUMNS + stat] += amount;
  }

  /** A connection refers to the row from here on until `detach`, and is active until `end`. */
  attach(row: number): void {
    if (row < 0) return;
    this.attached[row]++;
    this.active[row]++;
  }

  end(row: number): void {
    if (row >= 0) this.active[row]--;
  }

  detach(row: number): void {
    if (row >= 0) this.attached[row]--;
  }

  /**
   * Shows every row that has grown, or whose number of active connections is another, and sets it to 0;
   * one with active connections also every sixth time.
   */
  drain(visitor: EndpointVisitor): void {
    const { table, columns, active, told, idle, attached } = this;
    for (let row = 0; row < this.rows; row++) {
      if (idle[row] < 0) continue;
      const at = row * COLUMNS;
      let grown = active[row] !== told[row] || (active[row] > 0 && idle[row] + 1 >= REPEAT_DRAINS);
      for (let i = at; i < at + COLUMNS && !grown; i++) grown = columns[i] !== 0;
      if (grown) {
        const last = table.word(row, 4);
        visitor.endpoint(
          table.word(row, 0) >>> 0,
          table.word(row, 1) >>> 0,
          table.word(row, 2) >>> 0,
          table.word(row, 3) >>> 0,
          last & 0xffff,
          last >>> 16,
          active[row],
          columns,
          at,
        );
        columns.fill(0, at, at + COLUMNS);
        told[row] = active[row];
        idle[row] = 0;
      } else if (idle[row] < IDLE_DRAINS) {
        idle[row]++;
      } else if (attached[row] === 0) {
        table.remove(row);
        idle[row] = -1;
      }
    }
  }

  private grow(): void {
    const rows = this.idle.length * 2;
    const columns = new Float64Array(rows * COLUMNS);
    columns.set(this.columns);
    this.columns = columns;
    const idle = new Int16Array(rows).fill(-1);
    idle.set(this.idle);
    this.idle = idle;
    this.attached = widened(this.attached, rows);
    this.active = widened(this.active, rows);
    this.told = widened(this.told, rows);
  }
}

function widened(from: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length);
  to.set(from);
  return to;
}
