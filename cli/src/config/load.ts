/** Reads a configuration: YAML file, then environment, over the defaults of keys.ts. */
import { readFileSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { KEYS, type Key, type Role } from './keys.js';
import { mostTelling, rules } from './types.js';

/** A configuration that cannot be used; the message names file, line, key and fix. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Values by the path of their key, of the type that the key's schema gives. */
export class Config {
  constructor(private readonly values: ReadonlyMap<string, unknown>) {}

  get<T>(path: string): T {
    return this.values.get(path) as T;
  }
}

interface Given {
  readonly value: unknown;
  /** Where it, or a part of it, was said: 'packetd.yaml line 3' or 'variable PACKETD_…'. */
  where(inner: readonly PropertyKey[]): string;
}

/** Name of a key's environment variable: server.address → PACKETD_SERVER_ADDRESS. */
export function variableOf(path: string): string {
  return `PACKETD_${path
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('.', '_')
    .toUpperCase()}`;
}

/**
 * Loads `file` (none: defaults and environment only). `overrides` come from the command line and win.
 * Throws ConfigError.
 */
export function loadConfig(
  file: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
  overrides: Readonly<Record<string, unknown>> = {},
): Config {
  const given = new Map<string, Given>();
  if (file !== undefined) readFile(file, given);
  readEnvironment(environment, given);
  for (const [path, value] of Object.entries(overrides))
    given.set(path, { value, where: () => 'command line' });
  const values = new Map<string, unknown>();
  for (const key of KEYS) {
    const said = given.get(key.path);
    const result = key.type.safeParse(said === undefined ? key.fallback : said.value);
    if (result.success) {
      values.set(key.path, result.data);
      continue;
    }
    const { path: inner, message } = mostTelling(result.error);
    const name = inner.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
    throw new ConfigError(`${said?.where(inner) ?? 'default'}: ${key.path}${name}: ${message}`);
  }
  return new Config(values);
}

function readFile(file: string, given: Map<string, Given>): void {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `cannot read ${file} (${(error as NodeJS.ErrnoException).code}); packetd config prints one to start from`,
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines });
  if (document.errors.length > 0) {
    const error = document.errors[0];
    throw new ConfigError(`${file} line ${lines.linePos(error.pos[0]).line}: ${notYaml(error)}`);
  }
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return;
  if (!isMap(contents)) {
    throw new ConfigError(
      `${file}: a configuration is keys with their values, as 'logger.level: info'; packetd config prints one to start from`,
    );
  }
  const whereOf = (node: Node) => `${file} line ${lines.linePos(node.range?.[0] ?? 0).line}`;
  walk(contents, '', { document, whereOf, given });
}

/** The parser's words without the place, which is told before them, and the excerpt. */
function notYaml({ code, message }: YAMLError): string {
  if (code === 'DUPLICATE_KEY') return 'this key was given before; leave one out';
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; keep one';
  const words = message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, '');
  return `this is not YAML: ${words}; mind indentation and quotes`;
}

/** Nested maps and dotted names (`logger.level: info`) mean the same. */
function walk(
  map: YAMLMap,
  prefix: string,
  at: { document: Document.Parsed; whereOf: (node: Node) => string; given: Map<string, Given> },
): void {
  for (const pair of map.items) {
    const name = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
    const path = prefix + name;
    const where = at.whereOf(pair.key as Node);
    const value = isAlias(pair.value) ? pair.value.resolve(at.document) : (pair.value as Node | null);
    if (value === undefined)
      throw new ConfigError(`${where}: there is no anchor ${String(pair.value)} above`);
    const known = KEYS.some((key) => key.path === path);
    if (known) {
      const plain = value === null ? null : plainOf(value, at.document, `${where}: ${path}`);
      // A key without a value is one that was left to its default.
      if (plain === null) continue;
      const before = at.given.get(path);
      if (before !== undefined)
        throw new ConfigError(`${where}: ${path} was given before, in ${before.where([])}; leave one out`);
      at.given.set(path, {
        value: plain,
        where: (inner) => (inner.length === 0 ? where : at.whereOf(innermost(value as Node, inner))),
      });
    } else if (KEYS.some((key) => key.path.startsWith(`${path}.`))) {
      if (isMap(value)) walk(value, `${path}.`, at);
      else if (value !== null && !(isScalar(value) && value.value === null)) {
        throw new ConfigError(`${where}: ${path} holds further keys, not a value`);
      }
    } else {
      throw new ConfigError(`${where}: unknown key ${path}; did you mean ${nearest(path)}?`);
    }
  }
}

/** Throws ConfigError for aliases of aliases of aliases, which the parser does not write out for ever. */
function plainOf(node: Node, document: Document.Parsed, where: string): unknown {
  try {
    return node.toJS(document);
  } catch {
    throw new ConfigError(`${where}: its aliases hold too much; write it out`);
  }
}

/** The node at a path within another, or the last one on the way that there is. */
function innermost(node: Node, path: readonly PropertyKey[]): Node {
  let at = node;
  for (const part of path) {
    const next = isCollection(at) ? at.get(part, true) : undefined;
    if (!isNode(next)) return at;
    at = next;
  }
  return at;
}

/** Kubernetes gives every pod variables for each service, which may be named packetd-something. */
const KUBERNETES_SERVICE = /_SERVICE_(HOST|PORT)|_PORT(_\d+_(TCP|UDP).*)?$/;

function readEnvironment(environment: NodeJS.ProcessEnv, given: Map<string, Given>): void {
  const byVariable = new Map(KEYS.map((key) => [variableOf(key.path), key]));
  for (const [name, raw] of Object.entries(environment)) {
    if (!name.startsWith('PACKETD_') || raw === undefined) continue;
    const key = byVariable.get(name);
    if (key !== undefined) {
      setFromText(given, key, raw, `variable ${name}`);
      continue;
    }
    if (KUBERNETES_SERVICE.test(name)) continue;
    const variable = name.endsWith('_FILE') ? name.slice(0, -'_FILE'.length) : '';
    const fileOf = byVariable.get(variable);
    if (fileOf === undefined)
      throw new ConfigError(
        `unknown variable ${name}; did you mean ${nearestOf(name, [...byVariable.keys()])}?`,
      );
    if (environment[variable] !== undefined)
      throw new ConfigError(`variables ${variable} and ${name} both set ${fileOf.path}; leave one out`);
    setFromText(given, fileOf, readSecret(raw, name), `variable ${name}: ${raw}`);
  }
}

function readSecret(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`variable ${name}: cannot read '${path}' (${code}); give the path of a file`);
  }
}

/** Lists may be given as a comma list, rules between blanks, everything else as YAML reads it; nothing leaves it to its default. */
function setFromText(given: Map<string, Given>, key: Key, raw: string, where: string): void {
  const value = fromText(key, raw, where);
  if (value !== null) given.set(key.path, { value, where: () => where });
}

function fromText(key: Key, raw: string, where: string): unknown {
  if (typeof key.fallback === 'string' && key.type.safeParse(raw).success) return raw;
  const document = parseDocument(raw);
  // The parser's words may repeat what is secret.
  if (document.errors.length > 0 && key.secret)
    throw new ConfigError(`${where}: ${key.path}: this is not YAML; write it as in packetd config`);
  if (document.errors.length > 0) throw new ConfigError(`${where}: ${notYaml(document.errors[0])}`);
  const value: unknown = document.toJSON();
  if (Array.isArray(key.fallback) && !Array.isArray(value)) {
    // A rule has commas of its own.
    return raw === '' ? [] : raw.split(key.type === rules ? /\s+/ : /\s*,\s*/);
  }
  return value;
}

function nearest(path: string): string {
  const groups = new Set<string>();
  for (const { path: known } of KEYS) {
    const parts = known.split('.');
    for (let i = 1; i <= parts.length; i++) groups.add(parts.slice(0, i).join('.'));
  }
  return nearestOf(path, [...groups]);
}

function nearestOf(name: string, known: readonly string[]): string {
  let best = known[0];
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const d = distance(name.toLowerCase(), candidate.toLowerCase());
    if (d < least) [least, best] = [d, candidate];
  }
  return best;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The commented reference configuration for a command; it loads as it is. */
export function referenceConfig(command: 'up' | Role): string {
  const out = [
    `# Reference configuration of packetd ${command}: every key with its default.`,
    '# A key can also be set by its environment variable, which is named behind it.',
  ];
  let open: string[] = [];
  for (const key of KEYS) {
    if (command !== 'up' && !key.roles.includes(command)) continue;
    const parts = key.path.split('.');
    const groups = parts.slice(0, -1);
    let same = 0;
    while (same < groups.length && open[same] === groups[same]) same++;
    if (same === 0) out.push('');
    for (let i = same; i < groups.length; i++) out.push(`${'  '.repeat(i)}${groups[i]}:`);
    open = groups;
    const indent = '  '.repeat(groups.length);
    for (const comment of key.comment.split('\n')) out.push(`${indent}# ${comment}`);
    out.push(
      `${indent}${parts.at(-1)}: ${JSON.stringify(key.fallback)} # ${variableOf(key.path)}${key.secret ? ' or …_FILE' : ''}`,
    );
  }
  return `${out.join('\n')}\n`;
}
