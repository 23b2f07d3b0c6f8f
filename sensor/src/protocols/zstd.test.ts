import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rawZstd } from './harness.js';
import { unpackZstd } from './zstd.js';

const TEXT = JSON.stringify(Array.from({ length: 200 }, (_, i) => ({ _id: i, name: `user${i % 7}` })));
/** What `zstd -3` (the command, 1.5.4) makes of it. */
const PACKED = Buffer.from(
  'KLUv/WCrE60OAJZaNxhwS5IOPjKIUvL3oKoPiNi2pZQyBej//5k4ADUAKwDDktu0J5t13KYt0aiiJmmJRp1v/fLcuTVOSDHTkpv0' +
    'AA8IWThgaEAEIA4SChQQABKAMEAgQDgIBGND4yFjRhNMLKHECUlMogkmllBxIcUULVisUHEhxUyHs9E8MjMdzqpe6bRlV/UKhyU5' +
    'ilMYUzgsyVGcwlnHbdqTzTpukpZoVFGTtOS5861fnnLIRLKIjFQoE8kPGTM6GAMPiK1fnjvf+uW5861fnjvf+uW5861fnjvfemRm' +
    'WnZVr3TasqsYgY6oIfj2fwNxRyUpPRGMEGQtMfIBjyJxlOJGNTNK8aKaFaU4UZ0RpfhQzYZSXKhmQikeVDNBKQ5UM6AU/6nZT4r7' +
    '1MwnjffUrCfFeWrGk+I7NdtJ8To100nxnJrlpDhOzXBS/KbOblLcpmY2KV5TxJC0e+fcuXvv3Ltz7t25987du/Penbvvzr277t6d' +
    'Q/KIM4GwEUNE+AAmFF7icYlHSz4s8VjJRyUeKbkZUOKERCIxiUxGMomcRDITmURmEpmJZBIzieQkMknJJHISyWRkEpn3AXkD8gXk' +
    'CcgPkBdgPoA8APnpnwj/y9a79dZ8N91gAWVAqgI=',
  'base64',
);
const lengthOf = (packed: Uint8Array, size: number): number => {
  try {
    return unpackZstd(packed, size)?.length ?? -1;
  } catch {
    return -1;
  }
};

test('frames of a compressor, and by the letter', () => {
  assert.equal(Buffer.from(unpackZstd(PACKED, TEXT.length)!).toString(), TEXT);
  assert.equal(Buffer.from(unpackZstd(rawZstd(Buffer.from('abc')), 3)!).toString(), 'abc');
  assert.equal(Buffer.from(unpackZstd(PACKED, TEXT.length)!).toString(), TEXT);
});

test('what is no frame, or is damaged, cut or of another size, is not of the size that was said', () => {
  assert.notEqual(lengthOf(Buffer.from('no frame'), 8), 8);
  assert.notEqual(lengthOf(Buffer.alloc(0), 5), 5);
  assert.notEqual(lengthOf(PACKED.subarray(0, 300), TEXT.length), TEXT.length);
  for (const lie of [-1, 1]) assert.notEqual(lengthOf(PACKED, TEXT.length + lie), TEXT.length + lie);
  for (let at = 0; at < 40; at++) {
    const damaged = Buffer.from(PACKED);
    damaged[at] ^= 0xff;
    lengthOf(damaged, TEXT.length);
  }
  assert.equal(lengthOf(PACKED, TEXT.length), TEXT.length);
});
