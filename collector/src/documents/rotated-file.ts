/** A file of lines that moves to NAME.1, NAME.2 … when it is full. */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

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

  /** Writes whole lines; a piece is never split over two files. */
  write(bytes: Uint8Array, length: number): void {
    if (this.rotates && this.size > 0 && this.size + length > this.maxBytes) this.rotate();
    let at = 0;
    while (at < length) at += writeSync(this.fd, bytes, at, length - at);
    this.size += length;
  }

  close(): void {
    closeSync(this.fd);
  }

  private open(): number {
    try {
      return openSync(this.path, 'a', 0o640);
    } catch (error) {
      throw new FileError(
        `cannot write ${this.path} (${(error as NodeJS.ErrnoException).code}); choose another file`,
      );
    }
  }

  private rotate(): void {
    closeSync(this.fd);
    rmSync(`${this.path}.${this.backups}`, { force: true });
    for (let i = this.backups - 1; i >= 1; i--) {
      try {
        renameSync(`${this.path}.${i}`, `${this.path}.${i + 1}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    if (this.backups > 0) renameSync(this.path, `${this.path}.1`);
    else rmSync(this.path, { force: true });
    this.fd = openSync(this.path, 'a', 0o640);
    this.size = 0;
  }
}
