/**
 * A file, standard input or a gzip stream as one window of bytes that only moves forward, read
 * synchronously because `Engine.poll` blocks. Memory is the window, whatever the input's size.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { CaptureError } from './engine.js';
import { gunzip } from './gunzip.js';

/** Reads into target[offset, offset + length) and answers how many bytes came; 0 at the end. */
export interface ByteSource {
  read(target: Uint8Array, offset: number, length: number): number;
  /** Why the bytes ended before their end, or '' where they did not. */
  readonly failure: string;
  close(): void;
}

/** The window; the longest piece that `hold` can be asked for. */
export const WINDOW_BYTES = 1 << 20;

/** How long a standard input without data (EAGAIN) is left alone. */
const RETRY_MS = 5;
const GZIP_MAGIC = 0x1f8b;

export class Input {
  readonly bytes = new Uint8Array(WINDOW_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  /** Unread bytes are bytes[start, end). The reader moves `start`. */
  start = 0;
  end = 0;
  /** Offset in the (decompressed) input of bytes[0]. */
  private windowOffset = 0;

  constructor(private source: ByteSource) {}

  /** Offset in the (decompressed) input of the next unread byte. */
  get offset(): number {
    return this.windowOffset + this.start;
  }

  get failure(): string {
    return this.source.failure;
  }

  /** Makes bytes[start, start + length) available; false where the input ends before. May move `start`. */
  hold(length: number): boolean {
    return this.end - this.start >= length || this.fill(length);
  }

  /** Passes over bytes that need not be held at once; false where the input ends before. */
  skip(length: number): boolean {
    let left = length;
    while (left > this.end - this.start) {
      left -= this.end - this.start;
      this.start = this.end;
      if (!this.fill(1)) return false;
    }
    this.start += left;
    return true;
  }

  /** Takes the bytes held so far as the beginning of a gzip stream and goes on with what is in it. */
  decompress(): void {
    this.source = gunzip(this.source, this.bytes.slice(this.start, this.end));
    this.start = 0;
    this.end = 0;
    this.windowOffset = 0;
  }

  isGzip(): boolean {
    return this.hold(2) && this.view.getUint16(this.start) === GZIP_MAGIC;
  }

  close(): void {
    this.source.close();
  }

  private fill(length: number): boolean {
    this.bytes.copyWithin(0, this.start, this.end);
    this.windowOffset += this.start;
    this.end -= this.start;
    this.start = 0;
    while (this.end < length) {
      const count = this.source.read(this.bytes, this.end, WINDOW_BYTES - this.end);
      if (count === 0) return false;
      this.end += count;
    }
    return true;
  }
}

/** Opens a file, or standard input for '-'. */
export function openSource(path: string): FileSource {
  if (path === '-') return new FileSource(0, path);
  try {
    return new FileSource(openSync(path, 'r'), path);
  } catch (error) {
    throw fileError(path, error);
  }
}

class FileSource implements ByteSource {
  readonly failure = '';
  private open = true;

  constructor(
    readonly descriptor: number,
    private readonly path: string,
  ) {}

  read(target: Uint8Array, offset: number, length: number): number {
    for (;;) {
      try {
        return readSync(this.descriptor, target, offset, length, null);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'EOF') return 0; // A closed pipe on Windows.
        if (code !== 'EAGAIN') throw fileError(this.path, error);
        sleep(RETRY_MS);
      }
    }
  }

  close(): void {
    if (this.open && this.descriptor !== 0) closeSync(this.descriptor);
    this.open = false;
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function fileError(path: string, cause: unknown): CaptureError {
  const { code, message } = cause as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new CaptureError('FILE_NOT_FOUND', `${path}: there is no such file`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new CaptureError('NO_PERMISSION', `${path}: this user may not read the file`, { cause });
    case 'EISDIR':
      return new CaptureError('NOT_A_CAPTURE', `${path} is a directory; give one capture file`, { cause });
    default:
      return new CaptureError('SYSTEM', `${path}: ${message}`, { cause });
  }
}
