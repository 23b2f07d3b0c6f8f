/** Standard output as a place for lines: a reader that is slow holds up this output, not the collector. */
import { fstatSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const STDOUT = 1;
/** How often a reader that takes nothing is asked again. */
const RETRY_MS = 5;

/** Lets `writeSync` to standard output fail with EAGAIN where it is a pipe that is full. */
export function unblockStdout(): void {
  const status = fstatSync(STDOUT);
  // Node makes a pipe non-blocking when it makes its stream, and undoes that at its end.
  if ((status.isFIFO() || status.isSocket()) && process.platform !== 'win32') void process.stdout;
}

export class Console {
  private closed = false;

  constructor() {
    unblockStdout();
  }

  /** Resolves with false where nobody reads any more; rejects when it is closed before all is written. */
  async write(bytes: Uint8Array, length: number): Promise<boolean> {
    for (let at = 0; at < length; ) {
      try {
        at += writeSync(STDOUT, bytes, at, length - at);
        continue;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EPIPE') return false;
        if (code !== 'EAGAIN') throw error;
      }
      if (this.closed) throw new Error('standard output was not read');
      await setTimeout(RETRY_MS);
    }
    return true;
  }

  close(): void {
    this.closed = true;
  }
}
