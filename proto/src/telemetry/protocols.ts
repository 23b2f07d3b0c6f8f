/** What the collector reads from decoded records for spans. */
import type { RoundTrip } from '../gen/packetd/v1/roundtrip_pb.js';
import { type AttributeVisitor, compileAttributes, detailOf } from './attributes.js';
import { protocolSchemas } from './compile.js';

/** One protocol as spans show it. */
export interface ProtocolTelemetry {
  readonly name: string;
  /** `network.protocol.name`. */
  readonly networkProtocolName: string;
  /** Case of the oneof `detail`. */
  readonly detailCase: string;
  /** Attributes of every record, for example `db.system.name`; `attributes` does not repeat them. */
  readonly fixed: readonly (readonly [key: string, value: string])[];
  /** Visits nothing for records of another protocol. */
  readonly attributes: (record: RoundTrip, visit: AttributeVisitor) => void;
}

/** Every protocol of the schema, by name. Compiled anew at each call: call it once. */
export function compileProtocols(): ProtocolTelemetry[] {
  return protocolSchemas().map(({ name, networkProtocolName, detailCase, fixed, fields }) => {
    const write = compileAttributes(fields);
    return {
      name,
      networkProtocolName,
      detailCase,
      fixed,
      attributes: (record, visit) => {
        const detail = detailOf(record, detailCase);
        if (detail !== undefined) write(detail, visit);
      },
    };
  });
}
