/** Turns decoded batches into metrics; what a protocol's metrics are is compiled from the schema. */
import type { RoundTrip, RoundTripBatch } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { compileProtocols, type MetricReader } from '@packetd/proto/telemetry/labels';
import { BYTE_BUCKETS, DURATION_BUCKETS } from './histogram.js';
import { LabelError, type Labels, labelsOf } from './labels.js';
import { Layer4 } from './layer4.js';
import { Family, LabelSet, type Series } from './store.js';

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

interface ProtocolMetrics {
  readonly labels: Labels;
  readonly requests: Family;
  readonly duration: Family;
  readonly own: readonly { readonly family: Family; readonly reader: MetricReader }[];
}

const NANOS = 1e9;

export class MetricsRegistry {
  /** By the case of the record's detail. */
  private readonly protocols = new Map<string, ProtocolMetrics>();
  private readonly layer4: Layer4;

  /** Throws LabelError. */
  constructor(private readonly config: StorageConfig) {
    const options = {
      budget: config.seriesBudget,
      vm: config.vmHistogram,
      native: config.nativeHistograms,
    };
    const protocols = compileProtocols();
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
      this.protocols.set(protocol.detailCase, {
        labels,
        requests: family(`${protocol.name}_requests_total`, 'counter', `Roundtrips of ${protocol.name}.`),
        duration: family(
          `${protocol.name}_request_duration_seconds`,
          'histogram',
          'From the first byte of the request to the last of the response.',
          DURATION_BUCKETS,
        ),
        own: protocol.metrics.map((reader) => ({
          reader,
          family: family(
            reader.name,
            reader.kind,
            `Of the roundtrips of ${protocol.name} that have it.`,
            reader.buckets.length > 0 ? reader.buckets : BYTE_BUCKETS,
          ),
        })),
      });
    }
    this.layer4 = new Layer4(config.layer4Labels, options);
  }

  /** Answers how many records were of a protocol that is known; the others are left out. */
  take(batch: RoundTripBatch, nowMs: number): number {
    let known = 0;
    for (const record of batch.roundtrips) if (this.record(record, nowMs)) known++;
    const sensor = batch.sensor?.name ?? '';
    for (const stats of batch.endpoints) this.layer4.take(stats, sensor, nowMs);
    return known;
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
      for (const { family } of own) yield family;
    }
    yield* this.layer4.all();
  }

  private record(record: RoundTrip, nowMs: number): boolean {
    const metrics = this.protocols.get(record.detail.case ?? '');
    if (metrics === undefined) return false;
    const labels = new LabelSet(metrics.labels.readers.map((read) => read(record)));
    metrics.requests.add(labels, 1, nowMs);
    const traceId = record.trace === undefined ? '' : Buffer.from(record.trace.traceId).toString('hex');
    metrics.duration.observe(labels, Number(record.durationNano) / NANOS, nowMs, traceId);
    for (const { family, reader } of metrics.own) {
      const value = reader.value(record);
      if (value === undefined) continue;
      if (reader.kind === 'counter') family.add(labels, value, nowMs);
      else family.observe(labels, value, nowMs, traceId);
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
