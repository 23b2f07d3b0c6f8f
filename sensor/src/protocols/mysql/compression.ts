/**
 * Compressed packets: int<3> length of the compressed payload, int<1> sequence id, int<3> length of the
 * payload before compression (0: it is not compressed), payload.
 */
import * as zlib from 'node:zlib';
import type { Input } from '../decoder.js';
import type { Lane } from './lane.js';
import { uint24 } from './wire.js';

export const COMPRESSED_HEADER_BYTES = 7;

/** zlib has it from Node 22.15 on. */
const zstd = (zlib as { zstdDecompressSync?: (bytes: Uint8Array, options: object) => Uint8Array })
  .zstdDecompressSync;

export const hasZstd = zstd !== undefined;

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
  const options = { maxOutputLength: size };
  try {
    let unpacked: Uint8Array;
    if (!useZstd) unpacked = zlib.inflateSync(source, options);
    else if (zstd !== undefined) unpacked = zstd(source, options);
    else return null;
    return unpacked.length === size ? unpacked : null;
  } catch {
    return null;
  }
}
