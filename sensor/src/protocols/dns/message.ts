/**
 * A DNS message (RFC 1035 section 4): header and question are read into one reused object, the
 * records behind them are walked over.
 *
 *   header 12: ID | QR OPCODE AA TC RD RA Z AD CD RCODE | QDCOUNT | ANCOUNT | NSCOUNT | ARCOUNT
 *   question:  QNAME | QTYPE 2 | QCLASS 2
 *   record:    NAME | TYPE 2 | CLASS 2 | TTL 4 | RDLENGTH 2 | RDATA
 */
import { Class, Flag, isKnownType, Opcode, Type } from './codes.js';
import { u16, u32 } from './rdata.js';
import { skipName } from './text.js';

export const HEADER_BYTES = 12;
/** Root name, type and class. */
const MIN_QUESTION_BYTES = 5;
/** Root name, type, class, TTL and length of no data. */
const MIN_RECORD_BYTES = 11;
const RECORD_HEADER_BYTES = 10;

/** How a walk over records ended. */
export const Walk = {
  /** Every record of every section is whole. */
  WHOLE: 0,
  /** The bytes end before the message does, which is well-formed as far as they go. */
  CUT: 1,
  BROKEN: 2,
} as const;
export type Walk = (typeof Walk)[keyof typeof Walk];

/** Bit of the TTL of OPT: DNSSEC answers are wanted (RFC 6891 section 6.1.4). */
const DNSSEC_OK = 0x8000;

/** Receives the records of the answer section. */
export interface AnswerSink {
  answer(message: Message, nameAt: number, fixedAt: number, rdataAt: number, rdataEnd: number): void;
}

export class Message {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** Bytes behind `end` that the message had on the wire but the capture has not. */
  missing = 0;
  id = 0;
  flags = 0;
  opcode = 0;
  /** 12 bits once OPT was walked over. */
  rcode = 0;
  questions = 0;
  answers = 0;
  authorities = 0;
  additionals = 0;
  /** First question: its name bytes[nameAt, nameEnd), never compressed, its type and class. */
  hasQuestion = false;
  nameAt = 0;
  nameEnd = 0;
  type = 0;
  class = 0;
  recordsAt = 0;
  /** OPT, after `walk`; `optAt` is where its RDATA starts, -1 without one. */
  optAt = -1;
  optEnd = 0;
  udpSize = 0;
  ednsVersion = 0;
  dnssecOk = false;
  /** Serial of the first SOA in the authority section (the client's zone in IXFR, RFC 1995 section 3), -1 without one. */
  authoritySerial = -1;
  /** Where the walk stopped. */
  at = 0;

  get isResponse(): boolean {
    return (this.flags & Flag.QR) !== 0;
  }

  /**
   * Reads header and questions of bytes[start, end), which lack `missing` bytes at their end. False
   * where they are not those of a DNS message, or not whole.
   */
  read(bytes: Uint8Array, start: number, end: number, missing: number): boolean {
    if (end - start < HEADER_BYTES) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.missing = missing;
    this.id = u16(bytes, start);
    const flags = u16(bytes, start + 2);
    this.flags = flags;
    this.opcode = (flags >> 11) & 15;
    this.rcode = flags & 15;
    this.questions = u16(bytes, start + 4);
    this.answers = u16(bytes, start + 6);
    this.authorities = u16(bytes, start + 8);
    this.additionals = u16(bytes, start + 10);
    this.optAt = -1;
    this.authoritySerial = -1;
    this.hasQuestion = false;
    this.type = 0;
    this.class = 0;
    if (this.opcode === 3 || this.opcode > Opcode.DSO) return false;
    const records = this.answers + this.authorities + this.additionals;
    const least = HEADER_BYTES + this.questions * MIN_QUESTION_BYTES + records * MIN_RECORD_BYTES;
    if (least > end - start + missing) return false;
    if (this.questions === 0) {
      this.recordsAt = start + HEADER_BYTES;
      return true;
    }
    const first = start + HEADER_BYTES;
    let at = skipName(bytes, start, end, first);
    if (at < 0 || at + 4 > end) return false;
    this.hasQuestion = true;
    this.nameAt = first;
    this.nameEnd = at;
    this.type = u16(bytes, at);
    this.class = u16(bytes, at + 2);
    at += 4;
    for (let i = 1; i < this.questions; i++) {
      at = skipName(bytes, start, end, at);
      if (at < 0 || at + 4 > end) return false;
      at += 4;
    }
    this.recordsAt = at;
    return true;
  }

  /** Walks over all records, hands those of the answer section to `sink`, and reads OPT. */
  walk(sink: AnswerSink | null): Walk {
    const { bytes, start, end } = this;
    const authority = this.answers;
    const additional = authority + this.authorities;
    const count = additional + this.additionals;
    const short = this.missing > 0 ? Walk.CUT : Walk.BROKEN;
    let at = this.recordsAt;
    for (let i = 0; i < count; i++) {
      this.at = at;
      const fixed = skipName(bytes, start, end, at);
      if (fixed < 0) return short;
      const rdata = fixed + RECORD_HEADER_BYTES;
      if (rdata > end) return short;
      const next = rdata + u16(bytes, fixed + 8);
      if (next > end) return next > end + this.missing ? Walk.BROKEN : short;
      if (i < authority) {
        if (sink !== null) sink.answer(this, at, fixed, rdata, next);
      } else {
        const type = u16(bytes, fixed);
        if (i >= additional) {
          if (type === Type.OPT && this.optAt < 0) this.opt(fixed, rdata, next);
        } else if (type === Type.SOA && this.authoritySerial < 0) {
          this.authoritySerial = soaSerial(bytes, start, rdata, next);
        }
      }
      at = next;
    }
    this.at = at;
    return Walk.WHOLE;
  }

  /** RFC 6891 section 6.1: CLASS is the payload size, TTL is EXTENDED-RCODE 1 | VERSION 1 | DO and Z 2. */
  private opt(fixed: number, rdata: number, end: number): void {
    const { bytes } = this;
    this.optAt = rdata;
    this.optEnd = end;
    this.udpSize = u16(bytes, fixed + 2);
    this.rcode |= bytes[fixed + 4] << 4;
    this.ednsVersion = bytes[fixed + 5];
    this.dnssecOk = (u16(bytes, fixed + 6) & DNSSEC_OK) !== 0;
  }

  /**
   * A query without a question: of an opcode that has none, or one that only brings EDNS options
   * (RFC 7873 section 5.4). With nothing else to go by, all of it has to be well-formed.
   */
  plausibleWithoutQuestion(): boolean {
    const records = this.answers + this.authorities + this.additionals;
    switch (this.opcode) {
      case Opcode.QUERY:
        return records === 1 && this.walk(null) === Walk.WHOLE && this.optAt >= 0;
      case Opcode.IQUERY:
        return this.answers === 1 && this.walk(null) === Walk.WHOLE;
      case Opcode.STATUS:
      case Opcode.DSO:
        return records === 0 && this.missing === 0;
      default:
        return false;
    }
  }

  /**
   * Is it DNS beyond doubt, by its content alone? Call after `read`: everything that may vary has a
   * value in use, and the message ends where its last record does (or is cut).
   */
  plausible(): boolean {
    if ((this.flags & Flag.Z) !== 0 || (this.flags & 15) > 11) return false;
    // DSO has its own layout behind the header (RFC 8490), of which nothing can be checked here.
    if (this.questions !== 1 || this.opcode === Opcode.DSO) return false;
    const known =
      this.class === Class.IN ||
      this.class === Class.CH ||
      this.class === Class.HS ||
      this.class === Class.NONE ||
      this.class === Class.ANY;
    if (!known || !isKnownType(this.type)) return false;
    if (!this.isResponse) {
      if ((this.flags & 15) !== 0 || (this.flags & (Flag.AA | Flag.TC | Flag.RA)) !== 0) {
        if (this.opcode === Opcode.QUERY) return false;
      }
      if (this.opcode === Opcode.QUERY && this.answers > 0) return false;
    }
    const walk = this.walk(null);
    return walk === Walk.CUT || (walk === Walk.WHOLE && (this.at === this.end || this.isMarked()));
  }

  /** Windows ends its requests for zone transfers with `MS` behind the message. */
  private isMarked(): boolean {
    const { bytes, at, end } = this;
    return this.type === Type.AXFR && end - at === 2 && bytes[at] === 0x4d && bytes[at + 1] === 0x53;
  }
}

/** Serial of SOA RDATA [from, end), or -1. */
export function soaSerial(bytes: Uint8Array, start: number, from: number, end: number): number {
  let at = skipName(bytes, start, end, from);
  if (at >= 0) at = skipName(bytes, start, end, at);
  return at >= 0 && at + 20 === end ? u32(bytes, at) : -1;
}
