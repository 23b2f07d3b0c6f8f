/**
 * Records of a Produce request or a Fetch response, counted from the headers of their batches as the bytes
 * come, without decompressing (protocol guide, "Record Batch" and "Message sets").
 *
 *   RecordBatch => baseOffset:8 batchLength:4 partitionLeaderEpoch:4 magic:1 crc:4 attributes:2
 *                  lastOffsetDelta:4 baseTimestamp:8 maxTimestamp:8 producerId:8 producerEpoch:2
 *                  baseSequence:4 recordCount:4 [Record]
 *   Record      => length:varint attributes:1 timestampDelta:varlong offsetDelta:varint
 *                  key:bytes value:bytes [headerKey:bytes headerValue:bytes], lengths and count varint
 *   MessageSet  => [offset:8 messageSize:4 crc:4 magic:1 attributes:1 [timestamp:8] key value]
 *
 * A Fetch response may end in the middle of a batch: that one does not count. The trace context of the first
 * uncompressed record is read.
 */
import { MAX_TRACESTATE_BYTES, TraceHeader, type TraceReader, traceHeader } from '../trace-context.js';
import { int32 } from './wire.js';

/** Up to and with the magic byte, which is at the same place in all formats. */
const PREFIX_BYTES = 17;
/** Offset and length, which the length does not count. */
const LENGTH_END = 12;
const ATTRIBUTES_AT = 21;
const RECORD_COUNT_AT = 57;
const BATCH_HEADER_BYTES = 61;
/** Up to and with the attributes of formats 0 and 1. */
const MESSAGE_PREFIX_BYTES = 18;
/** crc, magic, attributes, key and value without any bytes. */
const MIN_MESSAGE_BYTES = 14;
const CODEC_BITS = 7;
const CONTROL_BATCH = 1 << 5;
const MAX_VARINT_BYTES = 10;
/** Headers of a record that are looked at, and how long their names and values may be. */
const MAX_HEADERS = 64;
const MAX_HEADER_NAME_BYTES = 64;
const MAX_HEADER_VALUE_BYTES = MAX_TRACESTATE_BYTES * 4;

const State = {
  /** At the beginning of a batch or message. */
  ENTRY: 0,
  /** In a batch or message that is passed over. */
  BODY: 1,
  /** No more batches are looked for. */
  REST: 2,
  RECORD_LENGTH: 3,
  RECORD_ATTRIBUTES: 4,
  TIMESTAMP: 5,
  OFFSET: 6,
  KEY: 7,
  VALUE: 8,
  HEADER_COUNT: 9,
  HEADER_NAME_LENGTH: 10,
  HEADER_NAME: 11,
  HEADER_VALUE_LENGTH: 12,
  HEADER_VALUE: 13,
} as const;
type State = (typeof State)[keyof typeof State];

/** Answers of `Batches.varint`. */
const MORE = 0;
const READ = 1;
const BAD = 2;

export class Batches {
  /** Records counted since `reset`. */
  records = 0;
  /** Bytes of all record fields since `reset`; -1 where not all was seen. */
  bytes = 0;
  /** A compressed message of format 0 or 1 hides how many it holds, or not all was seen. */
  uncounted = false;
  /** Codec of the first batch since `reset`, or -1. */
  codec = -1;
  /** Bytes of the running record field that are to come. */
  left = 0;
  private state: State = State.ENTRY;
  /** Bytes of the running batch that are to come. */
  batchLeft = 0;
  /** Bytes of a key or value that are passed over. */
  private skip = 0;
  private headersLeft = 0;
  private header: TraceHeader = TraceHeader.NONE;
  private headerBytes = 0;
  /** The trace context was read, or is not wanted. */
  private traced: boolean;
  private value = 0;
  private valueEnd = 0;

  /** Without a reader no trace context is looked for. */
  constructor(private readonly trace: TraceReader | null) {
    this.traced = trace === null;
  }

  /** A new message. */
  reset(): void {
    this.records = 0;
    this.bytes = 0;
    this.uncounted = false;
    this.codec = -1;
    this.left = 0;
    this.traced = this.trace === null;
  }

  /** Not all of the message is seen: what was counted is not the whole. */
  lose(): void {
    this.uncounted = true;
    this.bytes = -1;
  }

  /** A record field of `length` bytes begins. */
  begin(length: number): void {
    this.left = length;
    this.bytes += length;
    this.state = State.ENTRY;
  }

  /** `length` bytes at the running position are not there; false where they were needed. */
  pass(length: number): boolean {
    if (length > this.left) return false;
    if (this.state === State.ENTRY || (this.state !== State.REST && length > this.batchLeft)) return false;
    if (this.state !== State.REST) {
      this.state = State.BODY;
      this.traced = true;
      this.batchLeft -= length;
      if (this.batchLeft === 0) this.state = State.ENTRY;
    }
    this.left -= length;
    return true;
  }

  /** Takes what it can of [start, limit); answers the position behind that. */
  run(bytes: Uint8Array, start: number, limit: number): number {
    let at = start;
    while (this.left > 0) {
      const end = Math.min(limit, at + this.left);
      const next = this.state < State.RECORD_LENGTH ? this.step(bytes, at, end) : this.record(bytes, at, end);
      if (next < 0) break;
      this.left -= next - at;
      at = next;
    }
    return at;
  }

  /** Position behind one step, or -1 where more bytes are needed. */
  private step(bytes: Uint8Array, at: number, end: number): number {
    switch (this.state) {
      case State.ENTRY:
        return this.entry(bytes, at, end);
      case State.BODY: {
        if (at === end) return -1;
        const next = Math.min(end, at + this.batchLeft);
        this.batchLeft -= next - at;
        if (this.batchLeft === 0) this.state = State.ENTRY;
        return next;
      }
      default:
        return at === end ? -1 : end;
    }
  }

  private entry(bytes: Uint8Array, at: number, end: number): number {
    const { left } = this;
    if (left < PREFIX_BYTES) {
      this.state = State.REST;
      return at;
    }
    if (end - at < PREFIX_BYTES) return -1;
    const length = int32(bytes, at + 8);
    const magic = bytes[at + 16];
    if (length < MIN_MESSAGE_BYTES || length + LENGTH_END > left || magic > 2) {
      this.state = State.REST;
      return at;
    }
    if (magic < 2) {
      if (end - at < MESSAGE_PREFIX_BYTES) return -1;
      const codec = bytes[at + 17] & CODEC_BITS;
      if (this.codec < 0) this.codec = codec;
      if (codec === 0) this.records++;
      else this.uncounted = true;
      this.batchLeft = length + LENGTH_END;
      this.state = State.BODY;
      return at;
    }
    if (length + LENGTH_END < BATCH_HEADER_BYTES) {
      this.state = State.REST;
      return at;
    }
    if (end - at < BATCH_HEADER_BYTES) return -1;
    const attributes = bytes[at + ATTRIBUTES_AT + 1];
    const codec = attributes & CODEC_BITS;
    const count = int32(bytes, at + RECORD_COUNT_AT);
    this.batchLeft = length + LENGTH_END - BATCH_HEADER_BYTES;
    this.state = this.batchLeft === 0 ? State.ENTRY : State.BODY;
    if ((attributes & CONTROL_BATCH) === 0) {
      if (this.codec < 0) this.codec = codec;
      if (count > 0) this.records += count;
      if (!this.traced && codec === 0 && count > 0 && this.batchLeft > 0) {
        this.traced = true;
        this.skip = 0;
        this.state = State.RECORD_LENGTH;
      }
    }
    return at + BATCH_HEADER_BYTES;
  }

  /** One step through the first record. */
  private record(bytes: Uint8Array, at: number, limit: number): number {
    const next = this.recordStep(bytes, at, Math.min(limit, at + this.batchLeft));
    if (next < 0) return -1;
    this.batchLeft -= next - at;
    if (this.batchLeft === 0) this.state = State.ENTRY;
    return next;
  }

  private recordStep(bytes: Uint8Array, at: number, end: number): number {
    if (this.skip > 0) {
      if (at === end) return -1;
      const next = Math.min(end, at + this.skip);
      this.skip -= next - at;
      return next;
    }
    switch (this.state) {
      case State.RECORD_ATTRIBUTES:
        if (at === end) return -1;
        this.state = State.TIMESTAMP;
        return at + 1;
      case State.HEADER_NAME:
        if (this.headerBytes > this.batchLeft) return this.leave(at);
        if (end - at < this.headerBytes) return -1;
        this.header = traceHeader(bytes, at, at + this.headerBytes);
        this.state = State.HEADER_VALUE_LENGTH;
        return at + this.headerBytes;
      case State.HEADER_VALUE:
        if (this.headerBytes > this.batchLeft) return this.leave(at);
        if (end - at < this.headerBytes) return -1;
        this.trace!.take(this.header, bytes, at, at + this.headerBytes);
        this.nextHeader();
        return at + this.headerBytes;
    }
    const read = this.varint(bytes, at, end);
    if (read === MORE) return -1;
    if (read === BAD) return this.leave(at);
    const { value } = this;
    switch (this.state) {
      case State.RECORD_LENGTH:
        if (value < 1 || value > this.batchLeft) return this.leave(at);
        this.state = State.RECORD_ATTRIBUTES;
        break;
      case State.TIMESTAMP:
        this.state = State.OFFSET;
        break;
      case State.OFFSET:
        this.state = State.KEY;
        break;
      case State.KEY:
      case State.VALUE:
        if (value > this.batchLeft) return this.leave(at);
        if (value > 0) this.skip = value;
        this.state = this.state === State.KEY ? State.VALUE : State.HEADER_COUNT;
        break;
      case State.HEADER_COUNT:
        if (value <= 0) return this.leave(at);
        this.headersLeft = Math.min(value, MAX_HEADERS) + 1;
        this.nextHeader();
        break;
      case State.HEADER_NAME_LENGTH:
        if (value < 0 || value > this.batchLeft) return this.leave(at);
        this.header = TraceHeader.NONE;
        if (value > MAX_HEADER_NAME_BYTES) {
          this.skip = value;
          this.state = State.HEADER_VALUE_LENGTH;
        } else {
          this.headerBytes = value;
          this.state = State.HEADER_NAME;
        }
        break;
      case State.HEADER_VALUE_LENGTH:
        if (value > this.batchLeft) return this.leave(at);
        if (this.header !== TraceHeader.NONE && value > 0 && value <= MAX_HEADER_VALUE_BYTES) {
          this.headerBytes = value;
          this.state = State.HEADER_VALUE;
        } else {
          if (value > 0) this.skip = value;
          this.nextHeader();
        }
    }
    return this.valueEnd;
  }

  private nextHeader(): void {
    this.headersLeft--;
    this.state = this.headersLeft > 0 ? State.HEADER_NAME_LENGTH : State.BODY;
  }

  /** The rest of the batch is of no interest. */
  private leave(at: number): number {
    this.state = State.BODY;
    return at;
  }

  /** Reads a zigzag varint or varlong; of the latter only that it is one matters. */
  private varint(bytes: Uint8Array, at: number, end: number): number {
    let value = 0;
    const stop = Math.min(end, at + MAX_VARINT_BYTES);
    for (let i = at, factor = 1; i < stop; i++, factor *= 128) {
      value += (bytes[i] & 0x7f) * factor;
      if (bytes[i] < 0x80) {
        this.value = value % 2 === 0 ? value / 2 : -(value + 1) / 2;
        this.valueEnd = i + 1;
        return READ;
      }
    }
    return stop - at === MAX_VARINT_BYTES || end - at === this.batchLeft ? BAD : MORE;
  }
}
