import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { RoundTripSchema } from './gen/packetd/v1/roundtrip_pb.js';
import { EndpointTag, HttpTag, KeyValueTag, RoundTripTag } from './gen/tags.js';
import { Constant, encodeString, MAX_NESTED_BYTES, putPositive, WireWriter } from './wire-writer.js';

const written = (write: (wire: WireWriter) => void, initialBytes = 1): Uint8Array => {
  const wire = new WireWriter(initialBytes);
  write(wire);
  return wire.bytes.slice(0, wire.length);
};
/** A reader behind the tag of the one field written. */
const fieldOf = (bytes: Uint8Array, number: number, type: WireType): BinaryReader => {
  const reader = new BinaryReader(bytes);
  assert.deepEqual(reader.tag(), [number, type]);
  return reader;
};
const number = fc.oneof(fc.constantFrom(1, 15, 16, 2047, 2048), fc.integer({ min: 1, max: 2 ** 29 - 1 }));
const unicode = fc.string({ unit: 'binary', maxLength: 200 });

test('every kind of field is read back by @bufbuild/protobuf', () => {
  fc.assert(
    fc.property(
      number,
      fc.oneof(fc.nat(300), fc.maxSafeNat()),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.double(),
      fc.uint8Array({ maxLength: 300 }),
      unicode,
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (n, unsigned, signed, flag, real, raw, text, bits) => {
        const varint = (n << 3) >>> 0;
        const fixed = (varint | 1) >>> 0;
        const bytes = (varint | 2) >>> 0;
        const read = (write: (wire: WireWriter) => void, type: WireType) => fieldOf(written(write), n, type);
        assert.equal(read((w) => w.uint(varint, unsigned), WireType.Varint).uint64(), BigInt(unsigned));
        assert.equal(read((w) => w.int(varint, signed), WireType.Varint).int64(), BigInt(signed));
        assert.equal(read((w) => w.bool(varint, flag), WireType.Varint).bool(), flag);
        assert.equal(read((w) => w.double(fixed, real), WireType.Bit64).double(), real);
        const low = Number(bits & 0xffffffffn);
        const high = Number(bits >> 32n);
        assert.equal(read((w) => w.fixed64(fixed, low, high), WireType.Bit64).fixed64(), bits);
        assert.deepEqual(
          read((w) => w.blob(bytes, raw, 0, raw.length), WireType.LengthDelimited).bytes(),
          raw,
        );
        assert.equal(read((w) => w.string(bytes, text), WireType.LengthDelimited).string(), text);
        assert.equal(
          read((w) => w.constant(encodeString(bytes, text)), WireType.LengthDelimited).string(),
          text,
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('a positive number put at a position is the varint of it, at every length', () => {
  const powers = fc
    .tuple(fc.nat(52), fc.integer({ min: -1, max: 1 }))
    .map(([bits, more]) => 2 ** bits + more);
  const positive = fc.oneof(powers, fc.maxSafeNat()).filter((value) => value > 0);
  fc.assert(
    fc.property(positive, fc.nat(20), fc.integer({ min: 1, max: 15 }), (value, at, n) => {
      const wire = new WireWriter(64);
      wire.length = putPositive(wire, at, n << 3, value);
      const reader = fieldOf(wire.bytes.slice(at, wire.length), n, WireType.Varint);
      assert.equal(reader.uint64(), BigInt(value));
      assert.equal(reader.pos, reader.len);
    }),
    { numRuns: 1000 },
  );
});

test('constants one behind the other are the bytes of each', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(number, unicode), { maxLength: 5 }), (fields) => {
      const parts = fields.map(([n, text]) => encodeString(((n << 3) | 2) >>> 0, text));
      const bytes = Buffer.concat(
        fields.map(([n, text]) => written((w) => w.string(((n << 3) | 2) >>> 0, text))),
      );
      assert.deepEqual(Buffer.from(Constant.of(...parts).toBytes()), bytes);
      assert.deepEqual(
        Buffer.from(
          written((w) => {
            for (const part of parts) w.constant(part);
          }),
        ),
        bytes,
      );
    }),
  );
});

test('text is the captured bytes, with U+FFFD for what is not UTF-8', () => {
  const captured = fc.oneof(
    fc.uint8Array({ maxLength: 150 }),
    unicode.map((s) => new TextEncoder().encode(s)),
  );
  fc.assert(
    fc.property(captured, fc.nat(5), (raw, skip) => {
      const start = Math.min(skip, raw.length);
      const bytes = written((w) => w.text(RoundTripTag.operation, raw, start, raw.length));
      const text = new TextDecoder().decode(raw.subarray(start));
      assert.equal(fromBinary(RoundTripSchema, bytes).operation, text);
    }),
    { numRuns: 500 },
  );
});

test('nested messages with padded lengths', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(unicode, unicode), { maxLength: 6 }), fc.nat(65535), (headers, port) => {
      const bytes = written((w) => {
        const client = w.begin(RoundTripTag.client);
        w.uintNonZero(EndpointTag.port, port);
        w.end(client);
        const http = w.begin(RoundTripTag.http);
        for (const [key, value] of headers) {
          const entry = w.begin(HttpTag.requestHeaders);
          w.string(KeyValueTag.key, key);
          w.string(KeyValueTag.value, value);
          w.end(entry);
        }
        w.end(http);
      });
      const record = fromBinary(RoundTripSchema, bytes);
      assert.equal(record.client?.port, port);
      assert.ok(record.detail.case === 'http');
      assert.deepEqual(
        record.detail.value.requestHeaders.map((h) => [h.key, h.value]),
        headers,
      );
    }),
  );
});

test('the longest nested message', () => {
  // Tag and length of the body take four bytes: one and three.
  const body = new Uint8Array(MAX_NESTED_BYTES - 5).fill(0x61);
  const bytes = written((w) => {
    const http = w.begin(RoundTripTag.http);
    w.text(HttpTag.requestBody, body, 0, body.length);
    w.end(http);
  });
  const { detail } = fromBinary(RoundTripSchema, bytes);
  assert.ok(detail.case === 'http');
  assert.equal(detail.value.requestBody.length, body.length);
});
