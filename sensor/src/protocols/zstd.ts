/**
 * Zstandard (RFC 8878). Node has it from 22.15 on. Before, a library does it, which has to be waited for: it runs in
 * a thread of its own that is started when the first frame comes, and the caller blocks, as with Node's own.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import * as zlib from 'node:zlib';

const native = (zlib as { zstdDecompressSync?: (bytes: Uint8Array, options: object) => Uint8Array })
  .zstdDecompressSync;

export interface ZstdJob {
  /** Counts answers; waited on by the caller. */
  readonly answers: Int32Array;
  /** Counts questions; waited on by the thread. */
  readonly questions: Int32Array;
  readonly port: MessagePort;
}

export interface ZstdQuestion {
  readonly packed: Uint8Array;
  readonly size: number;
}

/** A thread that has not answered by then never will. */
const WAIT_MS = 10_000;

class ZstdThread {
  private readonly answers = new Int32Array(new SharedArrayBuffer(4));
  private readonly questions = new Int32Array(new SharedArrayBuffer(4));
  private readonly port: MessagePort;
  private dead = false;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    const job: ZstdJob = { answers: this.answers, questions: this.questions, port: port2 };
    const worker = new Worker(new URL('./zstd-worker.js', import.meta.url), {
      workerData: job,
      transferList: [port2],
    });
    worker.unref();
    port1.unref();
    this.port = port1;
  }

  unpack(question: ZstdQuestion): Uint8Array | null {
    if (this.dead) return null;
    const before = Atomics.load(this.answers, 0);
    this.port.postMessage(question);
    Atomics.add(this.questions, 0, 1);
    Atomics.notify(this.questions, 0);
    this.dead = Atomics.wait(this.answers, 0, before, WAIT_MS) === 'timed-out';
    return (receiveMessageOnPort(this.port)?.message as Uint8Array | undefined) ?? null;
  }
}

let thread: ZstdThread | null = null;

/** What frames of `size` bytes unpack to; something else, or null or an error, where they do not. */
export function unpackZstd(packed: Uint8Array, size: number): Uint8Array | null {
  if (native !== undefined) return native(packed, { maxOutputLength: Math.max(size, 1) });
  thread ??= new ZstdThread();
  return thread.unpack({ packed: Uint8Array.prototype.slice.call(packed), size });
}
