/** The tables against a Map. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Packet } from '../packet/packet.js';
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
  const entry = table.insert(request);
  const { reversed } = table;
  assert.equal(table.find(response), entry);
  assert.equal(table.reversed, !reversed);
  assert.equal(table.port(entry, reversed), 40000);
  assert.equal(table.port(entry, !reversed), 80);
  assert.deepEqual([...table.address(entry, reversed)], [0, 0, 0xffff, 0x0a000001]);
});

test('the same addresses with the ports swapped are another connection', () => {
  const table = new TupleTable();
  const first = segment({ seq: 0, client: { address: 1, port: 10 }, server: { address: 2, port: 20 } });
  table.find(first);
  table.insert(first);
  assert.equal(
    table.find(segment({ seq: 0, client: { address: 1, port: 20 }, server: { address: 2, port: 10 } })),
    -1,
  );
});

test('connections of both versions of IP, whichever end sends, are those of a Map', () => {
  // Few of each, so that addresses, ports and the hash's neighbours meet.
  const words = fc.constantFrom([0, 0, 0xffff, 1], [0, 0, 0xffff, -2], [1, 0, 0xffff, 1], [0, 0, 0, 1]);
  const end = fc.record({ address: words, port: fc.constantFrom(1, 53, 0x8000, 0xffff) });
  const step = fc.record({ a: end, b: end, remove: fc.boolean() });
  const isIpv4 = (address: readonly number[]) => address[0] === 0 && address[2] === 0xffff;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), (steps, seed) => {
      const table = new TupleTable(seed);
      const model = new Map<string, number>();
      for (const { a, b, remove } of steps) {
        const p = new Packet();
        p.ipVersion = isIpv4(a.address) && isIpv4(b.address) ? 4 : 6;
        [p.source0, p.source1, p.source2, p.source3] = a.address;
        [p.destination0, p.destination1, p.destination2, p.destination3] = b.address;
        p.sourcePort = a.port;
        p.destinationPort = b.port;
        const name = [JSON.stringify(a), JSON.stringify(b)].sort().join();
        const entry = table.find(p);
        assert.equal(entry, model.get(name) ?? -1);
        assert.equal(table.looped, JSON.stringify(a) === JSON.stringify(b));
        if (remove && entry >= 0) {
          table.remove(entry);
          model.delete(name);
        } else if (entry < 0) {
          model.set(name, table.insert(p));
          const [source, destination] = [table.reversed, !table.reversed];
          assert.deepEqual([...table.address(model.get(name)!, source)], a.address);
          assert.equal(table.port(model.get(name)!, source), a.port);
          assert.deepEqual([...table.address(model.get(name)!, destination)], b.address);
          assert.equal(table.port(model.get(name)!, destination), b.port);
        }
        assert.equal(table.size, model.size);
      }
    }),
    { numRuns: 100 },
  );
});
