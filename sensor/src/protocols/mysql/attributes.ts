/** Query attributes: parameters in front of the SQL of COM_QUERY (CLIENT_QUERY_ATTRIBUTES). */
import { afterLenenc, afterString, lenenc, uint16 } from './wire.js';

/** More attributes than this are not looked through. */
const MAX_ATTRIBUTES = 1024;

/** Widths of enum_field_types in the binary protocol; those missing here are string<lenenc>. */
const WIDTHS: readonly (number | undefined)[] = [
  undefined, // DECIMAL
  1, // TINY
  2, // SHORT
  4, // LONG
  4, // FLOAT
  8, // DOUBLE
  0, // NULL
  -1, // TIMESTAMP: int<1> length
  8, // LONGLONG
  4, // INT24
  -1, // DATE
  -1, // TIME
  -1, // DATETIME
  2, // YEAR
];

/** For sessions whose login was not seen: the parameter_set_count is 1, a byte that no SQL has so early. */
export function looksLikeAttributes(bytes: Uint8Array, start: number, end: number): boolean {
  const at = afterLenenc(bytes, start, end);
  return at < end && bytes[at] === 1;
}

/**
 * int<lenenc> parameter_count, int<lenenc> parameter_set_count (1); where the count is not 0 the null
 * bitmap, int<1> new_params_bind_flag (1), per parameter int<2> type and string<lenenc> name, then the
 * values. Answers the position of the SQL, or -1 where it cannot be found.
 */
export function afterAttributes(bytes: Uint8Array, start: number, end: number): number {
  const count = lenenc(bytes, start, end);
  let at = afterLenenc(bytes, start, end);
  if (count < 0 || count > MAX_ATTRIBUTES || lenenc(bytes, at, end) !== 1) return -1;
  at = afterLenenc(bytes, at, end);
  if (count === 0) return at;
  const nulls = at;
  at += (count + 7) >> 3;
  if (at >= end || bytes[at] !== 1) return -1;
  at++;
  const types = at;
  for (let i = 0; i < count; i++) at = afterString(bytes, at + 2, end);
  let type = types;
  for (let i = 0; i < count; i++) {
    if (at > end) return -1;
    const code = uint16(bytes, type) & 0x7fff;
    type = afterString(bytes, type + 2, end);
    if (((bytes[nulls + (i >> 3)] >> (i & 7)) & 1) !== 0) continue;
    const width = WIDTHS[code];
    if (width === undefined) at = afterString(bytes, at, end);
    else if (width < 0) at += at < end ? 1 + bytes[at] : 1;
    else at += width;
  }
  return at <= end ? at : -1;
}
