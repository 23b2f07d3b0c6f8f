import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  truncateSync,
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

const pathOf = () => join(mkdtempSync(join(tmpdir(), 'packetd-rotated-')), 'lines');

it('there may be as many backups as one likes', () => {
  const file = new RotatedFile(pathOf(), 20, Number.MAX_SAFE_INTEGER);
  for (let i = 0; i < 5; i++) file.write(line, line.length);
  file.close();
});

it('a rotation that fails takes nothing away, and is made up for', () => {
  const path = pathOf();
  const file = new RotatedFile(path, 20, 2);
  file.write(line, line.length);
  mkdirSync(`${path}.1`);
  mkdirSync(`${path}.2`);
  mkdirSync(`${path}.2/x`);
  for (let i = 0; i < 3; i++) {
    assert.throws(() => file.write(line, line.length), {
      name: 'FileError',
      message: /^cannot write .*lines \(E.*\); choose another file$/,
    });
  }
  assert.equal(readFileSync(path, 'utf8'), '0123456789\n');
  rmdirSync(`${path}.2/x`);
  rmdirSync(`${path}.2`);
  rmdirSync(`${path}.1`);
  file.write(line, line.length);
  file.close();
  for (const name of [path, `${path}.1`]) assert.equal(readFileSync(name, 'utf8'), '0123456789\n');
});

it('a file that somebody else has emptied is not full', () => {
  const path = pathOf();
  const file = new RotatedFile(path, 20, 2);
  for (let i = 0; i < 5; i++) {
    file.write(line, line.length);
    truncateSync(path);
  }
  file.close();
  assert.deepEqual(readdirSync(join(path, '..')), ['lines']);
});

it('of a piece for which there is no room, nothing stays', () => {
  const path = pathOf();
  const script = `
    process.on('SIGXFSZ', () => {});
    import(${JSON.stringify(import.meta.resolve('./rotated-file.js'))}).then(({ RotatedFile }) => {
      const file = new RotatedFile(${JSON.stringify(path)}, 1e6, 2);
      for (;;) file.write(Buffer.alloc(100, 97), 100);
    }).catch((error) => process.stdout.write(error.message));`;
  const { stdout } = spawnSync('sh', ['-c', `ulimit -f 1; exec "${process.execPath}" -e "$0"`, script]);
  assert.match(stdout.toString(), /^cannot write .*lines \(EFBIG\)/);
  const { length } = readFileSync(path);
  assert.ok(length > 0 && length % 100 === 0, `${length}`);
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
