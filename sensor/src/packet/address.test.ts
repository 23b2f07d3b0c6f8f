import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, MAX_ADDRESS_LENGTH, parseAddress, writeAddress } from './address.js';

/** IPv6 by RFC 5952; the rows with a section are its examples. */
const CASES: readonly [words: readonly [number, number, number, number], ipVersion: number, text: string][] =
  [
    [[0, 0, 0xffff, 0x7f000001], 4, '127.0.0.1'],
    [[0, 0, 0xffff, 0], 4, '0.0.0.0'],
    [[0, 0, 0xffff, 0xffffffff], 4, '255.255.255.255'],
    [[0, 0, 0xffff, 0xc0a80a64], 4, '192.168.10.100'],
    [[0, 0, 0, 0], 6, '::'],
    [[0, 0, 0, 1], 6, '::1'],
    [[0x20010db8, 0, 0, 1], 6, '2001:db8::1'],
    // Section 4.2.2: one group of zeros is not shortened.
    [[0x20010db8, 0x00000001, 0x00010001, 0x00010001], 6, '2001:db8:0:1:1:1:1:1'],
    // Section 4.2.3: the longest run; the first of equals.
    [[0x20010000, 0x00000001, 0, 0x00000001], 6, '2001:0:0:1::1'],
    [[0x20010db8, 0, 0x00010000, 0x00000001], 6, '2001:db8::1:0:0:1'],
    [[0x20010db8, 0, 0, 0], 6, '2001:db8::'],
    [[0, 0x00000001, 0x00020003, 0x00040005], 6, '::1:2:3:4:5'],
    [[0xfe800000, 0, 0x02e052ff, 0xfe810a0b], 6, 'fe80::2e0:52ff:fe81:a0b'],
    // Section 5.
    [[0, 0, 0xffff, 0xc0000201], 6, '::ffff:192.0.2.1'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], 6, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ];

for (const [[word0, word1, word2, word3], ipVersion, text] of CASES) {
  test(`address ${text} of IPv${ipVersion}`, () => {
    assert.equal(formatAddress(word0, word1, word2, word3, ipVersion), text);
    const target = new Uint8Array(MAX_ADDRESS_LENGTH + 3).fill(0x3a);
    const end = writeAddress(target, 3, word0, word1, word2, word3, ipVersion);
    assert.equal(Buffer.from(target.subarray(3, end)).toString('latin1'), text);
    assert.deepEqual(parseAddress(text), Int32Array.of(word0, word1, word2, word3));
  });
}

test('an address with its zone, or in upper case', () => {
  assert.deepEqual(parseAddress('FE80::1%eth0'), Int32Array.of(0xfe800000, 0, 0, 1));
});
