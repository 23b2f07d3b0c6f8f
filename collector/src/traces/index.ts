/** Traces: every record that is sampled becomes a span at an OTLP receiver. */
import type { RoundTrip } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { health } from '../health.js';
import type { Log } from '../log.js';
import type { Batch, Output } from '../output.js';
import { Backoff, ClosedError, pause } from '../retry.js';
import { GrpcSender } from './grpc.js';
import { HttpSender } from './http.js';
import { encodeRequest, type Observed } from './request.js';
import type { Sender } from './sender.js';
import { failed, SpanEncoder } from './span.js';

export interface TracesConfig {
  readonly endpoint: string;
  readonly protocol: 'http' | 'grpc';
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Share of traces that is kept, 0 to 1; errors and slow roundtrips always are. */
  readonly sampleRatio: number;
  readonly slowMs: number;
}

const NAME = 'traces';
const MAX_SPANS = 2048;
const MAX_BYTES = 1 << 20;
const MAX_AGE_MS = 200;
const REQUESTS_AT_ONCE = 4;
const MILLISECOND = 1_000_000n;

/** Spans of a batch that are on their way, and what to call when they are gone. */
interface Pending extends Observed {
  readonly done: () => void;
}

export class TracesOutput implements Output {
  readonly name = NAME;
  /** The last attempt reached the receiver. */
  reachable = true;
  private readonly encoder = new SpanEncoder();
  private readonly sender: Sender;
  private readonly closing = new AbortController();
  private readonly open = new Set<() => void>();
  private readonly threshold: number;
  private readonly slowNano: bigint;
  private waiting: Pending[] = [];
  private waitingBytes = 0;
  private timer: NodeJS.Timeout | null = null;
  private running = 0;
  private readonly slots: (() => void)[] = [];

  constructor(
    config: TracesConfig,
    private readonly log: Log,
  ) {
    const { endpoint, timeoutMs, headers } = config;
    this.sender =
      config.protocol === 'grpc'
        ? new GrpcSender(endpoint, timeoutMs, headers)
        : new HttpSender(endpoint, timeoutMs, headers);
    this.threshold = config.sampleRatio * 2 ** 32;
    this.slowNano = BigInt(Math.round(config.slowMs)) * MILLISECOND;
  }

  write(batch: Batch): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new ClosedError(NAME));
      this.open.add(giveUp);
      let left = 1;
      const done = () => {
        if (--left > 0) return;
        this.open.delete(giveUp);
        resolve();
      };
      const { sensor, roundtrips } = batch.decoded;
      const observer = sensor ?? { name: '', hostname: '', version: '' };
      for (const record of roundtrips) {
        if (!this.sampled(record)) continue;
        const span = this.encoder.encode(record);
        if (span === null) continue;
        left++;
        this.add({ span, observer, done });
      }
      done();
    });
  }

  async close(deadlineMs: number): Promise<void> {
    this.send();
    const until = Date.now() + deadlineMs;
    while ((this.running > 0 || this.slots.length > 0) && Date.now() < until)
      await pause(20, this.closing.signal);
    this.closing.abort();
    for (const giveUp of this.open) giveUp();
    this.sender.close();
  }

  /** By trace, so that all spans of one are kept or none; the last bytes of a trace id are random. */
  private sampled(record: RoundTrip): boolean {
    if (this.threshold >= 2 ** 32 || failed(record.status) || record.durationNano >= this.slowNano)
      return true;
    const id =
      record.trace !== undefined && record.trace.traceId.length === 16 ? record.trace.traceId : record.id;
    const value = ((id[12] << 24) | (id[13] << 16) | (id[14] << 8) | id[15]) >>> 0;
    return value < this.threshold;
  }

  private add(pending: Pending): void {
    this.waiting.push(pending);
    this.waitingBytes += pending.span.bytes.length;
    if (this.waiting.length >= MAX_SPANS || this.waitingBytes >= MAX_BYTES) this.send();
    else this.timer ??= setTimeout(() => this.send(), MAX_AGE_MS);
  }

  private send(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.waiting.length === 0) return;
    const spans = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    void this.deliver(spans);
  }

  private async deliver(spans: readonly Pending[]): Promise<void> {
    if (this.running >= REQUESTS_AT_ONCE) await new Promise<void>((resolve) => this.slots.push(resolve));
    this.running++;
    const request = encodeRequest(spans);
    const backoff = new Backoff();
    const { signal } = this.closing;
    while (!signal.aborted) {
      const sent = await this.sender.send(request, signal);
      if (sent.result === 'again') {
        this.reachable = sent.reached;
        if (signal.aborted) break;
        this.log.warn('the trace receiver does not take spans; trying again', { reason: sent.reason });
        health.retries.inc({ output: NAME });
        await pause(backoff.delay(sent.afterMs), signal);
        continue;
      }
      this.reachable = true;
      const rejected = sent.result === 'accepted' ? sent.rejected : spans.length;
      if (rejected > 0) {
        const reason = sent.result === 'accepted' ? sent.message : sent.reason;
        health.records.inc({ output: NAME, result: 'refused' }, rejected);
        this.log.warn('the trace receiver refused spans', { rejected, reason });
      }
      health.records.inc({ output: NAME, result: 'written' }, spans.length - rejected);
      for (const { done } of spans) done();
      break;
    }
    this.running--;
    this.slots.shift()?.();
  }
}
