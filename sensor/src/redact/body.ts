/**
 * Takes secrets out of recorded text: values of members of JSON, arguments of GraphQL, elements and attributes of
 * XML and the like that are named for one, and JSON Web Tokens. It may be cut anywhere, and JSON may be in strings
 * of JSON.
 */
import type { WireWriter } from '@packetd/proto';
import { isJwt, REDACTED } from './headers.js';
import { isSecretMember } from './url.js';

const REDACTED_BYTES = Buffer.from(REDACTED, 'latin1');
/** Longest name that is looked for. */
const MAX_NAME_BYTES = 256;
const [AMPERSAND, QUOTE, APOSTROPHE, BACKSLASH, COLON, COMMA, EQUALS, LESS, GREATER, SLASH, SPACE] =
  Buffer.from('&"\'\\:,=<>/ ');
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = Buffer.from('{}[]');

/** What is to be replaced; nothing where they are the same. */
let valueStart = 0;
let valueEnd = 0;

/** Appends [start, end) to `out` without secrets. False where there was none: then nothing is appended. */
export function redactBody(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  let copied = start;
  for (let at = start; at < end; at++) {
    valueStart = valueEnd = at;
    switch (bytes[at]) {
      case COLON:
        member(bytes, start, at, end);
        break;
      case EQUALS:
        attribute(bytes, start, at, end);
        break;
      case LESS:
        element(bytes, at, end);
        break;
      case QUOTE:
        token(bytes, at, end);
    }
    if (valueEnd === valueStart) continue;
    out.raw(bytes, copied, valueStart);
    out.raw(REDACTED_BYTES);
    copied = valueEnd;
    at = valueEnd - 1;
  }
  if (copied === start) return false;
  out.raw(bytes, copied, end);
  return true;
}

/** `"name": value`, or `name: "value"` as GraphQL has it, around the colon at `at`. */
function member(bytes: Uint8Array, start: number, at: number, end: number): void {
  let close = at - 1;
  while (close > start && bytes[close] <= SPACE) close--;
  if (close <= start) return;
  if (bytes[close] !== QUOTE) {
    argument(bytes, start, close + 1, at + 1, end);
    return;
  }
  const escapes = escapesBefore(bytes, start, close);
  const nameEnd = close - escapes;
  let name = nameEnd;
  while (name > start && nameEnd - name <= MAX_NAME_BYTES && bytes[name - 1] !== QUOTE) name--;
  if (!isSecretMember(bytes, name, nameEnd)) return;
  let from = at + 1;
  while (from < end && bytes[from] <= SPACE) from++;
  let quote = from;
  while (quote < end && bytes[quote] === BACKSLASH) quote++;
  if (quote < end && bytes[quote] === QUOTE) take(quote + 1, stringEnd(bytes, quote + 1, end, escapes));
  else take(from, scalarEnd(bytes, from, end));
}

/** The name ends at `nameEnd`, a string may begin behind `from`. */
function argument(bytes: Uint8Array, start: number, nameEnd: number, from: number, end: number): void {
  let value = from;
  while (value < end && bytes[value] <= SPACE) value++;
  let quote = value;
  while (quote < end && bytes[quote] === BACKSLASH) quote++;
  if (quote >= end || bytes[quote] !== QUOTE || !isNamedSecret(bytes, start, nameEnd)) return;
  take(quote + 1, stringEnd(bytes, quote + 1, end, quote - value));
}

/** `name="value"`, or `name=value`, around the equals sign at `at`. */
function attribute(bytes: Uint8Array, start: number, at: number, end: number): void {
  if (at + 1 >= end || !isNamedSecret(bytes, start, at)) return;
  const quote = bytes[at + 1];
  const isQuoted = quote === QUOTE || quote === APOSTROPHE;
  const from = isQuoted ? at + 2 : at + 1;
  let stop = from;
  while (stop < end && (isQuoted ? bytes[stop] !== quote : !endsWord(bytes[stop]))) stop++;
  take(from, stop);
}

/** Does a secret's name end at `end`? */
function isNamedSecret(bytes: Uint8Array, start: number, end: number): boolean {
  let name = end;
  while (name > start && end - name <= MAX_NAME_BYTES && isNameByte(bytes[name - 1])) name--;
  return name < end && isSecretMember(bytes, name, end);
}

function endsWord(byte: number): boolean {
  return byte <= SPACE || byte === AMPERSAND || byte === QUOTE || byte === LESS;
}

/** `<prefix:name …>value<` at `at`. */
function element(bytes: Uint8Array, at: number, end: number): void {
  let name = at + 1;
  let stop = name;
  while (stop < end && (isNameByte(bytes[stop]) || bytes[stop] === COLON)) {
    if (bytes[stop] === COLON) name = stop + 1;
    stop++;
  }
  if (stop === name || !isSecretMember(bytes, name, stop)) return;
  let from = stop;
  while (from < end && bytes[from] !== GREATER) from++;
  if (from >= end || bytes[from - 1] === SLASH) return;
  from++;
  let to = from;
  // <![CDATA[…]]> is part of it.
  while (to < end && (bytes[to] !== LESS || bytes[to + 1] !== SLASH)) to++;
  take(from, to);
}

/** A string that is a JSON Web Token as a whole, at the quote `at`. */
function token(bytes: Uint8Array, at: number, end: number): void {
  let stop = at + 1;
  while (stop < end && bytes[stop] !== QUOTE && bytes[stop] !== BACKSLASH) stop++;
  if (isJwt(bytes, at + 1, stop)) take(at + 1, stop);
}

function take(from: number, to: number): void {
  valueStart = from;
  valueEnd = to;
}

/** Position of the quote, or of its escapes, that ends a string in which quotes have more escapes than `escapes`. */
function stringEnd(bytes: Uint8Array, from: number, end: number, escapes: number): number {
  for (let i = from; i < end; i++) {
    if (bytes[i] !== QUOTE) continue;
    const before = escapesBefore(bytes, from, i);
    if (before <= escapes) return i - before;
  }
  return end;
}

function escapesBefore(bytes: Uint8Array, start: number, at: number): number {
  let count = 0;
  while (at - 1 - count >= start && bytes[at - 1 - count] === BACKSLASH) count++;
  return count;
}

/** An object or a list is the rest: names of what is in it say nothing of it. */
function scalarEnd(bytes: Uint8Array, from: number, end: number): number {
  if (bytes[from] === OPEN_BRACE || bytes[from] === OPEN_BRACKET) return end;
  let i = from;
  while (i < end && bytes[i] !== COMMA && bytes[i] !== CLOSE_BRACE && bytes[i] !== CLOSE_BRACKET) i++;
  return i;
}

function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (
    (letter >= 0x61 && letter <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x5f ||
    byte >= 0x80
  );
}
