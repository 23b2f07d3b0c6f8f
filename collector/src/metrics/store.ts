/**
 * Series of counters, gauges and histograms in memory. A family is one metric name with one list of
 * labels; each holds at most its budget of series, the rest is counted together as `_other`.
 */
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
  /** Value of a counter or gauge, number of observations of a histogram. */
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

  constructor(
    readonly labels: readonly string[],
    family: Family,
  ) {
    this.buckets = family.kind === 'histogram' ? new Float64Array(family.bounds.length + 1) : null;
    this.vm = family.kind === 'histogram' && family.options.vm ? new Map() : null;
    this.native = family.kind === 'histogram' && family.options.native ? new Map() : null;
  }
}

export interface FamilyOptions {
  readonly budget: number;
  readonly vm: boolean;
  readonly native: boolean;
}

export class Family {
  readonly series = new Map<string, Series>();
  /** Observations that went to `_other`. */
  overflowed = 0;

  constructor(
    readonly name: string,
    readonly kind: 'counter' | 'gauge' | 'histogram',
    readonly help: string,
    readonly labelNames: readonly string[],
    readonly bounds: readonly number[],
    readonly options: FamilyOptions,
  ) {}

  add(labels: readonly string[], amount: number, nowMs: number): void {
    const series = this.at(labels, nowMs);
    series.value += amount;
  }

  set(labels: readonly string[], value: number, nowMs: number): void {
    this.at(labels, nowMs).value = value;
  }

  observe(labels: readonly string[], value: number, nowMs: number, traceId: string): void {
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

  /** Takes out the series that have not grown since `beforeMs`. */
  expire(beforeMs: number): Series[] {
    const gone: Series[] = [];
    for (const [key, series] of this.series) {
      if (series.grownMs >= beforeMs) continue;
      this.series.delete(key);
      gone.push(series);
    }
    return gone;
  }

  private at(labels: readonly string[], nowMs: number): Series {
    const key = labels.join('\u0000');
    let series = this.series.get(key);
    if (series === undefined) {
      if (this.series.size >= this.options.budget) {
        this.overflowed++;
        const others = this.labelNames.map(() => OTHER);
        const otherKey = others.join('\u0000');
        series = this.series.get(otherKey);
        if (series === undefined) {
          series = new Series(others, this);
          this.series.set(otherKey, series);
        }
      } else {
        series = new Series([...labels], this);
        this.series.set(key, series);
      }
    }
    series.grownMs = nowMs;
    return series;
  }
}

function bump(counts: Map<number, number>, index: number): void {
  counts.set(index, (counts.get(index) ?? 0) + 1);
}
