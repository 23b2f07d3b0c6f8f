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

it('a narrow terminal gets a line of its own, with what was asked, the outcome and the duration', () => {
  const server = { address: '2001:db8:1111:2222:3333:4444:5555:6666', port: 65_535 };
  for (let columns = 40; columns < 80; columns++) {
    for (const protocol of ['dns', 'postgresql']) {
      const asked = { ...SHOWN, packetd: { ...SHOWN.packetd, protocol } };
      const text = line(asked, columns, false);
      assert.ok(text.length <= columns, `${text.length} > ${columns}: ${text}`);
      assert.match(text, / GET \/.*…? 200 1\.23ms$/);
      const long = line(
        { ...asked, server, http: undefined, error: { type: 'invalid_text_representation' } },
        columns,
        false,
      );
      assert.ok(long.length <= columns, `${long.length} > ${columns}: ${long}`);
      assert.match(long, / inval\w*… 1\.23ms$/);
    }
  }
  for (const target of ['漢'.repeat(200), '😀'.repeat(200)]) {
    const text = line({ ...SHOWN, packetd: { ...SHOWN.packetd, target } }, 41, false);
    assert.ok(text.length + text.split('漢').length - 1 <= 41);
  }
});

it('at 60 columns the server is still named, below it is not', () => {
  assert.match(line(SHOWN, 60, false), /→ 10\.0\.0\.2:8080/);
  assert.doesNotMatch(line(SHOWN, 59, false), /10\.0\.0\.2/);
});

it('durations and sizes are never written with an exponent', () => {
  const large = { ...SHOWN, client: { ...SHOWN.client, bytes: 999_999 } };
  for (const [ns, bytes, shown] of [
    [1_234_567_000_000, 1_234_000_000, ' 1235s 1000kB/1.23GB'],
    [999_999_999, 123_456_789, ' 1000ms 1000kB/123MB'],
  ] as const) {
    const d = { ...large, event: { duration: ns }, server: { ...SHOWN.server, bytes } };
    assert.ok(line(d, 100, false).endsWith(shown), line(d, 100, false));
  }
});
