import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { openCap, rulesExpression } from './cap.js';
import { CaptureError } from './engine.js';

describe('rulesExpression', () => {
  const skip = spawnSync('tcpdump', ['--version']).status === 0 ? false : 'tcpdump is not installed';
  const rules = [
    { protocol: 'http', ports: [80, 8080], host: '10.0.0.1' },
    { protocol: 'dns', ports: [53], host: '' },
  ];
  for (const link of ['LINUX_SLL', 'RAW']) {
    it(`libpcap compiles it for links without VLANs: ${link}`, { skip }, () => {
      for (const some of [null, rules]) {
        const expression = rulesExpression(some, { keepTunnels: true }, false);
        const { status, stderr } = spawnSync('tcpdump', ['-y', link, '-d', expression], { encoding: 'utf8' });
        assert.equal(status, 0, `${expression}: ${stderr}`);
      }
    });
  }
  for (const [title, expression] of [
    ['all', rulesExpression(null, { keepTunnels: true })],
    ['rules', rulesExpression(rules, { keepTunnels: false })],
    ['no rules', rulesExpression([], { keepTunnels: false })],
    ['tunnels', rulesExpression(rules, { keepTunnels: true })],
    ['IPv4', rulesExpression(rules, { keepTunnels: true, ipVersion: 4 })],
    ['IPv6', rulesExpression([{ protocol: 'dns', ports: [53] }], { keepTunnels: true, ipVersion: 6 })],
  ]) {
    it(`${title}: libpcap compiles it`, { skip }, () => {
      const { status, stderr } = spawnSync('tcpdump', ['-y', 'EN10MB', '-d', expression], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, `${expression}: ${stderr}`);
    });
  }
});

it('a device that does not exist, or no package: an error that says what to do', async () => {
  await assert.rejects(openCap({ devices: ['missing0'] }), (error: unknown) => {
    assert.ok(error instanceof CaptureError);
    if (error.code === 'NOT_SUPPORTED') assert.match(error.message, /npm install cap/);
    else assert.ok(['NO_INTERFACE', 'NO_PERMISSION', 'SYSTEM'].includes(error.code));
    return true;
  });
});
