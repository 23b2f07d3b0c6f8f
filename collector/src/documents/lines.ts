/** Documents as lines: to a rotated file, or to the console. */
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { health } from '../health.js';
import type { Log } from '../log.js';
import type { Batch, Output } from '../output.js';
import { Backoff, ClosedError, pause } from '../retry.js';
import { Console } from './console.js';
import { type FileError, RotatedFile } from './rotated-file.js';
import { BatchDocuments } from './writer.js';

interface Sink {
  /** Answers false where nobody reads any more; rejects when it is closed before all is written. */
  write(bytes: Uint8Array, length: number): Promise<boolean>;
  reopen(): void;
  close(): void;
}

export class LinesOutput implements Output {
  /** The lines of one batch are written before those of the next. */
  readonly window = 1;
  private readonly documents = new BatchDocuments();
  private readonly out = new ByteBuffer(512 << 10);
  private readonly sink: Sink;
  /** The last attempt was written. */
  reachable = true;

  private constructor(
    readonly name: string,
    private readonly log: Log,
    makeSink: (failed: (reason: string) => void) => Sink,
  ) {
    this.sink = makeSink((reason) => this.failed(reason));
  }

  /** Throws FileError where the file cannot be written. */
  static file(path: string, maxBytes: number, backups: number, log: Log): LinesOutput {
    return new LinesOutput('file', log, (failed) => new File(path, maxBytes, backups, failed));
  }

  static console(log: Log): LinesOutput {
    return new LinesOutput('console', log, (failed) => {
      const console = new Console(failed);
      return {
        write: (bytes, length) => console.write(bytes, length),
        reopen: () => {},
        close: () => console.close(),
      };
    });
  }

  async write(batch: Batch): Promise<void> {
    this.out.length = 0;
    let records = 0;
    const unreadable = this.documents.write(batch, this.out, () => {
      records++;
    });
    const result = (await this.sink.write(this.out.bytes, this.out.length)) ? 'written' : 'dropped';
    this.reachable = true;
    health.records.inc({ output: this.name, result }, records);
    health.records.inc({ output: this.name, result: 'unreadable' }, unreadable);
    health.batches.inc({ output: this.name, result });
  }

  reopen(): void {
    this.sink.reopen();
  }

  async close(): Promise<void> {
    this.sink.close();
  }

  private failed(reason: string): void {
    this.reachable = false;
    health.retries.inc({ output: this.name });
    this.log.warn('documents cannot be written; trying again', { output: this.name, reason });
  }
}

/** A rotated file that waits for room on its disk, as other outputs wait for their backend. */
class File implements Sink {
  private readonly file: RotatedFile;
  private readonly closing = new AbortController();

  constructor(
    path: string,
    maxBytes: number,
    backups: number,
    private readonly failed: (reason: string) => void,
  ) {
    this.file = new RotatedFile(path, maxBytes, backups);
  }

  async write(bytes: Uint8Array, length: number): Promise<boolean> {
    const backoff = new Backoff();
    while (!this.closing.signal.aborted) {
      try {
        this.file.write(bytes, length);
        return true;
      } catch (error) {
        this.failed((error as FileError).message);
      }
      await pause(backoff.delay(), this.closing.signal);
    }
    throw new ClosedError('file');
  }

  reopen(): void {
    this.file.reopen();
  }

  close(): void {
    this.closing.abort();
    this.file.close();
  }
}
