// One-shot: puts packetd's data view, saved searches and dashboards into Kibana; again is harmless. Plain Node,
// no dependencies.
//
//   KIBANA_URL (http://127.0.0.1:5601)      KIBANA_API_KEY or KIBANA_API_KEY_FILE, where Kibana asks for one
//   JAEGER_URL (http://127.0.0.1:16686)     where a browser finds Jaeger: links of trace ids go there
//   KIBANA_SPACE                            space to import into; empty is the default one
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const env = process.env;
const base = `${(env.KIBANA_URL ?? 'http://127.0.0.1:5601').replace(/\/$/, '')}${env.KIBANA_SPACE ? `/s/${env.KIBANA_SPACE}` : ''}`;
const JAEGER_IN_FILE = 'http://127.0.0.1:16686';
const COLUMNS = [
  'packetd.protocol',
  'packetd.operation',
  'packetd.target',
  'packetd.status',
  'event.duration',
];
const WAIT_MS = 180_000;
const PAUSE_MS = 2000;
const TIMEOUT_MS = 30_000;

const apiKey = env.KIBANA_API_KEY_FILE
  ? readFileSync(env.KIBANA_API_KEY_FILE, 'utf8').trim()
  : env.KIBANA_API_KEY;
const headers = { 'kbn-xsrf': 'packetd', ...(apiKey ? { authorization: `ApiKey ${apiKey}` } : {}) };

// Alone in its container it is process 1, which no signal ends that it does not handle.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

await available();
const objects = readFileSync(new URL('./packetd.ndjson', import.meta.url), 'utf8').replaceAll(
  JAEGER_IN_FILE,
  (env.JAEGER_URL || JAEGER_IN_FILE).replace(/\/$/, ''),
);
const form = new FormData();
form.append('file', new Blob([objects]), 'packetd.ndjson');
const result = await post('/api/saved_objects/_import?overwrite=true', form);
if (!result.success) {
  const reasons = (result.errors ?? []).map(
    ({ type, id, error }) => `${type} ${id}: ${error?.type ?? 'refused'}`,
  );
  stop(`Kibana did not take everything:\n  ${reasons.join('\n  ')}`);
}
await post('/api/data_views/default', JSON.stringify({ data_view_id: 'packetd-roundtrips', force: true }));
// The columns of a new search. An internal route: where it is closed, Discover begins with whole documents.
await post('/internal/kibana/settings', JSON.stringify({ changes: { defaultColumns: COLUMNS } })).catch(
  (error) => console.error(`kibana import: default columns are not set (${error.message})`),
);
console.log(`kibana import: ${result.successCount} objects at ${base}`);

/** Waits until Kibana can be used. */
async function available() {
  const until = Date.now() + WAIT_MS;
  for (;;) {
    const level = await fetch(`${base}/api/status`, {
      headers,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).then(
      async (answer) =>
        answer.ok ? ((await answer.json()).status?.overall?.level ?? 'available') : `status ${answer.status}`,
      (error) => error.cause?.code ?? error.message,
    );
    if (level === 'available') return;
    if (Date.now() > until) stop(`${base} is not available (${level}); set KIBANA_URL`);
    await pause(PAUSE_MS);
  }
}

async function post(path, body) {
  const answer = await fetch(`${base}${path}`, {
    method: 'POST',
    headers: {
      ...headers,
      'x-elastic-internal-origin': 'packetd',
      ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
    },
    body,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`POST ${path}: status ${answer.status} ${text.slice(0, 300)}`);
  return text === '' ? {} : JSON.parse(text);
}

function stop(text) {
  console.error(`kibana import: ${text}`);
  process.exit(1);
}
