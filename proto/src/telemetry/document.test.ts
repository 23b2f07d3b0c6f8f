import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  create,
  type DescField,
  type DescMessage,
  getOption,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import fc from 'fast-check';
import { ByteBuffer } from '../byte-buffer.js';
import { attribute, elastic_type, protocol } from '../gen/packetd/v1/options_pb.js';
import { type RoundTrip, RoundTripSchema, Status } from '../gen/packetd/v1/roundtrip_pb.js';
import { DnsTag, HttpTag, KeyValueTag, RedisTag, RoundTripTag } from '../gen/tags.js';
import { WireWriter } from '../wire-writer.js';
import { DocumentWriter, MAX_ITEMS, MAX_NAME_BYTES } from './document.js';

type Json = { [key: string]: unknown };

const OBSERVER = { name: 'sensor-1', hostname: 'web-7', version: '1.0.0' };
const writer = new DocumentWriter(OBSERVER);

function documentOf(bytes: Uint8Array, start = 0, end = bytes.length, by = writer): Json | undefined {
  const out = new ByteBuffer(16);
  out.ascii('before');
  if (!by.write(bytes, start, end, out)) {
    assert.equal(out.toString(), 'before', 'a refused record leaves nothing');
    return undefined;
  }
  const text = new TextDecoder('utf-8', { fatal: true }).decode(out.view());
  assert.ok(text.startsWith('before{'));
  return JSON.parse(text.slice('before'.length)) as Json;
}

// The slow, obvious way: a decoded message, its descriptors' options, plain objects.

function expected(record: RoundTrip, observer: typeof OBSERVER | undefined): Json {
  const root: Json = {};
  const set = (path: string, value: unknown) => {
    if (value === undefined || value === '' || value === 0n || value === 0) return;
    put(root, path, value);
  };
  const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
  const complete = record.status === Status.OK || record.status === Status.ERROR;
  const measured = (path: string, value: bigint) => {
    if (complete || value !== 0n) put(root, path, Number(value));
  };
  const seconds = Number(record.startUnixNano / 1_000_000_000n);
  const nanos = String(record.startUnixNano % 1_000_000_000n).padStart(9, '0');
  put(root, '@timestamp', new Date(seconds * 1000).toISOString().replace('.000Z', `.${nanos}Z`));
  set('event.id', hex(record.id));
  measured('event.duration', record.durationNano);
  const failed = [Status.ERROR, Status.RESET, Status.CANCELLED].includes(record.status);
  put(root, 'event.outcome', record.status === Status.OK ? 'success' : failed ? 'failure' : 'unknown');
  set('network.protocol.version', record.protocolVersion);
  set('network.transport', ['', 'tcp', 'udp'][record.transport]);
  for (const [side, endpoint] of [
    ['client', record.client],
    ['server', record.server],
  ] as const) {
    if (endpoint === undefined) continue;
    set(`${side}.address`, slowAddress(endpoint.address));
    set(`${side}.port`, endpoint.port);
    set(`${side}.bytes`, Number(endpoint.bytes));
    set(`${side}.packets`, endpoint.packets);
  }
  for (const [key, value] of Object.entries(observer ?? {})) set(`observer.${key}`, value);
  set('packetd.operation', record.operation);
  set('packetd.target', record.target);
  set('packetd.status', record.status === 0 ? '' : Status[record.status]);
  measured('packetd.wait.request', record.waitRequestNano);
  measured('packetd.wait.server', record.waitServerNano);
  measured('packetd.wait.response', record.waitResponseNano);
  set('packetd.missing_bytes', Number(record.missingBytes));
  set('error.type', record.errorType);
  set('trace.id', hex(record.trace?.traceId));
  set('parent.id', hex(record.trace?.parentSpanId));
  if (record.id.length >= 8) set('span.id', hex(record.id.slice(-8)));
  const arm = RoundTripSchema.fields.find((f) => f.oneof !== undefined && f.localName === record.detail.case);
  if (arm?.message !== undefined) {
    const options = getOption(arm.message, protocol);
    set('packetd.protocol', options.name);
    set('network.protocol.name', options.networkProtocolName || options.name);
    for (const { key, value } of options.fixed) set(key, value);
    for (const field of arm.message.fields) {
      const name = getOption(field, attribute);
      const value = slowValue(field, record.detail.value as unknown as Json);
      if (name !== '' && value !== undefined) put(root, name, value);
    }
  }
  return root;
}

function put(root: Json, path: string, value: unknown): void {
  const steps = path.split('.');
  const key = steps.pop()!;
  let at = root;
  for (const step of steps) {
    at[step] ??= {};
    at = at[step] as Json;
  }
  at[key] = value;
}

function slowValue(field: DescField, message: Json): unknown {
  const value = message[field.localName];
  if (field.fieldKind === 'list') {
    const list = value as unknown[];
    if (list.length === 0) return undefined;
    if (field.listKind !== 'message') return list.map((v) => slowScalar(field, v));
    if (field.message.typeName !== 'packetd.v1.KeyValue')
      return list.map((v) => slowObject(field.message, v as Json));
    const entries: Json = {};
    for (const { key: captured, value } of list as { key: string; value: string }[]) {
      // The mapping `flattened` keeps NUL for itself: a document whose name holds one is refused.
      const key = captured.replaceAll('\0', '\ufffd');
      if (key !== '')
        entries[key] = [...(Object.hasOwn(entries, key) ? (entries[key] as string[]) : []), value];
    }
    return Object.keys(entries).length === 0 ? undefined : entries;
  }
  if (value === undefined) return undefined;
  if (field.fieldKind === 'message') {
    const object = slowObject(field.message, value as Json);
    return Object.keys(object).length === 0 ? undefined : object;
  }
  const hasPresence = field.presence !== 2;
  if (!hasPresence && (!value || (value as Uint8Array).length === 0)) return undefined;
  return slowScalar(field, value);
}

function slowScalar(field: DescField, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) {
    return getOption(field, elastic_type) === 'ip' ? slowAddress(value) : Buffer.from(value).toString('hex');
  }
  if (field.enum !== undefined) {
    if (value === 0) return undefined;
    const prefix = `${field.enum.name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}_`;
    return field.enum.value[value as number].name.replace(prefix, '');
  }
  return value;
}

function slowObject(message: DescMessage, value: Json): Json {
  const object: Json = {};
  for (const field of message.fields) {
    const member = slowValue(field, value);
    if (member !== undefined) put(object, getOption(field, attribute) || field.name, member);
  }
  return object;
}

function slowAddress(address: Uint8Array): string | undefined {
  if (address.length === 4) return address.join('.');
  if (address.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((address[2 * i] << 8) | address[2 * i + 1]).toString(16),
  );
  // WHATWG URL serialises hosts by RFC 5952, but for the dotted form of mapped addresses.
  const text = new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
  return /^::ffff:[0-9a-f]+:[0-9a-f]+$/.test(text) ? `::ffff:${address.slice(12).join('.')}` : text;
}

// Records of every protocol of the schema, generated from its descriptors.

const text = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 300 }));
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

function scalarOf(field: DescField): fc.Arbitrary<unknown> {
  if (field.enum !== undefined) return fc.constantFrom(...field.enum.values.map((v) => v.number));
  switch (field.scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return getOption(field, elastic_type) === 'ip' ? address : fc.uint8Array({ maxLength: 20 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map((v) => v + 0);
    case ScalarType.FLOAT:
      return fc.float({ noNaN: true, noDefaultInfinity: true }).map((v) => v + 0);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.oneof(fc.bigInt({ min: 0n, max: 300n }), uint64);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.oneof(fc.bigInt({ min: -300n, max: 300n }), int64);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.oneof(fc.nat(300), fc.nat(0xffffffff));
    default:
      return fc.integer();
  }
}

function messageOf(message: DescMessage): fc.Arbitrary<Json> {
  const members: { [name: string]: fc.Arbitrary<unknown> } = {};
  for (const field of message.fields) {
    if (field.message?.typeName === 'packetd.v1.KeyValue') {
      const key = fc
        .oneof(fc.constantFrom('host', 'set-cookie', 'a', 'b\0c'), text)
        .filter((k) => k !== '__proto__');
      members[field.localName] = fc.array(fc.record({ key, value: text }), { maxLength: 12 });
      continue;
    }
    const one = field.message === undefined ? scalarOf(field) : messageOf(field.message);
    members[field.localName] = field.fieldKind === 'list' ? fc.array(one, { maxLength: 4 }) : one;
  }
  return fc.record(members, { requiredKeys: [] });
}

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((a) => Uint8Array.from(a)),
);
const endpoint = fc.record(
  { address, port: fc.nat(65535), bytes: uint64, packets: fc.nat(0xffffffff) },
  { requiredKeys: [] },
);
const detail = fc.oneof(
  fc.constant({ case: undefined }),
  ...RoundTripSchema.oneofs[0].fields.map((f) =>
    messageOf(f.message!).map((value) => ({ case: f.localName, value })),
  ),
);
const roundTrip = fc.record(
  {
    id: fc.oneof(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ maxLength: 9 })),
    client: endpoint,
    server: endpoint,
    startUnixNano: uint64,
    durationNano: fc.oneof(fc.constant(0n), uint64),
    waitRequestNano: fc.oneof(fc.constant(0n), uint64),
    waitServerNano: uint64,
    waitResponseNano: uint64,
    operation: text,
    target: text,
    status: fc.nat(6),
    errorType: text,
    trace: fc.record(
      {
        traceId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        parentSpanId: fc.uint8Array({ minLength: 8, maxLength: 8 }),
      },
      { requiredKeys: [] },
    ),
    missingBytes: uint64,
    transport: fc.nat(2),
    protocolVersion: text,
    detail,
  },
  { requiredKeys: [] },
);

test('documents of generated records of every protocol are those of the slow way', () => {
  const plain = new DocumentWriter();
  fc.assert(
    fc.property(roundTrip, (init) => {
      const record = create(RoundTripSchema, init as never);
      const bytes = toBinary(RoundTripSchema, record);
      assert.deepEqual(documentOf(bytes), expected(record, OBSERVER));
      assert.deepEqual(documentOf(bytes, 0, bytes.length, plain), expected(record, undefined));
    }),
    { numRuns: 400 },
  );
});

/** The example of the design's section "The document", with two headers and the sizes. */
function example(): Uint8Array {
  return toBinary(
    RoundTripSchema,
    create(RoundTripSchema, {
      id: Uint8Array.from({ length: 16 }, (_, i) => i),
      client: { address: Uint8Array.of(10, 0, 0, 1), port: 40000, bytes: 120n },
      server: { address: Uint8Array.of(10, 0, 0, 2), port: 80, bytes: 940n },
      startUnixNano: BigInt(Date.UTC(2026, 10, 23, 14, 0, 0)) * 1_000_000n + 123_456_789n,
      durationNano: 1234567n,
      waitRequestNano: 1000n,
      waitServerNano: 1200000n,
      waitResponseNano: 33567n,
      operation: 'GET',
      target: '/users/{id}',
      status: Status.OK,
      transport: 1,
      protocolVersion: '1.1',
      trace: { traceId: new Uint8Array(16).fill(0xab), parentSpanId: new Uint8Array(8).fill(0xcd) },
      detail: {
        case: 'http',
        value: {
          method: 'GET',
          path: '/users/42',
          statusCode: 200,
          requestHeaders: [{ key: 'accept', value: '*/*' }],
          responseHeaders: [
            { key: 'set-cookie', value: 'a' },
            { key: 'server', value: 'x' },
            { key: 'set-cookie', value: 'b' },
          ],
        },
      },
    }),
  );
}

test('the document of the design', () => {
  const out = new ByteBuffer();
  assert.ok(writer.write(example(), 0, example().length, out));
  assert.equal(
    out.toString(),
    '{"@timestamp":"2026-11-23T14:00:00.123456789Z",' +
      '"event":{"id":"000102030405060708090a0b0c0d0e0f","duration":1234567,"outcome":"success"},' +
      '"network":{"protocol":{"name":"http","version":"1.1"},"transport":"tcp"},' +
      '"client":{"address":"10.0.0.1","port":40000,"bytes":120},"server":{"address":"10.0.0.2","port":80,"bytes":940},' +
      '"observer":{"name":"sensor-1","hostname":"web-7","version":"1.0.0"},' +
      '"packetd":{"protocol":"http","operation":"GET","target":"/users/{id}","status":"OK","wait":{"request":1000,"server":1200000,"response":33567}},' +
      `"trace":{"id":"${'ab'.repeat(16)}"},"span":{"id":"08090a0b0c0d0e0f"},"parent":{"id":"${'cd'.repeat(8)}"},` +
      '"http":{"request":{"method":"GET","header":{"accept":["*/*"]}},"response":{"status_code":200,"header":{"set-cookie":["a","b"],"server":["x"]}}},' +
      '"url":{"path":"/users/42"}}',
  );
});

test('an empty record has a time, an outcome and the observer', () => {
  assert.deepEqual(documentOf(new Uint8Array(0)), {
    '@timestamp': '1970-01-01T00:00:00.000000000Z',
    event: { outcome: 'unknown' },
    observer: OBSERVER,
  });
});

test('an observer may be called anything', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
      const observer = { name, hostname: `${name}é`, version: '1' };
      const document = documentOf(new Uint8Array(0), 0, 0, new DocumentWriter(observer));
      assert.deepEqual(document?.observer, observer);
    }),
    { numRuns: 50 },
  );
});

/** A record with one detail, written by hand. */
function hand(write: (wire: WireWriter) => void): Uint8Array {
  const wire = new WireWriter();
  write(wire);
  return wire.bytes.slice(0, wire.length);
}

test('strings that are not UTF-8 become what TextDecoder makes of them', () => {
  const lead = fc.constantFrom(
    0x41,
    0x80,
    0xbf,
    0xc0,
    0xc3,
    0xe0,
    0xed,
    0xef,
    0xf0,
    0xf4,
    0xf5,
    0xff,
    0x22,
    0x0a,
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(lead, fc.nat(255)), { maxLength: 150 }), (values) => {
      const raw = Uint8Array.from(values);
      const bytes = hand((wire) => wire.blob(RoundTripTag.operation, raw, 0, raw.length));
      const shown = (documentOf(bytes)!.packetd as Json | undefined)?.operation ?? '';
      assert.equal(shown, new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw));
    }),
    { numRuns: 500 },
  );
});

test('nothing outside the record is read', () => {
  const record = example();
  for (const filler of [0x00, 0x7f, 0xff]) {
    const around = new Uint8Array(record.length + 64).fill(filler);
    around.set(record, 32);
    assert.deepEqual(documentOf(around, 32, 32 + record.length), documentOf(record));
  }
});

test('a cut record is refused, or is the document of its first fields', () => {
  const record = example();
  for (let end = 0; end < record.length; end++) {
    const whole = new Uint8Array(record.length * 2).fill(0x01);
    whole.set(record.subarray(0, end));
    assert.deepEqual(documentOf(whole, 0, end), documentOf(record.slice(0, end)));
  }
  assert.equal(documentOf(record, 0, record.length - 1), undefined);
  assert.equal(documentOf(record, 1, 0), undefined);
  assert.equal(documentOf(record, 0, record.length + 1), undefined);
});

test('damaged records never throw and never give anything but JSON', () => {
  const record = example();
  const edits = fc.array(fc.tuple(fc.nat(record.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.oneof(edits, fc.uint8Array({ maxLength: 80 })), (input) => {
      let bytes = record.slice();
      if (input instanceof Uint8Array) bytes = input as Uint8Array<ArrayBuffer>;
      else for (const [at, value] of input) bytes[at] = value;
      documentOf(bytes);
    }),
    { numRuns: 2000 },
  );
});

test('malformed wire format', () => {
  const rows: [string, number[]][] = [
    ['field number 0', [0x00, 0x00]],
    ['a tag without a value', [0x28]],
    ['a varint of eleven bytes', [0x28, ...new Array(10).fill(0x80), 0x01]],
    ['a length beyond the end', [0x4a, 0x05, 0x41]],
    ['a length of 2^63', [0x4a, ...new Array(9).fill(0xff), 0x01]],
    ['a group', [0x0b, 0x0c]],
    ['a cut fixed64', [0x21, 0x00]],
    ['a malformed client', [0x12, 0x01, 0x10]],
  ];
  for (const [name, bytes] of rows) assert.equal(documentOf(Uint8Array.from(bytes)), undefined, name);
});

test('malformed messages inside lists', () => {
  for (const [arm, list] of [
    [RoundTripTag.dns, DnsTag.answers],
    [RoundTripTag.http, HttpTag.requestHeaders],
  ] as const) {
    const bytes = hand((wire) => {
      const mark = wire.begin(arm);
      wire.blob(list, Uint8Array.of(0x0a, 0x05), 0, 2);
      wire.end(mark);
    });
    assert.equal(documentOf(bytes), undefined);
  }
});

test('unknown fields and fields of another wire type are passed over', () => {
  const bytes = hand((wire) => {
    wire.string((4000 << 3) | 2, 'unknown');
    wire.uint((9 << 3) | 0, 5);
    wire.uint((300 << 3) | 0, 2 ** 40);
    wire.string(RoundTripTag.operation, 'PING');
  });
  assert.deepEqual(documentOf(bytes)!.packetd, { operation: 'PING' });
});

test('the last value of a field and the last detail count', () => {
  const detailOf = (tag: number, field: number, value: string) => (wire: WireWriter) => {
    const mark = wire.begin(tag);
    wire.string(field, value);
    wire.end(mark);
  };
  const redis = (value: string) => detailOf(RoundTripTag.redis, RedisTag.command, value);
  const http = detailOf(RoundTripTag.http, HttpTag.path, '/');
  const text = detailOf(RoundTripTag.redis, RedisTag.queryText, 'GET ?');
  const all = (...parts: ((wire: WireWriter) => void)[]) =>
    documentOf(hand((wire) => parts.forEach((p) => void p(wire))))!;
  assert.deepEqual(all(redis('GET'), redis('SET')).db, {
    system: { name: 'redis' },
    operation: { name: 'SET' },
  });
  const merged = { system: { name: 'redis' }, operation: { name: 'GET' }, query: { text: 'GET ?' } };
  assert.deepEqual(all(redis('GET'), text).db, merged);
  assert.deepEqual(all(redis('GET'), http, text).db, { system: { name: 'redis' }, query: { text: 'GET ?' } });
  assert.deepEqual(all(text, http).db, undefined);
});

test('a KeyValue list: names together, no empty name, long values, more than the usual', () => {
  const long = 'x'.repeat(5000);
  const bytes = hand((wire) => {
    const mark = wire.begin(RoundTripTag.http);
    for (const [key, value] of [
      ['', 'none'],
      ['a', '1'],
      ['b', long],
      ['a', ''],
    ]) {
      const entry = wire.begin(HttpTag.requestHeaders);
      wire.string(KeyValueTag.key, key);
      wire.string(KeyValueTag.value, value);
      wire.end(entry);
    }
    wire.end(mark);
  });
  assert.deepEqual((documentOf(bytes)!.http as Json).request, { header: { a: ['1', ''], b: [long] } });
});

test('a KeyValue list: names that Elasticsearch would refuse', () => {
  const bytes = hand((wire) => {
    const mark = wire.begin(RoundTripTag.http);
    for (const key of ['\0a\0\n"b\0', 'c\t', 'd'.repeat(5000)]) {
      const entry = wire.begin(HttpTag.requestHeaders);
      wire.string(KeyValueTag.key, key);
      wire.string(KeyValueTag.value, '\0');
      wire.end(entry);
    }
    wire.end(mark);
  });
  assert.deepEqual((documentOf(bytes)!.http as Json).request, {
    header: {
      '\ufffda\ufffd\n"b\ufffd': ['\0'],
      'c\t': ['\0'],
      ['d'.repeat(MAX_NAME_BYTES)]: ['\0'],
    },
  });
});

test('a record with more elements than the cap is refused', () => {
  const withItems = (count: number) =>
    hand((wire) => {
      const mark = wire.begin(RoundTripTag.dns);
      for (let i = 0; i < count; i++) wire.string(DnsTag.headerFlags, '');
      wire.end(mark);
    });
  assert.equal(((documentOf(withItems(MAX_ITEMS))!.dns as Json).header_flags as string[]).length, MAX_ITEMS);
  assert.equal(documentOf(withItems(MAX_ITEMS + 1)), undefined);
});
