/** Is it Kafka? By the first request; a broker never speaks first, and its responses do not tell their API. */
import { type ProbeContext, Verdict } from '../decoder.js';
import { hasRequestHeader, Match, matchRequest } from './header.js';
import { PORT } from './wire.js';

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  switch (matchRequest(bytes, start, end)) {
    case Match.YES:
      return Verdict.CLIENT;
    case Match.MORE:
      return Verdict.MORE;
    default: {
      // A body of a later version, or one that is wrong.
      const expected = context.fromStart && context.destinationPort === PORT;
      return expected && hasRequestHeader(bytes, start, end) ? Verdict.CLIENT : Verdict.NO;
    }
  }
}
