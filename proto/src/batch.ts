/** Walks the fields of a RoundTripBatch in wire format. */
import { RoundTripBatchTag } from './gen/tags.js';

/** Tag of the field that holds one RoundTrip. */
export const RECORD = RoundTripBatchTag.roundtrips;

/**
 * Calls `visit` with the bounds of every field with `tag`; stops when it answers false. All fields of a
 * batch are length-delimited and have one-byte tags.
 */
export function eachRecord(
  bytes: Uint8Array,
  length: number,
  tag: number,
  visit: (start: number, end: number) => unknown,
): void {
  let at = 0;
  while (at < length) {
    const found = bytes[at++];
    let size = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      size += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    if (found === tag && visit(at, at + size) === false) return;
    at += size;
  }
}
