/** What the end-to-end tests share: packetd itself, and the rule about what may be skipped. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../bench/processes.js';

/** The repository. */
export const ROOT = join(fileURLToPath(new URL('.', import.meta.url)), '../../..');
export const PACKETD = join(ROOT, 'cli/bin/packetd.js');

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
    this.child.stdout.on('data', (piece: Buffer) => {
      this.out += piece.toString();
    });
    this.child.stderr.on('data', (piece: Buffer) => {
      this.err += piece.toString();
    });
    this.exited = new Promise((resolve) => this.child.once('exit', resolve));
    // A test that fails before `stop` must not leave it running.
    process.once('exit', () => this.child.kill('SIGKILL'));
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
    return { documents, ledger, code };
  }
}

/** Runs packetd to its end. */
export function packetd(
  args: readonly string[],
  input?: Uint8Array,
): Promise<{ out: string; err: string; code: number | null }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [PACKETD, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString();
    });
    child.stderr.on('data', (piece: Buffer) => {
      err += piece.toString();
    });
    child.on('close', (code) => resolve({ out, err, code }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
