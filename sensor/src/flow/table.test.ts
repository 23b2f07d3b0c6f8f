/** The tables against a Map. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { segment } from './segments.js';
import { KeyTable, TupleTable } from './table.js';

test('insertions, removals and look-ups are those of a Map', () => {
  const steps = fc.array(fc.record({ key: fc.nat(300), remove: fc.boolean() }), { maxLength: 600 });
  fc.assert(
    fc.property(steps, fc.integer(), (list, seed) => {
      const table = new KeyTable(2, seed);
      const model = new Map<number, number>();
      const entryOf = (key: number) => {
        table.key[0] = key & 3;
        table.key[1] = key;
        return table.find();
      };
      for (const { key, remove } of list) {
        const entry = entryOf(key);
        assert.equal(entry, model.get(key) ?? -1);
        if (remove && entry >= 0) {
          table.remove(entry);
          model.delete(key);
        } else if (entry < 0) {
          const inserted = table.insert();
          assert.ok(![...model.values()].includes(inserted));
          model.set(key, inserted);
        }
        assert.equal(table.size, model.size);
      }
      for (const [key, entry] of model) {
        assert.equal(entryOf(key), entry);
        assert.equal(table.word(entry, 1), key);
      }
    }),
    { numRuns: 60 },
  );
});

test('both directions of a connection are one entry, and its ends keep their ports', () => {
  const table = new TupleTable();
  const request = segment({ seq: 0 });
  const response = segment({ seq: 0, from: 'server' });
  assert.equal(table.find(request), -1);
  const entry = table.insert();
  const { reversed } = table;
  assert.equal(table.find(response), entry);
  assert.equal(table.reversed, !reversed);
  assert.equal(table.port(entry, reversed), 40000);
  assert.equal(table.port(entry, !reversed), 80);
  assert.deepEqual([...table.address(entry, reversed)], [0, 0, 0xffff, 0x0a000001]);
});

test('the same addresses with the ports swapped are another connection', () => {
  const table = new TupleTable();
  table.find(segment({ seq: 0, client: { address: 1, port: 10 }, server: { address: 2, port: 20 } }));
  table.insert();
  assert.equal(
    table.find(segment({ seq: 0, client: { address: 1, port: 20 }, server: { address: 2, port: 10 } })),
    -1,
  );
});
