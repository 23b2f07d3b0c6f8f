/** What the collector reads from decoded records: metric labels, metric values and span attributes. */

import type { RoundTrip } from '../gen/packetd/v1/roundtrip_pb.js';
import { addressText } from './address.js';
import { type AttributeVisitor, compileAttributes, compileScalar, detailOf } from './attributes.js';
import { enumNames, type FieldSchema, type ProtocolSchema, protocolSchemas, SchemaError } from './compile.js';

/** Value of a label; '' when the record lacks it. */
export type LabelReader = (record: RoundTrip) => string;

export interface MetricReader {
  /** Full name: `http_request_body_bytes`. */
  readonly name: string;
  readonly kind: 'counter' | 'histogram';
  /** Bucket bounds of a histogram; empty takes the default for bytes. */
  readonly buckets: readonly number[];
  /** undefined when the record lacks it. */
  readonly value: (record: RoundTrip) => number | undefined;
}

/** One protocol as the collector sees it. Readers answer "absent" for records of another protocol. */
export interface ProtocolTelemetry {
  readonly name: string;
  /** `network.protocol.name`. */
  readonly networkProtocolName: string;
  /** Case of the oneof `detail`. */
  readonly detailCase: string;
  /** The protocol's own labels; those of the envelope are `ENVELOPE_LABELS`. */
  readonly labels: ReadonlyMap<string, LabelReader>;
  readonly metrics: readonly MetricReader[];
  /** Attributes of every record, for example `db.system.name`; `attributes` does not repeat them. */
  readonly fixed: readonly (readonly [key: string, value: string])[];
  readonly attributes: (record: RoundTrip, visit: AttributeVisitor) => void;
}

/** Every protocol of the schema, by name. Compiled anew at each call: call it once. */
export function compileProtocols(): ProtocolTelemetry[] {
  return protocolSchemas().map((protocol) => {
    const write = compileAttributes(protocol.fields);
    return {
      name: protocol.name,
      networkProtocolName: protocol.networkProtocolName,
      detailCase: protocol.detailCase,
      labels: compileLabels(protocol),
      metrics: compileMetrics(protocol),
      fixed: protocol.fixed,
      attributes: (record, visit) => {
        const detail = detailOf(record, protocol.detailCase);
        if (detail !== undefined) write(detail, visit);
      },
    };
  });
}

function compileLabels(protocol: ProtocolSchema): Map<string, LabelReader> {
  const labels = new Map<string, LabelReader>();
  for (const field of protocol.fields) {
    const { label } = field;
    if (label === '') continue;
    const owner = `${protocol.message}.${field.name}`;
    if (labels.has(label))
      throw new SchemaError(`${owner}: the label "${label}" is taken in ${protocol.message}`);
    if (ENVELOPE_LABELS.has(label)) throw new SchemaError(`${owner}: the label "${label}" is the envelope's`);
    const read = singular(field, owner, 'label');
    labels.set(label, (record) => {
      const detail = detailOf(record, protocol.detailCase);
      const value = detail === undefined ? undefined : read(detail);
      return value === undefined ? '' : String(value);
    });
  }
  return labels;
}

function compileMetrics(protocol: ProtocolSchema): MetricReader[] {
  const metrics: MetricReader[] = [];
  for (const field of protocol.fields) {
    const { metric } = field;
    if (metric === null) continue;
    const owner = `${protocol.message}.${field.name}`;
    if (metric.kind === 'unspecified') throw new SchemaError(`${owner}: the metric has no kind`);
    if (['string', 'bytes', 'enum', 'bool'].includes(field.kind)) {
      throw new SchemaError(`${owner}: a metric is a number, not a ${field.kind}`);
    }
    const read = singular(field, owner, 'metric');
    metrics.push({
      name: `${protocol.name}_${metric.name}`,
      kind: metric.kind,
      buckets: metric.buckets,
      value: (record) => {
        const detail = detailOf(record, protocol.detailCase);
        return detail === undefined ? undefined : (read(detail) as number | undefined);
      },
    });
  }
  return metrics;
}

function singular(field: FieldSchema, owner: string, what: string): ReturnType<typeof compileScalar> {
  if (field.repeated || field.kind === 'message') {
    throw new SchemaError(`${owner}: a ${what} has one value; this field is a list or a message`);
  }
  return compileScalar(field);
}

const STATUS = enumNames('Status');
const TRANSPORT = enumNames('Transport');
const PROTOCOL_BY_CASE = new Map(protocolSchemas().map((p) => [p.detailCase, p.name]));

/** Labels that every protocol has. */
export const ENVELOPE_LABELS: ReadonlyMap<string, LabelReader> = new Map<string, LabelReader>([
  ['protocol', (record) => PROTOCOL_BY_CASE.get(record.detail.case ?? '') ?? ''],
  ['operation', (record) => record.operation],
  ['target', (record) => record.target],
  ['status', (record) => STATUS.get(record.status) ?? ''],
  ['error_type', (record) => record.errorType],
  ['client_address', (record) => (record.client === undefined ? '' : addressText(record.client.address))],
  ['server_address', (record) => (record.server === undefined ? '' : addressText(record.server.address))],
  ['server_port', (record) => (record.server?.port ? String(record.server.port) : '')],
  ['transport', (record) => (TRANSPORT.get(record.transport) ?? '').toLowerCase()],
]);
