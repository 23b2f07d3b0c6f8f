/** What is known of one channel: calls, publishes and deliveries that wait, consumers, and unfinished content. */
import { type Exchange, ExchangeQueue } from '../exchange.js';
import type { Method } from './wire.js';

export const NO_BYTES = new Uint8Array(0);
/** Consumers remembered of one channel. */
const MAX_CONSUMERS = 1024;

export interface Consumer {
  /** Name of its queue, UTF-8. */
  readonly queue: Uint8Array;
  /** Deliveries are not acknowledged. */
  readonly noAck: boolean;
  /** The client has cancelled it; what is on its way still comes. */
  cancelled: boolean;
}

/** A method with content, until the last byte of its body. One per channel and direction, used again and again. */
export class Content {
  /** null where no content is on its way. */
  exchange: Exchange | null = null;
  method: Method | null = null;
  /** Bytes of body that are still to come; -1 before the header frame. */
  remaining = -1;
  /** Number of the publish or delivery; -1 where it will not be acknowledged. */
  tag = -1;

  begin(exchange: Exchange, method: Method, tag: number): void {
    this.exchange = exchange;
    this.method = method;
    this.remaining = -1;
    this.tag = tag;
  }
}

export class Channel {
  readonly calls = new ExchangeQueue();
  /** Publishes that wait for their confirm, by number. */
  readonly publishes = new Map<number, Exchange>();
  /** Deliveries that wait for their acknowledgement, by tag. */
  readonly deliveries = new Map<number, Exchange>();
  /** Content on its way, per direction. */
  readonly content: readonly [Content, Content] = [new Content(), new Content()];
  /** Number of the next publish on a confirm channel; 0 where confirms are off. */
  nextPublish = 0;
  /** The server confirms publishes, whether they can be numbered or not. */
  confirms = false;
  /** Bytes of the client were lost: publishes can no longer be numbered. */
  uncounted = false;
  /** Highest number of a publish that the server has settled; 0 where what it said last is not known. */
  settledUpTo = 0;
  /** When a publish or its settlement was seen last. */
  quietSinceNs = Number.POSITIVE_INFINITY;
  /** A Close was seen, its Close-Ok not yet. */
  closing = false;
  /** The queue that an empty queue name means: the last declared. */
  lastQueue = NO_BYTES;
  /** The client has acknowledged a delivery. */
  acknowledges = false;
  /** There are deliveries whose basic.consume was not seen. */
  unseenConsumers = false;
  /** Consumers whose tags Consume-Ok will tell, in their order. */
  readonly unnamed: Consumer[] = [];
  private readonly consumers = new Map<string, Consumer>();
  /** The tag that was looked up last, and what was found. */
  private lastTag = NO_BYTES;
  private lastConsumer: Consumer | undefined = undefined;

  constructor(readonly number: number) {}

  addConsumer(tag: Uint8Array, consumer: Consumer): void {
    if (this.consumers.size >= MAX_CONSUMERS) {
      for (const oldest of this.consumers.keys()) {
        this.consumers.delete(oldest);
        break;
      }
    }
    this.consumers.set(latin1(tag, 0, tag.length), consumer);
    this.lastTag = NO_BYTES;
  }

  cancelConsumer(bytes: Uint8Array, start: number, end: number): void {
    const consumer = this.consumers.get(latin1(bytes, start, end));
    if (consumer !== undefined) consumer.cancelled = true;
  }

  /** Forgets a consumer that was cancelled, unless another has its tag by now. */
  removeConsumer(bytes: Uint8Array, start: number, end: number): void {
    const key = latin1(bytes, start, end);
    if (this.consumers.get(key)?.cancelled !== true) return;
    this.consumers.delete(key);
    this.lastTag = NO_BYTES;
  }

  /** The consumer with the tag [start, end). */
  consumer(bytes: Uint8Array, start: number, end: number): Consumer | undefined {
    const last = this.lastTag;
    if (last.length === end - start && last.length > 0) {
      let i = 0;
      while (i < last.length && last[i] === bytes[start + i]) i++;
      if (i === last.length) return this.lastConsumer;
    }
    const found = this.consumers.get(latin1(bytes, start, end));
    this.lastTag = bytes.slice(start, end);
    this.lastConsumer = found;
    return found;
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
