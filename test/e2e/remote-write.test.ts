/** Prometheus as the backend of remote write: what PromQL answers is what was counted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { batchOf, httpRecord, Lines } from '@packetd/collector/harness';
import { MetricsOutput } from '@packetd/collector/metrics/index';
import { Background, freePort, has, listening, sleep } from '../bench/processes.js';
import { isRoot, PACKETD, unless } from './support.js';

/** Debian's package, or a newer one elsewhere. */
const PROMETHEUS = process.env.PROMETHEUS ?? 'prometheus';
const skip = unless(has(PROMETHEUS), 'Prometheus is not installed');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

interface Result {
  readonly metric: Record<string, string>;
  readonly value: readonly [time: number, value: string];
}

describe('Prometheus', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-prometheus-'));
  let server: Background;
  let base = '';

  before(async () => {
    const port = await freePort();
    base = `http://127.0.0.1:${port}/api/v1`;
    writeFileSync(join(directory, 'prometheus.yml'), 'global: {}\n');
    server = new Background(PROMETHEUS, [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--enable-feature=native-histograms,exemplar-storage',
    ]);
    await listening(port, 30_000);
    while (!(await fetch(`http://127.0.0.1:${port}/-/ready`)).ok) await sleep(100);
  });
  after(async () => {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true });
  });

  async function ask(path: string, parameters: Record<string, string>): Promise<unknown> {
    const answer = await fetch(`${base}/${path}?${new URLSearchParams(parameters)}`);
    const { data, error } = (await answer.json()) as { data: unknown; error?: string };
    assert.ok(answer.ok, error);
    return data;
  }

  async function query(text: string): Promise<Result[]> {
    return ((await ask('query', { query: text })) as { result: Result[] }).result;
  }

  /** The one value of a query. */
  async function scalar(text: string): Promise<number> {
    const result = await query(text);
    assert.equal(result.length, 1, `${text}: ${JSON.stringify(result)}`);
    return Number(result[0].value[1]);
  }

  it('answers counters, quantiles and exemplars, and forgets what is gone', async () => {
    const log = new Lines();
    const output = new MetricsOutput(
      {
        storage: {
          expiredMs: 4000,
          vmHistogram: false,
          nativeHistograms: true,
          seriesBudget: 3,
          labels: { http: ['path', 'status_code'] },
          layer4Labels: ['server_port'],
        },
        remoteWrite: { endpoint: `${base}/write`, intervalMs: 1000, timeoutMs: 5000, headers: {}, ca: '' },
        instance: 'replica-1',
      },
      log,
    );
    const traceId = Uint8Array.from(Buffer.from(TRACE, 'hex'));
    // 90 of 20 ms, 10 of 400 ms.
    const records = Array.from({ length: 100 }, (_, i) =>
      httpRecord(
        { durationNano: i % 10 === 0 ? 400_000_000n : 20_000_000n, trace: { traceId } },
        { path: '/' },
      ),
    );
    await output.write(batchOf(records.slice(0, 40)));
    await output.write(batchOf(records.slice(40)));
    // Two more series find room in the budget, the other five do not.
    const many = Array.from({ length: 7 }, (_, i) => httpRecord({}, { path: `/${i}` }));
    await output.write(batchOf(many));

    const root = '{path="/",instance="replica-1",status_code="200"}';
    assert.equal(await scalar(`http_requests_total${root}`), 100);
    // Without the 0 at its beginning the 40 would be missing.
    assert.ok(Math.abs((await scalar(`increase(http_requests_total${root}[1m])`)) - 100) < 10);
    assert.equal(await scalar('http_requests_total{path="_other"}'), 5);
    assert.equal(await scalar('sum(http_requests_total)'), 107);
    const classic = await scalar(`histogram_quantile(0.95, http_request_duration_seconds_bucket${root})`);
    assert.ok(classic > 0.25 && classic <= 0.5, String(classic));
    assert.equal(await scalar(`histogram_count(http_request_duration_seconds${root})`), 100);
    assert.ok(Math.abs((await scalar(`histogram_sum(http_request_duration_seconds${root})`)) - 5.8) < 1e-6);
    for (const [quantile, seconds] of [
      [0.5, 0.02],
      [0.95, 0.4],
    ]) {
      const native = await scalar(`histogram_quantile(${quantile}, http_request_duration_seconds${root})`);
      assert.ok(Math.abs(native / seconds - 1) < 0.1, `${quantile}: ${native}`);
    }
    const exemplars = (await ask('query_exemplars', {
      query: `http_request_duration_seconds_bucket${root}`,
      start: String(Date.now() / 1000 - 60),
      end: String(Date.now() / 1000 + 1),
    })) as { exemplars: { labels: Record<string, string> }[] }[];
    assert.ok(exemplars.some((series) => series.exemplars.some(({ labels }) => labels.trace_id === TRACE)));

    await sleep(6500);
    for (const name of [
      'http_requests_total',
      'http_request_duration_seconds',
      'http_response_body_bytes_sum',
    ]) {
      assert.deepEqual(await query(name), [], `${name} is stale`);
    }
    // The same series comes back: its staleness marker does not stand in the way of its 0.
    await output.write(batchOf([httpRecord({}, { path: '/' })]));
    assert.equal(await scalar(`http_requests_total${root}`), 1);
    await output.close(5000);
    assert.deepEqual(log.lines, []);
  });

  it('has what packetd up saw on the wire, layer 4 too', {
    skip: unless(isRoot, 'capturing needs root'),
  }, async () => {
    const web = createServer((request, response) => {
      response.writeHead(request.url === '/missing' ? 404 : 200).end('hello');
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    const configuration = join(directory, 'packetd.yaml');
    writeFileSync(
      configuration,
      `sniffer: { ifaces: lo }
controller: { layer4Metrics: { enabled: true } }
exporter: { metrics: { enabled: true, endpoint: '${base}/write', interval: 500ms } }
server: { enabled: false }
`,
    );
    const packetd = new Background(process.execPath, [PACKETD, 'up', '--quiet', '--config', configuration]);
    try {
      await packetd.said('watching');
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (const path of ['/', '/', '/missing']) {
        const [response] = await once(get({ port, path, agent }), 'response');
        response.resume();
        await once(response, 'end');
      }
      agent.destroy();
      await sleep(500);
    } finally {
      await packetd.stop('SIGINT');
      web.close();
    }
    const server = `{server_port="${port}"}`;
    const counts = await query(`sum by (status_code) (http_requests_total${server})`);
    assert.deepEqual(
      Object.fromEntries(counts.map(({ metric, value }) => [metric.status_code, Number(value[1])])),
      { 200: 2, 404: 1 },
    );
    assert.equal(await scalar(`sum(http_request_duration_seconds_count${server})`), 3);
    assert.equal(await scalar(`tcp_connections_opened_total${server}`), 1);
    assert.equal(await scalar(`tcp_handshake_duration_seconds_count${server}`), 1);
    assert.ok((await scalar(`tcp_client_bytes_total${server}`)) > 100);
  });
});
