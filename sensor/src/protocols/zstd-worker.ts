/** The thread behind zstd.ts. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { ZSTDDecoder } from 'zstddec';
import type { ZstdJob, ZstdQuestion } from './zstd.js';

const { answers, questions, port } = workerData as ZstdJob;
const decoder = new ZSTDDecoder();
await decoder.init();

for (;;) {
  const asked = Atomics.load(questions, 0);
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    port.postMessage(unpack(next.message as ZstdQuestion));
    Atomics.add(answers, 0, 1);
    Atomics.notify(answers, 0);
  }
  Atomics.wait(questions, 0, asked);
}

function unpack({ packed, size }: ZstdQuestion): Uint8Array | null {
  try {
    // Without a size the library believes the frame, which may say anything.
    return size === 0 ? null : decoder.decode(packed, size);
  } catch {
    return null;
  }
}
