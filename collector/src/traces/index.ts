/** Traces: every record that is sampled becomes a span at an OTLP receiver. */
import { health } from '../health.js';
import type { Log } from '../log.js';
import type { Batch, Output } from '../output.js';
import { Backoff, ClosedError, pause } from '../retry.js';
import { GrpcSender } from './grpc.js';
import { HttpSender } from './http.js';
import { encodeRequest, type Observed } from './request.js';
import type { Sender } from './sender.js';
import { SpanEncoder } from './span.js';

export interface TracesConfig {
  readonly endpoint: string;
  readonly protocol: 'http' | 'grpc';
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Path of the CA certificate; empty for the usual ones. */
  readonly ca: string;
  /** Share of traces that is kept, 0 to 1; errors and slow roundtrips always are. */
  readonly sampleRatio: number;
  readonly slowMs: number;
}

const NAME = 'traces';
const KEY = 'exporter.traces';
/** A request is sent when it holds so much, or its first span has waited so long. */
const MAX_SPANS = 2048;
const MAX_BYTES = 1 << 20;
const MAX_AGE_MS = 200;
/** Requests under way; further ones wait, as many as the open batches of the source hold. */
const REQUESTS_AT_ONCE = 4;
/** `SpanEncoder.traceWord` is compared with the ratio. */
const RATIO_SCALE = 2 ** 32;
const MILLISECOND = 1e6;

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
  private readonly slowNano: number;
  private waiting: Pending[] = [];
  private waitingBytes = 0;
  private timer: NodeJS.Timeout | null = null;
  private running = 0;
  private readonly slots: (() => void)[] = [];

  /** Throws EndpointError. */
  constructor(
    config: TracesConfig,
    private readonly log: Log,
  ) {
    const { endpoint, timeoutMs, headers, ca } = config;
    const Sender = config.protocol === 'grpc' ? GrpcSender : HttpSender;
    this.sender = new Sender(KEY, endpoint, timeoutMs, headers, ca);
    this.threshold = config.sampleRatio * RATIO_SCALE;
    this.slowNano = config.slowMs * MILLISECOND;
  }

  write(batch: Batch): Promise<void> {
    if (this.closing.signal.aborted) return Promise.reject(new ClosedError(NAME));
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new ClosedError(NAME));
      this.open.add(giveUp);
      let left = 1;
      const done = () => {
        if (--left > 0) return;
        this.open.delete(giveUp);
        resolve();
      };
      const observer = batch.head.sensor ?? { name: '', hostname: '', version: '' };
      let sampledOut = 0;
      let unreadable = 0;
      batch.eachRecord((start, end) => {
        if (!this.encoder.read(batch.bytes, start, end)) {
          unreadable++;
        } else if (!this.isSampled()) {
          sampledOut++;
        } else {
          left++;
          this.add({ span: this.encoder.encode(), observer, done });
        }
      });
      health.records.inc({ output: NAME, result: 'sampled_out' }, sampledOut);
      health.records.inc({ output: NAME, result: 'unreadable' }, unreadable);
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

  /** By trace, so that every collector keeps all spans of one or none. */
  private isSampled(): boolean {
    const { encoder } = this;
    return encoder.traceWord < this.threshold || encoder.failed || encoder.durationNano >= this.slowNano;
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
      const { rejected, reason } =
        sent.result === 'refused'
          ? { rejected: spans.length, reason: sent.reason }
          : { rejected: Math.min(sent.rejected, spans.length), reason: sent.message };
      if (rejected > 0) {
        health.records.inc({ output: NAME, result: 'refused' }, rejected);
        this.log.warn('the trace receiver refused spans', { rejected, reason });
      } else if (reason !== '') this.log.warn('the trace receiver took all spans with a warning', { reason });
      health.records.inc({ output: NAME, result: 'written' }, spans.length - rejected);
      for (const { done } of spans) done();
      break;
    }
    this.running--;
    this.slots.shift()?.();
  }
}
