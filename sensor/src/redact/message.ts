/** Error messages of servers without the values that they repeat. */
import { WireWriter } from '@packetd/proto';
import { redactText } from './url.js';

const MAX_MESSAGE_BYTES = 512;
/** What is behind these bytes of a message is not looked at. */
const MAX_SCANNED_BYTES = 8192;
const scratch = new Uint8Array(MAX_MESSAGE_BYTES);
const redacted = new WireWriter(MAX_MESSAGE_BYTES);
const [DOUBLE_QUOTE, APOSTROPHE, BACKTICK, BACKSLASH, OPEN, CLOSE, UNKNOWN] = Buffer.from('"\'`\\{}?');

/**
 * Words that servers have between and behind quotations. A value may have quotes in it, so a quotation ends
 * only where nothing but these follows up to the next one: anything else may be the rest of the value. So
 * from the first quotation on nothing but these words comes out.
 */
const WORDS: ReadonlySet<string> = new Set(
  (
    'a access accessed aggregate already ambiguous an and appear are args argument arguments as at be because ' +
    'been beginning but by cannot cast character clause clauses collection column columns command config ' +
    'constraint current database default depend denied does duplicate end entry error exist exists expected ' +
    'expression failed field fields for foreign found from function given group has have help host if in index ' +
    'input integer invalid is it key kind line list mechanism method missing more must name near new no not ' +
    'null number object objects of on once operator option or other out parameter permission position ' +
    'query queue range referenced refused relation required role row schema server set specified still syntax ' +
    'table text than that the this to try type unexpected unique unknown unsupported used user users using ' +
    'value values vhost view violates was which with without wrong'
  ).split(' '),
);
/** A number stays behind these. */
const BEFORE_NUMBER: ReadonlySet<string> = new Set(['line', 'row', 'position', 'character', 'column']);
const MAX_NUMBER_DIGITS = 6;
const LONGEST_WORD = 16;

/**
 * The message with `?` for what is in quotes or braces, and for long numbers: there servers repeat literals, keys and
 * values (`duplicate key value violates unique constraint ?`). Quotation marks of other languages hide the rest of
 * the message, as an open quote does. What is left goes without userinfo of URLs, and without what is behind
 * `password=` and the like. At most 512 bytes and what says so, borrowed until the next call.
 */
export function sanitiseMessage(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const stop = Math.min(end, start + MAX_SCANNED_BYTES);
  let length = 0;
  let at = start;
  while (at < stop && length < MAX_MESSAGE_BYTES) {
    const byte = bytes[at];
    let next = at;
    if (opensQuotation(bytes, start, at)) next = quotationEnd(bytes, at, stop);
    else if (byte === OPEN) next = bracesEnd(bytes, at, stop);
    else if (isForeignMark(bytes, start, at, stop)) next = stop;
    else if (isDigit(byte)) next = longNumberEnd(bytes, start, at, stop);
    if (next > at) {
      scratch[length++] = UNKNOWN;
      at = next;
    } else {
      scratch[length++] = Math.max(byte, 0x20);
      at++;
    }
  }
  redacted.reset();
  if (redactText(scratch, 0, length, redacted)) return redacted.bytes.subarray(0, redacted.length);
  return scratch.subarray(0, length);
}

function isQuote(byte: number): boolean {
  return byte === DOUBLE_QUOTE || byte === APOSTROPHE || byte === BACKTICK;
}

/** An apostrophe inside of a word is none. */
function opensQuotation(bytes: Uint8Array, start: number, at: number): boolean {
  if (!isQuote(bytes[at])) return false;
  return bytes[at] !== APOSTROPHE || at === start || !isLetter(bytes[at - 1]);
}

/** Position behind the quotation that begins at `at`; `end` where it has none. */
function quotationEnd(bytes: Uint8Array, at: number, end: number): number {
  const quote = bytes[at];
  for (let i = at + 1; i < end; i++) {
    if (bytes[i] === BACKSLASH) i++;
    else if (bytes[i] === quote && onlyWords(bytes, i + 1, end)) return i + 1;
  }
  return end;
}

/** Position behind the last closing brace; `end` where more than known words is behind it. */
function bracesEnd(bytes: Uint8Array, at: number, end: number): number {
  let last = end - 1;
  while (last > at && bytes[last] !== CLOSE) last--;
  return last > at && onlyWords(bytes, last + 1, end) ? last + 1 : end;
}

/** Position behind the number that begins at `at`, where it has more digits than positions have; else `at`. */
function longNumberEnd(bytes: Uint8Array, start: number, at: number, end: number): number {
  if (at > start && (isLetter(bytes[at - 1]) || isDigit(bytes[at - 1]))) return at;
  let next = at;
  while (next < end && isDigit(bytes[next])) next++;
  return next - at > MAX_NUMBER_DIGITS ? next : at;
}

/** From `at` up to the next quote or brace, or the end, there is nothing but known words. */
function onlyWords(bytes: Uint8Array, at: number, end: number): boolean {
  let before = '';
  let i = at;
  while (i < end) {
    const byte = bytes[i];
    if (byte === OPEN || (isQuote(byte) && (byte !== APOSTROPHE || !isLetter(bytes[i - 1])))) {
      // A quote right behind a quote is part of the value.
      return i > at;
    }
    if (byte >= 0x80) return false;
    if (!isLetter(byte) && !isDigit(byte)) {
      i++;
      continue;
    }
    const from = i;
    while (i < end && (isLetter(bytes[i]) || isDigit(bytes[i]))) i++;
    if (i - from > LONGEST_WORD) return false;
    let word = '';
    let digits = 0;
    for (let k = from; k < i; k++) {
      if (isDigit(bytes[k])) digits++;
      word += String.fromCharCode(isLetter(bytes[k]) ? bytes[k] | 0x20 : bytes[k]);
    }
    const isNumber = digits === word.length && digits <= MAX_NUMBER_DIGITS && BEFORE_NUMBER.has(before);
    if (!isNumber && !WORDS.has(word)) return false;
    before = word;
  }
  return true;
}

/** A quotation mark beyond ASCII: «» ‹› “” „‟ ‘’ ‚‛ 「」 『』 in UTF-8, «» in Latin-1. */
function isForeignMark(bytes: Uint8Array, start: number, at: number, end: number): boolean {
  const byte = bytes[at];
  if (byte < 0x80) return false;
  const second = at + 1 < end ? bytes[at + 1] : 0;
  const third = at + 2 < end ? bytes[at + 2] : 0;
  switch (byte) {
    case 0xc2:
      return second === 0xab || second === 0xbb;
    case 0xe2:
      // ’ is an apostrophe too.
      if (second === 0x80 && third === 0x99) return at === start || !isLetter(bytes[at - 1]);
      return second === 0x80 && ((third >= 0x98 && third <= 0x9f) || third === 0xb9 || third === 0xba);
    case 0xe3:
      return second === 0x80 && third >= 0x8c && third <= 0x8f;
    case 0xab:
    case 0xbb:
      return at === start || bytes[at - 1] < 0x80;
    default:
      return false;
  }
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
