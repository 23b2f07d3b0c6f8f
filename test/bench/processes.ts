/** Starts and measures programs. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Readable } from 'node:stream';

export interface Usage {
  /** User and system. */
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
  readonly stderr: string;
}

/** Runs a command to its end and measures it with all its threads: CPU by `times` of the shell that waits for it. */
export async function measure(command: string, args: readonly string[]): Promise<Usage> {
  const script = '"$@" >/dev/null & child=$!; echo $child >&3; wait $child; code=$?; times >&3; exit $code';
  const shell = spawn('bash', ['-c', script, 'bash', command, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  let told = '';
  let peakMegabytes = 0;
  shell.stderr!.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  (shell.stdio[3] as Readable).on('data', (piece: Buffer) => {
    told += piece.toString();
  });
  const timer = setInterval(() => {
    const pid = Number(told.split('\n')[0]);
    if (pid > 0) peakMegabytes = Math.max(peakMegabytes, peakOf(pid));
  }, 20);
  const code = await new Promise<number | null>((resolve) => shell.once('close', resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${code}: ${stderr.slice(-500)}`);
  const [user, system] = told.trim().split('\n').at(-1)!.split(' ').map(seconds);
  return { cpuSeconds: user + system, peakMegabytes, stderr };
}

/** VmHWM of a process; 0 when it is gone. */
function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** '0m1.234s' → 1.234 */
function seconds(text: string): number {
  const [minutes, rest] = text.split('m');
  return Number(minutes) * 60 + Number(rest.slice(0, -1));
}

/** CPU seconds and peak memory of a running process so far. */
export function usageOf(pid: number): { cpuSeconds: number; peakMegabytes: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    peakMegabytes: Number(peak?.[1] ?? 0) / 1024,
  };
}

/** Processors that this process may run on. */
export function processors(): number[] {
  const list = /Cpus_allowed_list:\s+(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1];
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Has this process, and what it starts from now on, run on these processors only (taskset(1)). */
export function runOn(list: readonly number[]): void {
  const { status, stderr } = spawnSync('taskset', ['-a', '-p', '-c', list.join(','), String(process.pid)]);
  if (status !== 0) throw new Error(`taskset failed: ${stderr}`);
}

export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** A port nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Waits until something accepts connections on the port. */
export async function listening(port: number, timeoutMs = 10_000): Promise<void> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (Date.now() > until) throw new Error(`nothing listens on port ${port}`);
    await sleep(50);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A program that runs beside the measurement and is stopped by its id. */
export class Background {
  readonly child: ChildProcess;
  stderr = '';
  private readonly exited: Promise<void>;

  constructor(command: string, args: readonly string[], cwd?: string) {
    this.child = spawn(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr!.on('data', (piece: Buffer) => {
      this.stderr += piece.toString();
    });
    this.exited = new Promise((resolve) => {
      this.child.once('exit', () => resolve());
      this.child.once('error', () => resolve());
    });
  }

  async said(text: string, timeoutMs = 10_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (!this.stderr.includes(text)) {
      if (Date.now() > until || this.child.exitCode !== null)
        throw new Error(`waited for '${text}': ${this.stderr}`);
      await sleep(20);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    if (this.child.exitCode === null) this.child.kill(signal);
    await this.exited;
  }
}
