/**
 * Standard output whose reader may be slow, or stop reading: written synchronously while it takes bytes,
 * so that a slow reader slows the decoding of a file; when it takes none for a moment, the rest waits and
 * the event loop goes on, so that signals are heard.
 */
import { writeSync } from 'node:fs';
import { unblockStdout } from '@packetd/collector/documents/console';
import { stdoutFailure, type UserError } from '../fail.js';

/** How long a full pipe is waited for without the event loop, and in what steps. */
const PATIENCE_MS = 20;
const STEP_MS = 0.1;
/** How often a pipe that stays full is tried. */
const RETRY_MS = 5;
/** After `hurry`, a reader that takes nothing for this long is not waited for any more. */
const STALL_MS = 500;

interface Waiting {
  readonly bytes: Uint8Array;
  /** What is before it is written. */
  at: number;
}

export class StandardOutput {
  private waiting: Waiting[] = [];
  private timer: NodeJS.Timeout | null = null;
  private resolvers: (() => void)[] = [];
  private closed = false;
  private progressMs = 0;
  /** When the reader is not waited for any more, though it reads. */
  private deadlineMs = Number.POSITIVE_INFINITY;
  private hurried = false;
  private abandoned = false;

  /** Records that were given and not written, or not whole, because the reader did not take them. */
  unwritten = 0;
  /** What ended the writing, other than that the reader has closed its end. */
  failure: UserError | null = null;

  /**
   * `recordsAfter` counts the records of what was given to `write` that end behind `at`; `done` is called
   * when the reader has closed its end, or there is a `failure`.
   */
  constructor(
    private readonly recordsAfter: (bytes: Uint8Array, at: number) => number,
    private readonly done: () => void,
  ) {
    unblockStdout();
  }

  /** `bytes[0, length)` is borrowed until the call returns. */
  write(bytes: Uint8Array, length: number): void {
    if (this.abandoned) {
      this.unwritten += this.recordsAfter(bytes.subarray(0, length), 0);
      return;
    }
    const at = this.waiting.length > 0 ? 0 : this.put(bytes, 0, length, PATIENCE_MS);
    if (at === length || this.closed) return;
    this.waiting.push({ bytes: bytes.slice(0, length), at });
    this.timer ??= setTimeout(() => this.retry(), RETRY_MS);
  }

  /** Null when more may be given, else what resolves then. */
  ready(): Promise<void> | null {
    if (this.waiting.length === 0) return null;
    return new Promise((resolve) => this.resolvers.push(resolve));
  }

  /** From now on the reader is waited for only while it reads, and for so long at most. */
  hurry(mostMs: number): void {
    this.hurried = true;
    this.deadlineMs = performance.now() + mostMs;
  }

  private retry(): void {
    this.timer = null;
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      first.at = this.put(first.bytes, first.at, first.bytes.length, 0);
      if (first.at < first.bytes.length && !this.closed) break;
      this.waiting.shift();
    }
    if (this.waiting.length > 0) {
      const now = performance.now();
      if (!this.hurried || (now - this.progressMs < STALL_MS && now < this.deadlineMs)) {
        this.timer = setTimeout(() => this.retry(), RETRY_MS);
        return;
      }
      this.abandoned = true;
      for (const { bytes, at } of this.waiting) this.unwritten += this.recordsAfter(bytes, at);
      this.waiting = [];
    }
    for (const resolve of this.resolvers.splice(0)) resolve();
  }

  /** Writes [at, end) as far as the reader takes it within `patienceMs`; answers how far. */
  private put(bytes: Uint8Array, from: number, end: number, patienceMs: number): number {
    let at = from;
    let waitedMs = 0;
    while (at < end && !this.closed) {
      try {
        at += writeSync(1, bytes, at, end - at);
        waitedMs = 0;
        this.progressMs = performance.now();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EAGAIN') {
          if (code !== 'EPIPE') this.failure = stdoutFailure(code);
          this.closed = true;
          this.done();
        } else if (waitedMs >= patienceMs) {
          break;
        } else {
          Atomics.wait(NEVER, 0, 0, STEP_MS);
          waitedMs += STEP_MS;
        }
      }
    }
    return at;
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));
