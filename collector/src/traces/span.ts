/**
 * One record as one span, in OTLP's wire format, straight from the record's; what a protocol's attributes are is
 * compiled from the schema. The span is the server's: its resource is the service that was asked, and a trace context
 * in the request makes it the child of the caller's span, hence kind SERVER. Messages to and from a broker are
 * PRODUCER and CONSUMER, as their attribute messaging.operation.type has it.
 */
import { Constant, encodeString, WireWriter } from '@packetd/proto';
import { Status, Transport } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { addressText, isAddress } from '@packetd/proto/telemetry/address';
import {
  type Attribute,
  Form,
  type KeyValueColumns,
  numberOf,
  type ProtocolAttributes,
  planAttributes,
  planKeyValue,
  scalarOf,
} from '@packetd/proto/telemetry/attributes';
import { RecordPlan } from '@packetd/proto/telemetry/plan';
import { Scanner } from '@packetd/proto/telemetry/scanner';
import { OtlpTag, SpanKind, StatusCode } from './wire.js';

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
/** SpanFlags: bits 0 to 7 are the W3C trace flags, bit 8 says that bit 9 is known, bit 9 that the parent is remote. */
const W3C_FLAGS = 0xff;
const REMOTE_PARENT = 0x300;
const OPERATION_TYPE = 'messaging.operation.type';
const NAMED_HOST = 'url.domain';
const STATUSES = new Set<number>([Status.ERROR, Status.RESET, Status.CANCELLED, Status.NO_RESPONSE]);
const decoder = new TextDecoder();

/** A span, and what belongs to its resource. */
export interface Encoded {
  /** The fields of Span. */
  readonly bytes: Uint8Array;
  /** `service.name`: the host that was asked for, else protocol and address of the server. */
  readonly service: string;
}

/** A protocol with its keys in wire format. */
interface Protocol extends ProtocolAttributes {
  readonly keys: readonly Constant[];
  /** The attributes that every record has, as fields of Span. */
  readonly constant: Constant;
}

/** Attributes of the envelope, their keys in wire format. */
const Key = {
  version: keyOf('network.protocol.version'),
  transport: keyOf('network.transport'),
  clientAddress: keyOf('client.address'),
  clientPort: keyOf('client.port'),
  serverAddress: keyOf('server.address'),
  serverPort: keyOf('server.port'),
  errorType: keyOf('error.type'),
  status: keyOf('packetd.status'),
  missingBytes: keyOf('packetd.missing_bytes'),
  waitRequest: keyOf('packetd.wait.request'),
  waitServer: keyOf('packetd.wait.server'),
  waitResponse: keyOf('packetd.wait.response'),
};

/** Reads records one after another; what it answers and encodes is the one read last. */
export class SpanEncoder {
  private readonly writer = new WireWriter(4096);
  private readonly protocols: readonly Protocol[];
  private readonly scanner: Scanner;
  private readonly keyValue: KeyValueColumns;
  private readonly slot;
  private src: Uint8Array = new Uint8Array(0);
  private serial = 0;

  constructor() {
    const plan = new RecordPlan();
    this.slot = {
      id: plan.envelope('id'),
      clientAddress: plan.envelope('client.address'),
      clientPort: plan.envelope('client.port'),
      serverAddress: plan.envelope('server.address'),
      serverPort: plan.envelope('server.port'),
      start: plan.envelope('start_unix_nano'),
      duration: plan.envelope('duration_nano'),
      waitRequest: plan.envelope('wait_request_nano'),
      waitServer: plan.envelope('wait_server_nano'),
      waitResponse: plan.envelope('wait_response_nano'),
      operation: plan.envelope('operation'),
      target: plan.envelope('target'),
      status: plan.envelope('status'),
      errorType: plan.envelope('error_type'),
      traceId: plan.envelope('trace.trace_id'),
      parentSpanId: plan.envelope('trace.parent_span_id'),
      traceFlags: plan.envelope('trace.flags'),
      traceState: plan.envelope('trace.tracestate'),
      missingBytes: plan.envelope('missing_bytes'),
      transport: plan.envelope('transport'),
      version: plan.envelope('protocol_version'),
    };
    this.protocols = planAttributes(plan).map((protocol) => ({
      ...protocol,
      keys: protocol.attributes.map(({ key }) => keyOf(key)),
      constant: constantOf(protocol),
    }));
    this.keyValue = planKeyValue(plan);
    this.scanner = new Scanner(plan);
  }

  /** False where the record in [start, end) is malformed, of no known protocol, or without an id. */
  read(src: Uint8Array, start: number, end: number): boolean {
    this.src = src;
    this.serial = this.scanner.scanRecord(src, start, end);
    if (this.serial === 0 || this.scanner.arm >= this.protocols.length) return false;
    return this.length(this.slot.id) === TRACE_ID_BYTES;
  }

  get durationNano(): number {
    return this.number(this.slot.duration);
  }

  /** The span has status ERROR: no answer is an error, too, for who waits for it. */
  get failed(): boolean {
    return STATUSES.has(this.number(this.slot.status));
  }

  /** The last 32 bits of the trace's id, which are the random ones in every format; of the record's without a trace. */
  get traceWord(): number {
    const { src } = this;
    const end = this.scanner.high[this.traceSlot];
    return ((src[end - 4] << 24) | (src[end - 3] << 16) | (src[end - 2] << 8) | src[end - 1]) >>> 0;
  }

  encode(): Encoded {
    const { writer: w, slot, src } = this;
    const { low, high } = this.scanner;
    const protocol = this.protocols[this.scanner.arm];
    w.reset();
    this.blob(OtlpTag.SPAN_TRACE_ID, this.traceSlot);
    w.blob(OtlpTag.SPAN_SPAN_ID, src, low[slot.id] + SPAN_ID_BYTES, low[slot.id] + 2 * SPAN_ID_BYTES);
    this.traceContext();
    this.name(protocol.name);
    this.times();
    w.constant(protocol.constant);
    this.text(Key.version, slot.version);
    const transport = this.number(slot.transport);
    if (transport !== Transport.UNSPECIFIED) {
      this.scalar(Key.transport, transport === Transport.UDP ? 'udp' : 'tcp');
    }
    this.endpoint(Key.clientAddress, Key.clientPort, slot.clientAddress, slot.clientPort);
    const place = this.endpoint(Key.serverAddress, Key.serverPort, slot.serverAddress, slot.serverPort);
    this.text(Key.errorType, slot.errorType);
    this.scalar(Key.status, Status[this.number(slot.status)] ?? '');
    if (this.has(slot.missingBytes)) this.scalar(Key.missingBytes, this.number(slot.missingBytes));
    this.scalar(Key.waitRequest, this.number(slot.waitRequest));
    this.scalar(Key.waitServer, this.number(slot.waitServer));
    this.scalar(Key.waitResponse, this.number(slot.waitResponse));
    let service = `${protocol.name} ${place}`;
    let kind: number = SpanKind.SERVER;
    const { attributes, keys } = protocol;
    for (let i = 0; i < attributes.length; i++) {
      const attribute = attributes[i];
      if (!this.has(attribute.slot)) continue;
      this.attribute(attribute, keys[i]);
      if (attribute.key === NAMED_HOST) service = this.textOf(attribute.slot);
      else if (attribute.key === OPERATION_TYPE) kind = messagingKind(this.textOf(attribute.slot));
    }
    w.uint(OtlpTag.SPAN_KIND, kind);
    if (this.failed) {
      const mark = w.begin(OtlpTag.SPAN_STATUS);
      if (this.has(slot.errorType))
        w.text(OtlpTag.STATUS_MESSAGE, src, low[slot.errorType], high[slot.errorType]);
      w.uint(OtlpTag.STATUS_CODE, StatusCode.ERROR);
      w.end(mark);
    }
    return { bytes: w.bytes.slice(0, w.length), service };
  }

  private traceContext(): void {
    const { writer: w, slot, src } = this;
    const { low, high } = this.scanner;
    const hasParent = this.length(slot.parentSpanId) === SPAN_ID_BYTES;
    if (this.has(slot.traceState))
      w.text(OtlpTag.SPAN_TRACE_STATE, src, low[slot.traceState], high[slot.traceState]);
    if (hasParent) this.blob(OtlpTag.SPAN_PARENT_SPAN_ID, slot.parentSpanId);
    if (!this.has(slot.traceId)) return;
    const flags = (this.number(slot.traceFlags) & W3C_FLAGS) | (hasParent ? REMOTE_PARENT : 0);
    w.reserve(9);
    w.varint(OtlpTag.SPAN_FLAGS);
    w.view.setInt32(w.length, flags, true);
    w.length += 4;
  }

  /** Operation and target, with a space between; the protocol where there is neither. */
  private name(protocol: string): void {
    const { slot } = this;
    const name = `${this.textOf(slot.operation)} ${this.textOf(slot.target)}`.trim();
    this.writer.string(OtlpTag.SPAN_NAME, name || protocol);
  }

  private times(): void {
    const { writer: w, slot } = this;
    const { low, high } = this.scanner;
    const startLow = this.has(slot.start) ? low[slot.start] >>> 0 : 0;
    const startHigh = this.has(slot.start) ? high[slot.start] : 0;
    const sum = startLow + (this.has(slot.duration) ? low[slot.duration] >>> 0 : 0);
    const carry = sum > 0xffffffff ? 1 : 0;
    w.fixed64(OtlpTag.SPAN_START, startLow, startHigh);
    w.fixed64(
      OtlpTag.SPAN_END,
      sum | 0,
      startHigh + carry + (this.has(slot.duration) ? high[slot.duration] : 0),
    );
  }

  /** Answers them as one text. */
  private endpoint(addressKey: Constant, portKey: Constant, address: number, port: number): string {
    let shown = '';
    if (this.has(address)) {
      const start = this.scanner.low[address];
      const end = this.scanner.high[address];
      if (isAddress(start, end)) {
        shown = addressText(this.src.subarray(start, end));
        this.scalar(addressKey, shown);
      }
    }
    const number = this.number(port);
    if (number > 0) this.scalar(portKey, number);
    return shown.includes(':') ? `[${shown}]:${number}` : `${shown}:${number}`;
  }

  private attribute(attribute: Attribute, key: Constant): void {
    const { slot, form, names } = attribute;
    const low = this.scanner.low[slot];
    switch (form) {
      case Form.TEXT:
        this.text(key, slot);
        return;
      case Form.LIST:
      case Form.OBJECTS:
        this.list(attribute, low);
        return;
      case Form.ENTRIES:
        this.entries(attribute.key, low);
        return;
      default: {
        const value = scalarOf(form, names, this.src, low, this.scanner.high[slot]);
        if (value !== undefined) this.scalar(key, value);
      }
    }
  }

  private list({ key, element, names, object }: Attribute, first: number): void {
    const { itemLow, itemHigh, itemNext } = this.scanner;
    const texts: string[] = [];
    for (let item = first; item !== -1; item = itemNext[item]) {
      const low = itemLow[item];
      const high = itemHigh[item];
      const shown =
        object === null ? scalarOf(element, names, this.src, low, high) : this.json(object, low, high);
      if (shown !== undefined) texts.push(String(shown));
    }
    if (texts.length > 0) this.texts(key, texts);
  }

  private json(
    { table, members }: NonNullable<Attribute['object']>,
    start: number,
    end: number,
  ): string | undefined {
    const { scanner, src } = this;
    const serial = scanner.scanElement(table, src, start, end);
    if (serial === 0) return undefined;
    const object: Record<string, unknown> = {};
    for (const { key, slot, form, names } of members) {
      if (scanner.stamp[slot] !== serial) continue;
      object[key] = scalarOf(form, names, src, scanner.low[slot], scanner.high[slot]);
    }
    return JSON.stringify(object);
  }

  private texts(key: string, texts: readonly string[]): void {
    const w = this.writer;
    const mark = w.begin(OtlpTag.SPAN_ATTRIBUTES);
    w.string(OtlpTag.KEY, key);
    putTexts(w, texts);
    w.end(mark);
  }

  /** An attribute for each name, with all values of it. */
  private entries(prefix: string, first: number): void {
    const { scanner, src, keyValue } = this;
    const { itemLow, itemHigh, itemNext } = scanner;
    const values = new Map<string, string[]>();
    for (let item = first; item !== -1; item = itemNext[item]) {
      const serial = scanner.scanElement(keyValue.table, src, itemLow[item], itemHigh[item]);
      const key = this.textOf(keyValue.key, serial);
      if (serial === 0 || key === '') continue;
      const known = values.get(key);
      const value = this.textOf(keyValue.value, serial);
      if (known === undefined) values.set(key, [value]);
      else known.push(value);
    }
    for (const [key, list] of values) this.texts(`${prefix}.${key}`, list);
  }

  private text(key: Constant, slot: number): void {
    if (!this.has(slot)) return;
    const w = this.writer;
    const mark = w.begin(OtlpTag.SPAN_ATTRIBUTES);
    w.constant(key);
    const value = w.begin(OtlpTag.VALUE);
    w.text(OtlpTag.STRING_VALUE, this.src, this.scanner.low[slot], this.scanner.high[slot]);
    w.end(value);
    w.end(mark);
  }

  private scalar(key: Constant, scalar: string | number | boolean): void {
    const w = this.writer;
    const mark = w.begin(OtlpTag.SPAN_ATTRIBUTES);
    w.constant(key);
    putScalar(w, scalar);
    w.end(mark);
  }

  private blob(tag: number, slot: number): void {
    this.writer.blob(tag, this.src, this.scanner.low[slot], this.scanner.high[slot]);
  }

  private has(slot: number): boolean {
    return this.scanner.stamp[slot] === this.serial;
  }

  /** Length of bytes; 0 where the record lacks them. */
  private length(slot: number): number {
    return this.has(slot) ? this.scanner.high[slot] - this.scanner.low[slot] : 0;
  }

  /** An unsigned number; 0 where the record lacks it. */
  private number(slot: number): number {
    return this.has(slot) ? numberOf(Form.UNSIGNED, this.scanner.low[slot], this.scanner.high[slot]) : 0;
  }

  /** '' where the message of that serial lacks it. */
  private textOf(slot: number, serial = this.serial): string {
    const { stamp, low, high } = this.scanner;
    return stamp[slot] === serial ? decoder.decode(this.src.subarray(low[slot], high[slot])) : '';
  }

  /** Where the id of the trace is: a record without one begins a trace of its own. */
  private get traceSlot(): number {
    const { traceId, id } = this.slot;
    return this.length(traceId) === TRACE_ID_BYTES ? traceId : id;
  }
}

/** Attributes that all records of a protocol have. */
function constantOf({ name, networkProtocolName, fixed }: ProtocolAttributes): Constant {
  const w = new WireWriter();
  attribute(w, OtlpTag.SPAN_ATTRIBUTES, 'network.protocol.name', networkProtocolName);
  attribute(w, OtlpTag.SPAN_ATTRIBUTES, 'packetd.protocol', name);
  for (const [key, value] of fixed) attribute(w, OtlpTag.SPAN_ATTRIBUTES, key, value);
  return new Constant(w);
}

/** The other types of operation are calls to the broker. */
function messagingKind(type: string): number {
  if (type === 'send') return SpanKind.PRODUCER;
  return type === 'process' || type === 'receive' ? SpanKind.CONSUMER : SpanKind.CLIENT;
}

function keyOf(key: string): Constant {
  return encodeString(OtlpTag.KEY, key);
}

/** One KeyValue, as the field `field`. */
export function attribute(w: WireWriter, field: number, key: string, value: string): void {
  const mark = w.begin(field);
  w.string(OtlpTag.KEY, key);
  putScalar(w, value);
  w.end(mark);
}

function putScalar(w: WireWriter, value: string | number | boolean): void {
  const mark = w.begin(OtlpTag.VALUE);
  if (typeof value === 'string') w.string(OtlpTag.STRING_VALUE, value);
  else if (typeof value === 'boolean') w.bool(OtlpTag.BOOL_VALUE, value);
  else if (Number.isSafeInteger(value)) w.int(OtlpTag.INT_VALUE, value);
  else w.double(OtlpTag.DOUBLE_VALUE, value);
  w.end(mark);
}

function putTexts(w: WireWriter, texts: readonly string[]): void {
  const mark = w.begin(OtlpTag.VALUE);
  const array = w.begin(OtlpTag.ARRAY_VALUE);
  for (const text of texts) {
    const inner = w.begin(OtlpTag.ARRAY_VALUES);
    w.string(OtlpTag.STRING_VALUE, text);
    w.end(inner);
  }
  w.end(array);
  w.end(mark);
}
