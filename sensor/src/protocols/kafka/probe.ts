/** Is it Kafka? By a request whose body fits its layout to the last byte, or by a chain of request headers. */
import { type ProbeContext, Verdict } from '../decoder.js';
import { apiOf, REQUEST_HEADER_BYTES, requestAt } from './apis.js';
import { int16, int32, Walker } from './walker.js';

const PORT = 9092;
/** Bytes of a request that are waited for to check it. */
const MAX_CHECKED_BYTES = 4096;

const walker = new Walker();

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  // A broker never speaks first.
  if (context.fromStart && context.side === 1) return Verdict.NO;
  const found = requestAt(bytes, start, end);
  if (found <= 0) return found === 0 ? Verdict.MORE : Verdict.NO;
  const size = int32(bytes, start);
  const stop = start + 4 + size;
  if (stop > end) {
    if (size <= MAX_CHECKED_BYTES) return Verdict.MORE;
    // A long one is a Produce most of the time: the start of its body must fit.
    return bodyFits(bytes, start, end, false) &&
      (context.destinationPort === PORT || namesClient(bytes, start))
      ? Verdict.CLIENT
      : Verdict.NO;
  }
  // A header that is right in all its parts, with a client's name, is enough for a message that ends where the bytes do.
  const named = stop === end && namesClient(bytes, start);
  return bodyFits(bytes, start, stop, true) || named ? Verdict.CLIENT : Verdict.NO;
}

function namesClient(bytes: Uint8Array, start: number): boolean {
  return int16(bytes, start + 12) > 0;
}

/** Does the body of the request at `start`, up to `end`, follow its layout? */
function bodyFits(bytes: Uint8Array, start: number, end: number, whole: boolean): boolean {
  const version = apiOf(int16(bytes, start + 4))!.versions[int16(bytes, start + 6)];
  let at = start + REQUEST_HEADER_BYTES + Math.max(0, int16(bytes, start + 12));
  if (version.request === null) return namesClient(bytes, start);
  if (version.flexible) {
    // No tagged fields are defined for the request header so far.
    if (at >= end || bytes[at] !== 0) return false;
    at++;
  }
  walker.walk(version.request, bytes, at, end);
  if (walker.malformed) return false;
  return whole ? walker.complete && walker.position === end : !walker.complete;
}
