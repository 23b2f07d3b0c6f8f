/** The web page: the live tail, in one document without anything from elsewhere. */
export const PAGE = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>packetd</title>
<style>
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.2rem; margin: 0 0 .5rem; } h1 small { font-weight: normal; opacity: .7; }
input { font: inherit; padding: .25rem .5rem; width: min(24rem, 100%); box-sizing: border-box; }
.scroll { overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; white-space: nowrap; }
td.asked { max-width: 24rem; overflow: hidden; text-overflow: ellipsis; }
th { border-bottom: 1px solid; position: sticky; top: 0; } .n { text-align: right; }
.OK { color: #1a7f37; } .ERROR, .RESET { color: #cf222e; } .NO_RESPONSE, .CANCELLED, .INCOMPLETE { color: #9a6700; }
@media (prefers-color-scheme: dark) { .OK { color: #56d364; } .ERROR, .RESET { color: #ff7b72; } .NO_RESPONSE, .CANCELLED, .INCOMPLETE { color: #e3b341; } }
</style>
<h1>packetd <small id="state" role="status">connecting…</small></h1>
<input id="filter" type="search" placeholder="Show only lines with this text" aria-label="Filter">
<div class="scroll"><table><thead><tr><th>Time<th>Client<th>Server<th>Protocol<th>Request<th>Status<th class="n">ms</tr></thead><tbody id="rows"></tbody></table></div>
<script>
const rows = document.getElementById('rows'), filter = document.getElementById('filter'), state = document.getElementById('state');
let seen = 0;
const end = (e) => e ? (e.address.includes(':') ? '[' + e.address + ']' : e.address) + ':' + (e.port ?? 0) : '';
const show = (row) => { row.hidden = filter.value !== '' && !row.textContent.toLowerCase().includes(filter.value.toLowerCase()); };
filter.addEventListener('input', () => { for (const row of rows.children) show(row); });
const source = new EventSource('/watch');
source.onopen = () => { state.textContent = 'watching; nothing seen yet'; };
source.onerror = () => { state.textContent = 'connection lost, trying again'; };
source.onmessage = (message) => {
  const d = JSON.parse(message.data), row = document.createElement('tr');
  const cells = [d['@timestamp'].slice(11, 23), end(d.client), end(d.server), d.packetd.protocol,
    [d.packetd.operation, d.packetd.target].filter(Boolean).join(' '), d.error?.type ? d.packetd.status + ' ' + d.error.type : d.packetd.status,
    ((d.event.duration ?? 0) / 1e6).toFixed(2)];
  cells.forEach((text, i) => {
    const cell = row.insertCell(); cell.textContent = text;
    if (i === 4) { cell.className = 'asked'; cell.title = text; }
    if (i === 5) cell.className = d.packetd.status;
    if (i === 6) cell.className = 'n';
  });
  rows.prepend(row); show(row);
  if (rows.children.length > 500) rows.lastChild.remove();
  state.textContent = ++seen + ' roundtrips';
};
</script>
</html>
`;
