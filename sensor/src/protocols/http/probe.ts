/** Is it HTTP/1.x? Asked by detection about the first bytes of either side. */
import { type ProbeContext, Verdict } from '../decoder.js';
import { knownMethod } from '../http-names.js';
import { CR, LF, MAX_METHOD_BYTES, Match, matchRequestLine, matchStatusLine, SP } from './wire.js';

/** Empty lines before a message that detection looks past. */
const MAX_LEADING_BYTES = 16;
/** From here on a request line is told by its beginning: detection does not wait for the end of a longer one. */
const LONG_LINE_BYTES = 8 << 10;
const SLASH = 0x2f;

/**
 * A whole request line or the start of a status line, `HTTP/1.x` in both: RTSP, SIP, ICY and the
 * preface of HTTP/2 are not it, nor is a line of text without a version.
 */
export function probe(bytes: Uint8Array, start: number, end: number, _context: ProbeContext): Verdict {
  let at = start;
  while (at < end && (bytes[at] === CR || bytes[at] === LF)) at++;
  if (at - start > MAX_LEADING_BYTES) return Verdict.NO;
  if (at === end) return Verdict.MORE;
  const status = matchStatusLine(bytes, at, end);
  if (status === Match.YES) return Verdict.SERVER;
  const request = matchRequestLine(bytes, at, end);
  if (request === Match.YES) return Verdict.CLIENT;
  if (request === Match.MORE && end - at >= LONG_LINE_BYTES && isPathOfMethod(bytes, at))
    return Verdict.CLIENT;
  return status === Match.MORE || request === Match.MORE ? Verdict.MORE : Verdict.NO;
}

/** A method of HTTP and the beginning of a path. */
function isPathOfMethod(bytes: Uint8Array, start: number): boolean {
  let at = start;
  while (at - start < MAX_METHOD_BYTES && bytes[at] !== SP) at++;
  return bytes[at + 1] === SLASH && knownMethod(bytes, start, at) !== null;
}
