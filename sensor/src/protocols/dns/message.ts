/** A message's header, question and records (RFC 1035 section 4.1), read in place and written into an exchange. */
import { DnsAnswerTag, DnsTag } from '@packetd/proto';
import type { Exchange } from '../exchange.js';
import {
  className,
  EdnsOption,
  FLAG_FIELDS,
  Flag,
  isKnownType,
  OPCODES,
  rcodeName,
  Type,
  typeName,
} from './codes.js';
import { uint16, uint32, writeData } from './rdata.js';
import { beginField, decimal, endField, ipv4, ipv6, name, skipName } from './text.js';

export const HEADER_BYTES = 12;
/** Type and class. */
const QUESTION_BYTES = 4;
/** Type, class, time to live, length of the data. */
const RECORD_BYTES = 10;
/** Answers recorded of one response; the count says how many there were. */
const MAX_ANSWERS = 64;
/** Records looked at in one message. */
const MAX_RECORDS = 4096;
const NO_ERROR = 0;

export class Message {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  id = 0;
  flags = 0;
  questions = 0;
  answers = 0;
  authorities = 0;
  additionals = 0;
  type = 0;
  class = 0;
  /** Two hashes of name (in lower case), type and class of the question; 0 where there is none. */
  hash0 = 0;
  hash1 = 0;
  /** Where the records begin; -1 where the question cannot be read. */
  records = 0;

  /** Reads header and first question of [start, end); false where that is no message. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start < HEADER_BYTES) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.id = uint16(bytes, start);
    this.flags = uint16(bytes, start + 2);
    this.questions = uint16(bytes, start + 4);
    this.answers = uint16(bytes, start + 6);
    this.authorities = uint16(bytes, start + 8);
    this.additionals = uint16(bytes, start + 10);
    this.hash0 = 0;
    this.hash1 = 0;
    this.type = 0;
    this.class = 0;
    let at = start + HEADER_BYTES;
    for (let i = 0; i < this.questions; i++) {
      const from = at;
      at = skipName(bytes, start, end, at);
      if (at < 0 || at + QUESTION_BYTES > end || i > 16) {
        this.records = -1;
        return i > 0;
      }
      if (i === 0) {
        this.type = uint16(bytes, at);
        this.class = uint16(bytes, at + 2);
        this.hashQuestion(from, at);
      }
      at += QUESTION_BYTES;
    }
    this.records = at;
    return true;
  }

  get isResponse(): boolean {
    return (this.flags & Flag.QR) !== 0;
  }

  get opcode(): number {
    return (this.flags >> 11) & 15;
  }

  /** Only as strict as a response must be that answers a query of ours. */
  get plausible(): boolean {
    return this.opcode <= 6 && this.opcode !== 3;
  }

  /**
   * The whole is a message of known types, to its last byte or with bytes to spare: what detection asks
   * for on any port.
   */
  strict(toSpare = false): boolean {
    const { bytes, end, flags } = this;
    if (!this.plausible || (flags & Flag.Z) !== 0 || this.questions !== 1 || this.records < 0) return false;
    if (
      !isKnownType(this.type) ||
      !isKnownClass(this.class) ||
      !hostLike(bytes, this.start + HEADER_BYTES, end)
    )
      return false;
    if (!this.isResponse && (this.answers > 0 || this.additionals > 2 || (flags & 0x0f) !== 0)) return false;
    if (this.answers + this.authorities + this.additionals > 512) return false;
    const last = this.skipRecords();
    return last === end || (toSpare && last > 0);
  }

  /** Position behind the last record, or -1. */
  private skipRecords(): number {
    const { bytes, start, end } = this;
    let at = this.records;
    for (let n = Math.min(this.answers + this.authorities + this.additionals, MAX_RECORDS); n > 0; n--) {
      at = skipName(bytes, start, end, at);
      if (at < 0 || at + RECORD_BYTES > end) return -1;
      at += RECORD_BYTES + uint16(bytes, at + 8);
      if (at > end) return -1;
    }
    return at;
  }

  /** Letters of either case are one: queries mix them on purpose. */
  private hashQuestion(from: number, to: number): void {
    const { bytes } = this;
    let h0 = 0x811c9dc5 ^ this.type;
    let h1 = 0x1000193 ^ this.class;
    for (let i = from; i < to; i++) {
      const byte = bytes[i];
      const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
      h0 = Math.imul(h0 ^ lower, 0x01000193);
      h1 = Math.imul(h1 + lower, 0x85ebca6b) ^ (h1 >>> 13);
    }
    this.hash0 = h0 >>> 0;
    this.hash1 = h1 >>> 0;
  }

  /** What the query says. */
  writeQuery(exchange: Exchange): void {
    const { bytes, start, end } = this;
    const { detail, envelope } = exchange;
    const opcode = OPCODES[this.opcode];
    envelope.raw(opcode.operation);
    detail.uintNonZero(DnsTag.id, this.id);
    detail.raw(opcode.opcode);
    detail.uintNonZero(DnsTag.questionCount, this.questions);
    if (this.questions > 0) {
      const mark = beginField(detail, DnsTag.questionName);
      const before = mark;
      if (name(detail, bytes, start, end, start + HEADER_BYTES) < 0) detail.length = before - 2;
      else endField(detail, mark);
      const type = typeName(this.type);
      detail.raw(type.question);
      detail.raw(className(this.class & 0x7fff).question);
      envelope.raw(type.target);
    }
    if (this.additionals > 0 && this.answers + this.authorities === 0) this.writeEdns(exchange);
  }

  writeFlags(exchange: Exchange, flags: number): void {
    for (const { bit, field } of FLAG_FIELDS) if ((flags & bit) !== 0) exchange.detail.raw(field);
  }

  /** What the response says; answers its rcode with the bits of EDNS. */
  writeResponse(exchange: Exchange): number {
    const { detail } = exchange;
    this.writeFlags(exchange, this.flags);
    let rcode = this.flags & 15;
    if (this.records >= 0) rcode |= this.writeRecords(exchange) << 4;
    const named = rcodeName(rcode);
    detail.raw(named.rcode);
    if (rcode !== NO_ERROR) exchange.envelope.raw(named.errorType);
    detail.uint(DnsTag.answerCount, this.answers);
    detail.uint(DnsTag.authorityCount, this.authorities);
    detail.uint(DnsTag.additionalCount, this.additionals);
    return rcode;
  }

  /** Last record of the answer section is an SOA: a zone transfer may be over (RFC 5936 section 2.2). */
  endsWithSoa(): boolean {
    const { bytes, start, end } = this;
    if (this.records < 0) return true;
    let at = this.records;
    let type = 0;
    for (let n = Math.min(this.answers, MAX_RECORDS); n > 0; n--) {
      at = skipName(bytes, start, end, at);
      if (at < 0 || at + RECORD_BYTES > end) return true;
      type = uint16(bytes, at);
      at += RECORD_BYTES + uint16(bytes, at + 8);
      if (at > end) return true;
    }
    return type === Type.SOA;
  }

  /** The answers, and the upper bits of the rcode from OPT. */
  private writeRecords(exchange: Exchange): number {
    const { bytes, start, end } = this;
    const { detail } = exchange;
    // Of the others only OPT is read.
    const read = this.additionals > 0 ? this.answers + this.authorities + this.additionals : this.answers;
    const count = Math.min(read, MAX_RECORDS);
    const firstAdditional = this.answers + this.authorities;
    let at = this.records;
    let upper = 0;
    for (let i = 0; i < count; i++) {
      const owner = at;
      at = skipName(bytes, start, end, at);
      if (at < 0 || at + RECORD_BYTES > end) break;
      const fixed = at;
      const type = uint16(bytes, fixed);
      const from = fixed + RECORD_BYTES;
      at = from + uint16(bytes, fixed + 8);
      if (at > end) break;
      if (i < this.answers) {
        if (i < MAX_ANSWERS) this.writeAnswer(exchange, owner, fixed, type, from, at);
      } else if (i >= firstAdditional && type === Type.OPT) upper = bytes[fixed + 4];
    }
    // All addresses, in a field of their own.
    at = this.records;
    for (let i = 0; i < Math.min(this.answers, MAX_ANSWERS); i++) {
      at = skipName(bytes, start, end, at);
      if (at < 0 || at + RECORD_BYTES > end) break;
      const type = uint16(bytes, at);
      const from = at + RECORD_BYTES;
      const length = uint16(bytes, at + 8);
      at = from + length;
      if (at > end) break;
      const isAddress = (type === Type.A && length === 4) || (type === Type.AAAA && length === 16);
      if (!isAddress) continue;
      const mark = beginField(detail, DnsTag.resolvedIp);
      if (type === Type.A) ipv4(detail, bytes, from);
      else ipv6(detail, bytes, from);
      endField(detail, mark);
    }
    return upper;
  }

  private writeAnswer(
    exchange: Exchange,
    owner: number,
    fixed: number,
    type: number,
    from: number,
    to: number,
  ): void {
    const { bytes, start, end } = this;
    const { detail } = exchange;
    const before = detail.length;
    const answer = beginField(detail, DnsTag.answers);
    let mark = beginField(detail, DnsAnswerTag.name);
    if (name(detail, bytes, start, end, owner) < 0) {
      detail.length = before;
      return;
    }
    endField(detail, mark);
    detail.raw(typeName(type).answer);
    // The top bit is mDNS' cache-flush (RFC 6762 section 10.2).
    detail.raw(className(uint16(bytes, fixed + 2) & 0x7fff).answer);
    detail.uintNonZero(DnsAnswerTag.ttl, uint32(bytes, fixed + 4));
    mark = beginField(detail, DnsAnswerTag.data);
    writeData(detail, type, bytes, start, end, from, to);
    endField(detail, mark);
    endField(detail, answer);
  }

  /** OPT of a query (RFC 6891): it is among the additional records, most of the time the first. */
  private writeEdns(exchange: Exchange): void {
    const { bytes, start, end } = this;
    const { detail } = exchange;
    let at = this.records;
    for (let n = Math.min(this.additionals, 16); n > 0 && at >= 0; n--) {
      at = skipName(bytes, start, end, at);
      if (at < 0 || at + RECORD_BYTES > end) return;
      const fixed = at;
      at = fixed + RECORD_BYTES + uint16(bytes, fixed + 8);
      if (uint16(bytes, fixed) !== Type.OPT) continue;
      detail.uint(DnsTag.ednsUdpSize, uint16(bytes, fixed + 2));
      detail.bool(DnsTag.ednsDo, (bytes[fixed + 6] & 0x80) !== 0);
      const stop = Math.min(at, end);
      for (let option = fixed + RECORD_BYTES; option + 4 <= stop; ) {
        const code = uint16(bytes, option);
        const data = option + 4;
        option = data + uint16(bytes, option + 2);
        if (option > stop) return;
        if (code === EdnsOption.COOKIE) detail.bool(DnsTag.cookie, true);
        else if (code === EdnsOption.CLIENT_SUBNET) writeSubnet(exchange, bytes, data, option);
      }
      return;
    }
  }
}

const scratch = new Uint8Array(16);
const IPV4_FAMILY = 1;
const IPV6_FAMILY = 2;

/** RFC 7871 section 6: family (2), source prefix (1), scope (1), as much of the address as the prefix needs. */
function writeSubnet(exchange: Exchange, bytes: Uint8Array, from: number, to: number): void {
  if (to - from < 4) return;
  const family = uint16(bytes, from);
  const size = family === IPV4_FAMILY ? 4 : family === IPV6_FAMILY ? 16 : 0;
  if (size === 0 || to - from - 4 > size) return;
  scratch.fill(0);
  scratch.set(bytes.subarray(from + 4, to));
  const { detail } = exchange;
  const mark = beginField(detail, DnsTag.clientSubnet);
  if (size === 4) ipv4(detail, scratch, 0);
  else ipv6(detail, scratch, 0);
  detail.reserve(1);
  detail.bytes[detail.length++] = 0x2f;
  decimal(detail, bytes[from + 2]);
  endField(detail, mark);
}

function isKnownClass(value: number): boolean {
  return value === 1 || value === 3 || value === 4 || value === 254 || value === 255;
}

/** The question's labels are of letters, digits, `-` and `_`, as those of services are. */
function hostLike(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const stop = at + 1 + bytes[at];
    if (bytes[at] > 63 || stop > end) return false;
    for (at++; at < stop; at++) {
      const byte = bytes[at];
      const letter = byte | 0x20;
      const plain = (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
      if (!plain && byte !== 0x2d && byte !== 0x5f && byte !== 0x2a) return false;
    }
  }
  return at < end;
}
