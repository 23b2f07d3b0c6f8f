/** Live capture under the load of the real tools: what is seen, what is dropped, and how much the tool is slowed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKETD } from '../e2e/support.js';
import { LOADS } from './captures.js';
import { Background, freePort, listening, sleep, usageOf } from './processes.js';

const REQUESTS = 400_000;
const ROUNDS = 3;

export async function liveCases(wanted: (name: string) => boolean, json: boolean): Promise<void> {
  for (const load of LOADS) {
    const name = `live-${load.name}`;
    if (!wanted(name)) continue;
    const directory = mkdtempSync(join(tmpdir(), 'packetd-live-'));
    const port = await freePort();
    const server = load.server(port, directory);
    try {
      await listening(port);
      const [command, ...args] = load.client(port, directory, REQUESTS);
      const run = () => {
        const began = process.hrtime.bigint();
        const result = spawnSync(command, args, { stdio: 'ignore' });
        if (result.status !== 0) throw new Error(`${command} failed`);
        return Number(process.hrtime.bigint() - began) / 1e9;
      };
      run();
      const alone: number[] = [];
      const watched: number[] = [];
      let last = '';
      let cpuSeconds = 0;
      // Turn by turn, so that a busy neighbour disturbs both alike.
      for (let round = 0; round < ROUNDS; round++) {
        alone.push(run());
        const watch = new Background(process.execPath, [
          PACKETD,
          'watch',
          '--ifaces',
          'lo',
          '--output',
          'none',
          '--stats',
        ]);
        await watch.said('watching');
        watched.push(run());
        await sleep(300);
        cpuSeconds = usageOf(watch.child.pid!).cpuSeconds;
        await watch.stop();
        last = watch.stderr;
      }
      const ledger = JSON.parse(last.trim().split('\n').at(-1)!) as Record<string, number>;
      const median = (list: number[]) => [...list].sort((a, b) => a - b)[list.length >> 1];
      const row = {
        case: name,
        records: ledger.records,
        frames: ledger.frames,
        kernelDropped: ledger.kernelDropped,
        slowdown: median(watched) / median(alone) - 1,
        cpuMicrosecondsPerFrame: (cpuSeconds / ledger.frames) * 1e6,
      };
      process.stdout.write(
        json
          ? `${JSON.stringify(row)}\n`
          : `${name.padEnd(26)} ${row.records} roundtrips, ${row.frames} frames, ${row.kernelDropped} dropped, ` +
              `load tool slowed by ${(row.slowdown * 100).toFixed(1)} %, ${row.cpuMicrosecondsPerFrame.toFixed(2)} µs CPU a frame\n`,
      );
    } finally {
      await server.stop('SIGTERM');
      rmSync(directory, { recursive: true });
    }
  }
}
