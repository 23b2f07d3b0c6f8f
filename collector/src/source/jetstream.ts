/**
 * Batches from NATS JetStream: one durable consumer per output, shared by all collectors. A message is
 * acknowledged when its output has accepted it; what a collector that died held is given to another.
 */
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
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
import type { Tail } from '../server/tail.js';

export interface JetStreamOptions {
  readonly stream: string;
  /** Batches that one output of one collector may have open, where the output says no other number. */
  readonly window: number;
  /** How long the stream keeps what no output has taken, in milliseconds. */
  readonly maxAgeMs: number;
  /** Largest size of the stream in bytes. */
  readonly maxBytes: number;
}

export const DEFAULT_JETSTREAM: JetStreamOptions = {
  stream: 'PACKETD',
  window: 256,
  maxAgeMs: 24 * 3600_000,
  maxBytes: 10 * 2 ** 30,
};

const NANOS = 1e6;
/** A message is given again when its collector is silent for so long. */
const ACK_WAIT_MS = 30_000;
/** Says to the server that a message is still being worked on. */
const WORKING_MS = 10_000;
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
  const manager = await jetstreamManager(connection);
  try {
    await manager.streams.info(options.stream);
  } catch {
    await manager.streams.add({
      name: options.stream,
      subjects: [`${subjectOf(options.stream)}.>`],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      max_age: options.maxAgeMs * NANOS,
      max_bytes: options.maxBytes,
      duplicate_window: DUPLICATES_MS * NANOS,
    });
  }
  return manager;
}

/** Subject below which the sensors publish. */
export function subjectOf(stream: string): string {
  return `${stream.toLowerCase()}.roundtrips`;
}

export class JetStreamSource {
  private readonly messages: ConsumerMessages[] = [];
  private readonly open = new Set<JsMsg>();
  private readonly loops: Promise<void>[] = [];
  private readonly heartbeat: NodeJS.Timeout;
  private readonly wakes = new Set<() => void>();
  private stopping = false;

  private constructor(private readonly log: Log) {
    this.heartbeat = setInterval(() => {
      for (const message of this.open) message.working();
    }, WORKING_MS);
  }

  static async start(
    connection: NatsConnection,
    outputs: readonly Output[],
    options: JetStreamOptions,
    log: Log,
  ): Promise<JetStreamSource> {
    const manager = await ensureStream(connection, options);
    const source = new JetStreamSource(log);
    const client = jetstream(connection);
    for (const output of outputs) {
      const durable = `packetd-${output.name}`;
      const window = output.window ?? options.window;
      await manager.consumers.add(options.stream, {
        durable_name: durable,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: ACK_WAIT_MS * NANOS,
        max_ack_pending: window * 16,
      });
      const consumer = await client.consumers.get(options.stream, durable);
      const messages = await consumer.consume({ max_messages: options.window });
      source.messages.push(messages);
      source.loops.push(source.run(messages, output, window));
    }
    return source;
  }

  /** Takes no more; what is open stays the outputs'. */
  async stop(): Promise<void> {
    this.stopping = true;
    // A loop whose window is full waits for a backend that may never answer.
    for (const wake of this.wakes) wake();
    await Promise.all(this.messages.map((messages) => messages.close()));
    await Promise.all(this.loops);
    clearInterval(this.heartbeat);
  }

  private async run(messages: ConsumerMessages, output: Output, window: number): Promise<void> {
    let running = 0;
    let wake = () => {};
    this.wakes.add(() => wake());
    const untaken: JsMsg[] = [];
    for await (const message of messages) {
      if (this.stopping) {
        untaken.push(message);
        continue;
      }
      const batch = await this.decode(message);
      if (batch === null) continue;
      this.open.add(message);
      running++;
      health.open.set({ output: output.name }, running);
      output
        .write(batch)
        .then(
          () => message.ack(),
          () => message.nak(RETURN_MS),
        )
        .finally(() => {
          this.open.delete(message);
          running--;
          health.open.set({ output: output.name }, running);
          wake();
        });
      while (running >= window && !this.stopping) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    for (const message of untaken) message.nak(RETURN_MS);
  }

  /** Unpacks a message; one that is no batch is ended for good. */
  private async decode(message: JsMsg): Promise<Batch | null> {
    try {
      const batch = new Batch(await unpack(message.data));
      // A message that cannot be read would come back for ever.
      batch.decoded;
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
