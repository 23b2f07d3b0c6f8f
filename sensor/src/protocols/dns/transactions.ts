/**
 * Queries that wait for their response: a bounded hash table over pooled entries, which are also in
 * one list ordered by the time of their last query, oldest first.
 */
import type { DatagramEndpoints } from '../datagram.js';
import type { Exchange } from '../exchange.js';
import type { Message } from './message.js';
import { Parked } from './parked.js';
import { isName } from './text.js';

/** Entries of one bucket, so that forged queries cannot make a lookup slow; its oldest gives way. */
const MAX_BUCKET = 64;
const FIRST_BUCKETS = 16;
const MAX_POOLED = 4096;

/** Which endpoints a response shares with its query. */
export const Scope = {
  BOTH: 0,
  /** The query went to a group and one of its members answers: LLMNR, one-shot mDNS (RFC 6762 section 5.1). */
  CLIENT: 1,
  /** Query and response go to the group (RFC 6762 section 6): only the question tells. */
  NONE: 2,
} as const;
export type Scope = (typeof Scope)[keyof typeof Scope];

/** A query; its endpoints are words of `Packet` as signed integers. All numbers but times are small. */
export class Transaction implements DatagramEndpoints {
  ipVersion = 0;
  client0 = 0;
  client1 = 0;
  client2 = 0;
  client3 = 0;
  clientPort = 0;
  server0 = 0;
  server1 = 0;
  server2 = 0;
  server3 = 0;
  serverPort = 0;
  scope: Scope = Scope.BOTH;
  hash = 0;
  id = 0;
  opcode = 0;
  hasQuestion = false;
  type = 0;
  class = 0;
  /** The name's text is bytes [nameAt, nameAt + nameLength) of the detail. */
  nameAt = 0;
  nameLength = 0;
  /** Null while it is parked. */
  exchange: Exchange | null = null;
  parkedAt = 0;
  detailLength = 0;
  envelopeLength = 0;
  /** Of the query, while it is parked. */
  requestBytes = 0;
  missingBytes = 0;
  questionHash = 0;
  firstNs = 0;
  /** When and on which interface the query was seen last. */
  lastNs = 0;
  interfaceIndex = 0;
  retransmits = 0;
  queryFlags = 0;
  querySerial = -1;
  /** What OPT of the query said; `optSure` is false where its bytes were not all there. */
  hasOpt = false;
  optSure = false;
  ednsVersion = 0;
  /** Over TCP: bytes of the server were lost while it was open. */
  doubtful = false;
  /** Of all response messages so far. */
  messages = 0;
  answers = 0;
  authorities = 0;
  additionals = 0;
  recorded = 0;
  /** Zone transfer: serial of the first SOA, records before now, SOAs with that serial, and how many end it. */
  serial = -1;
  transferred = 0;
  soas = 0;
  soasWanted = 2;
  older: Transaction | null = null;
  newer: Transaction | null = null;
  chain: Transaction | null = null;

  clear(): void {
    this.exchange = null;
    this.retransmits = 0;
    this.querySerial = -1;
    this.hasOpt = false;
    this.optSure = false;
    this.ednsVersion = 0;
    this.doubtful = false;
    this.messages = 0;
    this.answers = 0;
    this.authorities = 0;
    this.additionals = 0;
    this.recorded = 0;
    this.serial = -1;
    this.transferred = 0;
    this.soas = 0;
    this.soasWanted = 2;
  }
}

export class Transactions {
  /** Of the entries without an exchange. */
  readonly parked = new Parked();
  oldest: Transaction | null = null;
  private newest: Transaction | null = null;
  private buckets: (Transaction | null)[] = new Array(FIRST_BUCKETS).fill(null);
  private readonly free: Transaction[] = [];
  count = 0;
  /** The entry that has to give way to the next one in the bucket of the last `find`, or null. */
  crowded: Transaction | null = null;

  /** An entry to fill; it belongs to the caller until `add`. */
  take(): Transaction {
    return this.free.pop() ?? new Transaction();
  }

  /** Gives back what `take` or `remove` gave. */
  release(entry: Transaction): void {
    if (this.free.length >= MAX_POOLED) return;
    entry.clear();
    this.free.push(entry);
  }

  /**
   * The oldest open query that has the endpoints of `key` (whose `hash` is set) and the question of
   * `message`. A response without a question belongs to the only one open with its id, if there is
   * just one.
   */
  find(key: Transaction, message: Message): Transaction | null {
    let found: Transaction | null = null;
    let length = 0;
    this.crowded = null;
    const first = this.buckets[key.hash & (this.buckets.length - 1)];
    const loose = message.isResponse && !message.hasQuestion;
    for (let entry = first; entry !== null; entry = entry.chain) {
      length++;
      if (entry.hash !== key.hash || !sameEnds(entry, key) || entry.opcode !== key.opcode) continue;
      if (loose) {
        if (found !== null) return null;
        found = entry;
      } else if (this.sameQuestion(entry, key, message)) {
        return entry;
      }
    }
    if (length >= MAX_BUCKET) this.crowded = first;
    return found;
  }

  add(entry: Transaction): void {
    if (this.count >= this.buckets.length) this.grow();
    this.link(entry);
    this.append(entry);
    this.count++;
  }

  /** Makes it the newest. */
  touch(entry: Transaction): void {
    this.detach(entry);
    this.append(entry);
  }

  remove(entry: Transaction): void {
    const index = entry.hash & (this.buckets.length - 1);
    const first = this.buckets[index];
    if (first === entry) {
      this.buckets[index] = entry.chain;
    } else {
      let before = first;
      while (before !== null && before.chain !== entry) before = before.chain;
      if (before !== null) before.chain = entry.chain;
    }
    entry.chain = null;
    this.detach(entry);
    this.count--;
  }

  /** Buckets are in order of arrival, so that equal queries are answered in turn. */
  private link(entry: Transaction): void {
    const index = entry.hash & (this.buckets.length - 1);
    entry.chain = null;
    let last = this.buckets[index];
    if (last === null) {
      this.buckets[index] = entry;
      return;
    }
    while (last.chain !== null) last = last.chain;
    last.chain = entry;
  }

  private append(entry: Transaction): void {
    entry.older = this.newest;
    entry.newer = null;
    if (this.newest === null) this.oldest = entry;
    else this.newest.newer = entry;
    this.newest = entry;
  }

  private detach(entry: Transaction): void {
    if (entry.older === null) this.oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === null) this.newest = entry.older;
    else entry.newer.older = entry.older;
    entry.older = null;
    entry.newer = null;
  }

  /** Names are equal without regard to the case of letters (RFC 4343). */
  private sameQuestion(entry: Transaction, key: Transaction, message: Message): boolean {
    if (entry.type !== key.type || entry.class !== key.class || entry.hasQuestion !== message.hasQuestion)
      return false;
    if (!message.hasQuestion) return true;
    const { exchange } = entry;
    return isName(
      exchange === null ? this.parked.bytes : exchange.detail.bytes,
      exchange === null ? entry.parkedAt + entry.nameAt : entry.nameAt,
      entry.nameLength,
      message.bytes,
      message.start,
      message.end,
      message.nameAt,
    );
  }

  private grow(): void {
    this.buckets = new Array(this.buckets.length * 2).fill(null);
    for (let entry = this.oldest; entry !== null; entry = entry.newer) this.link(entry);
  }
}

/** Sets `hash`: of the client, the server's port and the id, as far as the response repeats them. */
export function hashKey(key: Transaction): void {
  let h = Math.imul(key.id ^ (key.serverPort << 16), 0x9e3779b1);
  if (key.scope !== Scope.NONE) {
    h = Math.imul(h ^ (h >>> 15) ^ key.client0, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13) ^ key.client1, 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 15) ^ key.client2, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13) ^ key.client3, 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 15) ^ key.clientPort, 0x85ebca6b);
  }
  key.hash = h ^ (h >>> 16);
}

function sameEnds(a: Transaction, b: Transaction): boolean {
  if (a.id !== b.id || a.scope !== b.scope || a.serverPort !== b.serverPort) return false;
  if (a.scope === Scope.NONE) return true;
  if (a.clientPort !== b.clientPort || a.client3 !== b.client3 || a.client2 !== b.client2) return false;
  if (a.client1 !== b.client1 || a.client0 !== b.client0) return false;
  if (a.scope === Scope.CLIENT) return true;
  return (
    a.server3 === b.server3 && a.server2 === b.server2 && a.server1 === b.server1 && a.server0 === b.server0
  );
}
