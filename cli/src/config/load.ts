/** Reads a configuration: YAML file, then environment, over the defaults of keys.ts. */
import { readFileSync } from 'node:fs';
import { isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { KEYS, type Key, type Role } from './keys.js';

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
  /** Where it was said: 'packetd.yaml line 3' or 'variable PACKETD_…'. */
  readonly where: string;
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
  for (const [path, value] of Object.entries(overrides)) given.set(path, { value, where: 'command line' });
  const values = new Map<string, unknown>();
  for (const key of KEYS) {
    const said = given.get(key.path);
    const result = key.type.safeParse(said === undefined ? key.fallback : said.value);
    if (result.success) {
      values.set(key.path, result.data);
      continue;
    }
    const issue = result.error.issues[0];
    const inner = issue.path.length > 0 ? `.${issue.path.join('.')}` : '';
    throw new ConfigError(`${said?.where ?? 'default'}: ${key.path}${inner}: ${issue.message}`);
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
    throw new ConfigError(
      `${file} line ${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0]}`,
    );
  }
  if (document.contents === null) return;
  if (!isMap(document.contents)) throw new ConfigError(`${file}: a configuration is a list of keys`);
  walk(document.contents, '', { file, lines, given });
}

/** Nested maps and dotted names (`logger.level: info`) mean the same. */
function walk(
  map: YAMLMap,
  prefix: string,
  at: { file: string; lines: LineCounter; given: Map<string, Given> },
): void {
  for (const pair of map.items) {
    const name = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
    const path = prefix + name;
    const offset = (pair.key as Node).range?.[0] ?? 0;
    const where = `${at.file} line ${at.lines.linePos(offset).line}`;
    const value = pair.value as Node | null;
    const known = KEYS.some((key) => key.path === path);
    if (known) {
      const plain = value === null ? null : (value.toJSON() as unknown);
      // A key without a value is one that was left to its default.
      if (plain !== null) at.given.set(path, { value: plain, where });
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

/** Kubernetes gives every pod variables for each service, which may be named packetd-something. */
const KUBERNETES_SERVICE = /_SERVICE_(HOST|PORT)|_PORT(_\d+_(TCP|UDP).*)?$/;

function readEnvironment(environment: NodeJS.ProcessEnv, given: Map<string, Given>): void {
  const byVariable = new Map(KEYS.map((key) => [variableOf(key.path), key]));
  for (const [name, raw] of Object.entries(environment)) {
    if (!name.startsWith('PACKETD_') || raw === undefined) continue;
    const key = byVariable.get(name);
    if (key !== undefined) {
      given.set(key.path, { value: fromText(key, raw, name), where: `variable ${name}` });
      continue;
    }
    if (KUBERNETES_SERVICE.test(name)) continue;
    const fileOf = name.endsWith('_FILE') ? byVariable.get(name.slice(0, -5)) : undefined;
    if (fileOf === undefined)
      throw new ConfigError(
        `unknown variable ${name}; did you mean ${nearestOf(name, [...byVariable.keys()])}?`,
      );
    try {
      given.set(fileOf.path, {
        value: fromText(fileOf, readFileSync(raw, 'utf8').trim(), name),
        where: `file of ${name}`,
      });
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError(
        `variable ${name}: cannot read ${raw} (${(error as NodeJS.ErrnoException).code})`,
      );
    }
  }
}

/** Lists may be given as a comma list, everything else as YAML reads it. */
function fromText(key: Key, raw: string, name: string): unknown {
  if (typeof key.fallback === 'string' && key.type.safeParse(raw).success) return raw;
  const document = parseDocument(raw);
  if (document.errors.length > 0)
    throw new ConfigError(`variable ${name}: ${document.errors[0].message.split('\n')[0]}`);
  const value: unknown = document.toJSON();
  if (Array.isArray(key.fallback) && !Array.isArray(value)) {
    return raw === '' ? [] : raw.split(',').map((part) => part.trim());
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
