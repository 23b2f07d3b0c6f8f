/** Operation, table and summary of a sanitised statement (OpenTelemetry's rules for db.query.summary). */
import type { SqlShape } from './sql.js';

const MAX_SUMMARY_CHARACTERS = 255;
/** Tables that a summary names. */
const MAX_TARGETS = 8;

const TOKEN = /"(?:[^"]|"")*"|`(?:[^`]|``)*`|[\p{L}_][\p{L}\p{N}_$]*|[().,;]|[^\s]/gu;
const VERBS = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'REPLACE']);
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
]);
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
  'JOIN STRAIGHT_JOIN FROM INTO USING WHERE SET VALUES SELECT ON GROUP ORDER LIMIT HAVING UNION RETURNING INNER LEFT RIGHT FULL CROSS NATURAL OUTER AS DEFAULT DUPLICATE FOR WITH WINDOW FETCH OFFSET'.split(
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

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function describeSql(text: Uint8Array): SqlShape {
  const tokens = decoder.decode(text).match(TOKEN) ?? [];
  const operation = operationOf(tokens);
  const targets: string[] = [];
  let summary = '';
  for (const statement of statementsOf(tokens)) {
    const part = summaryOf(statement, targets);
    if (part === '') continue;
    const next = summary === '' ? part : `${summary}; ${part}`;
    if (next.length > MAX_SUMMARY_CHARACTERS) break;
    summary = next;
  }
  return {
    text,
    operation,
    operationBytes: encoder.encode(operation),
    collection: encoder.encode(targets[0] ?? ''),
    summary: encoder.encode(summary.slice(0, MAX_SUMMARY_CHARACTERS)),
  };
}

/** The statement's verb: behind a WITH that of the main statement, with its object for CREATE and the like. */
function operationOf(tokens: readonly string[]): string {
  let at = 0;
  while (tokens[at] === '(' || tokens[at] === ';') at++;
  const first = (tokens[at] ?? '').toUpperCase();
  if (!/^[A-Z]/.test(first)) return '';
  if (first === 'WITH') {
    let depth = 0;
    for (const token of tokens.slice(at + 1)) {
      if (token === '(') depth++;
      else if (token === ')') depth--;
      else if (depth === 0 && VERBS.has(token.toUpperCase())) return token.toUpperCase();
    }
    return first;
  }
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

/** `SELECT a b`: the verbs in their order with their tables; adds the tables to `targets`. */
function summaryOf(tokens: readonly string[], targets: string[]): string {
  const operation = operationOf(tokens);
  if (operation === '') return '';
  const parts = [operation];
  const common = commonTables(tokens);
  let count = 0;
  const add = (name: string) => {
    if (name === '' || common.has(name.toLowerCase())) return;
    targets.push(name);
    if (count++ < MAX_TARGETS) parts.push(name);
  };
  let skipVerb = true;
  for (let i = 0; i < tokens.length; i++) {
    const word = tokens[i].toUpperCase();
    if (VERBS.has(word)) {
      const isUpdateOf =
        word === 'UPDATE' && ['FOR', 'KEY', 'ON', 'DUPLICATE'].includes((tokens[i - 1] ?? '').toUpperCase());
      if (isUpdateOf || (word === 'REPLACE' && !skipVerb && i > 0)) continue;
      if (!skipVerb && word !== operation) parts.push(word);
      else if (!skipVerb) parts.push(word);
      skipVerb = false;
    }
    if (!BEFORE_TABLE.has(word) || tokens[i + 1] === undefined) continue;
    if (word === 'FROM' && isFunctionArgument(tokens, i)) continue;
    let at = i + 1;
    while (NOISE.has((tokens[at] ?? '').toUpperCase())) at++;
    for (;;) {
      const [name, next] = nameAt(tokens, at);
      if (name === '') break;
      add(name);
      at = next;
      // An alias, and a further table behind a comma.
      if ((tokens[at] ?? '').toUpperCase() === 'AS') at++;
      if (isWord(tokens[at]) && !KEYWORDS.has(tokens[at].toUpperCase())) at++;
      if (tokens[at] !== ',' || word === 'INTO' || word === 'USING') break;
      at++;
    }
    i = Math.max(i, at - 1);
  }
  if (count === 0 && operation === 'CALL') add(nameAt(tokens, 1)[0]);
  return dedupe(parts).join(' ');
}

/** The verb is named once where it is the first of all. */
function dedupe(parts: readonly string[]): string[] {
  return parts.filter((part, i) => i !== 1 || part !== parts[0]);
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
  for (let i = 1; i + 1 < tokens.length; i++) {
    if (tokens[i + 1]?.toUpperCase() === 'AS' && isWord(tokens[i]))
      names.add(unquote(tokens[i]).toLowerCase());
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
  // A call of a function that returns a table.
  return tokens[next] === '(' && tokens[at - 1]?.toUpperCase() === 'FROM' ? ['', at] : [name, next];
}

function isWord(token: string | undefined): token is string {
  return token !== undefined && /^["`\p{L}_]/u.test(token);
}

function unquote(token: string): string {
  const quote = token[0];
  if (quote !== '"' && quote !== '`') return token;
  return token.slice(1, -1).replaceAll(quote + quote, quote);
}
