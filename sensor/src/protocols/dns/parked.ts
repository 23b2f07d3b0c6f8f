/**
 * What the records of open queries say so far, one behind the other in one buffer: where many are open an exchange
 * is held only while a message is read, so that a flood of queries without response costs little memory.
 */
import type { Exchange } from '../exchange.js';
import type { Transaction } from './transactions.js';

/** Bytes of all open queries: twice what `MAX_OPEN_QUERIES` of usual names take. */
export const MAX_PARKED_BYTES = 2 << 20;
const FIRST_BYTES = 64 << 10;

export class Parked {
  /** At an entry's `parkedAt`: its detail, then its envelope. */
  bytes = new Uint8Array(FIRST_BYTES);
  private spare = new Uint8Array(0);
  private end = 0;
  private live = 0;

  /** Whether there is room for the query of `exchange`; if not, older ones have to go. */
  fits(exchange: Exchange): boolean {
    return this.live + exchange.detail.length + exchange.envelope.length <= MAX_PARKED_BYTES;
  }

  /** Takes over what is written in the exchange of an entry. `oldest` is the first of all entries; those not parked have no lengths. */
  park(entry: Transaction, exchange: Exchange, oldest: Transaction | null): void {
    const { detail, envelope } = exchange;
    const length = detail.length + envelope.length;
    if (this.end + length > this.bytes.length) this.compact(length, oldest);
    const { bytes } = this;
    const at = this.end;
    for (let i = 0; i < detail.length; i++) bytes[at + i] = detail.bytes[i];
    const rest = at + detail.length;
    for (let i = 0; i < envelope.length; i++) bytes[rest + i] = envelope.bytes[i];
    entry.parkedAt = at;
    entry.detailLength = detail.length;
    entry.envelopeLength = envelope.length;
    this.end = at + length;
    this.live += length;
  }

  /** Writes it into the exchange with which the entry goes on. */
  unpark(entry: Transaction, exchange: Exchange): void {
    const envelopeAt = entry.parkedAt + entry.detailLength;
    exchange.detail.raw(this.bytes, entry.parkedAt, envelopeAt);
    exchange.envelope.raw(this.bytes, envelopeAt, envelopeAt + entry.envelopeLength);
    this.live -= entry.detailLength + entry.envelopeLength;
  }

  /** Moves what is live to the beginning of a buffer of which it fills half at most. */
  private compact(more: number, oldest: Transaction | null): void {
    const from = this.bytes;
    let size = from.length;
    while (size < 2 * (this.live + more)) size *= 2;
    const to = this.spare.length === size ? this.spare : new Uint8Array(size);
    let end = 0;
    for (let entry = oldest; entry !== null; entry = entry.newer) {
      const length = entry.detailLength + entry.envelopeLength;
      const start = entry.parkedAt;
      for (let i = 0; i < length; i++) to[end + i] = from[start + i];
      entry.parkedAt = end;
      end += length;
    }
    this.spare = from;
    this.bytes = to;
    this.end = end;
  }
}
