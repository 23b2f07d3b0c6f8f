import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { loadConfig } from './config/load.js';
import { makeLog } from './log.js';

it('a log without room ends nothing, and says what is left out when it has room', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'packetd-log-')), 'log');
  symlinkSync('/dev/full', path);
  const log = makeLog(loadConfig(undefined, { PACKETD_LOGGER_FILENAME: path }));
  log.info('one');
  log.info('two');
  rmSync(path);
  log.reopen();
  log.info('three');
  log.info('four');
  const lines = readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; lines?: number });
  assert.deepEqual(
    lines.map(({ msg, lines }) => [msg, lines]),
    [
      ['the log had no room; lines are left out here', 2],
      ['three', undefined],
      ['four', undefined],
    ],
  );
});
