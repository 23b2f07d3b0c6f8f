/** Sends the metrics by Prometheus remote write: one request at a time, so that nothing is out of order. */
import { compress } from 'snappy';
import { health } from '../health.js';
import type { Log } from '../log.js';
import { type Answer, Poster } from '../post.js';
import { Backoff, ClosedError, pause } from '../retry.js';
import type { MetricsRegistry } from './registry.js';
import { WriteRequests } from './write-request.js';

export interface RemoteWriteConfig {
  /** http://host:port/api/v1/write */
  readonly endpoint: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Path of the CA certificate; empty for the usual ones. */
  readonly ca: string;
}

const NAME = 'metrics';
/** Uncompressed; a request is over it by one series at most. */
const MAX_REQUEST_BYTES = 1 << 20;
/** With so many batches open, samples are sent before their time, … */
const EAGER_BATCHES = 128;
/** … but not more often than this. */
const EAGER_MS = 1000;
/** Types and help texts go along this often. */
const METADATA_MS = 60_000;
/** Between two samples of a series, with room for the 0 of one that came back after its staleness marker. */
const STEP_MS = 2;
const TOO_MANY_REQUESTS = 429;
/** Of what the backend says, this is logged. */
const MAX_REASON_BYTES = 300;

const HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class RemoteWriter {
  /** The last attempt reached the backend. */
  reachable = true;
  private readonly closing = new AbortController();
  private readonly poster: Poster;
  private readonly loop: Promise<void>;
  private waiting: Waiting[] = [];
  private wake: (() => void) | null = null;
  private ending = false;
  private flushing = false;
  private sentMs = 0;
  private metadataMs = 0;

  /** Throws EndpointError. */
  constructor(
    private readonly registry: MetricsRegistry,
    private readonly instance: string,
    private readonly config: RemoteWriteConfig,
    private readonly log: Log,
  ) {
    const headers = { ...HEADERS, ...config.headers };
    this.poster = new Poster('exporter.metrics', config.endpoint, headers, config.ca, config.timeoutMs);
    this.loop = this.run();
  }

  /** Resolves when what the registry holds now has been accepted. */
  accepted(): Promise<void> {
    if (this.ending) return Promise.reject(new ClosedError(NAME));
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      if (this.flushing || this.waiting.length >= EAGER_BATCHES) this.wake?.();
    });
  }

  /** What waits is sent at once, and what comes from now on. */
  flush(): void {
    this.flushing = true;
    this.wake?.();
  }

  /** Sends once more and ends. */
  async close(deadlineMs: number): Promise<void> {
    this.ending = true;
    this.wake?.();
    const timer = setTimeout(() => this.closing.abort(), deadlineMs);
    await this.loop;
    clearTimeout(timer);
    this.poster.close();
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    for (let last = false; !last; ) {
      await this.nextTime();
      last = this.ending;
      const waiting = this.waiting;
      this.waiting = [];
      const afterMs = this.sentMs;
      this.sentMs = Math.max(Date.now(), afterMs + STEP_MS);
      await this.sendAll(afterMs, this.sentMs);
      if (signal.aborted) {
        for (const { reject } of [...waiting, ...this.waiting]) reject(new ClosedError(NAME));
        return;
      }
      for (const { resolve } of waiting) resolve();
    }
  }

  private async nextTime(): Promise<void> {
    const { intervalMs } = this.config;
    const soonest = Math.min(intervalMs, EAGER_MS);
    const atOnce = () => this.ending || (this.flushing && this.waiting.length > 0);
    await this.sleep(soonest, atOnce);
    await this.sleep(intervalMs - soonest, () => atOnce() || this.waiting.length >= EAGER_BATCHES);
  }

  /** Waits `ms`, or until `wake` is called and finds `over`. */
  private sleep(ms: number, over: () => boolean): Promise<void> {
    if (over()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.wake = () => {
        if (over()) done();
      };
    });
  }

  /**
   * Sends what every series is at `timeMs`. Requests are made one after the other, each when the one before
   * has been accepted, so that there is never more than one in memory.
   */
  private async sendAll(afterMs: number, timeMs: number): Promise<void> {
    const requests = new WriteRequests(this.instance);
    const describe = timeMs - this.metadataMs >= METADATA_MS;
    if (describe) this.metadataMs = timeMs;
    const gone = this.registry.expire(timeMs, true);
    // Those that are made while requests are sent belong to the next time.
    const held = [...this.registry.families()].map((family) => ({
      family,
      all: [...family.series.values()],
    }));
    for (const { family, series } of gone) {
      requests.stale(family, series, timeMs);
      await this.sendIfLong(requests);
    }
    for (const { family, all } of held) {
      if (describe && all.length > 0) requests.metadata(family);
      for (const series of all) {
        requests.series(family, series, afterMs, timeMs);
        await this.sendIfLong(requests);
      }
    }
    if (requests.length > 0) await this.send(requests.take());
  }

  private async sendIfLong(requests: WriteRequests): Promise<void> {
    if (requests.length >= MAX_REQUEST_BYTES) await this.send(requests.take());
  }

  /** Tries until the request is accepted, or refused for good, or the writer closed. */
  private async send(request: Uint8Array): Promise<void> {
    const { buffer, byteOffset, byteLength } = request;
    const body = new Uint8Array(await compress(Buffer.from(buffer, byteOffset, byteLength)));
    const backoff = new Backoff();
    const { signal } = this.closing;
    while (!signal.aborted) {
      const answer = await this.attempt(body);
      if (answer !== null) {
        const { status } = answer;
        if (status >= 200 && status < 300) {
          health.batches.inc({ output: NAME, result: 'written' });
          return;
        }
        const reason = new TextDecoder().decode(answer.body.subarray(0, MAX_REASON_BYTES)).trim();
        if (status < 500 && status !== TOO_MANY_REQUESTS) {
          health.batches.inc({ output: NAME, result: 'refused' });
          this.log.warn('remote write was refused; these samples are left out', { status, reason });
          return;
        }
        this.log.warn('remote write failed; trying again', { status, reason });
      }
      if (signal.aborted) return;
      health.retries.inc({ output: NAME });
      await pause(backoff.delay(answer?.retryAfterMs), signal);
    }
  }

  /** null where nobody answered. */
  private async attempt(body: Uint8Array<ArrayBuffer>): Promise<Answer | null> {
    try {
      const answer = await this.poster.post(body, this.closing.signal);
      this.reachable = true;
      return answer;
    } catch (error) {
      if (this.closing.signal.aborted) return null;
      this.reachable = false;
      this.log.warn('remote write failed; trying again', { reason: (error as Error).message });
      return null;
    }
  }
}
