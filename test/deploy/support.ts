/** What the tests of deploy/ share. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT } from '../e2e/support.js';

interface Yaml {
  parse(text: string, options?: object): unknown;
  parseAllDocuments(text: string): { toJSON(): unknown; errors: unknown[] }[];
}

/** The parser that packetd itself uses. */
export const yaml = createRequire(join(ROOT, 'cli/package.json'))('yaml') as Yaml;

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}
