/** packetd watch: the tcpdump of requests. */

import { setFlagsFromString } from 'node:v8';
import { Count, type Ledger } from '@packetd/sensor/ledger';
import { parseRule, type Rule } from '@packetd/sensor/rules';
import { END_SIGNALS } from './end.js';
import { say, tell, UserError } from './fail.js';
import { makeOutput, type Printer } from './output/printer.js';

export interface WatchOptions {
  ifaces: string;
  pcapFile?: string;
  proto: string[];
  ipv?: 'v4' | 'v6';
  promisc: boolean;
  engine?: 'afpacket' | 'cap';
  workers: number;
  output: 'text' | 'json' | 'records' | 'none';
  json?: boolean;
  'roundtrips.file'?: string;
  'roundtrips.size': number;
  'roundtrips.backups': number;
  count?: number;
  duration?: string;
  stats?: boolean;
  own?: boolean;
}

/** How long a reader that is slow is waited for after a signal. */
const LINGER_MS = 5000;

export async function watch(options: WatchOptions): Promise<void> {
  const rules: Rule[] | null = options.proto.length === 0 ? null : options.proto.map(parseRule);
  const durationMs = options.duration === undefined ? 0 : parseDuration(options.duration);
  const stop = new AbortController();
  const end = () => stop.abort();
  const printer = await makeOutput({
    format: options.json ? 'json' : options.output,
    count: options.count ?? Number.POSITIVE_INFINITY,
    file: options['roundtrips.file'],
    fileMegabytes: options['roundtrips.size'],
    fileBackups: options['roundtrips.backups'],
    done: end,
  });
  const endBy = (mostMs: number) => () => {
    printer.hurry(mostMs);
    end();
  };
  // Once: a second signal ends it at once.
  for (const signal of END_SIGNALS) process.once(signal, endBy(LINGER_MS));
  const timer = durationMs > 0 ? setTimeout(endBy(Number.POSITIVE_INFINITY), durationMs) : null;
  const ipVersion = options.ipv === 'v4' ? 4 : options.ipv === 'v6' ? 6 : 0;
  let ledger: Ledger;
  if (options.pcapFile !== undefined) {
    const { decodeFile } = await import('@packetd/sensor/offline');
    // Connections that are over leave garbage that is old: without this it may become thrice what is alive.
    setFlagsFromString('--heap-growing-percent=20');
    ledger = await decodeFile(options.pcapFile, printer, {
      rules,
      ipVersion,
      warn: say,
      signal: stop.signal,
    });
  } else {
    ledger = await live(options, rules, ipVersion, printer, stop.signal);
  }
  if (timer !== null) clearTimeout(timer);
  const unwritten = await printer.close();
  if (unwritten > 0) say(`${unwritten} roundtrips were not printed, as standard output was not read`);
  const dropped = ledger.get(Count.recordsDropped);
  if (dropped > 0) say(`${dropped} roundtrips were dropped, as they came faster than they were printed`);
  if (options.stats) tell(JSON.stringify(ledger.report()));
  process.exit(0);
}

async function live(
  options: WatchOptions,
  rules: Rule[] | null,
  ipVersion: number,
  printer: Printer,
  signal: AbortSignal,
): Promise<Ledger> {
  const { LiveCapture } = await import('@packetd/sensor/live');
  const capture = new LiveCapture(
    {
      interfaces: options.ifaces,
      engine: options.engine ?? (process.platform === 'linux' ? 'afpacket' : 'cap'),
      promiscuous: options.promisc,
      workers: options.workers,
      rules,
      ipVersion,
      decoder: {},
      skipOwn: !options.own,
    },
    printer,
    say,
  );
  await capture.start();
  const names = capture.interfaces.map((i) => i.name).join(', ');
  say(`watching ${names}${rules === null ? ', all protocols' : ''}; Ctrl-C ends`);
  await new Promise<void>((resolve, reject) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
    capture.failed.catch(reject);
  });
  return capture.stop();
}

/** Longest time of a timer of Node, 24 days. */
const MAX_DURATION_MS = 2 ** 31 - 1;

/** Milliseconds of '500ms', '30s', '5m', '1h'; a bare number is seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null) throw new UserError(`duration '${text}' cannot be read; write 30s, 5m or 1h`);
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[(match[2] ?? 's') as 'ms' | 's' | 'm' | 'h'];
  const milliseconds = Number(match[1]) * unit;
  if (milliseconds >= 1 && milliseconds <= MAX_DURATION_MS) return milliseconds;
  throw new UserError(`duration '${text}' is out of range; the least is 1ms, the most 596h`);
}
