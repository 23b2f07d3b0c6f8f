/** The sensor's ledger as Prometheus text, for /metrics. */
import type { Ledger } from '@packetd/sensor/ledger';

export function ledgerMetrics(ledger: Ledger): string {
  // Prometheus wants the samples of a metric together.
  const metrics = new Map<string, string[]>();
  for (const { name, protocol, index } of ledger.counters()) {
    const metric = `packetd_${protocol === '' ? 'sensor' : 'protocol'}_${snake(name)}_total`;
    const labels = protocol === '' ? '' : `{protocol="${protocol}"}`;
    const lines = metrics.get(metric) ?? [`# TYPE ${metric} counter`];
    lines.push(`${metric}${labels} ${ledger.values[index]}`);
    metrics.set(metric, lines);
  }
  return `${[...metrics.values()].flat().join('\n')}\n`;
}

function snake(name: string): string {
  return name.replace(/([A-Z])/g, (letter) => `_${letter.toLowerCase()}`);
}
