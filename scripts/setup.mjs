// What every entry script does first: dependencies that match the lock file, and a build. Nothing is
// done twice: the second time it takes milliseconds.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const MINIMUM = [20, 19];

export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) throw result.error;
  return result.status ?? 1;
}

/** Installs and builds what is out of date; ends the process with a sentence when that fails. */
export function setUp({ quiet = false } = {}) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1])) {
    stop(`packetd needs Node ${MINIMUM.join('.')} or newer; this is ${process.versions.node}`);
  }
  const lock = join(root, 'node_modules', '.packetd-lock');
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stdio = quiet ? ['ignore', 'ignore', 'inherit'] : 'inherit';
  if (!existsSync(lock) || readFileSync(lock, 'utf8') !== wanted) {
    say('installing dependencies');
    if (run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { stdio }) !== 0)
      stop('npm ci failed');
    mkdirSync(dirname(lock), { recursive: true });
    writeFileSync(lock, wanted);
  }
  const stamp = join(root, 'node_modules', '.packetd-build');
  const newest = Math.max(
    ...['proto', 'sensor', 'collector', 'cli', 'test'].map((d) => newestSource(join(root, d))),
  );
  if (!existsSync(stamp) || statSync(stamp).mtimeMs < newest) {
    say('building');
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const began = new Date();
    const bundle = join(root, 'scripts', 'bundle.mjs');
    if (run(process.execPath, [tsc, '-b']) !== 0 || run(process.execPath, [bundle]) !== 0)
      stop('the build failed');
    writeFileSync(stamp, began.toISOString());
  }
}

function newestSource(directory) {
  let newest = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.name === 'dist' || entry.name === 'node_modules') continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) newest = Math.max(newest, newestSource(path));
    else if (/\.(ts|json)$/.test(entry.name)) newest = Math.max(newest, statSync(path).mtimeMs);
  }
  return newest;
}

export function say(text) {
  process.stderr.write(`packetd: ${text}\n`);
}

export function stop(text) {
  say(text);
  process.exit(1);
}
