/** Login, literals, parameters, rows and errors of MySQL. */
import { client, type Message, server, u16le, u32le } from '../messages/conversation.js';
import {
  COM_CHANGE_USER,
  COM_QUERY,
  COM_STMT_EXECUTE,
  COM_STMT_PREPARE,
  COM_STMT_SEND_LONG_DATA,
  column,
  eof,
  error,
  greeting,
  lengthEncoded,
  login,
  ok,
  packet,
  STRING,
} from '../messages/mysql.js';
import { type Conversation, Secrets } from './secrets.js';

export function mysqlConversations(): Conversation[] {
  const s = new Secrets('mysql');
  const messages: Message[] = [
    server(greeting),
    client(login(1, s.word('auth response'), 'caching_sha2_password', s.word('connection attribute'))),
    server(packet(2, 1, 4)),
    client(packet(3, `${s.word('full authentication')}\0`)),
    server(ok(4)),
  ];
  let records = 1;
  const query = (sql: string) => client(packet(0, COM_QUERY, Buffer.from(sql)));
  const sql = (text: string) => {
    messages.push(query(text), server(ok(1, 1)));
    records++;
  };
  const fails = (text: string, code: number, state: string, said: string) => {
    messages.push(query(text), server(error(1, code, state, said)));
    records++;
  };
  sql(
    `UPDATE users SET a = '${s.word('single quotes')}', b = "${s.word('double quotes')}" WHERE c = ${s.number('number')}`,
  );
  sql(
    `INSERT INTO t VALUES (_utf8mb4'${s.word('introducer')}', N'${s.word('national')}', 'a\\'${s.word('escaped')}')`,
  );
  sql(
    `INSERT INTO t VALUES (x'${Buffer.from(s.word('hexadecimal')).toString('hex')}', 0x${Buffer.from(s.word('0x')).toString('hex')})`,
  );
  sql(`INSERT INTO t VALUES ('it''s ${s.word('doubled')}') # ${s.word('hash comment')}`);
  sql(`SET PASSWORD = '${s.word('SET PASSWORD')}' /* ${s.word('comment')} */ -- ${s.word('line comment')}`);
  sql(`CREATE USER bob@'%' IDENTIFIED BY '${s.word('CREATE USER')}'`);
  sql(`ALTER USER bob IDENTIFIED WITH mysql_native_password AS '*${s.word('ALTER USER')}'`);
  sql(`GRANT ALL ON *.* TO bob IDENTIFIED BY PASSWORD '${s.word('GRANT')}'`);
  sql(`CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD="${s.word('replication')}"`);
  sql(`/*!50000 SET @secret = '${s.word('executable comment')}' */`);
  sql(`DELETE FROM t WHERE a = '${s.word('never closed')}`);
  messages.push(
    query(`SELECT name FROM users WHERE token = '${s.word('literal of rows')}'`),
    server(packet(1, 1), column(2, 'name'), eof(3), packet(4, lengthEncoded(s.word('row'))), eof(5)),
  );
  records++;
  // A prepared statement whose parameters come in Execute and as long data.
  messages.push(
    client(packet(0, COM_STMT_PREPARE, `INSERT INTO t VALUES (?, ?, '${s.word('literal in Prepare')}')`)),
    server(packet(1, 0, u32le(1), u16le(0), u16le(2), 0, u16le(0)), column(2, '?'), column(3, '?'), eof(4)),
    client(packet(0, COM_STMT_SEND_LONG_DATA, u32le(1), u16le(1), s.word('long data'))),
    client(
      packet(
        0,
        ...[COM_STMT_EXECUTE, u32le(1), 0, u32le(1), 0, 1, STRING, 0, STRING, 0],
        lengthEncoded(s.word('parameter')),
      ),
    ),
    server(ok(1, 1)),
  );
  records += 2;
  fails(
    'INSERT INTO users VALUES (1)',
    1062,
    '23000',
    `Duplicate entry '${s.word('duplicate entry')}' for key 'users.email'`,
  );
  fails(
    'INSERT INTO users VALUES (2)',
    1062,
    '23000',
    `Duplicate entry 'O'Brien ${s.word('apostrophe in the entry')}' for key 'users.name'`,
  );
  fails(
    'INSERT INTO users VALUES (3)',
    1366,
    'HY000',
    `Incorrect string value: '${s.word('incorrect value')}' for column 'a' at row 1`,
  );
  fails(
    'SELEC',
    1064,
    '42000',
    `You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'SELEC * FROM t WHERE p = '${s.word('near')}'' at line 1`,
  );
  // Words of SIGNAL are the application's own.
  fails('CALL refuse()', 1644, '45000', `no account ${s.word('SIGNAL')} here`);
  fails('CALL refuse()', 50_001, '45000', `no account ${s.word('SIGNAL with a number')} here`);
  fails(
    `SELECT * FROM t WHERE a = 'O'Brien' AND b = '${s.word('behind a quote too many')}'`,
    1064,
    '42000',
    `You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'Brien' AND b = '${s.word('near Brien')}'' at line 1`,
  );
  fails('SELECT 1', 1292, '22007', `Truncated incorrect DOUBLE value: '${s.word('truncated')}'`);
  fails('SELECT 2', 1525, 'HY000', `Incorrect DATETIME value: 'a' and '${s.word('second value')}'`);
  fails(
    'SELECT 3',
    1411,
    'HY000',
    `Incorrect datetime value: "${s.word('quoted twice')}" for function str_to_date`,
  );
  messages.push(
    client(
      packet(
        0,
        ...[COM_CHANGE_USER, 'bob\0', lengthEncoded(s.word('COM_CHANGE_USER')), 'shop\0', u16le(45)],
        'mysql_clear_password\0',
      ),
    ),
    server(packet(1, 0xfe, 'mysql_clear_password\0')),
    client(packet(2, `${s.word('clear password')}\0`)),
    server(ok(3)),
  );
  records++;
  sql('DO 1');
  const denied = new Secrets('mysql denied');
  return [
    { protocol: 'mysql', name: 'mysql', serverPort: 3306, messages, secrets: s, records },
    {
      protocol: 'mysql',
      name: 'mysql denied',
      serverPort: 3306,
      messages: [
        server(greeting),
        client(login(1, denied.word('auth response'), 'caching_sha2_password', 'x')),
        server(packet(2, 0xfe, 'mysql_clear_password\0')),
        client(packet(3, `${denied.word('auth switch')}\0`)),
        server(
          error(
            4,
            1045,
            '28000',
            `Access denied for user '${denied.word('user in the message')}'@'h' (using password: YES)`,
          ),
        ),
      ],
      secrets: denied,
      records: 1,
    },
  ];
}
