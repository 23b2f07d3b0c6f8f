/**
 * Compiles the schema for the document writer: which fields it reads, and per protocol a linear program that
 * emits the document, with all keys already encoded.
 *
 * Two conventions keep the programs simple. Every value is followed by a comma, and the end of a group
 * turns the last comma into its brace. And a group is opened by the first value inside it, so that a
 * group without values does not appear; groups that always hold a value are part of the constants.
 */

import { MAX_ADDRESS_TEXT_BYTES } from './address.js';
import {
  type DocumentGroup,
  documentTree,
  ENVELOPE,
  type EnvelopeField,
  type EnvelopeForm,
  enumNames,
  type FieldKind,
  type FieldSchema,
  isKeyValueList,
  messageSchema,
  messageTree,
  type ProtocolSchema,
  protocolSchemas,
  SchemaError,
} from './compile.js';
import { FieldTable, Read } from './fields.js';
import { Constants, MAX_INTEGER_BYTES } from './json.js';
import { RecordPlan } from './plan.js';

/** Who saw the record; an empty name is left out of the document. */
export interface Observer {
  readonly name: string;
  readonly hostname: string;
  readonly version: string;
}

/** Instructions of a program. The order matters to `emit`. */
export const Op = {
  /** Constant bytes. */
  RAW: 0,
  /** A group that is opened by the first value inside it. */
  OPEN: 1,
  CLOSE: 2,
  // One value, shown when the record has it …
  TEXT: 3,
  UNSIGNED: 4,
  SIGNED: 5,
  BOOL: 6,
  HEX: 7,
  // … when it is also a valid one …
  ADDRESS: 8,
  FLOAT: 9,
  DOUBLE: 10,
  ENUM: 11,
  // … many values, and values made of others …
  /** A list of the op in `element`. */
  LIST: 12,
  /** Names and values: an object of arrays. */
  ENTRIES: 13,
  SPAN_ID: 14,
  // … and values that are shown even when the record lacks them.
  MEASURED: 15,
  TIMESTAMP: 16,
  OUTCOME: 17,
  /** Element of a LIST only. */
  OBJECT: 18,
} as const;

/** Text of enum values by number, quotes included; numbers outside are shown as they are. */
export type EnumText = readonly (Uint8Array | undefined)[];

export class Program {
  readonly op: number[] = [];
  readonly slot: number[] = [];
  /** Constant bytes: RAW's own, or the key with its colon (OPEN: and brace). */
  readonly key: Uint8Array[] = [];
  /** LIST: op of one element. */
  readonly element: number[] = [];
  readonly enumText: EnumText[] = [];
  readonly object: (ObjectPlan | undefined)[] = [];
  /** Most bytes that do not depend on the record's length. */
  maxBytes = 0;
  /** `key` as words; set by `seal`. */
  constants = new Constants([]);

  seal(): void {
    this.constants = new Constants(this.key);
  }

  push(
    op: number,
    slot: number,
    key: Uint8Array,
    element = 0,
    enumText: EnumText = [],
    object?: ObjectPlan,
  ): void {
    this.op.push(op);
    this.slot.push(slot);
    this.key.push(key);
    this.element.push(element);
    this.enumText.push(enumText);
    this.object.push(object);
    const longestName = enumText.reduce((longest, text) => Math.max(longest, text?.length ?? 0), 0);
    this.maxBytes += key.length + longestName + VALUE_BYTES;
  }

  /** Appends constants to those just before. */
  raw(text: string): void {
    const last = this.op.length - 1;
    const bytes = encoder.encode(text);
    if (last < 0 || this.op[last] !== Op.RAW) {
      this.push(Op.RAW, -1, bytes);
      return;
    }
    const joined = new Uint8Array(this.key[last].length + bytes.length);
    joined.set(this.key[last]);
    joined.set(bytes, this.key[last].length);
    this.key[last] = joined;
    this.maxBytes += bytes.length;
  }

  /** Ends a group that is part of the constants. */
  closeConstant(): void {
    const last = this.op.length - 1;
    const key = this.key[last];
    if (this.op[last] === Op.RAW && key[key.length - 1] === COMMA) {
      key[key.length - 1] = CLOSE_BRACE;
      this.raw(',');
    } else {
      this.push(Op.CLOSE, -1, NO_BYTES);
    }
  }
}

/** Room for one value that does not come from text: a number, an address, a timestamp, and punctuation. */
const VALUE_BYTES = Math.max(MAX_INTEGER_BYTES, MAX_ADDRESS_TEXT_BYTES) + 8;

/** A message inside a list, read and emitted on its own. */
export interface ObjectPlan {
  readonly table: FieldTable;
  readonly program: Program;
}

const COMMA = 0x2c;
const CLOSE_BRACE = 0x7d;
const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);
/** Ops whose value is a string: their keys end with the opening quote. */
export const QUOTED: readonly number[] = [Op.TEXT, Op.HEX, Op.ADDRESS, Op.TIMESTAMP, Op.SPAN_ID, Op.OUTCOME];

const ENVELOPE_OPS: { readonly [form in EnvelopeForm]: number } = {
  timestamp: Op.TIMESTAMP,
  hex: Op.HEX,
  span_id: Op.SPAN_ID,
  unsigned: Op.UNSIGNED,
  measured: Op.MEASURED,
  outcome: Op.OUTCOME,
  string: Op.TEXT,
  address: Op.ADDRESS,
  enum: Op.ENUM,
  lower_enum: Op.ENUM,
  protocol: Op.RAW,
  network_protocol: Op.RAW,
  observer: Op.RAW,
};

const OPS_BY_KIND: { readonly [kind in FieldKind]: number } = {
  string: Op.TEXT,
  bytes: Op.HEX,
  message: Op.OBJECT,
  bool: Op.BOOL,
  enum: Op.ENUM,
  uint32: Op.UNSIGNED,
  uint64: Op.UNSIGNED,
  fixed32: Op.UNSIGNED,
  fixed64: Op.UNSIGNED,
  int32: Op.SIGNED,
  int64: Op.SIGNED,
  sint32: Op.SIGNED,
  sint64: Op.SIGNED,
  sfixed32: Op.SIGNED,
  sfixed64: Op.SIGNED,
  float: Op.FLOAT,
  double: Op.DOUBLE,
};

/** Slots, tables and programs of the whole schema. */
export class DocumentPlan extends RecordPlan {
  readonly keyValue = new FieldTable();
  /** By arm; the last is that of a record without a detail. */
  readonly programs: Program[] = [];
  readonly statusSlot: number;

  constructor(private readonly observer: Observer | undefined) {
    super();
    for (const field of messageSchema('KeyValue').fields) {
      this.keyValue.add(field.number, Read.BYTES, this.slots++, false, true);
    }
    for (const { source } of ENVELOPE) if (source !== '') this.envelope(source);
    this.statusSlot = this.envelope('status');
    for (const protocol of protocolSchemas()) {
      this.programs.push(this.arm(protocol.number, (table) => this.document(table, protocol)));
    }
    this.programs.push(this.document(new FieldTable(), undefined));
  }

  private document(table: FieldTable, protocol: ProtocolSchema | undefined): Program {
    const program = new Program();
    program.raw('{');
    this.members(program, documentTree(protocol), table, protocol, []);
    program.closeConstant();
    program.seal();
    return program;
  }

  private members(
    program: Program,
    group: DocumentGroup,
    table: FieldTable,
    protocol: ProtocolSchema | undefined,
    ancestors: readonly string[],
  ): void {
    for (const [name, node] of group.members) {
      const key = `${jsonText(name)}:`;
      switch (node.kind) {
        case 'group':
          if (this.alwaysHasValue(node, protocol)) {
            program.raw(`${key}{`);
            this.members(program, node, table, protocol, ancestors);
            program.closeConstant();
          } else {
            program.push(Op.OPEN, -1, encoder.encode(`${key}{`));
            this.members(program, node, table, protocol, ancestors);
            program.push(Op.CLOSE, -1, NO_BYTES);
          }
          break;
        case 'fixed':
          program.raw(`${key}${jsonText(node.value)},`);
          break;
        case 'envelope':
          this.envelopeValue(program, key, node.envelope, protocol);
          break;
        case 'field':
          this.fieldValue(program, key, node.field, table, ancestors);
          break;
      }
    }
  }

  private alwaysHasValue(group: DocumentGroup, protocol: ProtocolSchema | undefined): boolean {
    for (const node of group.members.values()) {
      if (node.kind === 'fixed') return true;
      if (node.kind === 'group' && this.alwaysHasValue(node, protocol)) return true;
      if (node.kind !== 'envelope') continue;
      const { form } = node.envelope;
      if (form === 'timestamp' || form === 'outcome') return true;
      if (ENVELOPE_OPS[form] === Op.RAW && this.constant(node.envelope, protocol) !== '') return true;
    }
    return false;
  }

  /** Value of an envelope field that does not come from the record; '' when there is none. */
  private constant({ form, attribute }: EnvelopeField, protocol: ProtocolSchema | undefined): string {
    if (form === 'protocol') return protocol?.name ?? '';
    if (form === 'network_protocol') return protocol?.networkProtocolName ?? '';
    return this.observer?.[attribute.slice('observer.'.length) as keyof Observer] ?? '';
  }

  private envelopeValue(
    program: Program,
    key: string,
    field: EnvelopeField,
    protocol: ProtocolSchema | undefined,
  ): void {
    const op = ENVELOPE_OPS[field.form];
    if (op === Op.RAW) {
      const value = this.constant(field, protocol);
      if (value !== '') program.raw(`${key}${jsonText(value)},`);
      return;
    }
    const slot = this.envelope(field.source);
    const names = op === Op.ENUM ? enumText(enumTypeOf(field.source), field.form === 'lower_enum') : [];
    program.push(op, slot, keyOf(key, op), 0, names);
  }

  private fieldValue(
    program: Program,
    key: string,
    field: FieldSchema,
    table: FieldTable,
    ancestors: readonly string[],
  ): void {
    if (field.kind === 'message' && !field.repeated) {
      const path = within(ancestors, field);
      program.push(Op.OPEN, -1, encoder.encode(`${key}{`));
      this.members(program, messageTree(field.type), this.inline(table, field), undefined, path);
      program.push(Op.CLOSE, -1, NO_BYTES);
      return;
    }
    const slot = this.field(table, field);
    const names = field.kind === 'enum' ? enumText(field.type, false) : [];
    if (isKeyValueList(field)) {
      program.push(Op.ENTRIES, slot, encoder.encode(`${key}{`));
      return;
    }
    const op = field.kind === 'bytes' && field.elasticType === 'ip' ? Op.ADDRESS : OPS_BY_KIND[field.kind];
    if (!field.repeated) {
      program.push(op, slot, keyOf(key, op), 0, names);
      return;
    }
    let object: ObjectPlan | undefined;
    if (op === Op.OBJECT) {
      object = { table: new FieldTable(), program: new Program() };
      this.members(
        object.program,
        messageTree(field.type),
        object.table,
        undefined,
        within(ancestors, field),
      );
      object.program.seal();
    }
    program.push(Op.LIST, slot, encoder.encode(`${key}[`), op, names, object);
  }
}

function within(ancestors: readonly string[], field: FieldSchema): readonly string[] {
  if (ancestors.includes(field.type)) {
    throw new SchemaError(`${field.type} holds itself: ${[...ancestors, field.type].join(' > ')}`);
  }
  return [...ancestors, field.type];
}

/** A string as JSON in ASCII, as `Constants` want it. */
function jsonText(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function keyOf(key: string, op: number): Uint8Array {
  return encoder.encode(QUOTED.includes(op) ? `${key}"` : key);
}

function enumTypeOf(source: string): string {
  return messageSchema('RoundTrip').fields.find((f) => f.name === source)!.type;
}

function enumText(name: string, lowerCase: boolean): EnumText {
  const text: (Uint8Array | undefined)[] = [];
  for (const [number, value] of enumNames(name)) {
    if (number >= 0 && number < 1024 && value !== '') {
      text[number] = encoder.encode(JSON.stringify(lowerCase ? value.toLowerCase() : value));
    }
  }
  return text;
}
