/**
 * Documents to Elasticsearch data streams by _bulk. The record's id is the document's `_id` and the
 * operation is `create`, so what is sent again is refused as there already, and counts as done.
 */
import { Client, type ClientOptions, errors } from '@elastic/elasticsearch';
import { RoundTripTag } from '@packetd/proto';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { dataStream, indexTemplates } from '@packetd/proto/telemetry/mapping';
import { protocolNameOf } from '@packetd/proto/telemetry/protocol-name';
import { health } from '../health.js';
import type { Log } from '../log.js';
import type { Batch, Output } from '../output.js';
import { EndpointError, readCa, userinfoOf } from '../post.js';
import { Backoff, ClosedError, pause, retryAfterMs } from '../retry.js';
import { RotatedFile } from './rotated-file.js';
import { BatchDocuments } from './writer.js';

export interface ElasticsearchConfig {
  readonly servers: readonly string[];
  readonly namespace: string;
  /** Empty strings for none. */
  readonly username: string;
  readonly password: string;
  readonly apiKey: string;
  /** Path of the CA certificate. */
  readonly ca: string;
  /** File for documents that are refused; empty keeps none. */
  readonly deadLetter: string;
}

const NAME = 'documents';
/** Size from which on a request is sent at once, and how long a smaller one waits for more. */
const BULK_BYTES = 4 << 20;
const BULK_AGE_MS = 200;
const REQUESTS_AT_ONCE = 4;
const REQUEST_TIMEOUT_MS = 60_000;
const DEAD_LETTER_BYTES = 100e6;
const DEAD_LETTER_BACKUPS = 2;
const POLICY = 'packetd';
const CONFLICT = 409;
const TOO_LARGE = 413;
const TOO_MANY_REQUESTS = 429;

/** One document on its way. */
interface Item {
  /** Action line and document, both with their line ends. */
  readonly bytes: Uint8Array;
  readonly done: () => void;
}

interface BulkItem {
  readonly status: number;
  readonly error?: { readonly type?: string; readonly reason?: string };
}

export class ElasticsearchOutput implements Output {
  readonly name = NAME;
  private readonly client: Client;
  private readonly documents = new BatchDocuments();
  private readonly actions = new Map<string, [Buffer, Buffer]>();
  private readonly deadLetter: RotatedFile | null;
  private readonly closing = new AbortController();
  private readonly scratch = new ByteBuffer(1 << 20);
  /** Rejects the writes that are still open. */
  private readonly open = new Set<() => void>();
  private waiting: Item[] = [];
  private waitingBytes = 0;
  /** Smaller once a server, or a proxy before it, has said that a request is too large. */
  private bulkBytes = BULK_BYTES;
  private timer: NodeJS.Timeout | null = null;
  private running = 0;
  private slots: (() => void)[] = [];
  private readonly ready: Promise<void>;
  /** The last attempt reached the server. */
  reachable = false;

  /** Throws EndpointError and FileError. */
  constructor(
    private readonly config: ElasticsearchConfig,
    private readonly log: Log,
  ) {
    this.client = new Client(clientOptions(config));
    this.deadLetter =
      config.deadLetter === ''
        ? null
        : new RotatedFile(config.deadLetter, DEAD_LETTER_BYTES, DEAD_LETTER_BACKUPS);
    this.ready = this.setUp();
  }

  write(batch: Batch): Promise<void> {
    return new Promise((resolve, reject) => {
      let left = 1;
      const giveUp = () => reject(new ClosedError(NAME));
      this.open.add(giveUp);
      const done = () => {
        if (--left > 0) return;
        this.open.delete(giveUp);
        health.batches.inc({ output: NAME, result: 'written' });
        resolve();
      };
      const { scratch } = this;
      scratch.length = 0;
      let unreadable = 0;
      const broken = this.documents.write(batch, scratch, (start, end, documentStart, documentEnd) => {
        const protocol = protocolNameOf(batch.bytes, start, end);
        const id = idOf(batch.bytes, start);
        if (protocol === undefined || id === null) {
          unreadable++;
          return;
        }
        const [before, behind] = this.action(protocol);
        const document = scratch.bytes.subarray(documentStart, documentEnd + 1);
        left++;
        this.add({ bytes: Buffer.concat([before, id, behind, document]), done });
      });
      health.records.inc({ output: NAME, result: 'unreadable' }, broken + unreadable);
      done();
    });
  }

  reopen(): void {
    this.deadLetter?.reopen();
  }

  async close(deadlineMs: number): Promise<void> {
    this.send();
    const until = Date.now() + deadlineMs;
    while ((this.running > 0 || this.slots.length > 0) && Date.now() < until)
      await pause(20, this.closing.signal);
    this.closing.abort();
    for (const giveUp of this.open) giveUp();
    this.deadLetter?.close();
    await this.client.close();
  }

  private action(protocol: string): [Buffer, Buffer] {
    let parts = this.actions.get(protocol);
    if (parts === undefined) {
      const index = JSON.stringify(dataStream(protocol, this.config.namespace));
      parts = [Buffer.from(`{"create":{"_index":${index},"_id":"`), Buffer.from('"}}\n')];
      this.actions.set(protocol, parts);
    }
    return parts;
  }

  private add(item: Item): void {
    this.waiting.push(item);
    this.waitingBytes += item.bytes.length;
    if (this.waitingBytes >= this.bulkBytes) this.send();
    else this.timer ??= setTimeout(() => this.send(), BULK_AGE_MS);
  }

  private send(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.waiting.length === 0) return;
    const items = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    void this.deliver(items);
  }

  private async deliver(items: Item[]): Promise<void> {
    await this.ready;
    if (this.running >= REQUESTS_AT_ONCE) await new Promise<void>((resolve) => this.slots.push(resolve));
    this.running++;
    await this.sendAll(items);
    this.running--;
    this.slots.shift()?.();
  }

  /** Sends until every document is in, refused, or the output closed. */
  private async sendAll(items: Item[]): Promise<void> {
    const backoff = new Backoff();
    const { signal } = this.closing;
    while (!signal.aborted) {
      let askedMs = 0;
      try {
        items = this.settle(items, await this.bulk(items));
        this.reachable = true;
        if (items.length === 0) return;
      } catch (error) {
        const { status, reason, after } = describe(error);
        this.reachable = status > 0;
        if (status === TOO_LARGE && items.length > 1) {
          const middle = items.length >> 1;
          this.bulkBytes = Math.max(1, Math.min(this.bulkBytes, bytesOf(items) >> 1));
          health.retries.inc({ output: NAME });
          await this.sendAll(items.slice(0, middle));
          items = items.slice(middle);
          continue;
        }
        if (isRefusal(status)) {
          for (const item of items) this.refuse(item, { status, error: { reason } });
          return;
        }
        askedMs = after;
        this.log.warn('elasticsearch does not take documents; trying again', { status, reason });
      }
      health.retries.inc({ output: NAME });
      await pause(backoff.delay(askedMs), signal);
    }
  }

  private async bulk(items: readonly Item[]): Promise<readonly BulkItem[]> {
    const body = Buffer.concat(items.map((item) => item.bytes));
    const answer = (await this.client.transport.request(
      {
        method: 'POST',
        path: '/_bulk',
        bulkBody: body,
        querystring: { filter_path: 'errors,items.*.status,items.*.error' },
      },
      { requestTimeout: REQUEST_TIMEOUT_MS, maxRetries: 0 },
    )) as { readonly errors: boolean; readonly items?: readonly { readonly [action: string]: BulkItem }[] };
    return (answer.items ?? []).map((item) => Object.values(item)[0]);
  }

  /** Answers the documents that must be sent again. */
  private settle(items: readonly Item[], results: readonly BulkItem[]): Item[] {
    const again: Item[] = [];
    let written = 0;
    let duplicate = 0;
    items.forEach((item, index) => {
      const result = results[index];
      if (result === undefined || result.status === TOO_MANY_REQUESTS || result.status >= 500) {
        again.push(item);
      } else if (result.status === CONFLICT) {
        duplicate++;
        item.done();
      } else if (result.status >= 400) {
        this.refuse(item, result);
      } else {
        written++;
        item.done();
      }
    });
    if (written > 0) health.records.inc({ output: NAME, result: 'written' }, written);
    if (duplicate > 0) health.records.inc({ output: NAME, result: 'duplicate' }, duplicate);
    return again;
  }

  /** Elasticsearch will never take it: it goes to the dead-letter file with the reason. */
  private refuse(item: Item, result: BulkItem): void {
    health.records.inc({ output: NAME, result: 'refused' });
    const reason = `${result.error?.type ?? ''} ${result.error?.reason ?? ''}`.trim();
    this.log.warn('elasticsearch refused a document', { status: result.status, reason });
    this.bury(item, result.status, reason);
    item.done();
  }

  private bury(item: Item, status: number, reason: string): void {
    if (this.deadLetter === null) return;
    const text = Buffer.from(item.bytes).toString('utf8');
    const [action, document] = text.split('\n');
    const line = `{"status":${status},"reason":${JSON.stringify(reason)},"action":${action},"document":${document}}\n`;
    const bytes = Buffer.from(line);
    try {
      this.deadLetter.write(bytes, bytes.length);
    } catch (error) {
      // What Elasticsearch takes must not wait for room for what it refuses.
      health.deadLettersLost.inc();
      this.log.error('a refused document is lost', { reason: (error as Error).message });
    }
  }

  /** Templates of the data streams, made before the first document; tried until the server is there. */
  private async setUp(): Promise<void> {
    const backoff = new Backoff();
    let plain = false;
    while (!this.closing.signal.aborted) {
      try {
        const lifecycle = plain ? undefined : await this.putLifecycle();
        for (const { name, body } of indexTemplates(this.config.namespace, lifecycle)) {
          await this.client.indices.putIndexTemplate({ name, ...(plain ? withoutLicensed(body) : body) } as {
            name: string;
          });
        }
        this.reachable = true;
        return;
      } catch (error) {
        const { status, reason, after } = describe(error);
        if (isRefusal(status) && !plain) {
          // A build without the licensed field types, or without lifecycles.
          plain = true;
          continue;
        }
        if (isRefusal(status)) {
          this.log.error('elasticsearch refused the index templates; documents get its own mapping', {
            status,
            reason,
          });
          return;
        }
        this.log.warn('elasticsearch does not take the index templates; trying again', { status, reason });
        await pause(backoff.delay(after), this.closing.signal);
      }
    }
  }

  /** Rolls over by day or size, deletes after 30 days; servers without lifecycles (OpenSearch, minimal ones) go without. */
  private async putLifecycle(): Promise<string | undefined> {
    try {
      await this.client.ilm.getLifecycle({ name: POLICY });
      return POLICY;
    } catch (error) {
      if (!(error instanceof errors.ResponseError)) throw error;
      if (error.statusCode !== 404) return undefined;
    }
    try {
      await this.client.ilm.putLifecycle({
        name: POLICY,
        policy: {
          phases: {
            hot: { actions: { rollover: { max_age: '1d', max_primary_shard_size: '25gb' } } },
            delete: { min_age: '30d', actions: { delete: {} } },
          },
        },
      });
      return POLICY;
    } catch (error) {
      if (error instanceof errors.ResponseError) return undefined;
      throw error;
    }
  }
}

/** What the names of data streams allow of a namespace. */
const NAMESPACE = /^[^A-Z\s\\/*?"<>|,#:-]{1,100}$/;

/** Throws EndpointError. */
function clientOptions(config: ElasticsearchConfig): ClientOptions {
  const { servers, namespace, username, password, apiKey, ca } = config;
  const key = 'exporter.roundtrips.elasticsearch';
  for (const server of servers) {
    if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol))
      throw new EndpointError(`${key}.servers has what is no URL; write http://host:9200`);
    // The client decodes them, and throws what has them in it.
    userinfoOf(`${key}.servers`, new URL(server));
  }
  if (!NAMESPACE.test(namespace))
    throw new EndpointError(
      `${key}.namespace cannot be '${namespace}'; use lower-case letters, digits and _`,
    );
  if (apiKey !== '' && username !== '')
    throw new EndpointError(
      `${key}.apiKey and ${key}.username are different ways to log in; set one of them`,
    );
  if (password !== '' && username === '')
    throw new EndpointError(`${key}.password needs ${key}.username; set both`);
  const auth = apiKey !== '' ? { auth: { apiKey } } : username !== '' ? { auth: { username, password } } : {};
  return {
    nodes: [...servers],
    ...auth,
    ...(ca === '' ? {} : { tls: { ca: readCa(`${key}.ca`, ca) } }),
    compression: true,
    // Its meta header and sniffing say nothing that we want said.
    enableMetaHeader: false,
    // What sensors know packetd's own requests by.
    headers: { 'user-agent': 'packetd' },
  };
}

/** A whole request that the server will never take: malformed or forbidden, but not a wrong password. */
function isRefusal(status: number): boolean {
  return status === 400 || status === TOO_LARGE;
}

/** The template with `keyword` for `constant_keyword`, which only licensed builds have. */
function withoutLicensed(body: object): object {
  return JSON.parse(
    JSON.stringify(body, (_, value: { type?: string }) =>
      value?.type === 'constant_keyword' ? { type: 'keyword' } : value,
    ),
  ) as object;
}

/** Status (0 where the server was not reached), reason without the request's body, and what Retry-After asks for. */
function describe(error: unknown): { status: number; reason: string; after: number } {
  if (error instanceof errors.ResponseError) {
    const { statusCode = 0, headers } = error;
    const type = (error.body as { error?: { type?: string } } | undefined)?.error?.type;
    const after = headers?.['retry-after'];
    return {
      status: statusCode,
      reason: type ?? `status ${statusCode}`,
      after: retryAfterMs(Array.isArray(after) ? after[0] : after),
    };
  }
  return { status: 0, reason: (error as Error).message, after: 0 };
}

function bytesOf(items: readonly Item[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

const ID_BYTES = 16;

/** The record's id in hexadecimal: it is the first field of every record. null where it is not. */
function idOf(bytes: Uint8Array, start: number): Buffer | null {
  if (bytes[start] !== RoundTripTag.id || bytes[start + 1] !== ID_BYTES) return null;
  return Buffer.from(Buffer.from(bytes.buffer, bytes.byteOffset + start + 2, ID_BYTES).toString('hex'));
}
