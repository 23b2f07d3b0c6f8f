import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveBuffer, takeBuffer } from './buffers.js';

test('a buffer has room for what it is taken for, and not twice as much', () => {
  for (const length of [0, 1, 127, 128, 129, 1460, 4096, 4097, 65_535, 65_536, 65_537, 1 << 20]) {
    const buffer = takeBuffer(length);
    assert.ok(buffer.length >= length, `${length}`);
    assert.ok(buffer.length < Math.max(2 * length, 129), `${length}`);
  }
});

test('what was given back is taken again, once', () => {
  const buffer = takeBuffer(1000);
  giveBuffer(buffer);
  assert.equal(takeBuffer(600), buffer);
  assert.notEqual(takeBuffer(600), buffer);
});

test('an empty buffer is not kept, nor a very long one', () => {
  giveBuffer(new Uint8Array(0));
  assert.equal(takeBuffer(0).length, 128);
  const long = takeBuffer(1 << 20);
  giveBuffer(long);
  assert.notEqual(takeBuffer(1 << 20), long);
});
