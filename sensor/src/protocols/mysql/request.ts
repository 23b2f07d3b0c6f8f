/** What a command's packet says. */
import { MysqlTag } from '@packetd/proto';
import { Escapes, MYSQL, type SqlShape, SqlShapes } from '../../redact/sql.js';
import { Charset } from '../../redact/sql-charset.js';
import { afterAttributes, looksLikeAttributes } from './attributes.js';
import type { Command } from './command.js';
import { changeReading, selectedCharset, selectedDatabase, userChange } from './selection.js';
import { encodeName, type Session } from './session.js';
import { Capability, Com, uint32 } from './wire.js';

/** MariaDB: the statement that was prepared last. */
const LAST_STATEMENT = 0xffffffff;

const shapes = new SqlShapes(MYSQL);

/** [start, end) is the payload behind the command's first byte, as far as it is read. */
export function describe(
  command: Command,
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  switch (command.code) {
    case Com.QUERY: {
      const sql = sqlStart(session, bytes, start, end);
      if (sql < 0) return;
      let shape = shapes.shape(bytes, sql, end, session.escapes, session.charset);
      if (shape.changesReading) {
        // The statements behind it too are read by other rules.
        shape = shapes.shape(bytes, sql, end, Escapes.UNKNOWN, Charset.UNKNOWN);
        changeReading(command, session, selectedCharset(bytes, sql, end, session.charset));
      }
      command.shape = shape;
      if (shape.operation === 'USE') command.namespace = selectedDatabase(bytes, sql, end);
      return;
    }
    case Com.STMT_PREPARE:
      command.shape = shapes.shape(bytes, start, end, session.escapes, session.charset);
      session.lastShape = command.shape;
      return;
    case Com.STMT_EXECUTE:
    case Com.STMT_BULK_EXECUTE:
    case Com.STMT_RESET:
    case Com.STMT_FETCH: {
      if (end - start < 4) return;
      const id = uint32(bytes, start);
      const executes = command.code === Com.STMT_EXECUTE || command.code === Com.STMT_BULK_EXECUTE;
      if (id === LAST_STATEMENT) {
        if (executes) execute(command, session, session.lastShape);
        command.lacksStatement = session.lastShape === null;
        return;
      }
      command.statementId = id;
      const statement = session.statement(id);
      if (statement === undefined || !executes) return;
      execute(command, session, statement.shape);
      command.parameters = statement.parameters;
      return;
    }
    case Com.INIT_DB:
      command.namespace = encodeName(MysqlTag.namespace, bytes, start, end);
      return;
    case Com.CHANGE_USER:
      userChange(command, session, bytes, start, end);
      return;
    case Com.RESET_CONNECTION:
      changeReading(command, session, Charset.UNKNOWN);
      return;
  }
}

function execute(command: Command, session: Session, shape: SqlShape | null): void {
  command.shape = shape;
  if (shape?.changesReading) changeReading(command, session, Charset.UNKNOWN);
}

/** Is it the execution of the statement that was prepared last? Its payload begins at `start`. */
export function runsLastStatement(code: number, bytes: Uint8Array, start: number): boolean {
  const executes = code === Com.STMT_EXECUTE || code === Com.STMT_BULK_EXECUTE;
  return executes && uint32(bytes, start) === LAST_STATEMENT;
}

/** Where the SQL of COM_QUERY begins, or -1 where that cannot be told. */
function sqlStart(session: Session, bytes: Uint8Array, start: number, end: number): number {
  const attributes = session.known
    ? session.has(Capability.QUERY_ATTRIBUTES)
    : looksLikeAttributes(bytes, start, end);
  return attributes ? afterAttributes(bytes, start, end) : start;
}
