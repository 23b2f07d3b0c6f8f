/** Is it DNS? Asked by detection about datagrams, and about the first bytes of either side of a stream. */
import type { Packet } from '../../packet/packet.js';
import { type ProbeContext, Verdict } from '../decoder.js';
import { Flag } from './codes.js';
import { HEADER_BYTES, Message } from './message.js';
import { u16 } from './rdata.js';

const DNS_PORT = 53;
const MDNS_PORT = 5353;
const LLMNR_PORT = 5355;
/** NetBIOS name service: the same header, names of its own (RFC 1002). */
const NBNS_PORT = 137;

/** Length prefix of a message over TCP (RFC 1035 section 4.2.2). */
export const PREFIX_BYTES = 2;
/** Header and the shortest question. */
const MIN_MESSAGE_BYTES = HEADER_BYTES + 5;
/** Longer messages are recognised by this many bytes of them. */
const ENOUGH_BYTES = 4096;

const message = new Message();

/** mDNS or LLMNR, and not DNS. */
export function isMulticastPort(packet: Packet): boolean {
  const { sourcePort, destinationPort } = packet;
  if (sourcePort === DNS_PORT || destinationPort === DNS_PORT) return false;
  return (
    destinationPort === MDNS_PORT ||
    destinationPort === LLMNR_PORT ||
    sourcePort === MDNS_PORT ||
    sourcePort === LLMNR_PORT
  );
}

/** mDNS and LLMNR are not DNS here. */
export function probeDatagram(packet: Packet): Verdict {
  if (isMulticastPort(packet)) return Verdict.NO;
  const { bytes, payloadStart, payloadEnd, payloadLength, sourcePort, destinationPort } = packet;
  if (payloadEnd - payloadStart < HEADER_BYTES) return Verdict.NO;
  // On its own port the decoder says whether it is; it has to read the message anyway.
  if (sourcePort !== DNS_PORT && destinationPort !== DNS_PORT) {
    if (sourcePort === NBNS_PORT || destinationPort === NBNS_PORT) return Verdict.NO;
    const missing = payloadLength - (payloadEnd - payloadStart);
    if (!message.read(bytes, payloadStart, payloadEnd, missing)) return Verdict.NO;
    if (!message.plausible()) return Verdict.NO;
  }
  return (bytes[payloadStart + 2] & 0x80) === 0 ? Verdict.CLIENT : Verdict.SERVER;
}

/** The same with mDNS and LLMNR, whose messages may have no question. */
export function probeMulticast(packet: Packet): Verdict {
  if (!isMulticastPort(packet)) return probeDatagram(packet);
  const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
  const missing = payloadLength - (payloadEnd - payloadStart);
  if (!message.read(bytes, payloadStart, payloadEnd, missing) || message.opcode !== 0) return Verdict.NO;
  if (message.questions === 0 && message.answers === 0) return Verdict.NO;
  return message.isResponse ? Verdict.SERVER : Verdict.CLIENT;
}

/** LENGTH 2 | message; more messages may follow. */
export function probe(bytes: Uint8Array, start: number, end: number, _context: ProbeContext): Verdict {
  const have = end - start;
  if (have === 0) return Verdict.MORE;
  if (have < PREFIX_BYTES) return Verdict.MORE;
  const length = u16(bytes, start);
  if (length < MIN_MESSAGE_BYTES) return Verdict.NO;
  const from = start + PREFIX_BYTES;
  if (!plausibleHeader(bytes, from, end, length)) return Verdict.NO;
  const missing = length - (have - PREFIX_BYTES);
  if (missing > 0 && have < ENOUGH_BYTES) return Verdict.MORE;
  if (!message.read(bytes, from, Math.min(end, from + length), Math.max(missing, 0))) return Verdict.NO;
  if (!message.plausible()) return Verdict.NO;
  return message.isResponse ? Verdict.SERVER : Verdict.CLIENT;
}

/**
 * Could [from, end) be the start of a message of `length` bytes with one question? Says so of as many
 * bytes as there are.
 */
export function plausibleHeader(bytes: Uint8Array, from: number, end: number, length: number): boolean {
  if (from + 4 <= end) {
    const flags = u16(bytes, from + 2);
    const opcode = (flags >> 11) & 15;
    if ((flags & Flag.Z) !== 0 || opcode === 3 || opcode > 5 || (flags & 15) > 11) return false;
    if ((flags & Flag.QR) === 0 && opcode === 0 && (flags & 0x060f) !== 0) return false;
  }
  if (from + 6 <= end && u16(bytes, from + 4) !== 1) return false;
  if (from + HEADER_BYTES > end) return true;
  const records = u16(bytes, from + 6) + u16(bytes, from + 8) + u16(bytes, from + 10);
  if (MIN_MESSAGE_BYTES + records * 11 > length) return false;
  // The labels of the question: their lengths, as far as they are there.
  let at = from + HEADER_BYTES;
  while (at < end && bytes[at] !== 0) {
    if (bytes[at] > 63 || at - from > length) return false;
    at += bytes[at] + 1;
  }
  return true;
}
