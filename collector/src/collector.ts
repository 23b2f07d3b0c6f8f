/** The outputs of a collector, made from its configuration; sources give them batches. */
import type { CollectorConfig } from './config.js';
import { ElasticsearchOutput } from './documents/elasticsearch.js';
import { LinesOutput } from './documents/lines.js';
import { health } from './health.js';
import type { Log } from './log.js';
import { MetricsOutput } from './metrics/index.js';
import type { Output } from './output.js';
import { TracesOutput } from './traces/index.js';

/** Time that outputs have at the end to get rid of what they hold. */
const CLOSE_MS = 10_000;

export class Collector {
  readonly metrics: MetricsOutput | null;
  readonly outputs: readonly Output[];
  private readonly backends: { readonly name: string; readonly reachable: boolean }[] = [];

  /** Throws CollectorError or FileError where the configuration cannot be carried out. */
  constructor(config: CollectorConfig, log: Log) {
    const outputs: Output[] = [];
    this.metrics = config.metrics === null ? null : new MetricsOutput(config.metrics, log);
    if (this.metrics !== null) {
      outputs.push(this.metrics);
      this.backends.push(this.metrics);
    }
    if (config.traces !== null) {
      const traces = new TracesOutput(config.traces, log);
      outputs.push(traces);
      this.backends.push(traces);
    }
    if (config.elasticsearch !== null) {
      const documents = new ElasticsearchOutput(config.elasticsearch, log);
      outputs.push(documents);
      this.backends.push(documents);
    }
    const lines: LinesOutput[] = [];
    if (config.file !== null) {
      lines.push(LinesOutput.file(config.file.path, config.file.maxBytes, config.file.backups, log));
    }
    if (config.console) lines.push(LinesOutput.console(log));
    outputs.push(...lines);
    this.backends.push(...lines);
    this.outputs = outputs;
    // So that the first loss is an increase.
    for (const { name: output } of outputs)
      for (const result of ['refused', 'dropped', 'unreadable']) health.records.inc({ output, result }, 0);
  }

  /** Names of the outputs whose backend was not reached at the last attempt. */
  notReady(): string[] {
    return this.backends.filter(({ reachable }) => !reachable).map(({ name }) => name);
  }

  /** Goes on in files that have been moved away by somebody else. Throws FileError. */
  reopen(): void {
    for (const output of this.outputs) output.reopen?.();
  }

  /** Closes every output; what a backend has not accepted by then is rejected. */
  async close(): Promise<void> {
    await Promise.all(this.outputs.map((output) => output.close(CLOSE_MS)));
  }
}
