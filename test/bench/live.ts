/** Live capture under the load of the real tools: what is seen, what is dropped, and how much the tool is slowed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKETD } from '../e2e/support.js';
import { type Load, runClient } from './captures.js';
import { Background, freePort, listening, sleep, usageOf } from './processes.js';
import { type Row, row } from './row.js';

const REQUESTS = 400_000;
const ROUNDS = 3;
const WATCH = ['watch', '--ifaces', 'lo', '--output', 'none', '--stats'];

/** The figures of all rounds with packetd together; times of the load tool are medians. */
export async function live(name: string, load: Load): Promise<Row> {
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
    // Turn by turn, so that a busy neighbour disturbs both alike.
    for (let round = 0; round < ROUNDS; round++) {
      alone.push(run().secondsPerRequest);
      const watch = new Background(process.execPath, [PACKETD, ...WATCH]);
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
    }
    return {
      ...row(name, 'packetd', sum.records, sum.frames, sum),
      captured: sum.records / sum.made,
      dropped: sum.dropped,
      slowdown: median(watched) / median(alone) - 1,
    };
  } finally {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  }
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[list.length >> 1];
}
