/** Sends the metrics by Prometheus remote write: one request at a time, so that nothing is out of order. */
import { compress } from 'snappy';
import { health } from '../health.js';
import type { Log } from '../log.js';
import { Backoff, pause, retryAfterMs } from '../retry.js';
import type { MetricsRegistry } from './registry.js';
import { WriteRequests } from './write-request.js';

export interface RemoteWriteConfig {
  readonly endpoint: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

const NAME = 'metrics';
const MAX_REQUEST_BYTES = 1 << 20;
/** With so many batches open, samples are sent before their time. */
const EAGER_BATCHES = 128;
const EAGER_MS = 1000;
const TOO_MANY_REQUESTS = 429;

export class RemoteWriter {
  private readonly closing = new AbortController();
  private waiting: (() => void)[] = [];
  private readonly loop: Promise<void>;
  private wake: (() => void) | null = null;
  private ending = false;
  /** The last attempt was accepted. */
  reachable = true;

  constructor(
    private readonly registry: MetricsRegistry,
    private readonly instance: string,
    private readonly config: RemoteWriteConfig,
    private readonly log: Log,
  ) {
    this.loop = this.run();
  }

  /** Resolves when what the registry holds now has been accepted. */
  accepted(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      if (this.waiting.length >= EAGER_BATCHES) this.wake?.();
    });
  }

  /** Sends once more and ends. */
  async close(deadlineMs: number): Promise<void> {
    this.ending = true;
    this.wake?.();
    const timer = setTimeout(() => this.closing.abort(), deadlineMs);
    await this.loop;
    clearTimeout(timer);
  }

  private async run(): Promise<void> {
    let sentMs = 0;
    while (!this.closing.signal.aborted) {
      if (!this.ending) await this.nextTime();
      // Never twice at one time: a sample replaces none.
      const now = Math.max(Date.now(), sentMs + 1);
      const left = EAGER_MS - (now - sentMs);
      if (left > 0 && !this.ending) await pause(left, this.closing.signal);
      sentMs = Math.max(Date.now(), sentMs + 1);
      const waiting = this.waiting;
      this.waiting = [];
      const requests = this.snapshot(sentMs);
      for (const request of requests) await this.send(request);
      if (this.closing.signal.aborted) break;
      for (const resolve of waiting) resolve();
      if (this.ending) break;
    }
  }

  private nextTime(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, this.config.intervalMs);
      this.wake = done;
      this.closing.signal.addEventListener('abort', done, { once: true });
    });
  }

  private snapshot(timeMs: number): Uint8Array[] {
    const requests: Uint8Array[] = [];
    const writer = new WriteRequests(this.instance, MAX_REQUEST_BYTES, (bytes) =>
      requests.push(bytes.slice()),
    );
    for (const { family, series } of this.registry.expire(timeMs)) writer.stale(family, series, timeMs);
    for (const family of this.registry.families()) {
      for (const series of family.series.values()) writer.series(family, series, timeMs);
    }
    writer.finish();
    return requests;
  }

  /** Tries until the request is accepted, or refused for good, or the writer closed. */
  private async send(request: Uint8Array): Promise<void> {
    const body = new Uint8Array(await compress(Buffer.from(request)));
    const backoff = new Backoff();
    const { signal } = this.closing;
    while (!signal.aborted) {
      let askedMs = 0;
      try {
        const response = await fetch(this.config.endpoint, {
          method: 'POST',
          headers: {
            'content-type': 'application/x-protobuf',
            'content-encoding': 'snappy',
            'x-prometheus-remote-write-version': '0.1.0',
            'user-agent': 'packetd',
            ...this.config.headers,
          },
          body,
          signal: AbortSignal.any([signal, AbortSignal.timeout(this.config.timeoutMs)]),
        });
        const text = await response.text();
        this.reachable = true;
        if (response.ok) {
          health.batches.inc({ output: NAME, result: 'written' });
          return;
        }
        if (response.status < 500 && response.status !== TOO_MANY_REQUESTS) {
          health.batches.inc({ output: NAME, result: 'refused' });
          this.log.warn('remote write was refused; these samples are left out', {
            status: response.status,
            reason: text.slice(0, 300).trim(),
          });
          return;
        }
        askedMs = retryAfterMs(response.headers.get('retry-after'));
        this.log.warn('remote write failed; trying again', { status: response.status });
      } catch (error) {
        if (signal.aborted) return;
        this.reachable = false;
        const { message, cause } = error as Error;
        this.log.warn('remote write failed; trying again', {
          reason: (cause as Error | undefined)?.message ?? message,
        });
      }
      health.retries.inc({ output: NAME });
      await pause(backoff.delay(askedMs), signal);
    }
  }
}
