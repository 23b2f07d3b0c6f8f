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
} as const;

/** The signalling NaN that marks a series as gone, in two halves. */
const STALE_HIGH = 0x7ff00000;
const STALE_LOW = 2;

/** Receives requests: bytes of one WriteRequest, borrowed until the call returns. */
export type RequestSink = (bytes: Uint8Array) => void;

type Label = readonly [name: string, value: string];

export class WriteRequests {
  private readonly writer = new WireWriter(1 << 20);

  /** A request is handed to `sink` when it is longer than `maxBytes`. */
  constructor(
    private readonly instance: string,
    private readonly maxBytes: number,
    private readonly sink: RequestSink,
  ) {}

  /** All samples of a series, at one time. */
  series(family: Family, series: Series, timeMs: number): void {
    const { buckets, vm, native } = series;
    if (buckets === null) {
      this.one(family.name, this.labels(family, series), series.value, timeMs);
      return;
    }
    if (vm !== null) {
      for (const [bucket, count] of vm) {
        this.one(
          `${family.name}_bucket`,
          this.labels(family, series, ['vmrange', vmRange(bucket)]),
          count,
          timeMs,
        );
      }
    } else {
      const { exemplar } = series;
      const marked = exemplar === null ? -1 : family.bucketOf(exemplar.value);
      let count = 0;
      buckets.forEach((own, i) => {
        count += own;
        const bound = i < family.bounds.length ? String(family.bounds[i]) : '+Inf';
        const labels = this.labels(family, series, ['le', bound]);
        this.one(`${family.name}_bucket`, labels, count, timeMs, i === marked ? exemplar : null);
      });
    }
    this.one(`${family.name}_sum`, this.labels(family, series), series.sum, timeMs);
    this.one(`${family.name}_count`, this.labels(family, series), series.value, timeMs);
    if (native !== null) this.native(family, series, native, timeMs);
  }

  /** Staleness markers for every series that `series` would have written. */
  stale(family: Family, series: Series, timeMs: number): void {
    const { buckets, vm } = series;
    if (buckets === null) {
      this.one(family.name, this.labels(family, series), null, timeMs);
      return;
    }
    if (vm !== null) {
      for (const bucket of vm.keys()) {
        this.one(
          `${family.name}_bucket`,
          this.labels(family, series, ['vmrange', vmRange(bucket)]),
          null,
          timeMs,
        );
      }
    } else {
      for (let i = 0; i < buckets.length; i++) {
        const bound = i < family.bounds.length ? String(family.bounds[i]) : '+Inf';
        this.one(`${family.name}_bucket`, this.labels(family, series, ['le', bound]), null, timeMs);
      }
    }
    this.one(`${family.name}_sum`, this.labels(family, series), null, timeMs);
    this.one(`${family.name}_count`, this.labels(family, series), null, timeMs);
    if (series.native !== null) this.staleNative(family, series, timeMs);
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

  /** Hands on what is left. */
  finish(): void {
    if (this.writer.length > 0) this.flush();
  }

  private flush(): void {
    this.sink(this.writer.bytes.subarray(0, this.writer.length));
    this.writer.reset();
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

  /** One series with one sample; `value` null marks it as gone. */
  private one(
    name: string,
    labels: readonly Label[],
    value: number | null,
    timeMs: number,
    exemplar: Exemplar | null = null,
  ): void {
    const w = this.writer;
    const mark = w.begin(Tag.REQUEST_TIMESERIES);
    this.writeLabels(name, labels);
    const sample = w.begin(Tag.SERIES_SAMPLES);
    if (value === null) w.fixed64(Tag.SAMPLE_VALUE, STALE_LOW, STALE_HIGH);
    else w.double(Tag.SAMPLE_VALUE, value);
    w.uint(Tag.SAMPLE_TIMESTAMP, timeMs);
    w.end(sample);
    if (exemplar !== null) {
      const at = w.begin(Tag.SERIES_EXEMPLARS);
      this.label(Tag.EXEMPLAR_LABELS, 'trace_id', exemplar.traceId);
      w.double(Tag.EXEMPLAR_VALUE, exemplar.value);
      w.uint(Tag.EXEMPLAR_TIMESTAMP, exemplar.timeMs);
      w.end(at);
    }
    w.end(mark);
    if (w.length >= this.maxBytes) this.flush();
  }

  private native(family: Family, series: Series, counts: Map<number, number>, timeMs: number): void {
    const w = this.writer;
    const mark = w.begin(Tag.REQUEST_TIMESERIES);
    this.writeLabels(family.name, this.labels(family, series));
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
    if (w.length >= this.maxBytes) this.flush();
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
