/** Remote write: what the requests hold, read by field numbers of prompb, and what happens to them. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { uncompressSync } from 'snappy';
import {
  answering,
  Backend,
  batchOf,
  bitsOf,
  doubleOf,
  type Fields,
  fieldsOf,
  httpRecord,
  Lines,
  messages,
  signed,
  textOf,
} from '../harness.js';
import { MetricsOutput } from './index.js';
import { MetricsRegistry, type StorageConfig } from './registry.js';
import { WriteRequests } from './write-request.js';

const STORAGE: StorageConfig = {
  expiredMs: 60_000,
  vmHistogram: false,
  nativeHistograms: false,
  seriesBudget: 100,
  labels: { http: ['method'] },
  layer4Labels: ['server_port'],
};
/** https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers */
const STALE = 0x7ff0000000000002n;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

interface Sample {
  readonly bits: bigint;
  readonly value: number;
  readonly timeMs: number;
}

/** All series of a request by their labels as text. */
function seriesOf(request: Uint8Array): Map<string, { fields: Fields; samples: Sample[] }> {
  const all = new Map<string, { fields: Fields; samples: Sample[] }>();
  for (const fields of messages(fieldsOf(request), 1)) {
    const labels = messages(fields, 1).map((label) => [textOf(label, 1), textOf(label, 2)]);
    const names = labels.map(([name]) => name);
    assert.deepEqual(names, names.toSorted(), 'labels are sorted');
    assert.equal(new Set(names).size, names.length);
    const key = labels.map(([name, value]) => `${name}=${value}`).join(' ');
    assert.ok(!all.has(key), key);
    const samples = messages(fields, 2).map((sample) => ({
      bits: bitsOf(sample, 1),
      value: doubleOf(sample, 1),
      timeMs: Number(bitsOf(sample, 2)),
    }));
    all.set(key, { fields, samples });
  }
  return all;
}

/** What the registry holds at that time, as one request. */
function requestOf(registry: MetricsRegistry, timeMs: number, afterMs = -1): Uint8Array {
  const writer = new WriteRequests('collector-1');
  for (const { family, series } of registry.expire(timeMs, true)) writer.stale(family, series, timeMs);
  for (const family of registry.families()) {
    for (const series of family.series.values()) writer.series(family, series, afterMs, timeMs);
  }
  return writer.take();
}

const points = (samples: readonly Sample[] | undefined) =>
  samples?.map(({ value, timeMs }) => [value, timeMs]);

describe('WriteRequest', () => {
  it('has sorted labels with the instance, and a 0 from when the series was made', () => {
    const registry = new MetricsRegistry(STORAGE);
    registry.take(batchOf([httpRecord()]), 5000);
    const first = seriesOf(requestOf(registry, 9000));
    const key = '__name__=http_requests_total instance=collector-1 method=GET';
    assert.deepEqual(points(first.get(key)?.samples), [
      [0, 5000],
      [1, 9000],
    ]);
    const bucket = '__name__=http_request_duration_seconds_bucket instance=collector-1 le=0.025 method=GET';
    assert.deepEqual(points(first.get(bucket)?.samples), [
      [0, 5000],
      [1, 9000],
    ]);
    registry.take(batchOf([httpRecord()]), 12_000);
    const second = seriesOf(requestOf(registry, 14_000));
    assert.deepEqual(points(second.get(key)?.samples), [[2, 14_000]]);
  });

  it('gives a gauge no 0, and a summary its sum and count', () => {
    const registry = new MetricsRegistry(STORAGE);
    const endpoint = {
      address: Uint8Array.of(10, 0, 0, 2),
      port: 8080,
      transport: Transport.TCP,
      connectionsActive: 4n,
      handshakes: 2n,
      handshakeNano: 500_000_000n,
    };
    registry.take(batchOf([], { endpoints: [endpoint] }), 1000);
    const all = seriesOf(requestOf(registry, 2000));
    const active =
      '__name__=tcp_connections_active instance=collector-1 sensor=edge-1 server_address=10.0.0.2 server_port=8080 worker=0';
    assert.deepEqual(points(all.get(active)?.samples), [[4, 2000]]);
    const name = '__name__=tcp_handshake_duration_seconds';
    assert.equal(all.get(`${name}_count instance=collector-1 server_port=8080`)?.samples[1].value, 2);
    assert.equal(all.get(`${name}_sum instance=collector-1 server_port=8080`)?.samples[1].value, 0.5);
  });

  it('marks every series of what is gone as stale', () => {
    const registry = new MetricsRegistry({ ...STORAGE, nativeHistograms: true });
    registry.take(batchOf([httpRecord()]), 0);
    const before = seriesOf(requestOf(registry, 1000));
    const after = seriesOf(requestOf(registry, 61_001));
    assert.deepEqual([...after.keys()].toSorted(), [...before.keys()].toSorted());
    for (const { fields, samples } of after.values()) {
      const histograms = messages(fields, 4);
      const bits = histograms.length > 0 ? histograms.map((h) => bitsOf(h, 3)) : samples.map((s) => s.bits);
      assert.deepEqual(bits, [STALE]);
    }
  });

  it('writes an exemplar once, at its bucket', () => {
    const registry = new MetricsRegistry(STORAGE);
    const traceId = Uint8Array.from(Buffer.from(TRACE, 'hex'));
    registry.take(batchOf([httpRecord({ trace: { traceId } })]), 500);
    const name = '__name__=http_request_duration_seconds_bucket instance=collector-1';
    const first = seriesOf(requestOf(registry, 1000));
    const [exemplar] = messages(first.get(`${name} le=0.025 method=GET`)!.fields, 3);
    const [label] = messages(exemplar, 1);
    assert.deepEqual([textOf(label, 1), textOf(label, 2)], ['trace_id', TRACE]);
    assert.equal(doubleOf(exemplar, 2), 0.02);
    assert.equal(bitsOf(exemplar, 3), 500n);
    const again = seriesOf(requestOf(registry, 2000));
    for (const { fields } of again.values()) assert.equal(messages(fields, 3).length, 0);
  });

  it('has vmrange buckets instead of le where asked', () => {
    const registry = new MetricsRegistry({ ...STORAGE, vmHistogram: true });
    registry.take(batchOf([httpRecord()]), 0);
    const keys = [...seriesOf(requestOf(registry, 1000)).keys()];
    const mine = keys.filter((key) => key.includes('http_request_duration_seconds_bucket'));
    assert.deepEqual(mine, [
      '__name__=http_request_duration_seconds_bucket instance=collector-1 method=GET vmrange=1.896e-02...2.154e-02',
    ]);
  });

  it('has native histograms that say the same as the observations', () => {
    const registry = new MetricsRegistry({ ...STORAGE, nativeHistograms: true });
    const seconds = [0.02, 0.0201, 0.5, 0.5, 3, 0];
    const records = seconds.map((s) => httpRecord({ durationNano: BigInt(Math.round(s * 1e9)) }));
    registry.take(batchOf(records), 0);
    const all = seriesOf(requestOf(registry, 1000));
    const { fields } = all.get('__name__=http_request_duration_seconds instance=collector-1 method=GET')!;
    const [zero, histogram] = messages(fields, 4);
    assert.deepEqual([bitsOf(zero, 1), doubleOf(zero, 3), bitsOf(zero, 15)], [0n, 0, 0n]);
    assert.equal(bitsOf(histogram, 1), 6n);
    assert.ok(Math.abs(doubleOf(histogram, 3) - 4.0401) < 1e-9);
    assert.equal(signed(bitsOf(histogram, 4)), 3);
    assert.equal(doubleOf(histogram, 5), 2 ** -128);
    assert.equal(bitsOf(histogram, 6), 1n);
    assert.equal(bitsOf(histogram, 15), 1000n);
    const deltas: number[] = [];
    const reader = new BinaryReader(histogram.get(12)![0] as Uint8Array);
    while (reader.pos < reader.len) deltas.push(reader.sint32());
    const counts = new Map<number, number>();
    let index = 0;
    let count = 0;
    for (const span of messages(histogram, 11)) {
      index += signed(bitsOf(span, 1));
      for (let i = 0; i < Number(bitsOf(span, 2)); i++) {
        count += deltas.shift()!;
        counts.set(index++, count);
      }
    }
    assert.equal(deltas.length, 0);
    for (const [bucket, found] of counts) {
      const within = seconds.filter((s) => s > 2 ** ((bucket - 1) / 8) && s <= 2 ** (bucket / 8));
      assert.equal(found, within.length, `bucket ${bucket}`);
    }
    assert.equal(
      [...counts.values()].reduce((a, b) => a + b),
      5,
    );
  });

  it('does not forget what was not sent yet', () => {
    const registry = new MetricsRegistry(STORAGE);
    registry.take(batchOf([httpRecord()]), 0);
    requestOf(registry, 1000);
    registry.take(batchOf([httpRecord()]), 2000);
    const key = '__name__=http_requests_total instance=collector-1 method=GET';
    assert.deepEqual(points(seriesOf(requestOf(registry, 90_000)).get(key)?.samples), [[2, 90_000]]);
    assert.equal(seriesOf(requestOf(registry, 91_000)).get(key)?.samples[0].bits, STALE);
  });

  it('puts the 0 of a series that came back after its staleness marker', () => {
    const registry = new MetricsRegistry(STORAGE);
    registry.take(batchOf([httpRecord()]), 0);
    requestOf(registry, 1000);
    requestOf(registry, 61_001);
    registry.take(batchOf([httpRecord()]), 61_001);
    const key = '__name__=http_requests_total instance=collector-1 method=GET';
    const { samples } = seriesOf(requestOf(registry, 61_003, 61_001)).get(key)!;
    assert.deepEqual(points(samples), [
      [0, 61_002],
      [1, 61_003],
    ]);
  });
});

describe('RemoteWriter', () => {
  async function withBackend(
    script: ((response: ServerResponse) => void)[],
    test: (backend: Backend, output: MetricsOutput, log: Lines) => Promise<void>,
    intervalMs = 20,
  ): Promise<void> {
    const backend = await Backend.start(script);
    const log = new Lines();
    const remoteWrite = {
      endpoint: backend.url,
      intervalMs,
      timeoutMs: 1000,
      headers: { 'x-scope': 'a' },
      ca: '',
    };
    const output = new MetricsOutput({ storage: STORAGE, remoteWrite, instance: 'collector-1' }, log);
    try {
      await test(backend, output, log);
    } finally {
      await output.close(0);
      await backend.stop();
    }
  }
  const counted = (body: Buffer) =>
    seriesOf(uncompressSync(body) as Buffer)
      .get('__name__=http_requests_total instance=collector-1 method=GET')
      ?.samples.at(-1)?.value;

  it('sends what the specification asks for, and resolves when it is accepted', () =>
    withBackend([], async (backend, output) => {
      await output.write(batchOf([httpRecord()]));
      const { headers, body } = backend.received.find((r) => counted(r.body) === 1)!;
      assert.equal(headers['content-encoding'], 'snappy');
      assert.equal(headers['content-type'], 'application/x-protobuf');
      assert.equal(headers['x-prometheus-remote-write-version'], '0.1.0');
      assert.equal(headers['x-scope'], 'a');
      const families = messages(fieldsOf(uncompressSync(body) as Buffer), 3);
      const types = new Map(families.map((family) => [textOf(family, 2), bitsOf(family, 1)]));
      assert.equal(types.get('http_requests_total'), 1n);
      assert.equal(types.get('http_request_duration_seconds'), 3n);
    }));

  it('tries 5xx and 429 again, in order and one at a time', () =>
    withBackend(
      [answering(500), answering(429, { 'retry-after': '1' }), answering(503)],
      async (backend, output) => {
        await output.write(batchOf([httpRecord()]));
        await output.write(batchOf([httpRecord()]));
        assert.equal(backend.mostOpen, 1);
        const values = backend.received.map(({ body }) => counted(body)).filter((v) => v !== undefined);
        assert.deepEqual(values.slice(0, 4), [1, 1, 1, 1]);
        assert.equal(values.at(-1), 2);
        const { atMs } = backend.received[1];
        assert.ok(backend.received[2].atMs - atMs >= 1000, 'Retry-After');
      },
    ));

  it('leaves out what is refused, and says why', () =>
    withBackend([answering(400, {}, 'out of bounds')], async (backend, output, log) => {
      await output.write(batchOf([httpRecord()]));
      assert.match(log.lines.join(), /left out.*400.*out of bounds/);
      await output.write(batchOf([httpRecord()]));
      assert.equal(counted(backend.received.at(-1)!.body), 2);
    }));

  it('splits what is long between series', async () => {
    const backend = await Backend.start();
    const remoteWrite = { endpoint: backend.url, intervalMs: 60_000, timeoutMs: 5000, headers: {}, ca: '' };
    const storage = { ...STORAGE, seriesBudget: 2000, labels: { http: ['path'] } };
    const output = new MetricsOutput({ storage, remoteWrite, instance: 'collector-1' }, new Lines());
    const records = Array.from({ length: 500 }, (_, i) => httpRecord({}, { path: `/${i}` }));
    const written = output.write(batchOf(records));
    await output.close(5000);
    await written;
    await backend.stop();
    const requests = backend.received.map(({ body }) => uncompressSync(body) as Buffer);
    assert.ok(requests.length > 2, String(requests.length));
    for (const request of requests) assert.ok(request.length < (1 << 20) + 16_384);
    const names = requests.flatMap((request) => [...seriesOf(request).keys()]);
    assert.equal(new Set(names).size, names.length);
    assert.equal(names.filter((name) => name.includes('http_requests_total')).length, 500);
  });

  it('does not follow a redirect', () =>
    withBackend([answering(301, { location: '/other' })], async (backend, output, log) => {
      await output.write(batchOf([httpRecord()]));
      assert.equal(backend.received.length, 1);
      assert.match(log.lines.join(), /301/);
    }));

  it('sends what is left when it is closed', () =>
    withBackend(
      [],
      async (backend, output) => {
        const written = output.write(batchOf([httpRecord()]));
        await output.close(1000);
        await written;
        assert.equal(counted(backend.received.at(-1)!.body), 1);
        await assert.rejects(output.write(batchOf([httpRecord()])), { name: 'ClosedError' });
      },
      60_000,
    ));

  it('rejects what nobody accepted by the deadline', async () => {
    const backend = await Backend.start();
    const endpoint = backend.url;
    await backend.stop();
    const log = new Lines();
    const remoteWrite = { endpoint, intervalMs: 10, timeoutMs: 1000, headers: {}, ca: '' };
    const output = new MetricsOutput({ storage: STORAGE, remoteWrite, instance: 'c' }, log);
    const written = assert.rejects(output.write(batchOf([httpRecord()])), { name: 'ClosedError' });
    await output.close(200);
    await written;
    assert.equal(output.reachable, false);
    assert.match(log.lines.join(), /ECONNREFUSED/);
  });

  it('says which key is no URL, without the password in it', () => {
    const remoteWrite = {
      endpoint: 'u:secret@host/write',
      intervalMs: 10,
      timeoutMs: 1000,
      headers: {},
      ca: '',
    };
    assert.throws(
      () => new MetricsOutput({ storage: STORAGE, remoteWrite, instance: 'c' }, new Lines()),
      (error: Error) => /exporter\.metrics\.endpoint/.test(error.message) && !/secret/.test(error.message),
    );
  });

  it('makes basic authentication of credentials in the URL', async () => {
    const backend = await Backend.start();
    const endpoint = backend.url.replace('//', '//user:p%40ss@');
    const remoteWrite = { endpoint, intervalMs: 10, timeoutMs: 1000, headers: {}, ca: '' };
    const output = new MetricsOutput({ storage: STORAGE, remoteWrite, instance: 'c' }, new Lines());
    await output.write(batchOf([httpRecord()]));
    await output.close(1000);
    await backend.stop();
    const expected = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
    assert.equal(backend.received[0].headers.authorization, expected);
  });
});
