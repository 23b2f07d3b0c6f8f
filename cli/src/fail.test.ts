import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { it } from 'node:test';

it('goes on where nothing can be told', () => {
  const full = openSync('/dev/full', 'w');
  const script = `
    import { say } from ${JSON.stringify(import.meta.resolve('./fail.js'))};
    say('one');
    setTimeout(() => {
      say('two');
      setTimeout(() => process.exit(7), 10);
    }, 10);`;
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', full],
  });
  closeSync(full);
  assert.equal(status, 7);
});
