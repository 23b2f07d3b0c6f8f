/**
 * One output of the collector: `collector.js OUTPUT CAPTURE` decodes the capture, gives the batches to the output and
 * prints what that took, decoding of the batches included. What it sends is swallowed.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { LinesOutput } from '@packetd/collector/documents/lines';
import { MetricsOutput } from '@packetd/collector/metrics/index';
import { Batch, type Output } from '@packetd/collector/output';
import { TracesOutput } from '@packetd/collector/traces/index';
import { decodeFile } from '@packetd/sensor/offline';

/** Batches given to the output at once, as the source's window. */
const WINDOW = 64;
/** The argument that makes this program the backend. */
const SWALLOW = 'swallow';

const log = { debug() {}, info() {}, warn() {}, error() {} };

async function output(name: string, port: number): Promise<Output> {
  switch (name) {
    case 'metrics':
      return new MetricsOutput(
        {
          storage: {
            expiredMs: 3_600_000,
            vmHistogram: false,
            nativeHistograms: false,
            seriesBudget: 10_000,
            labels: {},
            layer4Labels: [],
          },
          remoteWrite: null,
          instance: 'bench',
        },
        log,
      );
    case 'traces':
      return new TracesOutput(
        {
          endpoint: `http://127.0.0.1:${port}/v1/traces`,
          protocol: 'http',
          timeoutMs: 60_000,
          headers: {},
          ca: '',
          sampleRatio: 1,
          slowMs: 1000,
        },
        log,
      );
    default:
      return LinesOutput.file('/dev/null', Number.MAX_SAFE_INTEGER, 0, log);
  }
}

/** Answers every request in a process of its own, whose CPU is not the collector's. */
async function swallow(): Promise<{ port: number; server: ChildProcess }> {
  const server = fork(fileURLToPath(import.meta.url), [SWALLOW]);
  const [port] = (await once(server, 'message')) as [number];
  return { port, server };
}

async function run(name: string, capture: string): Promise<void> {
  const batches: Uint8Array[] = [];
  const ledger = await decodeFile(capture, {
    batch: (bytes, length) => {
      batches.push(bytes.slice(0, length));
    },
  });
  const { records } = ledger.report() as unknown as { records: number };
  const { port, server } = await swallow();
  const out = await output(name, port);
  const before = process.cpuUsage();
  const open = new Set<Promise<void>>();
  for (const bytes of batches) {
    if (open.size >= WINDOW) await Promise.race(open);
    const written: Promise<void> = out.write(new Batch(bytes)).then(() => void open.delete(written));
    open.add(written);
  }
  out.flush?.();
  await Promise.all(open);
  await out.close(60_000);
  const { user, system } = process.cpuUsage(before);
  server.kill();
  const peakMegabytes = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(`${JSON.stringify({ records, cpuSeconds: (user + system) / 1e6, peakMegabytes })}\n`);
}

if (process.argv[2] === SWALLOW) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end());
  }).listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port));
} else {
  await run(process.argv[2], process.argv[3]);
}
