/**
 * Compressed packets: int<3> length of the compressed payload, int<1> sequence id, int<3> length of the
 * payload before compression (0: it is not compressed), payload.
 */
import { inflateSync } from 'node:zlib';
import type { Input } from '../decoder.js';
import { unpackZstd } from '../zstd.js';
import type { Lane } from './lane.js';
import { uint24 } from './wire.js';

export const COMPRESSED_HEADER_BYTES = 7;

/** Answers of `take`: more bytes are needed; the data make no sense. */
export const MORE = -1;
export const DAMAGED = -2;

/** Puts what is in compressed packets into a lane's `plain`. */
export class Unpacker {
  constructor(private readonly zstd: boolean) {}

  /** Takes a header, or payload as far as it is there; answers the position behind, or MORE or DAMAGED. */
  take(lane: Lane, input: Input, bytes: Uint8Array, at: number, end: number): number {
    if (lane.packetBytes === 0) {
      const stop = at + COMPRESSED_HEADER_BYTES;
      if (stop > end) return MORE;
      lane.beginPacket(uint24(bytes, at), uint24(bytes, at + 4), input.timeAt(at), input.segmentAt(at));
      lane.append(bytes, stop, stop, input);
      return stop;
    }
    const stop = Math.min(end, at + lane.packetBytes);
    lane.packetBytes -= stop - at;
    lane.wireBytes += stop - at;
    if (lane.unpackedBytes === 0) {
      lane.append(bytes, at, stop, input);
      return stop;
    }
    lane.keep(bytes, at, stop);
    if (lane.packetBytes > 0) {
      lane.append(bytes, stop, stop, input);
      return stop;
    }
    const unpacked = unpack(lane.packed, lane.packedLength, lane.unpackedBytes, this.zstd);
    lane.packedLength = 0;
    if (unpacked === null) return DAMAGED;
    lane.append(unpacked, 0, unpacked.length, input);
    return stop;
  }
}

/** The payload [0, length) of `packed`, which is `size` bytes long unpacked; null where it is damaged. */
function unpack(packed: Uint8Array, length: number, size: number, useZstd: boolean): Uint8Array | null {
  const source = packed.subarray(0, length);
  try {
    const unpacked = useZstd ? unpackZstd(source, size) : inflateSync(source, { maxOutputLength: size });
    return unpacked?.length === size ? unpacked : null;
  } catch {
    return null;
  }
}
