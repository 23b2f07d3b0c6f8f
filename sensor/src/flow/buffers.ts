/**
 * Buffers that are used again: memory outside of V8's heap is given back late, so that a steady stream of short-lived
 * copies would grow the process far beyond what is held at any time. They belong to the thread.
 */

const SMALLEST_BITS = 7;
const SMALLEST_BYTES = 2 ** SMALLEST_BITS;
/** The longest TCP payload and more; what is larger is not kept. */
const LARGEST_BITS = 16;
/** Free bytes kept for the next `takeBuffer`. */
const MAX_FREE_BYTES = 4 << 20;

/** By the power of two that is their length. */
const free: Uint8Array[][] = Array.from({ length: LARGEST_BITS + 1 }, () => []);
let freeBytes = 0;

/** A buffer of at least `length` bytes, and less than twice as many where it is not tiny; what is in it is old. */
export function takeBuffer(length: number): Uint8Array {
  const bits = length <= SMALLEST_BYTES ? SMALLEST_BITS : 32 - Math.clz32(length - 1);
  const kept = bits <= LARGEST_BITS ? free[bits].pop() : undefined;
  if (kept === undefined) return new Uint8Array(2 ** bits);
  freeBytes -= kept.length;
  return kept;
}

/** Gives a buffer of `takeBuffer`, or an empty one, back: nobody may keep a part of it. */
export function giveBuffer(buffer: Uint8Array): void {
  const bits = 31 - Math.clz32(buffer.length);
  if (bits < SMALLEST_BITS || bits > LARGEST_BITS || freeBytes + buffer.length > MAX_FREE_BYTES) return;
  freeBytes += buffer.length;
  free[bits].push(buffer);
}
