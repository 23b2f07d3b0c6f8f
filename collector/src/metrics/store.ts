/**
 * Series of counters, gauges, histograms and summaries in memory. A family is one metric name with one
 * list of labels; each holds at most its budget of series, the rest is counted together as `_other`.
 * Of gauges the rest is left out, for it has no common value.
 */
import { health } from '../health.js';
import { NATIVE_ZERO_THRESHOLD, nativeBucket, vmBucket } from './histogram.js';

/** Value of every label of the series that takes what is beyond the budget. */
export const OTHER = '_other';

export interface Exemplar {
  /** Hexadecimal. */
  readonly traceId: string;
  readonly value: number;
  readonly timeMs: number;
}

export class Series {
  /** Value of a counter or gauge, number of observations of a histogram or summary. */
  value = 0;
  sum = 0;
  /** Per bucket of the family, not cumulative; the last is +Inf. */
  readonly buckets: Float64Array | null;
  /** Sparse counts by index. */
  readonly vm: Map<number, number> | null;
  readonly native: Map<number, number> | null;
  nativeZero = 0;
  exemplar: Exemplar | null = null;
  grownMs = 0;
  /** When it was written by remote write for the last time; -1 before the first. */
  sentMs = -1;

  constructor(
    readonly labels: readonly string[],
    family: Family,
    readonly createdMs: number,
  ) {
    this.buckets = family.kind === 'histogram' ? new Float64Array(family.bounds.length + 1) : null;
    this.vm = family.kind === 'histogram' && family.options.vm ? new Map() : null;
    this.native = family.kind === 'histogram' && family.options.native ? new Map() : null;
  }
}

/** Values of the labels of one series; made once for all families that have the same labels. */
export class LabelSet {
  /** Values come from the network, so no separator is safe: each has its length before it. */
  readonly key: string;

  constructor(readonly values: readonly string[]) {
    let key = '';
    for (const value of values) key += `${value.length}:${value}`;
    this.key = key;
  }
}

export interface FamilyOptions {
  readonly budget: number;
  readonly vm: boolean;
  readonly native: boolean;
}

export type FamilyKind = 'counter' | 'gauge' | 'histogram' | 'summary';

export class Family {
  readonly series = new Map<string, Series>();
  private readonly others: LabelSet;

  constructor(
    readonly name: string,
    readonly kind: FamilyKind,
    readonly help: string,
    readonly labelNames: readonly string[],
    readonly bounds: readonly number[],
    readonly options: FamilyOptions,
  ) {
    this.others = new LabelSet(labelNames.map(() => OTHER));
  }

  add(labels: LabelSet, amount: number, nowMs: number): void {
    const series = this.at(labels, nowMs);
    series.value += amount;
  }

  /** Adds so many observations, whose values have the sum `sum`, to a summary. */
  addAll(labels: LabelSet, count: number, sum: number, nowMs: number): void {
    const series = this.at(labels, nowMs);
    series.value += count;
    series.sum += sum;
  }

  set(labels: LabelSet, value: number, nowMs: number): void {
    const full = this.series.size >= this.options.budget && !this.series.has(labels.key);
    if (full) health.gauges.inc({ metric: this.name });
    else this.at(labels, nowMs).value = value;
  }

  observe(labels: LabelSet, value: number, nowMs: number, traceId: string): void {
    const series = this.at(labels, nowMs);
    series.value++;
    series.sum += value;
    series.buckets![this.bucketOf(value)]++;
    if (series.vm !== null) bump(series.vm, vmBucket(value));
    if (series.native !== null) {
      if (value <= NATIVE_ZERO_THRESHOLD) series.nativeZero++;
      else bump(series.native, nativeBucket(value));
    }
    if (traceId !== '') series.exemplar = { traceId, value, timeMs: nowMs };
  }

  /** Index of the first bound that is not below the value. */
  bucketOf(value: number): number {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]) i++;
    return i;
  }

  /** Takes out the series that have not grown since `beforeMs`; with `onlySent`, not before all growth was sent. */
  expire(beforeMs: number, onlySent: boolean): Series[] {
    const gone: Series[] = [];
    for (const [key, series] of this.series) {
      if (series.grownMs >= beforeMs || (onlySent && series.sentMs <= series.grownMs)) continue;
      this.series.delete(key);
      gone.push(series);
    }
    return gone;
  }

  private at(labels: LabelSet, nowMs: number): Series {
    let series = this.series.get(labels.key);
    if (series === undefined) {
      const set = this.series.size < this.options.budget ? labels : this.others;
      series = this.series.get(set.key);
      if (series === undefined) {
        series = new Series(set.values, this, nowMs);
        this.series.set(set.key, series);
      }
    }
    series.grownMs = nowMs;
    return series;
  }
}

function bump(counts: Map<number, number>, index: number): void {
  counts.set(index, (counts.get(index) ?? 0) + 1);
}
