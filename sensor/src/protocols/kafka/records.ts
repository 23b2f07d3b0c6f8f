/** Record batches (magic 2, KIP-98) and message sets (magic 0 and 1): counted from their headers. */
import type { TraceReader } from '../trace-context.js';

/** Of a batch: base offset (8), length (4), leader epoch (4), magic (1), crc (4), attributes (2), … count (4). */
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 21;
const COUNT_AT = 57;
const BATCH_HEADER_BYTES = 61;
/** Attributes of a message of magic 0 or 1. */
const OLD_ATTRIBUTES_AT = 17;
const OLD_HEADER_BYTES = 18;
/** Offset and length, which the length does not count. */
const OVERHEAD = 12;
const CODEC_MASK = 7;
const CONTROL = 32;
const MAX_HEADERS = 64;

export interface RecordCounts {
  records: number;
  recordsUncertain: boolean;
  codec: number;
  firstRecord: number;
  firstRecordEnd: number;
}

/**
 * Counts the records in [start, stop), of which [start, end) is there. A batch that is cut off at `stop`
 * is the last of a Fetch that did not fit, and is not counted.
 */
export function countRecords(
  counts: RecordCounts,
  bytes: Uint8Array,
  start: number,
  end: number,
  stop: number,
): void {
  let at = start;
  while (at + OVERHEAD <= stop) {
    if (at + OLD_HEADER_BYTES > end) {
      if (end < stop) counts.recordsUncertain = true;
      return;
    }
    const length = uint32(bytes, at + LENGTH_AT);
    const next = at + OVERHEAD + length;
    if (length < OLD_HEADER_BYTES - OVERHEAD || next > stop) return;
    const magic = bytes[at + MAGIC_AT];
    if (magic === 2) {
      if (at + BATCH_HEADER_BYTES > end) {
        counts.recordsUncertain = true;
        return;
      }
      const attributes = bytes[at + ATTRIBUTES_AT + 1];
      if ((attributes & CONTROL) === 0) {
        counts.records += uint32(bytes, at + COUNT_AT);
        take(counts, attributes & CODEC_MASK, at + BATCH_HEADER_BYTES, Math.min(next, end));
      }
    } else if (magic < 2) {
      const codec = bytes[at + OLD_ATTRIBUTES_AT] & CODEC_MASK;
      if (counts.codec < 0) counts.codec = codec;
      // A compressed message wraps others, whose number nobody says.
      if (codec === 0) counts.records++;
      else counts.recordsUncertain = true;
    } else {
      counts.recordsUncertain = true;
      return;
    }
    at = next;
  }
}

function take(counts: RecordCounts, codec: number, start: number, end: number): void {
  if (counts.codec < 0) counts.codec = codec;
  if (codec === 0 && counts.firstRecord < 0) {
    counts.firstRecord = start;
    counts.firstRecordEnd = end;
  }
}

/** Position behind the last varint. */
let behind = 0;

/** Reads the trace context from the headers of the record at `start`. */
export function readTrace(trace: TraceReader, bytes: Uint8Array, start: number, end: number): void {
  // length, attributes (1), timestamp and offset deltas, key, value, headers
  varint(bytes, start, end);
  if (behind < 0 || behind + 1 > end) return;
  behind++;
  varint(bytes, behind, end);
  if (behind < 0) return;
  varint(bytes, behind, end);
  for (let i = 0; i < 2; i++) {
    if (behind < 0) return;
    const length = varint(bytes, behind, end);
    if (behind < 0 || behind + length > end) return;
    behind += Math.max(0, length);
  }
  const count = varint(bytes, behind, end);
  for (let n = 0; n < Math.min(count, MAX_HEADERS); n++) {
    if (behind < 0) return;
    const keyLength = varint(bytes, behind, end);
    const key = behind;
    if (key < 0 || keyLength < 0 || key + keyLength > end) return;
    const valueLength = varint(bytes, key + keyLength, end);
    const value = behind;
    if (value < 0 || value + valueLength > end) return;
    if (valueLength > 0) trace.header(bytes, key, key + keyLength, bytes, value, value + valueLength);
    behind = value + Math.max(0, valueLength);
  }
}

/** A zigzag varint; `behind` is -1 where it does not end. */
function varint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let scale = 1; at >= 0 && at < end && scale < 2 ** 50; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      behind = at;
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }
  behind = -1;
  return 0;
}

function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
