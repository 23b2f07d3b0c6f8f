import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { RotatedFile } from './rotated-file.js';

const line = Buffer.from('0123456789\n');

it('a full file moves to .1, the oldest goes', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'packetd-rotated-')), 'lines');
  const file = new RotatedFile(path, 20, 2);
  for (let i = 0; i < 5; i++) file.write(line, line.length);
  file.close();
  const names = readdirSync(join(path, '..')).sort();
  assert.deepEqual(names, ['lines', 'lines.1', 'lines.2']);
  for (const name of names) assert.equal(readFileSync(join(path, '..', name), 'utf8'), '0123456789\n');
});

// As root, rotating /dev/null takes it from the whole machine.
for (const backups of [0, 2]) {
  it(`what is no file is neither moved nor removed, ${backups} backups`, () => {
    const path = join(mkdtempSync(join(tmpdir(), 'packetd-rotated-')), 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const file = new RotatedFile(path, 20, backups);
    for (let i = 0; i < 5; i++) file.write(line, line.length);
    file.close();
    assert.ok(lstatSync(path).isFIFO());
    assert.deepEqual(readdirSync(join(path, '..')), ['pipe']);
    assert.equal(readSync(reader, Buffer.alloc(100)), 55);
    closeSync(reader);
  });
}
