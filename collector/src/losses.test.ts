/** Whatever an output or a source leaves out is counted at /metrics. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RoundTripBatchTag, RoundTripTag } from '@packetd/proto';
import { Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { ElasticsearchOutput } from './documents/elasticsearch.js';
import { LinesOutput } from './documents/lines.js';
import { answering, Backend, batchOf, httpRecord, Lines } from './harness.js';
import { registry } from './health.js';
import { MetricsOutput } from './metrics/index.js';
import { Batch, type Output } from './output.js';
import { Tail } from './server/tail.js';
import { InProcessSource } from './source/in-process.js';
import { TracesOutput } from './traces/index.js';

const directory = mkdtempSync(join(tmpdir(), 'packetd-losses-'));
after(() => rmSync(directory, { recursive: true }));

/** Value of one sample of /metrics as a scraper reads it. */
async function sample(name: string, labels: string): Promise<number> {
  const text = await registry.metrics();
  const line = text.split('\n').find((l) => l.startsWith(`${name}{${labels}} `));
  return line === undefined ? 0 : Number(line.split(' ').at(-1));
}
const records = (output: string, result: string) =>
  sample('packetd_output_records_total', `output="${output}",result="${result}"`);

/** Counts by which these samples grow while `run` runs. */
async function growth(
  samples: readonly (() => Promise<number>)[],
  run: () => Promise<unknown>,
): Promise<number[]> {
  const before = await Promise.all(samples.map((read) => read()));
  await run();
  const now = await Promise.all(samples.map((read) => read()));
  return now.map((value, i) => value - before[i]);
}

/** A good record, one of no protocol, and one without an id. */
const MIXED = batchOf([
  httpRecord(),
  httpRecord({ detail: { case: undefined } }),
  httpRecord({ id: new Uint8Array(0) }),
]);
/** A record whose only field ends behind the record: a batch that a lenient reader takes, and no document. */
const BROKEN = new Batch(
  Uint8Array.of(
    ...[RoundTripBatchTag.roundtrips, 3, RoundTripTag.operation, 5, 0x41],
    ...[RoundTripBatchTag.sensor, 0],
  ),
);
test('documents as lines wait for a file that cannot be written, and are in it once', async () => {
  const path = join(directory, 'waits.ndjson');
  const log = new Lines();
  // Smaller than a batch, so that the second one rotates.
  const output = LinesOutput.file(path, 10, 1, log);
  await output.write(batchOf([httpRecord()]));
  mkdirSync(`${path}.1`);
  let accepted = false;
  const grown = await growth([() => records('file', 'written')], async () => {
    const write = output.write(batchOf([httpRecord(), httpRecord()])).then(() => {
      accepted = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(!accepted);
    assert.ok(!output.reachable);
    assert.match(log.lines[0], /^documents cannot be written; trying again .*waits\.ndjson \(E/);
    rmdirSync(`${path}.1`);
    await write;
  });
  assert.deepEqual(grown, [2]);
  assert.ok(output.reachable);
  await output.close();
  assert.equal(readFileSync(`${path}.1`, 'utf8').split('\n').length, 2);
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 3);
});

test('documents as lines', async () => {
  const path = join(directory, 'lines.ndjson');
  const output = LinesOutput.file(path, 1e6, 1, new Lines());
  const grown = await growth(
    [() => records('file', 'written'), () => records('file', 'unreadable')],
    async () => {
      await output.write(batchOf([httpRecord()]));
      await output.write(BROKEN);
      await output.close();
    },
  );
  assert.deepEqual(grown, [1, 1]);
  assert.equal(readFileSync(path, 'utf8').trim().split('\n').length, 1);
});

test('Elasticsearch: what has no id or protocol is left out, and the rest of the batch is written', async () => {
  const ok = { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' };
  const backend = await Backend.start(
    Array.from({ length: 64 }, () =>
      answering(200, ok, JSON.stringify({ errors: false, items: [{ create: { status: 201 } }] })),
    ),
  );
  const output = new ElasticsearchOutput(
    {
      servers: [new URL(backend.url).origin],
      ...{ namespace: 'default', username: '', password: '', apiKey: '', ca: '', deadLetter: '' },
    },
    new Lines(),
  );
  const grown = await growth(
    [() => records('documents', 'written'), () => records('documents', 'unreadable')],
    async () => {
      await output.write(MIXED);
      await output.write(BROKEN);
    },
  );
  await output.close(1000);
  await backend.stop();
  assert.deepEqual(grown, [1, 3]);
});

test('traces: sampled out, and no span', async () => {
  const backend = await Backend.start();
  const output = new TracesOutput(
    {
      endpoint: backend.url,
      protocol: 'http',
      timeoutMs: 1000,
      headers: {},
      ca: '',
      sampleRatio: 0,
      slowMs: 1000,
    },
    new Lines(),
  );
  const slow = { durationNano: 2_000_000_000n };
  const grown = await growth(
    [
      () => records('traces', 'written'),
      () => records('traces', 'sampled_out'),
      () => records('traces', 'unreadable'),
    ],
    () =>
      output.write(
        batchOf([
          httpRecord(),
          httpRecord(slow),
          httpRecord({ ...slow, detail: { case: undefined } }),
          httpRecord({ ...slow, id: new Uint8Array(0) }),
        ]),
      ),
  );
  await output.close(1000);
  await backend.stop();
  assert.deepEqual(grown, [1, 1, 2]);
});

test("a sensor's counters of losses exist before the first loss, so that the first one is an increase", async () => {
  const output = new MetricsOutput(
    {
      storage: {
        expiredMs: 60_000,
        vmHistogram: false,
        nativeHistograms: false,
        seriesBudget: 10,
        labels: {},
        layer4Labels: [],
      },
      remoteWrite: null,
      instance: 'here',
    },
    new Lines(),
  );
  await output.write(batchOf([], { sensor: { name: 'lossless' } }));
  const text = await registry.metrics();
  for (const name of ['kernelDropped', 'recordsDropped'])
    assert.ok(
      text.includes(`packetd_sensor_ledger_total{sensor="lossless",name="${name}",protocol=""} 0\n`),
      name,
    );
  await output.close(0);
});

test('metrics: no protocol, and no room for a gauge', async () => {
  const output = new MetricsOutput(
    {
      storage: {
        expiredMs: 60_000,
        vmHistogram: false,
        nativeHistograms: false,
        seriesBudget: 1,
        labels: {},
        layer4Labels: ['server_address'],
      },
      remoteWrite: null,
      instance: 'test',
    },
    new Lines(),
  );
  const endpoint = (port: number) => ({
    address: Uint8Array.of(10, 0, 0, 2),
    port,
    transport: Transport.TCP,
  });
  const grown = await growth(
    [
      () => records('metrics', 'written'),
      () => records('metrics', 'unreadable'),
      () => sample('packetd_metrics_gauges_left_out_total', 'metric="tcp_connections_active"'),
    ],
    () =>
      output.write(
        batchOf([httpRecord(), httpRecord({ detail: { case: undefined } })], {
          endpoints: [endpoint(1), endpoint(2), endpoint(3)],
        }),
      ),
  );
  assert.deepEqual(grown, [1, 1, 2]);
});

test('in-process source: no room, a write that failed, and no time at the end', async () => {
  const writes: (() => void)[] = [];
  const failing: Output = {
    name: 'failing',
    window: 1,
    write: () => new Promise((_, reject) => writes.push(() => reject(new Error('closed')))),
    close: async () => {},
  };
  const source = new InProcessSource([failing], 100);
  const bytes = () => new Uint8Array(60);
  const dropped = [
    () => records('failing', 'dropped'),
    () => sample('packetd_output_batches_total', 'output="failing",result="dropped"'),
  ];
  // The first is being written; the second has no room once the third is there.
  assert.deepEqual(
    await growth(dropped, async () => {
      source.batch(bytes(), 1);
      source.batch(bytes(), 10);
      source.batch(bytes(), 100);
    }),
    [10, 1],
  );
  assert.deepEqual(await growth(dropped, async () => assert.equal(await source.drain(0), 100)), [100, 1]);
  assert.deepEqual(
    await growth(dropped, async () => {
      writes[0]();
      await new Promise(setImmediate);
    }),
    [1, 1],
  );
});

test('live tail: more than is shown, and what is no batch', async () => {
  const tail = new Tail();
  let lines = 0;
  const unfollow = tail.follow(() => {
    lines++;
  });
  const left = (reason: string) => () => sample('packetd_watch_left_out_total', `reason="${reason}"`);
  const grown = await growth([left('many'), left('unreadable'), left('batch')], async () => {
    tail.add(batchOf(Array.from({ length: 1003 }, () => httpRecord())));
    tail.add(BROKEN);
    tail.add(new Batch(Uint8Array.of(0xff, 0xff)));
  });
  unfollow();
  assert.equal(lines, 1000);
  assert.deepEqual(grown, [3, 1, 1]);
});
