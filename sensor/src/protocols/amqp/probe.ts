/** Is it AMQP? By the protocol header, by Connection.Start, or by whole frames that end in 0xCE. */
import { type ProbeContext, Verdict } from '../decoder.js';
import {
  FRAME_END,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_FRAME_BYTES,
  methodAt,
  PROTOCOL_HEADER_BYTES,
  Sender,
  uint16,
  uint32,
} from './wire.js';

const PORT = 5672;
const MAGIC = [0x41, 0x4d, 0x51, 0x50];

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  if (bytes[start] === MAGIC[0]) return probeHeader(bytes, start, end);
  let at = start;
  let frames = 0;
  while (at < end) {
    const whole = frameAt(bytes, at, end);
    if (whole < 0) return Verdict.NO;
    if (whole === 0) break;
    if (bytes[at] === FrameType.METHOD) {
      const method = methodAt(bytes, at + FRAME_HEADER_BYTES);
      if (method === undefined) return Verdict.NO;
      if (method.sender === Sender.CLIENT) return Verdict.CLIENT;
      if (method.sender === Sender.SERVER) return Verdict.SERVER;
    }
    frames++;
    at += whole;
  }
  if (frames === 0) return Verdict.MORE;
  // Acks, closes and heartbeats come from either side: only the port tells.
  if (context.destinationPort === PORT) return Verdict.CLIENT;
  if (context.sourcePort === PORT) return Verdict.SERVER;
  return Verdict.MORE;
}

/** `AMQP`, then the version: 0-9-1, or one that is recognised only. */
function probeHeader(bytes: Uint8Array, start: number, end: number): Verdict {
  for (let i = 0; i < 4; i++) {
    if (start + i >= end) return Verdict.MORE;
    if (bytes[start + i] !== MAGIC[i]) return Verdict.NO;
  }
  if (end - start < PROTOCOL_HEADER_BYTES) return Verdict.MORE;
  for (let i = 4; i < PROTOCOL_HEADER_BYTES; i++) if (bytes[start + i] > 10) return Verdict.NO;
  return Verdict.CLIENT;
}

/** Length of the whole frame at `at`, 0 where more bytes are needed, -1 where it is none. */
function frameAt(bytes: Uint8Array, at: number, end: number): number {
  const type = bytes[at];
  if (type !== FrameType.METHOD && type !== FrameType.HEADER && type !== FrameType.BODY) {
    if (type !== FrameType.HEARTBEAT) return -1;
  }
  if (end - at < FRAME_HEADER_BYTES) return 0;
  const channel = uint16(bytes, at + 1);
  const size = uint32(bytes, at + 3);
  if (size > MAX_FRAME_BYTES) return -1;
  if (type === FrameType.HEARTBEAT ? size !== 0 || channel !== 0 : size === 0) return -1;
  if (type === FrameType.METHOD) {
    if (size < 4) return -1;
    if (end - at >= FRAME_HEADER_BYTES + 4 && methodAt(bytes, at + FRAME_HEADER_BYTES) === undefined)
      return -1;
  }
  if (type === FrameType.HEADER && size < 14) return -1;
  const last = at + FRAME_HEADER_BYTES + size;
  if (last >= end) return 0;
  return bytes[last] === FRAME_END ? FRAME_HEADER_BYTES + size + 1 : -1;
}
