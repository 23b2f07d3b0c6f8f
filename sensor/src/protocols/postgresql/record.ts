/** Writes what requests and answers say into an exchange. */
import { type Constant, encodeString, PostgresqlTag, RoundTripTag } from '@packetd/proto';
import { sanitiseMessage } from '../../redact/message.js';
import type { SqlShape } from '../../redact/sql.js';
import type { Exchange } from '../exchange.js';
import { stringEnd } from './wire.js';

function request(name: string): Constant {
  return encodeString(PostgresqlTag.request, name);
}

export const Request = {
  CONNECT: request('connect'),
  QUERY: request('query'),
  EXECUTE: request('execute'),
  PARSE: request('parse'),
  FUNCTION_CALL: request('function_call'),
  CANCEL: request('cancel'),
} as const;

/** Text, summary, operation and table. Answers false where the operation is not known yet. */
export function writeShape(exchange: Exchange, shape: SqlShape): boolean {
  const { detail, envelope } = exchange;
  const { text, summary, collection, operationBytes } = shape;
  if (text.length > 0) detail.text(PostgresqlTag.queryText, text, 0, text.length);
  if (summary.length > 0) detail.text(PostgresqlTag.querySummary, summary, 0, summary.length);
  if (collection.length > 0) {
    detail.text(PostgresqlTag.collection, collection, 0, collection.length);
    envelope.text(RoundTripTag.target, collection, 0, collection.length);
  }
  if (operationBytes.length === 0) return false;
  writeOperation(exchange, operationBytes, 0, operationBytes.length);
  return true;
}

export function writeOperation(exchange: Exchange, bytes: Uint8Array, start: number, end: number): void {
  exchange.envelope.text(RoundTripTag.operation, bytes, start, end);
  exchange.detail.text(PostgresqlTag.command, bytes, start, end);
}

const Field = { SEVERITY: 0x53, SEVERITY_ENGLISH: 0x56, CODE: 0x43, MESSAGE: 0x4d, ROUTINE: 0x52 } as const;

/** raise_exception, assert_failure, and class 38 (External Routine Exception): Perl, Python and Tcl. */
const CODES_OF_FUNCTIONS = ['P0001', 'P0004', '38'].map((code) => Buffer.from(code, 'latin1'));
/** What raises the errors of functions, whose SQLSTATE can be any: RAISE and ASSERT of PL/pgSQL, plpy.error. */
const ROUTINES_OF_FUNCTIONS = ['exec_stmt_raise', 'exec_stmt_assert', 'PLy_output'].map((name) =>
  Buffer.from(name, 'latin1'),
);

/**
 * The fields of ErrorResponse by their letters, in whatever order they are. The words of a function are its own,
 * with values that nothing tells from them: they are not recorded.
 */
export function writeError(exchange: Exchange, bytes: Uint8Array, start: number, end: number): void {
  const { detail, envelope } = exchange;
  let severity = -1;
  let english = -1;
  let coded = false;
  let ofFunction = false;
  let messageStart = -1;
  let messageEnd = -1;
  for (let at = start; at < end && bytes[at] !== 0; ) {
    const letter = bytes[at];
    const from = at + 1;
    const stop = stringEnd(bytes, from, end);
    if (stop < 0) {
      // It is longer than what was seen, and who raised it comes last.
      ofFunction = true;
      break;
    }
    switch (letter) {
      case Field.SEVERITY:
        severity = from;
        break;
      case Field.SEVERITY_ENGLISH:
        english = from;
        break;
      case Field.CODE:
        if (coded) break;
        coded = true;
        ofFunction ||= CODES_OF_FUNCTIONS.some((code) => startsWith(code, bytes, from, stop));
        detail.text(PostgresqlTag.statusCode, bytes, from, stop);
        envelope.text(RoundTripTag.errorType, bytes, from, stop);
        break;
      case Field.ROUTINE:
        ofFunction ||= ROUTINES_OF_FUNCTIONS.some(
          (name) => name.length === stop - from && startsWith(name, bytes, from, stop),
        );
        break;
      case Field.MESSAGE:
        messageStart = from;
        messageEnd = stop;
    }
    at = stop + 1;
  }
  if (messageStart >= 0 && !ofFunction) {
    const message = sanitiseMessage(bytes, messageStart, messageEnd);
    detail.text(PostgresqlTag.errorMessage, message, 0, message.length);
  }
  if (!coded) exchange.errorType('error');
  const shown = english >= 0 ? english : severity;
  if (shown >= 0) detail.text(PostgresqlTag.severity, bytes, shown, stringEnd(bytes, shown, end));
}

function startsWith(text: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length > end - start) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}

const TAGS_WITH_ROWS = ['INSERT', 'UPDATE', 'DELETE', 'MERGE', 'COPY'].map((tag) =>
  Buffer.from(tag, 'latin1'),
);

/** Rows that a command tag says were changed (`INSERT 0 5`, `UPDATE 3`); -1 where it says nothing of the kind. */
export function affectedRows(bytes: Uint8Array, start: number, end: number): number {
  let word = start;
  while (word < end && bytes[word] !== 0x20) word++;
  let changes = false;
  for (const tag of TAGS_WITH_ROWS) {
    if (tag.length === word - start && startsWith(tag, bytes, start, word)) changes = true;
  }
  if (!changes) return -1;
  let rows = 0;
  let scale = 1;
  let at = end - 1;
  for (; at > word && bytes[at] >= 0x30 && bytes[at] <= 0x39; at--, scale *= 10)
    rows += (bytes[at] - 0x30) * scale;
  return scale === 1 ? -1 : rows;
}

export const TRANSACTION_STATUS: readonly (Constant | undefined)[] = (() => {
  const table: Constant[] = [];
  table[0x49] = encodeString(PostgresqlTag.transactionStatus, 'idle');
  table[0x54] = encodeString(PostgresqlTag.transactionStatus, 'transaction');
  table[0x45] = encodeString(PostgresqlTag.transactionStatus, 'failed');
  return table;
})();
