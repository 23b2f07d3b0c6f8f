/** Credentials, literals, parameters, rows and errors of PostgreSQL (protocol 3.0 and 3.2). */
import { client, type Message, server, u16, u32 } from '../messages/conversation.js';
import { done, error, message, query, READY, startup } from '../messages/postgresql.js';
import { type Conversation, Secrets } from './secrets.js';

export function postgresqlConversations(): Conversation[] {
  const s = new Secrets('postgresql');
  const messages: Message[] = [];
  let records = 0;
  const sql = (text: string, tag: string) => {
    messages.push(query(text), done(tag));
    records++;
  };
  const fails = (text: string, fields: Readonly<Record<string, string>>) => {
    messages.push(query(text), server(error({ S: 'ERROR', V: 'ERROR', ...fields }), READY));
    records++;
  };
  const key = s.word('cancel key');
  messages.push(
    client(startup(0x30002, 'user\0app\0database\0shop\0\0')),
    server(message('R', u32(10), 'SCRAM-SHA-256\0\0')),
    client(message('p', 'SCRAM-SHA-256\0', u32(45), `n,,n=,r=${s.word('SASL initial response')}`)),
    server(message('R', u32(11), `r=${s.word('SASL continue')},s=QSXCR==,i=4096`)),
    client(message('p', `c=biws,r=nonce,p=${s.word('SASL proof')}`)),
    server(
      message('R', u32(12), `v=${s.word('SASL final')}`),
      message('R', u32(0)),
      message('S', 'server_version\0', '18.0\0'),
      message('K', u32(4242), key),
      READY,
    ),
  );
  records++;
  sql(
    `SELECT * FROM users WHERE email = '${s.word('plain literal')}' AND id = ${s.number('number')}`,
    'SELECT 1',
  );
  sql(`SELECT E'a\\'${s.word('escape string')}' , U&'\\0061${s.word('unicode string')}' FROM t`, 'SELECT 1');
  sql(
    `SELECT $$${s.word('dollar')}$$, $x$ $$ '${s.word('tagged dollar')}' $$ $x$, N'${s.word('national')}'`,
    'SELECT 1',
  );
  sql(
    `SELECT B'1', X'${Buffer.from(s.word('hexadecimal literal')).toString('hex')}', 'it''s ${s.word('doubled quote')}'`,
    'SELECT 1',
  );
  sql(
    `SELECT 1 /* ${s.word('comment')} /* nested */ ${s.word('nested comment')} */ -- ${s.word('line comment')}`,
    'SELECT 1',
  );
  sql(`CREATE ROLE bob LOGIN PASSWORD '${s.word('CREATE ROLE')}'`, 'CREATE ROLE');
  sql(`ALTER ROLE bob ENCRYPTED PASSWORD 'SCRAM-SHA-256$4096:${s.word('ALTER ROLE')}'`, 'ALTER ROLE');
  sql(
    `CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'u', password '${s.word('user mapping')}')`,
    'CREATE USER MAPPING',
  );
  sql(`INSERT INTO t VALUES ('${s.word('first row')}', 1), ('${s.word('second row')}', 2)`, 'INSERT 0 2');
  sql(`UPDATE t SET a = '${s.word('never closed')}`, 'UPDATE 0');
  sql(`SET app.token = '${s.word('SET')}'; NOTIFY c, '${s.word('NOTIFY')}'`, 'SET');
  messages.push(
    query(`SELECT name FROM users WHERE token = '${s.word('literal of rows')}'`),
    server(
      message('T', u16(1), 'name\0', u32(0), u16(0), u32(25), u16(0xffff), u32(0xffffffff), u16(0)),
      message('D', u16(1), u32(20), s.word('row')),
      message('N', 'SNOTICE\0', 'C00000\0', `Mvalue "${s.word('notice')}"\0`, 0),
      message('A', u32(7), 'channel\0', `${s.word('notification')}\0`),
      message('C', 'SELECT 1\0'),
      READY,
    ),
  );
  records++;
  // The extended protocol: parameters in text and in binary.
  const parse = (name: string, text: string) => message('P', `${name}\0${text}\0`, u16(0));
  const text = s.word('text parameter');
  const binary = s.word('binary parameter');
  messages.push(
    client(
      parse('find', `SELECT * FROM users WHERE a = $1 AND b = $2 AND c = '${s.word('literal in Parse')}'`),
      message('B', '\0find\0', u16(2), u16(0), u16(1), u16(2), u32(20), text, u32(20), binary, u16(0)),
      message('D', 'P\0'),
      message('E', '\0', u32(0)),
      message('S'),
    ),
    server(
      message('1'),
      message('2'),
      message('n'),
      message('D', u16(1), u32(20), s.word('row of Execute')),
      message('C', 'SELECT 1\0'),
      READY,
    ),
  );
  records++;
  messages.push(
    client(
      parse('', 'INSERT INTO users VALUES ($1)'),
      message('B', '\0\0', u16(0), u16(1), u32(20), s.word('duplicate parameter'), u16(0)),
      message('E', '\0', u32(0)),
      message('S'),
    ),
    server(
      message('1'),
      message('2'),
      error({
        S: 'ERROR',
        V: 'ERROR',
        C: '23505',
        M: 'duplicate key value violates unique constraint "users_email_key"',
        D: `Key (email)=(${s.word('detail')}) already exists.`,
        H: `Try ${s.word('hint')}.`,
        W: `COPY users, line 1, column email: "${s.word('where')}"`,
        q: `SELECT '${s.word('internal query')}'`,
      }),
      READY,
    ),
  );
  records++;
  // COPY in and out.
  messages.push(
    query('COPY users FROM STDIN'),
    server(message('G', 0, u16(1), u16(0))),
    client(
      message('d', `1\t${s.word('COPY row')}\n`),
      message('d', `2\t${s.word('second COPY row')}\n`),
      message('c'),
    ),
    done('COPY 2'),
    query('COPY users TO STDOUT'),
    server(
      message('H', 0, u16(1), u16(0)),
      message('d', `1\t${s.word('COPY out')}\n`),
      message('c'),
      message('C', 'COPY 1\0'),
      READY,
    ),
    query('COPY users FROM STDIN'),
    server(message('G', 0, u16(1), u16(0))),
    client(message('f', `${s.word('CopyFail')}\0`)),
    server(
      error({ S: 'ERROR', C: '57014', M: `COPY from stdin failed: "${s.word('CopyFail repeated')}"` }),
      READY,
    ),
  );
  records += 3;
  messages.push(
    client(message('F', u32(1598), u16(0), u16(1), u32(20), s.word('function argument'), u16(0))),
    server(message('V', u32(20), s.word('function result')), READY),
  );
  records++;
  fails(`SELECT '${s.word('of an integer')}'::int`, {
    C: '22P02',
    M: `invalid input syntax for type integer: "${s.word('quoted in M')}"`,
  });
  // Words of functions are their own.
  fails(`CALL refuse('${s.word('argument of a function')}')`, {
    C: 'P0001',
    M: `no account ${s.word('RAISE')} here`,
    R: 'exec_stmt_raise',
  });
  fails('SELECT refuse()', { C: '22023', M: `bad ${s.word('RAISE with ERRCODE')}`, R: 'exec_stmt_raise' });
  fails('SELECT refuse()', { C: 'P0004', M: s.word('ASSERT'), R: 'exec_stmt_assert' });
  fails('SELECT of_perl()', { C: '38000', M: `${s.word('die')} at line 1.`, R: 'plperl_call_perl_func' });
  fails(`INSERT INTO t VALUES ('O'Brien', '${s.word('behind a quote too many')}')`, {
    C: '42601',
    M: 'syntax error at or near "Brien"',
    R: 'scanner_yyerror',
  });
  sql(`SET "app.token" = ${s.word('parameter with a dot in quotes')}`, 'SET');
  fails('SELEC', { C: '42601', M: `syntax error at or near "${s.word('near')}"` });
  fails('SELECT 1', {
    C: '22P02',
    M: `invalid input syntax for type json: "say "hi ${s.word('quotes in a value')}" now"`,
  });
  // Messages of servers whose lc_messages is another language have its quotation marks.
  fails('SELECT 1', {
    C: '22P02',
    M: `ungültige Eingabesyntax für Typ integer: »${s.word('German quotes')}«`,
  });
  fails('SELECT 1', { C: '22P02', M: `syntaxe en entrée invalide : « ${s.word('French quotes')} »` });
  fails('SELECT 1', { C: '22P02', M: `無効な構文: “${s.word('curly quotes')}”` });
  sql('SELECT 1', 'SELECT 1');
  const cancel = new Secrets('postgresql cancel');
  const password = new Secrets('postgresql password');
  return [
    { protocol: 'postgresql', name: 'postgresql', serverPort: 5432, messages, secrets: s, records },
    {
      protocol: 'postgresql',
      name: 'postgresql cancel',
      serverPort: 5432,
      messages: [client(startup(80_877_102, u32(4242), cancel.word('key')))],
      secrets: cancel,
      records: 1,
    },
    {
      protocol: 'postgresql',
      name: 'postgresql password',
      serverPort: 5432,
      messages: [
        client(
          startup(
            0x30000,
            'user\0app\0database\0shop\0options\0',
            `-c app.key=${password.word('options')}\0\0`,
          ),
        ),
        server(message('R', u32(3))),
        client(message('p', `${password.word('clear password')}\0`)),
        server(
          error({
            S: 'FATAL',
            V: 'FATAL',
            C: '28P01',
            M: `password authentication failed for user "${password.word('user in FATAL')}"`,
          }),
        ),
      ],
      secrets: password,
      records: 1,
    },
  ];
}
