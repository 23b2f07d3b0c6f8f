/** Finds the next message after bytes were lost. */
import { Direction } from '../decoder.js';
import { Match, matchRequest, matchResponse } from './header.js';
import type { PendingRequests } from './pending.js';
import { int32, MAX_DETECTED_BYTES, RESPONSE_HEADER_BYTES, SIZE_BYTES } from './wire.js';

/**
 * Position of the first message of this direction in [start, end): of a client a plausible request, of a
 * broker a response to a request that waits. Where there is none, ~position from which on bytes must be kept.
 * Where `joined`, `start` is the first byte ever seen of this side, so probably the first of a message: of a
 * response there its size and correlation id are enough.
 */
export function findMessage(
  bytes: Uint8Array,
  start: number,
  end: number,
  direction: Direction,
  pending: PendingRequests,
  joined: boolean,
): number {
  for (let at = start; at < end; at++) {
    const match =
      direction === Direction.CLIENT
        ? matchRequest(bytes, at, end)
        : matchAwaited(bytes, at, end, pending, joined && at === start);
    if (match === Match.YES) return at;
    if (match === Match.MORE) return ~at;
  }
  return ~end;
}

function matchAwaited(
  bytes: Uint8Array,
  at: number,
  end: number,
  pending: PendingRequests,
  sure: boolean,
): Match {
  if (bytes[at] > MAX_DETECTED_BYTES >>> 24) return Match.NO;
  if (pending.length === 0) return Match.NO;
  if (end - at < RESPONSE_HEADER_BYTES) return Match.MORE;
  const size = int32(bytes, at);
  if (size < RESPONSE_HEADER_BYTES - SIZE_BYTES || size > MAX_DETECTED_BYTES) return Match.NO;
  if (!pending.has(int32(bytes, at + SIZE_BYTES))) return Match.NO;
  if (sure) return Match.YES;
  return matchResponse(pending.api, pending.version, bytes, at, end);
}
