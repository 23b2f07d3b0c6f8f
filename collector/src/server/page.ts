/** The web page: live tail and service map, in one document without anything from elsewhere. */

/** The page; `nonce` is that of the Content-Security-Policy. */
export function page(nonce: string): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>packetd</title>
<style nonce="${nonce}">${STYLE}</style>
<header><h1>packetd <small id="state" role="status">connecting…</small></h1>
<nav><input id="filter" type="search" placeholder="Show only lines with this text" aria-label="Filter">
<select id="protocol" aria-label="Protocol"><option value="">all protocols</option></select>
<button id="pause" type="button" aria-pressed="false">Pause</button></nav></header>
<main><section><div class="scroll"><table><thead><tr><th>Time, UTC<th>Client<th>Server<th>Protocol<th>Request<th>Status<th class="n">ms</tr></thead><tbody id="rows"></tbody></table></div></section>
<section><h2>Services</h2><div class="scroll"><table><thead><tr><th>Client<th>Server<th>Protocol<th class="n">Requests<th class="n">Errors<th class="n">mean ms</tr></thead><tbody id="map"></tbody></table></div></section></main>
<dialog id="detail"><form method="dialog"><button>Close</button></form><pre id="json"></pre></dialog>
<script nonce="${nonce}">${SCRIPT}</script>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 78rem; padding: 1rem; }
h1 { font-size: 1.2rem; margin: 0 0 .5rem; } h1 small { font-weight: normal; opacity: .7; }
h2 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
nav { display: flex; flex-wrap: wrap; gap: .5rem; }
input, select, button { font: inherit; padding: .25rem .5rem; } input { width: min(24rem, 100%); box-sizing: border-box; }
.scroll { overflow: auto; margin-top: .75rem; max-height: 60vh; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; white-space: nowrap; }
td.asked { max-width: 24rem; overflow: hidden; text-overflow: ellipsis; }
th { border-bottom: 1px solid; position: sticky; top: 0; background: Canvas; } .n { text-align: right; }
#rows tr { cursor: pointer; } #rows tr:hover, #rows tr:focus { background: color-mix(in srgb, CanvasText 8%, Canvas); }
.OK { color: #1a7f37; } .ERROR, .RESET { color: #cf222e; } .NO_RESPONSE, .CANCELLED, .INCOMPLETE { color: #9a6700; }
dialog { max-width: 60rem; width: 90vw; } pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }
@media (prefers-color-scheme: dark) { .OK { color: #56d364; } .ERROR, .RESET { color: #ff7b72; } .NO_RESPONSE, .CANCELLED, .INCOMPLETE { color: #e3b341; } }
`;

const SCRIPT = `
'use strict';
const $ = (id) => document.getElementById(id);
const rows = $('rows'), filter = $('filter'), protocol = $('protocol'), state = $('state'), pause = $('pause'), map = $('map');
const MAX_ROWS = 500, MAX_EDGES = 200;
const edges = new Map(), protocols = new Set();
// More than the server gives again to whoever connects again.
const MAX_RECENT = 500;
const recent = new Set();
let seen = 0, paused = false, queue = [], drawn = false, connected = false;
const tell = () => {
  state.textContent = !connected ? 'connection lost, trying again' : seen === 0 ? 'watching; nothing seen yet' :
    seen + (seen === 1 ? ' roundtrip' : ' roundtrips');
};
const host = (e) => e.address.includes(':') ? '[' + e.address + ']' : e.address;
const end = (e) => e ? host(e) + ':' + (e.port ?? 0) : '';
const shown = (row) => (filter.value === '' || row.textContent.toLowerCase().includes(filter.value.toLowerCase())) &&
  (protocol.value === '' || row.dataset.protocol === protocol.value);
const refilter = () => { for (const row of rows.children) row.hidden = !shown(row); };
filter.addEventListener('input', refilter);
protocol.addEventListener('change', refilter);
pause.addEventListener('click', () => {
  paused = !paused;
  pause.textContent = paused ? 'Go on' : 'Pause';
  pause.setAttribute('aria-pressed', String(paused));
  if (!paused) later();
});
const open = (d) => { $('json').textContent = JSON.stringify(d, null, 2); $('detail').showModal(); };
const add = (d) => {
  const row = document.createElement('tr');
  row.dataset.protocol = d.packetd.protocol;
  row.tabIndex = 0;
  const cells = [d['@timestamp'].slice(11, 23), end(d.client), end(d.server), d.packetd.protocol,
    [d.packetd.operation, d.packetd.target].filter(Boolean).join(' '),
    d.error?.type ? d.packetd.status + ' ' + d.error.type : d.packetd.status, ((d.event.duration ?? 0) / 1e6).toFixed(2)];
  cells.forEach((text, i) => {
    const cell = row.insertCell();
    cell.textContent = text;
    if (i === 4) { cell.className = 'asked'; cell.title = text; }
    if (i === 5) cell.className = d.packetd.status;
    if (i === 6) cell.className = 'n';
  });
  row.addEventListener('click', () => open(d));
  row.addEventListener('keydown', (e) => { if (e.key === 'Enter') open(d); });
  rows.prepend(row);
  row.hidden = !shown(row);
};
const count = (d) => {
  const from = d.client ? host(d.client) : '', to = end(d.server), key = from + ' ' + to + ' ' + d.packetd.protocol;
  let edge = edges.get(key);
  if (!edge) {
    if (edges.size >= MAX_EDGES) return;
    edges.set(key, edge = { from, to, protocol: d.packetd.protocol, requests: 0, errors: 0, nanos: 0 });
  }
  edge.requests++;
  edge.nanos += d.event.duration ?? 0;
  if (d.packetd.status !== 'OK') edge.errors++;
};
const draw = () => {
  drawn = false;
  if (paused) return;
  for (const d of queue.slice(-MAX_ROWS)) add(d);
  queue = [];
  while (rows.children.length > MAX_ROWS) rows.lastChild.remove();
  map.replaceChildren(...[...edges.values()].sort((a, b) => b.requests - a.requests).map((e) => {
    const row = document.createElement('tr');
    [e.from, e.to, e.protocol, e.requests, e.errors, (e.nanos / e.requests / 1e6).toFixed(2)].forEach((text, i) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (i > 2) cell.className = 'n';
    });
    return row;
  }));
  tell();
};
const later = () => { if (!drawn) { drawn = true; setTimeout(draw, 200); } };
const connect = () => {
  const source = new EventSource('watch');
  source.onopen = () => { connected = true; tell(); };
  source.onmessage = take;
  source.onerror = () => {
    connected = false;
    tell();
    // It tries again itself, but not after an answer such as 502 or 503.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
};
const take = (message) => {
  const d = JSON.parse(message.data);
  if (recent.has(d.event.id)) return;
  recent.add(d.event.id);
  if (recent.size > MAX_RECENT) recent.delete(recent.values().next().value);
  seen++;
  if (!protocols.has(d.packetd.protocol)) {
    protocols.add(d.packetd.protocol);
    protocol.append(new Option(d.packetd.protocol));
  }
  count(d);
  queue.push(d);
  if (queue.length > 4 * MAX_ROWS) queue = queue.slice(-MAX_ROWS);
  later();
};
connect();
`;
