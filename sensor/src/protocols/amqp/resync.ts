/** Finds the next frame after bytes were lost. */
import { Direction } from '../decoder.js';
import { FRAME_END, FRAME_HEADER_BYTES, FrameType, methodAt, Sender, uint16, uint32 } from './wire.js';

/** A method frame longer than this is not waited for while looking for a boundary. */
const MAX_BOUNDARY_FRAME_BYTES = 16 << 10;

/**
 * Position of the first whole method, header or heartbeat frame in [start, end) that ends in 0xCE;
 * where there is none, ~position from which on bytes must be kept, for a frame may begin there.
 */
export function findFrame(bytes: Uint8Array, start: number, end: number, direction: Direction): number {
  for (let at = start; at < end; at++) {
    const type = bytes[at];
    if (type !== FrameType.METHOD && type !== FrameType.HEADER && type !== FrameType.HEARTBEAT) continue;
    if (end - at < FRAME_HEADER_BYTES + 4) {
      if (plausiblePrefix(bytes, at, end)) return ~at;
      continue;
    }
    const size = uint32(bytes, at + 3);
    if (size > MAX_BOUNDARY_FRAME_BYTES) continue;
    const payload = at + FRAME_HEADER_BYTES;
    if (type === FrameType.HEARTBEAT) {
      if (size === 0 && uint16(bytes, at + 1) === 0 && bytes[payload] === FRAME_END) return at;
      continue;
    }
    if (type === FrameType.METHOD) {
      const method = size < 4 ? undefined : methodAt(bytes, payload);
      const sender = direction === Direction.CLIENT ? Sender.CLIENT : Sender.SERVER;
      if (method === undefined || (method.sender & sender) === 0) continue;
    } else if (
      size < 14 ||
      bytes[payload] !== 0 ||
      bytes[payload + 1] !== BASIC ||
      uint16(bytes, payload + 2) !== 0
    ) {
      continue;
    }
    if (payload + size >= end) return ~at;
    if (bytes[payload + size] === FRAME_END) return at;
  }
  return ~end;
}

/** Class of all methods with content. */
const BASIC = 60;

/** The first bytes of a frame too short to tell: sizes are small, so their upper bytes are 0. */
function plausiblePrefix(bytes: Uint8Array, at: number, end: number): boolean {
  return (at + 3 >= end || bytes[at + 3] === 0) && (at + 4 >= end || bytes[at + 4] === 0);
}
