/** A connection in the flow table. */
import type { DeferredPackets } from './deferred.js';
import { Half } from './half.js';
import { CloseReason, type StreamHandler, type TcpFlow } from './stream.js';
import type { Aged, TupleTable } from './table.js';

export const State = {
  /** SYN seen, or one packet of one side, no payload. */
  HALF_OPEN: 0,
  OPEN: 1,
  /** Over, remembered for `lingerNs`. */
  CLOSED: 2,
} as const;
export type State = (typeof State)[keyof typeof State];

/** An entry of the table. Its fields are reused by the next connection with the same number. */
export class TcpConnection implements TcpFlow, Aged<TcpConnection> {
  older: TcpConnection | null = null;
  newer: TcpConnection | null = null;
  state: State = State.HALF_OPEN;
  reason: CloseReason = CloseReason.END;
  /** Side 0 is the higher endpoint of the table's key. */
  openerIsHigher = false;
  sideKnown = false;
  ipVersion = 4;
  firstTimeNs = 0;
  lastNs = 0;
  /** Time when it was put where it is in the order of age. */
  listedNs = 0;
  synNs = 0;
  synSeen = false;
  synAckSeen = false;
  /** The SYN or the SYN-ACK came twice, so a round-trip time would be ambiguous (RFC 6298 section 3). */
  synRepeated = false;
  handshakeDone = false;
  handler: StreamHandler | null = null;
  /** The factory has answered. */
  asked = false;
  /** Packets that came before what they acknowledge. */
  deferred: DeferredPackets | null = null;
  /** Row of the statistics, -1 for none. */
  row = -1;
  readonly half0 = new Half(0);
  readonly half1 = new Half(1);

  constructor(
    readonly entry: number,
    private readonly table: TupleTable,
  ) {}

  /** A copy, as are the others. */
  get address0(): Int32Array {
    return this.table.address(this.entry, this.openerIsHigher);
  }

  get port0(): number {
    return this.table.port(this.entry, this.openerIsHigher);
  }

  get address1(): Int32Array {
    return this.table.address(this.entry, !this.openerIsHigher);
  }

  get port1(): number {
    return this.table.port(this.entry, !this.openerIsHigher);
  }

  reset(timeNs: number, ipVersion: number): void {
    this.state = State.HALF_OPEN;
    this.sideKnown = false;
    this.ipVersion = ipVersion;
    this.firstTimeNs = timeNs;
    this.lastNs = timeNs;
    this.listedNs = timeNs;
    this.synNs = timeNs;
    this.synSeen = false;
    this.synAckSeen = false;
    this.synRepeated = false;
    this.handshakeDone = false;
    this.handler = null;
    this.asked = false;
    this.deferred = null;
    this.row = -1;
    this.half0.reset();
    this.half1.reset();
  }
}
