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

it('nor does the error that a server names', () => {
  const evil = { ...SHOWN, http: undefined, error: { type: '\x1b[2J\u202eERR' } };
  assert.doesNotMatch(line(evil, 160, false), /[\x00-\x1f\u202e]/);
});

it('what is wide is counted as wide, and no character is cut in two', () => {
  // Each ideograph and emoji takes two columns (Unicode Standard Annex #11), a combining mark none.
  for (const [shown, columnsOf] of [
    ['漢', 2],
    ['😀', 2],
    ['e\u0301', 1],
  ] as const) {
    const target = shown.repeat(200);
    for (const columns of [80, 81, 120, 121]) {
      const text = line({ ...SHOWN, packetd: { ...SHOWN.packetd, target } }, columns, false);
      assert.ok(Buffer.from(text).toString() === text);
      const times = text.split(shown).length - 1;
      const width = text.length + times * (columnsOf - shown.length);
      assert.ok(width <= columns && width >= columns - 1, `${width} of ${columns}`);
      assert.match(text, / 200 1\.23ms 120B\/940B$/);
    }
  }
});
