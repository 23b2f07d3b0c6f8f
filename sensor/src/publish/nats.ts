/**
 * Publishes batches on NATS JetStream: compressed, with an id by which the stream drops what comes
 * twice, again and again until acknowledged. What cannot be sent waits in memory up to a limit; then the
 * oldest batches go, and are counted.
 */
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { halves } from '@packetd/proto/batch';
import { compress, uncompress } from 'snappy';
import type { BatchCompleter, Identity } from './identity.js';

export interface PublisherOptions {
  /** Batches that may wait for their acknowledgement at once. */
  readonly window: number;
  /** Bytes of compressed batches that are kept. */
  readonly bufferBytes: number;
  /** A small batch waits so long for more. */
  readonly ageMs: number;
  /** A batch of this size is sent at once. */
  readonly batchBytes: number;
}

export const DEFAULT_PUBLISHER: PublisherOptions = {
  window: 64,
  bufferBytes: 64 << 20,
  ageMs: 100,
  batchBytes: 256 << 10,
};

/** How long one attempt may take, and the wait before the next. */
const PUBLISH_MS = 5000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;

/** Room for the headers of a message, which the server counts too. */
const HEADERS_BYTES = 256;

interface Waiting {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly records: number;
}

export interface PublisherCounts {
  published: number;
  /** Records and batches that were dropped: there was no room, or no time at the end, or no way to pack them. */
  droppedRecords: number;
  droppedBatches: number;
  retries: number;
  bufferedBytes: number;
}

export class NatsPublisher {
  readonly counts: PublisherCounts = {
    published: 0,
    droppedRecords: 0,
    droppedBatches: 0,
    retries: 0,
    bufferedBytes: 0,
  };
  private client: JetStreamClient | null = null;
  /** Looks for the stream, and makes it again where it is gone. */
  private ensure: () => Promise<unknown> = async () => {};
  private ensuring: Promise<unknown> | null = null;
  private maxPayload: () => number = () => Number.POSITIVE_INFINITY;
  private readonly subject: string;
  private queue: Waiting[] = [];
  private open = 0;
  private openRecords = 0;
  /** Batches of the capture that were not made one yet. */
  private parts: { bytes: Uint8Array; records: number }[] = [];
  private partBytes = 0;
  private timer: NodeJS.Timeout | null = null;
  private compressing = Promise.resolve();
  private closing = false;

  /** `stream`'s subjects are `<subject>.>`; the sensor's name becomes the last part. */
  constructor(
    subject: string,
    private readonly identity: Identity,
    private readonly completer: BatchCompleter,
    private readonly warn: (message: string) => void,
    private readonly options: PublisherOptions = DEFAULT_PUBLISHER,
  ) {
    this.subject = `${subject}.${subjectToken(identity.name)}`;
  }

  /** Until now everything has waited. */
  connect(connection: NatsConnection, ensure: () => Promise<unknown>): void {
    this.client = jetstream(connection, { timeout: PUBLISH_MS });
    this.ensure = ensure;
    this.maxPayload = () => (connection.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADERS_BYTES;
    this.pump();
  }

  /** Takes a batch of the capture; bytes[0, length) is borrowed. Never waits. */
  batch(bytes: Uint8Array, length: number, records: number): void {
    this.parts.push({ bytes: bytes.slice(0, length), records });
    this.partBytes += length;
    if (this.partBytes >= this.options.batchBytes) this.seal();
    else this.timer ??= setTimeout(() => this.seal(), this.options.ageMs);
  }

  /** Sends what there is; answers when all is acknowledged or `deadlineMs` are over: records that are left. */
  async close(deadlineMs: number): Promise<number> {
    this.seal();
    await this.compressing;
    const until = Date.now() + deadlineMs;
    const before = this.counts.droppedRecords;
    while ((this.open > 0 || this.queue.length > 0) && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.closing = true;
    for (const { records } of this.queue.splice(0)) this.drop(records);
    // What is under way may have arrived; nobody has said so.
    this.counts.droppedBatches += this.open;
    this.counts.droppedRecords += this.openRecords;
    return this.counts.droppedRecords - before;
  }

  /** Makes one message of the parts that came so far. */
  private seal(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.parts.length === 0) return;
    const parts = this.parts;
    this.parts = [];
    this.partBytes = 0;
    const records = parts.reduce((sum, part) => sum + part.records, 0);
    const joined = Buffer.concat(parts.map(({ bytes }) => bytes));
    const id = `${this.identity.bootId}-${this.completer.sequence}`;
    const whole = this.completer.complete(joined, joined.length);
    // One after the other, so that they are queued in their order.
    this.compressing = this.compressing.then(async () => {
      try {
        const bytes = new Uint8Array(await compress(Buffer.from(whole)));
        this.enqueue({ id, bytes, records });
      } catch (error) {
        this.drop(records);
        this.warn(`a batch cannot be packed (${(error as Error).message}); it is left out`);
      }
    });
  }

  private enqueue(waiting: Waiting): void {
    this.queue.push(waiting);
    this.counts.bufferedBytes += waiting.bytes.length;
    while (this.counts.bufferedBytes > this.options.bufferBytes && this.queue.length > 1) {
      const oldest = this.queue.shift()!;
      this.counts.bufferedBytes -= oldest.bytes.length;
      this.drop(oldest.records);
      if (this.counts.droppedBatches === 1) {
        this.warn('NATS takes nothing and the buffer is full: the oldest batches are dropped');
      }
    }
    this.pump();
  }

  private drop(records: number): void {
    this.counts.droppedBatches++;
    this.counts.droppedRecords += records;
  }

  private pump(): void {
    const { client } = this;
    if (client === null) return;
    while (this.open < this.options.window && this.queue.length > 0 && !this.closing) {
      const waiting = this.queue.shift()!;
      this.open++;
      this.openRecords += waiting.records;
      void this.publish(client, waiting);
    }
  }

  private async publish(client: JetStreamClient, waiting: Waiting): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    let told = false;
    while (!this.closing) {
      if (waiting.bytes.length > this.maxPayload()) {
        await this.halve(waiting);
        break;
      }
      try {
        await client.publish(this.subject, waiting.bytes, { msgID: waiting.id });
        this.counts.published += waiting.records;
        break;
      } catch (error) {
        this.counts.retries++;
        if (!told && retryMs >= LONGEST_RETRY_MS) {
          told = true;
          this.warn(`NATS does not take batches (${(error as Error).message}); trying again`);
        }
        // All that is under way fails at once when the stream is gone.
        this.ensuring ??= this.ensure()
          .catch(() => {})
          .finally(() => {
            this.ensuring = null;
          });
        await new Promise((resolve) => setTimeout(resolve, retryMs));
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
    this.counts.bufferedBytes -= waiting.bytes.length;
    this.open--;
    this.openRecords -= waiting.records;
    this.pump();
  }

  /** What is larger than the server takes goes in two messages; a record that is so by itself is left out. */
  private async halve({ id, bytes, records }: Waiting): Promise<void> {
    const whole = new Uint8Array((await uncompress(Buffer.from(bytes), { asBuffer: true })) as Buffer);
    const parts = halves(whole);
    if (parts === null) {
      this.drop(records);
      this.warn(`a roundtrip of ${bytes.length} bytes is more than NATS takes (max_payload); it is left out`);
      return;
    }
    for (const [i, part] of parts.entries()) {
      const packed = new Uint8Array(await compress(Buffer.from(part.bytes)));
      this.queue.unshift({ id: `${id}.${i}`, bytes: packed, records: part.records });
      this.counts.bufferedBytes += packed.length;
    }
  }
}

/** A name as one token of a subject. */
export function subjectToken(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, '_') || 'sensor';
}
