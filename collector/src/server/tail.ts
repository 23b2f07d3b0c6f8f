/** The newest roundtrips, for whoever follows them. Documents are written only while somebody does. */
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { BatchDocuments } from '../documents/writer.js';
import { health } from '../health.js';
import type { Batch } from '../output.js';

/** Called with one document (JSON, no line end). */
export type Follower = (line: string) => void;

/** Documents a new follower gets to begin with, and the batches they are made of. */
const KEPT = 100;
const KEPT_BYTES = 1 << 20;
/** Documents of one batch that are shown; the page cannot show more in the time of one. */
const SHOWN = 1000;
const MAX_FOLLOWERS = 50;

export class Tail {
  /** Called when the first follower comes, and when the last has gone. */
  onFollowed: (followed: boolean) => void = () => {};
  private readonly batches: Batch[] = [];
  private bytes = 0;
  private readonly followers = new Set<Follower>();

  /** What is given to slow ones waits in memory. */
  get isFull(): boolean {
    return this.followers.size >= MAX_FOLLOWERS;
  }

  private readonly documents = new BatchDocuments();
  private readonly out = new ByteBuffer(64 << 10);

  add(batch: Batch): void {
    this.batches.push(batch);
    this.bytes += batch.bytes.length;
    while (this.batches.length > 1 && this.bytes > KEPT_BYTES)
      this.bytes -= this.batches.shift()!.bytes.length;
    if (this.followers.size === 0) return;
    const lines = this.lines(batch);
    if (lines.length > SHOWN) health.tail.inc({ reason: 'many' }, lines.length - SHOWN);
    for (const line of lines.slice(-SHOWN)) for (const follower of this.followers) follower(line);
  }

  /** Follows until the answered function is called. */
  follow(follower: Follower): () => void {
    const newest: string[] = [];
    for (let i = this.batches.length - 1; i >= 0 && newest.length < KEPT; i--) {
      newest.unshift(...this.lines(this.batches[i]).slice(newest.length - KEPT));
    }
    for (const line of newest) follower(line);
    this.followers.add(follower);
    if (this.followers.size === 1) this.onFollowed(true);
    return () => {
      if (this.followers.delete(follower) && this.followers.size === 0) this.onFollowed(false);
    };
  }

  private lines(batch: Batch): string[] {
    this.out.length = 0;
    try {
      const unreadable = this.documents.write(batch, this.out);
      health.tail.inc({ reason: 'unreadable' }, unreadable);
    } catch {
      health.tail.inc({ reason: 'batch' });
      return [];
    }
    const text = Buffer.from(this.out.bytes.buffer, this.out.bytes.byteOffset, this.out.length).toString(
      'utf8',
    );
    return text.split('\n').filter((line) => line !== '');
  }
}
