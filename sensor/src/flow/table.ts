/**
 * Tables of connections and endpoints without strings or objects per look-up: open addressing with
 * linear probing over typed arrays, and an order of age over the entries.
 */
import type { Packet } from '../packet/packet.js';

/** The slots are at most half full. */
const MIN_SLOTS = 64;

/**
 * Maps keys of a fixed number of 32-bit words to entries 0, 1, 2 … An entry keeps its number until
 * it is removed; numbers of removed entries are given out again, the latest first. The caller
 * writes a key to `key`, calls `find`, and after -1 may call `insert`, which uses the same key.
 */
export class KeyTable {
  /** The key of the next `find` or `insert`. */
  readonly key: Int32Array;
  size = 0;
  /** Per slot 0 where free, else entry + 1. */
  protected slots: Int32Array;
  protected mask: number;
  /** Per entry the words of its key, then its hash. */
  protected keys: Int32Array;
  protected readonly stride: number;
  private capacity: number;
  /** Entries never used so far begin here. */
  private fresh = 0;
  /** Removed entries: the last is `freed - 1`, 0 for none; each one's first key word links the next. */
  private freed = 0;
  protected hash = 0;
  readonly seed: number;

  /** `seed` keeps a sender from choosing addresses that collide; nothing depends on its value. */
  constructor(
    readonly words: number,
    seed: number = (Math.random() * 2 ** 32) | 0,
  ) {
    this.key = new Int32Array(words);
    this.stride = words + 1;
    this.slots = new Int32Array(MIN_SLOTS);
    this.mask = MIN_SLOTS - 1;
    this.capacity = MIN_SLOTS >> 1;
    this.keys = new Int32Array(this.capacity * this.stride);
    this.seed = seed | 0;
  }

  /** The entry of `key`, or -1. */
  find(): number {
    const { key, keys, slots, mask, words, stride } = this;
    let hash = this.seed;
    for (let i = 0; i < words; i++) hash = mix(hash, key[i]);
    hash = finish(hash);
    this.hash = hash;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] - 1;
      if (entry < 0) return -1;
      const at = entry * stride;
      if (keys[at + words] !== hash) continue;
      let i = 0;
      while (i < words && keys[at + i] === key[i]) i++;
      if (i === words) return entry;
    }
  }

  /** Enters the key that `find` has just not found; answers its entry. */
  insert(): number {
    let entry: number;
    if (this.freed > 0) {
      entry = this.freed - 1;
      this.freed = this.keys[entry * this.stride];
    } else {
      if (this.fresh === this.capacity) this.grow();
      entry = this.fresh++;
    }
    const at = entry * this.stride;
    this.keys.set(this.key, at);
    this.keys[at + this.words] = this.hash;
    this.place(entry, this.hash);
    this.size++;
    return entry;
  }

  /** Removes an entry that is in the table. Later slots of its run move up, so no tombstones stay. */
  remove(entry: number): void {
    const { slots, mask, keys, stride, words } = this;
    let hole = keys[entry * stride + words] & mask;
    while (slots[hole] !== entry + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = keys[(slots[slot] - 1) * stride + words] & mask;
      // It may move to the hole unless its home lies behind the hole.
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        slots[hole] = slots[slot];
        hole = slot;
      }
    }
    slots[hole] = 0;
    keys[entry * stride] = this.freed;
    this.freed = entry + 1;
    this.size--;
  }

  /** Word `index` of the key of an entry, signed. */
  word(entry: number, index: number): number {
    return this.keys[entry * this.stride + index];
  }

  private place(entry: number, hash: number): void {
    const { slots, mask } = this;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = entry + 1;
  }

  /** Called with every entry in use: none is freed. */
  private grow(): void {
    const { stride, words } = this;
    this.capacity *= 2;
    const keys = new Int32Array(this.capacity * stride);
    keys.set(this.keys);
    this.keys = keys;
    this.slots = new Int32Array(this.capacity * 2);
    this.mask = this.slots.length - 1;
    for (let entry = 0; entry < this.fresh; entry++) this.place(entry, keys[entry * stride + words]);
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function finish(hash: number): number {
  const mixed = Math.imul(hash, 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

/** Key words of a connection: the lower endpoint's address, the higher's, both ports. */
const TUPLE_WORDS = 9;

/** What an address of IPv4 has for its third word; the first two are 0. */
const IPV4 = 0xffff;

class Tuples extends KeyTable {
  /** `find` for what most connections are: by the words of the key that are not the same for all of IPv4. */
  findIpv4(lower: number, higher: number, ports: number): number {
    const { keys, slots, mask, stride } = this;
    const hash = finish(mix(mix(mix(this.seed, lower), higher), ports));
    this.hash = hash;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] - 1;
      if (entry < 0) return -1;
      const at = entry * stride;
      if (keys[at + 9] !== hash || keys[at + 8] !== ports) continue;
      if (keys[at + 3] !== lower || keys[at + 7] !== higher) continue;
      if (keys[at + 2] !== IPV4 || keys[at + 6] !== IPV4) continue;
      if ((keys[at] | keys[at + 1] | keys[at + 4] | keys[at + 5]) === 0) return entry;
    }
  }
}

/** Connections by addresses and ports, whichever end sent the packet. */
export class TupleTable {
  private readonly table: Tuples;
  /** Of the packet last looked for: its source is the higher endpoint of the key. */
  reversed = false;
  /** Of the packet last looked for: source and destination are the same endpoint. */
  looped = false;

  constructor(seed?: number) {
    this.table = new Tuples(TUPLE_WORDS, seed);
  }

  get size(): number {
    return this.table.size;
  }

  /** The entry of the packet's connection, or -1. Sets `reversed` and `looped`. */
  find(p: Packet): number {
    const order = compareEnds(p);
    this.looped = order === 0;
    this.reversed = order > 0;
    if (p.ipVersion !== 4) {
      this.writeKey(p);
      return this.table.find();
    }
    const ports = (p.sourcePort << 16) | p.destinationPort;
    return order > 0
      ? this.table.findIpv4(p.destination3, p.source3, (ports >>> 16) | (ports << 16))
      : this.table.findIpv4(p.source3, p.destination3, ports);
  }

  /** Enters the connection of the packet, which `find` has just not found. */
  insert(p: Packet): number {
    this.writeKey(p);
    return this.table.insert();
  }

  private writeKey(p: Packet): void {
    const { key } = this.table;
    const source = this.reversed ? 4 : 0;
    const destination = source ^ 4;
    key[source] = p.source0;
    key[source + 1] = p.source1;
    key[source + 2] = p.source2;
    key[source + 3] = p.source3;
    key[destination] = p.destination0;
    key[destination + 1] = p.destination1;
    key[destination + 2] = p.destination2;
    key[destination + 3] = p.destination3;
    key[8] = this.reversed
      ? (p.destinationPort << 16) | p.sourcePort
      : (p.sourcePort << 16) | p.destinationPort;
  }

  remove(entry: number): void {
    this.table.remove(entry);
  }

  /** The address of an entry's lower or higher endpoint, a copy. */
  address(entry: number, higher: boolean): Int32Array {
    const words = new Int32Array(4);
    const from = higher ? 4 : 0;
    for (let i = 0; i < 4; i++) words[i] = this.table.word(entry, from + i);
    return words;
  }

  port(entry: number, higher: boolean): number {
    const ports = this.table.word(entry, 8);
    return higher ? ports & 0xffff : ports >>> 16;
  }
}

/** Negative where the source is the lower endpoint of the two, 0 where both are the same. */
function compareEnds(p: Packet): number {
  if (p.source3 !== p.destination3) return p.source3 < p.destination3 ? -1 : 1;
  if (p.source2 !== p.destination2) return p.source2 < p.destination2 ? -1 : 1;
  if (p.source1 !== p.destination1) return p.source1 < p.destination1 ? -1 : 1;
  if (p.source0 !== p.destination0) return p.source0 < p.destination0 ? -1 : 1;
  return p.sourcePort - p.destinationPort;
}

/** What an `AgeList` links. An item is in one list at most. */
export interface Aged<T> {
  older: T | null;
  newer: T | null;
}

/** Items in the order in which they were added. */
export class AgeList<T extends Aged<T>> {
  oldest: T | null = null;
  size = 0;
  private newest: T | null = null;

  add(item: T): void {
    this.size++;
    item.older = this.newest;
    item.newer = null;
    if (this.newest === null) this.oldest = item;
    else this.newest.newer = item;
    this.newest = item;
  }

  remove(item: T): void {
    this.size--;
    if (item.older === null) this.oldest = item.newer;
    else item.older.newer = item.newer;
    if (item.newer === null) this.newest = item.older;
    else item.newer.older = item.older;
    item.older = null;
    item.newer = null;
  }
}
