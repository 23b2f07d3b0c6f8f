/**
 * Builds the WriteRequest of Prometheus remote write 1.0
 * (https://prometheus.io/docs/specs/prw/remote_write_spec/); numbers are those of prompb/types.proto.
 */
import { WireWriter } from '@packetd/proto';
import { NATIVE_SCHEMA, NATIVE_ZERO_THRESHOLD, vmRange } from './histogram.js';
import type { Exemplar, Family, Series } from './store.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const tag = (field: number, type: number) => field * 8 + type;

const Tag = {
  REQUEST_TIMESERIES: tag(1, BYTES),
  REQUEST_METADATA: tag(3, BYTES),
  SERIES_LABELS: tag(1, BYTES),
  SERIES_SAMPLES: tag(2, BYTES),
  SERIES_EXEMPLARS: tag(3, BYTES),
  SERIES_HISTOGRAMS: tag(4, BYTES),
  LABEL_NAME: tag(1, BYTES),
  LABEL_VALUE: tag(2, BYTES),
  SAMPLE_VALUE: tag(1, FIXED64),
  SAMPLE_TIMESTAMP: tag(2, VARINT),
  EXEMPLAR_LABELS: tag(1, BYTES),
  EXEMPLAR_VALUE: tag(2, FIXED64),
  EXEMPLAR_TIMESTAMP: tag(3, VARINT),
  HISTOGRAM_COUNT_INT: tag(1, VARINT),
  HISTOGRAM_SUM: tag(3, FIXED64),
  HISTOGRAM_SCHEMA: tag(4, VARINT),
  HISTOGRAM_ZERO_THRESHOLD: tag(5, FIXED64),
  HISTOGRAM_ZERO_COUNT_INT: tag(6, VARINT),
  HISTOGRAM_POSITIVE_SPANS: tag(11, BYTES),
  HISTOGRAM_POSITIVE_DELTAS: tag(12, BYTES),
  HISTOGRAM_TIMESTAMP: tag(15, VARINT),
  SPAN_OFFSET: tag(1, VARINT),
  SPAN_LENGTH: tag(2, VARINT),
  METADATA_TYPE: tag(1, VARINT),
  METADATA_FAMILY_NAME: tag(2, BYTES),
  METADATA_HELP: tag(4, BYTES),
} as const;

/** MetricMetadata.MetricType */
const MetricType = { counter: 1, gauge: 2, histogram: 3, summary: 5 } as const;

/** The signalling NaN that marks a series as gone, in two halves. */
const STALE_HIGH = 0x7ff00000;
const STALE_LOW = 2;

type Label = readonly [name: string, value: string];

export class WriteRequests {
  private readonly writer = new WireWriter(1 << 20);

  constructor(private readonly instance: string) {}

  /** Bytes written since `take`. */
  get length(): number {
    return this.writer.length;
  }

  /** The request so far, borrowed until something is written again. */
  take(): Uint8Array {
    const request = this.writer.bytes.subarray(0, this.writer.length);
    this.writer.reset();
    return request;
  }

  /** Type and help of a family. */
  metadata(family: Family): void {
    const w = this.writer;
    const mark = w.begin(Tag.REQUEST_METADATA);
    w.uint(Tag.METADATA_TYPE, MetricType[family.kind]);
    w.string(Tag.METADATA_FAMILY_NAME, family.name);
    w.string(Tag.METADATA_HELP, family.help);
    w.end(mark);
  }

  /**
   * The samples of a series. What only grows has been 0 before: at its first time the series gets that
   * sample too, from when it was made, without which `rate` and `increase` would miss its first value.
   * The 0 is later than `afterMs`, when the same series may have been marked as gone, and earlier than
   * `timeMs`.
   */
  series(family: Family, series: Series, afterMs: number, timeMs: number): void {
    const { exemplar, native, sentMs, createdMs } = series;
    const isNew = sentMs < 0 && family.kind !== 'gauge';
    const zeroMs = isNew ? Math.max(Math.min(createdMs, timeMs - 1), afterMs + 1) : -1;
    const fresh = exemplar !== null && exemplar.timeMs > sentMs ? exemplar : null;
    this.each(family, series, (name, labels, value, marked) => {
      this.one(name, labels, value, zeroMs, timeMs, marked ? fresh : null);
    });
    if (native !== null) this.native(family, series, native, zeroMs, timeMs);
    series.sentMs = timeMs;
  }

  /** Staleness markers for everything that `series` wrote. */
  stale(family: Family, series: Series, timeMs: number): void {
    this.each(family, series, (name, labels) => this.one(name, labels, null, -1, timeMs, null));
    if (series.native !== null) this.staleNative(family, series, timeMs);
  }

  /** Calls `visit` for every sample but the native histogram; `marked` says that the exemplar belongs to it. */
  private each(
    family: Family,
    series: Series,
    visit: (name: string, labels: readonly Label[], value: number, marked: boolean) => void,
  ): void {
    const { buckets, vm, exemplar } = series;
    const own = this.labels(family, series);
    if (buckets === null && family.kind !== 'summary') {
      visit(family.name, own, series.value, false);
      return;
    }
    if (vm !== null) {
      for (const [bucket, count] of vm) {
        visit(
          `${family.name}_bucket`,
          this.labels(family, series, ['vmrange', vmRange(bucket)]),
          count,
          false,
        );
      }
    } else if (buckets !== null) {
      const marked = exemplar === null ? -1 : family.bucketOf(exemplar.value);
      let count = 0;
      buckets.forEach((inBucket, i) => {
        count += inBucket;
        const bound = i < family.bounds.length ? String(family.bounds[i]) : '+Inf';
        visit(`${family.name}_bucket`, this.labels(family, series, ['le', bound]), count, i === marked);
      });
    }
    visit(`${family.name}_sum`, own, series.sum, false);
    visit(`${family.name}_count`, own, series.value, false);
  }

  /** A histogram is marked by its sum. */
  private staleNative(family: Family, series: Series, timeMs: number): void {
    const w = this.writer;
    const mark = w.begin(Tag.REQUEST_TIMESERIES);
    this.writeLabels(family.name, this.labels(family, series));
    const histogram = w.begin(Tag.SERIES_HISTOGRAMS);
    w.fixed64(Tag.HISTOGRAM_SUM, STALE_LOW, STALE_HIGH);
    w.uint(Tag.HISTOGRAM_SCHEMA, zigzag(NATIVE_SCHEMA));
    w.uint(Tag.HISTOGRAM_TIMESTAMP, timeMs);
    w.end(histogram);
    w.end(mark);
  }

  /** Labels must be sorted by name; `__name__` comes first by itself. */
  private labels(family: Family, series: Series, further?: Label): Label[] {
    const labels: Label[] = [];
    family.labelNames.forEach((name, i) => {
      if (series.labels[i] !== '') labels.push([name, series.labels[i]]);
    });
    if (further !== undefined) labels.push(further);
    labels.push(['instance', this.instance]);
    return labels.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** One series with one sample, before it 0 where `zeroMs` is a time; `value` null marks it as gone. */
  private one(
    name: string,
    labels: readonly Label[],
    value: number | null,
    zeroMs: number,
    timeMs: number,
    exemplar: Exemplar | null,
  ): void {
    const w = this.writer;
    const mark = w.begin(Tag.REQUEST_TIMESERIES);
    this.writeLabels(name, labels);
    if (zeroMs >= 0) this.sample(0, zeroMs);
    this.sample(value, timeMs);
    if (exemplar !== null) {
      const at = w.begin(Tag.SERIES_EXEMPLARS);
      this.label(Tag.EXEMPLAR_LABELS, 'trace_id', exemplar.traceId);
      w.double(Tag.EXEMPLAR_VALUE, exemplar.value);
      w.uint(Tag.EXEMPLAR_TIMESTAMP, exemplar.timeMs);
      w.end(at);
    }
    w.end(mark);
  }

  private sample(value: number | null, timeMs: number): void {
    const w = this.writer;
    const mark = w.begin(Tag.SERIES_SAMPLES);
    if (value === null) w.fixed64(Tag.SAMPLE_VALUE, STALE_LOW, STALE_HIGH);
    else w.double(Tag.SAMPLE_VALUE, value);
    w.uint(Tag.SAMPLE_TIMESTAMP, timeMs);
    w.end(mark);
  }

  private native(
    family: Family,
    series: Series,
    counts: Map<number, number>,
    zeroMs: number,
    timeMs: number,
  ): void {
    const w = this.writer;
    const mark = w.begin(Tag.REQUEST_TIMESERIES);
    this.writeLabels(family.name, this.labels(family, series));
    if (zeroMs >= 0) {
      const zero = w.begin(Tag.SERIES_HISTOGRAMS);
      w.uint(Tag.HISTOGRAM_COUNT_INT, 0);
      w.uint(Tag.HISTOGRAM_SCHEMA, zigzag(NATIVE_SCHEMA));
      w.double(Tag.HISTOGRAM_ZERO_THRESHOLD, NATIVE_ZERO_THRESHOLD);
      w.uint(Tag.HISTOGRAM_ZERO_COUNT_INT, 0);
      w.uint(Tag.HISTOGRAM_TIMESTAMP, zeroMs);
      w.end(zero);
    }
    const histogram = w.begin(Tag.SERIES_HISTOGRAMS);
    w.uint(Tag.HISTOGRAM_COUNT_INT, series.value);
    w.double(Tag.HISTOGRAM_SUM, series.sum);
    w.uint(Tag.HISTOGRAM_SCHEMA, zigzag(NATIVE_SCHEMA));
    w.double(Tag.HISTOGRAM_ZERO_THRESHOLD, NATIVE_ZERO_THRESHOLD);
    w.uint(Tag.HISTOGRAM_ZERO_COUNT_INT, series.nativeZero);
    const sorted = [...counts].sort(([a], [b]) => a - b);
    for (let i = 0, after = 0; i < sorted.length; ) {
      let j = i + 1;
      while (j < sorted.length && sorted[j][0] === sorted[j - 1][0] + 1) j++;
      const span = w.begin(Tag.HISTOGRAM_POSITIVE_SPANS);
      // The first offset is the index itself, the others the gap to the span before.
      w.uint(Tag.SPAN_OFFSET, zigzag(i === 0 ? sorted[0][0] : sorted[i][0] - after));
      w.uint(Tag.SPAN_LENGTH, j - i);
      w.end(span);
      after = sorted[j - 1][0] + 1;
      i = j;
    }
    const deltas = w.begin(Tag.HISTOGRAM_POSITIVE_DELTAS);
    let before = 0;
    for (const [, count] of sorted) {
      w.reserve(10);
      w.varint(zigzag(count - before));
      before = count;
    }
    w.end(deltas);
    w.uint(Tag.HISTOGRAM_TIMESTAMP, timeMs);
    w.end(histogram);
    w.end(mark);
  }

  private writeLabels(name: string, labels: readonly Label[]): void {
    this.label(Tag.SERIES_LABELS, '__name__', name);
    for (const [key, value] of labels) this.label(Tag.SERIES_LABELS, key, value);
  }

  private label(field: number, name: string, value: string): void {
    const w = this.writer;
    const mark = w.begin(field);
    w.string(Tag.LABEL_NAME, name);
    w.string(Tag.LABEL_VALUE, value);
    w.end(mark);
  }
}

function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}
