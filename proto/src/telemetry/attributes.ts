/**
 * OpenTelemetry attributes of a record's detail, from the fields' option `attribute`: where each is in the slots of
 * a scanned record, and how it is shown.
 */
import { type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { RoundTripSchema } from '../gen/packetd/v1/roundtrip_pb.js';
import { addressText, isAddress } from './address.js';
import {
  enumNames,
  type FieldKind,
  type FieldSchema,
  isKeyValueList,
  messageSchema,
  type ProtocolSchema,
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
  /** A list of values that are all shown as text. */
  LIST: 9,
  /** A KeyValue list: an attribute for each name, with all its values. */
  ENTRIES: 10,
} as const;
export type Form = (typeof Form)[keyof typeof Form];

export interface Attribute {
  readonly key: string;
  readonly slot: number;
  readonly form: Form;
  /** ENUM: names by number. */
  readonly names: ReadonlyMap<number, string>;
  /** LIST: text of the element in these slots' halves; undefined leaves it out. */
  readonly element: (src: Uint8Array, low: number, high: number) => string | undefined;
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
        .flatMap((field) => attributesOf(plan, table, field, field.attribute, descriptorOf(protocol), [])),
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
  owner: DescMessage,
  ancestors: readonly string[],
): Attribute[] {
  if (field.kind === 'message' && !field.repeated) {
    if (ancestors.includes(field.type)) throw new SchemaError(`${field.type} holds itself: ${key}`);
    const nested = plan.inline(table, field);
    const message = memberOf(owner, field);
    return messageSchema(field.type).fields.flatMap((f) =>
      attributesOf(plan, nested, f, `${key}.${f.attribute || f.name}`, message, [...ancestors, field.type]),
    );
  }
  const slot = plan.field(table, field);
  const names = field.kind === 'enum' ? enumNames(field.type) : NO_NAMES;
  if (isKeyValueList(field)) return [{ key, slot, form: Form.ENTRIES, names, element: () => undefined }];
  const form = formOf(field);
  const element =
    field.kind === 'message'
      ? objectText(field, memberOf(owner, field))
      : (src: Uint8Array, low: number, high: number) => textOf(form, names, src, low, high);
  return [{ key, slot, form: field.repeated ? Form.LIST : form, names, element }];
}

const NO_NAMES: ReadonlyMap<number, string> = new Map();

function formOf(field: FieldSchema): Form {
  return field.kind === 'bytes' && field.elasticType === 'ip' ? Form.ADDRESS : FORM_BY_KIND[field.kind];
}

function textOf(
  form: Form,
  names: ReadonlyMap<number, string>,
  src: Uint8Array,
  low: number,
  high: number,
): string | undefined {
  switch (form) {
    case Form.TEXT:
      return decoder.decode(src.subarray(low, high));
    case Form.HEX:
      return hexText(src, low, high);
    case Form.ADDRESS:
      return isAddress(low, high) ? addressText(src.subarray(low, high)) : undefined;
    case Form.BOOL:
      return String(low !== 0);
    case Form.ENUM:
      return low === 0 ? undefined : (names.get(low) ?? String(low));
    default: {
      const value = numberOf(form, low, high);
      return Number.isFinite(value) ? String(value) : undefined;
    }
  }
}

export function hexText(src: Uint8Array, start: number, end: number): string {
  return Buffer.from(src.buffer, src.byteOffset + start, end - start).toString('hex');
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

function descriptorOf(protocol: ProtocolSchema): DescMessage {
  const field = RoundTripSchema.fields.find(({ number }) => number === protocol.number);
  return field!.message!;
}

function memberOf(owner: DescMessage, { number }: FieldSchema): DescMessage {
  return owner.fields.find((field) => field.number === number)!.message!;
}

/** A message in a list as JSON. There are few of them, so they are decoded. */
function objectText(field: FieldSchema, message: DescMessage): Attribute['element'] {
  const write = objectWriter(field.type, []);
  return (src, low, high) => {
    try {
      return write(fromBinary(message, src.subarray(low, high)) as unknown as MessageObject);
    } catch {
      return undefined;
    }
  };
}

/** A message of @bufbuild/protobuf, read by property name. */
type MessageObject = { readonly [localName: string]: unknown };
type Value = string | number | boolean | string[];
type Writer = (message: MessageObject, visit: (key: string, value: Value) => void) => void;

function writer(field: FieldSchema, key: string, ancestors: readonly string[]): Writer {
  const { localName } = field;
  if (isKeyValueList(field)) return (message, visit) => visitEntries(message[localName], key, visit);
  if (field.kind === 'message' && !field.repeated) {
    if (ancestors.includes(field.type)) throw new SchemaError(`${field.type} holds itself: ${key}`);
    const inner = messageSchema(field.type).fields.map((f) =>
      writer(f, `${key}.${f.attribute || f.name}`, [...ancestors, field.type]),
    );
    return (message, visit) => {
      const nested = message[localName] as MessageObject | undefined;
      if (nested === undefined) return;
      for (const write of inner) write(nested, visit);
    };
  }
  if (field.repeated) {
    const show = field.kind === 'message' ? objectWriter(field.type, ancestors) : scalar(field);
    return (message, visit) => {
      const values: string[] = [];
      for (const value of message[localName] as unknown[]) {
        const shown = show(value);
        if (shown !== undefined) values.push(String(shown));
      }
      if (values.length > 0) visit(key, values);
    };
  }
  const read = compileScalar(field);
  return (message, visit) => {
    const value = read(message);
    if (value !== undefined) visit(key, value);
  };
}

function visitEntries(list: unknown, prefix: string, visit: (key: string, value: Value) => void): void {
  const entries = list as readonly { readonly key: string; readonly value: string }[];
  if (entries.length === 0) return;
  const values = new Map<string, string[]>();
  for (const { key, value } of entries) {
    if (key === '') continue;
    const known = values.get(key);
    if (known === undefined) values.set(key, [value]);
    else known.push(value);
  }
  for (const [key, list] of values) visit(`${prefix}.${key}`, list);
}

function objectWriter(type: string, ancestors: readonly string[]): (value: unknown) => string {
  if (ancestors.includes(type)) throw new SchemaError(`${type} holds itself`);
  const members = messageSchema(type).fields.map((f) =>
    writer(f, f.attribute || f.name, [...ancestors, type]),
  );
  return (value) => {
    const object: { [key: string]: Value } = {};
    for (const write of members) {
      write(value as MessageObject, (key, member) => {
        object[key] = member;
      });
    }
    return JSON.stringify(object);
  };
}

function scalar(field: FieldSchema): (value: unknown) => string | number | boolean | undefined {
  switch (field.kind) {
    case 'enum': {
      const names = enumNames(field.type);
      return (value) => (value === 0 ? undefined : (names.get(value as number) ?? String(value)));
    }
    case 'bytes':
      if (field.elasticType === 'ip') return (value) => addressText(value as Uint8Array) || undefined;
      return (value) => Buffer.from(value as Uint8Array).toString('hex');
    case 'float':
    case 'double':
      return (value) => (Number.isFinite(value) ? (value as number) : undefined);
    default:
      return (value) => (typeof value === 'bigint' ? Number(value) : (value as string | number | boolean));
  }
}

function isDefault(value: unknown): boolean {
  return (
    value === '' ||
    value === false ||
    value === 0n ||
    Object.is(value, 0) ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

/** Reads a singular field: its value as document and attributes show it; undefined when it is absent. */
function compileScalar(
  field: FieldSchema,
): (message: MessageObject) => string | number | boolean | undefined {
  const show = scalar(field);
  const { localName, implicit } = field;
  return (message) => {
    const value = message[localName];
    if (value === undefined) return undefined;
    if (implicit && isDefault(value)) return undefined;
    return show(value);
  };
}
