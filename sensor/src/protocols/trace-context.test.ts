/** Values are the examples of the W3C, B3, Jaeger, Datadog and SkyWalking documents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { WireWriter } from '@packetd/proto';
import { RoundTripSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { TraceReader } from './trace-context.js';

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const W3C = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** `trace parent flags tracestate`; null where there is no context. */
const CASES: [name: string, headers: [string, string][], expected: string | null][] = [
  ['traceparent', [['Traceparent', W3C]], '0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 1 '],
  [
    'tracestate in two fields',
    [
      ['tracestate', 'a=1'],
      ['traceparent', W3C],
      ['tracestate', 'b=2'],
    ],
    '0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 1 a=1,b=2',
  ],
  [
    'a later version may be longer',
    [['traceparent', `cc${W3C.slice(2)}-what`]],
    '0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 1 ',
  ],
  ['version 00 may not', [['traceparent', `${W3C}-what`]], null],
  ['version ff is invalid', [['traceparent', `ff${W3C.slice(2)}`]], null],
  [
    // The test suite of the W3C (trace-context, test_traceparent_duplicated) asks for a new trace.
    'two traceparents are none',
    [
      ['traceparent', W3C],
      ['traceparent', '00-11111111111111111111111111111111-2222222222222222-01'],
    ],
    null,
  ],
  ['capitals are invalid', [['traceparent', W3C.toUpperCase()]], null],
  [
    'an id of zeros is invalid',
    [['traceparent', '00-00000000000000000000000000000000-b7ad6b7169203331-01']],
    null,
  ],
  [
    'a parent of zeros is invalid',
    [['traceparent', '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01']],
    null,
  ],
  [
    'b3',
    [['b3', '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90']],
    '80f198ee56343ba864fe8b2a57d3eff7 e457b5a2e4d86bd1 1 ',
  ],
  [
    'b3 of 64 bits, debug',
    [['b3', '64fe8b2a57d3eff7-e457b5a2e4d86bd1-d']],
    '000000000000000064fe8b2a57d3eff7 e457b5a2e4d86bd1 1 ',
  ],
  ['b3 that denies', [['b3', '0']], null],
  [
    'b3 multi',
    [
      ['X-B3-TraceId', '80f198ee56343ba864fe8b2a57d3eff7'],
      ['X-B3-SpanId', 'e457b5a2e4d86bd1'],
      ['X-B3-ParentSpanId', '05e3ac9a4f6e3b90'],
      ['X-B3-Sampled', '1'],
    ],
    '80f198ee56343ba864fe8b2a57d3eff7 e457b5a2e4d86bd1 1 ',
  ],
  [
    'uber-trace-id',
    [['uber-trace-id', '3bb1a8e3f0bd6d5b:71f3a2b1:0:1']],
    '00000000000000003bb1a8e3f0bd6d5b 0000000071f3a2b1 1 ',
  ],
  [
    'uber-trace-id, encoded',
    [['uber-trace-id', '3bb1a8e3f0bd6d5b%3A71f3a2b1%3A0%3A0']],
    '00000000000000003bb1a8e3f0bd6d5b 0000000071f3a2b1 0 ',
  ],
  [
    'datadog',
    [
      ['x-datadog-trace-id', '18446744073709551615'],
      ['x-datadog-parent-id', '258'],
      ['x-datadog-sampling-priority', '2'],
      ['x-datadog-tags', '_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000'],
    ],
    '640cfd8d00000000ffffffffffffffff 0000000000000102 1 ',
  ],
  ['datadog, not a number of 64 bits', [['x-datadog-trace-id', '18446744073709551616']], null],
  [
    'sw8 with UUIDs',
    [
      [
        'sw8',
        `1-${base64('de5980b8-fce3-4a37-aab9-b4ac3af7eedd')}-${base64('56a5e1c519ae4c76a2b8b11d92cead7f')}-0-${base64('svc')}-${base64('i')}-${base64('/e')}-${base64('h:1')}`,
      ],
    ],
    'de5980b8fce34a37aab9b4ac3af7eedd f41d50d88b60e109 1 ',
  ],
  [
    'sw8 of the Java agent',
    [
      [
        'sw8',
        `1-${base64('56a5e1c519ae4c76a2b8b11d92cead7f.12.16563474296430001')}-${base64('56a5e1c519ae4c76a2b8b11d92cead7f')}-3-x`,
      ],
    ],
    '56a5e1c515ae4c7613e51e7cf616977f f71d50d88b60e109 1 ',
  ],
  [
    'W3C before all others',
    [
      ['b3', '64fe8b2a57d3eff7-e457b5a2e4d86bd1-1'],
      ['traceparent', W3C],
    ],
    '0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 1 ',
  ],
  [
    'others where W3C is malformed',
    [
      ['traceparent', '00-x'],
      ['b3', '64fe8b2a57d3eff7-e457b5a2e4d86bd1-1'],
    ],
    '000000000000000064fe8b2a57d3eff7 e457b5a2e4d86bd1 1 ',
  ],
  [
    'no such field',
    [
      ['x-trace', '1'],
      ['b4', 'x'],
      ['sw81', 'y'],
    ],
    null,
  ],
];

const reader = new TraceReader();
for (const [name, headers, expected] of CASES) {
  test(name, () => {
    const writer = new WireWriter();
    for (const [key, value] of headers) {
      const bytes = Buffer.from(`${key}${value}`, 'latin1');
      reader.header(bytes, 0, key.length, bytes, key.length, bytes.length);
    }
    reader.write(writer);
    assert.equal(reader.seen, false);
    const { trace } = fromBinary(RoundTripSchema, writer.bytes.subarray(0, writer.length));
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const actual = trace
      ? `${hex(trace.traceId)} ${hex(trace.parentSpanId)} ${trace.flags} ${trace.tracestate}`
      : null;
    assert.equal(actual, expected);
  });
}

test('a malformed value leaves nothing behind', () => {
  const values = ['', '-', '---', 'zz', `${'9'.repeat(400)}`, '1-!!-??-x', ':::', '00-', 'g-b-c-d-e'];
  const names = [
    'traceparent',
    'tracestate',
    'b3',
    'x-b3-spanid',
    'uber-trace-id',
    'x-datadog-trace-id',
    'x-datadog-tags',
    'sw8',
  ];
  for (const name of names) {
    for (const value of values) {
      const bytes = Buffer.from(name + value, 'latin1');
      assert.equal(reader.header(bytes, 0, name.length, bytes, name.length, bytes.length), true);
      const writer = new WireWriter();
      reader.write(writer);
      assert.equal(writer.length, 0, `${name}: ${value}`);
    }
  }
});
