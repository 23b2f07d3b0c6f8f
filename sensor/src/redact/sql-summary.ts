/** Operation, table and summary of a sanitised statement (OpenTelemetry's rules for db.query.summary). */
import type { SqlShape } from './sql.js';

const MAX_SUMMARY_CHARACTERS = 255;
/** Tables that a summary names. */
const MAX_TARGETS = 8;

const TOKEN = /"(?:[^"]|"")*"|`(?:[^`]|``)*`|[\p{L}_][\p{L}\p{N}_$]*|[().,;]|[^\s]/gu;
const VERBS = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'REPLACE']);
/** Behind these a verb is part of a clause. */
const CLAUSES = new Set(['FOR', 'KEY', 'ON', 'DO', 'DUPLICATE', 'THEN', 'OR', 'BEFORE', 'AFTER']);
/** Behind these comes a table. */
const BEFORE_TABLE = new Set([
  'FROM',
  'JOIN',
  'INTO',
  'UPDATE',
  'TABLE',
  'USING',
  'COPY',
  'TRUNCATE',
  'VIEW',
  'REPLACE',
  'LOCK',
  'DESCRIBE',
  'DESC',
  'INSERT',
]);
/** Of these, those that are words of other clauses too: `ORDER BY a DESC NULLS LAST`, `LOCK IN SHARE MODE`. */
const HEADS = new Set(['TABLE', 'COPY', 'TRUNCATE', 'VIEW', 'REPLACE', 'LOCK', 'DESCRIBE', 'DESC']);
/** `REFRESH MATERIALIZED VIEW`, `CREATE OR REPLACE TEMP VIEW`. */
const MAX_HEAD_WORDS = 4;
/** These may stand between. */
const NOISE = new Set([
  'ONLY',
  'IF',
  'NOT',
  'EXISTS',
  'LATERAL',
  'TABLE',
  'LOW_PRIORITY',
  'DELAYED',
  'QUICK',
  'IGNORE',
  'HIGH_PRIORITY',
  'INTO',
  'TABLES',
  'CONCURRENTLY',
]);
/** Words that end a list of tables: none of them is one. */
const KEYWORDS = new Set(
  'JOIN STRAIGHT_JOIN FROM INTO USING WHERE SET VALUES SELECT ON GROUP ORDER LIMIT HAVING UNION RETURNING INNER LEFT RIGHT FULL CROSS NATURAL OUTER AS DEFAULT DUPLICATE FOR WITH WINDOW FETCH OFFSET OUTFILE DUMPFILE'.split(
    ' ',
  ),
);
/** The second word says what is made or changed. */
const WITH_OBJECT = new Set(['CREATE', 'DROP', 'ALTER', 'TRUNCATE', 'START', 'SHOW']);
const OBJECTS = new Set(
  'TABLE INDEX VIEW DATABASE SCHEMA SEQUENCE FUNCTION PROCEDURE TRIGGER TYPE EXTENSION ROLE USER TABLESPACE DOMAIN POLICY EVENT SERVER AGGREGATE RULE PUBLICATION SUBSCRIPTION'.split(
    ' ',
  ),
);
const MODIFIERS = new Set(
  'OR REPLACE TEMP TEMPORARY UNLOGGED UNIQUE GLOBAL LOCAL MATERIALIZED FOREIGN RECURSIVE FULLTEXT SPATIAL DEFINER'.split(
    ' ',
  ),
);

/** Their FROM names a cursor, an account or a file; they have no tables. */
const WITHOUT_TABLES = new Set(['FETCH', 'MOVE', 'CLOSE', 'GRANT', 'REVOKE', 'IMPORT']);
/** What is made, or dropped, ON a table. */
const ON_TABLE = new Set(['INDEX', 'TRIGGER', 'POLICY']);
/** Statements are part of their definition. */
const WITH_BODY = new Set(['FUNCTION', 'PROCEDURE', 'TRIGGER', 'EVENT']);
/** `SHOW COLUMNS FROM a_table`; other things are shown FROM a database. */
const SHOWN_OF_TABLE = new Set(['COLUMNS', 'FIELDS', 'INDEX', 'INDEXES', 'KEYS']);

/** Variables that say how statements are read. */
const READING = new Set([
  'SQL_MODE',
  'CHARACTER_SET_CLIENT',
  'CLIENT_ENCODING',
  'STANDARD_CONFORMING_STRINGS',
]);
/** The same in `SET NAMES x`, `SET CHARACTER SET x`. */
const SET_READING = new Set(['NAMES', 'CHARACTER', 'CHARSET']);

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** `SET SESSION app.x TO`, `SET "app.x" =`, at the beginning of a statement or behind ALTER ROLE, CREATE FUNCTION and the like. */
const CUSTOM_PARAMETER =
  /((?:^|;)\s*(?:(?:ALTER|CREATE)\s[^;]*?\s)?SET\s+(?:SESSION\s+|LOCAL\s+)?(?:(?:\w+|"[^"]*")\s*\.[^;=]*?|"[^"]*\.[^"]*"\s*)(?:=|(?<=[\s"])TO\s)\s*)[^;]*/gi;

/** The text without the values of parameters that are the application's own (PostgreSQL manual, section 19.16). */
export function withoutSettings(text: Uint8Array): Uint8Array {
  const sql = decoder.decode(text);
  const without = sql.replace(CUSTOM_PARAMETER, '$1?');
  return without === sql ? text : encoder.encode(without);
}

export function describeSql(text: Uint8Array): SqlShape {
  const tokens = decoder.decode(text).match(TOKEN) ?? [];
  const operation = operationOf(tokens);
  const targets: string[] = [];
  let summary = '';
  let last = '';
  let changesReading = false;
  for (const statement of statementsOf(tokens)) changesReading ||= isReadingChanged(statement);
  for (const statement of statementsOf(tokens)) {
    const part = summaryOf(statement, targets);
    // A batch of the same is one.
    if (part === '' || part === last) continue;
    last = part;
    const next = summary === '' ? part : `${summary}; ${part}`;
    if (next.length > MAX_SUMMARY_CHARACTERS) break;
    summary = next;
    const [verb, made] = part.split(' ', 2);
    if (verb === 'CREATE' && WITH_BODY.has(made)) break;
  }
  return {
    text,
    operation,
    operationBytes: encoder.encode(operation),
    collection: encoder.encode(targets[0] ?? ''),
    summary: encoder.encode(summary.slice(0, MAX_SUMMARY_CHARACTERS)),
    changesReading,
  };
}

function isReadingChanged(statement: readonly string[]): boolean {
  const words = statement.map((token) => unquote(token).toUpperCase());
  switch (words[0]) {
    case 'SET':
      return words.some(
        (word, i) => READING.has(word) || (SET_READING.has(word) && (i === 1 || words[i - 1] === ',')),
      );
    case 'RESET':
    case 'DISCARD':
      return words[1] === 'ALL' || READING.has(words[1]);
    default:
      // It names the variable in a literal.
      return words.includes('SET_CONFIG');
  }
}

/** Where the statement's verb is: behind a WITH, or MariaDB's SET STATEMENT … FOR, that of the main statement. */
function verbAt(tokens: readonly string[]): number {
  let first = 0;
  while (tokens[first] === '(' || tokens[first] === ';') first++;
  const word = tokens[first]?.toUpperCase();
  if (word === 'SET' && tokens[first + 1]?.toUpperCase() === 'STATEMENT') {
    const at = tokens.findIndex((token) => token.toUpperCase() === 'FOR') + 1;
    return at > 0 && at < tokens.length ? at : first;
  }
  if (word !== 'WITH') return first;
  let depth = 0;
  for (let at = first + 1; at < tokens.length; at++) {
    if (tokens[at] === '(') depth++;
    else if (tokens[at] === ')') depth--;
    else if (depth === 0 && VERBS.has(tokens[at].toUpperCase())) return at;
  }
  return first;
}

/** The statement's verb, with its object for CREATE and the like. */
function operationOf(tokens: readonly string[]): string {
  const at = verbAt(tokens);
  const first = (tokens[at] ?? '').toUpperCase();
  if (!/^[A-Z]/.test(first)) return '';
  if (WITH_OBJECT.has(first)) {
    for (const token of tokens.slice(at + 1, at + 8)) {
      const word = token.toUpperCase();
      if (OBJECTS.has(word)) return `${first} ${word}`;
      if (!MODIFIERS.has(word)) break;
    }
  }
  return first;
}

function* statementsOf(tokens: readonly string[]): Generator<string[]> {
  let statement: string[] = [];
  for (const token of tokens) {
    if (token === ';') {
      yield statement;
      statement = [];
    } else statement.push(token);
  }
  yield statement;
}

/**
 * `SELECT a b`: the verbs in their order with their tables; adds the tables to `targets`, those of the main
 * statement first.
 */
function summaryOf(tokens: readonly string[], targets: string[]): string {
  const operation = operationOf(tokens);
  if (operation === '') return '';
  const verb = verbAt(tokens);
  const [first, object = ''] = operation.split(' ');
  if (WITHOUT_TABLES.has(first)) return operation;
  if (first !== 'SHOW' && ON_TABLE.has(object)) return summaryOn(tokens, verb, operation, targets);
  if (first === 'CREATE' && WITH_BODY.has(object)) return operation;
  const common = commonTables(tokens);
  const parts: string[] = [];
  const ofQueries: string[] = [];
  let count = 0;
  const add = (name: string, at: number) => {
    const lower = name.toLowerCase();
    if (name === '' || lower === 'dual' || common.has(lower)) return;
    (at < verb ? ofQueries : targets).push(name);
    if (count++ < MAX_TARGETS) parts.push(name);
  };
  if (!VERBS.has(first)) parts.push(operation);
  for (let i = 0; i < tokens.length; i++) {
    const word = tokens[i].toUpperCase();
    if (VERBS.has(word)) {
      if (i !== verb && !isVerb(tokens, i, word)) continue;
      if (parts.at(-1) !== word) parts.push(word);
    }
    if (!BEFORE_TABLE.has(word) || tokens[i + 1] === undefined) continue;
    if (HEADS.has(word) && (VERBS.has(first) ? i !== verb : i > verb + MAX_HEAD_WORDS)) continue;
    if (word === 'USING' && first !== 'DELETE' && first !== 'MERGE') continue;
    if (word === 'FROM' && !isBeforeTable(tokens, i, first)) continue;
    const maybeCall = word === 'FROM' || word === 'JOIN' || word === 'USING';
    let at = i + 1;
    while (NOISE.has((tokens[at] ?? '').toUpperCase())) at++;
    for (;;) {
      const [name, next] = nameAt(tokens, at);
      // A call of a function that returns a table is none.
      if (name === '' || (maybeCall && tokens[next] === '(')) break;
      add(name, i);
      at = next;
      // An alias, and a further table behind a comma.
      if ((tokens[at] ?? '').toUpperCase() === 'AS') at++;
      if (isWord(tokens[at]) && !KEYWORDS.has(tokens[at].toUpperCase())) at++;
      if (tokens[at] !== ',' || word === 'INTO' || word === 'INSERT' || word === 'USING') break;
      at++;
    }
    i = Math.max(i, at - 1);
    if (first === 'SHOW') break;
  }
  if (count === 0 && operation === 'CALL') add(nameAt(tokens, verb + 1)[0], verb);
  targets.push(...ofQueries);
  return parts.join(' ');
}

/** `CREATE INDEX … ON a_table`: nothing else in it is a table of its own. */
function summaryOn(tokens: readonly string[], verb: number, operation: string, targets: string[]): string {
  const on = tokens.findIndex((token, i) => i > verb && token.toUpperCase() === 'ON');
  if (on < 0) return operation;
  const [name] = nameAt(tokens, tokens[on + 1]?.toUpperCase() === 'ONLY' ? on + 2 : on + 1);
  if (name === '') return operation;
  targets.push(name);
  return `${operation} ${name}`;
}

/** Not FOR UPDATE, ON CONFLICT DO UPDATE, WHEN MATCHED THEN DELETE, OR REPLACE, insert(…). */
function isVerb(tokens: readonly string[], at: number, word: string): boolean {
  if (word === 'SELECT') return true;
  return word !== 'REPLACE' && tokens[at + 1] !== '(' && !CLAUSES.has((tokens[at - 1] ?? '').toUpperCase());
}

/** Not extract(year FROM x), IS DISTINCT FROM x, COPY t FROM a file, SHOW TABLES FROM a database. */
function isBeforeTable(tokens: readonly string[], at: number, first: string): boolean {
  const before = (tokens[at - 1] ?? '').toUpperCase();
  if (first === 'SHOW') return SHOWN_OF_TABLE.has(before);
  return (
    before !== 'DISTINCT' && !isFunctionArgument(tokens, at) && (first !== 'COPY' || isInBrackets(tokens, at))
  );
}

function isInBrackets(tokens: readonly string[], at: number): boolean {
  let depth = 0;
  for (let i = 0; i < at; i++) {
    if (tokens[i] === '(') depth++;
    else if (tokens[i] === ')') depth--;
  }
  return depth > 0;
}

/** extract(year FROM x), substring(x FROM 1), trim(both FROM x). */
function isFunctionArgument(tokens: readonly string[], at: number): boolean {
  for (let i = at - 1, depth = 0; i >= 0; i--) {
    if (tokens[i] === ')') depth++;
    else if (tokens[i] === '(') {
      if (depth-- > 0) continue;
      return /^(extract|substring|trim|overlay|position)$/i.test(tokens[i - 1] ?? '');
    }
  }
  return false;
}

/** Names of WITH queries: they are no tables. */
function commonTables(tokens: readonly string[]): Set<string> {
  const names = new Set<string>();
  if (tokens[0]?.toUpperCase() !== 'WITH') return names;
  for (let i = 2; i + 1 < tokens.length; i++) {
    if (tokens[i].toUpperCase() !== 'AS') continue;
    let at = i - 1;
    // With names of columns: `x (a, b) AS`.
    if (tokens[at] === ')') {
      while (at > 0 && tokens[at] !== '(') at--;
      at--;
    }
    if (isWord(tokens[at])) names.add(unquote(tokens[at]).toLowerCase());
  }
  return names;
}

/** The possibly qualified name at `at`, and where it ends; '' where there is none. */
function nameAt(tokens: readonly string[], at: number): [name: string, next: number] {
  if (!isWord(tokens[at]) || KEYWORDS.has(tokens[at].toUpperCase())) return ['', at];
  let name = unquote(tokens[at]);
  let next = at + 1;
  while (tokens[next] === '.' && isWord(tokens[next + 1])) {
    name += `.${unquote(tokens[next + 1])}`;
    next += 2;
  }
  return [name, next];
}

function isWord(token: string | undefined): token is string {
  return token !== undefined && /^["`\p{L}_]/u.test(token);
}

function unquote(token: string): string {
  const quote = token[0];
  if (quote !== '"' && quote !== '`') return token;
  return token.slice(1, -1).replaceAll(quote + quote, quote);
}
