/** Name of a record's protocol, from its wire format and without decoding it. */
import { RoundTripTag } from '../gen/tags.js';
import { protocolSchemas } from './compile.js';

const NAMES = new Map<number, string>();
for (const { name, detailCase } of protocolSchemas()) {
  NAMES.set(RoundTripTag[detailCase as keyof typeof RoundTripTag], name);
}

/** The protocol of the RoundTrip in [start, end); undefined where it has none that is known. */
export function protocolNameOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  let at = start;
  while (at < end) {
    let tag = 0;
    let shift = 0;
    for (;;) {
      const byte = bytes[at++];
      tag |= (byte & 0x7f) << shift;
      if (byte < 0x80 || at >= end) break;
      shift += 7;
    }
    const name = NAMES.get(tag);
    if (name !== undefined) return name;
    switch (tag & 7) {
      case 0:
        while (bytes[at++] >= 0x80);
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        let length = 0;
        for (let scale = 1; ; scale *= 128) {
          const byte = bytes[at++];
          length += (byte & 0x7f) * scale;
          if (byte < 0x80) break;
        }
        at += length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        return undefined;
    }
  }
  return undefined;
}
