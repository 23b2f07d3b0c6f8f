/** Turns batches into metrics; what a protocol's metrics are is compiled from the schema. */
import { type LabelSource, MetricsReader, metricSchemas } from '@packetd/proto/telemetry/metrics';
import type { Batch } from '../output.js';
import { BYTE_BUCKETS, DURATION_BUCKETS } from './histogram.js';
import { LabelSets } from './label-sets.js';
import { LabelError, labelsOf } from './labels.js';
import { Layer4 } from './layer4.js';
import { Family, type Series } from './store.js';

export interface StorageConfig {
  /** A series that has not grown for so long is dropped. */
  readonly expiredMs: number;
  readonly vmHistogram: boolean;
  readonly nativeHistograms: boolean;
  /** Series per metric. */
  readonly seriesBudget: number;
  /** Labels by protocol; a protocol that is not here has the default ones. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
  readonly layer4Labels: readonly string[];
}

interface ProtocolFamilies {
  readonly labelSets: LabelSets;
  readonly requests: Family;
  readonly duration: Family;
  /** In the order of the schema's metrics. */
  readonly own: readonly Family[];
}

const NANOS = 1e9;

export class MetricsRegistry {
  /** By name. */
  private readonly protocols = new Map<string, ProtocolFamilies>();
  private readonly reader: MetricsReader;
  private readonly layer4: Layer4;

  /** Throws LabelError. */
  constructor(private readonly config: StorageConfig) {
    const options = {
      budget: config.seriesBudget,
      vm: config.vmHistogram,
      native: config.nativeHistograms,
    };
    const protocols = metricSchemas();
    const sources = new Map<string, readonly LabelSource[]>();
    refuseUnknown(
      Object.keys(config.labels),
      protocols.map(({ name }) => name),
    );
    for (const protocol of protocols) {
      const labels = labelsOf(protocol, config.labels[protocol.name]);
      const family = (
        name: string,
        kind: 'counter' | 'histogram',
        help: string,
        bounds: readonly number[] = [],
      ) => new Family(name, kind, help, labels.names, bounds, options);
      sources.set(protocol.name, labels.sources);
      this.protocols.set(protocol.name, {
        labelSets: new LabelSets(),
        requests: family(`${protocol.name}_requests_total`, 'counter', `Roundtrips of ${protocol.name}.`),
        duration: family(
          `${protocol.name}_request_duration_seconds`,
          'histogram',
          'From the first byte of the request to the last of the response.',
          DURATION_BUCKETS,
        ),
        own: protocol.metrics.map(({ name, kind, buckets }) =>
          family(
            name,
            kind,
            `Of the roundtrips of ${protocol.name} that have it.`,
            buckets.length > 0 ? buckets : BYTE_BUCKETS,
          ),
        ),
      });
    }
    this.reader = new MetricsReader(sources);
    this.layer4 = new Layer4(config.layer4Labels, options);
  }

  /** Answers how many records were counted, and how many left out: malformed, or of no protocol that is known. */
  take(batch: Batch, nowMs: number): { known: number; unreadable: number } {
    let known = 0;
    let unreadable = 0;
    const { endpoints, sensor } = batch.head;
    batch.eachRecord((start, end) => {
      if (this.record(batch.bytes, start, end, nowMs)) known++;
      else unreadable++;
    });
    for (const stats of endpoints) this.layer4.take(stats, sensor?.name ?? '', nowMs);
    return { known, unreadable };
  }

  /** Takes out idle series, with `onlySent` those that remote write has sent; answers them for their staleness markers. */
  expire(nowMs: number, onlySent: boolean): { family: Family; series: Series }[] {
    const gone: { family: Family; series: Series }[] = [];
    for (const family of this.families()) {
      for (const series of family.expire(nowMs - this.config.expiredMs, onlySent))
        gone.push({ family, series });
    }
    return gone;
  }

  *families(): Generator<Family> {
    for (const { requests, duration, own } of this.protocols.values()) {
      yield requests;
      yield duration;
      yield* own;
    }
    yield* this.layer4.all();
  }

  private record(bytes: Uint8Array, start: number, end: number, nowMs: number): boolean {
    const { reader } = this;
    const metrics = this.protocols.get(reader.read(bytes, start, end));
    if (metrics === undefined) return false;
    const labels = metrics.labelSets.of(reader);
    const { traceId } = reader;
    metrics.requests.add(labels, 1, nowMs);
    metrics.duration.observe(labels, reader.durationNano / NANOS, nowMs, traceId);
    const { own } = metrics;
    for (let i = 0; i < own.length; i++) {
      const value = reader.value(i);
      if (value === undefined) continue;
      if (own[i].kind === 'counter') own[i].add(labels, value, nowMs);
      else own[i].observe(labels, value, nowMs, traceId);
    }
    return true;
  }
}

/** Throws LabelError. */
function refuseUnknown(wanted: readonly string[], known: readonly string[]): void {
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new LabelError(
    `processor: there is no protocol '${unknown}'; there are ${known.toSorted().join(', ')}`,
  );
}
