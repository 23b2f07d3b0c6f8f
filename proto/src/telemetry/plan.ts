/** Which fields of a record are read, and into which slots; built once, from the schema. */
import { type FieldSchema, messageSchema, SchemaError } from './compile.js';
import { FieldTable, READ_BY_KIND, Read } from './fields.js';

export class RecordPlan {
  slots = 0;
  readonly record = new FieldTable();
  /** Per arm of the record's `detail` its slots, [first, end). */
  readonly armSlots: { readonly first: number; readonly end: number }[] = [];
  private readonly envelopeSlots = new Map<string, number>();

  /** The slot of a field of the record, a dotted path. Not to be called first within `arm`. Throws SchemaError. */
  envelope(path: string): number {
    const known = this.envelopeSlots.get(path);
    if (known !== undefined) return known;
    const steps = path.split('.');
    let table = this.record;
    let message = 'RoundTrip';
    for (const step of steps.slice(0, -1)) {
      const field = fieldOf(message, step);
      table = table.nested[field.number] ?? this.inline(table, field);
      message = field.type;
    }
    const slot = this.field(table, fieldOf(message, steps[steps.length - 1]));
    this.envelopeSlots.set(path, slot);
    return slot;
  }

  /** The next arm, whose field in the record has this number: `build` adds its fields to the table. */
  arm<T>(number: number, build: (table: FieldTable) => T): T {
    const first = this.slots;
    const table = new FieldTable();
    const built = build(table);
    this.record.add(number, Read.ARM, this.armSlots.length, false, false, table);
    this.armSlots.push({ first, end: this.slots });
    return built;
  }

  /** A field of the message that `table` is of: answers its slot. */
  field(table: FieldTable, field: FieldSchema): number {
    const slot = this.slots++;
    table.add(field.number, READ_BY_KIND[field.kind], slot, field.repeated, field.implicit);
    return slot;
  }

  /** A field that is one message, whose own fields are added to the table that is answered. */
  inline(table: FieldTable, field: FieldSchema): FieldTable {
    const nested = new FieldTable();
    table.add(field.number, Read.MESSAGE, -1, false, false, nested);
    return nested;
  }
}

function fieldOf(message: string, name: string): FieldSchema {
  const field = messageSchema(message).fields.find((f) => f.name === name);
  if (field === undefined) throw new SchemaError(`${message} has no field ${name}`);
  return field;
}
