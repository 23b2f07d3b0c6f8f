/** Documents as lines: to a rotated file, or to the console. */
import { writeSync } from 'node:fs';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { health } from '../health.js';
import type { Batch, Output } from '../output.js';
import { RotatedFile } from './rotated-file.js';
import { BatchDocuments } from './writer.js';

const STDOUT = 1;

export class LinesOutput implements Output {
  private readonly documents = new BatchDocuments();
  private readonly out = new ByteBuffer(512 << 10);

  private constructor(
    readonly name: string,
    /** Answers false where nobody reads any more. */
    private readonly sink: (bytes: Uint8Array, length: number) => boolean,
    private readonly end: () => void,
    readonly reopen: () => void,
  ) {}

  /** Throws FileError where the file cannot be written. */
  static file(path: string, maxBytes: number, backups: number): LinesOutput {
    const file = new RotatedFile(path, maxBytes, backups);
    return new LinesOutput(
      'file',
      (bytes, length) => {
        file.write(bytes, length);
        return true;
      },
      () => file.close(),
      () => file.reopen(),
    );
  }

  static console(): LinesOutput {
    return new LinesOutput(
      'console',
      writeOut,
      () => {},
      () => {},
    );
  }

  async write(batch: Batch): Promise<void> {
    this.out.length = 0;
    let records = 0;
    const unreadable = this.documents.write(batch, this.out, () => {
      records++;
    });
    const result = this.sink(this.out.bytes, this.out.length) ? 'written' : 'dropped';
    health.records.inc({ output: this.name, result }, records);
    health.records.inc({ output: this.name, result: 'unreadable' }, unreadable);
    health.batches.inc({ output: this.name, result });
  }

  async close(): Promise<void> {
    this.end();
  }
}

function writeOut(bytes: Uint8Array, length: number): boolean {
  for (let at = 0; at < length; ) {
    try {
      at += writeSync(STDOUT, bytes, at, length - at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') return false;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return true;
}
