import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { halves } from './batch.js';
import { RoundTripBatchSchema } from './gen/packetd/v1/roundtrip_pb.js';

const batch = (init: MessageInitShape<typeof RoundTripBatchSchema>) =>
  toBinary(RoundTripBatchSchema, create(RoundTripBatchSchema, init));

test('a batch in two has everything once, and the sensor twice', () => {
  const sensor = { name: 's', bootId: 'b' };
  const whole = batch({
    sensor,
    roundtrips: ['a', 'b', 'c'].map((operation) => ({ operation })),
    endpoints: [{ port: 1 }, { port: 2 }],
    counters: [{ name: 'frames', value: 7n }],
  });
  const parts = halves(whole)!;
  const read = parts.map(({ bytes }) => fromBinary(RoundTripBatchSchema, bytes));
  assert.deepEqual(
    read.map((part) => [part.sensor?.name, part.sensor?.bootId]),
    [
      ['s', 'b'],
      ['s', 'b'],
    ],
  );
  assert.deepEqual(
    parts.map(({ records }) => records),
    read.map(({ roundtrips }) => roundtrips.length),
  );
  const all = <T>(of: (part: (typeof read)[number]) => readonly T[]) => read.flatMap(of);
  assert.deepEqual(
    all(({ roundtrips }) => roundtrips.map(({ operation }) => operation)),
    ['a', 'b', 'c'],
  );
  assert.equal(all(({ endpoints }) => endpoints).length, 2);
  assert.deepEqual(
    all(({ counters }) => counters.map(({ name, value }) => `${name} ${value}`)),
    ['frames 7'],
  );
  assert.equal(halves(batch({ sensor, roundtrips: [{ operation: 'a' }] })), null);
});
