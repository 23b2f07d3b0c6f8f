/** Which labels the metrics of a protocol have: as configured, else a choice of those with few values. */
import { ENVELOPE_LABELS, type LabelSource, type ProtocolMetrics } from '@packetd/proto/telemetry/metrics';

/** Every protocol has these; the schema's `status_code` is added where there is one. */
const DEFAULT_LABELS = ['operation', 'target', 'status', 'server_address', 'server_port'];
const STATUS_CODE = 'status_code';

/** A label that no protocol has; the message names those there are. */
export class LabelError extends Error {
  override readonly name = 'CollectorError';
}

export interface Labels {
  readonly names: readonly string[];
  readonly sources: readonly LabelSource[];
}

/** Throws LabelError. */
export function labelsOf(protocol: ProtocolMetrics, wanted: readonly string[] | undefined): Labels {
  const fallback = protocol.labels.has(STATUS_CODE) ? [...DEFAULT_LABELS, STATUS_CODE] : DEFAULT_LABELS;
  // A name twice would be a label twice, which backends refuse.
  const names = [...new Set(wanted ?? fallback)];
  const sources = names.map((name) => {
    const source = protocol.labels.get(name) ?? ENVELOPE_LABELS.get(name);
    if (source !== undefined) return source;
    const known = [...protocol.labels.keys(), ...ENVELOPE_LABELS.keys()].sort().join(', ');
    throw new LabelError(`processor: ${protocol.name} has no label '${name}'; there are ${known}`);
  });
  return { names, sources };
}
