/** What a collector is told; the command line makes it of its configuration. */
import type { ElasticsearchConfig } from './documents/elasticsearch.js';
import type { MetricsConfig } from './metrics/index.js';
import type { TracesConfig } from './traces/index.js';

export interface FileConfig {
  readonly path: string;
  readonly maxBytes: number;
  readonly backups: number;
}

export interface CollectorConfig {
  /** null: roundtrips are not aggregated. */
  readonly metrics: MetricsConfig | null;
  readonly traces: TracesConfig | null;
  readonly elasticsearch: ElasticsearchConfig | null;
  readonly file: FileConfig | null;
  readonly console: boolean;
}
