/** Follows the server's packets through the answer to one command. Rows are counted, never read. */
import { Escapes } from '../../redact/sql.js';
import { type Command, Stage } from './command.js';
import { writeError } from './record.js';
import type { Session } from './session.js';
import {
  afterLenenc,
  afterString,
  Capability,
  Com,
  EOF_BYTES,
  lenenc,
  MAX_PAYLOAD_BYTES,
  PROGRESS_REPORT,
  Reply,
  ServerStatus,
  uint16,
  uint32,
} from './wire.js';

/** Largest column count there is (MAX_FIELDS in the servers is 4096). */
const MAX_COLUMNS = 65_535;
/** Shortest OK packet of protocol 4.1. */
const MIN_OK_BYTES = 7;

/** Answer of `packet`. */
export const Progress = {
  /** More packets follow. */
  OPEN: 0,
  DONE: 1,
  /** Not an answer to this command. */
  BAD: 2,
} as const;
export type Progress = (typeof Progress)[keyof typeof Progress];

/** Where the answer to a command begins. */
export function firstStage(code: number): Stage {
  switch (code) {
    case Com.CONNECT:
    case Com.CHANGE_USER:
      return Stage.AUTH;
    case Com.STATISTICS:
      return Stage.TEXT;
    case Com.FIELD_LIST:
      return Stage.FIELDS;
    case Com.STMT_FETCH:
      return Stage.ROWS;
    default:
      return Stage.FIRST;
  }
}

/** Is a packet with this first byte and length a mere definition or row, which is passed over unread? */
export function isPassedOver(stage: Stage, first: number, length: number): boolean {
  if (first === Reply.ERR) return false;
  switch (stage) {
    case Stage.ROWS:
    case Stage.FIELDS:
      return first !== Reply.EOF || length === MAX_PAYLOAD_BYTES;
    case Stage.DEFINITIONS:
    case Stage.PARAMETERS:
    case Stage.PREPARED_COLUMNS:
      return true;
    default:
      return false;
  }
}

/** Counts a packet that is passed over. */
export function passOver(command: Command, session: Session): Progress {
  switch (command.stage) {
    case Stage.ROWS:
      command.rows++;
      return Progress.OPEN;
    case Stage.DEFINITIONS:
      if (--command.remaining === 0) {
        command.stage = session.deprecateEof === 1 ? Stage.ROWS : Stage.DEFINITIONS_END;
      }
      return Progress.OPEN;
    case Stage.PARAMETERS:
      if (--command.remaining > 0) return Progress.OPEN;
      if (session.deprecateEof === 1) return preparedColumns(command);
      command.stage = Stage.PARAMETERS_END;
      return Progress.OPEN;
    case Stage.PREPARED_COLUMNS:
      if (--command.remaining > 0) return Progress.OPEN;
      if (session.deprecateEof === 1) return Progress.DONE;
      command.stage = Stage.PREPARED_COLUMNS_END;
      return Progress.OPEN;
    default:
      command.columns++;
      return Progress.OPEN;
  }
}

/**
 * One packet that is not passed over: [start, end) are its bytes, the packet `length` long. Where nobody
 * knows whether EOF packets are sent (the login was not seen), the first place for one tells.
 */
export function packet(
  command: Command,
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
  length: number,
): Progress {
  if (length === 0) return Progress.BAD;
  const first = bytes[start];
  const isEof = first === Reply.EOF && length <= EOF_BYTES;
  if (first === Reply.ERR) {
    if (end - start >= 3 && uint16(bytes, start + 1) === PROGRESS_REPORT) return Progress.OPEN;
    writeError(command.exchange, bytes, start, end);
    return Progress.DONE;
  }
  switch (command.stage) {
    case Stage.FIRST:
      return firstPacket(command, session, bytes, start, end, length);
    case Stage.AUTH:
      if (first !== Reply.OK) return Progress.OPEN;
      return ok(command, session, bytes, start, end);
    case Stage.DEFINITIONS_END:
      command.stage = Stage.ROWS;
      if (isEof) {
        session.deprecateEof = 0;
        const status = length === EOF_BYTES ? serverStatus(session, bytes, start + 3) : 0;
        if (command.code !== Com.QUERY && (status & ServerStatus.CURSOR_EXISTS) !== 0) {
          return endOfResult(command, status);
        }
        return Progress.OPEN;
      }
      if (session.deprecateEof === 0) return Progress.BAD;
      session.deprecateEof = 1;
      if (isPassedOver(Stage.ROWS, first, length)) return passOver(command, session);
      return endOfRows(command, session, bytes, start, end, length);
    case Stage.PARAMETERS_END:
      if (!isEof && session.deprecateEof === 0) return Progress.BAD;
      session.deprecateEof = isEof ? 0 : 1;
      return isEof ? preparedColumns(command) : passDefinition(command, session);
    case Stage.PREPARED_COLUMNS_END:
      if (!isEof) return Progress.BAD;
      session.deprecateEof = 0;
      return Progress.DONE;
    case Stage.TEXT:
      return Progress.DONE;
    case Stage.ROWS:
    case Stage.FIELDS:
      return endOfRows(command, session, bytes, start, end, length);
    default:
      return Progress.BAD;
  }
}

/** The packet behind the parameters was the first column after all. */
function passDefinition(command: Command, session: Session): Progress {
  if (preparedColumns(command) === Progress.DONE) return Progress.BAD;
  return passOver(command, session);
}

function preparedColumns(command: Command): Progress {
  if (command.columns === 0) return Progress.DONE;
  command.remaining = command.preparedColumns;
  command.stage = command.remaining === 0 ? Stage.PREPARED_COLUMNS_END : Stage.PREPARED_COLUMNS;
  return Progress.OPEN;
}

function firstPacket(
  command: Command,
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
  length: number,
): Progress {
  const first = bytes[start];
  if (command.code === Com.STMT_PREPARE) return preparedStatement(command, session, bytes, start, end);
  if (first === Reply.LOCAL_INFILE) {
    if (command.code !== Com.QUERY) return Progress.BAD;
    command.stage = Stage.INFILE;
    return Progress.OPEN;
  }
  if (first === Reply.EOF && length < 9) return endOfRows(command, session, bytes, start, end, length);
  if (first === Reply.OK) {
    if (length < (session.known && !session.has(Capability.PROTOCOL_41) ? 3 : MIN_OK_BYTES)) {
      return Progress.BAD;
    }
    return ok(command, session, bytes, start, end);
  }
  const columns = lenenc(bytes, start, end);
  if (columns <= 0 || columns > MAX_COLUMNS) return Progress.BAD;
  const next = afterLenenc(bytes, start, end);
  // int<1> "definitions follow", behind the count whatever MySQL's manual says.
  let follow = true;
  const mayLack = session.known ? session.mayLackDefinitions : next + 1 === end && bytes[next] <= 1;
  if (mayLack && next < end) follow = bytes[next] !== 0;
  else if (next !== end) return Progress.BAD;
  command.resultSets++;
  if (command.resultSets === 1) command.columns = columns;
  if (command.rows < 0) command.rows = 0;
  command.remaining = columns;
  if (follow) command.stage = Stage.DEFINITIONS;
  else if (session.deprecateEof === 1) command.stage = Stage.ROWS;
  else command.stage = Stage.DEFINITIONS_END;
  return Progress.OPEN;
}

/**
 * COM_STMT_PREPARE_OK: int<1> 0, int<4> statement id, int<2> columns, int<2> parameters, int<1> 0,
 * int<2> warnings, and int<1> "definitions follow" with CLIENT_OPTIONAL_RESULTSET_METADATA. The EOF packets
 * behind definitions are sent without them too.
 */
function preparedStatement(
  command: Command,
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
): Progress {
  if (bytes[start] !== Reply.OK || end - start < 9) return Progress.BAD;
  const id = uint32(bytes, start + 1);
  const parameters = uint16(bytes, start + 7);
  command.statementId = id;
  command.parameters = parameters;
  command.columns = uint16(bytes, start + 5);
  if (end - start >= 12) command.warnings += uint16(bytes, start + 10);
  session.prepared(id, { shape: command.shape, parameters });
  const mayLack = end - start >= 13 && session.has(Capability.OPTIONAL_RESULTSET_METADATA);
  const follow = !mayLack || bytes[start + 12] !== 0;
  if (!follow && session.deprecateEof === 1) return Progress.DONE;
  command.preparedColumns = follow ? command.columns : 0;
  if (parameters === 0) return preparedColumns(command);
  command.remaining = parameters;
  command.stage = follow ? Stage.PARAMETERS : Stage.PARAMETERS_END;
  return Progress.OPEN;
}

/** EOF_Packet: int<1> 0xFE, int<2> warnings, int<2> status; or an OK_Packet that begins with 0xFE. */
function endOfRows(
  command: Command,
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
  length: number,
): Progress {
  if (length > EOF_BYTES) return ok(command, session, bytes, start, end);
  if (length < EOF_BYTES) return endOfResult(command, 0);
  command.warnings += uint16(bytes, start + 1);
  return endOfResult(command, serverStatus(session, bytes, start + 3));
}

/**
 * OK_Packet: int<1> 0x00 or 0xFE, int<lenenc> affected rows, int<lenenc> last insert id, int<2> status,
 * int<2> warnings; with CLIENT_SESSION_TRACK string<lenenc> info and, where the status says so,
 * string<lenenc> session state changes.
 */
function ok(command: Command, session: Session, bytes: Uint8Array, start: number, end: number): Progress {
  const affected = lenenc(bytes, start + 1, end);
  let at = afterLenenc(bytes, start + 1, end);
  const id = lenenc(bytes, at, end);
  if (affected < 0 || id < 0) return Progress.BAD;
  at = afterLenenc(bytes, at, end);
  if (bytes[start] === Reply.OK && command.stage !== Stage.AUTH) {
    command.affectedRows = Math.min(Math.max(command.affectedRows, 0) + affected, Number.MAX_SAFE_INTEGER);
  }
  if (id > 0) command.lastInsertId = id;
  if (at + 2 > end) return endOfResult(command, 0);
  const status = serverStatus(session, bytes, at);
  if (at + 4 <= end) command.warnings += uint16(bytes, at + 2);
  if (session.has(Capability.SESSION_TRACK) && (status & ServerStatus.SESSION_STATE_CHANGED) !== 0) {
    const changes = afterString(bytes, at + 4, end);
    const length = lenenc(bytes, changes, end);
    if (length > 0 && afterString(bytes, changes, end) <= end) {
      const from = afterLenenc(bytes, changes, end);
      session.track(bytes, from, from + length);
    }
  }
  return endOfResult(command, status);
}

function serverStatus(session: Session, bytes: Uint8Array, at: number): number {
  const status = uint16(bytes, at);
  session.escapes = (status & ServerStatus.NO_BACKSLASH_ESCAPES) === 0 ? Escapes.YES : Escapes.NO;
  return status;
}

function endOfResult(command: Command, status: number): Progress {
  if ((status & ServerStatus.MORE_RESULTS_EXISTS) !== 0) {
    command.stage = Stage.FIRST;
    return Progress.OPEN;
  }
  return Progress.DONE;
}

/** The answer is whole as it is, though an EOF packet could have followed: then there are none. */
export function isWholeWithoutEof(command: Command, session: Session): boolean {
  if (session.deprecateEof !== -1) return false;
  if (command.stage === Stage.PREPARED_COLUMNS_END) return true;
  return command.stage === Stage.PARAMETERS_END && command.preparedColumns === 0;
}
