/**
 * gzip as a synchronous source. `node:zlib` streams only with an event loop, which a thread that
 * blocks in `Engine.poll` has not; so a thread of its own decompresses into a ring of shared
 * memory, and the reader waits on that. Both sides block, so memory is the ring.
 */

import { Worker } from 'node:worker_threads';
import type { ByteSource } from './input.js';

/** Size of the ring. */
export const RING_BYTES = 1 << 20;

/** Int32 slots of the control block. Totals count modulo 2^32. */
export const Slot = { WRITTEN: 0, READ: 1, STATE: 2 } as const;
export const GunzipState = { RUNNING: 0, ENDED: 1, CUT: 2, DAMAGED: 3 } as const;

export interface GunzipJob {
  control: Int32Array;
  ring: Uint8Array;
  descriptor: number;
  /** The compressed bytes that were read already. */
  beginning: Uint8Array;
}

/** Ends waits in which the other thread died without a word. */
const WAIT_MS = 1000;

export function gunzip(compressed: ByteSource & { descriptor?: number }, beginning: Uint8Array): ByteSource {
  return new GunzipSource(compressed, beginning);
}

class GunzipSource implements ByteSource {
  failure = '';
  private readonly control = new Int32Array(new SharedArrayBuffer(12));
  private readonly ring = new Uint8Array(new SharedArrayBuffer(RING_BYTES));
  private readonly worker: Worker;

  constructor(compressed: ByteSource & { descriptor?: number }, beginning: Uint8Array) {
    const { control, ring } = this;
    const job: GunzipJob = { control, ring, descriptor: compressed.descriptor ?? -1, beginning };
    this.worker = new Worker(new URL('./gunzip-worker.js', import.meta.url), {
      workerData: job,
      // Its garbage is small objects with large buffers: it has to be looked for often.
      resourceLimits: { maxYoungGenerationSizeMb: 1 },
    });
    this.worker.unref();
    this.worker.once('exit', () => compressed.close());
  }

  read(target: Uint8Array, offset: number, length: number): number {
    const { control, ring } = this;
    const read = control[Slot.READ];
    for (;;) {
      // The state first: what is written before it ends is then seen.
      const state = Atomics.load(control, Slot.STATE);
      const written = Atomics.load(control, Slot.WRITTEN);
      if (written !== read) {
        const at = read & (RING_BYTES - 1);
        const count = Math.min((written - read) >>> 0, length, RING_BYTES - at);
        target.set(ring.subarray(at, at + count), offset);
        Atomics.store(control, Slot.READ, (read + count) | 0);
        Atomics.notify(control, Slot.READ);
        return count;
      }
      if (state !== GunzipState.RUNNING) {
        if (state === GunzipState.CUT) this.failure = 'the gzip stream ends before its end';
        if (state === GunzipState.DAMAGED) this.failure = 'the gzip stream is damaged';
        return 0;
      }
      Atomics.wait(control, Slot.WRITTEN, written, WAIT_MS);
    }
  }

  close(): void {
    void this.worker.terminate();
  }
}
