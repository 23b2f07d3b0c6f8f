/**
 * OpenTelemetry attributes of a record's detail, from the fields' option `attribute`: where each is in the slots of
 * a scanned record, and how it is shown.
 */
import { addressText, isAddress } from './address.js';
import {
  enumNames,
  type FieldKind,
  type FieldSchema,
  isKeyValueList,
  messageSchema,
  protocolSchemas,
  SchemaError,
} from './compile.js';
import { FieldTable } from './fields.js';
import type { RecordPlan } from './plan.js';

/** How the value in a slot is shown. */
export const Form = {
  TEXT: 0,
  HEX: 1,
  ADDRESS: 2,
  UNSIGNED: 3,
  SIGNED: 4,
  BOOL: 5,
  ENUM: 6,
  FLOAT: 7,
  DOUBLE: 8,
  /** A list of values of the form in `element`, which are all shown as text. */
  LIST: 9,
  /** A list of messages, each shown as JSON. */
  OBJECTS: 10,
  /** A KeyValue list: an attribute for each name, with all its values. */
  ENTRIES: 11,
} as const;
export type Form = (typeof Form)[keyof typeof Form];

export interface Attribute {
  readonly key: string;
  readonly slot: number;
  readonly form: Form;
  /** LIST: form of one element. */
  readonly element: Form;
  /** ENUM, or a list of them: names by number. */
  readonly names: ReadonlyMap<number, string>;
  /** OBJECTS: what an element is scanned with, and what it has then; no lists. */
  readonly object: { readonly table: FieldTable; readonly members: readonly Attribute[] } | null;
}

/** One protocol as spans show it. */
export interface ProtocolAttributes {
  readonly name: string;
  /** `network.protocol.name`. */
  readonly networkProtocolName: string;
  /** Attributes of every record, for example `db.system.name`; `attributes` does not repeat them. */
  readonly fixed: readonly (readonly [key: string, value: string])[];
  readonly attributes: readonly Attribute[];
}

const FORM_BY_KIND: { readonly [kind in FieldKind]: Form } = {
  string: Form.TEXT,
  bytes: Form.HEX,
  message: Form.TEXT,
  bool: Form.BOOL,
  enum: Form.ENUM,
  uint32: Form.UNSIGNED,
  uint64: Form.UNSIGNED,
  fixed32: Form.UNSIGNED,
  fixed64: Form.UNSIGNED,
  int32: Form.SIGNED,
  int64: Form.SIGNED,
  sint32: Form.SIGNED,
  sint64: Form.SIGNED,
  sfixed32: Form.SIGNED,
  sfixed64: Form.SIGNED,
  float: Form.FLOAT,
  double: Form.DOUBLE,
};

const TWO_32 = 0x1_0000_0000;
const decoder = new TextDecoder();
const floats = new DataView(new ArrayBuffer(8));

/** Adds every protocol of the schema to the plan, as the arms of a record, and answers them in their order. */
export function planAttributes(plan: RecordPlan): ProtocolAttributes[] {
  return protocolSchemas().map((protocol) =>
    plan.arm(protocol.number, (table) => ({
      name: protocol.name,
      networkProtocolName: protocol.networkProtocolName,
      fixed: protocol.fixed,
      attributes: protocol.fields
        .filter(({ attribute }) => attribute !== '')
        .flatMap((field) => attributesOf(plan, table, field, field.attribute, [])),
    })),
  );
}

/** Where the name and the value of a KeyValue are, after its element was scanned with `table`. */
export interface KeyValueColumns {
  readonly table: FieldTable;
  readonly key: number;
  readonly value: number;
}

export function planKeyValue(plan: RecordPlan): KeyValueColumns {
  const table = new FieldTable();
  const [key, value] = messageSchema('KeyValue').fields.map((field) => plan.field(table, field));
  return { table, key, value };
}

function attributesOf(
  plan: RecordPlan,
  table: FieldTable,
  field: FieldSchema,
  key: string,
  ancestors: readonly string[],
): Attribute[] {
  if (field.kind === 'message' && !field.repeated) {
    return membersOf(plan, plan.inline(table, field), field, `${key}.`, ancestors);
  }
  const slot = plan.field(table, field);
  const names = field.kind === 'enum' ? enumNames(field.type) : NO_NAMES;
  const element = formOf(field);
  if (isKeyValueList(field)) return [{ key, slot, form: Form.ENTRIES, element, names, object: null }];
  if (field.kind !== 'message') {
    return [{ key, slot, form: field.repeated ? Form.LIST : element, element, names, object: null }];
  }
  const object = new FieldTable();
  const members = membersOf(plan, object, field, '', ancestors);
  if (members.some(({ form }) => form >= Form.LIST)) throw new SchemaError(`${key}: a list within a list`);
  return [{ key, slot, form: Form.OBJECTS, element, names, object: { table: object, members } }];
}

/** The fields of the message that `field` holds. */
function membersOf(
  plan: RecordPlan,
  table: FieldTable,
  field: FieldSchema,
  prefix: string,
  ancestors: readonly string[],
): Attribute[] {
  if (ancestors.includes(field.type)) throw new SchemaError(`${field.type} holds itself`);
  return messageSchema(field.type).fields.flatMap((f) =>
    attributesOf(plan, table, f, prefix + (f.attribute || f.name), [...ancestors, field.type]),
  );
}

const NO_NAMES: ReadonlyMap<number, string> = new Map();

function formOf(field: FieldSchema): Form {
  return field.kind === 'bytes' && field.elasticType === 'ip' ? Form.ADDRESS : FORM_BY_KIND[field.kind];
}

/** The value in the halves of a slot, of a form below LIST; undefined where it is none to show. */
export function scalarOf(
  form: Form,
  names: ReadonlyMap<number, string>,
  src: Uint8Array,
  low: number,
  high: number,
): string | number | boolean | undefined {
  switch (form) {
    case Form.TEXT:
      return decoder.decode(src.subarray(low, high));
    case Form.HEX:
      return Buffer.from(src.buffer, src.byteOffset + low, high - low).toString('hex');
    case Form.ADDRESS:
      return isAddress(low, high) ? addressText(src.subarray(low, high)) : undefined;
    case Form.BOOL:
      return low !== 0;
    case Form.ENUM:
      return low === 0 ? undefined : (names.get(low) ?? String(low));
    default: {
      const value = numberOf(form, low, high);
      return Number.isFinite(value) ? value : undefined;
    }
  }
}

/** The number in the halves of a slot of UNSIGNED, SIGNED, FLOAT or DOUBLE. */
export function numberOf(form: Form, low: number, high: number): number {
  switch (form) {
    case Form.UNSIGNED:
      return (high >>> 0) * TWO_32 + (low >>> 0);
    case Form.SIGNED:
      return high * TWO_32 + (low >>> 0);
    case Form.FLOAT:
      floats.setInt32(0, low);
      return floats.getFloat32(0);
    default:
      floats.setInt32(0, high);
      floats.setInt32(4, low);
      return floats.getFloat64(0);
  }
}
