/** POST of a body to one endpoint, as remote write and OTLP/HTTP do it. */
import { readFileSync } from 'node:fs';
import {
  Agent as HttpAgent,
  request as httpRequest,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
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
  private readonly url: URL;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly agent: HttpAgent | HttpsAgent;
  private readonly request: typeof httpRequest;

  /**
   * `user:password@` in the endpoint becomes basic authentication. `ca` is the path of a CA certificate, empty
   * for the usual ones. Throws EndpointError.
   */
  constructor(
    key: string,
    endpoint: string,
    headers: Readonly<Record<string, string>>,
    ca: string,
    private readonly timeoutMs: number,
  ) {
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new EndpointError(`${key}.endpoint is no URL; write http://host:port/path`);
    }
    const given: Record<string, string> = { 'user-agent': 'packetd' };
    for (const [name, value] of Object.entries(headers)) given[name.toLowerCase()] = value;
    if (url.username !== '') {
      const userinfo = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      given.authorization = `Basic ${Buffer.from(userinfo).toString('base64')}`;
      url.username = '';
      url.password = '';
    }
    for (const [name, value] of Object.entries(given)) {
      try {
        validateHeaderName(name);
        validateHeaderValue(name, value);
      } catch {
        // What Node says has the value in it.
        throw new EndpointError(`${key}.headers: a name or value is not allowed in a header`);
      }
    }
    const secure = url.protocol === 'https:';
    this.url = url;
    this.headers = given;
    this.request = secure ? httpsRequest : httpRequest;
    this.agent = secure
      ? new HttpsAgent({ keepAlive: true, ...(ca === '' ? {} : { ca: readCa(`${key}.ca`, ca) }) })
      : new HttpAgent({ keepAlive: true });
  }

  /** Rejects with the reason where no answer came in time, or with `signal`. Redirects are not followed. */
  post(body: Uint8Array, signal: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { agent, headers } = this;
      const options = {
        method: 'POST',
        agent,
        headers: { ...headers, 'content-length': body.length },
        signal,
      };
      const request = this.request(this.url, options, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(timer);
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(pieces),
            retryAfterMs: retryAfterMs(response.headers['retry-after']),
          });
        });
      });
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer within ${this.timeoutMs} ms`)),
        this.timeoutMs,
      );
      function fail(error: NodeJS.ErrnoException): void {
        clearTimeout(timer);
        // Where a name has several addresses, and none answered, there is a code only.
        reject(error.message === '' ? new Error(error.code, { cause: error }) : error);
      }
      request.on('error', fail);
      request.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

/** Throws EndpointError. */
export function readCa(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new EndpointError(`${key}: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
}
