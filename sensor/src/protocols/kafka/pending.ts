/** Requests of one connection that wait for their response, in their order, found by correlation id. */
import type { Exchange } from '../exchange.js';
import type { Api } from './apis.js';

const INITIAL = 8;

/** A ring; what is taken out of its middle leaves a hole until the entries before it are gone. */
export class PendingRequests {
  /** Of the request that `take` found. */
  api!: Api;
  version = 0;
  /** It named topics. */
  named = false;
  length = 0;
  private first = 0;
  private used = 0;
  private exchanges: (Exchange | null)[] = new Array(INITIAL).fill(null);
  private apis: Api[] = new Array(INITIAL);
  private correlationIds = new Int32Array(INITIAL);
  /** Version, and whether topics were named in the lowest bit. */
  private versions = new Int32Array(INITIAL);

  push(exchange: Exchange, correlationId: number, api: Api, version: number, named: boolean): void {
    if (this.used === this.exchanges.length) this.grow();
    const slot = (this.first + this.used++) & (this.exchanges.length - 1);
    this.exchanges[slot] = exchange;
    this.apis[slot] = api;
    this.correlationIds[slot] = correlationId;
    this.versions[slot] = (version << 1) | (named ? 1 : 0);
    this.length++;
  }

  /** Takes the oldest request with this id; sets `api`, `version` and `named`. */
  take(correlationId: number): Exchange | null {
    const slot = this.find(correlationId);
    return slot < 0 ? null : this.remove(slot);
  }

  /** Takes the oldest of all. */
  shift(): Exchange | null {
    return this.used === 0 ? null : this.remove(this.first);
  }

  /** The oldest of all, which stays. */
  get oldest(): Exchange | null {
    return this.used === 0 ? null : this.exchanges[this.first];
  }

  /** Is a request with this id the oldest? */
  isOldest(correlationId: number): boolean {
    return this.used > 0 && this.correlationIds[this.first] === correlationId;
  }

  /** Is a request with this id waiting? Sets `api` and `version`. */
  has(correlationId: number): boolean {
    const slot = this.find(correlationId);
    if (slot < 0) return false;
    this.api = this.apis[slot];
    this.version = this.versions[slot] >> 1;
    return true;
  }

  /** Marks all that wait now with `status`. */
  mark(status: number): void {
    for (const exchange of this.exchanges) if (exchange !== null) exchange.status = status;
  }

  private find(correlationId: number): number {
    const mask = this.exchanges.length - 1;
    for (let i = 0; i < this.used; i++) {
      const slot = (this.first + i) & mask;
      if (this.correlationIds[slot] === correlationId && this.exchanges[slot] !== null) return slot;
    }
    return -1;
  }

  private remove(slot: number): Exchange | null {
    const mask = this.exchanges.length - 1;
    const exchange = this.exchanges[slot];
    this.api = this.apis[slot];
    this.version = this.versions[slot] >> 1;
    this.named = (this.versions[slot] & 1) !== 0;
    this.exchanges[slot] = null;
    this.length--;
    while (this.used > 0 && this.exchanges[this.first] === null) {
      this.first = (this.first + 1) & mask;
      this.used--;
    }
    return exchange;
  }

  private grow(): void {
    const size = this.exchanges.length;
    const order = (i: number): number => (this.first + i) & (size - 1);
    const exchanges: (Exchange | null)[] = new Array(size * 2).fill(null);
    const apis: Api[] = new Array(size * 2);
    const correlationIds = new Int32Array(size * 2);
    const versions = new Int32Array(size * 2);
    for (let i = 0; i < size; i++) {
      exchanges[i] = this.exchanges[order(i)];
      apis[i] = this.apis[order(i)];
      correlationIds[i] = this.correlationIds[order(i)];
      versions[i] = this.versions[order(i)];
    }
    this.exchanges = exchanges;
    this.apis = apis;
    this.correlationIds = correlationIds;
    this.versions = versions;
    this.first = 0;
  }
}
