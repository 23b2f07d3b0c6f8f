/** A file of lines that moves to NAME.1, NAME.2 … when it is full. */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';

/** A file that cannot be written; the message says which and why. */
export class FileError extends Error {
  override readonly name = 'FileError';
}

export class RotatedFile {
  private fd: number;
  private size: number;
  /** A device or a pipe is written to, never moved or removed. */
  private readonly rotates: boolean;

  /** Appends to `path`; keeps `backups` older files, 0 keeps none. */
  constructor(
    private readonly path: string,
    private readonly maxBytes: number,
    private readonly backups: number,
  ) {
    this.fd = this.open();
    const status = fstatSync(this.fd);
    this.size = status.size;
    this.rotates = status.isFile();
  }

  /** Goes on in the file that has the name now: somebody else has moved the one there was. Throws FileError. */
  reopen(): void {
    const fd = this.open();
    closeSync(this.fd);
    this.fd = fd;
    this.size = fstatSync(fd).size;
  }

  /**
   * Writes whole lines; a piece is never split over two files. Throws FileError, and may be called again then:
   * nothing of the piece is in the file.
   */
  write(bytes: Uint8Array, length: number): void {
    try {
      if (this.isFull(length)) this.rotate();
      this.append(bytes, length);
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  private open(): number {
    try {
      return openSync(this.path, 'a', 0o640);
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  private isFull(length: number): boolean {
    if (!this.rotates || this.size + length <= this.maxBytes) return false;
    // Somebody else may have emptied it, as logrotate's copytruncate does.
    this.size = fstatSync(this.fd).size;
    return this.size > 0 && this.size + length > this.maxBytes;
  }

  private append(bytes: Uint8Array, length: number): void {
    let at = 0;
    try {
      while (at < length) at += writeSync(this.fd, bytes, at, length - at);
    } catch (error) {
      // The rest of a line would spoil the one that comes next.
      if (at > 0 && this.rotates) ftruncateSync(this.fd, fstatSync(this.fd).size - at);
      throw error;
    }
    this.size += length;
  }

  /** The file that is written stays open until there is another, so that a failure can be tried again. */
  private rotate(): void {
    if (existsSync(this.path)) this.moveAway();
    const fd = openSync(this.path, 'a', 0o640);
    closeSync(this.fd);
    this.fd = fd;
    this.size = fstatSync(fd).size;
  }

  private moveAway(): void {
    const backup = (i: number) => `${this.path}.${i}`;
    if (this.backups === 0) {
      rmSync(this.path);
      return;
    }
    // Up to the first name that is free, so that nothing goes for a move that failed before.
    let last = 1;
    while (last < this.backups && existsSync(backup(last))) last++;
    for (let i = last - 1; i >= 1; i--) renameSync(backup(i), backup(i + 1));
    renameSync(this.path, backup(1));
  }
}

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT']);

function failure(path: string, error: unknown): FileError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const fix = NO_ROOM.has(code) ? 'make room there' : 'choose another file';
  return new FileError(`cannot write ${path} (${code}); ${fix}`);
}
