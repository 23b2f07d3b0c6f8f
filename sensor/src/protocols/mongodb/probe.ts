/** Is it MongoDB? By the header of the first message, and by what follows it. */
import { type ProbeContext, Verdict } from '../decoder.js';
import {
  Bson,
  COMPRESSED_BYTES,
  COMPRESSORS,
  HEADER_BYTES,
  int32,
  MAX_MESSAGE_BYTES,
  MIN_DOCUMENT_BYTES,
  MsgFlag,
  OPCODE_NAMES,
  Opcode,
  REPLY_BYTES,
  REQUIRED_FLAGS,
} from './wire.js';

/** Header, flags, kind, length of the document, type and first letter of its first key. */
const DECISIVE_BYTES = HEADER_BYTES + 4 + 1 + 4 + 2;

export function probe(bytes: Uint8Array, start: number, end: number, _context: ProbeContext): Verdict {
  const have = end - start;
  if (have >= 4) {
    const length = int32(bytes, start);
    if (length < HEADER_BYTES + MIN_DOCUMENT_BYTES || length > MAX_MESSAGE_BYTES) return Verdict.NO;
  }
  if (have < HEADER_BYTES) return Verdict.MORE;
  const opcode = int32(bytes, start + 12);
  if (!OPCODE_NAMES.has(opcode)) return Verdict.NO;
  if (have < Math.min(DECISIVE_BYTES, int32(bytes, start))) return Verdict.MORE;
  if (!looksLikeMessage(bytes, start, end)) return Verdict.NO;
  const responseTo = int32(bytes, start + 8);
  if (opcode === Opcode.REPLY || opcode === Opcode.COMMAND_REPLY) return Verdict.SERVER;
  if (opcode !== Opcode.MSG && opcode !== Opcode.COMPRESSED) return Verdict.CLIENT;
  return answersNothing(responseTo) ? Verdict.CLIENT : Verdict.SERVER;
}

/** The responseTo of a request; some clients say -1. */
export function answersNothing(responseTo: number): boolean {
  return responseTo === 0 || responseTo === -1;
}

/** A message's header at `at`, and a body that begins as its opcode says. At least DECISIVE_BYTES, or the whole, are there. */
export function looksLikeMessage(bytes: Uint8Array, at: number, end: number): boolean {
  const length = int32(bytes, at);
  const opcode = int32(bytes, at + 12);
  const body = at + HEADER_BYTES;
  const rest = length - HEADER_BYTES;
  if (length > MAX_MESSAGE_BYTES) return false;
  switch (opcode) {
    case Opcode.MSG: {
      if (rest < 4 + 1 + MIN_DOCUMENT_BYTES) return false;
      const flags = int32(bytes, body);
      if ((flags & REQUIRED_FLAGS & ~(MsgFlag.CHECKSUM | MsgFlag.MORE_TO_COME)) !== 0) return false;
      if (flags >>> 17 !== 0) return false;
      const kind = bytes[body + 4];
      if (kind === 1) return int32(bytes, body + 5) <= rest - 5 && int32(bytes, body + 5) > 4;
      return kind === 0 && document(bytes, body + 5, rest - 5, end);
    }
    case Opcode.COMPRESSED: {
      if (rest < COMPRESSED_BYTES) return false;
      const inner = int32(bytes, body);
      const size = int32(bytes, body + 4);
      return (
        OPCODE_NAMES.has(inner) &&
        inner !== Opcode.COMPRESSED &&
        size >= MIN_DOCUMENT_BYTES &&
        size <= MAX_MESSAGE_BYTES &&
        bytes[body + 8] < COMPRESSORS.length
      );
    }
    case Opcode.REPLY: {
      if (rest < REPLY_BYTES) return false;
      const flags = int32(bytes, body);
      if (flags >>> 4 !== 0) return false;
      const documents = body + 16 < end ? bytes[body + 16] : 1;
      return rest > REPLY_BYTES || documents === 0;
    }
    case Opcode.QUERY:
    case Opcode.INSERT:
    case Opcode.UPDATE:
    case Opcode.DELETE:
    case Opcode.GET_MORE:
      return rest > 4 + 2 && isNameByte(bytes[body + 4]) && isNameByte(bytes[body + 5]);
    case Opcode.KILL_CURSORS:
      return int32(bytes, body) === 0 && rest === 8 + int32(bytes, body + 4) * 8;
    case Opcode.COMMAND:
      return rest > 8 && isNameByte(bytes[body]) && isNameByte(bytes[body + 1]);
    case Opcode.COMMAND_REPLY:
      return document(bytes, body, rest, end);
    default:
      return false;
  }
}

/** A document of at most `room` bytes begins at `at`. */
function document(bytes: Uint8Array, at: number, room: number, end: number): boolean {
  const length = int32(bytes, at);
  if (length < MIN_DOCUMENT_BYTES || length > room) return false;
  if (length === MIN_DOCUMENT_BYTES) return true;
  if (at + 5 >= end) return true;
  const type = bytes[at + 4];
  const known = (type > 0 && type <= Bson.DECIMAL128) || type === Bson.MAX_KEY || type === Bson.MIN_KEY;
  return known && isNameByte(bytes[at + 5]);
}

function isNameByte(byte: number): boolean {
  return byte > 0x20 && byte !== 0x7f;
}
