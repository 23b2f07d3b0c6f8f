/**
 * Batches from NATS JetStream: one durable consumer per output, shared by all collectors. A message is
 * acknowledged when its output has accepted it; what a collector that died held is given to another.
 */
import {
  AckPolicy,
  type Consumer,
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { uncompress } from 'snappy';
import { health } from '../health.js';
import type { Log } from '../log.js';
import { Batch, type Output } from '../output.js';
import { Backoff, pause } from '../retry.js';
import type { Tail } from '../server/tail.js';

export interface JetStreamOptions {
  readonly stream: string;
  /** Batches that one output of one collector may have open, where the output says no other number. */
  readonly window: number;
  /** How long the stream keeps what no output has taken, in milliseconds. */
  readonly maxAgeMs: number;
  /** Largest size of the stream in bytes. */
  readonly maxBytes: number;
  /** A message is given again when its collector is silent for so long. */
  readonly ackWaitMs: number;
  /** JetStream domains of leaf nodes, whose streams of the same name are copied into this one. */
  readonly leafDomains: readonly string[];
}

export const DEFAULT_JETSTREAM: JetStreamOptions = {
  stream: 'PACKETD',
  window: 256,
  maxAgeMs: 24 * 3600_000,
  maxBytes: 10 * 2 ** 30,
  ackWaitMs: 30_000,
  leafDomains: [],
};

const NANOS = 1e6;
/** So often in that time the server is told that a message is still being worked on. */
const WORKING = 3;
/** How long a request for messages stands; then it is made again. */
const PULL_MS = 30_000;
/** Accepted messages of which it is known that they were. */
const REMEMBERED = 16_384;
const DUPLICATES_MS = 120_000;
/** What was not taken is given to somebody else after this: for two seconds the server believes in a pull request whose subscriber is gone. */
const RETURN_MS = 2500;

/** Largest batch that is believed; a sensor's are about 256 KiB. */
const MAX_BATCH_BYTES = 16 << 20;

/** Makes the stream where it is not there yet. Sensors and collectors may do so at the same time. */
export async function ensureStream(
  connection: NatsConnection,
  options: JetStreamOptions,
): Promise<JetStreamManager> {
  // The check of the account is a request that a sensor's user need not be permitted.
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const sources = options.leafDomains.map((domain) => ({
    name: options.stream,
    external: { api: `$JS.${domain}.API`, deliver: '' },
  }));
  try {
    const { config } = await manager.streams.info(options.stream);
    const known = new Set(config.sources?.map(({ external }) => external?.api));
    const further = sources.filter(({ external }) => !known.has(external.api));
    if (further.length > 0)
      await manager.streams.update(options.stream, { sources: [...(config.sources ?? []), ...further] });
  } catch (error) {
    if (!isMissing(error, JetStreamApiCodes.StreamNotFound)) throw error;
    await manager.streams.add({
      name: options.stream,
      subjects: [`${subjectOf(options.stream)}.>`],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      max_age: options.maxAgeMs * NANOS,
      max_bytes: options.maxBytes,
      duplicate_window: DUPLICATES_MS * NANOS,
      ...(sources.length === 0 ? {} : { sources }),
    });
  }
  return manager;
}

function isMissing(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

/** Subject below which the sensors publish. */
export function subjectOf(stream: string): string {
  return `${stream.toLowerCase()}.roundtrips`;
}

export class JetStreamSource {
  private readonly positions: Position[] = [];
  private readonly loops: Promise<void>[] = [];
  private readonly heartbeat: NodeJS.Timeout;
  private readonly stopped = new AbortController();

  private constructor(
    private readonly connection: NatsConnection,
    private readonly options: JetStreamOptions,
    private readonly log: Log,
  ) {
    this.heartbeat = setInterval(() => {
      for (const { open } of this.positions) for (const message of open.values()) message.working();
    }, options.ackWaitMs / WORKING);
  }

  /** Rejects where NATS does not give the stream or its consumers. */
  static async start(
    connection: NatsConnection,
    outputs: readonly Output[],
    options: JetStreamOptions,
    log: Log,
  ): Promise<JetStreamSource> {
    const source = new JetStreamSource(connection, options, log);
    try {
      for (const output of outputs) {
        const position = new Position(output, output.window ?? options.window);
        const consumer = await source.consumer(position);
        source.positions.push(position);
        source.loops.push(source.run(position, consumer));
      }
    } catch (error) {
      await source.stop();
      throw error;
    }
    return source;
  }

  /** Takes no more; what is open stays the outputs'. */
  async stop(): Promise<void> {
    this.stopped.abort();
    // A loop whose window is full waits for a backend that may never answer.
    for (const position of this.positions) {
      position.stopping = true;
      position.wake();
      await position.messages?.close();
    }
    await Promise.all(this.loops);
    await Promise.all(this.positions.map(({ taking }) => taking));
    clearInterval(this.heartbeat);
  }

  /** The durable consumer of an output, made or changed where it is not as it must be, and the stream too. */
  private async consumer(position: Position): Promise<Consumer> {
    const { stream } = this.options;
    const manager = await ensureStream(this.connection, this.options);
    const durable = `packetd-${position.output.name}`;
    const wanted = { ack_wait: this.options.ackWaitMs * NANOS, max_ack_pending: position.window * 16 };
    try {
      const { config } = await manager.consumers.info(stream, durable);
      // Made by another version.
      if (config.ack_wait !== wanted.ack_wait || config.max_ack_pending !== wanted.max_ack_pending) {
        await manager.consumers.update(stream, durable, wanted);
      }
    } catch (error) {
      if (!isMissing(error, JetStreamApiCodes.ConsumerNotFound)) throw error;
      const { state } = await manager.streams.info(stream);
      // One that was deleted begins where this collector was, unless the stream is a new one.
      const next = position.next;
      const from =
        next > 1 && next <= state.last_seq + 1
          ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: next }
          : { deliver_policy: DeliverPolicy.All };
      await manager.consumers.add(stream, {
        durable_name: durable,
        ack_policy: AckPolicy.Explicit,
        ...from,
        ...wanted,
      });
    }
    return jetstream(this.connection).consumers.get(stream, durable);
  }

  /**
   * Asks for as many messages as there is room for, and for more when a part of them is done: what is
   * delivered and only waits here would be given to another collector when its time is over.
   */
  private async run(position: Position, first: Consumer): Promise<void> {
    let consumer: Consumer | null = first;
    const backoff = new Backoff();
    while (!this.stopped.signal.aborted) {
      try {
        consumer ??= await this.consumer(position);
        await position.room();
        if (this.stopped.signal.aborted) return;
        await this.fetch(position, consumer);
        backoff.reset();
      } catch (error) {
        if (this.stopped.signal.aborted || this.connection.isClosed()) return;
        // Deleted, or NATS away: looked for, and made, again.
        consumer = null;
        this.log.warn('NATS gives no batches; trying again', {
          output: position.output.name,
          reason: (error as Error).message,
        });
        await pause(backoff.delay(), this.stopped.signal);
      }
    }
  }

  /** One pull, until all that it asked for came or its time is over. */
  private async fetch(position: Position, consumer: Consumer): Promise<void> {
    const messages = await consumer.fetch({
      max_messages: position.window - position.open.size,
      expires: PULL_MS,
    });
    position.messages = messages;
    // A stop while the pull was made has not seen it.
    if (this.stopped.signal.aborted) await messages.close();
    for await (const message of messages) {
      if (position.again(message)) continue;
      // Open from now on: one that waits for those before it must not be given to another collector.
      position.begin(message);
      health.open.set({ output: position.output.name }, position.open.size);
      position.taking = position.taking.then(() => this.take(position, message));
    }
  }

  private async take(position: Position, message: JsMsg): Promise<void> {
    const { output } = position;
    const give = () => {
      position.end(message, false);
      message.nak(RETURN_MS);
    };
    if (this.stopped.signal.aborted) return give();
    const batch = await this.decode(message);
    position.last = message.seq;
    if (batch === null) return position.end(message, true);
    output
      .write(batch)
      .then(() => {
        position.end(message, true);
        message.ack();
      }, give)
      .finally(() => health.open.set({ output: output.name }, position.open.size));
  }

  /** Unpacks a message; one that is no batch is ended for good. */
  private async decode(message: JsMsg): Promise<Batch | null> {
    try {
      const batch = new Batch(await unpack(message.data));
      // A message that cannot be read would come back for ever.
      batch.head;
      return batch;
    } catch (error) {
      health.undecodable.inc();
      this.log.warn('a message is no batch; it is left out', {
        subject: message.subject,
        sequence: message.seq,
        reason: (error as Error).message,
      });
      message.term('not a batch');
      return null;
    }
  }
}

/** Where an output of this collector is in the stream. */
class Position {
  /** Messages that the output has not accepted yet, by their sequence. */
  readonly open = new Map<number, JsMsg>();
  /** The newest ones that it has, with the time of the message: a stream made anew begins with the same sequences. */
  private readonly done = new Map<number, number>();
  /** Resolves when every message that came is with the output. */
  taking = Promise.resolve();
  /** Of the pull under way. */
  messages: ConsumerMessages | null = null;
  /** Sequence of the last message that was given. */
  last = 0;
  wake = () => {};
  stopping = false;

  constructor(
    readonly output: Output,
    readonly window: number,
  ) {}

  /** Sequence from which on nothing is done. */
  get next(): number {
    let next = this.last + 1;
    for (const sequence of this.open.keys()) next = Math.min(next, sequence);
    return next;
  }

  /** True for what NATS gives again though it is open or done here: it was away, and does not know. */
  again(message: JsMsg): boolean {
    if (!message.redelivered) return false;
    if (this.open.get(message.seq)?.info.timestampNanos === message.info.timestampNanos) return true;
    if (this.done.get(message.seq) !== message.info.timestampNanos) return false;
    message.ack();
    return true;
  }

  begin(message: JsMsg): void {
    this.open.set(message.seq, message);
  }

  end(message: JsMsg, accepted: boolean): void {
    this.open.delete(message.seq);
    if (accepted) {
      this.done.set(message.seq, message.info.timestampNanos);
      if (this.done.size > REMEMBERED) this.done.delete(this.done.keys().next().value!);
    }
    this.wake();
  }

  /** Resolves when a quarter of the window is free, or by `wake`. */
  async room(): Promise<void> {
    const full = this.window - Math.ceil(this.window / 4);
    if (this.open.size <= full) return;
    await new Promise<void>((resolve) => {
      this.wake = () => {
        if (this.open.size <= full || this.stopping) resolve();
      };
    });
  }
}

/** Gives the tail what sensors publish while somebody follows it: an ordered consumer of its own, from now on. */
export function followStream(
  connection: NatsConnection,
  options: JetStreamOptions,
  tail: Tail,
  log: Log,
): void {
  let messages: ConsumerMessages | null = null;
  let followed = false;
  tail.onFollowed = (now) => {
    followed = now;
    if (now) void run().catch((error: Error) => log.warn('the live tail ended', { reason: error.message }));
    else void messages?.close();
  };

  async function run(): Promise<void> {
    const consumer = await jetstream(connection).consumers.get(options.stream, {
      deliver_policy: DeliverPolicy.New,
    });
    messages = await consumer.consume();
    if (!followed) await messages.close();
    for await (const message of messages) {
      try {
        tail.add(new Batch(await unpack(message.data)));
      } catch {
        health.tail.inc({ reason: 'batch' });
      }
    }
  }
}

/** Rejects for what is no snappy block, or too large. */
async function unpack(bytes: Uint8Array): Promise<Uint8Array> {
  if (snappyLength(bytes) > MAX_BATCH_BYTES) throw new Error('too large');
  return (await uncompress(Buffer.from(bytes), { asBuffer: true })) as Buffer;
}

/** The unpacked length that a snappy block begins with (a varint). */
function snappyLength(bytes: Uint8Array): number {
  let length = 0;
  for (let i = 0, scale = 1; i < Math.min(5, bytes.length); i++, scale *= 128) {
    length += (bytes[i] & 0x7f) * scale;
    if (bytes[i] < 0x80) return length;
  }
  return Number.POSITIVE_INFINITY;
}
