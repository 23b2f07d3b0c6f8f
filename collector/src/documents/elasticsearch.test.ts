/** What becomes of documents when Elasticsearch, or what stands before it, does not simply take them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { batchOf, httpRecord, Lines } from '../harness.js';
import { health } from '../health.js';
import { ElasticsearchOutput } from './elasticsearch.js';

const directory = mkdtempSync(join(tmpdir(), 'packetd-documents-'));
after(() => rmSync(directory, { recursive: true }));

interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: string;
}

/** Answers _bulk as `reply` says for the ids of its documents, everything else as done. */
async function elasticsearch(reply: (ids: readonly string[], bytes: number) => Reply) {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const raw = Buffer.concat(pieces);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      const isBulk = request.url!.startsWith('/_bulk');
      const ids = isBulk ? [...body.toString().matchAll(/"_id":"([0-9a-f]+)"/g)].map(([, id]) => id) : [];
      const { status, headers, body: text } = isBulk ? reply(ids, body.length) : { status: 200, body: '{}' };
      response
        .writeHead(status, {
          'content-type': 'application/json',
          'x-elastic-product': 'Elasticsearch',
          ...headers,
        })
        .end(text);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { server, url };
}

const items = (statuses: readonly number[], reason = ''): Reply => ({
  status: 200,
  body: JSON.stringify({
    errors: statuses.some((status) => status >= 300),
    items: statuses.map((status) => ({
      create: { status, ...(reason === '' ? {} : { error: { type: 'document_parsing_exception', reason } }) },
    })),
  }),
});

const output = (url: string, deadLetter = '') =>
  new ElasticsearchOutput(
    { servers: [url], namespace: 'default', username: '', password: '', apiKey: '', ca: '', deadLetter },
    new Lines(),
  );

const records = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    httpRecord({ id: Uint8Array.from({ length: 16 }, (_, n) => (n === 15 ? i : 1)) }),
  );

test('a request that is too large goes in parts, and later ones are smaller', async () => {
  // nginx with client_max_body_size 8k, which answers with a page.
  const page = { status: 413, headers: { 'content-type': 'text/html' }, body: '<h1>413</h1>' };
  const taken: string[] = [];
  let refused = 0;
  const { server, url } = await elasticsearch((ids, bytes) => {
    if (bytes > 8192) {
      refused++;
      return page;
    }
    taken.push(...ids);
    return items(ids.map(() => 201));
  });
  const documents = output(url);
  await documents.write(batchOf(records(200)));
  assert.equal(taken.length, 200);
  assert.equal(new Set(taken).size, 200);
  const before = refused;
  await documents.write(batchOf(records(100)));
  assert.equal(taken.length, 300);
  assert.ok(refused - before < before, `${before} requests were too large, then ${refused - before}`);
  await documents.close(1000);
  server.close();
});

test('each document by its own status: 429 again, 409 done, 400 to the dead letters', async () => {
  const deadLetter = join(directory, 'dead.ndjson');
  const asked: number[] = [];
  const { server, url } = await elasticsearch((ids) => {
    asked.push(ids.length);
    if (asked.length === 1) return { status: 429, headers: { 'retry-after': '1' }, body: '{}' };
    if (asked.length === 2) return items([201, 429, 409, 503]);
    return items([201, 400], 'failed to parse field [x]');
  });
  const documents = output(url, deadLetter);
  const begin = Date.now();
  await documents.write(batchOf(records(4)));
  assert.deepEqual(asked, [4, 4, 2]);
  assert.ok(Date.now() - begin >= 1000, 'Retry-After is honoured');
  await documents.close(1000);
  server.close();
  const [line, ...further] = readFileSync(deadLetter, 'utf8').trim().split('\n');
  assert.deepEqual(further, []);
  const dead = JSON.parse(line) as {
    status: number;
    reason: string;
    document: { event: { id: string } };
  };
  assert.deepEqual([dead.status, dead.reason], [400, 'document_parsing_exception failed to parse field [x]']);
  assert.equal(dead.document.event.id, `${'01'.repeat(15)}03`);
});

test('refused documents do not wait for the dead-letter file, nor hold up or end anything', async () => {
  for (const answer of [
    items([201, 400, 201]),
    { status: 400, headers: {}, body: '{"error":{"type":"x"}}' },
  ]) {
    const asked: number[] = [];
    const { server, url } = await elasticsearch((ids) => {
      asked.push(ids.length);
      return answer;
    });
    const lost = async () => (await health.deadLettersLost.get()).values[0].value;
    const before = await lost();
    const documents = output(url, '/dev/full');
    await documents.write(batchOf(records(3)));
    await documents.close(1000);
    server.close();
    assert.deepEqual(asked, [3]);
    assert.equal((await lost()) - before, answer.status === 400 ? 3 : 1);
  }
});

const PLAIN = {
  servers: ['http://127.0.0.1:1'],
  namespace: 'default',
  username: '',
  password: '',
  apiKey: '',
  ca: '',
  deadLetter: '',
};
for (const [what, config, says] of [
  ['a server without http', { servers: ['elastic:9200'] }, /servers has what is no URL; write http/],
  ['a secret in what is no URL', { servers: ['u:S3cret@h/'] }, /^(?!.*S3cret)/],
  [
    'a password that is not encoded',
    { servers: ['http://u:S3cr%t@h/'] },
    /^(?!.*S3cr).*servers: user and password of a URL are percent-encoded; write %25 for %$/,
  ],
  ['a namespace that no data stream has', { namespace: 'A/b' }, /namespace cannot be 'A\/b'/],
  ['a CA that is not there', { ca: '/nowhere.pem' }, /ca: cannot read \/nowhere.pem \(ENOENT\)/],
] as const)
  test(`refused at start: ${what}`, () => {
    assert.throws(() => new ElasticsearchOutput({ ...PLAIN, ...config }, new Lines()), {
      name: 'CollectorError',
      message: says,
    });
  });
