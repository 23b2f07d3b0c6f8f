/** Is it Redis? By a command with a known name, or by the port and the start of a reply. */
import { type ProbeContext, Verdict } from '../decoder.js';
import { isKnownCommand } from './commands.js';
import { commandAt, replyAt } from './resync.js';
import { CR, IS_TYPE, LF, Type } from './wire.js';

const PORT = 6379;
const MAX_INLINE_BYTES = 256;

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  const fromServer = context.sourcePort === PORT && context.destinationPort !== PORT;
  if (bytes[start] === Type.ARRAY && !fromServer) {
    // The side that opened the connection is the client.
    if (context.fromStart && context.side === 1) return Verdict.NO;
    const found = commandAt(bytes, start, end);
    return found === 1 ? Verdict.CLIENT : found === 0 ? Verdict.MORE : Verdict.NO;
  }
  if (fromServer && IS_TYPE[bytes[start]] === 1) {
    const found = replyAt(bytes, start, end);
    return found === 1 ? Verdict.SERVER : found === 0 ? Verdict.MORE : Verdict.NO;
  }
  if (context.destinationPort === PORT && context.fromStart) return inline(bytes, start, end);
  return Verdict.NO;
}

/** A known command on a line of printable text. */
function inline(bytes: Uint8Array, start: number, end: number): Verdict {
  let nameEnd = -1;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === CR || byte === LF) {
      return isKnownCommand(bytes, start, nameEnd < 0 ? at : nameEnd) ? Verdict.CLIENT : Verdict.NO;
    }
    if (byte < 0x20 || byte > 0x7e) return Verdict.NO;
    if (byte === 0x20 && nameEnd < 0) nameEnd = at;
  }
  return end - start > MAX_INLINE_BYTES ? Verdict.NO : Verdict.MORE;
}
