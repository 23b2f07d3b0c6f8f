/** Bodies of OP_COMPRESSED. */
import { createRequire } from 'node:module';
import { inflateSync } from 'node:zlib';
import { unpackZstd } from '../zstd.js';
import { COMPRESSORS } from './wire.js';

const [NOOP, SNAPPY, ZLIB, ZSTD] = COMPRESSORS.keys();

/** Largest body that is unpacked; a longer one is counted, not read. */
export const MAX_UNPACKED_BYTES = 16 << 20;

/** Loaded when it is first needed: it is a native library. */
let snappy: typeof import('snappy') | null = null;

/** Can be unpacked here at all. */
export function isReadable(compressor: number, size: number): boolean {
  return size <= MAX_UNPACKED_BYTES && compressor <= ZSTD;
}

/** The body [start, end), whose size must be that: as for a server, anything else is damage, and null. */
export function unpack(
  compressor: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  size: number,
): Uint8Array | null {
  if (size < 0 || !isReadable(compressor, size)) return null;
  const packed = bytes.subarray(start, end);
  try {
    switch (compressor) {
      case NOOP:
        return packed.length === size ? packed.slice() : null;
      case SNAPPY: {
        // The block begins with its unpacked length, a varint: it is believed only where it is the message's.
        if (snappyLength(packed) !== size) return null;
        snappy ??= createRequire(import.meta.url)('snappy') as typeof import('snappy');
        const unpacked = snappy.uncompressSync(Buffer.from(packed), { asBuffer: true }) as Uint8Array;
        return unpacked.length === size ? unpacked : null;
      }
      default: {
        const unpacked =
          compressor === ZLIB
            ? inflateSync(packed, { maxOutputLength: Math.max(size, 1) })
            : unpackZstd(packed, size);
        return unpacked?.length === size ? unpacked : null;
      }
    }
  } catch {
    return null;
  }
}

function snappyLength(bytes: Uint8Array): number {
  let length = 0;
  for (let i = 0, scale = 1; i < Math.min(5, bytes.length); i++, scale *= 128) {
    length += (bytes[i] & 0x7f) * scale;
    if (bytes[i] < 0x80) return length;
  }
  return -1;
}
