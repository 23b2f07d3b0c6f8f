/** Documents as lines: to a rotated file, or to the console. */
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { health } from '../health.js';
import type { Batch, Output } from '../output.js';
import { Console } from './console.js';
import { RotatedFile } from './rotated-file.js';
import { BatchDocuments } from './writer.js';

export class LinesOutput implements Output {
  /** The lines of one batch are written before those of the next. */
  readonly window = 1;
  private readonly documents = new BatchDocuments();
  private readonly out = new ByteBuffer(512 << 10);

  private constructor(
    readonly name: string,
    /** Answers false where nobody reads any more. */
    private readonly sink: (bytes: Uint8Array, length: number) => boolean | Promise<boolean>,
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
    const console = new Console();
    return new LinesOutput(
      'console',
      (bytes, length) => console.write(bytes, length),
      () => console.close(),
      () => {},
    );
  }

  async write(batch: Batch): Promise<void> {
    this.out.length = 0;
    let records = 0;
    const unreadable = this.documents.write(batch, this.out, () => {
      records++;
    });
    const result = (await this.sink(this.out.bytes, this.out.length)) ? 'written' : 'dropped';
    health.records.inc({ output: this.name, result }, records);
    health.records.inc({ output: this.name, result: 'unreadable' }, unreadable);
    health.batches.inc({ output: this.name, result });
  }

  async close(): Promise<void> {
    this.end();
  }
}
