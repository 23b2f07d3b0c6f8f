/** Field tables: by field number how a field is read, and which slot it fills. */

import { type FieldKind, SchemaError } from './compile.js';

/** Highest field number of the schema, because tables are indexed by it. */
const MAX_FIELD_NUMBER = 4095;

/** How a field is read. The order matters: varints first, then fixed widths, then lengths. */
export const Read = {
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

/** How a field of each kind is read. */
export const READ_BY_KIND: { readonly [kind in FieldKind]: number } = {
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
export class FieldTable {
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

export function grown<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
