/** Writes what queries and responses say into the exchange of their transaction. */
import { DnsAnswerTag, DnsTag, StatusValue } from '@packetd/proto';
import {
  Class,
  className,
  EdnsOption,
  flagNames,
  flagNamesNoError,
  OPCODES,
  Opcode,
  rcodeName,
  Type,
  typeName,
} from './codes.js';
import { type AnswerSink, HEADER_BYTES, type Message, soaSerial, Walk } from './message.js';
import { u16, u32, writeRdata } from './rdata.js';
import { beginField, byte, decimal, endField, ipv4, ipv6, name } from './text.js';
import { Scope, type Transaction } from './transactions.js';

/** Answers that are recorded of one roundtrip; `answer_count` counts all of them. */
export const MAX_RECORDED_ANSWERS = 100;
/** No more answers are recorded once a record is this long. */
const MAX_RECORD_BYTES = 64 << 10;
/** CLASS of mDNS: the top bit asks for a unicast response, or flushes the cache (RFC 6762 sections 5.4, 10.2). */
const MULTICAST_BIT = 0x8000;

/** Address families of RFC 7871. */
const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** The request's part of a record. Sets the transaction's question, flags and options. */
export function writeQuery(entry: Transaction, message: Message): void {
  const exchange = entry.exchange!;
  const { detail, envelope } = exchange;
  writeQuestion(entry, message);
  if (message.opcode === Opcode.QUERY && message.hasQuestion) {
    envelope.constant(typeName(message.type).query);
  } else {
    envelope.constant(OPCODES[message.opcode].operation);
    if (message.hasQuestion) envelope.constant(typeName(message.type).target);
  }
  entry.queryFlags = message.flags;
  if (message.answers + message.authorities + message.additionals === 0) {
    entry.optSure = true;
    return;
  }
  entry.optSure = message.walk(null) === Walk.WHOLE;
  entry.querySerial = message.authoritySerial;
  if (message.optAt < 0) return;
  entry.hasOpt = true;
  entry.ednsVersion = message.ednsVersion;
  writeOpt(detail, message);
}

function writeQuestion(entry: Transaction, message: Message): void {
  const { detail } = entry.exchange!;
  detail.uintNonZero(DnsTag.id, message.id);
  if (!message.hasQuestion) {
    detail.constant(OPCODES[message.opcode].opcode);
    return;
  }
  const mark = beginField(detail, DnsTag.questionName);
  name(detail, message.bytes, message.start, message.end, message.nameAt);
  entry.nameLength = detail.length - mark;
  endField(detail, mark);
  entry.nameAt = detail.length - entry.nameLength;
  const type = typeName(message.type);
  if (message.opcode === Opcode.QUERY && message.class === Class.IN && message.questions === 1) {
    detail.constant(type.onlyQuestion);
    return;
  }
  detail.constant(OPCODES[message.opcode].opcode);
  detail.constant(type.question);
  detail.constant(className(message.class).question);
  detail.uint(DnsTag.questionCount, message.questions);
}

/**
 * One message of the response: its answers, and from the first one rcode, flags and status. Answers
 * whether all of it could be read.
 */
export function writeResponse(entry: Transaction, message: Message): boolean {
  const exchange = entry.exchange!;
  const { detail, envelope } = exchange;
  answers.entry = entry;
  const walk = message.walk(answers);
  entry.messages++;
  entry.answers += message.answers;
  entry.authorities += message.authorities;
  entry.additionals += message.additionals;
  if (entry.messages > 1) return walk !== Walk.BROKEN;
  if (!entry.hasOpt && message.optAt >= 0) writeOpt(detail, message);
  if (walk === Walk.WHOLE || message.optAt >= 0 || rcodeIsWhole(entry, message)) {
    if (message.rcode === 0) {
      detail.constant(flagNamesNoError(message.flags));
      exchange.status = StatusValue.OK;
    } else {
      const { rcode, errorType } = rcodeName(message.rcode);
      detail.constant(flagNames(message.flags));
      detail.constant(rcode);
      exchange.status = StatusValue.ERROR;
      envelope.constant(errorType);
    }
  } else {
    detail.constant(flagNames(message.flags));
    exchange.status = (message.flags & 15) === 0 ? StatusValue.OK : StatusValue.ERROR;
  }
  return walk !== Walk.BROKEN;
}

/** OPT was not seen: are the four bits of the header all of the rcode? */
function rcodeIsWhole(entry: Transaction, message: Message): boolean {
  // OPT stands in responses to queries that have it (RFC 6891 section 7), and extended rcodes have no answers.
  if (message.additionals === 0 || (entry.optSure && !entry.hasOpt)) return true;
  const low = message.flags & 15;
  if (low === 0) return message.answers > 0 || (entry.hasOpt && entry.ednsVersion === 0);
  return low > 7 || (low > 1 && low < 7);
}

/** What is known only at the end of a roundtrip: counts, and the query's flags where nothing came. */
export function writeEnd(entry: Transaction): void {
  const { detail } = entry.exchange!;
  if (entry.messages > 0) {
    detail.uint(DnsTag.answerCount, entry.answers);
    detail.uint(DnsTag.authorityCount, entry.authorities);
    detail.uint(DnsTag.additionalCount, entry.additionals);
  } else {
    detail.constant(flagNames(entry.queryFlags));
  }
  detail.uintNonZero(DnsTag.retransmits, entry.retransmits);
}

type Detail = NonNullable<Transaction['exchange']>['detail'];

/** ( OPTION-CODE 2 | OPTION-LENGTH 2 | OPTION-DATA )*, RFC 6891 section 6.1.2 */
function writeOpt(detail: Detail, message: Message): void {
  detail.uint(DnsTag.ednsUdpSize, message.udpSize);
  detail.bool(DnsTag.ednsDo, message.dnssecOk);
  const { bytes, optEnd } = message;
  let cookie = false;
  let subnet = false;
  for (let at = message.optAt; at + 4 <= optEnd; ) {
    const end = at + 4 + u16(bytes, at + 2);
    if (end > optEnd) break;
    const option = u16(bytes, at);
    if (option === EdnsOption.COOKIE) {
      cookie = true;
    } else if (option === EdnsOption.CLIENT_SUBNET && !subnet) {
      subnet = writeClientSubnet(detail, bytes, at + 4, end);
    }
    at = end;
  }
  if (cookie) detail.bool(DnsTag.cookie, true);
}

const address = new Uint8Array(16);

/**
 * FAMILY 2 | SOURCE PREFIX-LENGTH 1 | SCOPE PREFIX-LENGTH 1 | ADDRESS, cut to the prefix's bytes (RFC 7871
 * section 6), as address/prefix. False where it is not well-formed.
 */
function writeClientSubnet(detail: Detail, bytes: Uint8Array, from: number, end: number): boolean {
  if (end - from < 4) return false;
  const family = u16(bytes, from);
  const prefix = bytes[from + 2];
  const size = family === FAMILY_IPV4 ? 4 : family === FAMILY_IPV6 ? 16 : 0;
  const length = end - from - 4;
  if (prefix > size * 8 || size === 0 || length !== Math.ceil(prefix / 8)) return false;
  address.fill(0);
  for (let i = 0; i < length; i++) address[i] = bytes[from + 4 + i];
  const mark = beginField(detail, DnsTag.clientSubnet);
  if (size === 4) ipv4(detail, address, 0);
  else ipv6(detail, address, 0);
  byte(detail, 0x2f);
  decimal(detail, prefix);
  endField(detail, mark);
  return true;
}

/** Writes answers, and follows the SOAs of a zone transfer. */
class Answers implements AnswerSink {
  entry: Transaction | null = null;

  answer(message: Message, nameAt: number, fixedAt: number, rdataAt: number, rdataEnd: number): void {
    const entry = this.entry!;
    const { bytes } = message;
    const type = u16(bytes, fixedAt);
    if (entry.type === Type.AXFR || entry.type === Type.IXFR) {
      follow(entry, type, type === Type.SOA ? soaSerial(bytes, message.start, rdataAt, rdataEnd) : -1);
    }
    const { detail } = entry.exchange!;
    if (entry.recorded >= MAX_RECORDED_ANSWERS || detail.length > MAX_RECORD_BYTES) return;
    const before = detail.length;
    const mark = beginField(detail, DnsTag.answers);
    const ownerMark = beginField(detail, DnsAnswerTag.name);
    if (isQuestion(entry, message, nameAt)) {
      detail.raw(detail.bytes, entry.nameAt, entry.nameAt + entry.nameLength);
    } else if (name(detail, bytes, message.start, message.end, nameAt) < 0) {
      // The owner's pointers loop: there is no such record.
      detail.length = before;
      return;
    }
    endField(detail, ownerMark);
    const word = u16(bytes, fixedAt + 2);
    const code = entry.scope === Scope.BOTH ? word : word & ~MULTICAST_BIT;
    if (code === Class.IN) {
      detail.constant(typeName(type).answerIn);
    } else {
      detail.constant(typeName(type).answer);
      detail.constant(className(code).answer);
    }
    detail.uintNonZero(DnsAnswerTag.ttl, u32(bytes, fixedAt + 4));
    const dataMark = beginField(detail, DnsAnswerTag.data);
    writeRdata(detail, type, bytes, message.start, rdataAt, rdataEnd);
    const length = detail.length - dataMark;
    endField(detail, dataMark);
    const isAddress =
      (type === Type.A && rdataEnd - rdataAt === 4) || (type === Type.AAAA && rdataEnd - rdataAt === 16);
    endField(detail, mark);
    if (isAddress) detail.text(DnsTag.resolvedIp, detail.bytes, detail.length - length, detail.length);
    entry.recorded++;
  }
}

const answers = new Answers();

/** Most owners are a pointer to the question, whose name is written already, in the case of the query. */
function isQuestion(entry: Transaction, message: Message, nameAt: number): boolean {
  const { bytes } = message;
  return (
    bytes[nameAt] === 0xc0 &&
    bytes[nameAt + 1] === HEADER_BYTES &&
    entry.nameLength > 0 &&
    message.hasQuestion
  );
}

/**
 * A transfer ends with the SOA it began with (RFC 5936 section 2.2). In the differences of IXFR that
 * SOA stands once more, before the last additions (RFC 1995 section 4).
 */
function follow(entry: Transaction, type: number, serial: number): void {
  entry.transferred++;
  if (type !== Type.SOA) return;
  if (entry.transferred === 1) entry.serial = serial;
  else if (entry.transferred === 2 && serial !== entry.serial && entry.type === Type.IXFR)
    entry.soasWanted = 3;
  if (serial === entry.serial) entry.soas++;
}

/** Has the last message of the response come? `message` is the one just written. */
export function isAnswered(entry: Transaction, message: Message): boolean {
  if (entry.type !== Type.AXFR && entry.type !== Type.IXFR) return true;
  if (entry.transferred === 0 || entry.serial < 0 || message.rcode !== 0) return true;
  if (entry.soas >= entry.soasWanted) return true;
  // A single SOA that is not newer than the client's: its zone is up to date (RFC 1995 section 2).
  if (entry.type !== Type.IXFR || entry.transferred !== 1 || entry.querySerial < 0) return false;
  return ((entry.serial - entry.querySerial) | 0) <= 0;
}
