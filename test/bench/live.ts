/** Live capture under the load of the real tools: what is seen, what is dropped, and how much the tool is slowed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKETD } from '../e2e/support.js';
import { type Load, runClient } from './captures.js';
import { Background, freePort, listening, processors, runOn, sleep, usageOf } from './processes.js';
import { type Row, row } from './row.js';

const REQUESTS = 400_000;
const ROUNDS = 5;
/** Another program watches so long after it was started. */
const START_MS = 1500;
const WATCH = ['watch', '--ifaces', 'lo', '--output', 'none', '--stats'];

export interface LiveOptions {
  /** The load tool and its server leave the last processor to the program that watches. */
  readonly apart: boolean;
  /** Commands of other programs that watch, turn by turn with packetd. */
  readonly against: readonly { readonly name: string; readonly command: string }[];
}

/** Why packetd cannot have a processor of its own here, or null. */
export function apartMissing(): string | null {
  return processors().length < 2 ? 'there is one processor only' : null;
}

/** The figures of all rounds with packetd together, then of others; times of the load tool are medians. */
export async function live(name: string, load: Load, { apart, against }: LiveOptions): Promise<Row[]> {
  const all = processors();
  if (!apart) return rounds(name, load, against, []);
  try {
    runOn(all.slice(0, -1));
    return await rounds(name, load, against, ['taskset', '-c', String(all.at(-1))]);
  } finally {
    runOn(all);
  }
}

/** `prefix` is put before every command that watches. */
async function rounds(
  name: string,
  load: Load,
  against: LiveOptions['against'],
  prefix: readonly string[],
): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-live-'));
  const port = await freePort();
  const server = load.server(port, directory);
  try {
    await listening(port, 120_000);
    const run = () => {
      const began = process.hrtime.bigint();
      const made = runClient(load, port, directory, load.requests ?? REQUESTS);
      const seconds = Number(process.hrtime.bigint() - began) / 1e9;
      return { made, secondsPerRequest: seconds / made };
    };
    run();
    const alone: number[] = [];
    const watched: number[] = [];
    const sum = { made: 0, records: 0, frames: 0, dropped: 0, cpuSeconds: 0, peakMegabytes: 0 };
    const others = against.map((other) => ({
      ...other,
      watched: [] as number[],
      cpuSeconds: 0,
      peakMegabytes: 0,
    }));
    // Turn by turn, so that a busy neighbour disturbs all alike.
    for (let round = 0; round < ROUNDS; round++) {
      alone.push(run().secondsPerRequest);
      const watch = start([...prefix, process.execPath, PACKETD, ...WATCH]);
      await watch.said('watching');
      const { made, secondsPerRequest } = run();
      await sleep(300);
      const { cpuSeconds, peakMegabytes } = usageOf(watch.child.pid!);
      await watch.stop();
      const ledger = JSON.parse(watch.stderr.trim().split('\n').at(-1)!) as Record<string, number>;
      watched.push(secondsPerRequest);
      sum.made += made;
      sum.records += ledger.records;
      sum.frames += ledger.frames;
      sum.dropped += ledger.kernelDropped;
      sum.cpuSeconds += cpuSeconds;
      sum.peakMegabytes = Math.max(sum.peakMegabytes, peakMegabytes);
      for (const other of others) {
        const program = start([...prefix, 'sh', '-c', `exec ${other.command}`]);
        await sleep(START_MS);
        other.watched.push(run().secondsPerRequest);
        const usage = usageOf(program.child.pid!);
        await program.stop();
        other.cpuSeconds += usage.cpuSeconds;
        other.peakMegabytes = Math.max(other.peakMegabytes, usage.peakMegabytes);
      }
    }
    const slowdown = (times: readonly number[]) => median(times) / median(alone) - 1;
    return [
      {
        ...row(name, 'packetd', sum.records, sum.frames, sum),
        captured: sum.records / sum.made,
        dropped: sum.dropped,
        slowdown: slowdown(watched),
      },
      ...others.map((other) => ({
        ...row(name, other.name, sum.records, sum.frames, other),
        ratio: other.cpuSeconds / sum.cpuSeconds,
        slowdown: slowdown(other.watched),
      })),
    ];
  } finally {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  }
}

function start([command, ...args]: string[]): Background {
  return new Background(command, args);
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[list.length >> 1];
}
