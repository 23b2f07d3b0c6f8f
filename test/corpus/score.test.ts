/**
 * Captures made by others, scored by a program that shares no code with packetd (tshark and pairing of its
 * own). Runs where that corpus lies beside the checkout.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { PROTOCOL_NAMES } from '@packetd/sensor/protocols/registry';
import { has } from '../bench/processes.js';
import { PACKETD, ROOT } from '../e2e/support.js';

const shared = join(ROOT, '../shared');
const skip = !existsSync(join(shared, 'score'))
  ? 'the corpus is not beside this checkout'
  : !has('python3') || !has('tshark')
    ? 'python3 and tshark are needed'
    : false;

/** Least share of hard items that must be exact; what is short of 100 % is explained in differences.md. */
const LEAST_EXACT = 0.99;

/** Spurious records that differences.md explains, by capture. */
const EXPLAINED: Readonly<Record<string, number>> = {
  'pcap2har/tcp-nasty/out-of-order.pcap': 1,
  'packetbeat/http1/wsgi_drum.pcap': 2,
};
/** Captures whose wrong items differences.md lays to the scorer. */
const ORACLE_WRONG = new Set(['pcap2har/tcp-nasty/out-of-order.pcap']);

type Row = [protocol: string, kind: string, verdict: string, ...rest: unknown[]];

it('the corpus: nothing spurious, no crash, hard items exact', { skip, timeout: 1_200_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-score-'));
  try {
    const file = join(directory, 'result.json');
    const run = spawnSync(
      'python3',
      [
        join(shared, 'score/score.py'),
        ...['--cmd', `${process.execPath} ${PACKETD} watch --pcap-file {pcap} --json`],
        ...['--index', join(shared, 'corpus/index.json'), '--json', file, '--jobs', '2'],
      ],
      { maxBuffer: 64 << 20 },
    );
    assert.equal(run.status, 0, run.stderr.toString());
    console.log(run.stdout.toString());
    const results = JSON.parse(readFileSync(file, 'utf8')) as {
      file: string;
      crash: string | null;
      timeout: boolean;
      rows: Row[];
      spurious: unknown[][];
    }[];
    assert.deepEqual(
      results.filter((r) => r.crash || r.timeout).map((r) => r.file),
      [],
    );
    assert.deepEqual(
      results.flatMap((r) => r.spurious.slice(EXPLAINED[r.file] ?? 0).map((s) => [r.file, ...s])),
      [],
    );
    for (const protocol of PROTOCOL_NAMES) {
      const rows = results
        .filter((r) => !ORACLE_WRONG.has(r.file))
        .flatMap((r) => r.rows)
        .filter((row) => row[0] === protocol);
      const exact = rows.filter((row) => row[2] === 'exact').length;
      assert.ok(exact >= rows.length * LEAST_EXACT, `${protocol}: ${exact} of ${rows.length} exact`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
