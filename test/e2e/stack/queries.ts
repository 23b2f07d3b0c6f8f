/** The queries of what ships in deploy/, and how to put them to the backends. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT } from '../support.js';

const { parse } = createRequire(join(ROOT, 'cli/package.json'))('yaml') as { parse(text: string): unknown };

export interface Query {
  /** Where it is: dashboard and panel, or alert. */
  readonly place: string;
  readonly expr: string;
}

interface Target {
  readonly expr?: string;
}
interface Dashboard {
  readonly title: string;
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition: string }[] };
  readonly panels: readonly { readonly title: string; readonly targets?: readonly Target[] }[];
}
interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly annotations: { runbook: string };
    }[];
  }[];
}

const DASHBOARDS = join(ROOT, 'deploy/grafana/dashboards');

export function dashboards(): Dashboard[] {
  return readdirSync(DASHBOARDS).map(
    (name) => JSON.parse(readFileSync(join(DASHBOARDS, name), 'utf8')) as Dashboard,
  );
}

/** PromQL of all panels, with the variables as they are when everything is chosen. */
export function dashboardQueries(): Query[] {
  return dashboards().flatMap(({ title, panels }) =>
    panels.flatMap((panel) =>
      (panel.targets ?? []).map(({ expr }) => ({
        place: `${title}: ${panel.title}`,
        expr: (expr ?? '').replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, '.*'),
      })),
    ),
  );
}

export function alertRules(): { alert: string; expr: string; runbook: string }[] {
  const { groups } = parse(readFileSync(join(ROOT, 'deploy/prometheus/rules.yaml'), 'utf8')) as Rules;
  return groups.flatMap(({ rules }) =>
    rules.map(({ alert, expr, annotations }) => ({ alert, expr, runbook: annotations.runbook })),
  );
}

export interface SavedObject {
  readonly id: string;
  readonly type: string;
  readonly attributes: { readonly [name: string]: unknown };
  readonly references: readonly { readonly name: string; readonly type: string; readonly id: string }[];
}

export function savedObjects(): SavedObject[] {
  return readFileSync(join(ROOT, 'deploy/kibana/packetd.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as SavedObject);
}

/** KQL of the tables of docs/kql.md. */
export function documentedKql(): string[] {
  const text = readFileSync(join(ROOT, 'docs/kql.md'), 'utf8');
  return [...text.matchAll(/^\|.*\| `([^`]+)` *\|$/gm)].map(([, kql]) => kql);
}

/** KQL of a saved search, or of a dashboard. */
export function kqlOf({ attributes }: SavedObject): string {
  const { searchSourceJSON } = attributes.kibanaSavedObjectMeta as { searchSourceJSON: string };
  return (JSON.parse(searchSourceJSON) as { query: { query: string } }).query.query;
}

/** The part of KQL that is used here, as Lucene: operators in capitals, no spaces around colons. */
export function lucene(kql: string): string {
  if (kql === '') return '*';
  return kql
    .replaceAll(/\s*:\s*/g, ':')
    .replaceAll(/\s*(>=|<=|>|<)\s*(\d+)/g, ':$1$2')
    .replaceAll(/ (or|and|not) /g, (word) => word.toUpperCase());
}

/** Fields that a KQL expression names. */
export function fieldsOfKql(kql: string): string[] {
  return [...kql.matchAll(/([\w.@]+)\s*(?::|>=|<=|>|<)/g)].map(([, name]) => name);
}

interface LensColumn {
  readonly operationType: string;
  readonly sourceField: string;
  readonly params?: { readonly size?: number; readonly percentile?: number };
  readonly filter?: { readonly query: string };
}
export interface LensState {
  readonly query: { readonly query: string };
  readonly datasourceStates: {
    readonly formBased: {
      readonly layers: {
        readonly [id: string]: {
          readonly columnOrder: readonly string[];
          readonly columns: { readonly [id: string]: LensColumn };
        };
      };
    };
  };
}

export function lensState({ attributes }: SavedObject): LensState {
  return attributes.state as LensState;
}

/** The search that Lens makes of a layer. */
export function lensSearch(state: LensState): { query: object; aggs: object } {
  const { columnOrder, columns } = Object.values(state.datasourceStates.formBased.layers)[0];
  let aggs: Record<string, object> = {};
  for (const id of columnOrder) Object.assign(aggs, metricOf(id, columns[id]));
  for (const id of [...columnOrder].reverse()) {
    const { operationType, sourceField, params } = columns[id];
    if (operationType === 'terms') {
      aggs = { [id]: { terms: { field: sourceField, size: params?.size }, aggs } };
    } else if (operationType === 'date_histogram') {
      aggs = { [id]: { date_histogram: { field: sourceField, fixed_interval: '30s' }, aggs } };
    }
  }
  return { query: { query_string: { query: lucene(state.query.query) } }, aggs };
}

function metricOf(
  id: string,
  { operationType, sourceField, params, filter }: LensColumn,
): Record<string, object> {
  switch (operationType) {
    case 'percentile':
      return { [id]: { percentiles: { field: sourceField, percents: [params?.percentile] } } };
    case 'sum':
      return { [id]: { sum: { field: sourceField } } };
    case 'average':
      return { [id]: { avg: { field: sourceField } } };
    case 'count':
      return filter === undefined
        ? {}
        : { [id]: { filter: { query_string: { query: lucene(filter.query) } } } };
    default:
      return {};
  }
}
