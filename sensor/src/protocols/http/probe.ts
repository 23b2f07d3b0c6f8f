/** Is it HTTP/1.x? Asked by detection about the first bytes of either side. */
import { type ProbeContext, Verdict } from '../decoder.js';
import { CR, LF, Match, matchRequestLine, matchStatusLine } from './wire.js';

/** Empty lines before a message that detection looks past. */
const MAX_LEADING_BYTES = 16;

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
  return status === Match.MORE || request === Match.MORE ? Verdict.MORE : Verdict.NO;
}
