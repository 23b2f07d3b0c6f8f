/** Literals by the rules of the PostgreSQL manual (section 4.1.2) and the MySQL manual (section 11.1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Escapes, MAX_TEXT_BYTES, MYSQL, POSTGRESQL, type SqlDialect, SqlShapes } from './sql.js';
import { Charset } from './sql-charset.js';

const decoder = new TextDecoder();
const { NO, YES, UNKNOWN } = Escapes;
/** As the dialect's server reads it by default, where nothing else is said. */
function shape(
  dialect: SqlDialect,
  sql: string | Buffer,
  escapes: Escapes = dialect === MYSQL ? YES : NO,
  charset: Charset = Charset.PLAIN,
) {
  const bytes = Buffer.from(sql as string);
  const found = new SqlShapes(dialect).shape(bytes, 0, bytes.length, escapes, charset);
  return [found.text, found.operation, found.collection, found.summary].map((part) =>
    typeof part === 'string' ? part : decoder.decode(part),
  );
}

const CASES: [
  dialect: SqlDialect,
  sql: string,
  text: string,
  operation: string,
  table: string,
  summary: string,
][] = [
  [
    POSTGRESQL,
    "SELECT * FROM users WHERE id = 42 AND name='O''Brien' -- x",
    'SELECT * FROM users WHERE id = ? AND name=?',
    'SELECT',
    'users',
    'SELECT users',
  ],
  [
    POSTGRESQL,
    "INSERT INTO shop.orders (a,b) VALUES (1,'x'), (2, 'y')",
    'INSERT INTO shop.orders (a,b) VALUES (?)',
    'INSERT',
    'shop.orders',
    'INSERT shop.orders',
  ],
  [
    POSTGRESQL,
    'WITH x AS (SELECT 1) SELECT * FROM x JOIN "Big Table" t ON t.id=x.id',
    'WITH x AS (SELECT ?) SELECT * FROM x JOIN "Big Table" t ON t.id=x.id',
    'SELECT',
    'Big Table',
    'SELECT Big Table',
  ],
  [
    POSTGRESQL,
    'select $1::int, $tag$ secret $tag$, col1 from t1, t2 u',
    'select $1::int, ?, col1 from t1, t2 u',
    'SELECT',
    't1',
    'SELECT t1 t2',
  ],
  [
    POSTGRESQL,
    "UPDATE a SET b = E'x\\'secret' WHERE c IN (1,2,3)",
    'UPDATE a SET b = ? WHERE c IN (?)',
    'UPDATE',
    'a',
    'UPDATE a',
  ],
  [
    POSTGRESQL,
    'CREATE TABLE IF NOT EXISTS foo (id int)',
    'CREATE TABLE IF NOT EXISTS foo (id int)',
    'CREATE TABLE',
    'foo',
    'CREATE TABLE foo',
  ],
  [
    POSTGRESQL,
    "BEGIN; DELETE FROM x WHERE y = 'never closed secret",
    'BEGIN; DELETE FROM x WHERE y = ?',
    'BEGIN',
    'x',
    'BEGIN; DELETE x',
  ],
  [
    POSTGRESQL,
    "SELECT 1.5e-3, .5, 0x1F, B'101', U&'\\0061' /* a /* nested secret */ b */ FROM t",
    'SELECT ? FROM t',
    'SELECT',
    't',
    'SELECT t',
  ],
  [
    POSTGRESQL,
    'SELECT extract(year FROM ts) FROM ev',
    'SELECT extract(year FROM ts) FROM ev',
    'SELECT',
    'ev',
    'SELECT ev',
  ],
  [
    POSTGRESQL,
    "ALTER USER bob PASSWORD 'secret'",
    'ALTER USER bob PASSWORD ?',
    'ALTER USER',
    '',
    'ALTER USER',
  ],
  [
    MYSQL,
    'SELECT `a` FROM `db`.`t` WHERE x="sec\\"ret" # c',
    'SELECT `a` FROM `db`.`t` WHERE x=?',
    'SELECT',
    'db.t',
    'SELECT db.t',
  ],
  [MYSQL, '/*!40101 SET NAMES utf8 */', 'SET NAMES utf8', 'SET', '', 'SET'],
  [
    MYSQL,
    "INSERT INTO t VALUES (_utf8'secret', x'41', -5)",
    'INSERT INTO t VALUES (?)',
    'INSERT',
    't',
    'INSERT t',
  ],
  [MYSQL, 'SELECT 5--3', 'SELECT ?--?', 'SELECT', '', 'SELECT'],
  [MYSQL, 'SELECT 1 -- secret', 'SELECT ?', 'SELECT', '', 'SELECT'],
];

/** What the manuals' grammars say of where a literal ends, and of what is a name. */
const TEXTS: readonly [dialect: SqlDialect, sql: string, text: string, escapes?: Escapes][] = [
  // A string that goes on in another line keeps its escapes (4.1.2.2).
  [POSTGRESQL, "SELECT E'a'\n'b\\'secret', 5 FROM t", 'SELECT ? FROM t'],
  [POSTGRESQL, "SELECT 'it\\'s secret' FROM t", 'SELECT ? FROM t', YES],
  [MYSQL, "SELECT 'C:\\', 'secret' FROM t", 'SELECT ? FROM t', NO],
  // Only PostgreSQL has E'…'.
  [MYSQL, "SELECT 1 e'C:\\', 'secret' FROM t", 'SELECT ? ? FROM t', NO],
  // A comment of PostgreSQL ends at a carriage return too (scan.l), one of MySQL does not.
  [POSTGRESQL, "SELECT a -- it's\r, 'secret' FROM t", 'SELECT a , ? FROM t'],
  [MYSQL, "SELECT a -- it's\r, 'secret'\n FROM t", 'SELECT a FROM t'],
  // MariaDB's own executable comment.
  [MYSQL, "/*M!100100 SET @a = 'secret' */", 'SET @a = ?'],
  // A server that is too old for an executable comment ends it where another is inside of a string or a comment.
  [MYSQL, "SELECT 1 /*!99999 , '*/ , 'secret' FROM t", 'SELECT ? , ?…'],
  [MYSQL, "SELECT 1 /*!99999 , 1 -- */ , 'it\n, secret' FROM t", 'SELECT ? , ?…'],
  [MYSQL, "SELECT 1 /*!50000 , `*/ , 'secret` */ FROM t", 'SELECT ? , ?…'],
  [MYSQL, "SELECT 1 /*!50000 /* it's */ , 'secret' */ FROM t", 'SELECT ? , ? FROM t'],
  // In ANSI_QUOTES "a\\" is a name (11.2); what makes no sense as names is a string with escapes.
  [MYSQL, `SELECT "a\\", 'secret', "b" FROM t`, 'SELECT ?…'],
  [MYSQL, `SELECT "{\\"a\\":\\"secret\\"}", 1 FROM t`, 'SELECT ? FROM t'],
  // From MySQL 9 on $$…$$ is a string; before, $ is part of a name.
  [MYSQL, "SELECT $$ it's $$, 'secret' FROM t", 'SELECT …'],
  [MYSQL, 'SELECT $a, b$c FROM t', 'SELECT $a, b$c FROM t'],
  // In names of PostgreSQL too, behind the first character.
  // An application's own parameters may be anything (19.16).
  [POSTGRESQL, 'SET app.token = secret', 'SET app.token = ?'],
  [
    POSTGRESQL,
    'set local "app"."token" to secret, secret2; SELECT 1',
    'set local "app"."token" to ?; SELECT ?',
  ],
  [POSTGRESQL, 'ALTER ROLE r SET app.token TO secret', 'ALTER ROLE r SET app.token TO ?'],
  [POSTGRESQL, 'SET "app.token" = secret', 'SET "app.token" = ?'],
  [POSTGRESQL, 'SET SESSION "app.token"TO secret; SELECT 1', 'SET SESSION "app.token"TO ?; SELECT ?'],
  [POSTGRESQL, 'SET app."token"TO secret', 'SET app."token"TO ?'],
  [
    POSTGRESQL,
    "CREATE FUNCTION f() RETURNS int SET search_path TO a SET app.token TO secret LANGUAGE sql AS 'SELECT 1'",
    'CREATE FUNCTION f() RETURNS int SET search_path TO a SET app.token TO ?',
  ],
  [POSTGRESQL, 'SET "search_path" TO app, public', 'SET "search_path" TO app, public'],
  [POSTGRESQL, 'SET search_path TO app, public', 'SET search_path TO app, public'],
  [POSTGRESQL, 'UPDATE t SET a.b = c', 'UPDATE t SET a.b = c'],
  [POSTGRESQL, "SELECT a$$b, 'secret$$' FROM t", 'SELECT a$$b, ? FROM t'],
  [POSTGRESQL, "SELECT U&'d!0061t\\' UESCAPE '!', 'secret' FROM t", 'SELECT ? UESCAPE ? FROM t'],
  [MYSQL, "SELECT x'4D', X'4D', 0x4D, b'01', 0b01, N'secret', n'secret' FROM t", 'SELECT ? FROM t'],
  [
    MYSQL,
    "SELECT _latin1'secret', _utf8mb4 'secret', _binary 0x41 FROM t",
    'SELECT ?, _utf8mb4 ?, _binary ? FROM t',
  ],
  [MYSQL, "SELECT 'it\\'s secret' FROM t", 'SELECT ? FROM t'],
  // A quote too many turns strings inside out: no server executes that, but it is sent.
  [POSTGRESQL, "INSERT INTO t VALUES (1, 'O'Brien', 'secret')", 'INSERT INTO t VALUES (?…'],
  [
    MYSQL,
    "SELECT a FROM t WHERE a = 'O'Brien' AND b = 'D'Arcy' AND c = 'secret'",
    'SELECT a FROM t WHERE a = ?…',
  ],
  [MYSQL, 'SELECT a FROM t WHERE a = "5"secret" AND b = "x"', 'SELECT a FROM t WHERE a = ?…'],
  [POSTGRESQL, "SELECT a FROM t WHERE a = '' secret' AND b = 1", 'SELECT a FROM t WHERE a = ?…'],
  [
    POSTGRESQL,
    "SELECT a FROM t WHERE a=E'x'AND b='y'OR c=N'z'::text",
    'SELECT a FROM t WHERE a=?AND b=?OR c=?::text',
  ],
  [POSTGRESQL, 'SELECT a FROM "open secret', 'SELECT a FROM ?'],
  [POSTGRESQL, 'SELECT a FROM "open secret""', 'SELECT a FROM ?'],
  [MYSQL, 'SELECT a FROM `open secret', 'SELECT a FROM ?'],
  [POSTGRESQL, `SELECT "${'secret'.repeat(60)}"`, 'SELECT ?'],
  [MYSQL, "SELECT 2*/* it's secret */3, 'x' FROM t", 'SELECT ?* ? FROM t'],
  [MYSQL, 'SELECT /*!40001 SQL_NO_CACHE */ 2*/*secret*/a FROM t', 'SELECT SQL_NO_CACHE ?* a FROM t'],
  [
    POSTGRESQL,
    'SELECT * FROM t WHERE a = TRUE AND b IN (1, -2, +3)',
    'SELECT * FROM t WHERE a = ? AND b IN (?)',
  ],
  [POSTGRESQL, 'SELECT (-3), a-1, b - 2 FROM t', 'SELECT (?), a-?, b - ? FROM t'],
  [
    POSTGRESQL,
    "INSERT INTO t (a, b) VALUES (1, NULL), (DEFAULT, now()), ((SELECT 1), 'x') RETURNING id",
    'INSERT INTO t (a, b) VALUES (?, NULL) RETURNING id',
  ],
  [POSTGRESQL, 'UPDATE t SET a=1;UPDATE t SET a=2; UPDATE t SET a=3', 'UPDATE t SET a=?;'],
  [POSTGRESQL, 'SELECT 1; SELECT 2; SELECT a; SELECT 3', 'SELECT ?; SELECT a; SELECT ?'],
  [POSTGRESQL, 'INSERT INTO t VALUES ($1, $2), ($3, $4)', 'INSERT INTO t VALUES ($1, $2)'],
  [MYSQL, 'VALUES ROW(1, NULL), ROW(2, 3) ORDER BY 1', 'VALUES ROW(?, NULL) ORDER BY ?'],
  [
    MYSQL,
    'INSERT INTO t VALUES (?, ?), (?, ?) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)',
    'INSERT INTO t VALUES (?, ?) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)',
  ],
  [POSTGRESQL, 'SELECT * FROM (VALUES (1, 2), (3, 4)) v (a, b), u', 'SELECT * FROM (VALUES (?)) v (a, b), u'],
];
for (const [dialect, sql, text, escapes] of TEXTS) {
  test(`the text of ${sql.slice(0, 80)}`, () => assert.equal(shape(dialect, sql, escapes)[0], text));
}

/**
 * Characters that end in the byte of a backslash or a backtick: 0x955C and 0x8160 of GBK and cp932, 0xA55C of
 * Big5. Written in Latin-1.
 */
const READINGS: readonly [
  dialect: SqlDialect,
  sql: string,
  escapes: Escapes,
  charset: Charset,
  text: string,
][] = [
  [MYSQL, "SELECT '\x95\\', 'secret' FROM t", YES, Charset.GBK, 'SELECT ? FROM t'],
  [MYSQL, "SELECT '\x95\\', 'secret' FROM t", YES, Charset.SJIS, 'SELECT ? FROM t'],
  [MYSQL, "SELECT '\xa5\\', 'secret' FROM t", YES, Charset.BIG5, 'SELECT ? FROM t'],
  [MYSQL, "SELECT '\x95\\', 'secret' FROM t", YES, Charset.UNKNOWN, 'SELECT ?…'],
  // 0x95 leads no character of Big5.
  [MYSQL, "SELECT '\x95\\' secret' FROM t", YES, Charset.BIG5, 'SELECT ? FROM t'],
  // The pair is 0xA5A5, and the backslash an escape.
  [MYSQL, "SELECT '\xa5\xa5\\'secret' FROM t", YES, Charset.GBK, 'SELECT ? FROM t'],
  [MYSQL, "SELECT '\xa5\xa5\\'secret' FROM t", YES, Charset.UNKNOWN, 'SELECT ? FROM t'],
  [MYSQL, "SELECT `\x81``, 'secret' FROM t", YES, Charset.PLAIN, 'SELECT ?'],
  [MYSQL, "SELECT 'C:\\', 'secret' FROM t", UNKNOWN, Charset.PLAIN, 'SELECT ?…'],
  // `SELECT ? FROM users` or `SELECT ? FROM us?`: no table.
  [MYSQL, "SELECT 'a\\' FROM us', 'x' FROM users", UNKNOWN, Charset.PLAIN, 'SELECT ? FROM …'],
  [MYSQL, "SELECT '\\d+\n', 'secret' FROM t", UNKNOWN, Charset.UNKNOWN, 'SELECT ? FROM t'],
  [POSTGRESQL, "SELECT E'\x95\\', 'secret' FROM t", NO, Charset.SJIS, 'SELECT ? FROM t'],
  [POSTGRESQL, "SELECT '\x95\\', 'secret' FROM t", NO, Charset.PLAIN, 'SELECT ? FROM t'],
  [POSTGRESQL, "SELECT 'C:\\', 'secret' FROM t", UNKNOWN, Charset.PLAIN, 'SELECT ?…'],
  [POSTGRESQL, "SELECT a FROM t WHERE a ~ '^\\d+$'", UNKNOWN, Charset.UNKNOWN, 'SELECT a FROM t WHERE a ~ ?'],
];
for (const [dialect, sql, escapes, charset, text] of READINGS) {
  test(`the text of ${JSON.stringify(sql)}, escapes ${escapes}, character set ${charset}`, () =>
    assert.equal(shape(dialect, Buffer.from(sql, 'latin1'), escapes, charset)[0], text));
}

test('a name in backquotes that ends in a character whose last byte is one', () => {
  const sql = Buffer.from("SELECT `\x81``, 'secret', `b` FROM t", 'latin1');
  assert.match(shape(MYSQL, sql, YES, Charset.GBK)[0], /^SELECT `.*`, \?, `b` FROM t$/);
  assert.match(shape(MYSQL, sql, YES, Charset.UNKNOWN)[0], /^SELECT [^s]*…$/);
});

test('what may change how statements are read', () => {
  const changes = (dialect: SqlDialect, sql: string) =>
    new SqlShapes(dialect).shape(Buffer.from(sql), 0, sql.length, YES, Charset.PLAIN).changesReading;
  for (const [dialect, sql, expected] of [
    [MYSQL, 'SET NAMES gbk', true],
    [MYSQL, "/*!40101 SET NAMES 'gbk' */", true],
    [MYSQL, 'set autocommit=1, names gbk', true],
    [MYSQL, 'SELECT 1; SET CHARACTER SET gbk', true],
    [MYSQL, "SET @@session.`sql_mode` = ''", true],
    [MYSQL, 'SET @a = 1', false],
    [MYSQL, 'SELECT @@sql_mode, @@character_set_client', false],
    [MYSQL, 'UPDATE t SET names = 1', false],
    [POSTGRESQL, "SET client_encoding TO 'SJIS'", true],
    [POSTGRESQL, "SELECT pg_catalog.set_config('client_encoding', 'SJIS', false)", true],
    [POSTGRESQL, 'RESET ALL', true],
    [POSTGRESQL, 'SHOW client_encoding', false],
  ] as const) {
    assert.equal(changes(dialect, sql), expected, sql);
  }
});

test('a list of values has one text, however long', () => {
  const texts = [2, 500, 20_000].map((rows) => {
    const row = "(1, NULL, 'secret'), ";
    return shape(POSTGRESQL, `INSERT INTO t VALUES ${row.repeat(rows)}(1, NULL, 'secret')`)[0];
  });
  assert.equal(texts[0], 'INSERT INTO t VALUES (?, NULL, ?)');
  assert.equal(texts[1], texts[0]);
  // It is not looked through to its end.
  assert.equal(texts[2], `${texts[0]}…`);
});

/** OpenTelemetry's db.operation.name, db.collection.name and db.query.summary, by the statements' grammar. */
const SUMMARIES: readonly [
  sql: string,
  operation: string,
  table: string,
  summary: string,
  dialect?: SqlDialect,
][] = [
  [
    'WITH a AS (SELECT * FROM x), b (c) AS (SELECT * FROM a JOIN y ON a.i=y.i) INSERT INTO z SELECT * FROM b',
    'INSERT',
    'z',
    'SELECT x SELECT y INSERT z SELECT',
  ],
  ['WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT n FROM t) SELECT * FROM t, u', 'SELECT', 'u', 'SELECT u'],
  ['WITH d AS (DELETE FROM old RETURNING *) SELECT * FROM d', 'SELECT', 'old', 'DELETE old SELECT'],
  ['INSERT INTO a SELECT x FROM b ON CONFLICT (x) DO UPDATE SET x=1', 'INSERT', 'a', 'INSERT a SELECT b'],
  ['(SELECT a FROM t1) UNION (SELECT b FROM t2)', 'SELECT', 't1', 'SELECT t1 SELECT t2'],
  ['EXPLAIN ANALYZE UPDATE users SET a=1', 'EXPLAIN', 'users', 'EXPLAIN UPDATE users'],
  [
    'MERGE INTO t USING s ON t.i=s.i WHEN MATCHED THEN UPDATE SET a=1 WHEN NOT MATCHED THEN INSERT (i) VALUES (1)',
    'MERGE',
    't',
    'MERGE t s',
  ],
  ['CREATE OR REPLACE VIEW v AS SELECT * FROM t', 'CREATE VIEW', 'v', 'CREATE VIEW v SELECT t'],
  ['CREATE UNIQUE INDEX i ON s.t USING btree (a)', 'CREATE INDEX', 's.t', 'CREATE INDEX s.t'],
  [
    'CREATE TRIGGER g BEFORE UPDATE OF a ON t EXECUTE FUNCTION f()',
    'CREATE TRIGGER',
    't',
    'CREATE TRIGGER t',
  ],
  ['ALTER TABLE t ALTER COLUMN a TYPE int USING b::int', 'ALTER TABLE', 't', 'ALTER TABLE t'],
  // Names of cursors are made up by clients, one after the other.
  ['FETCH FORWARD 100 FROM "_django_curs_1403_1"', 'FETCH', '', 'FETCH'],
  ['COPY t (a, b) FROM STDIN', 'COPY', 't', 'COPY t'],
  ['COPY (SELECT * FROM t) TO STDOUT', 'COPY', 't', 'COPY SELECT t'],
  ['SELECT a IS DISTINCT FROM b FROM t ORDER BY a DESC NULLS LAST', 'SELECT', 't', 'SELECT t'],
  ['SELECT * FROM t JOIN unnest(x) ON y = 1', 'SELECT', 't', 'SELECT t'],
  ['SELECT * FROM t, u FOR UPDATE OF t', 'SELECT', 't', 'SELECT t u'],
  ['SELECT * FROM t LOCK IN SHARE MODE', 'SELECT', 't', 'SELECT t', MYSQL],
  ['INSERT t VALUES (1)', 'INSERT', 't', 'INSERT t', MYSQL],
  ['REPLACE INTO t SELECT * FROM u', 'REPLACE', 't', 'REPLACE t SELECT u', MYSQL],
  ["SELECT a FROM t INTO OUTFILE 'x'", 'SELECT', 't', 'SELECT t', MYSQL],
  ['SET STATEMENT max_statement_time=1 FOR SELECT * FROM t', 'SELECT', 't', 'SELECT t', MYSQL],
  ['UPDATE t SET a=1; UPDATE t SET a=2;UPDATE t SET a=3; DELETE FROM t', 'UPDATE', 't', 'UPDATE t; DELETE t'],
  ['SELECT 1 FROM dual', 'SELECT', '', 'SELECT', MYSQL],
  ['SHOW TABLES FROM db', 'SHOW', '', 'SHOW', MYSQL],
  ['SHOW FULL COLUMNS FROM `t` FROM db', 'SHOW', 't', 'SHOW t', MYSQL],
  [
    'CREATE PROCEDURE p() BEGIN SELECT 1; UPDATE t SET a=1; END',
    'CREATE PROCEDURE',
    '',
    'CREATE PROCEDURE',
    MYSQL,
  ],
];
for (const [sql, operation, table, summary, dialect = POSTGRESQL] of SUMMARIES) {
  test(`the summary of ${sql}`, () =>
    assert.deepEqual(shape(dialect, sql).slice(1), [operation, table, summary]));
}

for (const [dialect, sql, ...expected] of CASES) {
  test(sql, () => assert.deepEqual(shape(dialect, sql), expected));
}

test('a statement seen before is the same object, whatever its literals', () => {
  const shapes = new SqlShapes(POSTGRESQL);
  const [a, b] = ['SELECT * FROM t WHERE a = 1', "SELECT  * FROM t WHERE a = 'x'"].map((sql) => {
    const bytes = Buffer.from(sql);
    return shapes.shape(bytes, 0, bytes.length, NO, Charset.PLAIN);
  });
  assert.equal(a, b);
});

test('a long text is cut and marked', () => {
  const [text] = shape(POSTGRESQL, `SELECT ${'column_name, '.repeat(1000)} x FROM t`);
  assert.ok(Buffer.byteLength(text) <= MAX_TEXT_BYTES + 3 && text.endsWith('…'));
});

/** What a statement may be made of, in Latin-1. */
const pieces = fc.array(
  fc.constantFrom(
    "'",
    '"',
    '`',
    '$$',
    '$a$',
    '\\',
    '--',
    '/*',
    '*/',
    '#',
    '(',
    ',',
    ')',
    ' ',
    'e',
    'x1',
    '7',
    '\n',
    'é',
    '\x81',
    '\xa5',
    '/*!50000',
    '\\"',
  ),
  { maxLength: 40 },
);

test('nothing between quotes is kept, and nothing throws', () => {
  fc.assert(
    fc.property(pieces, fc.boolean(), (pieces, mysql) => {
      const dialect = mysql ? MYSQL : POSTGRESQL;
      const sql = `SELECT 'hunter2' ${pieces.join('')}`;
      assert.ok(!shape(dialect, sql)[0].includes('hunter2'));
    }),
    { numRuns: 2000 },
  );
});

test('where it is not known how a statement is read, no more is shown than in every way to read it', () => {
  const charsets = [Charset.PLAIN, Charset.GBK, Charset.BIG5, Charset.SJIS];
  fc.assert(
    fc.property(pieces, fc.boolean(), (pieces, mysql) => {
      const dialect = mysql ? MYSQL : POSTGRESQL;
      const sql = Buffer.from(pieces.join(''), 'latin1');
      const shown = shape(dialect, sql, UNKNOWN, Charset.UNKNOWN)[0].replace(/…$/, '');
      for (const escapes of [NO, YES]) {
        for (const charset of charsets) {
          const text = shape(dialect, sql, escapes, charset)[0];
          assert.ok(text.startsWith(shown), `${JSON.stringify(shown)} of ${JSON.stringify(text)}`);
        }
      }
    }),
    { numRuns: 2000 },
  );
});
