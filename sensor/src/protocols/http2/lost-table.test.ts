/** Blocks are of the forms of RFC 7541 sections 6.1 (indexed) and 6.2.1 (literal with incremental indexing). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderList, HpackDecoder } from './hpack.js';

const list = new HeaderList();

const add = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.of(0x40, name.length),
    Buffer.from(name),
    Buffer.of(value.length),
    Buffer.from(value),
  ]);
/** A value under the name of the entry at `position`, the newest being 0; 63 is what the prefix does not hold. */
const addAs = (position: number, value: string): Buffer =>
  Buffer.concat([Buffer.of(0x7f, position - 1, value.length), Buffer.from(value)]);
const refer = (...positions: number[]): Buffer =>
  Buffer.from(positions.map((position) => 0x80 | (62 + position)));

function decode(decoder: HpackDecoder, block: Buffer): string[] {
  assert.ok(decoder.decode(block, 0, block.length, list));
  return Array.from({ length: list.length }, (_, i) => {
    const name = list.names[i] === null ? '?' : Buffer.from(list.names[i]!.name).toString('latin1');
    const value = list.ends[i] < 0 ? '?' : Buffer.from(list.values[i].subarray(list.starts[i], list.ends[i]));
    return `${name}: ${value}`;
  });
}

/** The server of a service: what it says has all been added, and each kind of block was sent. */
function server(fromStart = true): HpackDecoder {
  const decoder = new HpackDecoder(fromStart);
  decode(decoder, add('content-type', 'application/grpc'));
  decode(decoder, Buffer.concat([add('grpc-status', '0'), add('grpc-message', '')]));
  decode(decoder, refer(2));
  decode(decoder, refer(1, 0));
  return decoder;
}

test('blocks of two kinds are as before: so is the table', () => {
  const decoder = server();
  decoder.lose(1448);
  assert.deepEqual(decode(decoder, refer(2)), ['?: ?']);
  assert.ok(list.incomplete);
  assert.deepEqual(decode(decoder, refer(1, 0)), ['grpc-status: 0', 'grpc-message: ']);
  assert.ok(!list.incomplete);
  assert.deepEqual(decode(decoder, refer(2)), ['content-type: application/grpc']);
});

test('one block that refers to many names says it alone', () => {
  const decoder = new HpackDecoder(true);
  decode(decoder, Buffer.concat(['te', 'user-agent', 'x-a', 'x-b'].map((name) => add(name, '1'))));
  decode(decoder, refer(3, 2, 1, 0));
  decoder.lose(100);
  assert.deepEqual(decode(decoder, refer(3, 2, 1, 0)), ['te: 1', 'user-agent: 1', 'x-a: 1', 'x-b: 1']);
});

test('what was added since has its name, and its place', () => {
  const decoder = server();
  decoder.lose(100);
  assert.deepEqual(decode(decoder, addAs(1, '5')), ['?: 5']);
  decode(decoder, refer(3));
  decode(decoder, refer(2, 1));
  assert.deepEqual(decode(decoder, refer(0, 2)), ['grpc-status: 5', 'grpc-status: 0']);
});

test('lost again before it is sure', () => {
  const decoder = server();
  decoder.lose(100);
  decode(decoder, add('x-a', '1'));
  decode(decoder, refer(3));
  decoder.lose(100);
  assert.deepEqual(decode(decoder, refer(2, 1)), ['?: ?', '?: ?']);
  assert.deepEqual(decode(decoder, refer(3, 0)), ['?: ?', '?: ?']);
  const second = server();
  second.lose(100);
  decode(second, add('x-a', '1'));
  second.lose(100);
  decode(second, refer(3));
  assert.deepEqual(decode(second, refer(2, 1)), ['grpc-status: 0', 'grpc-message: ']);
});

const UNKNOWN: [name: string, run: () => string[]][] = [
  [
    'an entry was added in the hole',
    () => {
      const decoder = server();
      decoder.lose(100);
      decode(decoder, refer(3));
      decode(decoder, refer(2, 1));
      return decode(decoder, refer(3));
    },
  ],
  [
    'so much is lost that all may have been added again',
    () => {
      const decoder = server();
      decoder.lose(4096);
      decode(decoder, refer(2));
      return decode(decoder, refer(1, 0));
    },
  ],
  [
    'joined in the midst',
    () => {
      const decoder = server(false);
      decoder.lose(100);
      decode(decoder, refer(2));
      return decode(decoder, refer(1, 0));
    },
  ],
  [
    'entries were evicted before',
    () => {
      const decoder = server();
      for (let i = 0; i < 50; i++) decode(decoder, add('date', `${i}`.padStart(100)));
      for (const name of ['te', 'user-agent', 'x-a', 'x-b']) decode(decoder, add(name, '1'));
      decode(decoder, refer(3, 2, 1, 0));
      decoder.lose(100);
      return decode(decoder, refer(3, 2, 1, 0));
    },
  ],
  [
    'each name is that of several entries',
    () => {
      const decoder = new HpackDecoder(true);
      for (const value of ['1', '2'])
        decode(decoder, Buffer.concat([add('etag', value), add('date', value)]));
      decode(decoder, refer(1));
      decode(decoder, refer(0));
      decoder.lose(100);
      decode(decoder, refer(1));
      return decode(decoder, refer(0));
    },
  ],
  [
    'a block could not be read',
    () => {
      const decoder = server();
      assert.equal(decoder.decode(Buffer.of(0x80), 0, 1, list), false);
      decode(decoder, refer(2));
      return decode(decoder, refer(1, 0));
    },
  ],
];
for (const [name, run] of UNKNOWN)
  test(`not believed: ${name}`, () => {
    assert.ok(run().every((field) => field === '?: ?'));
  });
