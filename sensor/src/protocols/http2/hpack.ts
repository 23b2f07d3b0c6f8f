/**
 * HPACK (RFC 7541): one decoder per direction. Where its beginning was not seen, or a block was lost, the
 * older part of the dynamic table is unknown: what refers to it has no name or no value, and the table
 * heals as entries are added, for they are counted from the newest. What was known before a loss is kept until
 * blocks have told that it still is so (lost-table.ts).
 */
import { type FieldName, internField } from '../http-names.js';
import { decodeHuffman } from './huffman.js';
import { Belief, LostTable, MAX_REFERENCES, References, Shapes } from './lost-table.js';
import { STATIC_TABLE } from './tables.js';

/** Section 4.2: the size until the encoder says otherwise. */
const INITIAL_TABLE_BYTES = 4096;
/**
 * Kept where the size was not seen, or the change of it may be lost: the default of browsers. An entry that the
 * encoder has evicted is never referred to, so that keeping more than it does costs nothing.
 */
const UNKNOWN_TABLE_BYTES = 64 << 10;
/** Sizes that are believed. */
const MAX_TABLE_BYTES = 1 << 20;
const ENTRY_OVERHEAD = 32;
/** Header fields of one block that are looked at. */
export const MAX_FIELDS = 512;
/** Decoded text of one block. */
const MAX_TEXT_BYTES = 256 << 10;
const FIRST_TEXT_BYTES = 16 << 10;

/** An entry of a table. */
export class Entry {
  /** The field as it is written into records, as the field `encodedTag`; made when it is first needed. */
  encoded: Uint8Array | null = null;
  encodedTag = 0;

  constructor(
    readonly name: FieldName,
    readonly value: Uint8Array,
  ) {}

  get size(): number {
    return this.name.name.length + this.value.length + ENTRY_OVERHEAD;
  }
}

/** An entry whose name is that of a lost one. */
class Unnamed extends Entry {
  constructor(
    value: Uint8Array,
    /** Position of the lost one. */
    readonly origin: number,
  ) {
    super(UNKNOWN, value);
  }
}

/** The name of a field, to be compared with those of a block. */
export function intern(name: string): FieldName {
  const bytes = Buffer.from(name, 'latin1');
  return internField(bytes, 0, bytes.length);
}

export const Pseudo = {
  METHOD: intern(':method'),
  PATH: intern(':path'),
  SCHEME: intern(':scheme'),
  AUTHORITY: intern(':authority'),
  STATUS: intern(':status'),
} as const;

/** A set for each decoder: an entry remembers how it is written, which is not the same in requests and responses. */
function staticEntries(): Entry[] {
  return STATIC_TABLE.map(([name, value]) => new Entry(intern(name), Buffer.from(value, 'latin1')));
}

/** The fields of the last block. Values are borrowed: valid until the next block of any connection. */
export class HeaderList {
  length = 0;
  /** null where the name is unknown. */
  readonly names: (FieldName | null)[] = [];
  /** The table's entry for fields that are wholly in it. */
  readonly entries: (Entry | null)[] = [];
  readonly values: Uint8Array[] = [];
  readonly starts = new Int32Array(MAX_FIELDS);
  /** -1 where the value is unknown. */
  readonly ends = new Int32Array(MAX_FIELDS);
  /** Where the name is unknown, the position of the lost entry that has it, or -1. */
  readonly origins = new Int32Array(MAX_FIELDS);
  /** Never-indexed literals (section 7.1.3) are secrets. */
  readonly secret = new Uint8Array(MAX_FIELDS);
  /** There were fields whose name or value is unknown. */
  incomplete = false;

  /** Index of the first field with this name, or -1. */
  find(name: FieldName): number {
    for (let i = 0; i < this.length; i++) if (this.names[i] === name && this.ends[i] >= 0) return i;
    return -1;
  }

  add(
    name: FieldName | null,
    entry: Entry | null,
    value: Uint8Array,
    start: number,
    end: number,
    secret: number,
    origin = -1,
  ): void {
    if (name === null || end < 0) this.incomplete = true;
    if (this.length >= MAX_FIELDS) return;
    const i = this.length++;
    this.names[i] = name;
    this.entries[i] = entry;
    this.values[i] = value;
    this.starts[i] = start;
    this.ends[i] = end;
    this.secret[i] = secret;
    if (name === null) this.origins[i] = origin;
  }

  /** Lost entries are known again. */
  fill(lost: readonly Entry[]): void {
    this.incomplete = false;
    for (let i = 0; i < this.length; i++) {
      const entry = this.names[i] === null ? lost[this.origins[i]] : undefined;
      if (entry !== undefined) {
        this.names[i] = entry.name;
        if (this.ends[i] < 0) {
          this.entries[i] = entry;
          this.values[i] = entry.value;
          this.ends[i] = entry.value.length;
        }
      }
      if (this.names[i] === null || this.ends[i] < 0) this.incomplete = true;
    }
  }
}

const NOTHING = new Uint8Array(0);
const references = new References();
/** The references of the block are wanted. */
let noted = false;
let text = new Uint8Array(FIRST_TEXT_BYTES);
let textLength = 0;

export class HpackDecoder {
  private readonly statics = staticEntries();
  /** A ring of entries, the newest at `newest`. */
  private ring: (Entry | null)[] = new Array(64).fill(null);
  private newest = 0;
  private count = 0;
  private bytes = 0;
  private maxBytes: number;
  /** There may be entries older than those that are known. */
  private older: boolean;
  private readonly shapes = new Shapes();
  /** What was known before bytes were lost. */
  private lost: LostTable | null = null;
  /** Seen from its beginning, and nothing was evicted. */
  private whole: boolean;
  /** The size that the encoder has said last. */
  private saidBytes = INITIAL_TABLE_BYTES;
  /** Reading position in the block. */
  private at = 0;

  constructor(fromStart: boolean) {
    this.older = !fromStart;
    this.whole = fromStart;
    this.maxBytes = fromStart ? INITIAL_TABLE_BYTES : UNKNOWN_TABLE_BYTES;
  }

  /** Bytes are lost, and blocks with them: what is known of the table may not be where it was. */
  lose(bytes: number): void {
    let lost = this.lost?.withNewer(this.newestFirst()) ?? null;
    if (lost === null && this.whole && this.count > 0)
      lost = new LostTable(this.newestFirst(), this.shapes, this.saidBytes - this.bytes);
    this.whole = this.whole && lost?.lose(bytes) === true;
    this.empty();
    this.lost = this.whole ? lost : null;
  }

  /** The same where it is not known what is lost. */
  forget(): void {
    this.whole = false;
    this.empty();
  }

  private empty(): void {
    this.lost = null;
    this.ring.fill(null);
    this.count = 0;
    this.bytes = 0;
    this.older = true;
    this.maxBytes = Math.max(this.maxBytes, UNKNOWN_TABLE_BYTES);
  }

  /** Decodes the block [start, end) into `list`. False where it is malformed; then the table is forgotten. */
  decode(bytes: Uint8Array, start: number, end: number, list: HeaderList): boolean {
    list.length = 0;
    list.incomplete = false;
    textLength = 0;
    references.clear();
    noted = this.lost !== null || this.shapes.isDue();
    this.at = start;
    while (this.at < end) {
      if (!this.field(bytes, end, list)) {
        this.forget();
        return false;
      }
    }
    if (this.lost !== null) this.heal(this.lost, list);
    else if (noted && references.lost === 0 && references.length <= MAX_REFERENCES)
      this.shapes.learn(references);
    return true;
  }

  /** Takes the lost table for the one that is there, once the blocks make that sure. */
  private heal(lost: LostTable, list: HeaderList): void {
    const belief = lost.consider(references);
    if (belief === Belief.OPEN) return;
    if (belief === Belief.FAILS) {
      this.forgetLost();
      return;
    }
    this.lost = null;
    const newer = this.newestFirst().map((entry) =>
      entry instanceof Unnamed ? named(entry, lost.entries[entry.origin]) : entry,
    );
    this.ring = [...newer, ...lost.entries].reverse();
    this.count = this.ring.length;
    this.newest = this.count - 1;
    this.bytes = this.ring.reduce((sum, entry) => sum + entry!.size, 0);
    list.fill(lost.entries);
  }

  private newestFirst(): Entry[] {
    return Array.from(
      { length: this.count },
      (_, i) => this.ring[(this.newest - i + this.ring.length) % this.ring.length]!,
    );
  }

  private field(bytes: Uint8Array, end: number, list: HeaderList): boolean {
    const first = bytes[this.at];
    if (first >= 0x80) {
      const index = this.integer(bytes, end, 7);
      if (index <= 0) return false;
      return this.indexed(index, list);
    }
    if (first >= 0x20 && first < 0x40) {
      const size = this.integer(bytes, end, 5);
      if (size < 0 || size > MAX_TABLE_BYTES) return false;
      this.maxBytes = size;
      this.saidBytes = size;
      if (this.lost !== null) this.forgetLost();
      this.evict(0);
      return true;
    }
    const indexing = first >= 0x40;
    const secret = first >= 0x10 && first < 0x20 ? 1 : 0;
    const index = this.integer(bytes, end, indexing ? 6 : 4);
    if (index < 0) return false;
    let name: FieldName | null = null;
    let origin = -1;
    if (index === 0) {
      if (!this.string(bytes, end) || stringEnd === stringStart) return false;
      name = internField(stringBytes, stringStart, stringEnd);
    } else {
      const entry = this.entry(index);
      if (entry === undefined) return false;
      name = entry?.name ?? null;
      if (name === null) origin = this.origin(index);
    }
    if (!this.string(bytes, end)) return false;
    let entry: Entry | null = null;
    if (indexing) {
      // An entry with an unknown name takes its place all the same.
      const value = stringBytes.slice(stringStart, stringEnd);
      entry = name === null ? new Unnamed(value, origin) : new Entry(name, value);
      this.insert(entry);
      if (name === null) entry = null;
    }
    list.add(name, entry, stringBytes, stringStart, stringEnd, secret, origin);
    return true;
  }

  private indexed(index: number, list: HeaderList): boolean {
    const entry = this.entry(index);
    if (entry === undefined) return false;
    if (entry === null) {
      const origin = this.origin(index);
      const value = this.added(index)?.value;
      if (noted) references.add(null, origin);
      list.add(null, null, value ?? NOTHING, 0, value === undefined ? -1 : value.length, 0, origin);
      return true;
    }
    if (noted && index > this.statics.length) references.add(entry.name, -1);
    list.add(entry.name, entry, entry.value, 0, entry.value.length, 0);
    return true;
  }

  /** Position in the lost table of the entry whose name the entry with this index has; -1 where it is in none. */
  private origin(index: number): number {
    if (this.lost === null) return -1;
    const position = index - this.statics.length - 1;
    if (position >= this.count) return position - this.count;
    return this.added(index)?.origin ?? -1;
  }

  /** The entry with this index, if it was added with a name that is not known. */
  private added(index: number): Unnamed | null {
    const position = index - this.statics.length - 1;
    if (position >= this.count) return null;
    const entry = this.ring[(this.newest - position + this.ring.length) % this.ring.length];
    return entry instanceof Unnamed ? entry : null;
  }

  /** The entry with this index; null where it is one that was not seen, undefined where there can be none. */
  private entry(index: number): Entry | null | undefined {
    const { statics } = this;
    if (index <= statics.length) return statics[index - 1];
    const position = index - statics.length - 1;
    if (position < this.count) {
      const entry = this.ring[(this.newest - position + this.ring.length) % this.ring.length]!;
      return entry.name === UNKNOWN ? null : entry;
    }
    return this.older && position * ENTRY_OVERHEAD <= MAX_TABLE_BYTES ? null : undefined;
  }

  private insert(entry: Entry): void {
    const { size } = entry;
    this.evict(size);
    if (size > this.maxBytes) {
      // Section 4.4: too large an entry empties the table.
      this.older = false;
      this.forgetLost();
      return;
    }
    if (this.count === this.ring.length) this.grow();
    this.newest = (this.newest + 1) % this.ring.length;
    this.ring[this.newest] = entry;
    this.count++;
    this.bytes += size;
  }

  private evict(room: number): void {
    while (this.count > 0 && this.bytes + room > this.maxBytes) {
      const oldest = (this.newest - this.count + 1 + this.ring.length) % this.ring.length;
      this.bytes -= this.ring[oldest]!.size;
      this.ring[oldest] = null;
      this.count--;
      // What was older than that is gone too.
      this.older = false;
      this.forgetLost();
    }
  }

  private forgetLost(): void {
    this.lost = null;
    this.whole = false;
  }

  private grow(): void {
    const entries = Array.from(
      { length: this.count },
      (_, i) => this.ring[(this.newest - this.count + 1 + i + this.ring.length) % this.ring.length],
    );
    this.ring = [...entries, ...new Array<null>(entries.length).fill(null)];
    this.newest = entries.length - 1;
  }

  /** Section 5.1; -1 where it does not end, or is above 2^28. */
  private integer(bytes: Uint8Array, end: number, prefix: number): number {
    const max = (1 << prefix) - 1;
    let value = bytes[this.at++] & max;
    if (value < max) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.at >= end) return -1;
      const byte = bytes[this.at++];
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  /** Section 5.2: sets `stringBytes` and its bounds. */
  private string(bytes: Uint8Array, end: number): boolean {
    if (this.at >= end) return false;
    const huffman = bytes[this.at] >= 0x80;
    const length = this.integer(bytes, end, 7);
    const start = this.at;
    const stop = start + length;
    if (length < 0 || stop > end) return false;
    this.at = stop;
    if (!huffman) {
      stringBytes = bytes;
      stringStart = start;
      stringEnd = stop;
      return true;
    }
    const need = textLength + Math.ceil((length * 8) / 5) + 1;
    if (need > MAX_TEXT_BYTES) return false;
    if (need > text.length) {
      // What was decoded before stays in the old array, which the list still refers to.
      text = new Uint8Array(Math.max(need, text.length * 2));
    }
    const to = decodeHuffman(bytes, start, stop, text, textLength);
    if (to < 0) return false;
    stringBytes = text;
    stringStart = textLength;
    stringEnd = to;
    textLength = to;
    return true;
  }
}

/** The entry with the name of the lost one, where that is known. */
function named(entry: Unnamed, lost: Entry | undefined): Entry {
  return lost === undefined ? entry : new Entry(lost.name, entry.value);
}

/** Stands for a name that is not known, in entries that were added with one. */
const UNKNOWN = intern('?');

let stringBytes: Uint8Array = NOTHING;
let stringStart = 0;
let stringEnd = 0;
