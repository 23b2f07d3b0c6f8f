import assert from 'node:assert/strict';
import { it } from 'node:test';
import { line } from './text.js';

const SHOWN = {
  '@timestamp': '2026-11-23T14:00:00.123456789Z',
  event: { duration: 1_234_567 },
  client: { address: '2001:db8:1:2:3:4:5:6', port: 40_000, bytes: 120 },
  server: { address: '10.0.0.2', port: 8080, bytes: 940 },
  packetd: { protocol: 'http', operation: 'GET', target: `/${'long/'.repeat(40)}`, status: 'OK' },
  http: { response: { status_code: 200 } },
};

it('a line fits the terminal, however narrow', () => {
  for (const columns of [80, 100, 120, 200]) {
    const text = line(SHOWN, columns, false);
    assert.ok(text.length <= columns, `${text.length} > ${columns}`);
    assert.match(text, / 200 1\.23ms 120B\/940B$/);
  }
});

it('captured text cannot drive the terminal', () => {
  const evil = { ...SHOWN, packetd: { ...SHOWN.packetd, target: '\x1b]0;owned\x07' } };
  assert.doesNotMatch(line(evil, 120, false), /[\x00-\x1f]/);
});
