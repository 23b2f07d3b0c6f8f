/**
 * Transcodes a `RoundTrip` in protobuf wire format to its JSON document, without an object or a string
 * per record (a `float` or `double` field makes one string).
 *
 * Compiled at start-up from the schema: field tables (field number → how to read it, which slot it
 * fills) and, per protocol, a linear program that emits the document with all keys already encoded.
 * Pass 1 scans the record into the slots, pass 2 runs the program over them.
 *
 * Two conventions keep the programs simple. Every value is followed by a comma, and the end of a group
 * turns the last comma into its brace. And a group is opened by the first value inside it, so that a
 * group without values does not appear; groups that always hold a value are part of the constants.
 */

import type { ByteBuffer } from '../byte-buffer.js';
import { StatusValue } from '../gen/tags.js';
import { isAddress, MAX_ADDRESS_TEXT_BYTES, putAddress } from './address.js';
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
import {
  Constants,
  DATE_TIME_BYTES,
  divideBillion,
  divided,
  MAX_INTEGER_BYTES,
  MAX_TEXT_GROWTH,
  putBytes,
  putDateTime,
  putDigits,
  putHex,
  putInteger,
  putSigned,
  putText,
  putUnsigned,
} from './json.js';

/** Who saw the record; an empty name is left out of the document. */
export interface Observer {
  readonly name: string;
  readonly hostname: string;
  readonly version: string;
}

/** Most elements of all repeated fields of one record; a record with more is malformed. */
export const MAX_ITEMS = 65_536;
/** Most names and values of one KeyValue list that the document shows; those behind are left out. */
export const MAX_ENTRIES = 1024;
/** Highest field number of the schema, because tables are indexed by it. */
const MAX_FIELD_NUMBER = 4095;

/** How a field is read. The order matters: varints first, then fixed widths, then lengths. */
const Read = {
  NONE: 0,
  UINT32: 1,
  INT32: 2,
  BITS64: 3,
  BOOL: 4,
  ZIGZAG32: 5,
  ZIGZAG64: 6,
  FIXED64: 7,
  FIXED32: 8,
  SFIXED32: 9,
  BYTES: 10,
  /** A singular message: its fields have slots of their own. */
  MESSAGE: 11,
  /** An arm of the record's `detail`. */
  ARM: 12,
} as const;

const READ_BY_KIND: { readonly [kind in FieldKind]: number } = {
  string: Read.BYTES,
  bytes: Read.BYTES,
  message: Read.BYTES,
  bool: Read.BOOL,
  enum: Read.INT32,
  uint32: Read.UINT32,
  int32: Read.INT32,
  uint64: Read.BITS64,
  int64: Read.BITS64,
  sint32: Read.ZIGZAG32,
  sint64: Read.ZIGZAG64,
  double: Read.FIXED64,
  fixed64: Read.FIXED64,
  sfixed64: Read.FIXED64,
  float: Read.FIXED32,
  fixed32: Read.FIXED32,
  sfixed32: Read.SFIXED32,
};

/** The fields of one message by number. */
class FieldTable {
  read = new Uint8Array(0);
  repeated = new Uint8Array(0);
  /** Whether zero and '' mean absent. */
  implicit = new Uint8Array(0);
  /** Slot, or the arm's index. */
  slot = new Int32Array(0);
  readonly nested: (FieldTable | undefined)[] = [];

  add(
    number: number,
    read: number,
    slot: number,
    repeated: boolean,
    implicit: boolean,
    nested?: FieldTable,
  ): void {
    if (number > MAX_FIELD_NUMBER)
      throw new SchemaError(`field number ${number} is above ${MAX_FIELD_NUMBER}`);
    if (number >= this.read.length) {
      const size = number + 1;
      this.read = grown(this.read, new Uint8Array(size));
      this.repeated = grown(this.repeated, new Uint8Array(size));
      this.implicit = grown(this.implicit, new Uint8Array(size));
      this.slot = grown(this.slot, new Int32Array(size));
    }
    this.read[number] = read;
    this.slot[number] = slot;
    this.repeated[number] = repeated ? 1 : 0;
    this.implicit[number] = implicit ? 1 : 0;
    this.nested[number] = nested;
  }
}

function grown<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Instructions of a program. The order matters to `emit`. */
const Op = {
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
type EnumText = readonly (Uint8Array | undefined)[];

class Program {
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
interface ObjectPlan {
  readonly table: FieldTable;
  readonly program: Program;
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const LETTER_Z = 0x5a;
const SPAN_ID_BYTES = 8;
/** From here `set` is faster than words (measured: 19 ns whatever the length). */
const LONG_CONSTANT_BYTES = 48;
const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);
const TRUE = encoder.encode('true');
const FALSE = encoder.encode('false');

/** Ops whose value is a string: their keys end with the opening quote. */
const QUOTED: readonly number[] = [Op.TEXT, Op.HEX, Op.ADDRESS, Op.TIMESTAMP, Op.SPAN_ID, Op.OUTCOME];

const OUTCOME: Uint8Array[] = [];
for (const status of Object.values(StatusValue)) OUTCOME[status] = encoder.encode(`${outcomeOf(status)}"`);
const OUTCOME_UNKNOWN = OUTCOME[StatusValue.UNSPECIFIED];

/** `event.outcome` of a status. */
export function outcomeOf(status: number): 'success' | 'failure' | 'unknown' {
  switch (status) {
    case StatusValue.OK:
      return 'success';
    case StatusValue.ERROR:
    case StatusValue.CANCELLED:
    case StatusValue.RESET:
      return 'failure';
    default:
      return 'unknown';
  }
}

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

/** The compiler: slots, tables and programs of the whole schema. */
class Compiler {
  slots = 0;
  readonly record = new FieldTable();
  readonly keyValue = new FieldTable();
  /** By arm; the last is that of a record without a detail. */
  readonly programs: Program[] = [];
  /** Slots of an arm: [first, end). */
  readonly armSlots: { first: number; end: number }[] = [];
  private readonly observer: Observer | undefined;
  private readonly envelopeSlots = new Map<string, number>();

  constructor(observer: Observer | undefined) {
    this.observer = observer;
    for (const field of messageSchema('KeyValue').fields) {
      this.keyValue.add(field.number, Read.BYTES, this.slots++, false, true);
    }
    for (const field of ENVELOPE) if (field.source !== '') this.envelopeSlot(field);
    const protocols = protocolSchemas();
    for (const protocol of protocols) {
      const first = this.slots;
      const table = new FieldTable();
      const program = this.document(table, protocol);
      this.record.add(protocol.number, Read.ARM, this.programs.length, false, false, table);
      this.programs.push(program);
      this.armSlots.push({ first, end: this.slots });
    }
    this.programs.push(this.document(new FieldTable(), undefined));
  }

  get statusSlot(): number {
    return this.envelopeSlots.get('status')!;
  }

  private envelopeSlot({ source, attribute }: EnvelopeField): void {
    if (this.envelopeSlots.has(source)) return;
    const path = source.split('.');
    let table = this.record;
    let message = 'RoundTrip';
    for (const [depth, name] of path.entries()) {
      const field = messageSchema(message).fields.find((f) => f.name === name);
      if (field === undefined) throw new SchemaError(`${message} has no field ${name} for ${attribute}`);
      if (depth === path.length - 1) {
        const slot = this.slots++;
        this.envelopeSlots.set(source, slot);
        table.add(field.number, READ_BY_KIND[field.kind], slot, field.repeated, field.implicit);
      } else {
        table.nested[field.number] ??= this.inline(table, field);
        table = table.nested[field.number]!;
        message = field.type;
      }
    }
  }

  private inline(table: FieldTable, field: FieldSchema): FieldTable {
    const nested = new FieldTable();
    table.add(field.number, Read.MESSAGE, -1, false, false, nested);
    return nested;
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
      const key = `${JSON.stringify(name)}:`;
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
          program.raw(`${key}${JSON.stringify(node.value)},`);
          break;
        case 'envelope':
          this.envelope(program, key, node.envelope, protocol);
          break;
        case 'field':
          this.field(program, key, node.field, table, ancestors);
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

  private envelope(
    program: Program,
    key: string,
    field: EnvelopeField,
    protocol: ProtocolSchema | undefined,
  ): void {
    const op = ENVELOPE_OPS[field.form];
    if (op === Op.RAW) {
      const value = this.constant(field, protocol);
      if (value !== '') program.raw(`${key}${JSON.stringify(value)},`);
      return;
    }
    const slot = this.envelopeSlots.get(field.source)!;
    const names = op === Op.ENUM ? enumText(enumTypeOf(field.source), field.form === 'lower_enum') : [];
    program.push(op, slot, keyOf(key, op), 0, names);
  }

  private field(
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
    const slot = this.slots++;
    table.add(field.number, READ_BY_KIND[field.kind], slot, field.repeated, field.implicit);
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

const double = new Float64Array(1);
const doubleHalves = new Int32Array(double.buffer);
/** Index of the low half, by the machine's byte order. */
const LOW_HALF = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1;
const float = new Float32Array(1);
const floatBits = new Int32Array(float.buffer);

/** Fields of KeyValue (packetd/v1/roundtrip_types.proto). */
const KEY_TAG = 0x0a;
const VALUE_TAG = 0x12;

/**
 * Writes documents. One writer serves one thread; records of any protocol may follow one another.
 */
export class DocumentWriter {
  private readonly record: FieldTable;
  private readonly programs: readonly Program[];
  private readonly armSlots: readonly { readonly first: number; readonly end: number }[];
  private readonly statusSlot: number;

  /** A slot is filled when its stamp is the serial of the message being written. */
  private readonly stamp: Int32Array;
  /** Start of bytes, low half of a number, or first item of a list. */
  private readonly low: Int32Array;
  /** End of bytes, high half of a number, or last item of a list. */
  private readonly high: Int32Array;
  private serial = 0;

  private itemLow = new Int32Array(64);
  private itemHigh = new Int32Array(64);
  private itemNext = new Int32Array(64);
  private items = 0;

  private arm = 0;
  /** Result of `varint`. */
  private varintLow = 0;
  private varintHigh = 0;
  /** OPEN instructions that wait for their first value. */
  private readonly pending = new Int32Array(256);
  private pendingCount = 0;
  /** Names and values of one list: key start, key end, value start, value end. */
  private readonly entries = new Int32Array(MAX_ENTRIES * 4);
  private entryCount = 0;
  /** The output seen last, and a view of it. */
  private viewed: Uint8Array = new Uint8Array(0);
  private view = new DataView(new ArrayBuffer(0));
  private readonly keyValue: FieldTable;
  /** Set when pass 2 meets a malformed message inside a list. */
  private isMalformed = false;
  private isComplete = false;
  /** Most bytes that the rest of this document takes. */
  private budget = 0;
  /** `2026-11-23T14:00:00.` of `dateSecond`. */
  private readonly date = new DataView(new ArrayBuffer(DATE_TIME_BYTES));
  private dateSecond = -1;

  constructor(observer?: Observer) {
    const compiler = new Compiler(observer);
    this.record = compiler.record;
    this.programs = compiler.programs;
    this.armSlots = compiler.armSlots;
    this.statusSlot = compiler.statusSlot;
    this.keyValue = compiler.keyValue;
    this.stamp = new Int32Array(compiler.slots);
    this.low = new Int32Array(compiler.slots);
    this.high = new Int32Array(compiler.slots);
  }

  /**
   * Appends the document of the record in [start, end) to `out`, without a line end. Answers false, and
   * leaves `out` as it was, for a record that is not well-formed wire format; unknown fields and fields
   * of an unexpected wire type are passed over.
   */
  write(record: Uint8Array, start: number, end: number, out: ByteBuffer): boolean {
    if (!(start >= 0 && start <= end && end <= record.length)) return false;
    if (this.serial > 0x7000_0000) {
      this.stamp.fill(0);
      this.serial = 0;
    }
    const serial = ++this.serial;
    this.items = 0;
    this.pendingCount = 0;
    const none = this.programs.length - 1;
    this.arm = none;
    if (!this.scan(this.record, record, start, end, serial)) return false;
    const program = this.programs[this.arm];
    const status =
      this.stamp[this.statusSlot] === serial ? this.low[this.statusSlot] : StatusValue.UNSPECIFIED;
    this.isComplete = status === StatusValue.OK || status === StatusValue.ERROR;
    this.isMalformed = false;
    this.budget = program.maxBytes + (end - start) * MAX_TEXT_GROWTH;
    const before = out.length;
    out.reserve(this.budget);
    const after = this.emit(program, record, before, serial, out);
    // The document is not a member: the comma behind it goes.
    out.length = this.isMalformed ? before : after - 1;
    return !this.isMalformed;
  }

  private scan(table: FieldTable, src: Uint8Array, at: number, end: number, serial: number): boolean {
    const read = table.read;
    while (at < end) {
      let tag = src[at++];
      if (tag > 0x7f) {
        if (at < end && src[at] < 0x80) {
          tag = (tag & 0x7f) | (src[at++] << 7);
        } else {
          at = this.varint(src, at - 1, end);
          if (at < 0 || this.varintHigh !== 0) return false;
          tag = this.varintLow >>> 0;
        }
      }
      const number = tag >>> 3;
      if (number === 0) return false;
      const reader = number < read.length ? read[number] : Read.NONE;
      switch (tag & 7) {
        case 0: {
          if (at >= end) return false;
          let low = src[at++];
          let high = 0;
          if (low > 0x7f) {
            at = this.varint(src, at - 1, end);
            if (at < 0) return false;
            low = this.varintLow;
            high = this.varintHigh;
          }
          if (reader === Read.NONE || reader > Read.ZIGZAG64) break;
          if (!this.number(table, number, reader, low, high, serial)) return false;
          break;
        }
        case 1:
          if (end - at < 8) return false;
          if (reader === Read.FIXED64) {
            if (!this.number(table, number, reader, word(src, at), word(src, at + 4), serial)) return false;
          }
          at += 8;
          break;
        case 5:
          if (end - at < 4) return false;
          if (reader === Read.FIXED32 || reader === Read.SFIXED32) {
            if (!this.number(table, number, reader, word(src, at), 0, serial)) return false;
          }
          at += 4;
          break;
        case 2: {
          if (at >= end) return false;
          let length = src[at++];
          if (length > 0x7f) {
            at = this.varint(src, at - 1, end);
            if (at < 0 || this.varintHigh !== 0) return false;
            length = this.varintLow >>> 0;
          }
          if (length > end - at) return false;
          const stop = at + length;
          if (reader >= Read.BYTES) {
            if (!this.bytes(table, number, reader, src, at, stop, serial)) return false;
          } else if (reader !== Read.NONE && table.repeated[number] === 1) {
            if (!this.packed(table, number, reader, src, at, stop, serial)) return false;
          }
          at = stop;
          break;
        }
        default:
          // Groups (3, 4) are not part of proto3; 6 and 7 are not defined.
          return false;
      }
    }
    return true;
  }

  private bytes(
    table: FieldTable,
    number: number,
    reader: number,
    src: Uint8Array,
    start: number,
    end: number,
    serial: number,
  ): boolean {
    const slot = table.slot[number];
    if (reader === Read.BYTES) {
      if (table.repeated[number] === 1) return this.item(slot, start, end, serial);
      this.stamp[slot] = start === end && table.implicit[number] === 1 ? 0 : serial;
      this.low[slot] = start;
      this.high[slot] = end;
      return true;
    }
    if (reader === Read.ARM && this.arm !== slot) {
      // The last arm on the wire counts; one that comes back begins anew.
      if (this.arm !== this.programs.length - 1) {
        this.stamp.fill(0, this.armSlots[slot].first, this.armSlots[slot].end);
      }
      this.arm = slot;
    }
    return this.scan(table.nested[number]!, src, start, end, serial);
  }

  private packed(
    table: FieldTable,
    number: number,
    reader: number,
    src: Uint8Array,
    at: number,
    end: number,
    serial: number,
  ): boolean {
    while (at < end) {
      if (reader === Read.FIXED64) {
        if (end - at < 8) return false;
        if (!this.number(table, number, reader, word(src, at), word(src, at + 4), serial)) return false;
        at += 8;
      } else if (reader >= Read.FIXED32) {
        if (end - at < 4) return false;
        if (!this.number(table, number, reader, word(src, at), 0, serial)) return false;
        at += 4;
      } else {
        at = this.varint(src, at, end);
        if (at < 0) return false;
        if (!this.number(table, number, reader, this.varintLow, this.varintHigh, serial)) return false;
      }
    }
    return true;
  }

  private number(
    table: FieldTable,
    number: number,
    reader: number,
    low: number,
    high: number,
    serial: number,
  ): boolean {
    switch (reader) {
      case Read.UINT32:
      case Read.FIXED32:
        high = 0;
        break;
      case Read.INT32:
      case Read.SFIXED32:
        high = low >> 31;
        break;
      case Read.BOOL:
        low = low === 0 && high === 0 ? 0 : 1;
        high = 0;
        break;
      case Read.ZIGZAG32:
        low = (low >>> 1) ^ -(low & 1);
        high = low >> 31;
        break;
      case Read.ZIGZAG64: {
        const sign = -(low & 1);
        low = ((low >>> 1) | (high << 31)) ^ sign;
        high = (high >>> 1) ^ sign;
        break;
      }
    }
    const slot = table.slot[number];
    if (table.repeated[number] === 1) return this.item(slot, low, high, serial);
    this.stamp[slot] = low === 0 && high === 0 && table.implicit[number] === 1 ? 0 : serial;
    this.low[slot] = low;
    this.high[slot] = high;
    return true;
  }

  private item(slot: number, low: number, high: number, serial: number): boolean {
    const item = this.items;
    if (item >= MAX_ITEMS) return false;
    if (item === this.itemLow.length) {
      this.itemLow = grown(this.itemLow, new Int32Array(item * 2));
      this.itemHigh = grown(this.itemHigh, new Int32Array(item * 2));
      this.itemNext = grown(this.itemNext, new Int32Array(item * 2));
    }
    this.items = item + 1;
    this.itemLow[item] = low;
    this.itemHigh[item] = high;
    this.itemNext[item] = -1;
    if (this.stamp[slot] === serial) {
      this.itemNext[this.high[slot]] = item;
    } else {
      this.stamp[slot] = serial;
      this.low[slot] = item;
    }
    this.high[slot] = item;
    return true;
  }

  /** Reads a varint of up to ten bytes into `varintLow`, `varintHigh`; answers where it ends, or -1. */
  private varint(src: Uint8Array, at: number, end: number): number {
    let low = 0;
    const stop = Math.min(end, at + 4);
    let shift = 0;
    while (at < stop) {
      const byte = src[at++];
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.varintLow = low;
        this.varintHigh = 0;
        return at;
      }
      shift += 7;
    }
    if (at >= end || shift < 28) return -1;
    let byte = src[at++];
    low |= (byte & 0x7f) << 28;
    let high = (byte & 0x7f) >>> 4;
    for (shift = 3; byte > 0x7f; shift += 7) {
      if (at >= end || shift > 31) return -1;
      byte = src[at++];
      high |= (byte & 0x7f) << shift;
    }
    this.varintLow = low;
    this.varintHigh = high;
    return at;
  }

  /** Runs a program; answers the position behind the last byte. */
  private emit(program: Program, src: Uint8Array, at: number, serial: number, out: ByteBuffer): number {
    const { op, slot: slots, constants } = program;
    const { stamp, low, high, pending } = this;
    let dst = out.bytes;
    let view = this.viewOf(dst);
    for (let i = 0; i < op.length; i++) {
      const code = op[i];
      if (code < Op.TEXT) {
        if (code === Op.RAW) {
          const key = program.key[i];
          if (key.length < LONG_CONSTANT_BYTES) {
            at = constants.put(view, at, i);
          } else {
            dst.set(key, at);
            at += key.length;
          }
        } else if (code === Op.OPEN) {
          pending[this.pendingCount++] = i;
        } else if (this.pendingCount > 0) {
          this.pendingCount--;
        } else {
          dst[at - 1] = CLOSE_BRACE;
          dst[at++] = COMMA;
        }
        continue;
      }
      const slot = slots[i];
      const present = stamp[slot] === serial;
      if (!present && code < Op.MEASURED) continue;
      const first = low[slot];
      const second = high[slot];
      if (code >= Op.ADDRESS && !this.isShown(code, present, src, first, second)) continue;
      if (this.pendingCount > 0) {
        for (let k = 0; k < this.pendingCount; k++) at = constants.put(view, at, pending[k]);
        this.pendingCount = 0;
      }
      at = constants.put(view, at, i);
      if (code < Op.LIST) {
        at = putValue(dst, view, at, code, src, first, second, program.enumText[i]);
        dst[at++] = COMMA;
        continue;
      }
      switch (code) {
        case Op.LIST:
          at = this.list(program, i, src, at, first, out);
          dst = out.bytes;
          view = this.viewOf(dst);
          break;
        case Op.ENTRIES:
          at = this.putEntries(dst, at, src);
          break;
        case Op.SPAN_ID:
          at = putHex(view, at, src, second - SPAN_ID_BYTES, second);
          dst[at++] = QUOTE;
          break;
        case Op.MEASURED:
          at = present ? putUnsigned(view, at, first, second) : putInteger(view, at, 0);
          break;
        case Op.TIMESTAMP:
          at = present ? this.timestamp(dst, view, at, first, second) : this.timestamp(dst, view, at, 0, 0);
          break;
        case Op.OUTCOME:
          at = putBytes(dst, at, (present ? OUTCOME[first] : undefined) ?? OUTCOME_UNKNOWN);
          break;
      }
      dst[at++] = COMMA;
    }
    return at;
  }

  /** Whether the document shows the value: some depend on more than being there. */
  private isShown(code: number, present: boolean, src: Uint8Array, low: number, high: number): boolean {
    switch (code) {
      case Op.ADDRESS:
        return isAddress(low, high);
      case Op.FLOAT:
      case Op.DOUBLE:
        return Number.isFinite(floating(code, low, high));
      case Op.ENUM:
        // The zero value of an enum says that it was not set.
        return low !== 0;
      case Op.SPAN_ID:
        return high - low >= SPAN_ID_BYTES;
      case Op.ENTRIES:
        return this.readEntries(src, low) > 0;
      case Op.MEASURED:
        return present || this.isComplete;
      default:
        return true;
    }
  }

  private list(
    program: Program,
    index: number,
    src: Uint8Array,
    at: number,
    first: number,
    out: ByteBuffer,
  ): number {
    const code = program.element[index];
    const isQuoted = QUOTED.includes(code);
    const object = program.object[index];
    const elementBytes = (object ?? { program }).program.maxBytes;
    this.budget += elementBytes;
    for (let item = first; item !== -1 && !this.isMalformed; item = this.itemNext[item]) {
      const low = this.itemLow[item];
      const high = this.itemHigh[item];
      if (object !== undefined || code === Op.ENUM) {
        out.length = at;
        out.reserve(this.budget);
      }
      const dst = out.bytes;
      const view = this.viewOf(dst);
      if (object !== undefined) {
        dst[at++] = OPEN_BRACE;
        const serial = ++this.serial;
        if (this.scan(object.table, src, low, high, serial))
          at = this.emit(object.program, src, at, serial, out);
        else this.isMalformed = true;
        at = close(out.bytes, at, CLOSE_BRACE);
        out.bytes[at++] = COMMA;
      } else if (code < Op.ADDRESS || code === Op.ENUM || this.isShown(code, true, src, low, high)) {
        if (isQuoted) dst[at++] = QUOTE;
        at = putValue(dst, view, at, code, src, low, high, program.enumText[index]);
        dst[at++] = COMMA;
      }
    }
    this.budget -= elementBytes;
    return close(out.bytes, at, CLOSE_BRACKET);
  }

  /** Reads a KeyValue list into `entries`; answers how many have a name. */
  private readEntries(src: Uint8Array, first: number): number {
    const entries = this.entries;
    let count = 0;
    for (let item = first; item !== -1 && count < MAX_ENTRIES; item = this.itemNext[item]) {
      const at = count * 4;
      entries.fill(0, at, at + 4);
      if (!this.readEntry(src, this.itemLow[item], this.itemHigh[item], at)) {
        this.isMalformed = true;
        return 0;
      }
      if (entries[at + 1] > entries[at]) count++;
    }
    this.entryCount = count;
    return count;
  }

  private readEntry(src: Uint8Array, at: number, end: number, entry: number): boolean {
    const entries = this.entries;
    // As our own writer writes it: a name and a value, each shorter than 128 bytes.
    if (end - at >= 4 && src[at] === KEY_TAG && src[at + 1] < 0x80) {
      const keyEnd = at + 2 + src[at + 1];
      if (
        keyEnd + 2 <= end &&
        src[keyEnd] === VALUE_TAG &&
        keyEnd + 2 + src[keyEnd + 1] === end &&
        src[keyEnd + 1] < 0x80
      ) {
        entries[entry] = at + 2;
        entries[entry + 1] = keyEnd;
        entries[entry + 2] = keyEnd + 2;
        entries[entry + 3] = end;
        return true;
      }
    }
    const serial = ++this.serial;
    if (!this.scan(this.keyValue, src, at, end, serial)) return false;
    for (let k = 0; k < 2; k++) {
      const slot = this.keyValue.slot[k + 1];
      if (this.stamp[slot] !== serial) continue;
      entries[entry + 2 * k] = this.low[slot];
      entries[entry + 2 * k + 1] = this.high[slot];
    }
    return true;
  }

  /** Writes `entries` as an object of arrays, the values of one name together. */
  private putEntries(dst: Uint8Array, at: number, src: Uint8Array): number {
    const entries = this.entries;
    const end = this.entryCount * 4;
    for (let i = 0; i < end; i += 4) {
      const keyStart = entries[i];
      const keyEnd = entries[i + 1];
      // Written already, together with an earlier one of this name.
      if (keyEnd === 0) continue;
      dst[at++] = QUOTE;
      at = putText(dst, at, src, keyStart, keyEnd);
      dst[at++] = QUOTE;
      dst[at++] = COLON;
      dst[at++] = OPEN_BRACKET;
      for (let j = i; j < end; j += 4) {
        if (entries[j + 1] - entries[j] !== keyEnd - keyStart) continue;
        if (j !== i && !isSame(src, keyStart, keyEnd, entries[j])) continue;
        dst[at++] = QUOTE;
        at = putText(dst, at, src, entries[j + 2], entries[j + 3]);
        dst[at++] = QUOTE;
        dst[at++] = COMMA;
        entries[j] = 0;
        entries[j + 1] = 0;
      }
      dst[at - 1] = CLOSE_BRACKET;
      dst[at++] = COMMA;
    }
    dst[at - 1] = CLOSE_BRACE;
    return at;
  }

  private timestamp(dst: Uint8Array, view: DataView, at: number, low: number, high: number): number {
    divideBillion(low, high);
    const { quotient: second, remainder: nanos } = divided;
    if (second !== this.dateSecond) {
      putDateTime(this.date, 0, second);
      this.dateSecond = second;
    }
    for (let i = 0; i < DATE_TIME_BYTES; i += 4) view.setInt32(at + i, this.date.getInt32(i));
    at = putDigits(view, at + DATE_TIME_BYTES, nanos, 9);
    dst[at++] = LETTER_Z;
    dst[at++] = QUOTE;
    return at;
  }

  private viewOf(bytes: Uint8Array): DataView {
    if (bytes !== this.viewed) {
      this.viewed = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    return this.view;
  }
}

/** One value without the comma behind it; strings without their opening quote. */
function putValue(
  dst: Uint8Array,
  view: DataView,
  at: number,
  code: number,
  src: Uint8Array,
  low: number,
  high: number,
  enumText: EnumText,
): number {
  switch (code) {
    case Op.TEXT:
      at = putText(dst, at, src, low, high);
      break;
    case Op.UNSIGNED:
      return putUnsigned(view, at, low, high);
    case Op.SIGNED:
      return putSigned(view, at, low, high);
    case Op.BOOL:
      return putBytes(dst, at, low === 0 ? FALSE : TRUE);
    case Op.HEX:
      at = putHex(view, at, src, low, high);
      break;
    case Op.ADDRESS:
      at = putAddress(dst, at, src, low, high);
      break;
    case Op.FLOAT:
    case Op.DOUBLE:
      return putString(dst, at, String(floating(code, low, high)));
    default: {
      const text = low >= 0 && low < enumText.length ? enumText[low] : undefined;
      if (text !== undefined) return putBytes(dst, at, text);
      // A value that this schema does not know yet: its number, as a string like the others.
      dst[at++] = QUOTE;
      at = putSigned(view, at, low, high);
    }
  }
  dst[at++] = QUOTE;
  return at;
}

function putString(dst: Uint8Array, at: number, ascii: string): number {
  for (let i = 0; i < ascii.length; i++) dst[at++] = ascii.charCodeAt(i);
  return at;
}

function floating(code: number, low: number, high: number): number {
  if (code === Op.FLOAT) {
    floatBits[0] = low;
    return float[0];
  }
  doubleHalves[LOW_HALF] = low;
  doubleHalves[1 - LOW_HALF] = high;
  return double[0];
}

/** Ends a list or an object whose values are each followed by a comma. */
function close(dst: Uint8Array, at: number, bracket: number): number {
  if (dst[at - 1] === COMMA) {
    dst[at - 1] = bracket;
    return at;
  }
  dst[at] = bracket;
  return at + 1;
}

function isSame(src: Uint8Array, start: number, end: number, other: number): boolean {
  for (let i = start; i < end; i++) if (src[i] !== src[other++]) return false;
  return true;
}

function word(src: Uint8Array, at: number): number {
  return src[at] | (src[at + 1] << 8) | (src[at + 2] << 16) | (src[at + 3] << 24);
}
