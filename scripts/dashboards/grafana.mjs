/** Grafana dashboards: overview, one per protocol family, layer 4, packetd's own health. */
import { every, FAILED, failedShare, quantile, rate, SERVICE, sumBy } from './promql.mjs';

const METRICS = { type: 'prometheus', uid: 'packetd-metrics' };
const EXEMPLARS = { type: 'prometheus', uid: 'packetd-exemplars' };
const SCHEMA_VERSION = 41;
const WIDTH = 24;
const SERVER = 'server_address=~"$server"';

export function grafanaDashboards(schema) {
  return [
    overview(schema),
    ...schema.families.map((family) => familyDashboard(schema, family)),
    layer4(),
    health(),
  ];
}

function overview({ protocols }) {
  const matchers = `protocol=~"$protocol",${SERVER}`;
  const requests = (labels, more = '') =>
    sumBy(labels, rate(every(protocols, 'requests_total', `${matchers}${more}`)));
  return dashboard(
    'overview',
    'Overview',
    [variable('protocol', every(protocols, 'requests_total'), 'protocol'), servers(protocols)],
    [
      row(
        [
          stat('Roundtrips', requests(''), 'reqps'),
          stat('Failed', failedShare(protocols, '', matchers), 'percentunit', [0.01, 0.05]),
          stat('Half are faster than', quantile(0.5, protocols, '', matchers), 's'),
          stat('95 % are faster than', quantile(0.95, protocols, '', matchers), 's', [0.5, 1]),
        ],
        4,
      ),
      row([
        lines('Roundtrips by protocol', [[requests('protocol'), '{{protocol}}']], 'reqps', { stack: true }),
        lines(
          'Failed by protocol',
          [[failedShare(protocols, 'protocol', matchers), '{{protocol}}']],
          'percentunit',
        ),
      ]),
      row([
        lines(
          '95 % duration by protocol',
          [[quantile(0.95, protocols, 'protocol', matchers), '{{protocol}}']],
          's',
        ),
        lines('By status', [[requests('status'), '{{status}}']], 'reqps', { stack: true }),
      ]),
      row(
        [
          table(
            'Services',
            [
              ['Roundtrips', requests(SERVICE, ''), 'reqps'],
              ['Failed', failedShare(protocols, SERVICE, matchers), 'percentunit'],
              ['95 %', quantile(0.95, protocols, SERVICE, matchers), 's'],
            ],
            ['protocol', 'server_address', 'server_port'],
          ),
        ],
        10,
      ),
      row(
        [
          table(
            'Errors',
            [
              [
                'A second',
                `topk(50, ${sumBy('protocol, error_type, operation, target', rate(every(protocols, 'requests_total', `${matchers},status=~"${FAILED}"`)))} > 0)`,
                'reqps',
              ],
            ],
            ['protocol', 'error_type', 'operation', 'target'],
          ),
        ],
        10,
      ),
    ],
  );
}

function familyDashboard(schema, { id, title, protocols }) {
  const rows = protocols.flatMap((protocol) => protocolRows(schema, protocol));
  return dashboard(id, title, [servers(protocols)], rows);
}

function protocolRows(schema, protocol) {
  const one = [protocol];
  const requests = (labels, more = '') => sumBy(labels, rate(`${protocol}_requests_total{${SERVER}${more}}`));
  const buckets = (metric, labels) => sumBy(labels, rate(`${metric}_bucket{${SERVER}}`));
  const own = schema.metricsOf(protocol).map(({ name, kind }) =>
    kind === 'histogram'
      ? lines(
          name,
          [
            [`histogram_quantile(0.5, ${buckets(name, 'le')})`, 'half'],
            [`histogram_quantile(0.95, ${buckets(name, 'le')})`, '95 %'],
          ],
          unitOf(name),
        )
      : lines(
          name,
          [[sumBy('server_address', rate(`${name}{${SERVER}}`)), '{{server_address}}']],
          unitOf(name),
        ),
  );
  return [
    heading(protocol),
    row(
      [
        stat('Roundtrips', requests(''), 'reqps'),
        stat('Failed', failedShare(one, '', SERVER), 'percentunit', [0.01, 0.05]),
        stat('95 %', quantile(0.95, one, '', SERVER), 's', [0.5, 1]),
        stat('Not answered', requests('', ',status="NO_RESPONSE"'), 'reqps'),
      ],
      4,
    ),
    row([
      lines('By operation', [[`topk(10, ${requests('operation')})`, '{{operation}}']], 'reqps', {
        stack: true,
      }),
      lines(
        'Failed, by type',
        [[`topk(10, ${requests('error_type', `,status=~"${FAILED}"`)})`, '{{error_type}}']],
        'reqps',
      ),
      lines(
        'Duration; the points are traces',
        [
          [`histogram_quantile(0.95, ${buckets(`${protocol}_request_duration_seconds`, 'le')})`, '95 %'],
          [`histogram_quantile(0.5, ${buckets(`${protocol}_request_duration_seconds`, 'le')})`, 'half'],
        ],
        's',
        { datasource: EXEMPLARS, exemplar: true },
      ),
    ]),
    row(
      [
        table(
          'Operations',
          [
            ['Roundtrips', `topk(100, ${requests('operation, target')})`, 'reqps'],
            ['Failed', failedShare(one, 'operation, target', SERVER), 'percentunit'],
            ['95 %', quantile(0.95, one, 'operation, target', SERVER), 's'],
          ],
          ['operation', 'target'],
        ),
      ],
      9,
    ),
    ...(own.length === 0 ? [] : [row(own)]),
  ];
}

function layer4() {
  const by = 'server_address, server_port';
  const all = `{${SERVER}}`;
  const top = (metric) => `topk(15, ${sumBy(by, rate(`${metric}${all}`))})`;
  const legend = '{{server_address}}:{{server_port}}';
  return dashboard(
    'layer4',
    'Layer 4',
    [variable('server', '{__name__=~"(tcp|udp)_client_packets_total"}', 'server_address')],
    [
      row([
        lines('Connections opened', [[top('tcp_connections_opened_total'), legend]], 'cps'),
        lines(
          'Connections open',
          [[`topk(15, ${sumBy(by, `tcp_connections_active${all}`)})`, legend]],
          'short',
        ),
        lines(
          'Connections failed and reset',
          [
            [top('tcp_connections_failed_total'), `failed ${legend}`],
            [top('tcp_connections_reset_total'), `reset ${legend}`],
          ],
          'cps',
        ),
      ]),
      row([
        lines(
          'TCP bytes',
          [
            [top('tcp_client_bytes_total'), `to ${legend}`],
            [top('tcp_server_bytes_total'), `from ${legend}`],
          ],
          'Bps',
        ),
        lines(
          'TCP packets',
          [
            [top('tcp_client_packets_total'), `to ${legend}`],
            [top('tcp_server_packets_total'), `from ${legend}`],
          ],
          'pps',
        ),
        lines(
          'Handshake',
          [
            [
              `${sumBy(by, rate(`tcp_handshake_duration_seconds_sum${all}`))} / ${sumBy(by, rate(`tcp_handshake_duration_seconds_count${all}`))}`,
              legend,
            ],
          ],
          's',
        ),
      ]),
      row([
        lines('Segments sent again', [[top('tcp_retransmitted_segments_total'), legend]], 'pps'),
        lines('Segments out of order', [[top('tcp_out_of_order_segments_total'), legend]], 'pps'),
      ]),
      row([
        lines(
          'UDP bytes',
          [
            [top('udp_client_bytes_total'), `to ${legend}`],
            [top('udp_server_bytes_total'), `from ${legend}`],
          ],
          'Bps',
        ),
        lines(
          'UDP packets',
          [
            [top('udp_client_packets_total'), `to ${legend}`],
            [top('udp_server_packets_total'), `from ${legend}`],
          ],
          'pps',
        ),
      ]),
    ],
  );
}

function health() {
  const ledger = (name, by = 'sensor') =>
    sumBy(by, rate(`packetd_sensor_ledger_total{name="${name}",sensor=~"$sensor"}`));
  return dashboard(
    'health',
    'packetd itself',
    [variable('sensor', 'packetd_sensor_ledger_total', 'sensor')],
    [
      heading('Sensors'),
      row(
        [
          stat('Sensors', 'count(count by (sensor) (packetd_sensor_ledger_total))', 'short'),
          stat('Frames', ledger('frames', ''), 'pps'),
          stat(
            'Dropped by the ring',
            `(${ledger('kernelDropped', '')} or vector(0)) / ${ledger('frames', '')}`,
            'percentunit',
            [0.0001, 0.001],
          ),
          stat('Roundtrips', ledger('records', ''), 'reqps'),
        ],
        4,
      ),
      row([
        lines('Frames', [[ledger('frames'), '{{sensor}}']], 'pps'),
        lines(
          'Dropped',
          [
            [ledger('kernelDropped'), 'frames, ring {{sensor}}'],
            [ledger('recordsDropped'), 'records {{sensor}}'],
          ],
          'pps',
        ),
        lines('Roundtrips', [[ledger('records'), '{{sensor}}']], 'reqps'),
      ]),
      row([
        lines(
          'Bytes not decoded',
          [
            [
              sumBy(
                'name',
                rate(
                  'packetd_sensor_ledger_total{name=~"skipped.*|lostBytes|truncated|malformed",sensor=~"$sensor"}',
                ),
              ),
              '{{name}}',
            ],
          ],
          'Bps',
        ),
        lines(
          'By protocol: lost and not understood',
          [
            [
              sumBy(
                'name, protocol',
                rate('packetd_sensor_ledger_total{name=~"gapBytes|undecodableBytes",sensor=~"$sensor"}'),
              ),
              '{{protocol}} {{name}}',
            ],
          ],
          'Bps',
        ),
      ]),
      heading('Collectors'),
      row([
        lines(
          'Roundtrips by output',
          [[sumBy('output, result', rate('packetd_output_records_total')), '{{output}} {{result}}']],
          'reqps',
        ),
        lines('Batches open', [[sumBy('output', 'packetd_output_open_batches'), '{{output}}']], 'short'),
        lines(
          'Requests to backends made again',
          [[sumBy('output', rate('packetd_output_retries_total')), '{{output}}']],
          'reqps',
        ),
      ]),
      row([
        lines('CPU', [[rate('packetd_process_cpu_seconds_total'), '{{instance}}']], 'percentunit'),
        lines('Memory', [['packetd_process_resident_memory_bytes', '{{instance}}']], 'bytes'),
        lines(
          'Event loop behind (99 %)',
          [['packetd_nodejs_eventloop_lag_p99_seconds', '{{instance}}']],
          's',
        ),
      ]),
      row(
        [
          lines(
            'Messages that are no batch',
            [[sumBy('', rate('packetd_source_undecodable_total')), 'messages']],
            'cps',
          ),
        ],
        6,
      ),
    ],
  );
}

// ── pieces ─────────────────────────────────────────────────────────────────────────────────────────────────

function dashboard(id, title, variables, rows) {
  let y = 0;
  let next = 1;
  const panels = [];
  for (const { height, items } of rows) {
    const w = Math.floor(WIDTH / items.length);
    items.forEach((item, i) => {
      panels.push({
        id: next++,
        ...item,
        gridPos: { x: i * w, y, w: item.type === 'row' ? WIDTH : w, h: height },
      });
    });
    y += height;
  }
  return {
    uid: `packetd-${id}`,
    title: `packetd / ${title}`,
    tags: ['packetd'],
    schemaVersion: SCHEMA_VERSION,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-30m', to: 'now' },
    timezone: 'browser',
    links: [
      {
        type: 'dashboards',
        title: 'packetd',
        tags: ['packetd'],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
      },
    ],
    templating: { list: variables },
    annotations: { list: [] },
    panels,
  };
}

const row = (items, height = 8) => ({ height, items });
const heading = (title) => ({ height: 1, items: [{ type: 'row', title, collapsed: false, panels: [] }] });

function variable(name, selector, label) {
  const query = `label_values(${selector}, ${label})`;
  return {
    name,
    type: 'query',
    datasource: METRICS,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: ['All'], value: ['$__all'] },
  };
}

const servers = (protocols) => variable('server', every(protocols, 'requests_total'), 'server_address');

function target(refId, expr, more, datasource = METRICS) {
  return { refId, datasource, expr, editorMode: 'code', ...more };
}

function stat(title, expr, unit, [warning, critical] = []) {
  const steps = [
    { color: 'green', value: null },
    ...(warning === undefined
      ? []
      : [
          { color: 'orange', value: warning },
          { color: 'red', value: critical },
        ]),
  ];
  return {
    type: 'stat',
    title,
    datasource: METRICS,
    targets: [target('A', expr, { range: true })],
    fieldConfig: { defaults: { unit, thresholds: { mode: 'absolute', steps } }, overrides: [] },
    options: { reduceOptions: { calcs: ['lastNotNull'] }, graphMode: 'area', colorMode: 'value' },
  };
}

function lines(title, queries, unit, { stack = false, datasource = METRICS, exemplar = false } = {}) {
  return {
    type: 'timeseries',
    title,
    datasource,
    targets: queries.map(([expr, legendFormat], i) =>
      target(
        String.fromCharCode(65 + i),
        expr,
        { legendFormat, range: true, ...(exemplar ? { exemplar } : {}) },
        datasource,
      ),
    ),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        custom: {
          fillOpacity: stack ? 30 : 8,
          lineWidth: 1,
          showPoints: 'never',
          stacking: { mode: stack ? 'normal' : 'none' },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom' },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  };
}

/** One line per set of labels, one column per query: [title, expression, unit]. */
function table(title, queries, labels) {
  const letter = (i) => String.fromCharCode(65 + i);
  const columnOf = (i) => (queries.length === 1 ? 'Value' : `Value #${letter(i)}`);
  const order = [...labels, ...queries.map((_, i) => columnOf(i))];
  return {
    type: 'table',
    title,
    datasource: METRICS,
    targets: queries.map(([, expr], i) => target(letter(i), expr, { instant: true, format: 'table' })),
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          indexByName: Object.fromEntries(order.map((name, i) => [name, i])),
          renameByName: Object.fromEntries(queries.map(([name], i) => [columnOf(i), name])),
        },
      },
    ],
    fieldConfig: {
      defaults: {},
      overrides: queries.map(([name, , unit]) => ({
        matcher: { id: 'byName', options: name },
        properties: [{ id: 'unit', value: unit }],
      })),
    },
    options: { showHeader: true, sortBy: [{ displayName: queries[0][0], desc: true }] },
  };
}

function unitOf(metric) {
  if (metric.endsWith('_bytes')) return 'bytes';
  return metric.endsWith('_seconds') ? 's' : 'short';
}
