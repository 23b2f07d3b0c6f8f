/** packetd up: sensor and collector in one process, a live list in the terminal and a page. */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Collector } from '@packetd/collector/collector';
import { Batch } from '@packetd/collector/output';
import { Server } from '@packetd/collector/server/server';
import { Tail } from '@packetd/collector/server/tail';
import { InProcessSource } from '@packetd/collector/source/in-process';
import { eachRecord, RECORD } from '@packetd/proto/batch';
import { CaptureError } from '@packetd/sensor/capture/engine';
import type { Ledger } from '@packetd/sensor/ledger';
import { LiveCapture } from '@packetd/sensor/live';
import type { BatchOutput } from '@packetd/sensor/protocols/records';
import { BatchCompleter, makeIdentity } from '@packetd/sensor/publish/identity';
import { type Config, loadConfig } from './config/load.js';
import { END_SIGNALS, waitForEnd } from './end.js';
import { fail, say, UserError } from './fail.js';
import { ledgerMetrics } from './ledger-metrics.js';
import { type LeveledLog, makeLog } from './log.js';
import { textLines } from './output/text.js';
import { collectorConfig, decoderOptions, liveOptions, serverConfig } from './settings.js';
import { VERSION } from './version.js';

export interface UpOptions {
  config?: string;
  ifaces?: string;
  demo?: boolean;
  quiet?: boolean;
}

/** Batches that may wait for an output before the oldest go. */
const QUEUE_BYTES = 64 << 20;
const DRAIN_MS = 5000;
/** Lines of the live list that wait to be read. */
const LIST_BYTES = 1 << 20;

export async function up(options: UpOptions): Promise<void> {
  const overrides = options.ifaces === undefined ? {} : { 'sniffer.ifaces': options.ifaces };
  const config = loadConfig(options.config, process.env, overrides);
  const file = config.get<string>('sniffer.file');
  refuseContradictions(options, file);
  const log = makeLog(config);
  const collector = new Collector(collectorConfig(config), log);
  const tail = new Tail();
  let ledger: () => Ledger | null = () => null;

  const settings = serverConfig(config);
  const server =
    settings === null
      ? null
      : new Server(settings, {
          tail,
          metrics: collector.metrics === null ? null : (open) => collector.metrics!.render(open),
          ledger: () => {
            const now = ledger();
            return now === null ? '' : ledgerMetrics(now);
          },
          notReady: () => collector.notReady(),
          reload: async () => reload(options.config, log.level),
          logLevel: log.level,
        });
  await server?.listen();

  const source = new InProcessSource(collector.outputs, QUEUE_BYTES);
  const identity = makeIdentity(config.get<string>('sensor.name'), VERSION);
  const completer = new BatchCompleter(identity, () => ledger()!);
  const list = options.quiet || config.get<boolean>('exporter.roundtrips.console') ? null : liveList();
  const output: BatchOutput = {
    batch(bytes, length, records) {
      list?.batch(bytes, length, records);
      const whole = completer.complete(bytes, length);
      tail.add(new Batch(whole));
      source.batch(whole, records);
    },
  };

  const capture = file === '' ? new LiveCapture(liveOptions(config), output, say) : null;
  if (capture !== null) ledger = () => capture.ledger();
  let demo: ReturnType<typeof fork> | null = null;
  try {
    await capture?.start();
  } catch (error) {
    if (!(options.demo && error instanceof CaptureError && error.code === 'NO_PERMISSION')) throw error;
    say(`${error.message}; replaying a bundled capture instead`);
    await replay(demoCapture(), config, output, (now) => {
      ledger = () => now;
    });
    await finish();
    return;
  }
  if (capture === null) {
    await replay(file, config, output, (now) => {
      ledger = () => now;
    });
    await finish();
    return;
  }
  for (const { address, port } of server?.addresses ?? []) capture.own.listen(address, port);
  say(`watching ${capture.interfaces.map((i) => i.name).join(', ')}; Ctrl-C ends`);
  announce();
  if (options.demo) demo = fork(new URL('./demo-traffic.js', import.meta.url));
  capture.failed.catch(fail);
  await waitForEnd(END_SIGNALS);
  demo?.kill();
  const final = (await capture.stop()).report();
  await end();
  say(`${final.records} roundtrips of ${final.frames} frames, ${final.kernelDropped} dropped`);
  process.exit(0);

  function announce(): void {
    if (server !== null)
      say(`page, /watch and /metrics on http://${settings!.address.replace(/^:/, '127.0.0.1:')}`);
  }

  async function finish(): Promise<void> {
    announce();
    if (server !== null) await waitForEnd(END_SIGNALS);
    await end();
    process.exit(0);
  }

  async function end(): Promise<void> {
    const left = await source.drain(DRAIN_MS);
    if (left > 0) log.error('the outputs did not take everything before the end', { roundtrips: left });
    await collector.close();
    await server?.close();
  }
}

/** Throws UserError for an option that is for watching interfaces where a file is read. */
function refuseContradictions(options: UpOptions, file: string): void {
  if (file === '') return;
  for (const name of ['ifaces', 'demo'] as const) {
    if (!options[name]) continue;
    throw new UserError(
      `option --${name} is for watching interfaces, but sniffer.file names the capture ${file}; leave one out`,
    );
  }
}

/** The configuration is read again: the log level changes at once, the rest says that it does not. */
export async function reload(
  file: string | undefined,
  level: { get(): string; set(level: string): boolean },
): Promise<string> {
  const fresh = loadConfig(file);
  const wanted = fresh.get<string>('logger.level');
  const before = level.get();
  level.set(wanted);
  return before === wanted
    ? 'nothing that can change while it runs has changed; other keys take effect at a restart'
    : `logger.level is ${wanted} now; other keys take effect at a restart`;
}

/** SIGHUP, as logrotate sends it to a service: files are opened again, and the configuration is read again. */
export function onHangup(file: string | undefined, log: LeveledLog, reopen: () => void): void {
  process.on('SIGHUP', async () => {
    try {
      log.reopen();
      reopen();
      log.info('hang-up', { reloaded: await reload(file, log.level) });
    } catch (error) {
      log.error('hang-up', { reason: (error as Error).message });
    }
  });
}

/** It is for somebody who reads along: what a terminal or pipe does not take in time is left out. */
function liveList(): BatchOutput {
  let isRead = true;
  // Whoever closes the list does not end packetd.
  process.stdout.on('error', () => {
    isRead = false;
  });
  const lines = textLines((bytes, length) => {
    process.stdout.write(bytes.slice(0, length));
  });
  let left = 0;
  return {
    batch(bytes, length, records) {
      if (!isRead) return;
      if (process.stdout.writableLength > LIST_BYTES) {
        left += records;
        return;
      }
      if (left > 0) process.stdout.write(`… ${left} roundtrips are left out here\n`);
      left = 0;
      eachRecord(bytes, length, RECORD, (start, end) => lines.record(bytes, start, end));
      lines.flush();
    },
  };
}

function demoCapture(): string {
  const path = fileURLToPath(new URL('../demo/demo.pcap', import.meta.url));
  if (!existsSync(path))
    throw new UserError(`the bundled capture ${path} is missing; check the installation`);
  return path;
}

async function replay(
  path: string,
  config: Config,
  output: BatchOutput,
  begun: (ledger: Ledger) => void,
): Promise<void> {
  const { decodeFile } = await import('@packetd/sensor/offline');
  const { Ledger } = await import('@packetd/sensor/ledger');
  const { PROTOCOL_NAMES } = await import('@packetd/sensor/protocols/registry');
  const ledger = new Ledger(PROTOCOL_NAMES);
  begun(ledger);
  const { rules, ipVersion, layer4 } = liveOptions(config);
  await decodeFile(path, output, {
    rules,
    ipVersion,
    layer4,
    decoder: decoderOptions(config),
    warn: say,
    ledger,
  });
}
