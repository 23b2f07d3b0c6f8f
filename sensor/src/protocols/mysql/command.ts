/** A command whose answer is not whole yet. */
import type { Constant } from '@packetd/proto';
import type { SqlShape } from '../../redact/sql.js';
import type { Exchange } from '../exchange.js';

/** What the next packet of the answer is. */
export const Stage = {
  /** OK, ERR, the request for a local file, or the column count of a result set. */
  FIRST: 0,
  /** Column definitions, `remaining` of them. */
  DEFINITIONS: 1,
  /** The EOF packet behind them, unless CLIENT_DEPRECATE_EOF. */
  DEFINITIONS_END: 2,
  ROWS: 3,
  /** COM_STMT_PREPARE: parameter definitions. */
  PARAMETERS: 4,
  PARAMETERS_END: 5,
  /** COM_STMT_PREPARE: column definitions, which no rows follow. */
  PREPARED_COLUMNS: 6,
  PREPARED_COLUMNS_END: 7,
  /** COM_FIELD_LIST: column definitions up to an EOF packet. */
  FIELDS: 8,
  /** The client sends a file; an empty packet ends it. */
  INFILE: 9,
  /** Authentication: OK or ERR ends it. */
  AUTH: 10,
  /** One packet of text. */
  TEXT: 11,
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

export class Command {
  exchange!: Exchange;
  next: Command | null = null;
  /** A value of `Com`. */
  code = 0;
  stage: Stage = Stage.FIRST;
  /** Sequence id of the answer's first packet. */
  answerSequence = 1;
  /** A packet of the answer was seen. */
  begun = false;
  /** Not known which answer is its own. */
  doubtful = false;
  /** Runs the statement that was prepared last, whose preparation was not seen. */
  lacksStatement = false;
  /** Commands that the client sent after it are lost. */
  lossFollows = false;
  /** Definitions still to come. */
  remaining = 0;
  preparedColumns = 0;
  shape: SqlShape | null = null;
  /** The current database when the command succeeds, a field in wire format; null leaves it, empty is unknown. */
  namespace: Constant | null = null;
  /** The user when the command succeeds, a field in wire format. */
  user: Constant | null = null;
  /** The character set when the command succeeds, and before it; -1 leaves it. */
  charset = -1;
  formerCharset = -1;
  statementId = -1;
  parameters = -1;
  affectedRows = -1;
  lastInsertId = 0;
  warnings = 0;
  rows = -1;
  columns = 0;
  resultSets = 0;

  reset(exchange: Exchange, code: number): void {
    this.exchange = exchange;
    this.next = null;
    this.code = code;
    this.stage = Stage.FIRST;
    this.answerSequence = 1;
    this.begun = false;
    this.doubtful = false;
    this.lacksStatement = false;
    this.lossFollows = false;
    this.remaining = 0;
    this.preparedColumns = 0;
    this.shape = null;
    this.namespace = null;
    this.user = null;
    this.charset = -1;
    this.formerCharset = -1;
    this.statementId = -1;
    this.parameters = -1;
    this.affectedRows = -1;
    this.lastInsertId = 0;
    this.warnings = 0;
    this.rows = -1;
    this.columns = 0;
    this.resultSets = 0;
  }
}

const MAX_POOLED = 1024;
const free: Command[] = [];

export function takeCommand(exchange: Exchange, code: number): Command {
  const command = free.pop() ?? new Command();
  command.reset(exchange, code);
  return command;
}

/** The exchange went its own way; the command is used again. */
export function releaseCommand(command: Command): void {
  if (free.length < MAX_POOLED) free.push(command);
}
