/** Where `packetd watch` prints: batches of records in, text, JSON lines or records out. */
import { eachRecord, RECORD } from '@packetd/proto/batch';
import type { BatchOutput } from '@packetd/sensor/protocols/records';
import { StandardOutput } from './stdout.js';

export interface Printer extends BatchOutput {
  ready(): Promise<void> | null;
  /** Waits for a slow reader no longer than this, and for one that has stopped hardly at all. */
  hurry(mostMs: number): void;
  /**
   * Resolves when everything is written, and answers how many records the reader did not take. Rejects with
   * UserError or FileError where a disk did not take them.
   */
  close(): Promise<number>;
}

export interface PrinterOptions {
  format: 'text' | 'json' | 'records' | 'none';
  /** Records after which `done` is called. */
  count: number;
  file?: string;
  fileMegabytes: number;
  fileBackups: number;
  done: () => void;
}

/** What is done with each batch of a format: [start, end) are the bytes of one record. */
interface Format {
  record(bytes: Uint8Array, start: number, end: number): void;
  flush(): void;
}

export async function makeOutput(options: PrinterOptions): Promise<Printer> {
  const formats: Format[] = [];
  const stdout = new StandardOutput(options.format === 'records' ? delimitedAfter : linesAfter, options.done);
  const print = (bytes: Uint8Array, length: number) => stdout.write(bytes, length);
  if (options.format === 'json') formats.push(await jsonFormat(print));
  if (options.format === 'text') formats.push(await textFormat(print));
  if (options.format === 'records') formats.push(recordsFormat(print));
  const file = options.file === undefined ? null : await rotatedFile(options);
  if (file !== null) formats.push(await jsonFormat(file.write));
  let left = options.count;
  return {
    batch(bytes, length) {
      if (
        file?.failure ||
        stdout.failure ||
        left <= 0 ||
        (formats.length === 0 && left === Number.POSITIVE_INFINITY)
      )
        return;
      eachRecord(bytes, length, RECORD, (start, end) => {
        for (const format of formats) format.record(bytes, start, end);
        if (--left > 0) return true;
        options.done();
        return false;
      });
      for (const format of formats) format.flush();
    },
    ready: () => stdout.ready(),
    hurry: (mostMs) => stdout.hurry(mostMs),
    async close() {
      for (const format of formats) format.flush();
      file?.close();
      await stdout.ready();
      const failure = stdout.failure ?? file?.failure;
      if (failure) throw failure;
      return stdout.unwritten;
    },
  };
}

type Write = (bytes: Uint8Array, length: number) => void;

const NEWLINE = 10;

function linesAfter(bytes: Uint8Array, at: number): number {
  let lines = 0;
  for (let i = bytes.indexOf(NEWLINE, at); i >= 0; i = bytes.indexOf(NEWLINE, i + 1)) lines++;
  return lines;
}

function delimitedAfter(bytes: Uint8Array, from: number): number {
  let records = 0;
  for (let at = 0; at < bytes.length; ) {
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      size += (bytes[at] & 0x7f) * 2 ** shift;
      if (bytes[at++] < 0x80) break;
    }
    at += size;
    if (at > from) records++;
  }
  return records;
}

async function jsonFormat(write: Write): Promise<Format> {
  const [{ DocumentWriter }, { ByteBuffer }] = await Promise.all([
    import('@packetd/proto/telemetry/document'),
    import('@packetd/proto/byte-buffer'),
  ]);
  const writer = new DocumentWriter();
  const out = new ByteBuffer(512 << 10);
  const flush = () => {
    if (out.length > 0) write(out.bytes, out.length);
    out.length = 0;
  };
  return {
    record(bytes, start, end) {
      writer.write(bytes, start, end, out);
      out.reserve(1);
      out.bytes[out.length++] = 10;
      if (out.length > 256 << 10) flush();
    },
    flush,
  };
}

async function textFormat(write: Write): Promise<Format> {
  const { textLines } = await import('./text.js');
  return textLines(write);
}

/** Length-delimited protobuf, as the libraries read it (parseDelimitedFrom, sizeDelimitedDecodeStream). */
function recordsFormat(write: Write): Format {
  let out = new Uint8Array(512 << 10);
  let length = 0;
  return {
    record(bytes, start, end) {
      const size = end - start;
      if (length + size + 5 > out.length) this.flush();
      if (size + 5 > out.length) out = new Uint8Array(size + 5);
      let rest = size;
      while (rest > 0x7f) {
        out[length++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      out[length++] = rest;
      out.set(bytes.subarray(start, end), length);
      length += size;
    },
    flush() {
      if (length > 0) write(out, length);
      length = 0;
    },
  };
}

interface OutputFile {
  write: Write;
  close(): void;
  /** What ended the writing. */
  failure: Error | null;
}

async function rotatedFile(options: PrinterOptions): Promise<OutputFile> {
  const { RotatedFile } = await import('@packetd/collector/documents/rotated-file');
  const file = new RotatedFile(options.file!, options.fileMegabytes * 1e6, options.fileBackups);
  const output: OutputFile = {
    write(bytes, length) {
      if (output.failure !== null) return;
      try {
        file.write(bytes, length);
      } catch (error) {
        output.failure = error as Error;
        options.done();
      }
    },
    close: () => file.close(),
    failure: null,
  };
  return output;
}
