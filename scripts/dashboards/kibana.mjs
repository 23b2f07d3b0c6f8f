/** Kibana saved objects: data view, saved searches, visualisations and dashboards, as NDJSON for its import. */
import { Lens } from './lens.mjs';

const DATA_VIEW = 'packetd-roundtrips';
/** Where Jaeger is in the file; the import puts the real address in its place. */
const JAEGER = 'http://127.0.0.1:16686';
const COLUMNS = [
  'packetd.protocol',
  'packetd.operation',
  'packetd.target',
  'packetd.status',
  'event.duration',
  'client.address',
  'server.address',
  'server.port',
];
/** Values of a protocol that are worth a table; the first ones of its labels. */
const TABLES = 3;

const SEARCHES = [
  search('roundtrips', 'Roundtrips', '', COLUMNS),
  search('errors', 'Errors', 'event.outcome : "failure"', [
    ...COLUMNS.slice(0, 4),
    'error.type',
    ...COLUMNS.slice(4),
  ]),
  // Nanoseconds.
  search('slow', 'Slow (longer than 250 ms)', 'event.duration >= 250000000', COLUMNS, [
    ['event.duration', 'desc'],
  ]),
  search('unanswered', 'Unanswered', 'packetd.status : ("NO_RESPONSE" or "RESET" or "CANCELLED")', COLUMNS),
  search(
    'by-service',
    'By service',
    'server.address : *',
    ['server.address', 'server.port', ...COLUMNS.slice(0, 5), 'client.address'],
    [
      ['server.address', 'asc'],
      ['server.port', 'asc'],
      ['@timestamp', 'desc'],
    ],
  ),
  search('traced', 'With a trace', 'trace.id : *', ['trace.id', 'parent.id', ...COLUMNS]),
  search('incomplete', 'Seen in part only', 'packetd.status : "INCOMPLETE" or packetd.missing_bytes > 0', [
    ...COLUMNS,
    'packetd.missing_bytes',
  ]),
];

export function kibanaObjects(schema) {
  const dashboards = [
    overview(schema),
    ...schema.families.map((family) => familyDashboard(schema, family)),
    ...schema.protocols.map((protocol) => protocolDashboard(schema, protocol)),
  ];
  const lenses = new Map(dashboards.flatMap(({ lenses }) => lenses).map((lens) => [lens.id, lens]));
  return [dataView(schema), ...SEARCHES, ...lenses.values(), ...dashboards.map(({ object }) => object)];
}

// ── data view ──────────────────────────────────────────────────────────────────────────────────────────────

const DURATION = {
  id: 'duration',
  params: {
    inputFormat: 'nanoseconds',
    outputFormat: 'humanizePrecise',
    outputPrecision: 2,
    includeSpaceWithSuffix: true,
    useShortSuffix: true,
  },
};
const link = (urlTemplate) => ({
  id: 'url',
  params: { type: 'a', urlTemplate, labelTemplate: '{{value}}', openLinkInCurrentTab: false },
});

function dataView({ protocols, mappingOf }) {
  const formats = {
    'event.duration': DURATION,
    // A roundtrip that carried no trace is one of its own, by the same id.
    'event.id': link(`${JAEGER}/trace/{{value}}`),
    'trace.id': link(`${JAEGER}/trace/{{value}}`),
    'packetd.protocol': link('/app/dashboards#/view/packetd-{{value}}'),
  };
  for (const protocol of protocols) {
    for (const [name, { type }] of fieldsOf(mappingOf(protocol))) {
      if (type !== 'long' || formats[name] !== undefined) continue;
      if (name.startsWith('packetd.wait.')) formats[name] = DURATION;
      else if (/(^|[._])bytes$|\.size$|_size$/.test(name)) formats[name] = { id: 'bytes' };
      // Numbers that name something have no thousands separators.
      else if (/port$|(^|[._])id$|code$|_tag$|channel$/.test(name))
        formats[name] = { id: 'number', params: { pattern: '0' } };
    }
  }
  const labels = {
    'event.duration': 'Duration',
    'packetd.protocol': 'Protocol',
    'packetd.operation': 'Operation',
    'packetd.target': 'Target',
    'packetd.status': 'Status',
    'error.type': 'Error',
    'client.address': 'Client',
    'server.address': 'Server',
    'server.port': 'Port',
  };
  return saved('index-pattern', DATA_VIEW, '8.0.0', {
    title: 'logs-packetd.*',
    name: 'packetd roundtrips',
    timeFieldName: '@timestamp',
    allowNoIndex: true,
    fieldAttrs: JSON.stringify(
      Object.fromEntries(Object.entries(labels).map(([name, customLabel]) => [name, { customLabel }])),
    ),
    fieldFormatMap: JSON.stringify(formats),
    fields: '[]',
    sourceFilters: '[]',
    runtimeFieldMap: '{}',
    typeMeta: '{}',
  });
}

/** Leaves of a mapping: [dotted name, property]. */
function* fieldsOf({ properties = {} }, prefix = '') {
  for (const [name, property] of Object.entries(properties)) {
    if (property.properties === undefined) yield [`${prefix}${name}`, property];
    else yield* fieldsOf(property, `${prefix}${name}.`);
  }
}

// ── searches ───────────────────────────────────────────────────────────────────────────────────────────────

function search(id, title, query, columns, sort = [['@timestamp', 'desc']]) {
  const index = 'kibanaSavedObjectMeta.searchSourceJSON.index';
  return saved(
    'search',
    `packetd-${id}`,
    '8.0.0',
    {
      title: `packetd: ${title}`,
      description: '',
      columns,
      sort,
      grid: {},
      hideChart: false,
      isTextBasedQuery: false,
      timeRestore: false,
      kibanaSavedObjectMeta: {
        searchSourceJSON: JSON.stringify({
          query: { query, language: 'kuery' },
          filter: [],
          highlightAll: true,
          version: true,
          indexRefName: index,
        }),
      },
    },
    [{ name: index, type: 'index-pattern', id: DATA_VIEW }],
  );
}

// ── dashboards ─────────────────────────────────────────────────────────────────────────────────────────────

function overview({ families, protocols }) {
  return dashboard(
    'overview',
    'Overview',
    '',
    [
      [
        markdown(
          `${links(families, protocols)}\n\nClick a protocol, an id or a trace in the table to follow it.`,
        ),
      ],
      [
        lens('count', 'Roundtrips', (l) => l.metric(l.count())),
        lens('failed', 'Failed', (l) => l.metric(l.count('event.outcome : "failure"'))),
        lens('p95', '95 % are faster than', (l) => l.metric(l.percentile('event.duration', 95))),
        lens('unanswered', 'Unanswered', (l) => l.metric(l.count('packetd.status : "NO_RESPONSE"'))),
      ],
      [
        lens('by-protocol', 'Roundtrips by protocol', (l) => l.overTime(l.count(), 'packetd.protocol')),
        lens('duration', 'Duration by protocol, 95 %', (l) =>
          l.overTime(l.percentile('event.duration', 95), 'packetd.protocol', 'line'),
        ),
      ],
      [
        lens('by-status', 'By status', (l) => l.overTime(l.count(), 'packetd.status')),
        lens('errors', 'Errors', (l) => l.table(['packetd.protocol', 'error.type'], [l.count()])),
      ],
      [
        lens('services', 'Services', (l) =>
          l.table(
            ['packetd.protocol', 'server.address', 'server.port'],
            [l.count(), l.count('event.outcome : "failure"'), l.percentile('event.duration', 95)],
          ),
        ),
        lens('clients', 'Clients', (l) =>
          l.table(['client.address'], [l.count(), l.sum('client.bytes'), l.sum('server.bytes')]),
        ),
      ],
      [searchPanel('packetd-roundtrips')],
    ],
    { height: [3, 6, 12, 12, 14, 20] },
  );
}

function familyDashboard({ families, protocols }, { id, title, protocols: members }) {
  const query = `packetd.protocol : (${members.map((name) => `"${name}"`).join(' or ')})`;
  const named = (name) => `${id}-${name}`;
  return dashboard(
    `family-${id}`,
    title,
    query,
    [
      [markdown(links(families, protocols))],
      [
        lens(named('rate'), `${title}: roundtrips`, (l) => l.overTime(l.count(), 'packetd.protocol'), query),
        lens(
          named('duration'),
          `${title}: duration, 95 %`,
          (l) => l.overTime(l.percentile('event.duration', 95), 'packetd.protocol', 'line'),
          query,
        ),
      ],
      [
        lens(
          named('operations'),
          `${title}: operations`,
          (l) =>
            l.table(
              ['packetd.protocol', 'packetd.operation', 'packetd.target'],
              [l.count(), l.count('event.outcome : "failure"'), l.percentile('event.duration', 95)],
            ),
          query,
        ),
        lens(
          named('errors'),
          `${title}: errors`,
          (l) => l.table(['packetd.protocol', 'error.type', 'packetd.operation'], [l.count()]),
          query,
          'event.outcome : "failure"',
        ),
      ],
      [searchPanel('packetd-errors')],
    ],
    { height: [3, 12, 14, 16] },
  );
}

function protocolDashboard(schema, protocol) {
  const query = `packetd.protocol : "${protocol}"`;
  const named = (name) => `${protocol}-${name}`;
  const fields = new Map(fieldsOf(schema.mappingOf(protocol)));
  const own = schema.labelledOf(protocol).filter((name) => fields.has(name));
  const keywords = own.filter((name) => fields.get(name).type === 'keyword').slice(0, TABLES);
  const tables = keywords.map((field) =>
    lens(
      named(`by-${field}`),
      `${protocol}: ${field}`,
      (l) => l.table([field], [l.count(), l.percentile('event.duration', 95)]),
      query,
    ),
  );
  return dashboard(
    protocol,
    protocol,
    query,
    [
      [markdown(links(schema.families, schema.protocols))],
      [
        lens(named('rate'), `${protocol}: roundtrips`, (l) => l.overTime(l.count(), 'packetd.status'), query),
        lens(
          named('wait'),
          `${protocol}: where the time goes (mean)`,
          (l) =>
            l.overTimeMany(
              ['packetd.wait.request', 'packetd.wait.server', 'packetd.wait.response'].map((name) =>
                l.average(name),
              ),
            ),
          query,
        ),
      ],
      [
        lens(
          named('operations'),
          `${protocol}: operations`,
          (l) =>
            l.table(
              ['packetd.operation', 'packetd.target'],
              [l.count(), l.count('event.outcome : "failure"'), l.percentile('event.duration', 95)],
            ),
          query,
        ),
        lens(
          named('errors'),
          `${protocol}: errors`,
          (l) => l.table(['error.type', 'server.address'], [l.count()]),
          query,
          'event.outcome : "failure"',
        ),
      ],
      ...(tables.length === 0 ? [] : [tables]),
      [searchPanel('packetd-roundtrips')],
    ],
    { height: [3, 12, 14, ...(tables.length === 0 ? [] : [12]), 18] },
  );
}

function links(families, protocols) {
  const to = (id, title) => `[${title}](#/view/packetd-${id})`;
  return [
    to('overview', 'Overview'),
    ...families.map(({ id, title }) => to(`family-${id}`, title)),
    ...protocols.map((name) => to(name, name)),
  ].join(' · ');
}

const WIDTH = 48;

/** `rows` are panels side by side; `height` is that of each row. */
function dashboard(id, title, query, rows, { height }) {
  const panels = [];
  const references = [];
  const lenses = [];
  let y = 0;
  rows.forEach((row, line) => {
    const w = Math.floor(WIDTH / row.length);
    row.forEach((item, column) => {
      const index = `${line}-${column}`;
      const panel = {
        type: item.type,
        panelIndex: index,
        gridData: { x: column * w, y, w, h: height[line], i: index },
      };
      if (item.id === undefined) {
        panels.push({ ...panel, embeddableConfig: item.config });
        return;
      }
      if (item.lens !== undefined) lenses.push(item.lens);
      references.push({ name: `${index}:panel_${index}`, type: item.type, id: item.id });
      panels.push({ ...panel, embeddableConfig: { enhancements: {} }, panelRefName: `panel_${index}` });
    });
    y += height[line];
  });
  const object = saved(
    'dashboard',
    `packetd-${id}`,
    '8.9.0',
    {
      title: `packetd: ${title}`,
      description: '',
      panelsJSON: JSON.stringify(panels),
      optionsJSON: JSON.stringify({
        useMargins: true,
        syncColors: true,
        syncCursor: true,
        syncTooltips: false,
        hidePanelTitles: false,
      }),
      timeRestore: true,
      timeFrom: 'now-1h',
      timeTo: 'now',
      refreshInterval: { pause: false, value: 10000 },
      version: 1,
      kibanaSavedObjectMeta: {
        searchSourceJSON: JSON.stringify({ query: { query, language: 'kuery' }, filter: [] }),
      },
    },
    references,
  );
  return { object, lenses };
}

function lens(id, title, build, ...queries) {
  const query = queries
    .filter((q) => q !== undefined && q !== '')
    .map((q) => `(${q})`)
    .join(' and ');
  const layer = new Lens();
  const full = `packetd-${id}`.replaceAll('.', '-');
  return {
    type: 'lens',
    id: full,
    lens: saved(
      'lens',
      full,
      '8.9.0',
      { title: `packetd: ${title}`, description: '', ...layer.state(build(layer), query) },
      [{ name: layer.referenceName, type: 'index-pattern', id: DATA_VIEW }],
    ),
  };
}

const searchPanel = (id) => ({ type: 'search', id });

function markdown(text) {
  const data = { aggs: [], searchSource: { query: { query: '', language: 'kuery' }, filter: [] } };
  const savedVis = {
    title: '',
    description: '',
    type: 'markdown',
    params: { fontSize: 12, openLinksInNewTab: false, markdown: text },
    uiState: {},
    data,
  };
  return { type: 'visualization', config: { savedVis, hidePanelTitles: true, enhancements: {} } };
}

function saved(type, id, typeMigrationVersion, attributes, references = []) {
  return {
    id,
    type,
    attributes,
    references,
    coreMigrationVersion: '8.8.0',
    typeMigrationVersion,
    managed: false,
  };
}
