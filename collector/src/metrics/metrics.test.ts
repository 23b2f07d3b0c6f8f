/** What is counted, and how it looks to a scraper. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Status, Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { batchOf, httpRecord } from '../harness.js';
import { nativeBucket, vmBucket, vmRange } from './histogram.js';
import { LabelError } from './labels.js';
import { MetricsRegistry, type StorageConfig } from './registry.js';
import { renderFamilies } from './render.js';
import { Family, LabelSet } from './store.js';

const STORAGE: StorageConfig = {
  expiredMs: 60_000,
  vmHistogram: false,
  nativeHistograms: false,
  seriesBudget: 100,
  labels: {},
  layer4Labels: ['server_address', 'server_port'],
};

function registryOf(config: Partial<StorageConfig> = {}): MetricsRegistry {
  return new MetricsRegistry({ ...STORAGE, ...config });
}

function text(registry: MetricsRegistry, openMetrics = false): string[] {
  return renderFamilies(registry.families(), openMetrics).split('\n');
}

describe('metrics of roundtrips', () => {
  it('has counter, duration and the metrics of the schema', () => {
    const registry = registryOf({ labels: { http: ['method', 'status_code'] } });
    const slow = httpRecord({ durationNano: 3_000_000_000n, status: Status.ERROR }, { statusCode: 503 });
    registry.take(batchOf([httpRecord(), httpRecord(), slow]), 1000);
    const lines = text(registry);
    const ok = 'method="GET",status_code="200"';
    for (const line of [
      '# TYPE http_requests_total counter',
      `http_requests_total{${ok}} 2`,
      'http_requests_total{method="GET",status_code="503"} 1',
      '# TYPE http_request_duration_seconds histogram',
      `http_request_duration_seconds_bucket{${ok},le="0.01"} 0`,
      `http_request_duration_seconds_bucket{${ok},le="0.025"} 2`,
      `http_request_duration_seconds_bucket{${ok},le="+Inf"} 2`,
      `http_request_duration_seconds_sum{${ok}} 0.04`,
      `http_request_duration_seconds_count{${ok}} 2`,
      `http_request_body_bytes_bucket{${ok},le="64"} 2`,
      `http_response_body_bytes_sum{${ok}} 1024`,
    ]) {
      assert.ok(lines.includes(line), `${line} in\n${lines.join('\n')}`);
    }
  });

  it('takes labels of few values where none are named', () => {
    const registry = registryOf();
    registry.take(batchOf([httpRecord()]), 1000);
    assert.ok(
      text(registry).includes(
        'http_requests_total{operation="GET",target="/users/:id",status="OK",server_address="10.0.0.2",server_port="8080",status_code="200"} 1',
      ),
    );
  });

  it('refuses labels and protocols that there are not, and says which there are', () => {
    assert.throws(
      () => registryOf({ labels: { http: ['colour'] } }),
      (error: Error) => {
        assert.ok(error instanceof LabelError);
        assert.match(error.message, /'colour'.*method.*status_code/);
        return true;
      },
    );
    assert.throws(() => registryOf({ labels: { htp: [] } }), /no protocol 'htp'.*http/);
    assert.throws(() => registryOf({ layer4Labels: ['pod'] }), /'pod'.*server_address, server_port, sensor/);
  });

  it('takes a label that is named twice once', () => {
    const registry = registryOf({ labels: { http: ['method', 'method'] } });
    registry.take(batchOf([httpRecord()]), 1000);
    assert.ok(text(registry).includes('http_requests_total{method="GET"} 1'));
  });

  it('counts what is beyond the budget as _other', () => {
    const registry = registryOf({ seriesBudget: 2, labels: { http: ['path', 'method'] } });
    const records = ['/a', '/b', '/c', '/d', '/a'].map((path) => httpRecord({}, { path }));
    registry.take(batchOf(records), 1000);
    assert.deepEqual(
      text(registry).filter((line) => line.startsWith('http_requests_total')),
      [
        'http_requests_total{path="/a",method="GET"} 2',
        'http_requests_total{path="/b",method="GET"} 1',
        'http_requests_total{path="_other",method="_other"} 2',
      ],
    );
  });

  it('drops series that have not grown, and makes room for others', () => {
    const registry = registryOf({ seriesBudget: 1, labels: { http: ['path'] } });
    registry.take(batchOf([httpRecord({}, { path: '/a' })]), 0);
    assert.equal(registry.expire(60_000, false).length, 0);
    const gone = registry.expire(60_001, false).map(({ family, series }) => [family.name, ...series.labels]);
    assert.ok(gone.some(([name, path]) => name === 'http_requests_total' && path === '/a'));
    registry.take(batchOf([httpRecord({}, { path: '/b' })]), 60_002);
    assert.ok(text(registry).includes('http_requests_total{path="/b"} 1'));
    assert.ok(!text(registry).some((line) => line.includes('"/a"')));
  });

  it('escapes label values, leaves empty ones out and keeps hostile ones apart', () => {
    const registry = registryOf({ labels: { http: ['path', 'host'] } });
    const record = (path: string, host: string) => httpRecord({}, { path, host });
    const records = [record('/"\\\n', ''), record('a\0b', 'c'), record('a', 'b\0c')];
    registry.take(batchOf(records), 1000);
    const lines = text(registry).filter((line) => line.startsWith('http_requests_total'));
    assert.deepEqual(lines, [
      'http_requests_total{path="/\\"\\\\\\n"} 1',
      'http_requests_total{path="a\0b",host="c"} 1',
      'http_requests_total{path="a",host="b\0c"} 1',
    ]);
  });
});

describe('OpenMetrics', () => {
  it('names the family of a counter without _total and has the exemplar at its bucket', () => {
    const registry = registryOf({ labels: { http: ['method'] } });
    const traceId = Uint8Array.from(Buffer.from('4bf92f3577b34da6a3ce929d0e0e4736', 'hex'));
    registry.take(batchOf([httpRecord({ trace: { traceId } })]), 1500);
    const lines = text(registry, true);
    for (const line of [
      '# TYPE http_requests counter',
      'http_requests_total{method="GET"} 1',
      'http_request_duration_seconds_bucket{method="GET",le="1.0"} 1',
      'http_request_duration_seconds_bucket{method="GET",le="0.025"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.02 1.5',
    ]) {
      assert.ok(lines.includes(line), `${line} in\n${lines.join('\n')}`);
    }
    assert.equal(lines.filter((line) => line.includes('trace_id')).length, 3);
    assert.deepEqual(lines.slice(-2), ['# EOF', '']);
  });

  it('gives a counter of another name no type', () => {
    const family = new Family('x_rows', 'counter', 'Rows.', [], [], { budget: 1, vm: false, native: false });
    family.add(new LabelSet([]), 3, 0);
    assert.deepEqual(renderFamilies([family], true).split('\n'), [
      '# HELP x_rows Rows.',
      '# TYPE x_rows unknown',
      'x_rows 3',
      '# EOF',
      '',
    ]);
  });
});

describe('metrics of layer 4', () => {
  const endpoint = {
    address: Uint8Array.of(10, 0, 0, 2),
    port: 8080,
    transport: Transport.TCP,
    connectionsOpened: 3n,
    connectionsActive: 2n,
    connectionsReset: 1n,
    clientPackets: 9n,
    clientBytes: 900n,
    handshakes: 3n,
    handshakeNano: 1_500_000n,
  };

  it('adds up growth and shows how many are active', () => {
    const registry = registryOf();
    registry.take(batchOf([], { endpoints: [endpoint] }), 0);
    registry.take(batchOf([], { endpoints: [{ ...endpoint, connectionsActive: 1n }] }), 1);
    const other = {
      ...endpoint,
      connectionsOpened: 0n,
      connectionsReset: 0n,
      clientBytes: 0n,
      handshakes: 0n,
    };
    const third = { ...other, handshakeNano: 0n, connectionsActive: 5n, worker: 1 };
    registry.take(batchOf([], { endpoints: [third] }), 2);
    const lines = text(registry);
    const labels = 'server_address="10.0.0.2",server_port="8080"';
    for (const line of [
      `tcp_connections_opened_total{${labels}} 6`,
      `tcp_connections_failed_total{${labels}} 0`,
      `tcp_connections_reset_total{${labels}} 2`,
      `tcp_client_bytes_total{${labels}} 1800`,
      '# TYPE tcp_handshake_duration_seconds summary',
      `tcp_handshake_duration_seconds_sum{${labels}} 0.003`,
      `tcp_handshake_duration_seconds_count{${labels}} 6`,
      `tcp_connections_active{${labels},sensor="edge-1",worker="0"} 1`,
      `tcp_connections_active{${labels},sensor="edge-1",worker="1"} 5`,
    ]) {
      assert.ok(lines.includes(line), `${line} in\n${lines.join('\n')}`);
    }
  });

  it('has only what UDP has for UDP', () => {
    const registry = registryOf({ layer4Labels: ['sensor'] });
    const udp = { ...endpoint, transport: Transport.UDP, port: 53 };
    registry.take(batchOf([], { endpoints: [udp] }), 0);
    const lines = text(registry).filter((line) => line !== '' && !line.startsWith('#'));
    assert.ok(lines.includes('udp_client_bytes_total{sensor="edge-1"} 900'));
    assert.ok(lines.every((line) => line.startsWith('udp_')));
  });
});

describe('buckets', () => {
  it('of VictoriaMetrics are those of its metrics package', () => {
    // https://github.com/VictoriaMetrics/metrics/blob/master/histogram_test.go
    const counts = new Map<string, number>();
    for (let value = 98; value < 218; value++) {
      const range = vmRange(vmBucket(value));
      counts.set(range, (counts.get(range) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts],
      [
        ['8.799e+01...1.000e+02', 3],
        ['1.000e+02...1.136e+02', 13],
        ['1.136e+02...1.292e+02', 16],
        ['1.292e+02...1.468e+02', 17],
        ['1.468e+02...1.668e+02', 20],
        ['1.668e+02...1.896e+02', 23],
        ['1.896e+02...2.154e+02', 26],
        ['2.154e+02...2.448e+02', 2],
      ],
    );
    for (const [value, range] of [
      [0, '0...1.000e-09'],
      [1e-10, '0...1.000e-09'],
      [1e18, '8.799e+17...1.000e+18'],
      [9.999e17, '8.799e+17...1.000e+18'],
      [1.0001e18, '1.000e+18...+Inf'],
      [0.6, '5.995e-01...6.813e-01'],
      [1, '8.799e-01...1.000e+00'],
    ] as const) {
      assert.equal(vmRange(vmBucket(value)), range, String(value));
    }
  });

  it('of native histograms have their upper bound in them', () => {
    // base = 2^(2^-3); bucket i is (base^(i-1), base^i].
    for (const [value, bucket] of [
      [1, 0],
      [2, 8],
      [0.5, -8],
      [1.0001, 1],
      [1.09, 1],
      [1.0906, 2],
    ] as const) {
      assert.equal(nativeBucket(value), bucket, String(value));
    }
  });
});
