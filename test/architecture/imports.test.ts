/** No import runs upwards: the rule of docs/design.md, checked on every source file. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { it } from 'node:test';
import { ROOT } from '../e2e/support.js';

/** What each package may import. */
const PACKAGES: Record<string, readonly string[]> = {
  proto: [],
  sensor: ['@packetd/proto'],
  collector: ['@packetd/proto'],
  cli: ['@packetd/proto', '@packetd/sensor', '@packetd/collector'],
};
/** The sensor's folders, lower first: one imports only itself and those before it. */
const SENSOR = ['capture', 'packet', 'flow', 'redact', 'protocols', 'publish'];
/** Files that every folder of the sensor may use. */
const SENSOR_COMMON = ['ledger'];
/** One protocol imports another only here. */
const PROTOCOL_EXCEPTIONS = [['grpc', 'http2']];
/** Where protocols meet. */
const MEETING = ['protocols/registry.ts'];

const IMPORT = /^\s*(?:import|export)\b[^'"]*?\bfrom\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

function* sources(directory: string): Generator<[file: string, imports: string[]]> {
  for (const name of readdirSync(directory, { recursive: true }) as string[]) {
    if (!name.endsWith('.ts')) continue;
    const file = join(directory, name);
    yield [file, [...readFileSync(file, 'utf8').matchAll(IMPORT)].map((m) => m[1] ?? m[2])];
  }
}

it('packages import only what lies below them', () => {
  const wrong: string[] = [];
  for (const [name, allowed] of Object.entries(PACKAGES)) {
    for (const [file, imports] of sources(join(ROOT, name, 'src'))) {
      for (const target of imports) {
        if (
          target.startsWith('@packetd/') &&
          !allowed.some((a) => target === a || target.startsWith(`${a}/`))
        ) {
          wrong.push(`${relative(ROOT, file)} imports ${target}`);
        }
        if (target.startsWith('.') && !resolve(dirname(file), target).startsWith(join(ROOT, name))) {
          wrong.push(`${relative(ROOT, file)} leaves its package by ${target}`);
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
});

it("the sensor's folders import only lower ones, and no protocol another", () => {
  const root = join(ROOT, 'sensor/src');
  const wrong: string[] = [];
  for (const [file, imports] of sources(root)) {
    const own = relative(root, file);
    const folder = own.split('/')[0];
    if (!SENSOR.includes(folder) || own.endsWith('.test.ts')) continue;
    for (const target of imports.filter((t) => t.startsWith('.'))) {
      const path = relative(root, resolve(dirname(file), target));
      const other = path.split('/')[0];
      if (SENSOR_COMMON.includes(path.replace(/\.js$/, ''))) continue;
      if (!SENSOR.includes(other) || SENSOR.indexOf(other) > SENSOR.indexOf(folder))
        wrong.push(`${own} imports ${path}`);
      const [mine, theirs] = [own.split('/'), path.split('/')];
      const bothProtocols =
        folder === 'protocols' && other === 'protocols' && mine.length > 2 && theirs.length > 2;
      if (
        bothProtocols &&
        mine[1] !== theirs[1] &&
        !PROTOCOL_EXCEPTIONS.some(([a, b]) => a === mine[1] && b === theirs[1])
      ) {
        wrong.push(`${own} imports ${path}`);
      }
      if (folder === 'protocols' && mine.length === 2 && theirs.length > 2 && !MEETING.includes(own)) {
        wrong.push(`${own} imports ${path}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});
