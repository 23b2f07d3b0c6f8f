/** A real Elasticsearch: documents are found by their fields, and what comes twice is there once. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ElasticsearchOutput } from '@packetd/collector/documents/elasticsearch';
import { batchOf, httpRecord, Lines } from '@packetd/collector/harness';
import { freePort, has, sleep } from '../bench/processes.js';
import { backend, startBackend, stopBackend } from './support.js';

// No Debian package has one; where the script is not there, this cannot run.
const script = backend('elasticsearch.sh');
const skip = script === null || !has('java') ? 'no Elasticsearch is to be had here' : false;

describe('Elasticsearch', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-elastic-'));
  let server: ChildProcess;
  let url = '';
  before(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    server = await startBackend(script!, ['bare', String(port)]);
  });
  after(async () => {
    await stopBackend(server);
    rmSync(directory, { recursive: true });
  });

  it('writes documents into data streams, each once', async () => {
    const namespace = `test${process.pid}`;
    const output = new ElasticsearchOutput(
      {
        servers: [url],
        namespace,
        username: '',
        password: '',
        apiKey: '',
        ca: '',
        deadLetter: join(directory, 'dead.ndjson'),
      },
      new Lines(),
    );
    const batch = batchOf(
      Array.from({ length: 100 }, (_, i) =>
        httpRecord({ id: Uint8Array.from({ length: 16 }, (_, n) => (n === 15 ? i : process.pid & 255)) }),
      ),
    );
    await output.write(batch);
    await output.write(batch);
    const found = async (query: object) => {
      const answer = await fetch(`${url}/logs-packetd.http-${namespace}/_search`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ size: 1000, query }),
      });
      return ((await answer.json()) as { hits: { hits: { _source: { event: { id: string } } }[] } }).hits
        .hits;
    };
    await fetch(`${url}/logs-packetd.http-${namespace}/_refresh`, { method: 'POST' });
    await sleep(200);
    const all = await found({ term: { 'packetd.protocol': 'http' } });
    assert.equal(all.length, 100);
    assert.equal(new Set(all.map(({ _source }) => _source.event.id)).size, 100);
    assert.equal((await found({ range: { 'event.duration': { gte: 0 } } })).length, 100);
    await output.close(5000);
    assert.equal(readFileSync(join(directory, 'dead.ndjson'), 'utf8'), '');
  });

  it('takes documents with names, numbers and texts at their limits', async () => {
    const dead = join(directory, 'odd.ndjson');
    const output = new ElasticsearchOutput(
      {
        servers: [url],
        namespace: `odd${process.pid}`,
        ...{ username: '', password: '', apiKey: '', ca: '', deadLetter: dead },
      },
      new Lines(),
    );
    const most = 2n ** 64n - 1n;
    const odd = ['\0\x01\r\n"\\\u2028', 'x'.repeat(40_000), '😀'.repeat(20_000), '', '..', 'ü'];
    const headers = odd.flatMap((key) => odd.map((value) => ({ key, value })));
    await output.write(
      batchOf(
        odd.map((text, i) =>
          httpRecord(
            {
              id: new Uint8Array(16).fill(i + 1),
              operation: text,
              target: text,
              ...(i === 0 ? { durationNano: most } : {}),
            },
            { path: text, method: text, requestHeaders: headers, requestBodyBytes: most },
          ),
        ),
      ),
    );
    await output.close(5000);
    assert.equal(readFileSync(dead, 'utf8'), '');
  });
});
