export { Collector } from './collector.js';
export type { CollectorConfig } from './config.js';
