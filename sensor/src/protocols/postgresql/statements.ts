/** Prepared statements and portals of a session, by name. */
import type { SqlShape } from '../../redact/sql.js';

/** Names remembered per session; what is beyond is executed without its text. */
const MAX_NAMED = 10_000;

export interface Prepared {
  /** null where its Parse was not seen. */
  readonly shape: SqlShape | null;
  /** Name of the statement, UTF-8; empty for the unnamed. */
  readonly name: Uint8Array;
  readonly parameters: number;
  /** The server did not prepare it: outside of what failed with it, its name means none, or the one before. */
  refused: boolean;
}

/** A map by bytes whose unnamed entry costs no look-up. */
export class Names<T> {
  private unnamed: T | undefined;
  private readonly named = new Map<string, T>();

  get(bytes: Uint8Array, start: number, end: number): T | undefined {
    return start === end ? this.unnamed : this.named.get(key(bytes, start, end));
  }

  set(bytes: Uint8Array, start: number, end: number, value: T): void {
    if (start === end) {
      this.unnamed = value;
      return;
    }
    const name = key(bytes, start, end);
    if (this.named.size < MAX_NAMED || this.named.has(name)) this.named.set(name, value);
  }

  delete(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) this.unnamed = undefined;
    else this.named.delete(key(bytes, start, end));
  }

  forgetUnnamed(): void {
    this.unnamed = undefined;
  }

  clear(): void {
    this.unnamed = undefined;
    this.named.clear();
  }
}

function key(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
