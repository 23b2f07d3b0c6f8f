/**
 * The whole stack on real backends: the demo's load over all protocols, then the metric by PromQL, the document
 * by search and the span by trace id, and every query that ships in deploy/ against what came of it.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { elasticMapping } from '@packetd/proto/telemetry/mapping';
import { PROTOCOL_NAMES } from '@packetd/sensor/protocols/registry';
import { sleep } from '../../bench/processes.js';
import { isRoot, unless } from '../support.js';
import {
  alertRules,
  dashboardQueries,
  documentedKql,
  kqlOf,
  lensSearch,
  lensState,
  lucene,
  savedObjects,
} from './queries.js';
import { BACKENDS, Stack } from './stack.js';

const skip = !existsSync(BACKENDS)
  ? 'the start scripts of the backends are not beside this checkout'
  : !isRoot
    ? 'capturing needs root'
    : false;

const ROUNDS = 12;
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SETTLE_MS = 30_000;

/** What a round of deploy/demo/load.mjs does, as far as it is exact: requests of `rounds` rounds, and of those failed. */
const third = (rounds: number) => Math.ceil(rounds / 3);
const EXACT: { readonly [protocol: string]: (rounds: number) => { match: string; count: number } } = {
  http: (n) => ({ match: 'operation=~"GET|POST"', count: 3 * n + 2 * third(n) }),
  http2: (n) => ({ match: 'operation="GET"', count: 3 * n + 3 * third(n) }),
  grpc: (n) => ({ match: 'operation=~".*(Checkout|WatchOrder)"', count: 2 * n + third(n) }),
  dns: (n) => ({ match: 'operation=~".*"', count: 2 * n + third(n) }),
  redis: (n) => ({ match: 'operation=~"(?i)set|get|incr|lpush"', count: 10 * n + third(n) }),
  // Each of the two connections prepares its INSERT once.
  mysql: (n) => ({ match: 'operation=~"INSERT|UPDATE"', count: 2 * n + 2 }),
  postgresql: (n) => ({ match: 'operation=~"INSERT|UPDATE"', count: 2 * n }),
  mongodb: (n) => ({ match: 'operation=~"update|find"', count: 2 * n }),
  amqp: (n) => ({ match: 'operation=~".*publish.*"', count: 3 * n + third(n) }),
  kafka: (n) => ({ match: 'operation=~"(?i)produce"', count: n }),
};

/** Queries that this test's data leaves without a result, and why. */
const WITHOUT_RESULT: readonly (readonly [place: RegExp, reason: string])[] = [
  [/Not answered/, 'every request of the load is answered'],
  [/Dropped|Dropped by the ring|not understood|Bytes not decoded/, 'the sensor drops and skips nothing'],
  [/Requests to backends made again/, 'no backend is down'],
  // The load fails on purpose, so that the alert for errors has a result.
  [/^Packetd(?!ServiceErrors)/, 'an alert: nothing is wrong'],
];

describe('the stack', { skip, timeout: 1_200_000 }, () => {
  const stack = new Stack();
  let done: Awaited<ReturnType<Stack['load']>> = {};
  let began = 0;

  before(
    async () => {
      await stack.start();
      began = Date.now();
      // The first load is the first sample of every series, the second its growth.
      await stack.load({ DEMO_ROUNDS: '3', DEMO_PAUSE_MS: '50' });
      await sleep(3000);
      done = await stack.load({
        DEMO_ROUNDS: String(ROUNDS),
        DEMO_PAUSE_MS: '300',
        DEMO_TRACE_ID: TRACE_ID,
      });
      await settled();
    },
    { timeout: 1_100_000 },
  );
  after(() => stack.stop(), { timeout: 120_000 });

  const driven = () => PROTOCOL_NAMES.filter((name) => stack.services.has(name));
  const TOTAL_ROUNDS = ROUNDS + 3;

  async function promql(
    expr: string,
  ): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
    const body = new URLSearchParams({ query: expr });
    const answer = await fetch(`${stack.urls.metrics}/api/v1/query`, { method: 'POST', body });
    const text = await answer.text();
    assert.equal(answer.status, 200, `${expr}: ${text}`);
    return (
      JSON.parse(text) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } }
    ).data.result;
  }

  // biome-ignore lint/suspicious/noExplicitAny: answers of Elasticsearch, whose shape each test knows
  async function elastic(path: string, body?: object): Promise<any> {
    const answer = await fetch(`${stack.urls.elasticsearch}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${path} ${JSON.stringify(body)}: ${text}`);
    return JSON.parse(text);
  }

  async function documents(query: string): Promise<number> {
    const { count } = await elastic('/logs-packetd.*/_count', { query: { query_string: { query } } });
    return count;
  }

  /** Waits until every protocol's documents have stopped to grow. */
  async function settled(): Promise<void> {
    const until = Date.now() + SETTLE_MS;
    let last = -1;
    while (Date.now() < until) {
      await sleep(3000);
      await elastic('/logs-packetd.*/_refresh');
      const now = await documents('*');
      if (now === last && now > 0) break;
      last = now;
    }
    await fetch(`${stack.urls.metrics}/internal/force_flush`);
    await sleep(1500);
  }

  it('starts what the demo drives', (t) => {
    for (const [name, reason] of stack.absent) t.diagnostic(`${name} is not here: ${reason}`);
    for (const [name, { rounds, failed }] of Object.entries(done)) {
      t.diagnostic(`${name}: ${rounds} rounds, ${failed} failed`);
      assert.equal(rounds, ROUNDS, name);
    }
    assert.ok(driven().length >= 4);
  });

  it('has the right number of every protocol by PromQL', async (t) => {
    for (const protocol of driven()) {
      const { match, count } = EXACT[protocol](TOTAL_ROUNDS);
      const port = stack.services.get(protocol);
      const result = await promql(`sum(${protocol}_requests_total{server_port="${port}",${match}})`);
      const counted = Number(result[0]?.value[1] ?? 0);
      if (protocol === 'grpc' || protocol === 'dns') t.diagnostic(`${protocol}: ${counted} of ${count}`);
      // What a client sends by itself besides (a second try, a question for another type) adds to it.
      if (done[protocol].failed > 0 || protocol === 'dns')
        assert.ok(counted >= count, `${protocol}: ${counted} of ${count}`);
      else assert.equal(counted, count, protocol);
    }
  });

  it('has as many documents as roundtrips, with the types of the schema', async () => {
    for (const protocol of driven()) {
      const stream = `logs-packetd.${protocol}-default`;
      const [counted] = await promql(`sum(${protocol}_requests_total)`);
      const { count } = await elastic(`/${stream}/_count`, { query: { match_all: {} } });
      assert.equal(count, Number(counted.value[1]), protocol);
      const mappings = Object.values(await elastic(`/${stream}/_mapping`)) as {
        mappings: { properties: object };
      }[];
      assert.deepEqual(types(mappings[0].mappings), {
        ...types(elasticMapping(protocol)),
        // constant_keyword where the server has it, which this one has not.
        'data_stream.type': 'keyword',
        'data_stream.dataset': 'keyword',
        'data_stream.namespace': 'keyword',
      });
    }
  });

  it('finds documents by their fields', async () => {
    const expected: readonly (readonly [protocol: string, query: string, least: number])[] = [
      ['http', 'http.response.status_code:503 AND event.outcome:failure', third(ROUNDS)],
      ['http', `trace.id:${TRACE_ID} AND url.path:"/users/0"`, 1],
      ['dns', 'dns.response_code:NXDOMAIN', third(ROUNDS)],
      ['redis', 'db.response.status_code:WRONGTYPE', third(ROUNDS)],
      ['postgresql', 'db.response.status_code:42P01', third(ROUNDS)],
      ['mysql', 'db.response.status_code:1146', third(ROUNDS)],
      ['mongodb', 'db.response.status_code:11000', third(ROUNDS)],
    ];
    for (const [protocol, query, least] of expected) {
      if (!driven().includes(protocol as never)) continue;
      const count = await documents(query);
      assert.ok(count >= least, `${query}: ${count}`);
    }
    assert.equal(await documents('"not-to-be-recorded"'), 0);
  });

  it('shows exemplars to a scraper that asks for OpenMetrics', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0';
    const answer = await fetch(`${stack.urls.collector}/protocol/metrics`, { headers: { accept } });
    const text = await answer.text();
    assert.match(text, /^http_request_duration_seconds_bucket\{.*\} \d+ # \{trace_id="[0-9a-f]{32}"\}/m);
  });

  it('has the span of a trace with its parent and attributes', async (t) => {
    const reason = stack.absent.get('traces');
    if (reason !== undefined) {
      // Only where nobody can build a receiver of spans; under CI that is a failure.
      assert.ok(unless(false, reason), reason);
      t.skip(reason);
      return;
    }
    const { hits } = await elastic('/logs-packetd.http-default/_search', {
      query: { query_string: { query: `trace.id:${TRACE_ID} AND url.path:"/users/0"` } },
    });
    const document = hits.hits[0]._source;
    if (stack.urls.jaeger !== '') {
      const answer = await fetch(`${stack.urls.jaeger}/api/v3/traces/${TRACE_ID}`);
      const text = await answer.text();
      assert.equal(answer.status, 200, text);
      for (const part of [document.span.id, document.parent.id, 'url.path', '/users/0'])
        assert.ok(text.includes(part), `${part} in ${text.slice(0, 2000)}`);
      return;
    }
    const spans = readFileSync(stack.spansFile, 'utf8').split(/^Span #/m);
    const span = spans.find((text) => text.includes(document.span.id));
    assert.ok(span, `no span ${document.span.id}`);
    assert.match(span, new RegExp(`Trace ID\\s*: ${TRACE_ID}`));
    assert.match(span, new RegExp(`Parent ID\\s*: ${document.parent.id}`));
    assert.match(span, /url\.path: Str\(\/users\/0\)/);
    assert.match(span, /http\.response\.status_code: Int\(200\)/);
  });

  it('answers every query of the dashboards and alert rules', async (t) => {
    const queries = [
      ...dashboardQueries(),
      ...alertRules().map(({ alert, expr }) => ({ place: alert, expr })),
    ];
    // One that is the whole time of the test wide, so that no pause leaves a gap.
    const range = `${Math.ceil((Date.now() - began) / 1000) + 10}s`;
    const empty: string[] = [];
    for (const { place, expr } of queries) {
      const result = await promql(expr.replaceAll('[1m]', `[${range}]`));
      if (result.length > 0) continue;
      const listed = WITHOUT_RESULT.find(([pattern]) => pattern.test(place));
      const undriven = PROTOCOL_NAMES.length < 10 || stack.absent.size > 0;
      if (listed !== undefined) t.diagnostic(`no result: ${place} (${listed[1]})`);
      else if (undriven && namesUndriven(expr))
        t.diagnostic(`no result: ${place} (its protocol is not driven here)`);
      else empty.push(`${place}: ${expr}`);
    }
    assert.deepEqual(empty, []);
  });

  /** Whether a query is about protocols alone that nothing drove. */
  function namesUndriven(expr: string): boolean {
    const named = [
      ...expr.matchAll(/\b(amqp|dns|grpc|http2?|kafka|mongodb|mysql|postgresql|redis)(?=_|\||\))/g),
    ];
    return named.length > 0 && named.every(([, name]) => !driven().includes(name as never));
  }

  it('answers every saved search', async (t) => {
    for (const object of savedObjects().filter(({ type }) => type === 'search')) {
      const { columns, sort } = object.attributes as { columns: string[]; sort: [string, string][] };
      const { hits } = await elastic('/logs-packetd.*/_search', {
        query: { query_string: { query: lucene(kqlOf(object)) } },
        sort: sort.map(([field, order]) => ({ [field]: { order } })),
        fields: columns,
        size: 5,
      });
      const count = hits.total.value as number;
      const none = ['packetd-unanswered', 'packetd-incomplete'].includes(object.id);
      t.diagnostic(
        `${object.id}: ${count}${count === 0 ? ' (every request of the load is answered in full)' : ''}`,
      );
      if (!none) assert.ok(count > 0, object.id);
    }
  });

  it('answers every query of docs/kql.md', async (t) => {
    for (const kql of documentedKql()) {
      const { hits, _shards } = await elastic('/logs-packetd.*/_search', {
        size: 0,
        query: { query_string: { query: lucene(kql) } },
      });
      assert.equal((_shards as { failed: number }).failed, 0, kql);
      t.diagnostic(`${hits.total.value as number}: ${kql}`);
    }
  });

  it('answers every visualisation of the dashboards', async (t) => {
    for (const object of savedObjects().filter(({ type }) => type === 'lens')) {
      const { hits, aggregations } = await elastic('/logs-packetd.*/_search', {
        size: 0,
        ...lensSearch(lensState(object)),
      });
      const count = hits.total.value as number;
      const protocols = [...JSON.stringify(lensState(object).query).matchAll(/\\"(\w+)\\"/g)].map(
        ([, name]) => name,
      );
      if (count === 0) {
        const known = protocols.filter((name) => name !== 'failure');
        if (known.length > 0 && known.every((name) => !driven().includes(name as never))) {
          t.diagnostic(`no result: ${object.id} (its protocol is not driven here)`);
          continue;
        }
        t.diagnostic(`no result: ${object.id} (nothing of the load fails there)`);
        assert.match(object.id, /errors$/);
        continue;
      }
      for (const [name, aggregation] of Object.entries(aggregations ?? {})) {
        const { buckets } = aggregation as { buckets?: unknown[] };
        if (buckets !== undefined && buckets.length === 0) t.diagnostic(`no bucket: ${object.id} ${name}`);
      }
    }
  });
});

/** Type by dotted name, of the leaves. */
function types(mapping: object, prefix = ''): Record<string, string> {
  const { properties = {} } = mapping as {
    properties?: Record<string, { type?: string; properties?: object }>;
  };
  return Object.assign(
    {},
    ...Object.entries(properties).map(([name, property]) =>
      property.properties === undefined
        ? { [`${prefix}${name}`]: property.type ?? 'object' }
        : types(property, `${prefix}${name}.`),
    ),
  );
}
