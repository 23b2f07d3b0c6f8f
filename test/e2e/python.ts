/** Python clients, at versions that the tests name: each set of packages is installed once, apart from the system's. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './support.js';

const CACHE = join(ROOT, 'node_modules/.cache');
const PYTHON = '/usr/bin/python3';

/** A Python that has these packages (`name==version`), or null where they cannot be installed. */
export function pythonWith(...packages: readonly string[]): Python | null {
  const name = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12);
  const directory = join(CACHE, `packetd-python-${name}`);
  if (!existsSync(directory)) {
    const made = mkdtempSync(`${directory}-`);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:'];
    const done = [
      [PYTHON, '-m', 'venv', made],
      [join(made, 'bin/python'), ...pip, ...packages],
    ].every(([program, ...args]) => {
      const { status, stderr, error } = spawnSync(program, args);
      if (status !== 0) console.error(`${packages.join(' ')}: ${error?.message ?? stderr.toString()}`);
      return status === 0;
    });
    try {
      if (done) renameSync(made, directory);
    } catch (error) {
      // Tests that run at the same time may want it too: another was first.
      if (!existsSync(directory)) throw error;
    }
    rmSync(made, { recursive: true, force: true });
    if (!done) return null;
  }
  return new Python(directory);
}

export class Python {
  constructor(readonly directory: string) {}

  /** Runs a program that prints JSON last, with its arguments in `sys.argv`. */
  async run(program: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const { stdout } = await promisify(execFile)(
      join(this.directory, 'bin/python'),
      ['-c', program, ...args.map(String)],
      { timeout: 120_000 },
    );
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  }
}
