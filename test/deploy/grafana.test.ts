/** Dashboards and alert rules use only metrics that packetd exports, and refer only to what is there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { registry } from '@packetd/collector/health';
import { MetricsRegistry } from '@packetd/collector/metrics/registry';
import { Batch } from '@packetd/collector/output';
import { RoundTripBatchSchema, Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { freePort, has } from '../bench/processes.js';
import { alertRules, dashboardQueries, dashboards } from '../e2e/stack/queries.js';
import { BACKENDS_HOME, backend, ROOT, startBackend, stopBackend, unless } from '../e2e/support.js';
import { read, yaml } from './support.js';

/** PromQL's own words, which look like metrics here. */
const WORDS = new Set(
  'sum count avg min max topk by le and or unless rate increase histogram_quantile vector label_values on ignoring'.split(
    ' ',
  ),
);

/** Every name that a scraper of packetd can see. */
async function exported(): Promise<Set<string>> {
  const config = {
    expiredMs: 1,
    vmHistogram: false,
    nativeHistograms: false,
    seriesBudget: 10,
    labels: {},
    layer4Labels: [],
  };
  const metrics = new MetricsRegistry(config);
  const endpoints = [Transport.TCP, Transport.UDP].map((transport) => ({ transport, port: 1 }));
  const batch = create(RoundTripBatchSchema, { endpoints });
  metrics.take(new Batch(toBinary(RoundTripBatchSchema, batch)), 0);
  const names = new Set(['up']);
  for (const { name, kind } of metrics.families()) {
    const suffixes: Record<string, string[]> = {
      histogram: ['_bucket', '_sum', '_count'],
      summary: ['_sum', '_count'],
    };
    for (const suffix of suffixes[kind] ?? ['']) names.add(name + suffix);
  }
  for (const { name } of await registry.getMetricsAsJSON()) names.add(name);
  return names;
}

/** Metrics of an expression; a regular expression over names is taken apart. */
function metricsOf(expr: string): string[] {
  const named: string[] = [];
  const rest = expr
    .replaceAll(
      /__name__=~"(?:\(([^)]*)\)|(\w+?))_([a-z_]+)"/g,
      (_, many: string | undefined, one: string, suffix: string) => {
        named.push(...(many ?? one).split('|').map((protocol) => `${protocol}_${suffix}`));
        return '';
      },
    )
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/by \([^)]*\)/g, '')
    .replaceAll(/label_values\((.*), \w+\)/g, '$1');
  return [
    ...named,
    ...[...rest.matchAll(/[a-z_][a-z_0-9]*/gi)].map(([word]) => word).filter((word) => !WORDS.has(word)),
  ];
}

describe('what ships for Grafana and Prometheus', () => {
  it('is what scripts/dashboards.mjs makes of the schema', () => {
    const run = spawnSync(process.execPath, [join(ROOT, 'scripts/dashboards.mjs'), '--check'], {
      encoding: 'utf8',
    });
    assert.equal(run.status, 0, run.stderr);
  });

  it('asks only for metrics that packetd exports', async () => {
    const known = await exported();
    const variables = dashboards().flatMap(({ title, templating }) =>
      templating.list.map(({ name, definition }) => ({ place: `${title} $${name}`, expr: definition })),
    );
    const rules = alertRules().map(({ alert, expr }) => ({ place: alert, expr }));
    for (const { place, expr } of [...dashboardQueries(), ...variables, ...rules]) {
      const metrics = metricsOf(expr);
      assert.ok(metrics.length > 0, `${place}: ${expr}`);
      for (const metric of metrics) assert.ok(known.has(metric), `${place}: ${metric} in ${expr}`);
    }
  });

  it('notices a metric that is not there', async () => {
    const known = await exported();
    const unknown = metricsOf(
      'sum by (le) (rate({__name__=~"(http|smtp)_requests_total"}[5m])) / rate(tcp_wishes_total[5m])',
    );
    assert.deepEqual(
      unknown.filter((metric) => !known.has(metric)),
      ['smtp_requests_total', 'tcp_wishes_total'],
    );
  });

  it('refers to provisioned data sources', () => {
    const sources = yaml.parse(read('deploy/grafana/provisioning/datasources/packetd.yaml')) as {
      datasources: {
        uid: string;
        url: string;
        jsonData?: { exemplarTraceIdDestinations?: { name: string; datasourceUid: string }[] };
      }[];
    };
    const uids = sources.datasources.map(({ uid }) => uid);
    for (const dashboard of dashboards()) {
      for (const [, uid] of JSON.stringify(dashboard).matchAll(
        /"datasource":\{"type":"\w+","uid":"([^"]+)"/g,
      ))
        assert.ok(uids.includes(uid), uid);
    }
    const [exemplar] = sources.datasources.flatMap(
      ({ jsonData }) => jsonData?.exemplarTraceIdDestinations ?? [],
    );
    assert.equal(exemplar.name, 'trace_id');
    assert.ok(uids.includes(exemplar.datasourceUid));
    const compose = yaml.parse(read('docker-compose.yml'), { merge: true }) as { services: object };
    for (const { url } of sources.datasources)
      assert.ok(Object.hasOwn(compose.services, new URL(url).hostname), url);
  });

  it('has dashboards with unique ids, panels that do not overlap and a title each', () => {
    const all = dashboards() as unknown as {
      uid: string;
      panels: { title: string; gridPos: { x: number; y: number; w: number; h: number } }[];
    }[];
    assert.equal(new Set(all.map(({ uid }) => uid)).size, all.length);
    for (const { uid, panels } of all) {
      const taken = new Set<string>();
      for (const { title, gridPos } of panels) {
        assert.notEqual(title, '', uid);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert.ok(x < 24 && !taken.has(`${x},${y}`), `${uid}: ${title}`);
            taken.add(`${x},${y}`);
          }
        }
      }
    }
  });

  it('watches the job that the stack scrapes', () => {
    const { scrape_configs } = yaml.parse(read('deploy/config/scrape.yaml')) as {
      scrape_configs: { job_name: string; dns_sd_configs: { names: string[]; port: number }[] }[];
    };
    const jobs = alertRules().flatMap(({ expr }) =>
      [...expr.matchAll(/\bjob="([^"]+)"/g)].map(([, job]) => job),
    );
    assert.deepEqual(
      [...new Set(jobs)],
      scrape_configs.map(({ job_name }) => job_name),
    );
    assert.deepEqual(scrape_configs[0].dns_sd_configs[0].names, ['collector']);
  });

  it('explains every alert', () => {
    const headings = [...read('docs/operations.md').matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
    const rules = alertRules();
    assert.deepEqual(headings.sort(), rules.map(({ alert }) => alert).sort());
    for (const { alert, runbook } of rules)
      assert.equal(runbook, `docs/operations.md#${alert.toLowerCase()}`);
    const grafana = yaml.parse(read('deploy/grafana/provisioning/alerting/packetd.yaml')) as {
      groups: { rules: { uid: string; title: string; data: { model: { expr?: string } }[] }[] }[];
    };
    const provisioned = grafana.groups.flatMap(({ rules: some }) => some);
    assert.deepEqual(
      provisioned.map(({ title, data }) => [title, data[0].model.expr]),
      rules.map(({ alert, expr }) => [alert, expr]),
    );
    for (const { uid } of provisioned) assert.ok(uid.length <= 40, uid);
  });

  const script = backend('victoria-metrics.sh');

  it('is accepted by VictoriaMetrics, which refuses unknown keys', {
    skip: script === null ? 'VictoriaMetrics is not to be had here' : false,
  }, async () => {
    const installed = ['bin/victoria-metrics', 'apps/victoria-metrics-debian/usr/bin/victoria-metrics'].map(
      (path) => join(BACKENDS_HOME, path),
    );
    if (!installed.some((path) => existsSync(path))) {
      await stopBackend(await startBackend(script!, [String(await freePort())], undefined, { DEBIAN: '1' }));
    }
    const scrape = join(ROOT, 'deploy/config/scrape.yaml');
    const program = installed.find((path) => existsSync(path))!;
    const run = spawnSync(program, [`-promscrape.config=${scrape}`, '-promscrape.config.dryRun'], {
      encoding: 'utf8',
    });
    assert.equal(run.status, 0, run.stderr);
  });

  it('is accepted by promtool', { skip: unless(has('promtool'), 'promtool is not installed') }, () => {
    const run = spawnSync('promtool', ['check', 'rules', join(ROOT, 'deploy/prometheus/rules.yaml')], {
      encoding: 'utf8',
    });
    assert.equal(run.status, 0, run.stdout + run.stderr);
  });
});
