/** Walks the fields of a RoundTripBatch in wire format. */
import { RoundTripBatchTag } from './gen/tags.js';

/** Wire type of every field of a batch. */
const LENGTH_DELIMITED = 2;

/** Tag of the field that holds one RoundTrip. */
export const RECORD = RoundTripBatchTag.roundtrips;

/**
 * Calls `visit` with the bounds of every field with `tag`; stops when it answers false. All fields of a
 * batch are length-delimited and have one-byte tags. Throws RangeError where the bytes are no batch.
 */
export function eachRecord(
  bytes: Uint8Array,
  length: number,
  tag: number,
  visit: (start: number, end: number) => unknown,
): void {
  eachField(bytes, length, (found, start, end) => (found === tag ? visit(start, end) : true));
}

/** All fields, whose values are [start, end). Throws RangeError where the bytes are no batch. */
function eachField(
  bytes: Uint8Array,
  length: number,
  visit: (tag: number, start: number, end: number) => unknown,
): void {
  let at = 0;
  while (at < length) {
    const found = bytes[at++];
    let size = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= length) throw new RangeError('a field of the batch ends in its length');
      const byte = bytes[at++];
      size += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    if ((found & 7) !== LENGTH_DELIMITED || found > 0x7f || size > length - at) {
      throw new RangeError(`the field at byte ${at} is none of a batch, or longer than it`);
    }
    if (visit(found, at, at + size) === false) return;
    at += size;
  }
}

/** The batch without its RoundTrips. Throws RangeError where the bytes are no batch. */
export function withoutRecords(bytes: Uint8Array): Uint8Array {
  const fields: Uint8Array[] = [];
  let before = 0;
  eachField(bytes, bytes.length, (tag, _, end) => {
    if (tag !== RECORD) fields.push(bytes.subarray(before, end));
    before = end;
  });
  return Buffer.concat(fields);
}

interface Part {
  readonly bytes: Uint8Array;
  /** RoundTrips in it. */
  readonly records: number;
}

/** A batch as two, both of the same sensor; null where it has one field beside the sensor, and cannot be parted. */
export function halves(bytes: Uint8Array): readonly [Part, Part] | null {
  const sensor: Uint8Array[] = [];
  const fields: { readonly bytes: Uint8Array; readonly isRecord: boolean }[] = [];
  let before = 0;
  eachField(bytes, bytes.length, (tag, _, end) => {
    const field = bytes.subarray(before, end);
    before = end;
    if (tag === RoundTripBatchTag.sensor) sensor.push(field);
    else fields.push({ bytes: field, isRecord: tag === RECORD });
  });
  if (fields.length < 2) return null;
  const part = (some: typeof fields): Part => ({
    bytes: Buffer.concat([...some.map((field) => field.bytes), ...sensor]),
    records: some.filter(({ isRecord }) => isRecord).length,
  });
  const middle = fields.length >> 1;
  return [part(fields.slice(0, middle)), part(fields.slice(middle))];
}
