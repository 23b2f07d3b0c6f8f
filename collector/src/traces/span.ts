/**
 * One record as one span, in OTLP's wire format; what a protocol's attributes are is compiled from the
 * schema. The span is the server's: its resource is the service that was asked, and a trace context in
 * the request makes it the child of the caller's span, hence kind SERVER. Messages to and from a broker
 * are PRODUCER and CONSUMER, as their attribute messaging.operation.type has it.
 */
import { WireWriter } from '@packetd/proto';
import { type RoundTrip, Status, Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { addressText } from '@packetd/proto/telemetry/address';
import type { AttributeValue } from '@packetd/proto/telemetry/attributes';
import { compileProtocols, type ProtocolTelemetry } from '@packetd/proto/telemetry/protocols';
import { OtlpTag, SpanKind, StatusCode } from './wire.js';

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
/** SpanFlags: bits 0 to 7 are the W3C trace flags, bit 8 says that bit 9 is known, bit 9 that the parent is remote. */
const W3C_FLAGS = 0xff;
const REMOTE_PARENT = 0x300;
const OPERATION_TYPE = 'messaging.operation.type';
const NAMED_HOST = 'url.domain';

/** A span, and what belongs to its resource. */
export interface Encoded {
  /** The fields of Span. */
  readonly bytes: Uint8Array;
  /** `service.name`: the host that was asked for, else protocol and address of the server. */
  readonly service: string;
}

export class SpanEncoder {
  private readonly protocols: ReadonlyMap<string, ProtocolTelemetry>;
  private readonly writer = new WireWriter(4096);

  constructor() {
    this.protocols = new Map(compileProtocols().map((protocol) => [protocol.detailCase, protocol]));
  }

  /** null for a record of no known protocol, or without an id. */
  encode(record: RoundTrip): Encoded | null {
    const protocol = this.protocols.get(record.detail.case ?? '');
    if (protocol === undefined || record.id.length !== TRACE_ID_BYTES) return null;
    const w = this.writer;
    w.reset();
    const trace = record.trace;
    const traceId =
      trace !== undefined && trace.traceId.length === TRACE_ID_BYTES ? trace.traceId : record.id;
    w.blob(OtlpTag.SPAN_TRACE_ID, traceId, 0, traceId.length);
    w.blob(OtlpTag.SPAN_SPAN_ID, record.id, SPAN_ID_BYTES, 2 * SPAN_ID_BYTES);
    if (trace !== undefined) {
      if (trace.tracestate !== '') w.string(OtlpTag.SPAN_TRACE_STATE, trace.tracestate);
      const hasParent = trace.parentSpanId.length === SPAN_ID_BYTES;
      if (hasParent) w.blob(OtlpTag.SPAN_PARENT_SPAN_ID, trace.parentSpanId, 0, SPAN_ID_BYTES);
      fixed32(w, OtlpTag.SPAN_FLAGS, (trace.flags & W3C_FLAGS) | (hasParent ? REMOTE_PARENT : 0));
    }
    w.string(OtlpTag.SPAN_NAME, `${record.operation} ${record.target}`.trim() || protocol.name);
    const start = record.startUnixNano;
    fixed64(w, OtlpTag.SPAN_START, start);
    fixed64(w, OtlpTag.SPAN_END, start + record.durationNano);
    const server = record.server === undefined ? '' : addressText(record.server.address);
    const place = hostPort(server, record.server?.port ?? 0);
    let service = `${protocol.name} ${place}`;
    let kind: number = SpanKind.SERVER;
    const put = (key: string, value: AttributeValue) => attribute(w, OtlpTag.SPAN_ATTRIBUTES, key, value);
    put('network.protocol.name', protocol.networkProtocolName);
    if (record.protocolVersion !== '') put('network.protocol.version', record.protocolVersion);
    if (record.transport !== Transport.UNSPECIFIED) {
      put('network.transport', record.transport === Transport.UDP ? 'udp' : 'tcp');
    }
    if (record.client !== undefined) {
      put('client.address', addressText(record.client.address));
      put('client.port', record.client.port);
    }
    if (record.server !== undefined) {
      put('server.address', server);
      put('server.port', record.server.port);
    }
    if (record.errorType !== '') put('error.type', record.errorType);
    put('packetd.protocol', protocol.name);
    put('packetd.status', Status[record.status]);
    if (record.missingBytes > 0n) put('packetd.missing_bytes', Number(record.missingBytes));
    put('packetd.wait.request', Number(record.waitRequestNano));
    put('packetd.wait.server', Number(record.waitServerNano));
    put('packetd.wait.response', Number(record.waitResponseNano));
    for (const [key, value] of protocol.fixed) put(key, value);
    protocol.attributes(record, (key, value) => {
      if (key === NAMED_HOST && typeof value === 'string') service = value;
      else if (key === OPERATION_TYPE) kind = messagingKind(value);
      put(key, value);
    });
    w.uint(OtlpTag.SPAN_KIND, kind);
    if (failed(record.status)) {
      const mark = w.begin(OtlpTag.SPAN_STATUS);
      if (record.errorType !== '') w.string(OtlpTag.STATUS_MESSAGE, record.errorType);
      w.uint(OtlpTag.STATUS_CODE, StatusCode.ERROR);
      w.end(mark);
    }
    return { bytes: w.bytes.slice(0, w.length), service };
  }
}

/** Statuses of spans with status ERROR: no answer is one for who waits for it. */
export function failed(status: Status): boolean {
  return (
    status === Status.ERROR ||
    status === Status.RESET ||
    status === Status.CANCELLED ||
    status === Status.NO_RESPONSE
  );
}

/** The other types of operation are calls to the broker. */
function messagingKind(type: AttributeValue): number {
  if (type === 'send') return SpanKind.PRODUCER;
  return type === 'process' || type === 'receive' ? SpanKind.CONSUMER : SpanKind.CLIENT;
}

function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** One KeyValue, as the field `field`. */
export function attribute(w: WireWriter, field: number, key: string, value: AttributeValue): void {
  const mark = w.begin(field);
  w.string(OtlpTag.KEY, key);
  const inner = w.begin(OtlpTag.VALUE);
  anyValue(w, value);
  w.end(inner);
  w.end(mark);
}

function anyValue(w: WireWriter, value: AttributeValue): void {
  switch (typeof value) {
    case 'string':
      w.string(OtlpTag.STRING_VALUE, value);
      return;
    case 'boolean':
      w.bool(OtlpTag.BOOL_VALUE, value);
      return;
    case 'number':
      if (Number.isSafeInteger(value)) w.int(OtlpTag.INT_VALUE, value);
      else w.double(OtlpTag.DOUBLE_VALUE, value);
      return;
    default: {
      const mark = w.begin(OtlpTag.ARRAY_VALUE);
      for (const element of value) {
        const inner = w.begin(OtlpTag.ARRAY_VALUES);
        w.string(OtlpTag.STRING_VALUE, element);
        w.end(inner);
      }
      w.end(mark);
    }
  }
}

function fixed64(w: WireWriter, field: number, value: bigint): void {
  w.fixed64(field, Number(value & 0xffffffffn), Number(value >> 32n));
}

function fixed32(w: WireWriter, field: number, value: number): void {
  w.reserve(9);
  w.varint(field);
  for (let shift = 0; shift < 32; shift += 8) w.bytes[w.length++] = value >>> shift;
}
