/** POST of a body to one endpoint, as remote write and OTLP/HTTP do it. */
import { retryAfterMs } from './retry.js';

/** An endpoint that no request can be made to. Its message never has the credentials of the URL. */
export class EndpointError extends Error {
  override readonly name = 'CollectorError';
}

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
  /** What Retry-After asks for, 0 where it is absent. */
  readonly retryAfterMs: number;
}

export class Poster {
  private readonly url: string;
  private readonly headers: Headers;

  /** `user:password@` in the endpoint becomes basic authentication. Throws EndpointError. */
  constructor(
    key: string,
    endpoint: string,
    headers: Readonly<Record<string, string>>,
    private readonly timeoutMs: number,
  ) {
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new EndpointError(`${key} is no URL; write http://host:port/path`);
    }
    this.headers = new Headers({ 'user-agent': 'packetd', ...headers });
    if (url.username !== '') {
      const userinfo = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      this.headers.set('authorization', `Basic ${Buffer.from(userinfo).toString('base64')}`);
      url.username = '';
      url.password = '';
    }
    this.url = url.href;
  }

  /** Rejects with the reason where no answer came in time, or with `signal`. Redirects are not followed. */
  async post(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Answer> {
    const attempt = new AbortController();
    const giveUp = () => attempt.abort();
    const timer = setTimeout(() => {
      attempt.abort(new Error(`no answer within ${this.timeoutMs} ms`));
    }, this.timeoutMs);
    signal.addEventListener('abort', giveUp);
    try {
      const response = await fetch(this.url, {
        method: 'POST',
        headers: this.headers,
        body,
        redirect: 'manual',
        signal: attempt.signal,
      });
      return {
        status: response.status,
        body: new Uint8Array(await response.arrayBuffer()),
        retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
      };
    } catch (error) {
      // fetch itself only says "fetch failed".
      throw (error as Error).cause ?? error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    }
  }
}
