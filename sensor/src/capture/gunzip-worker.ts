/** The thread behind gunzip.ts: reads a descriptor, decompresses, writes to the shared ring. */

import { readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { createGunzip } from 'node:zlib';
import { type GunzipJob, GunzipState, RING_BYTES, Slot } from './gunzip.js';

const CHUNK_BYTES = 1 << 16;
const OUTPUT_CHUNK_BYTES = 1 << 13;
const RETRY_MS = 5;

const { control, ring, descriptor, beginning } = workerData as GunzipJob;
const stream = createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES });
stream.on('data', write);
stream.once('error', (error: NodeJS.ErrnoException) =>
  finish(error.code === 'Z_BUF_ERROR' ? GunzipState.CUT : GunzipState.DAMAGED),
);
stream.once('end', () => finish(GunzipState.ENDED));

const chunk = new Uint8Array(CHUNK_BYTES);
for (let piece = beginning; piece.length > 0 && !stream.destroyed; piece = readChunk()) {
  await new Promise((resolve) => stream.write(piece, resolve));
  // An error at the end would throw away what is not yet delivered.
  while (stream.readableLength > 0 && !stream.destroyed) await setImmediate();
}
stream.end();

/** The same memory each time: what is in it was decompressed when the next is read. */
function readChunk(): Uint8Array {
  for (;;) {
    try {
      return chunk.subarray(0, readSync(descriptor, chunk, 0, CHUNK_BYTES, null));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EAGAIN') return chunk.subarray(0, 0);
      Atomics.wait(control, Slot.STATE, GunzipState.RUNNING, RETRY_MS);
    }
  }
}

function write(output: Uint8Array): void {
  for (let done = 0; done < output.length; ) {
    const written = control[Slot.WRITTEN];
    const read = Atomics.load(control, Slot.READ);
    const free = RING_BYTES - ((written - read) >>> 0);
    if (free === 0) {
      Atomics.wait(control, Slot.READ, read);
      continue;
    }
    const at = written & (RING_BYTES - 1);
    const count = Math.min(free, output.length - done, RING_BYTES - at);
    ring.set(output.subarray(done, done + count), at);
    done += count;
    Atomics.store(control, Slot.WRITTEN, (written + count) | 0);
    Atomics.notify(control, Slot.WRITTEN);
  }
}

function finish(state: number): void {
  Atomics.store(control, Slot.STATE, state);
  Atomics.notify(control, Slot.WRITTEN);
}
