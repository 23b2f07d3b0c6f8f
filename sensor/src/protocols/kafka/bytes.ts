/** Builds messages by the primitive types of the protocol guide. Only tests import it. */

const encoder = new TextEncoder();

export const i8 = (value: number): number[] => [value & 0xff];
export const i16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
export const i32 = (value: number): number[] => [...i16(value >> 16), ...i16(value)];
export const i64 = (value: number): number[] => [...i32(Math.floor(value / 2 ** 32)), ...i32(value | 0)];
export const raw = (text: string): number[] => [...encoder.encode(text)];
export const hex = (digits: string): number[] => [...Buffer.from(digits.replace(/\s/g, ''), 'hex')];

/** STRING and NULLABLE_STRING. */
export const str = (text: string | null): number[] =>
  text === null ? i16(-1) : [...i16(raw(text).length), ...raw(text)];

/** UNSIGNED_VARINT. */
export function uvarint(value: number): number[] {
  const out: number[] = [];
  for (let v = value; ; v = Math.floor(v / 128)) {
    if (v < 128) return [...out, v];
    out.push((v % 128) | 0x80);
  }
}

/** VARINT (zigzag). */
export const varint = (value: number): number[] => uvarint(value < 0 ? -2 * value - 1 : 2 * value);

/** COMPACT_STRING and COMPACT_NULLABLE_STRING. */
export const cstr = (text: string | null): number[] =>
  text === null ? [0] : [...uvarint(raw(text).length + 1), ...raw(text)];

/** No tagged fields. */
export const TAGS = [0];

export const array = (...items: number[][]): number[] => [...i32(items.length), ...items.flat()];
export const carray = (...items: number[][]): number[] => [...uvarint(items.length + 1), ...items.flat()];
/** BYTES and RECORDS. */
export const blob = (bytes: number[]): number[] => [...i32(bytes.length), ...bytes];
export const cblob = (bytes: number[]): number[] => [...uvarint(bytes.length + 1), ...bytes];

export const frame = (...parts: number[][]): Uint8Array => Uint8Array.from(blob(parts.flat()));

/** Request with header version 1, or 2 where `flexible`. */
export const request = (
  key: number,
  version: number,
  correlationId: number,
  clientId: string | null,
  body: number[],
  flexible = false,
): Uint8Array => frame(i16(key), i16(version), i32(correlationId), str(clientId), flexible ? TAGS : [], body);

/** Response with header version 0, or 1 where `flexible`. */
export const response = (correlationId: number, body: number[], flexible = false): Uint8Array =>
  frame(i32(correlationId), flexible ? TAGS : [], body);

export interface TestRecord {
  key?: string;
  value?: string;
  headers?: Record<string, string>;
}

/** RecordBatch of format 2; compressed ones hold their records as they are, which no decoder must read. */
export function batch(records: TestRecord[], attributes = 0): number[] {
  const body = records.flatMap((record, index) => {
    const headers = Object.entries(record.headers ?? {});
    const content = [
      ...i8(0),
      ...varint(0),
      ...varint(index),
      ...nullable(record.key),
      ...nullable(record.value),
      ...varint(headers.length),
      ...headers.flatMap(([name, value]) => [...nullable(name), ...nullable(value)]),
    ];
    return [...varint(content.length), ...content];
  });
  const rest = [
    ...i32(0),
    ...i8(2),
    ...i32(0),
    ...i16(attributes),
    ...i32(records.length - 1),
    ...i64(1_600_000_000_000),
    ...i64(1_600_000_000_000),
    ...i64(-1),
    ...i16(-1),
    ...i32(-1),
    ...i32(records.length),
    ...body,
  ];
  return [...i64(0), ...blob(rest)];
}

/** A message of format 0 or 1. */
export function message(magic: 0 | 1, value: string, attributes = 0): number[] {
  const rest = [...i32(0), ...i8(magic), ...i8(attributes), ...(magic === 1 ? i64(1) : []), ...i32(-1)];
  return [...i64(0), ...blob([...rest, ...blob(raw(value))])];
}

const nullable = (text: string | undefined): number[] =>
  text === undefined ? varint(-1) : [...varint(raw(text).length), ...raw(text)];
