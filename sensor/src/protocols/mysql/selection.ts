/** Requests that select the database, the user or the character set of the connection. */
import { type Constant, MysqlTag, NO_FIELDS } from '@packetd/proto';
import { Escapes } from '../../redact/sql.js';
import { Charset, charsetNamed, charsetOfCollation } from '../../redact/sql-charset.js';
import type { Command } from './command.js';
import { encodeName, type Session } from './session.js';
import { Capability, findNul, uint16 } from './wire.js';

const BACKQUOTE = 0x60;
const SEMICOLON = 0x3b;

/** `USE name`, the name bare or in backquotes, as a field in wire format; empty where it is none of these. */
export function selectedDatabase(bytes: Uint8Array, start: number, end: number): Constant {
  let at = afterBlanks(bytes, start, end);
  if (end - at < 4 || !isUse(bytes, at)) return NO_FIELDS;
  at = afterBlanks(bytes, at + 3, end);
  let stop = end;
  while (stop > at && (bytes[stop - 1] <= 0x20 || bytes[stop - 1] === SEMICOLON)) stop--;
  if (bytes[at] === BACKQUOTE) {
    if (stop - at < 3 || bytes[stop - 1] !== BACKQUOTE) return NO_FIELDS;
    at++;
    stop--;
    for (let i = at; i < stop; i++) if (bytes[i] === BACKQUOTE) return NO_FIELDS;
  } else {
    for (let i = at; i < stop; i++) if (!isNameByte(bytes[i])) return NO_FIELDS;
  }
  return encodeName(MysqlTag.namespace, bytes, at, stop);
}

/**
 * COM_CHANGE_USER: string<NUL> user, the auth response (int<1> length with CLIENT_SECURE_CONNECTION, else
 * string<NUL>), string<NUL> database, int<2> character set.
 */
export function userChange(
  command: Command,
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const stop = findNul(bytes, start, end);
  command.user = encodeName(MysqlTag.user, bytes, start, stop);
  command.namespace = NO_FIELDS;
  changeReading(command, session, Charset.UNKNOWN);
  let at = stop + 1;
  if (!session.known || at >= end) return;
  if (session.has(Capability.SECURE_CONNECTION)) at += 1 + bytes[at];
  else at = findNul(bytes, at, end) + 1;
  if (at >= end) return;
  const databaseEnd = findNul(bytes, at, end);
  command.namespace = encodeName(MysqlTag.namespace, bytes, at, databaseEnd);
  if (databaseEnd + 3 <= end) command.charset = charsetOfCollation(uint16(bytes, databaseEnd + 1));
}

/** The server reads what follows in this character set if the command succeeds; until then nothing is sure. */
export function changeReading(command: Command, session: Session, charset: Charset): void {
  command.charset = charset;
  command.formerCharset = session.charset;
  session.charset = Charset.UNKNOWN;
  session.escapes = Escapes.UNKNOWN;
}

/** More of a statement is not looked at. */
const MAX_SET_BYTES = 512;
const SET_CHARSET =
  /^\s*(?:\/\*!\d*)?\s*SET\s+(?:NAMES|CHARACTER\s+SET|CHARSET|(?:@@)?(?:(?:SESSION|LOCAL)[\s.]\s*)?character_set_client\s*:?=)\s*(['"]?)(\w+)\1(?:\s+COLLATE\s+['"]?\w+['"]?)?\s*(?:\*\/)?[\s;]*$/i;
/** The last of several: nothing of a literal or a comment can stand there. */
const AND_NAMES = /^\s*SET\s(?!.*(?:--|#|\/\*)).*,\s*NAMES\s+(\w+)(?:\s+COLLATE\s+\w+)?[\s;]*$/is;
const OTHER_VARIABLE = /names|char|;/i;

/** Of a statement that sets how statements are read; `charset` where it sets something else. */
export function selectedCharset(bytes: Uint8Array, start: number, end: number, charset: Charset): Charset {
  if (end - start > MAX_SET_BYTES) return Charset.UNKNOWN;
  const sql = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
  const name = SET_CHARSET.exec(sql)?.[2] ?? AND_NAMES.exec(sql)?.[1];
  if (name !== undefined) return charsetNamed(name);
  return OTHER_VARIABLE.test(sql) ? Charset.UNKNOWN : charset;
}

function afterBlanks(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] <= 0x20) at++;
  return at;
}

function isUse(bytes: Uint8Array, at: number): boolean {
  return (
    (bytes[at] | 0x20) === 0x75 &&
    (bytes[at + 1] | 0x20) === 0x73 &&
    (bytes[at + 2] | 0x20) === 0x65 &&
    (bytes[at + 3] <= 0x20 || bytes[at + 3] === BACKQUOTE)
  );
}

function isNameByte(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x5f ||
    byte === 0x24 ||
    byte >= 0x80
  );
}
