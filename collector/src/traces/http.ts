/** OTLP over HTTP with protobuf bodies (OTLP specification, section OTLP/HTTP). */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Poster } from '../post.js';
import type { Sender, Sent } from './sender.js';
import { partialSuccess, statusMessage } from './wire.js';

/** Statuses with which a client tries again. */
const AGAIN = new Set([429, 502, 503, 504]);
const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' };
const zip = promisify(gzip);

export class HttpSender implements Sender {
  private readonly poster: Poster;

  /** `endpoint` is the whole URL: http://host:4318/v1/traces. Throws EndpointError. */
  constructor(
    key: string,
    endpoint: string,
    timeoutMs: number,
    headers: Readonly<Record<string, string>>,
    ca: string,
  ) {
    this.poster = new Poster(key, endpoint, { ...HEADERS, ...headers }, ca, timeoutMs);
  }

  async send(request: Uint8Array, signal: AbortSignal): Promise<Sent> {
    try {
      const zipped = new Uint8Array(await zip(request));
      const { status, body, retryAfterMs } = await this.poster.post(zipped, signal);
      if (status >= 200 && status < 300) return { result: 'accepted', ...partialSuccess(body) };
      if (AGAIN.has(status)) {
        return { result: 'again', reason: `status ${status}`, afterMs: retryAfterMs, reached: true };
      }
      return { result: 'refused', reason: `status ${status} ${statusMessage(body)}`.trim() };
    } catch (error) {
      return { result: 'again', reason: (error as Error).message, afterMs: 0, reached: false };
    }
  }

  close(): void {
    this.poster.close();
  }
}
