/** Messages are those of PostgreSQL, MongoDB, Redis and gRPC servers, with values that have quotes in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sanitiseMessage } from './message.js';

const CASES: [name: string, message: string, expected: string][] = [
  [
    'a name at the end',
    'duplicate key value violates unique constraint "k"',
    'duplicate key value violates unique constraint ?',
  ],
  [
    'words between and behind',
    'column "a" of relation "t" does not exist',
    'column ? of relation ? does not exist',
  ],
  ['a position', 'syntax error at or near "x" at character 15', 'syntax error at or near ? at character 15'],
  ['a number behind a quotation is no position', "bad value 'a' 1234", 'bad value ?'],
  ['quotes in the value', 'invalid json: "say "hi secret" now"', 'invalid json: ?'],
  [
    'an apostrophe in the value',
    "Duplicate entry 'O'Brien secret' for key 'name'",
    'Duplicate entry ? for key ?',
  ],
  ['a doubled quote', "near 'it''s secret' at line 1", 'near ? at line 1'],
  ['an escaped quote', 'value "a\\" secret" is invalid', 'value ? is invalid'],
  ['a quotation in a quotation', "near 'p = 'secret'' at line 1", 'near ? at line 1'],
  [
    'never closed',
    'unterminated quoted string at or near "secret',
    'unterminated quoted string at or near ?',
  ],
  ['apostrophes of words', "can't do what it doesn't know", "can't do what it doesn't know"],
  ['braces', 'dup key: { email: "secret" }', 'dup key: ?'],
  ['a brace in the value', 'dup key: { : "a } secret" }', 'dup key: ?'],
  ['backticks', 'unknown command `X`, with args', 'unknown command ?, with args'],
  ['German marks', 'Syntax für Typ integer: »secret«', 'Syntax für Typ integer: ?'],
  ['French marks', 'syntaxe invalide : « secret »', 'syntaxe invalide : ?'],
  ['curly marks', 'bad “secret” here', 'bad ?'],
  ['a curly apostrophe', 'can’t do that', 'can’t do that'],
  ['Japanese marks', '構文「secret」', '構文?'],
  [
    'a long number',
    'would overflow in $convert with no onError value: 4000123412341234',
    'would overflow in $convert with no onError value: ?',
  ],
  ['decimals of a number', 'invalid value 12.123456789', 'invalid value 12.?'],
  ['addresses and digests', 'MOVED 10.0.0.1:27017 a1234567 123456', 'MOVED 10.0.0.1:27017 a1234567 123456'],
  [
    'userinfo',
    'cannot connect to postgres://joe:secret@db/shop: refused',
    'cannot connect to postgres://[redacted]@db/shop: refused',
  ],
  [
    'a connection string',
    'bad DSN: host=db password=secret user=joe',
    'bad DSN: host=db password=[redacted]',
  ],
  ['a query', 'GET https://h/x?token=secret failed', 'GET https://h/x?token=[redacted]'],
  ['no value', 'authentication failed: token expired', 'authentication failed: token expired'],
  [
    'a gRPC error in another',
    'rpc error: code = Unauthenticated desc = invalid token',
    'rpc error: code = Unauthenticated desc = invalid token',
  ],
  ['control characters', 'a\nb', 'a b'],
];
for (const [name, message, expected] of CASES) {
  test(name, () => {
    const bytes = Buffer.from(message);
    assert.equal(Buffer.from(sanitiseMessage(bytes, 0, bytes.length)).toString(), expected);
  });
}

test('marks in Latin-1', () => {
  const bytes = Buffer.from('Typ integer: \xbbsecret\xab', 'latin1');
  assert.equal(Buffer.from(sanitiseMessage(bytes, 0, bytes.length)).toString('latin1'), 'Typ integer: ?');
});

test('a quoted value never comes out, whatever is in it', () => {
  const piece = fc.constantFrom("'", '"', '`', '{', '}', '\\', ' ', 'is', ', ', 'x', '«', '7');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.array(piece, { maxLength: 12 }),
      fc.constantFrom("'", '"', '`'),
      (a, b, quote) => {
        const message = `value ${quote}${a.join('')}hunter2${b.join('')}${quote} for key ${quote}k${quote}`;
        const bytes = Buffer.from(message);
        assert.ok(!Buffer.from(sanitiseMessage(bytes, 0, bytes.length)).includes('hunter2'), message);
      },
    ),
    { numRuns: 5000 },
  );
});
