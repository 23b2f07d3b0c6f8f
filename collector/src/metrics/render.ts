/** The metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0, which has exemplars. */
import { vmRange } from './histogram.js';
import type { Exemplar, Family, Series } from './store.js';

export function renderFamilies(families: Iterable<Family>, openMetrics: boolean): string {
  const lines: string[] = [];
  for (const family of families) {
    if (family.series.size === 0) continue;
    const { name, kind } = openMetrics ? openMetricsFamily(family) : family;
    lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${kind}`);
    for (const series of family.series.values()) renderSeries(lines, family, series, openMetrics);
  }
  if (openMetrics) lines.push('# EOF');
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function renderSeries(lines: string[], family: Family, series: Series, openMetrics: boolean): void {
  if (series.buckets === null) {
    if (family.kind === 'summary') sumAndCount(lines, family, series);
    else lines.push(`${family.name}${labelText(family, series)} ${series.value}`);
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
  sumAndCount(lines, family, series);
}

function sumAndCount(lines: string[], family: Family, series: Series): void {
  const labels = labelText(family, series);
  lines.push(`${family.name}_sum${labels} ${series.sum}`, `${family.name}_count${labels} ${series.value}`);
}

/**
 * OpenMetrics names a counter's family without the suffix that its samples must have. Another counter
 * keeps its name, the same as in remote write, and has no type.
 */
function openMetricsFamily({ name, kind }: Family): { name: string; kind: string } {
  if (kind !== 'counter') return { name, kind };
  return name.endsWith('_total')
    ? { name: name.slice(0, -'_total'.length), kind }
    : { name, kind: 'unknown' };
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
