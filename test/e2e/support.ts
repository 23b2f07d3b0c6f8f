/** What the end-to-end tests share: packetd itself, and the rule about what may be skipped. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../bench/processes.js';

/** The repository. */
export const ROOT = join(fileURLToPath(new URL('.', import.meta.url)), '../../..');
export const PACKETD = join(ROOT, 'cli/bin/packetd.js');

/** Clients and servers in the languages of others. */
export const CLIENTS = join(ROOT, 'test/e2e/clients');
/** The one that Debian's modules are for. */
export const PYTHON = '/usr/bin/python3';

export function hasModule(name: string): boolean {
  return spawnSync(PYTHON, ['-c', `import ${name}`]).status === 0;
}

/** Reason to skip, or false. With CI=true nothing is skipped: the test fails where the thing is missing. */
export function unless(there: boolean, reason: string): string | false {
  return there || process.env.CI === 'true' ? false : reason;
}

export const isRoot = process.getuid?.() === 0;

/** A document as `packetd watch --json` prints it, as far as tests look at it. */
export interface Document {
  '@timestamp': string;
  event: { id: string; duration?: number; outcome: string };
  client: { address: string; port: number; bytes?: number };
  server: { address: string; port: number; bytes?: number };
  packetd: { protocol: string; operation?: string; target?: string; status: string };
  [key: string]: unknown;
}

/** A running `packetd watch --json` on loopback. */
export class Watch {
  private out = '';
  private err = '';
  private readonly exited: Promise<number | null>;
  private readonly child;

  constructor(args: readonly string[] = ['--ifaces', 'lo']) {
    this.child = spawn(process.execPath, [PACKETD, 'watch', '--json', '--stats', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      this.out += piece;
    });
    this.child.stderr.on('data', (piece: Buffer) => {
      this.err += piece.toString();
    });
    // A test that fails before `stop` must not leave it running.
    const kill = () => this.child.kill('SIGKILL');
    process.once('exit', kill);
    this.exited = new Promise((resolve) =>
      this.child.once('exit', (code) => {
        process.off('exit', kill);
        resolve(code);
      }),
    );
  }

  async ready(): Promise<this> {
    while (!this.err.includes('watching')) {
      if (this.child.exitCode !== null) throw new Error(`packetd watch ended: ${this.err}`);
      await sleep(20);
    }
    return this;
  }

  /** Ends it and answers what it saw. */
  async stop(): Promise<{ documents: Document[]; ledger: Record<string, number>; code: number | null }> {
    await sleep(300);
    this.child.kill('SIGINT');
    const code = await this.exited;
    await sleep(20);
    const documents = this.out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Document);
    const ledger = JSON.parse(this.err.trim().split('\n').at(-1)!) as Record<string, number>;
    // What fails then is the machine; the difference that a test prints would not tell.
    if (ledger.kernelDropped > 0) console.error(`the kernel dropped frames: ${JSON.stringify(ledger)}`);
    return { documents, ledger, code };
  }
}

/** Runs packetd to its end. */
export function packetd(args: readonly string[], input?: Uint8Array): Promise<Outcome> {
  return run(process.execPath, [PACKETD, ...args], input);
}

/** What a program printed, and how it ended: null where it could not be started or a signal ended it. */
interface Outcome {
  out: string;
  err: string;
  code: number | null;
}

/** Runs a program to its end, while servers of this process go on. */
export function run(program: string, args: readonly string[], input?: Uint8Array | string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString();
    });
    child.stderr.on('data', (piece: Buffer) => {
      err += piece.toString();
    });
    child.on('error', (error) => resolve({ out, err: String(error), code: null }));
    child.on('close', (code) => resolve({ out, err, code }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Where the start scripts of backends keep what they install and what their servers write. */
export const BACKENDS_HOME = process.env.BACKENDS_HOME ?? join(homedir(), '.cache/packetd-backends');

/** A server of the shared set of backends beside the checkout, or null where that is not there. */
export function backend(script: string): string | null {
  const path = join(ROOT, '../shared/backends', script);
  return existsSync(path) ? path : null;
}

/** Starts a script that prints READY when its server answers. */
export async function startBackend(
  path: string,
  args: readonly string[],
  timeoutMs = 300_000,
  env: NodeJS.ProcessEnv = {},
): Promise<ChildProcess> {
  const child = spawn(path, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  process.once('exit', () => child.kill('SIGTERM'));
  let out = '';
  child.stdout.on('data', (piece: Buffer) => {
    out += piece.toString();
  });
  const until = Date.now() + timeoutMs;
  while (!out.includes('READY')) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`${path} did not start: ${out}`);
    await sleep(100);
  }
  return child;
}

/** Stops what `startBackend` started. */
export async function stopBackend(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** The documents of one protocol on one server port. */
export function of(documents: readonly Document[], protocol: string, port: number): Document[] {
  return documents.filter((d) => d.packetd.protocol === protocol && d.server.port === port);
}

/** `OPERATION target STATUS`, for comparisons. */
export function lines(documents: readonly Document[]): string[] {
  return documents.map((d) =>
    [d.packetd.operation, d.packetd.target, d.packetd.status].filter(Boolean).join(' '),
  );
}

/** The value at a dotted path of a document. */
export function at(document: Document, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], document);
}
