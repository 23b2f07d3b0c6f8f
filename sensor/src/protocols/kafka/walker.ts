/**
 * Walks the body of a request or response by its layout and takes out what a record wants: topics,
 * partitions, group, errors, record batches. Works on what is there of the message; where it ends before
 * the layout does, the rest is not known.
 */
import { countRecords, type RecordCounts } from './records.js';

/** Topics and partitions kept of one message. */
export const MAX_TOPICS = 16;
export const MAX_PARTITIONS = 32;
/** Elements of arrays that are walked in one message. */
const MAX_ELEMENTS = 1 << 20;
const MAX_DEPTH = 16;
const UUID_BYTES = 16;

const [
  B,
  H,
  I,
  L,
  UUID,
  STRING,
  BYTES,
  RECORDS,
  OPEN,
  CLOSE,
  NULLABLE,
  NULLABLE_END,
  STRUCT,
  STRUCT_END,
  TAGS,
] = Buffer.from('bhilusyR()<>{}t');
const [TOPIC, TOPIC_ID, PARTITION, GROUP, TRANSACTION, ACKS, ERROR, THROTTLE] = Buffer.from('TUPGXAEQ');

/** Name of a topic by its id, as Metadata told on any connection (KIP-516). */
const topicNames = new Map<string, Uint8Array>();
const MAX_TOPIC_NAMES = 10_000;

export class Walker implements RecordCounts {
  bytes: Uint8Array = new Uint8Array(0);
  /** The walk came to the end of the layout. */
  complete = false;
  malformed = false;
  readonly topics: Uint8Array[] = [];
  topicCount = 0;
  readonly partitions: number[] = [];
  groupStart = 0;
  groupEnd = 0;
  transactionStart = 0;
  transactionEnd = 0;
  acks = Number.NaN;
  error = 0;
  throttle = 0;
  hasRecords = false;
  records = 0;
  recordBytes = 0;
  recordsUncertain = false;
  codec = -1;
  /** First uncompressed record of the message; -1 where there is none. */
  firstRecord = -1;
  firstRecordEnd = -1;
  private layout: Uint8Array = new Uint8Array(0);
  private compact = false;
  private at = 0;
  private end = 0;
  private elements = 0;
  private lastTopic: Uint8Array | null = null;
  private lastId = '';

  /** Where the walk ended. */
  get position(): number {
    return this.at;
  }

  /** Walks [start, end) of `bytes`. */
  walk(layout: Uint8Array, bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.layout = layout;
    this.compact = layout.includes(TAGS);
    this.at = start;
    this.end = end;
    this.complete = false;
    this.malformed = false;
    this.topics.length = 0;
    this.topicCount = 0;
    this.partitions.length = 0;
    this.groupStart = this.groupEnd = 0;
    this.transactionStart = this.transactionEnd = 0;
    this.acks = Number.NaN;
    this.error = 0;
    this.throttle = 0;
    this.hasRecords = false;
    this.records = 0;
    this.recordBytes = 0;
    this.recordsUncertain = false;
    this.codec = -1;
    this.firstRecord = -1;
    this.elements = 0;
    this.lastTopic = null;
    this.lastId = '';
    this.complete = this.struct(0, layout.length, 0);
  }

  /** One struct, whose layout is [from, to). False where the bytes end, or make no sense. */
  private struct(from: number, to: number, depth: number): boolean {
    if (depth > MAX_DEPTH) return this.bad();
    const { layout } = this;
    for (let i = from; i < to; i++) {
      const kind = layout[i];
      if (kind === OPEN) {
        const close = this.matching(i, OPEN, CLOSE);
        if (!this.array(i + 1, close, depth)) return false;
        i = close;
      } else if (kind === NULLABLE || kind === STRUCT) {
        const close =
          kind === STRUCT ? this.matching(i, STRUCT, STRUCT_END) : this.matching(i, NULLABLE, NULLABLE_END);
        if (kind === NULLABLE) {
          if (this.at >= this.end) return false;
          // A struct that is null is one byte, -1.
          if (this.bytes[this.at++] === 0xff) {
            i = close;
            continue;
          }
        }
        if (!this.struct(i + 1, close, depth + 1)) return false;
        i = close;
      } else if (!this.field(kind)) return false;
    }
    return true;
  }

  private array(from: number, to: number, depth: number): boolean {
    const count = this.length(4);
    if (count === NEED) return false;
    for (let n = 0; n < count; n++) {
      if (++this.elements > MAX_ELEMENTS) return this.bad();
      if (!this.struct(from, to, depth + 1)) return false;
    }
    return true;
  }

  private field(kind: number): boolean {
    switch (kind) {
      case B:
        return this.skip(1);
      case H:
        return this.skip(2);
      case I:
        return this.skip(4);
      case L:
        return this.skip(8);
      case UUID:
        return this.skip(UUID_BYTES);
      case STRING:
        return this.sized(2);
      case BYTES:
        return this.sized(4);
      case RECORDS:
        return this.recordSet();
      case TAGS:
        return this.tags();
      case TOPIC: {
        if (!this.sized(2)) return false;
        this.topic(this.bytes.slice(this.from, this.at));
        return true;
      }
      case TOPIC_ID: {
        const start = this.at;
        if (!this.skip(UUID_BYTES)) return false;
        this.topicId(start);
        return true;
      }
      case PARTITION: {
        const start = this.at;
        if (!this.skip(4)) return false;
        const partition = int32(this.bytes, start);
        if (this.partitions.length < MAX_PARTITIONS && !this.partitions.includes(partition))
          this.partitions.push(partition);
        return true;
      }
      case GROUP:
        if (!this.sized(2)) return false;
        this.groupStart = this.from;
        this.groupEnd = this.at;
        return true;
      case TRANSACTION:
        if (!this.sized(2)) return false;
        this.transactionStart = this.from;
        this.transactionEnd = this.at;
        return true;
      case ACKS:
      case ERROR: {
        const start = this.at;
        if (!this.skip(2)) return false;
        const value = int16(this.bytes, start);
        if (kind === ACKS) this.acks = value;
        else if (this.error === 0) this.error = value;
        return true;
      }
      case THROTTLE: {
        const start = this.at;
        if (!this.skip(4)) return false;
        this.throttle = int32(this.bytes, start);
        return true;
      }
      default:
        return this.bad();
    }
  }

  /** Name and id of one topic stand beside each other: either order. */
  private topic(name: Uint8Array): void {
    if (name.length === 0) return;
    this.lastTopic = name;
    if (this.lastId !== '') this.learn(this.lastId, name);
    this.addTopic(name);
  }

  private topicId(start: number): void {
    const id = Buffer.from(this.bytes.subarray(start, start + UUID_BYTES)).toString('hex');
    if (/^0+$/.test(id)) return;
    if (this.lastTopic !== null) {
      this.learn(id, this.lastTopic);
      return;
    }
    this.lastId = id;
    const name = topicNames.get(id);
    if (name !== undefined) this.addTopic(name);
    else this.topicCount++;
  }

  private learn(id: string, name: Uint8Array): void {
    if (topicNames.size < MAX_TOPIC_NAMES || topicNames.has(id)) topicNames.set(id, name);
    this.lastId = '';
    this.lastTopic = null;
  }

  private addTopic(name: Uint8Array): void {
    this.topicCount++;
    if (this.topics.length < MAX_TOPICS) this.topics.push(name);
  }

  private recordSet(): boolean {
    const length = this.length(4);
    if (length === NEED) return false;
    this.hasRecords = true;
    if (length < 0) return true;
    const start = this.at;
    const stop = start + length;
    const there = Math.min(stop, this.end);
    this.recordBytes += length;
    countRecords(this, this.bytes, start, there, stop);
    if (stop > this.end) {
      this.recordsUncertain = true;
      return false;
    }
    this.at = stop;
    return true;
  }

  private tags(): boolean {
    const count = this.varint();
    if (count < 0) return false;
    for (let n = 0; n < count; n++) {
      if (++this.elements > MAX_ELEMENTS) return this.bad();
      if (this.varint() < 0) return false;
      const size = this.varint();
      if (size < 0 || !this.skip(size)) return false;
    }
    return true;
  }

  /** Bounds of the last sized field: [from, at). */
  private from = 0;

  private sized(width: number): boolean {
    const length = this.length(width);
    if (length === NEED) return false;
    this.from = this.at;
    return length <= 0 || this.skip(length);
  }

  /** A length or count: -1 for null, NEED where the bytes end. */
  private length(width: number): number {
    if (this.compact) {
      const value = this.varint();
      return value < 0 ? NEED : value - 1;
    }
    const start = this.at;
    if (!this.skip(width)) return NEED;
    const value = width === 2 ? int16(this.bytes, start) : int32(this.bytes, start);
    if (value < -1) {
      this.bad();
      return NEED;
    }
    return value;
  }

  /** An unsigned varint of at most 32 bits; -1 where the bytes end. */
  private varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
      if (this.at >= this.end) return -1;
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    this.bad();
    return -1;
  }

  private skip(bytes: number): boolean {
    if (this.at + bytes > this.end) return false;
    this.at += bytes;
    return true;
  }

  private bad(): boolean {
    this.malformed = true;
    return false;
  }

  private matching(open: number, opener: number, closer: number): number {
    const { layout } = this;
    for (let i = open, depth = 0; i < layout.length; i++) {
      if (layout[i] === opener) depth++;
      else if (layout[i] === closer && --depth === 0) return i;
    }
    return layout.length;
  }
}

const NEED = -2;

export function int16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16)) >> 16;
}

export function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}
