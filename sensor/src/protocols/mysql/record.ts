/** Writes what commands and answers say into an exchange: no strings, no objects. */
import { type Constant, encodeString, MysqlTag, RoundTripTag, StatusValue, WireWriter } from '@packetd/proto';
import type { SqlShape } from '../../redact/sql.js';
import type { Exchange } from '../exchange.js';
import type { Command } from './command.js';
import type { Session } from './session.js';
import { COMMAND_NAMES, Com } from './wire.js';

/** Longest error message that is recorded. */
const MAX_MESSAGE_BYTES = 512;

/**
 * Errors whose text is the application's own (SIGNAL): not recorded. With a number of its own such an error still
 * has the class of SQLSTATE that is the users' (MySQL reference manual, section 15.6.7.5).
 */
const ER_SIGNAL_EXCEPTION = 1644;
const [USER_CLASS_0, USER_CLASS_1] = Buffer.from('45');

interface Words {
  readonly command: Constant;
  /** Operation of a command without SQL. */
  readonly operation: Constant;
  readonly operationName: Constant;
}

const words: Words[] = [];
for (const [code, name] of COMMAND_NAMES.entries()) {
  if (name !== undefined) words[code] = wordsOf(`COM_${name}`, name);
}
words[Com.CONNECT] = wordsOf('connect', 'connect');

function wordsOf(command: string, operation: string): Words {
  return {
    command: encodeString(MysqlTag.command, command),
    operation: encodeString(RoundTripTag.operation, operation),
    operationName: encodeString(MysqlTag.operationName, operation),
  };
}

/** Wire format of error numbers seen so far: at most 65,536. */
const statusCodes: Constant[] = [];
const errorTypes: Constant[] = [];

/** What every record of a statement repeats, in wire format. */
interface EncodedShape {
  readonly detail: Uint8Array;
  readonly envelope: Uint8Array;
}

/** By shape; emptied when full, for shapes come and go with the cache of `SqlShapes`. */
const MAX_ENCODED_SHAPES = 4096;
const encodedShapes = new Map<SqlShape, EncodedShape>();

function encodeShape(shape: SqlShape): EncodedShape {
  const { text, summary, operationBytes, collection } = shape;
  const detail = new WireWriter(text.length + 256);
  const envelope = new WireWriter(64);
  writeText(detail, MysqlTag.queryText, text);
  writeText(detail, MysqlTag.querySummary, summary);
  writeText(detail, MysqlTag.operationName, operationBytes);
  writeText(detail, MysqlTag.collection, collection);
  writeText(envelope, RoundTripTag.operation, operationBytes);
  writeText(envelope, RoundTripTag.target, collection);
  return {
    detail: detail.bytes.slice(0, detail.length),
    envelope: envelope.bytes.slice(0, envelope.length),
  };
}

function writeText(writer: WireWriter, tag: number, text: Uint8Array): void {
  if (text.length > 0) writer.text(tag, text, 0, text.length);
}

export function writeCommand(exchange: Exchange, code: number, shape: SqlShape | null): void {
  const { command, operation, operationName } = words[code];
  const { detail, envelope } = exchange;
  detail.constant(command);
  if (shape === null || shape.operationBytes.length === 0) {
    detail.constant(operationName);
    envelope.constant(operation);
  }
  if (shape === null) return;
  let encoded = encodedShapes.get(shape);
  if (encoded === undefined) {
    if (encodedShapes.size >= MAX_ENCODED_SHAPES) encodedShapes.clear();
    encoded = encodeShape(shape);
    encodedShapes.set(shape, encoded);
  }
  detail.raw(encoded.detail);
  envelope.raw(encoded.envelope);
}

/** What is known of the connection, and what the answer said. */
export function writeResult(command: Command, session: Session): void {
  const { detail } = command.exchange;
  detail.constant(session.fields());
  detail.uintNonZero(MysqlTag.columns, command.columns);
  const { status } = command.exchange;
  // What was counted of half an answer would be read as the count of the whole.
  if (status === StatusValue.OK || status === StatusValue.ERROR) {
    if (command.affectedRows >= 0) detail.uint(MysqlTag.affectedRows, command.affectedRows);
    detail.uintNonZero(MysqlTag.lastInsertId, command.lastInsertId);
    detail.uintNonZero(MysqlTag.warnings, command.warnings);
    if (command.rows >= 0) detail.uint(MysqlTag.returnedRows, command.rows);
    detail.uintNonZero(MysqlTag.resultSets, command.resultSets);
  }
  if (command.parameters >= 0) detail.uint(MysqlTag.parameters, command.parameters);
  if (command.statementId >= 0) detail.uint(MysqlTag.statementId, command.statementId);
}

export function writeTls(exchange: Exchange): void {
  exchange.detail.bool(MysqlTag.tls, true);
}

/** ERR_Packet: int<1> 0xFF, int<2> error code, `#` and string[5] SQL state (4.1), string<EOF> message. */
export function writeError(exchange: Exchange, bytes: Uint8Array, start: number, end: number): void {
  exchange.status = StatusValue.ERROR;
  if (end - start < 3) return;
  const code = bytes[start + 1] | (bytes[start + 2] << 8);
  if (statusCodes[code] === undefined) {
    statusCodes[code] = encodeString(MysqlTag.statusCode, String(code));
    errorTypes[code] = encodeString(RoundTripTag.errorType, String(code));
  }
  exchange.detail.constant(statusCodes[code]);
  exchange.envelope.constant(errorTypes[code]);
  let at = start + 3;
  let signalled = code === ER_SIGNAL_EXCEPTION;
  if (end - at >= 6 && bytes[at] === HASH) {
    signalled ||= bytes[at + 1] === USER_CLASS_0 && bytes[at + 2] === USER_CLASS_1;
    exchange.detail.text(MysqlTag.sqlstate, bytes, at + 1, at + 6);
    at += 6;
  }
  if (at >= end || signalled) return;
  const stop = Math.min(end, at + MAX_MESSAGE_BYTES);
  const length = redactMessage(bytes, at, stop, stop < end);
  exchange.detail.text(MysqlTag.errorMessage, message, 0, length);
}

const HASH = 0x23;
const QUESTION = 0x3f;
const message = new Uint8Array(MAX_MESSAGE_BYTES);

/**
 * Copies an error text to `message` with `?` for what is in '…', "…" or `…`; answers its length. A value may have
 * quotes in it, and what the server quotes next may be one too, so a quotation ends at the last quote of its kind.
 * Where there is none, or the text is `cut`, it is the rest.
 */
function redactMessage(bytes: Uint8Array, start: number, end: number, cut: boolean): number {
  let length = 0;
  let at = start;
  while (at < end) {
    const byte = bytes[at];
    if (!isQuote(byte) || (at > start && bytes[at - 1] < 0x80 && isWord(bytes[at - 1]))) {
      message[length++] = byte;
      at++;
      continue;
    }
    message[length++] = QUESTION;
    let stop = end - 1;
    // An apostrophe between letters is none: `Table '…' doesn't exist`.
    while (stop > at && (bytes[stop] !== byte || (stop + 1 < end && isWord(bytes[stop + 1])))) stop--;
    at = cut || stop === at ? end : stop + 1;
  }
  return length;
}

function isQuote(byte: number): boolean {
  return byte === 0x27 || byte === 0x22 || byte === 0x60;
}

function isWord(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte >= 0x80
  );
}
