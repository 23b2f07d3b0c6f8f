/** Standard output as a place for lines: a reader that is slow holds up this output, not the collector. */
import { fstatSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const STDOUT = 1;
/** How often a reader that takes nothing is asked again, and a disk that has no room. */
const RETRY_MS = 5;
const FAILED_MS = 1000;
/** The reader has closed its end, or the terminal is gone. */
const GONE = new Set(['EPIPE', 'EIO']);

/** Lets `writeSync` to standard output fail with EAGAIN where it is a pipe that is full. */
export function unblockStdout(): void {
  const status = fstatSync(STDOUT);
  // Node makes a pipe non-blocking when it makes its stream, and undoes that at its end.
  if ((status.isFIFO() || status.isSocket()) && process.platform !== 'win32') void process.stdout;
}

export class Console {
  private closed = false;

  /** `failed` is called with the code of what is waited for, such as ENOSPC. */
  constructor(private readonly failed: (code: string) => void) {
    unblockStdout();
  }

  /** Resolves with false where nobody reads any more; rejects when it is closed before all is written. */
  async write(bytes: Uint8Array, length: number): Promise<boolean> {
    for (let at = 0; at < length; ) {
      let waitMs = RETRY_MS;
      try {
        at += writeSync(STDOUT, bytes, at, length - at);
        continue;
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException;
        if (GONE.has(code)) return false;
        if (code !== 'EAGAIN') {
          this.failed(code);
          waitMs = FAILED_MS;
        }
      }
      if (this.closed) throw new Error('standard output was not read');
      await setTimeout(waitMs);
    }
    return true;
  }

  close(): void {
    this.closed = true;
  }
}
