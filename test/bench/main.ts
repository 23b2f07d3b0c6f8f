/**
 * The benchmark: captures made from real servers, then packetd (and whoever `--against` names) over them.
 * Times are CPU, user and system of the whole process, start-up included; compare ratios of one run.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PACKETD } from '../e2e/support.js';
import { CAPTURES, type Capture, LOADS } from './captures.js';
import { liveCases } from './live.js';
import { measure } from './processes.js';

interface Row {
  readonly case: string;
  readonly program: string;
  readonly roundtrips: number;
  readonly frames: number;
  readonly cpuSeconds: number;
  readonly microsecondsPerRoundtrip: number;
  readonly framesPerSecond: number;
  readonly peakMegabytes: number;
  /** CPU of the program over that of packetd on the same capture. */
  readonly ratio?: number;
}

const CASES = [
  ...CAPTURES.flatMap(({ name }) => [`file-${name}-none`, `file-${name}-json`]),
  ...LOADS.map(({ name }) => `live-${name}`),
];
const { values, positionals } = commandLine();
const wanted = (name: string) => positionals.length === 0 || positionals.some((part) => name.includes(part));
const directory = values.keep ?? mkdtempSync(join(tmpdir(), 'packetd-bench-'));
const rows: Row[] = [];

try {
  for (const capture of CAPTURES) {
    const cases = ['none', 'json'].filter((output) => wanted(`file-${capture.name}-${output}`));
    if (cases.length === 0) continue;
    const file = await capture.make(directory);
    for (const output of cases) await fileCase(capture, file, output);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  await liveCases(wanted, values.json === true);
} finally {
  if (values.keep === undefined) rmSync(directory, { recursive: true });
}

/** A wrong option or case ends the run with one sentence before anything is measured. */
function commandLine() {
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        against: { type: 'string', multiple: true },
        keep: { type: 'string' },
      },
    });
    const unknown = parsed.positionals.find((part) => !CASES.some((name) => name.includes(part)));
    if (unknown !== undefined)
      throw new Error(`no case is named '${unknown}'; there are ${CASES.join(', ')}`);
    const wrong = parsed.values.against?.find((text) => !/^[^=]+=./.test(text));
    if (wrong !== undefined) throw new Error(`--against takes NAME=COMMAND, not '${wrong}'`);
    return parsed;
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message.split('. To ')[0]}\n`);
    process.exit(1);
  }
}

async function fileCase(capture: Capture, file: string, output: string): Promise<void> {
  const args = ['watch', '--pcap-file', file, '--output', output, '--stats'];
  const usage = await measure(process.execPath, [PACKETD, ...args]);
  const ledger = JSON.parse(usage.stderr.trim().split('\n').at(-1)!) as { records: number; frames: number };
  const own = row(`file-${capture.name}-${output}`, 'packetd', ledger.records, ledger.frames, usage);
  print(own);
  for (const against of values.against ?? []) {
    const [name, command] = [against.slice(0, against.indexOf('=')), against.slice(against.indexOf('=') + 1)];
    const other = await measure('sh', ['-c', `exec ${command.replaceAll('{pcap}', file)}`]);
    const measured = row(own.case, name, ledger.records, ledger.frames, other);
    print({ ...measured, ratio: measured.cpuSeconds / own.cpuSeconds });
  }
  if (statSync(file).size === 0) throw new Error(`${file} is empty`);
}

function row(
  name: string,
  program: string,
  roundtrips: number,
  frames: number,
  usage: { userSeconds: number; systemSeconds: number; peakMegabytes: number },
): Row {
  const cpuSeconds = usage.userSeconds + usage.systemSeconds;
  return {
    case: name,
    program,
    roundtrips,
    frames,
    cpuSeconds,
    microsecondsPerRoundtrip: (cpuSeconds / roundtrips) * 1e6,
    framesPerSecond: frames / cpuSeconds,
    peakMegabytes: usage.peakMegabytes,
  };
}

function print(r: Row): void {
  rows.push(r);
  if (values.json) return;
  const ratio = r.ratio === undefined ? '' : `  ${r.ratio.toFixed(1)}x`;
  process.stdout.write(
    `${r.case.padEnd(26)} ${r.program.padEnd(10)} ${String(r.roundtrips).padStart(8)} rt ${String(r.frames).padStart(8)} frames ` +
      `${r.cpuSeconds.toFixed(2).padStart(6)} s ${r.microsecondsPerRoundtrip.toFixed(2).padStart(6)} µs/rt ` +
      `${(r.framesPerSecond / 1e6).toFixed(2).padStart(5)} M frames/s ${r.peakMegabytes.toFixed(0).padStart(4)} MiB${ratio}\n`,
  );
}
