/** Finds the next message after bytes were lost. */
import { Direction } from '../decoder.js';
import { answersNothing, looksLikeMessage } from './probe.js';
import { HEADER_BYTES, int32 } from './wire.js';

/** Bytes behind the header that must be seen to believe it. */
const BELIEVED_BYTES = HEADER_BYTES + 4 + 1 + 4 + 2;

/**
 * Position of the first message of this direction in [start, end): a plausible header and body, and of
 * a reply a responseTo that is waited for. Where there is none, ~position from which on bytes must be kept.
 */
export function findMessage(
  bytes: Uint8Array,
  start: number,
  end: number,
  direction: Direction,
  pending: ReadonlyMap<number, unknown>,
): number {
  for (let at = start; at + BELIEVED_BYTES <= end; at++) {
    // No message is longer than 48 MB.
    if (bytes[at + 3] > 2) continue;
    if (bytes[at + 14] !== 0 || bytes[at + 15] !== 0) continue;
    const responseTo = int32(bytes, at + 8);
    if (direction === Direction.CLIENT ? !answersNothing(responseTo) : !pending.has(responseTo)) continue;
    if (looksLikeMessage(bytes, at, end)) return at;
  }
  return ~Math.max(start, end - BELIEVED_BYTES + 1);
}
