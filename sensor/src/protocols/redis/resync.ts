/** Finds the next command or reply after bytes were lost. */
import { isKnownCommand, isModuleCommand } from './commands.js';
import { BAD, CR, IS_TYPE, LF, lineEnd, NEED_MORE, readNumber, Type } from './wire.js';

/** The longest `*count\r\n$length\r\nNAME\r\n` that is looked for, and the longest line of a reply. */
const MAX_LOOK_BYTES = 64;

/** Position of the first `*count\r\n$length\r\nNAME\r\n` with a known name, or a module's; else ~position to keep bytes from. */
export function findCommand(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (bytes[at] !== Type.ARRAY) continue;
    const found = commandAt(bytes, at, end);
    if (found === 1) return at;
    if (found === 0 && end - at < MAX_LOOK_BYTES) return ~at;
  }
  return ~end;
}

/** 1 where a command with a known name, or a module's, is at `at`, 0 where more bytes are needed, -1 where there is none. */
export function commandAt(bytes: Uint8Array, at: number, end: number): number {
  const count = readNumber(bytes, at + 1, end);
  if (count === NEED_MORE) return 0;
  if (count < 1) return -1;
  const bulk = lineEnd;
  if (bulk >= end) return 0;
  if (bytes[bulk] !== Type.BULK_STRING) return -1;
  const length = readNumber(bytes, bulk + 1, end);
  if (length === NEED_MORE) return 0;
  if (length < 1 || length > 32) return -1;
  const name = lineEnd;
  if (name + length + 2 > end) return 0;
  if (bytes[name + length] !== CR || bytes[name + length + 1] !== LF) return -1;
  return isKnownCommand(bytes, name, name + length) || isModuleCommand(bytes, name, name + length) ? 1 : -1;
}

/** Position of the first line, after a line end, that begins a reply; else ~position to keep bytes from. */
export function findReply(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (IS_TYPE[bytes[at]] === 0) continue;
    // The first bytes after a hole are a reply's start only when there is nothing before them to tell.
    if (at > start && (bytes[at - 1] !== LF || bytes[at - 2] !== CR)) continue;
    const found = replyAt(bytes, at, end);
    if (found === 1) return at;
    if (found === 0 && end - at < MAX_LOOK_BYTES) return ~at;
  }
  return ~Math.max(start, end - 2);
}

/** 1 where a reply begins at `at`, 0 where more bytes are needed, -1 where none does. */
export function replyAt(bytes: Uint8Array, at: number, end: number): number {
  const type = bytes[at];
  switch (type) {
    case Type.BULK_STRING:
    case Type.BULK_ERROR:
    case Type.VERBATIM_STRING:
    case Type.ARRAY:
    case Type.MAP:
    case Type.SET:
    case Type.PUSH:
    case Type.INTEGER: {
      const value = readNumber(bytes, at + 1, end);
      if (value === NEED_MORE) return 0;
      if (value === BAD) return -1;
      const next = lineEnd;
      if (type !== Type.BULK_STRING || value < 0) return 1;
      // Where its end is there already, it must be one.
      if (next + value + 1 < end)
        return bytes[next + value] === CR && bytes[next + value + 1] === LF ? 1 : -1;
      return 1;
    }
    case Type.ERROR:
      return upperLine(bytes, at + 1, end);
    case Type.SIMPLE_STRING: {
      if (end - at < 5) return 0;
      const isOk =
        bytes[at + 1] === 0x4f && bytes[at + 2] === 0x4b && bytes[at + 3] === CR && bytes[at + 4] === LF;
      return isOk ? 1 : upperLine(bytes, at + 1, end);
    }
    case Type.NULL:
      if (end - at < 3) return 0;
      return bytes[at + 1] === CR && bytes[at + 2] === LF ? 1 : -1;
    default:
      return -1;
  }
}

/** A word in upper case, then a blank or the line's end: an error's code, QUEUED, PONG. */
function upperLine(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && ((bytes[i] >= 0x41 && bytes[i] <= 0x5a) || bytes[i] === 0x5f)) i++;
  if (i === end) return i - at > 32 ? -1 : 0;
  if (i - at < 2) return -1;
  return bytes[i] === 0x20 || bytes[i] === CR ? 1 : -1;
}
