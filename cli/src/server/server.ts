/** What `packetd up` serves on one machine: the page, the live tail, and its own counters. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Ledger } from '@packetd/sensor/ledger';
import { UserError } from '../fail.js';
import { PAGE } from './page.js';
import type { Tail } from './tail.js';

/** A reader this far behind is cut off. */
const MAX_BEHIND_BYTES = 4 << 20;

export class TailServer {
  private readonly server: Server;

  constructor(
    private readonly tail: Tail,
    private readonly ledger: () => Ledger | null,
  ) {
    this.server = createServer((request, response) => this.route(request, response));
  }

  /** Port it listens on. */
  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  /** Listens on 'host:port' (':port' is loopback). Rejects with UserError. */
  listen(address: string): Promise<void> {
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '') || '127.0.0.1';
    const port = Number(address.slice(colon + 1));
    if (colon < 0 || !Number.isInteger(port) || port > 65_535) {
      throw new UserError(`server.address '${address}' is not host:port; write 127.0.0.1:9091`);
    }
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${error.code})`;
        reject(
          new UserError(`address ${address} ${why}; set server.address (PACKETD_SERVER_ADDRESS) to another`),
        );
      });
      this.server.listen(port, host, resolve);
    });
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private route(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://packetd');
    switch (url.pathname) {
      case '/':
        response.writeHead(200, {
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy':
            "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
        });
        response.end(PAGE);
        return;
      case '/watch':
        this.watch(url, request, response);
        return;
      case '/metrics':
        response
          .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
          .end(this.metrics());
        return;
      case '/healthz':
      case '/readyz':
        response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
        return;
      default:
        response
          .writeHead(404, { 'content-type': 'text/plain' })
          .end('there is /, /watch, /metrics, /healthz and /readyz\n');
    }
  }

  /** `?max_message=N&timeout=SECONDS&filter=TEXT`: JSON lines, or server-sent events when asked for. */
  private watch(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const events = request.headers.accept?.includes('text/event-stream') ?? false;
    let left = Number(url.searchParams.get('max_message') ?? Number.POSITIVE_INFINITY);
    const seconds = Number(url.searchParams.get('timeout') ?? 0);
    const filter = url.searchParams.get('filter') ?? '';
    response.writeHead(200, {
      'content-type': events ? 'text/event-stream' : 'application/x-ndjson',
      'cache-control': 'no-store',
    });
    response.flushHeaders();
    const stop: () => void = this.tail.follow((line) => {
      if (filter !== '' && !line.includes(filter)) return;
      if (response.writableLength > MAX_BEHIND_BYTES) {
        response.destroy();
        return;
      }
      response.write(events ? `data: ${line}\n\n` : `${line}\n`);
      if (--left <= 0) {
        stop();
        response.end();
      }
    });
    const timer =
      seconds > 0
        ? setTimeout(() => {
            stop();
            response.end();
          }, seconds * 1000)
        : null;
    response.once('close', () => {
      stop();
      if (timer !== null) clearTimeout(timer);
    });
  }

  private metrics(): string {
    const report = this.ledger()?.report();
    if (report === undefined) return '';
    const { protocols, ...counts } = report;
    const snake = (name: string) => name.replace(/([A-Z])/g, (c) => `_${c.toLowerCase()}`);
    const lines: string[] = [];
    for (const [name, value] of Object.entries(counts)) {
      lines.push(
        `# TYPE packetd_sensor_${snake(name)}_total counter`,
        `packetd_sensor_${snake(name)}_total ${value}`,
      );
    }
    const names = Object.keys(Object.values(protocols)[0] ?? {});
    for (const name of names) {
      lines.push(`# TYPE packetd_protocol_${snake(name)}_total counter`);
      for (const [protocol, row] of Object.entries(protocols)) {
        lines.push(
          `packetd_protocol_${snake(name)}_total{protocol="${protocol}"} ${row[name as keyof typeof row]}`,
        );
      }
    }
    return `${lines.join('\n')}\n`;
  }
}
