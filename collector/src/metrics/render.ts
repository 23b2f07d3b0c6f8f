/** The metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0, which has exemplars. */
import { vmRange } from './histogram.js';
import type { Exemplar, Family, Series } from './store.js';

export function renderFamilies(families: Iterable<Family>, openMetrics: boolean): string {
  const lines: string[] = [];
  for (const family of families) {
    if (family.series.size === 0) continue;
    // OpenMetrics names a counter's family without its suffix.
    const name = openMetrics && family.kind === 'counter' ? family.name.replace(/_total$/, '') : family.name;
    lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.kind}`);
    for (const series of family.series.values()) renderSeries(lines, family, series, openMetrics);
  }
  if (openMetrics) lines.push('# EOF');
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function renderSeries(lines: string[], family: Family, series: Series, openMetrics: boolean): void {
  if (series.buckets === null) {
    const suffix =
      openMetrics && family.kind === 'counter' && !family.name.endsWith('_total') ? '_total' : '';
    lines.push(`${family.name}${suffix}${labelText(family, series)} ${series.value}`);
    return;
  }
  if (series.vm !== null) {
    for (const [bucket, count] of [...series.vm].sort(([a], [b]) => a - b)) {
      lines.push(`${family.name}_bucket${labelText(family, series, ['vmrange', vmRange(bucket)])} ${count}`);
    }
  } else {
    const { exemplar } = series;
    const marked = openMetrics && exemplar !== null ? family.bucketOf(exemplar.value) : -1;
    let count = 0;
    series.buckets.forEach((own, i) => {
      count += own;
      const bound = i < family.bounds.length ? boundText(family.bounds[i], openMetrics) : '+Inf';
      const mark = i === marked ? exemplarText(exemplar!) : '';
      lines.push(`${family.name}_bucket${labelText(family, series, ['le', bound])} ${count}${mark}`);
    });
  }
  lines.push(
    `${family.name}_sum${labelText(family, series)} ${series.sum}`,
    `${family.name}_count${labelText(family, series)} ${series.value}`,
  );
}

/** OpenMetrics writes a bound as a float. */
function boundText(bound: number, openMetrics: boolean): string {
  return openMetrics && Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function exemplarText({ traceId, value, timeMs }: Exemplar): string {
  return ` # {trace_id="${traceId}"} ${value} ${timeMs / 1000}`;
}

function labelText(family: Family, series: Series, further?: readonly [string, string]): string {
  const parts: string[] = [];
  family.labelNames.forEach((name, i) => {
    // An empty label is no label.
    if (series.labels[i] !== '') parts.push(`${name}="${escapeValue(series.labels[i])}"`);
  });
  if (further !== undefined) parts.push(`${further[0]}="${further[1]}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
