/**
 * The ledger: where every captured byte and every dropped frame went. Plain numbers in one
 * Float64Array, which may lie in shared memory, so that the main thread reads what a worker counts.
 */
import { ParseStatus } from './packet/packet.js';

/** Counters of the whole sensor. */
export const Count = {
  frames: 0,
  bytes: 1,
  kernelDropped: 2,
  notIp: 3,
  notTransport: 4,
  truncated: 5,
  malformed: 6,
  unknownLink: 7,
  tooDeep: 8,
  fragmentsHeld: 9,
  otherIpVersion: 10,
  /** Payload bytes of TCP and UDP that no rule asked for. */
  skippedNoRule: 11,
  /** Payload bytes of connections whose protocol was not recognised. */
  skippedUndetected: 12,
  skippedTls: 13,
  /** Payload bytes after a protocol handed the connection over to something else. */
  skippedOpaque: 14,
  /** Payload bytes of packetd's own connections. */
  skippedOwn: 15,
  records: 16,
  recordBytes: 17,
  /** Records that were dropped because nobody took them in time. */
  recordsDropped: 18,
  /** Payload bytes of TCP seen before, … */
  retransmittedBytes: 19,
  /** … of what had been given up as lost, … */
  lateBytes: 20,
  /** … too far from where the stream is, … */
  implausibleBytes: 21,
  /** … after the end of their connection, … */
  ignoredBytes: 22,
  /** … and that found no room while they waited for others. */
  holdDroppedBytes: 23,
  /** Bytes of TCP that the capture lost, of connections of any protocol. */
  lostBytes: 24,
  /** Roundtrips of other packetd processes, which are left out. */
  ownRoundtrips: 25,
} as const;
export type Count = (typeof Count)[keyof typeof Count];
const COUNTS = Object.keys(Count).length;

/** Counters of one protocol. */
export const ProtocolCount = {
  decodedBytes: 0,
  gapBytes: 1,
  undecodableBytes: 2,
  roundtrips: 3,
  connections: 4,
} as const;
export type ProtocolCount = (typeof ProtocolCount)[keyof typeof ProtocolCount];
const PROTOCOL_COUNTS = Object.keys(ProtocolCount).length;

/** Counter of each parse status that is not OK. */
export const PARSE_COUNT: readonly number[] = (() => {
  const table: number[] = [];
  table[ParseStatus.OK] = -1;
  table[ParseStatus.NOT_IP] = Count.notIp;
  table[ParseStatus.NOT_TRANSPORT] = Count.notTransport;
  table[ParseStatus.FRAGMENT_HELD] = Count.fragmentsHeld;
  table[ParseStatus.TRUNCATED] = Count.truncated;
  table[ParseStatus.MALFORMED] = Count.malformed;
  table[ParseStatus.UNKNOWN_LINK] = Count.unknownLink;
  table[ParseStatus.TOO_DEEP] = Count.tooDeep;
  return table;
})();

export class Ledger {
  readonly values: Float64Array;

  /** `values` is what `Ledger.size(protocols.length)` asks for; without it the ledger has memory of its own. */
  constructor(
    readonly protocols: readonly string[],
    values?: Float64Array,
  ) {
    this.values = values ?? new Float64Array(Ledger.size(protocols.length));
  }

  static size(protocols: number): number {
    return COUNTS + protocols * PROTOCOL_COUNTS;
  }

  add(counter: Count, amount: number): void {
    this.values[counter] += amount;
  }

  get(counter: Count): number {
    return this.values[counter];
  }

  addProtocol(protocol: number, counter: ProtocolCount, amount: number): void {
    this.values[COUNTS + protocol * PROTOCOL_COUNTS + counter] += amount;
  }

  getProtocol(protocol: number, counter: ProtocolCount): number {
    return this.values[COUNTS + protocol * PROTOCOL_COUNTS + counter];
  }

  /** Every counter: its name, its protocol ('' for those of the whole sensor), and where its value is. */
  *counters(): Generator<{ name: string; protocol: string; index: number }> {
    for (const [name, index] of Object.entries(Count)) yield { name, protocol: '', index };
    for (const [row, protocol] of this.protocols.entries()) {
      for (const [name, offset] of Object.entries(ProtocolCount)) {
        yield { name, protocol, index: COUNTS + row * PROTOCOL_COUNTS + offset };
      }
    }
  }

  /** The ledger as an object for people and programs (`packetd watch --stats`). */
  report(): LedgerReport {
    const v = this.values;
    const protocols: LedgerReport['protocols'] = {};
    this.protocols.forEach((name, index) => {
      const base = COUNTS + index * PROTOCOL_COUNTS;
      const row = Object.fromEntries(
        Object.entries(ProtocolCount).map(([key, offset]) => [key, v[base + offset]]),
      ) as Record<keyof typeof ProtocolCount, number>;
      if (Object.values(row).some((value) => value > 0)) protocols[name] = row;
    });
    const counts = Object.fromEntries(Object.entries(Count).map(([key, index]) => [key, v[index]]));
    return { ...(counts as Record<keyof typeof Count, number>), protocols };
  }
}

export type LedgerReport = Record<keyof typeof Count, number> & {
  protocols: Record<string, Record<keyof typeof ProtocolCount, number>>;
};
