import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_TEXT_GROWTH, putText } from './json.js';

function written(source: Uint8Array, start = 0): string {
  const out = new Uint8Array(source.length * MAX_TEXT_GROWTH + 4);
  const end = putText(out, new DataView(out.buffer), 0, source, start, source.length);
  return Buffer.from(out.subarray(0, end)).toString('latin1');
}

test('every byte at every place among plain ones is read back as TextDecoder and JSON.parse have it', () => {
  const plain = 'The quick brown fox jumps over it';
  for (let byte = 0; byte < 256; byte++) {
    for (let at = 0; at < plain.length; at++) {
      const source = Buffer.from(plain, 'latin1');
      source[at] = byte;
      const text = Buffer.from(written(source), 'latin1').toString();
      assert.equal(JSON.parse(`"${text}"`), new TextDecoder().decode(source), `${byte} at ${at}`);
    }
  }
});

test('any bytes are read back as TextDecoder has them', () => {
  const source = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.string({ unit: 'binary', maxLength: 80 }).map((text) => new TextEncoder().encode(text)),
    fc.string({ maxLength: 80 }).map((text) => new TextEncoder().encode(text)),
  );
  fc.assert(
    fc.property(source, fc.nat(5), (bytes, from) => {
      const start = Math.min(from, bytes.length);
      const text = Buffer.from(written(bytes, start), 'latin1').toString();
      assert.equal(
        JSON.parse(`"${text}"`),
        new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(start)),
      );
    }),
    { numRuns: 2000 },
  );
});
