/** What a command's packet says. */
import { MysqlTag } from '@packetd/proto';
import { MYSQL, MYSQL_NO_ESCAPES, SqlShapes } from '../../redact/sql.js';
import { afterAttributes } from './attributes.js';
import type { Command } from './command.js';
import { selectedDatabase, userChange } from './selection.js';
import { encodeName, type Session } from './session.js';
import { Capability, Com, uint32 } from './wire.js';

/** MariaDB: the statement that was prepared last. */
const LAST_STATEMENT = 0xffffffff;

const escapeShapes = new SqlShapes(MYSQL);
const plainShapes = new SqlShapes(MYSQL_NO_ESCAPES);

/** [start, end) is the payload behind the command's first byte, as far as it is read. */
export function describe(
  command: Command,
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const shapes = session.backslashEscapes ? escapeShapes : plainShapes;
  switch (command.code) {
    case Com.QUERY: {
      const sql = sqlStart(session, bytes, start, end);
      if (sql < 0) return;
      const shape = shapes.shape(bytes, sql, end);
      command.shape = shape;
      if (shape.operation === 'USE') command.namespace = selectedDatabase(bytes, sql, end);
      return;
    }
    case Com.STMT_PREPARE:
      command.shape = shapes.shape(bytes, start, end);
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
        if (executes) command.shape = session.lastShape;
        command.lacksStatement = session.lastShape === null;
        return;
      }
      command.statementId = id;
      const statement = session.statement(id);
      if (statement === undefined || !executes) return;
      command.shape = statement.shape;
      command.parameters = statement.parameters;
      return;
    }
    case Com.INIT_DB:
      command.namespace = encodeName(MysqlTag.namespace, bytes, start, end);
      return;
    case Com.CHANGE_USER:
      userChange(command, session, bytes, start, end);
      return;
  }
}

/** Is it the execution of the statement that was prepared last? Its payload begins at `start`. */
export function runsLastStatement(code: number, bytes: Uint8Array, start: number): boolean {
  const executes = code === Com.STMT_EXECUTE || code === Com.STMT_BULK_EXECUTE;
  return executes && uint32(bytes, start) === LAST_STATEMENT;
}

/** Where the SQL of COM_QUERY begins, or -1 where that cannot be told. */
function sqlStart(session: Session, bytes: Uint8Array, start: number, end: number): number {
  if (session.known) {
    return session.has(Capability.QUERY_ATTRIBUTES) ? afterAttributes(bytes, start, end) : start;
  }
  return end - start >= 2 && bytes[start] === 0 && bytes[start + 1] === 1 ? start + 2 : start;
}
