/** The newest documents, and whoever follows them. */

/** Called with one document (JSON, no line end). */
export type Follower = (line: string) => void;

const KEPT = 200;

export class Tail {
  /** The newest documents, oldest first. */
  readonly kept: string[] = [];
  private readonly followers = new Set<Follower>();
  private readonly decoder = new TextDecoder();

  add(bytes: Uint8Array, length: number): void {
    const line = this.decoder.decode(bytes.subarray(0, length));
    this.kept.push(line);
    if (this.kept.length > KEPT) this.kept.shift();
    for (const follower of this.followers) follower(line);
  }

  /** Follows until the answered function is called. */
  follow(follower: Follower): () => void {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }
}
