/**
 * Texts of Close and Return without what a client gave as a value. RabbitMQ puts names into quotes and says before
 * what they name (`queue 'q' in vhost '/'`); values are in quotes too (`unknown exchange type '…'`, `received the
 * value '…' of type '…'`), or printed as terms of Erlang: `{value_negative,-1}`, `<<"…">>`.
 */
import { WireWriter } from '@packetd/proto';

/** What is named in quotes. */
const NAMED: readonly Uint8Array[] = (
  'queue exchange vhost user arg tag name prefix node mechanism was'.split(' ') as readonly string[]
).map((word) => Buffer.from(word, 'latin1'));
/** Behind these all is a value: octets of a frame that is none, a message or a property that is refused. */
const REST: readonly Uint8Array[] = ['octets = ', 'invalid message: ', 'Unsupported property: '].map((text) =>
  Buffer.from(text, 'latin1'),
);
/** What begins and ends a value beside quotes. */
const TERMS: readonly (readonly [Uint8Array, Uint8Array])[] = (
  [
    ['{', '}'],
    ['<<', '>>'],
  ] as const
).map(([before, behind]) => [Buffer.from(before, 'latin1'), Buffer.from(behind, 'latin1')]);
const QUOTE = Buffer.from("'", 'latin1');
const UNKNOWN = Buffer.from('?', 'latin1');

const out = new WireWriter(512);

/** The text [start, end) with `?` for values, borrowed until the next call. */
export function sanitiseReplyText(bytes: Uint8Array, start: number, end: number): Uint8Array {
  out.reset();
  let rest = end;
  for (const before of REST) {
    const found = indexOf(before, bytes, start, rest);
    if (found >= 0) rest = found + before.length;
  }
  let at = start;
  while (at < rest) {
    if (bytes[at] === QUOTE[0] && isNamed(bytes, start, at)) {
      const stop = indexOf(QUOTE, bytes, at + 1, rest);
      const next = stop < 0 ? rest : stop + 1;
      out.raw(bytes, at, next);
      at = next;
      continue;
    }
    const term = TERMS.find(([before]) => indexOf(before, bytes, at, at + before.length) === at);
    if (term !== undefined) at = value(term[0], term[1], bytes, at, rest);
    else if (bytes[at] === QUOTE[0] && !isLetter(bytes[at - 1])) at = value(QUOTE, QUOTE, bytes, at, rest);
    else out.raw(bytes, at, ++at);
  }
  if (rest < end && at <= rest) out.raw(UNKNOWN);
  return out.bytes.subarray(0, out.length);
}

/** It may have in it what ends it, so it goes on to the last of that; without an end it is the rest. */
function value(before: Uint8Array, behind: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
  out.raw(before);
  out.raw(UNKNOWN);
  let stop = end - behind.length;
  while (stop >= at + before.length && indexOf(behind, bytes, stop, stop + behind.length) < 0) stop--;
  return stop < at + before.length ? end + 1 : writeEnd(behind, stop);
}

function writeEnd(behind: Uint8Array, stop: number): number {
  out.raw(behind);
  return stop + behind.length;
}

/** A word of NAMED and a space stand before `at`. */
function isNamed(bytes: Uint8Array, start: number, at: number): boolean {
  if (at - 1 <= start || bytes[at - 1] !== 0x20) return false;
  let from = at - 1;
  while (from > start && isLetter(bytes[from - 1])) from--;
  return NAMED.some(
    (word) => word.length === at - 1 - from && indexOf(word, bytes, from, from + word.length) === from,
  );
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}

function indexOf(text: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at + text.length <= end; at++) {
    let i = 0;
    while (i < text.length && bytes[at + i] === text[i]) i++;
    if (i === text.length) return at;
  }
  return -1;
}
