/** OTLP over HTTP with protobuf bodies (OTLP specification, section OTLP/HTTP). */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { retryAfterMs } from '../retry.js';
import type { Sender, Sent } from './sender.js';
import { partialSuccess } from './wire.js';

/** Statuses with which a client tries again. */
const AGAIN = new Set([429, 502, 503, 504]);
const zip = promisify(gzip);

export class HttpSender implements Sender {
  constructor(
    private readonly endpoint: string,
    private readonly timeoutMs: number,
    private readonly headers: Readonly<Record<string, string>>,
  ) {}

  async send(request: Uint8Array, signal: AbortSignal): Promise<Sent> {
    try {
      const response = await fetch(this.endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-protobuf',
          'content-encoding': 'gzip',
          'user-agent': 'packetd',
          ...this.headers,
        },
        body: new Uint8Array(await zip(request)),
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.timeoutMs)]),
      });
      const body = new Uint8Array(await response.arrayBuffer());
      if (response.ok) return { result: 'accepted', ...partialSuccess(body) };
      const reason = `status ${response.status}`;
      if (!AGAIN.has(response.status)) return { result: 'refused', reason };
      return {
        result: 'again',
        reason,
        afterMs: retryAfterMs(response.headers.get('retry-after')),
        reached: true,
      };
    } catch (error) {
      const { message, cause } = error as Error;
      return {
        result: 'again',
        reason: (cause as Error | undefined)?.message ?? message,
        afterMs: 0,
        reached: false,
      };
    }
  }

  close(): void {}
}
