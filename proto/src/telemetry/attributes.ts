/** OpenTelemetry attributes of a decoded record's detail, from the fields' option `attribute`. */

import type { RoundTrip } from '../gen/packetd/v1/roundtrip_pb.js';
import { addressText } from './address.js';
import { enumNames, type FieldSchema, isKeyValueList, messageSchema, SchemaError } from './compile.js';

export type AttributeValue = string | number | boolean | string[];
export type AttributeVisitor = (key: string, value: AttributeValue) => void;

/** A message of @bufbuild/protobuf, read by property name. */
export type MessageObject = { readonly [localName: string]: unknown };

/** The record's detail when it is of this case. */
export function detailOf(record: RoundTrip, detailCase: string): MessageObject | undefined {
  const { detail } = record;
  return detail.case === detailCase ? (detail.value as unknown as MessageObject) : undefined;
}

/**
 * Compiles the attributes of a message's fields. Absent values are passed over. A KeyValue list gives
 * one attribute per name with all its values; other lists are lists of text, messages in them as JSON.
 */
export function compileAttributes(
  fields: readonly FieldSchema[],
): (message: MessageObject, visit: AttributeVisitor) => void {
  const writers = fields
    .filter((field) => field.attribute !== '')
    .map((field) => writer(field, field.attribute, []));
  return (message, visit) => {
    for (const write of writers) write(message, visit);
  };
}

/** Reads a singular field: its value as document and attributes show it; undefined when it is absent. */
export function compileScalar(
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

type Writer = (message: MessageObject, visit: AttributeVisitor) => void;

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
    const show = field.kind === 'message' ? objectText(field.type, ancestors) : scalar(field);
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

function visitEntries(list: unknown, prefix: string, visit: AttributeVisitor): void {
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

function objectText(type: string, ancestors: readonly string[]): (value: unknown) => string {
  if (ancestors.includes(type)) throw new SchemaError(`${type} holds itself`);
  const members = messageSchema(type).fields.map((f) =>
    writer(f, f.attribute || f.name, [...ancestors, type]),
  );
  return (value) => {
    const object: { [key: string]: AttributeValue } = {};
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
