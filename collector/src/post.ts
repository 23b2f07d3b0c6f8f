/** POST of a body to one endpoint, as remote write and OTLP/HTTP do it. */
import { X509Certificate } from 'node:crypto';
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

/** From here on nothing of an answer is kept, whatever the server sends. */
const MAX_ANSWER_BYTES = 1 << 20;

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
      const userinfo = userinfoOf(`${key}.endpoint`, url).join(':');
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
    const authority = ca === '' ? {} : { ca: readCa(`${key}.ca`, ca) };
    this.url = url;
    this.headers = given;
    this.request = secure ? httpsRequest : httpRequest;
    this.agent = secure
      ? new HttpsAgent({ keepAlive: true, ...authority })
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
        let length = 0;
        // The rest is read, and left out: what is wanted of an answer is at its beginning.
        response.on('data', (piece: Buffer) => {
          if (length < MAX_ANSWER_BYTES) pieces.push(piece);
          length += piece.length;
        });
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

/** User and password of a URL, decoded; empty where it has none. Throws EndpointError. */
export function userinfoOf(key: string, { username, password }: URL): [user: string, password: string] {
  try {
    return [decodeURIComponent(username), decodeURIComponent(password)];
  } catch {
    throw new EndpointError(`${key}: user and password of a URL are percent-encoded; write %25 for %`);
  }
}

/** Throws EndpointError. */
export function readCa(key: string, path: string): Buffer {
  let pem: Buffer;
  try {
    pem = readFileSync(path);
  } catch (error) {
    throw new EndpointError(`${key}: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    new X509Certificate(pem);
  } catch {
    // Node would take it, and trust nobody.
    throw new EndpointError(`${key}: ${path} holds no certificate; it is to be PEM`);
  }
  return pem;
}
