import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { copyExactly, equalBytes, viewOf } from './words.js';

const bytes = fc.uint8Array({ maxLength: 100 });
/** A part of an array, at an offset of its buffer. */
const part = fc.tuple(bytes, fc.nat(20), fc.nat(20));

test('a view is of the bytes it was asked for, wherever they stand in their buffer', () => {
  fc.assert(
    fc.property(fc.array(part, { minLength: 1 }), (parts) => {
      for (const [all, before] of parts) {
        const some = all.subarray(Math.min(before, all.length));
        const view = viewOf(some);
        assert.equal(viewOf(some), view);
        assert.deepEqual(
          Array.from(some, (_, i) => view.getUint8(i)),
          [...some],
        );
      }
    }),
  );
});

test('an exact copy is what `set` copies, and told from what is no ASCII', () => {
  fc.assert(
    fc.property(part, fc.boolean(), ([source, from, at], masked) => {
      if (masked) for (let i = 0; i < source.length; i++) source[i] &= 0x7f;
      const start = Math.min(from, source.length);
      const copied = new Uint8Array(150).fill(0xee);
      const expected = copied.slice();
      expected.set(source.subarray(start), at);
      const ascii = copyExactly(viewOf(copied), at, new DataView(source.buffer), start, source.length);
      assert.deepEqual(copied, expected);
      assert.equal(
        ascii,
        source.subarray(start).every((byte) => byte < 0x80),
      );
    }),
  );
});

test('bytes are equal until one of them differs', () => {
  fc.assert(
    fc.property(part, fc.nat(), fc.integer({ min: 1, max: 255 }), ([source, from, at], where, change) => {
      const start = Math.min(from, source.length);
      const length = source.length - start;
      const other = new Uint8Array(at + length);
      other.set(source.subarray(start), at);
      const a = new DataView(source.buffer);
      const b = new DataView(other.buffer);
      assert.ok(equalBytes(a, start, b, at, length));
      if (length === 0) return;
      other[at + (where % length)] ^= change;
      assert.ok(!equalBytes(a, start, b, at, length));
    }),
  );
});
