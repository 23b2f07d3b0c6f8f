/** What a collector, `packetd up` and an agent serve over HTTP. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { getHeapSnapshot } from 'node:v8';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { health, registry } from '../health.js';
import { page } from './page.js';
import { cpuProfile } from './profile.js';
import type { Tail } from './tail.js';

export interface ServerConfig {
  /** host:port; `:port` is loopback. */
  readonly address: string;
  /** Longest a request may take; /watch lasts as long as it is read. */
  readonly timeoutMs: number;
  readonly pprof: boolean;
  /** For administrative routes; empty allows them on loopback only. */
  readonly token: string;
}

/** What the routes show and do; what is null is not served. */
export interface ServerParts {
  readonly tail: Tail | null;
  /** Prometheus text of the roundtrips' metrics. */
  readonly metrics: ((openMetrics: boolean) => string) | null;
  /** Further lines of /metrics: the sensor's ledger. */
  readonly ledger: (() => string) | null;
  /** Names of what is not ready; empty when all is. */
  readonly notReady: () => string[];
  /** Reads the configuration again; answers what it did. */
  readonly reload: () => Promise<string>;
  readonly logLevel: { get(): string; set(level: string): boolean };
}

/** An address that cannot be used; the message says why and what to do. */
export class ServerError extends Error {
  override readonly name = 'CollectorError';
}

/** A reader this far behind is cut off. */
const MAX_BEHIND_BYTES = 4 << 20;
const MAX_PROFILE_SECONDS = 120;
/** Longest time of a timer of Node, 24 days; with more it would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const TEXT = 'text/plain; charset=utf-8';
const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

export class Server {
  private readonly app: FastifyInstance;
  private readonly host: string;
  private readonly wantedPort: number;

  /** Throws ServerError where the address is none. */
  constructor(
    private readonly config: ServerConfig,
    private readonly parts: ServerParts,
  ) {
    [this.host, this.wantedPort] = parseAddress(config.address);
    this.app = fastify({ forceCloseConnections: true, requestTimeout: config.timeoutMs });
    this.routes();
  }

  /** What it listens on; a name has several addresses, perhaps. */
  get addresses(): readonly { address: string; port: number }[] {
    return this.app.addresses().filter((address) => typeof address !== 'string');
  }

  /** Rejects with ServerError. */
  async listen(): Promise<void> {
    try {
      await this.app.listen({ host: this.host, port: this.wantedPort });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${code})`;
      throw new ServerError(
        `address ${this.config.address} ${why}; set server.address (PACKETD_SERVER_ADDRESS) to another`,
      );
    }
  }

  close(): Promise<void> {
    return this.app.close();
  }

  private routes(): void {
    const { app, parts } = this;
    if (parts.tail !== null) {
      const { tail } = parts;
      app.get('/', (_, reply) => this.page(reply));
      // An answer to HEAD would never end.
      app.get('/watch', { exposeHeadRoute: false }, (request, reply) => watch(tail, request, reply));
    }
    app.get('/metrics', async (_, reply) => {
      reply.type(PROMETHEUS);
      return `${await registry.metrics()}${parts.ledger?.() ?? ''}`;
    });
    if (parts.metrics !== null) {
      const { metrics } = parts;
      app.get('/protocol/metrics', (request, reply) => {
        const openMetrics = request.headers.accept?.includes('application/openmetrics-text') ?? false;
        reply.type(openMetrics ? OPEN_METRICS : PROMETHEUS).send(metrics(openMetrics));
      });
    }
    app.get('/healthz', (_, reply) => reply.type(TEXT).send('ok\n'));
    app.get('/readyz', (_, reply) => {
      const missing = parts.notReady();
      if (missing.length === 0) reply.type(TEXT).send('ok\n');
      else
        reply
          .code(503)
          .type(TEXT)
          .send(`not ready: ${missing.join(', ')}\n`);
    });
    app.setNotFoundHandler((_, reply) => {
      reply
        .code(404)
        .type(TEXT)
        .send(`there is ${[...this.paths].join(', ')}\n`);
    });
    this.administration();
  }

  private readonly paths = ['/', '/watch', '/metrics', '/protocol/metrics', '/healthz', '/readyz'];

  /** Routes that change something or show the inside of the process. */
  private administration(): void {
    const { app, parts, config } = this;
    const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
      if (this.mayAdminister(request)) return;
      await reply
        .code(config.token === '' ? 403 : 401)
        .type(TEXT)
        .send('this route needs server.token as Authorization: Bearer, or a server.address on loopback\n');
    };
    app.post('/-/reload', { onRequest }, async (_, reply) => {
      reply.type(TEXT);
      return `${await parts.reload()}\n`;
    });
    app.get('/-/logger', { onRequest }, (_, reply) => reply.type(TEXT).send(`${parts.logLevel.get()}\n`));
    app.post<{ Querystring: { level?: string } }>('/-/logger', { onRequest }, (request, reply) => {
      const { level = '' } = request.query;
      if (parts.logLevel.set(level)) reply.type(TEXT).send(`${level}\n`);
      else reply.code(400).type(TEXT).send('?level= is one of debug, info, warn, error\n');
    });
    this.paths.push('/-/reload', '/-/logger');
    if (!config.pprof) return;
    app.get<{ Querystring: { seconds?: string } }>(
      '/debug/pprof/profile',
      { onRequest },
      async (request, reply) => {
        const seconds = Math.min(Math.max(Number(request.query.seconds ?? 10) || 10, 1), MAX_PROFILE_SECONDS);
        reply
          .header('content-disposition', 'attachment; filename="packetd.cpuprofile"')
          .type('application/json');
        return cpuProfile(seconds);
      },
    );
    app.get('/debug/pprof/heap', { onRequest }, (_, reply) => {
      reply
        .header('content-disposition', 'attachment; filename="packetd.heapsnapshot"')
        .type('application/json');
      return reply.send(getHeapSnapshot());
    });
    this.paths.push('/debug/pprof/profile', '/debug/pprof/heap');
  }

  private mayAdminister(request: FastifyRequest): boolean {
    const { token } = this.config;
    if (token === '') return isLoopback(this.host) && !isFromElsewhere(request);
    const given = Buffer.from(request.headers.authorization ?? '');
    const wanted = Buffer.from(`Bearer ${token}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  private page(reply: FastifyReply): void {
    const nonce = randomBytes(16).toString('base64');
    reply
      .type('text/html; charset=utf-8')
      .header(
        'content-security-policy',
        `default-src 'none'; connect-src 'self'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; base-uri 'none'; frame-ancestors 'none'`,
      )
      .header('x-content-type-options', 'nosniff')
      .send(page(nonce));
  }
}

/** `?max_message=N&timeout=SECONDS&filter=TEXT`: JSON lines, or server-sent events where they are asked for. */
function watch(tail: Tail, request: FastifyRequest, reply: FastifyReply): void {
  const query = request.query as { max_message?: string; timeout?: string; filter?: string };
  const events = request.headers.accept?.includes('text/event-stream') ?? false;
  let left = Number(query.max_message ?? Number.POSITIVE_INFINITY);
  const seconds = Number(query.timeout ?? 0);
  const { filter = '' } = query;
  if (Number.isNaN(left) || left <= 0 || Number.isNaN(seconds) || seconds < 0) {
    reply.code(400).type(TEXT).send('max_message is a number above 0, timeout is in seconds\n');
    return;
  }
  if (tail.isFull) {
    reply.code(503).header('retry-after', '10').type(TEXT).send('too many follow already; try again later\n');
    return;
  }
  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, {
    'content-type': events ? 'text/event-stream' : 'application/x-ndjson',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.flushHeaders();
  let unfollow = () => {};
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    unfollow();
    response.end();
  };
  unfollow = tail.follow((line) => {
    if (ended || (filter !== '' && !line.includes(filter))) return;
    if (response.writableLength > MAX_BEHIND_BYTES) {
      ended = true;
      health.tail.inc({ reason: 'reader' });
      unfollow();
      response.destroy();
      return;
    }
    response.write(events ? `data: ${line}\n\n` : `${line}\n`);
    if (--left <= 0) end();
  });
  if (ended) unfollow();
  const timer = seconds > 0 ? setTimeout(end, Math.min(seconds * 1000, MAX_TIMER_MS)) : null;
  response.once('close', () => {
    ended = true;
    unfollow();
    if (timer !== null) clearTimeout(timer);
  });
}

function parseAddress(address: string): [host: string, port: number] {
  const match = /^(?:\[([^[\]]*)\]|([^[\]]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ServerError(`server.address '${address}' is not host:port; write 127.0.0.1:9091 or [::1]:9091`);
  }
  return [match[1] || match[2] || '127.0.0.1', port];
}

/** A browser on this host asks for a page of another site, which is no administrator (Fetch Metadata, section 2). */
function isFromElsewhere({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  return headers.origin === undefined ? site === 'cross-site' : site !== 'same-origin';
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
