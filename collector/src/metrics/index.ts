/** Metrics: aggregated in memory, read at /protocol/metrics, and written by remote write where asked. */
import { health, sensorCounters } from '../health.js';
import type { Log } from '../log.js';
import type { Batch, Output } from '../output.js';
import { MetricsRegistry, type StorageConfig } from './registry.js';
import { type RemoteWriteConfig, RemoteWriter } from './remote-write.js';
import { renderFamilies } from './render.js';

export interface MetricsConfig {
  readonly storage: StorageConfig;
  /** null: metrics are only read. */
  readonly remoteWrite: RemoteWriteConfig | null;
  /** Tells the series of several collectors apart. */
  readonly instance: string;
}

export class MetricsOutput implements Output {
  readonly name = 'metrics';
  /** Remote write accepts all batches of an interval together. */
  readonly window = 4096;
  private readonly registry: MetricsRegistry;
  private readonly remote: RemoteWriter | null;

  /** Throws LabelError or EndpointError. */
  constructor(config: MetricsConfig, log: Log) {
    this.registry = new MetricsRegistry(config.storage);
    this.remote =
      config.remoteWrite === null
        ? null
        : new RemoteWriter(this.registry, config.instance, config.remoteWrite, log);
  }

  get reachable(): boolean {
    return this.remote?.reachable ?? true;
  }

  write(batch: Batch): Promise<void> {
    const { known, unreadable } = this.registry.take(batch, Date.now());
    health.records.inc({ output: this.name, result: 'unreadable' }, unreadable);
    countSensor(batch);
    // Holds no batch: many may wait.
    const accepted = this.remote?.accepted() ?? Promise.resolve();
    return accepted.then(() => health.records.inc({ output: this.name, result: 'written' }, known));
  }

  /** Text for a scraper; OpenMetrics has exemplars. */
  render(openMetrics: boolean): string {
    if (this.remote === null) this.registry.expire(Date.now(), false);
    return renderFamilies(this.registry.families(), openMetrics);
  }

  flush(): void {
    this.remote?.flush();
  }

  async close(deadlineMs: number): Promise<void> {
    await this.remote?.close(deadlineMs);
  }
}

/** Counters of a sensor that should stay 0. */
const ALERTED = ['kernelDropped', 'recordsDropped'];

/** What a batch says about its sensor, among the collector's own metrics. */
function countSensor(batch: Batch): void {
  const { sensor, counters } = batch.head;
  // A counter that begins above 0 has not grown to whoever asks for its increase, and these are alerts.
  for (const name of ALERTED) sensorCounters.inc({ sensor: sensor?.name ?? '', name, protocol: '' }, 0);
  for (const { name, protocol, value } of counters) {
    sensorCounters.inc({ sensor: sensor?.name ?? '', name, protocol }, Number(value));
  }
}
