/**
 * Reads the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) of one record into slots of
 * typed arrays: pass 1 of the document writer, and what metrics read. Never reads outside of the range it is given.
 */

import { type FieldTable, grown, Read } from './fields.js';
import type { RecordPlan } from './plan.js';

/** Most elements of all repeated fields of one record; a record with more is malformed. */
export const MAX_ITEMS = 65_536;

export class Scanner {
  /** A slot is filled when its stamp is the serial of the message being written. */
  readonly stamp: Int32Array;
  /** By slot: start of bytes, low half of a number, or first item of a list. */
  readonly low: Int32Array;
  /** By slot: end of bytes, high half of a number, or last item of a list. */
  readonly high: Int32Array;
  /** Elements of lists, chained; -1 ends a chain. */
  itemLow = new Int32Array(64);
  itemHigh = new Int32Array(64);
  itemNext = new Int32Array(64);
  /** Arm of the `detail` of the record scanned last; their number when it has none. */
  arm: number;

  private serial = 0;
  private items = 0;
  private readonly noArm: number;
  private readonly record: FieldTable;
  private readonly armSlots: readonly { readonly first: number; readonly end: number }[];
  /** Result of `varint`. */
  private varintLow = 0;
  private varintHigh = 0;

  constructor(plan: RecordPlan) {
    this.record = plan.record;
    this.armSlots = plan.armSlots;
    this.noArm = plan.armSlots.length;
    this.arm = this.noArm;
    this.stamp = new Int32Array(plan.slots);
    this.low = new Int32Array(plan.slots);
    this.high = new Int32Array(plan.slots);
  }

  /** Reads a whole record; answers its serial, or 0 when it is not well-formed. */
  scanRecord(src: Uint8Array, start: number, end: number): number {
    if (this.serial > 0x7000_0000) {
      this.stamp.fill(0);
      this.serial = 0;
    }
    this.items = 0;
    this.arm = this.noArm;
    const serial = ++this.serial;
    return this.scan(this.record, src, start, end, serial) ? serial : 0;
  }

  /** Reads a message inside a list; answers its serial, or 0 when it is not well-formed. */
  scanElement(table: FieldTable, src: Uint8Array, start: number, end: number): number {
    const serial = ++this.serial;
    return this.scan(table, src, start, end, serial) ? serial : 0;
  }

  /**
   * Reads the message in [at, end) into the slots of `table`, marked with `serial`. Answers false when it is
   * not well-formed.
   */
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
      if (this.arm !== this.noArm) {
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
}

function word(src: Uint8Array, at: number): number {
  return src[at] | (src[at + 1] << 8) | (src[at + 2] << 16) | (src[at + 3] << 24);
}
