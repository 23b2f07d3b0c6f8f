/**
 * The benchmark: captures made from real servers, then packetd (and whoever `--against` names) over them.
 * Times are CPU, user and system of the whole process, start-up included; compare ratios of one run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PACKETD } from '../e2e/support.js';
import { CAPTURES, type Capture, LOADS } from './captures.js';
import { apartMissing, live } from './live.js';
import { measure } from './processes.js';
import { line, type Row, row } from './row.js';

const OUTPUTS = ['metrics', 'traces', 'documents'] as const;
/** The capture whose records the collector's outputs are given. */
const COLLECTED = 'http';

const CASES = [
  ...CAPTURES.flatMap(({ name }) => [`file-${name}-none`, `file-${name}-json`]),
  ...LOADS.flatMap(({ name }) => [`live-${name}`, `live-${name}-apart`]),
  ...OUTPUTS.map((name) => `collector-${name}`),
];
const { values, positionals } = commandLine();
const others = (values.against ?? []).map((text) => {
  const at = text.indexOf('=');
  return { name: text.slice(0, at), command: text.slice(at + 1) };
});
/** A command that names no capture watches the network. */
const isLive = ({ command }: { command: string }) => !command.includes('{pcap}');
const wanted = (name: string) => positionals.length === 0 || positionals.some((part) => name.includes(part));
const directory = values.keep ?? mkdtempSync(join(tmpdir(), 'packetd-bench-'));
const rows: Row[] = [];

try {
  for (const capture of CAPTURES) {
    const cases = ['none', 'json'].filter((output) => wanted(`file-${capture.name}-${output}`));
    if (cases.length === 0 || isMissing(`file-${capture.name}`, capture.missing())) continue;
    const file = await capture.make(directory);
    for (const output of cases) await fileCase(capture, file, output);
  }
  for (const load of LOADS) {
    for (const apart of [false, true]) {
      const name = `live-${load.name}${apart ? '-apart' : ''}`;
      const missing = () => load.missing?.() ?? (apart ? apartMissing() : null);
      if (!wanted(name) || isMissing(name, missing())) continue;
      for (const r of await live(name, load, { apart, against: others.filter(isLive) })) print(r);
    }
  }
  for (const name of OUTPUTS) if (wanted(`collector-${name}`)) await collectorCase(name);
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  if (values.keep === undefined) rmSync(directory, { recursive: true });
}

function isMissing(name: string, reason: string | null): boolean {
  if (reason !== null) process.stderr.write(`${name} is left out: ${reason}\n`);
  return reason !== null;
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
  const { records, frames } = JSON.parse(usage.stderr.trim().split('\n').at(-1)!) as Record<string, number>;
  capture.check(records);
  const own = row(`file-${capture.name}-${output}`, 'packetd', records, frames, usage);
  print(own);
  for (const { name, command } of others.filter((against) => !isLive(against))) {
    const other = await measure('sh', ['-c', `exec ${command.replaceAll('{pcap}', file)}`]);
    const measured = row(own.case, name, records, frames, other);
    print({ ...measured, ratio: measured.cpuSeconds / own.cpuSeconds });
  }
}

/** Decoding the batches and making what the output sends. */
async function collectorCase(output: string): Promise<void> {
  const file = await CAPTURES.find(({ name }) => name === COLLECTED)!.make(directory);
  const program = fileURLToPath(new URL('collector.js', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, output, file], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the output ${output} failed: ${stderr}`);
  const { records, cpuSeconds, peakMegabytes } = JSON.parse(stdout) as Record<string, number>;
  print(row(`collector-${output}`, 'packetd', records, 0, { cpuSeconds, peakMegabytes }));
}

function print(r: Row): void {
  rows.push(r);
  if (!values.json) process.stdout.write(`${line(r)}\n`);
}
