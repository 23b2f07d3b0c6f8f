/** Literals by the rules of the PostgreSQL manual (section 4.1.2) and the MySQL manual (section 11.1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_TEXT_BYTES, MYSQL, POSTGRESQL, type SqlDialect, SqlShapes } from './sql.js';

const decoder = new TextDecoder();
function shape(dialect: SqlDialect, sql: string) {
  const bytes = Buffer.from(sql);
  const { text, operation, collection, summary } = new SqlShapes(dialect).shape(bytes, 0, bytes.length);
  return [decoder.decode(text), operation, decoder.decode(collection), decoder.decode(summary)];
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
    'INSERT INTO t VALUES (?, -?)',
    'INSERT',
    't',
    'INSERT t',
  ],
  [MYSQL, 'SELECT 5--3', 'SELECT ?--?', 'SELECT', '', 'SELECT'],
  [MYSQL, 'SELECT 1 -- secret', 'SELECT ?', 'SELECT', '', 'SELECT'],
];

for (const [dialect, sql, ...expected] of CASES) {
  test(sql, () => assert.deepEqual(shape(dialect, sql), expected));
}

test('a statement seen before is the same object, whatever its literals', () => {
  const shapes = new SqlShapes(POSTGRESQL);
  const [a, b] = ['SELECT * FROM t WHERE a = 1', "SELECT  * FROM t WHERE a = 'x'"].map((sql) => {
    const bytes = Buffer.from(sql);
    return shapes.shape(bytes, 0, bytes.length);
  });
  assert.equal(a, b);
});

test('a long text is cut and marked', () => {
  const [text] = shape(POSTGRESQL, `SELECT ${'column_name, '.repeat(1000)} x FROM t`);
  assert.ok(Buffer.byteLength(text) <= MAX_TEXT_BYTES + 3 && text.endsWith('…'));
});

test('nothing between quotes is kept, and nothing throws', () => {
  const piece = fc.constantFrom(
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
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.boolean(), (pieces, mysql) => {
      const dialect = mysql ? MYSQL : POSTGRESQL;
      const sql = `SELECT 'hunter2' ${pieces.join('')}`;
      assert.ok(!shape(dialect, sql)[0].includes('hunter2'));
    }),
    { numRuns: 2000 },
  );
});
