/**
 * Completes the batches of a capture: who saw them, and how the ledger has grown since the batch before.
 * Protobuf fields may come in any order, so this is appended to what the encoder wrote.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { CounterTag, RoundTripBatchTag, SensorTag, WireWriter } from '@packetd/proto';
import type { Ledger } from '../ledger.js';

export interface Identity {
  readonly name: string;
  readonly hostname: string;
  readonly version: string;
  /** Random at every start. */
  readonly bootId: string;
}

/** `name` empty is the host's name. */
export function makeIdentity(name: string, version: string): Identity {
  const host = hostname();
  return { name: name === '' ? host : name, hostname: host, version, bootId: randomBytes(8).toString('hex') };
}

/** How often the growth of the counters is reported. */
const COUNTERS_MS = 1000;

export class BatchCompleter {
  /** Number of the next batch. */
  sequence = 1;
  private readonly writer = new WireWriter(4096);
  private before: Float64Array | null = null;
  private countedMs = 0;

  constructor(
    private readonly identity: Identity,
    private readonly ledger: () => Ledger,
  ) {}

  /** A copy of the batch bytes[0, length), completed. */
  complete(bytes: Uint8Array, length: number): Uint8Array {
    const w = this.writer;
    w.reset();
    this.sensor(w);
    const now = Date.now();
    if (now - this.countedMs >= COUNTERS_MS) {
      this.countedMs = now;
      this.counters(w);
    }
    const whole = new Uint8Array(length + w.length);
    whole.set(bytes.subarray(0, length));
    whole.set(w.bytes.subarray(0, w.length), length);
    return whole;
  }

  private sensor(w: WireWriter): void {
    const { identity } = this;
    const mark = w.begin(RoundTripBatchTag.sensor);
    w.string(SensorTag.name, identity.name);
    w.string(SensorTag.hostname, identity.hostname);
    w.string(SensorTag.version, identity.version);
    w.string(SensorTag.bootId, identity.bootId);
    w.uint(SensorTag.sequence, this.sequence++);
    w.end(mark);
  }

  private counters(w: WireWriter): void {
    const ledger = this.ledger();
    const before = this.before ?? new Float64Array(ledger.values.length);
    for (const { name, protocol, index } of ledger.counters()) {
      const growth = ledger.values[index] - before[index];
      if (growth <= 0) continue;
      const mark = w.begin(RoundTripBatchTag.counters);
      w.string(CounterTag.name, name);
      if (protocol !== '') w.string(CounterTag.protocol, protocol);
      w.uint(CounterTag.value, growth);
      w.end(mark);
    }
    this.before = ledger.values.slice();
  }
}
