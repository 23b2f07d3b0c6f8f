/**
 * Transcodes a `RoundTrip` in protobuf wire format to its JSON document, without an object or a string
 * per record (a `float` or `double` field makes one string). Pass 1 (scanner.ts) scans the record into
 * slots, pass 2 runs the program (program.ts) of its protocol over them.
 */

import type { ByteBuffer } from '../byte-buffer.js';
import { StatusValue } from '../gen/tags.js';
import { isAddress, putAddress } from './address.js';
import type { FieldTable } from './fields.js';
import {
  DATE_TIME_BYTES,
  divideBillion,
  divided,
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
import { DocumentPlan, type EnumText, type Observer, Op, type Program, QUOTED } from './program.js';
import { Scanner } from './scanner.js';

export type { Observer } from './program.js';
export { MAX_ITEMS } from './scanner.js';

/** Most names and values of one KeyValue list that the document shows; those behind are left out. */
export const MAX_ENTRIES = 1024;
/** Most of the name of such an entry: Elasticsearch refuses a document whose `flattened` keys are over 32 KiB. */
export const MAX_NAME_BYTES = 4096;

const COMMA = 0x2c;
const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const LETTER_Z = 0x5a;
const SPAN_ID_BYTES = 8;
const encoder = new TextEncoder();
const TRUE = encoder.encode('true');
const FALSE = encoder.encode('false');
const REPLACEMENT = encoder.encode('\ufffd');

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
  private readonly programs: readonly Program[];
  private readonly statusSlot: number;
  private readonly scanner: Scanner;
  /** OPEN instructions that wait for their first value. */
  private readonly pending = new Int32Array(256);
  private pendingCount = 0;
  /** Names and values of one list: key start, key end, value start, value end. */
  private readonly entries = new Int32Array(MAX_ENTRIES * 4);
  private entryCount = 0;
  /** The output seen last, and a view of it. */
  private viewed: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(new ArrayBuffer(0));
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
    const plan = new DocumentPlan(observer);
    this.programs = plan.programs;
    this.statusSlot = plan.statusSlot;
    this.keyValue = plan.keyValue;
    this.scanner = new Scanner(plan);
  }

  /**
   * Appends the document of the record in [start, end) to `out`, without a line end. Answers false, and
   * leaves `out` as it was, for a record that is not well-formed wire format; unknown fields and fields
   * of an unexpected wire type are passed over.
   */
  write(record: Uint8Array, start: number, end: number, out: ByteBuffer): boolean {
    if (!(start >= 0 && start <= end && end <= record.length)) return false;
    const scanner = this.scanner;
    const serial = scanner.scanRecord(record, start, end);
    if (serial === 0) return false;
    const program = this.programs[scanner.arm];
    const slot = this.statusSlot;
    const status = scanner.stamp[slot] === serial ? scanner.low[slot] : StatusValue.UNSPECIFIED;
    this.isComplete = status === StatusValue.OK || status === StatusValue.ERROR;
    this.pendingCount = 0;
    this.isMalformed = false;
    this.budget = program.maxBytes + (end - start) * MAX_TEXT_GROWTH;
    const before = out.length;
    out.reserve(this.budget);
    const after = this.emit(program, record, before, serial, out);
    // The document is not a member: the comma behind it goes.
    out.length = this.isMalformed ? before : after - 1;
    return !this.isMalformed;
  }

  /** Runs a program; answers the position behind the last byte. */
  private emit(program: Program, src: Uint8Array, at: number, serial: number, out: ByteBuffer): number {
    const { op, slot: slots, constants } = program;
    const { stamp, low, high } = this.scanner;
    const pending = this.pending;
    let dst = out.bytes;
    let view = this.viewOf(dst);
    for (let i = 0; i < op.length; i++) {
      const code = op[i];
      if (code < Op.TEXT) {
        if (code === Op.RAW) {
          at = constants.put(view, at, i);
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
          at = this.putEntries(dst, view, at, src);
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
    for (let item = first; item !== -1 && !this.isMalformed; item = this.scanner.itemNext[item]) {
      const low = this.scanner.itemLow[item];
      const high = this.scanner.itemHigh[item];
      if (object !== undefined || code === Op.ENUM) {
        out.length = at;
        out.reserve(this.budget);
      }
      const dst = out.bytes;
      const view = this.viewOf(dst);
      if (object !== undefined) {
        dst[at++] = OPEN_BRACE;
        const serial = this.scanner.scanElement(object.table, src, low, high);
        if (serial !== 0) at = this.emit(object.program, src, at, serial, out);
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
    for (let item = first; item !== -1 && count < MAX_ENTRIES; item = this.scanner.itemNext[item]) {
      const at = count * 4;
      entries[at] = 0;
      entries[at + 1] = 0;
      entries[at + 2] = 0;
      entries[at + 3] = 0;
      if (!this.readEntry(src, this.scanner.itemLow[item], this.scanner.itemHigh[item], at)) {
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
    const { scanner } = this;
    const serial = scanner.scanElement(this.keyValue, src, at, end);
    if (serial === 0) return false;
    for (let k = 0; k < 2; k++) {
      const slot = this.keyValue.slot[k + 1];
      if (scanner.stamp[slot] !== serial) continue;
      entries[entry + 2 * k] = scanner.low[slot];
      entries[entry + 2 * k + 1] = scanner.high[slot];
    }
    return true;
  }

  /** Writes `entries` as an object of arrays, the values of one name together. */
  private putEntries(dst: Uint8Array, view: DataView, at: number, src: Uint8Array): number {
    const entries = this.entries;
    const end = this.entryCount * 4;
    for (let i = 0; i < end; i += 4) {
      const keyStart = entries[i];
      const keyEnd = entries[i + 1];
      // Written already, together with an earlier one of this name.
      if (keyEnd === 0) continue;
      dst[at++] = QUOTE;
      at = putName(dst, view, at, src, keyStart, Math.min(keyEnd, keyStart + MAX_NAME_BYTES));
      dst[at++] = QUOTE;
      dst[at++] = COLON;
      dst[at++] = OPEN_BRACKET;
      for (let j = i; j < end; j += 4) {
        if (entries[j + 1] - entries[j] !== keyEnd - keyStart) continue;
        if (j !== i && !isSame(src, keyStart, keyEnd, entries[j])) continue;
        dst[at++] = QUOTE;
        at = putText(dst, view, at, src, entries[j + 2], entries[j + 3]);
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
      at = putText(dst, view, at, src, low, high);
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

/** A key that was captured. NUL becomes U+FFFD: `flattened` keeps it for itself and refuses the document. */
function putName(
  dst: Uint8Array,
  view: DataView,
  at: number,
  src: Uint8Array,
  start: number,
  end: number,
): number {
  const behind = putText(dst, view, at, src, start, end);
  // Nothing was escaped.
  if (behind - at === end - start) return behind;
  for (let i = start; i < end; i++) {
    if (src[i] !== 0) continue;
    at = putText(dst, view, at, src, start, i);
    at = putBytes(dst, at, REPLACEMENT);
    start = i + 1;
  }
  return putText(dst, view, at, src, start, end);
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
