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
    private readonly sink: (bytes: Uint8Array, length: number) => void,
    private readonly end: () => void,
  ) {}

  /** Throws FileError where the file cannot be written. */
  static file(path: string, maxBytes: number, backups: number): LinesOutput {
    const file = new RotatedFile(path, maxBytes, backups);
    return new LinesOutput(
      'file',
      (bytes, length) => file.write(bytes, length),
      () => file.close(),
    );
  }

  static console(): LinesOutput {
    return new LinesOutput('console', writeOut, () => {});
  }

  async write(batch: Batch): Promise<void> {
    this.out.length = 0;
    let records = 0;
    this.documents.write(batch, this.out, () => {
      records++;
    });
    this.sink(this.out.bytes, this.out.length);
    health.records.inc({ output: this.name, result: 'written' }, records);
    health.batches.inc({ output: this.name, result: 'written' });
  }

  async close(): Promise<void> {
    this.end();
  }
}

function writeOut(bytes: Uint8Array, length: number): void {
  for (let at = 0; at < length; ) {
    try {
      at += writeSync(STDOUT, bytes, at, length - at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
