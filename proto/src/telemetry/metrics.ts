/**
 * What metrics read of records, straight from their wire format: the values of labels, and what is counted or
 * observed. Compiled from the schema, for the labels that are wanted; all other fields are passed over.
 */
import { addressText, isAddress } from './address.js';
import {
  enumNames,
  type FieldKind,
  type FieldSchema,
  type ProtocolSchema,
  protocolSchemas,
  SchemaError,
} from './compile.js';
import { RecordPlan } from './plan.js';
import { Scanner } from './scanner.js';

/** How the value of a label becomes text. */
type LabelForm =
  | 'text'
  | 'unsigned'
  | 'signed'
  | 'bool'
  | 'hex'
  | 'address'
  | 'enum'
  | 'lower_enum'
  | 'protocol';

/** Where a label comes from. */
export interface LabelSource {
  /** Field of the record, dotted, or of the protocol's own message; '' for the protocol's name. */
  readonly path: string;
  readonly form: LabelForm;
  /** The field is one of the protocol's own message. */
  readonly own: boolean;
}

export interface MetricSource {
  /** Full name: `http_request_body_bytes`. */
  readonly name: string;
  readonly kind: 'counter' | 'histogram';
  /** Bucket bounds of a histogram; empty takes the default for bytes. */
  readonly buckets: readonly number[];
  readonly field: FieldSchema;
}

export interface ProtocolMetrics {
  readonly name: string;
  /** The protocol's own labels; those of the envelope are `ENVELOPE_LABELS`. */
  readonly labels: ReadonlyMap<string, LabelSource>;
  readonly metrics: readonly MetricSource[];
}

const source = (path: string, form: LabelForm): LabelSource => ({ path, form, own: false });

/** Labels that every protocol has. */
export const ENVELOPE_LABELS: ReadonlyMap<string, LabelSource> = new Map([
  ['protocol', source('', 'protocol')],
  ['operation', source('operation', 'text')],
  ['target', source('target', 'text')],
  ['status', source('status', 'enum')],
  ['error_type', source('error_type', 'text')],
  ['client_address', source('client.address', 'address')],
  ['server_address', source('server.address', 'address')],
  ['server_port', source('server.port', 'unsigned')],
  ['transport', source('transport', 'lower_enum')],
]);

const FORM_BY_KIND: { readonly [kind in FieldKind]: LabelForm | null } = {
  string: 'text',
  bytes: 'hex',
  bool: 'bool',
  enum: 'enum',
  uint32: 'unsigned',
  uint64: 'unsigned',
  fixed32: 'unsigned',
  fixed64: 'unsigned',
  int32: 'signed',
  int64: 'signed',
  sint32: 'signed',
  sint64: 'signed',
  sfixed32: 'signed',
  sfixed64: 'signed',
  // A value that seldom comes twice is no label.
  float: null,
  double: null,
  message: null,
};

/** Every protocol of the schema, by name. Throws SchemaError. */
export function metricSchemas(): ProtocolMetrics[] {
  return protocolSchemas().map((protocol) => ({
    name: protocol.name,
    labels: labelsOf(protocol),
    metrics: metricsOf(protocol),
  }));
}

function labelsOf(protocol: ProtocolSchema): Map<string, LabelSource> {
  const labels = new Map<string, LabelSource>();
  for (const field of protocol.fields) {
    const { label } = field;
    if (label === '') continue;
    const owner = `${protocol.message}.${field.name}`;
    if (labels.has(label))
      throw new SchemaError(`${owner}: the label "${label}" is taken in ${protocol.message}`);
    if (ENVELOPE_LABELS.has(label)) throw new SchemaError(`${owner}: the label "${label}" is the envelope's`);
    const isAddress = field.kind === 'bytes' && field.elasticType === 'ip';
    const form = isAddress ? 'address' : FORM_BY_KIND[field.kind];
    if (field.repeated || form === null) {
      throw new SchemaError(`${owner}: a label has one value that is text or a whole number`);
    }
    labels.set(label, { path: field.name, form, own: true });
  }
  return labels;
}

function metricsOf(protocol: ProtocolSchema): MetricSource[] {
  const metrics: MetricSource[] = [];
  for (const field of protocol.fields) {
    const { metric } = field;
    if (metric === null) continue;
    const owner = `${protocol.message}.${field.name}`;
    if (metric.kind === 'unspecified') throw new SchemaError(`${owner}: the metric has no kind`);
    if (field.repeated || FORM_BY_KIND[field.kind] !== 'unsigned') {
      throw new SchemaError(`${owner}: a metric is one unsigned whole number, not a ${field.kind}`);
    }
    const { kind, buckets } = metric;
    metrics.push({ name: `${protocol.name}_${metric.name}`, kind, buckets, field });
  }
  return metrics;
}

/** A label of one protocol, compiled. */
interface Column {
  readonly slot: number;
  /** Its slot holds the bounds of bytes. */
  readonly isBytes: boolean;
  readonly text: (src: Uint8Array, low: number, high: number) => string;
}

interface Arm {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Slots of the protocol's metrics. */
  readonly metrics: readonly number[];
}

const ABSENT = -1;
/** Bytes of a value in the key, beside its text. */
const VALUE_BYTES = 12;
const TWO_32 = 0x1_0000_0000;
const TRACE_ID_BYTES = 16;
const decoder = new TextDecoder();

/** Reads records one after another; what it answers is of the one read last. Serves one thread. */
export class MetricsReader {
  /** The values of the labels, in a form that is the same for the same values: key[0, keyLength), whole words. */
  key = new DataView(new ArrayBuffer(1024));
  keyLength = 0;
  /** Of the key. */
  hash = 0;
  /** Keeps a sender from choosing values that collide. */
  private readonly seed = (Math.random() * TWO_32) | 0;
  private keyBytes = new Uint8Array(this.key.buffer);
  private readonly scanner: Scanner;
  private readonly arms: readonly Arm[];
  private readonly durationSlot: number;
  private readonly traceSlot: number;
  private src: Uint8Array = new Uint8Array(0);
  private serial = 0;

  /** Labels that are wanted by the name of the protocol; a protocol without any has none. */
  constructor(wanted: ReadonlyMap<string, readonly LabelSource[]>) {
    const plan = new RecordPlan();
    this.durationSlot = plan.envelope('duration_nano');
    this.traceSlot = plan.envelope('trace.trace_id');
    this.arms = protocolSchemas().map((protocol) =>
      compileArm(plan, protocol, wanted.get(protocol.name) ?? []),
    );
    this.scanner = new Scanner(plan);
  }

  /** The protocol of the record in [start, end), or '' where it is malformed or of none that is known. */
  read(src: Uint8Array, start: number, end: number): string {
    const { scanner } = this;
    this.src = src;
    this.serial = scanner.scanRecord(src, start, end);
    const arm = this.arms[scanner.arm];
    if (this.serial === 0 || arm === undefined) return '';
    this.makeKey(arm.columns);
    return arm.name;
  }

  /** Values of the labels that are wanted, in their order; '' where the record lacks one. */
  labels(): string[] {
    const { stamp, low, high, arm } = this.scanner;
    return this.arms[arm].columns.map(({ slot, text }) => {
      if (slot === ABSENT) return text(this.src, 0, 0);
      return stamp[slot] === this.serial ? text(this.src, low[slot], high[slot]) : '';
    });
  }

  /** Value of the protocol's metric of that index; undefined when the record lacks it. */
  value(index: number): number | undefined {
    const { stamp, low, high, arm } = this.scanner;
    const slot = this.arms[arm].metrics[index];
    if (stamp[slot] !== this.serial) return undefined;
    return unsigned(low[slot], high[slot]);
  }

  get durationNano(): number {
    const { stamp, low, high } = this.scanner;
    const slot = this.durationSlot;
    return stamp[slot] === this.serial ? unsigned(low[slot], high[slot]) : 0;
  }

  /** Hexadecimal; '' where the record has none. */
  get traceId(): string {
    const { stamp, low, high } = this.scanner;
    const slot = this.traceSlot;
    if (stamp[slot] !== this.serial || high[slot] - low[slot] !== TRACE_ID_BYTES) return '';
    return Buffer.from(this.src.buffer, this.src.byteOffset + low[slot], TRACE_ID_BYTES).toString('hex');
  }

  private makeKey(columns: readonly Column[]): void {
    const { src, serial } = this;
    const { stamp, low, high } = this.scanner;
    let hash = this.seed;
    let at = 0;
    for (const { slot, isBytes } of columns) {
      if (slot === ABSENT) continue;
      const present = stamp[slot] === serial;
      const first = present ? low[slot] : 0;
      const length = present && isBytes ? high[slot] - first : 0;
      if (at + length + VALUE_BYTES > this.keyBytes.length) this.grow(at + length + VALUE_BYTES);
      const { key, keyBytes } = this;
      if (!isBytes) {
        const last = present ? high[slot] : 0;
        key.setInt32(at, first);
        key.setInt32(at + 4, last);
        at += 8;
        hash = mix(mix(hash, first), last);
        continue;
      }
      key.setInt32(at, length);
      hash = mix(hash, length);
      at += 4;
      const stop = at + length;
      // The last word is filled up, for the key is compared by words.
      key.setInt32(stop, 0);
      for (let from = first, to = at; to < stop; ) keyBytes[to++] = src[from++];
      for (; at < stop; at += 4) hash = mix(hash, key.getInt32(at));
    }
    this.keyLength = at;
    this.hash = hash;
  }

  private grow(bytes: number): void {
    const grown = new Uint8Array(bytes * 2);
    grown.set(this.keyBytes);
    this.keyBytes = grown;
    this.key = new DataView(grown.buffer);
  }
}

function unsigned(low: number, high: number): number {
  return (high >>> 0) * TWO_32 + (low >>> 0);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/** Types of the envelope's enums. */
const ENUM_BY_PATH: { readonly [path: string]: string } = { status: 'Status', transport: 'Transport' };

function compileArm(plan: RecordPlan, protocol: ProtocolSchema, labels: readonly LabelSource[]): Arm {
  // Those of the envelope lie outside of the arm's slots, which are forgotten when another arm follows.
  for (const { own, path } of labels) if (!own && path !== '') plan.envelope(path);
  return plan.arm(protocol.number, (table) => {
    const slots = new Map<string, number>();
    const slotOf = (field: FieldSchema): number => {
      const slot = slots.get(field.name) ?? plan.field(table, field);
      slots.set(field.name, slot);
      return slot;
    };
    const columns = labels.map(({ own, path, form }) => {
      const field = own ? protocol.fields.find(({ name }) => name === path)! : null;
      const slot = path === '' ? ABSENT : field === null ? plan.envelope(path) : slotOf(field);
      return {
        slot,
        isBytes: form === 'text' || form === 'hex' || form === 'address',
        text: textOf(form, field === null ? ENUM_BY_PATH[path] : field.type, protocol.name),
      };
    });
    const metrics = metricsOf(protocol).map(({ field }) => slotOf(field));
    return { name: protocol.name, columns, metrics };
  });
}

function textOf(form: LabelForm, enumType: string, protocol: string): Column['text'] {
  switch (form) {
    case 'protocol':
      return () => protocol;
    case 'text':
      return (src, start, end) => decoder.decode(src.subarray(start, end));
    case 'hex':
      return (src, start, end) => Buffer.from(src.subarray(start, end)).toString('hex');
    case 'address':
      return (src, start, end) => (isAddress(start, end) ? addressText(src.subarray(start, end)) : '');
    case 'bool':
      return (_, low) => String(low !== 0);
    case 'unsigned':
      return (_, low, high) => String(unsigned(low, high));
    case 'signed':
      return (_, low, high) => String(high * TWO_32 + (low >>> 0));
    default: {
      const names = enumNames(enumType);
      const isLower = form === 'lower_enum';
      return (_, low) => {
        const name = low === 0 ? '' : (names.get(low) ?? String(low));
        return isLower ? name.toLowerCase() : name;
      };
    }
  }
}
