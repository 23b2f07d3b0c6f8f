/** The collector's own metrics, shown at /metrics. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export const registry = new Registry();
collectDefaultMetrics({ register: registry, prefix: 'packetd_' });

const registers = [registry];

export const health = {
  batches: new Counter({
    name: 'packetd_output_batches_total',
    help: 'Batches by output and what became of them.',
    labelNames: ['output', 'result'],
    registers,
  }),
  records: new Counter({
    name: 'packetd_output_records_total',
    help:
      'Roundtrips by output and what became of them: written, duplicate, refused (by the backend), dropped ' +
      '(there was no room, or no time at the end), sampled_out, unreadable (not a record of a known protocol).',
    labelNames: ['output', 'result'],
    registers,
  }),
  retries: new Counter({
    name: 'packetd_output_retries_total',
    help: 'Requests to a backend that were made again.',
    labelNames: ['output'],
    registers,
  }),
  deadLettersLost: new Counter({
    name: 'packetd_dead_letters_lost_total',
    help: 'Refused documents that could not be written to the dead-letter file.',
    registers,
  }),
  open: new Gauge({
    name: 'packetd_output_open_batches',
    help: 'Batches given to an output and not yet accepted by its backend.',
    labelNames: ['output'],
    registers,
  }),
  queueBytes: new Gauge({
    name: 'packetd_source_queue_bytes',
    help: 'Bytes of batches that wait for an output.',
    labelNames: ['output'],
    registers,
  }),
  gauges: new Counter({
    name: 'packetd_metrics_gauges_left_out_total',
    help: 'Values of gauges that found no room in the series budget of their metric.',
    labelNames: ['metric'],
    registers,
  }),
  tail: new Counter({
    name: 'packetd_watch_left_out_total',
    help:
      'What followers of the live tail did not get: roundtrips beyond what is shown of a batch (many) or ' +
      'unreadable, batches that are none (batch), readers cut off because they were too slow (reader).',
    labelNames: ['reason'],
    registers,
  }),
  undecodable: new Counter({
    name: 'packetd_source_undecodable_total',
    help: 'Messages that are no batch.',
    registers,
  }),
};

/** Counters of the sensors' ledgers, as their batches report them. */
export const sensorCounters = new Counter({
  name: 'packetd_sensor_ledger_total',
  help: 'Growth of the counters of all sensors seen: frames, bytes, drops by place and protocol.',
  labelNames: ['sensor', 'name', 'protocol'],
  registers,
});
