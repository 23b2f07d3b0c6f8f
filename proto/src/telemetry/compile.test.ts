import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type DescField, type DescMessage, getOption, ScalarType } from '@bufbuild/protobuf';
import * as options from '../gen/packetd/v1/options_pb.js';
import { RoundTripSchema } from '../gen/packetd/v1/roundtrip_pb.js';
import { SCHEMA } from '../gen/schema.js';
import {
  documentTree,
  type FieldSchema,
  type ProtocolSchema,
  protocolSchemas,
  SchemaError,
} from './compile.js';
import { elasticMapping, indexTemplates } from './mapping.js';

const PACKAGE = 'packetd.v1.';
const IMPLICIT = 2;

function described(field: DescField): FieldSchema {
  const metric = getOption(field, options.metric);
  const type = field.message ?? field.enum;
  return {
    name: field.name,
    localName: field.localName,
    number: field.number,
    kind: (field.message
      ? 'message'
      : field.enum
        ? 'enum'
        : ScalarType[field.scalar!].toLowerCase()) as FieldSchema['kind'],
    type: type?.typeName.slice(PACKAGE.length) ?? '',
    repeated: field.fieldKind === 'list',
    implicit: field.fieldKind !== 'list' && field.presence === IMPLICIT,
    oneof: field.oneof?.name ?? '',
    attribute: getOption(field, options.attribute),
    label: getOption(field, options.label),
    metric:
      metric.name === ''
        ? null
        : {
            name: metric.name,
            kind: options.MetricKind[metric.kind].toLowerCase() as 'counter',
            buckets: metric.buckets,
          },
    elasticType: getOption(field, options.elastic_type),
  };
}

test('gen/schema.ts says what the descriptors say (else run node scripts/schema.mjs)', () => {
  const seen = new Set<string>();
  const check = (message: DescMessage) => {
    const name = message.typeName.slice(PACKAGE.length);
    if (seen.has(name)) return;
    seen.add(name);
    assert.deepEqual(SCHEMA.messages[name]?.fields, message.fields.map(described), name);
    const declared = getOption(message, options.protocol);
    assert.equal(SCHEMA.messages[name].protocol?.name ?? '', declared.name);
    assert.deepEqual(SCHEMA.messages[name].protocol?.ports ?? [], declared.ports);
    for (const field of message.fields) if (field.message !== undefined) check(field.message);
  };
  check(RoundTripSchema);
  assert.deepEqual(
    protocolSchemas()
      .map((p) => p.detailCase)
      .sort(),
    RoundTripSchema.oneofs[0].fields.map((f) => f.localName).sort(),
  );
});

function protocolWith(...attributes: string[]): ProtocolSchema {
  const base = protocolSchemas()[0];
  const field = base.fields.find((f) => f.kind === 'string')!;
  const fields = attributes.map((attribute, i) => ({ ...field, attribute, name: `f${i}`, number: i + 1 }));
  return { ...base, message: 'Test', fixed: [], fields };
}

test('names that cannot both be in the document are refused, naming the two fields', () => {
  for (const [attributes, message] of [
    [['a.b', 'a.b.c'], /Test\.f1 and Test\.f0 .*"a\.b\.c"/],
    [['a.b.c', 'a.b'], /Test\.f1 and Test\.f0 .*"a\.b"/],
    [['a', 'a'], /Test\.f1 and Test\.f0/],
    [['event.id'], /Test\.f0 and the envelope's event\.id/],
    [['a..b'], /Test\.f0: "a\.\.b" is not a dotted name/],
  ] as const) {
    assert.throws(
      () => documentTree(protocolWith(...attributes)),
      (error) => error instanceof SchemaError && message.test(error.message),
    );
  }
  documentTree(protocolWith('error.message', 'a.b', 'a.c.d'));
});

test('mapping of a protocol', () => {
  const keyword = { type: 'keyword', ignore_above: 1024 };
  const { properties } = elasticMapping('http');
  assert.deepEqual(properties['@timestamp'], { type: 'date_nanos', ignore_malformed: false });
  assert.deepEqual(properties.client, {
    properties: {
      address: { type: 'ip' },
      port: { type: 'long' },
      bytes: { type: 'long' },
      packets: { type: 'long' },
    },
  });
  const request = properties.http.properties!.request.properties!;
  assert.deepEqual(request.method, keyword);
  assert.deepEqual(request.header, { type: 'flattened', ignore_above: 1024 });
  assert.deepEqual(request.body.properties!.size, { type: 'long' });
  const dns = elasticMapping('dns').properties.dns.properties!;
  assert.deepEqual(dns.answers, {
    type: 'object',
    properties: { name: keyword, type: keyword, class: keyword, ttl: { type: 'long' }, data: keyword },
  });
  assert.deepEqual(dns.resolved_ip, { type: 'ip' });
  assert.deepEqual(elasticMapping('redis').properties.db.properties!.system.properties!.name, keyword);
  assert.throws(() => elasticMapping('nope'), SchemaError);
});

test('one index template for every data stream', () => {
  const templates = indexTemplates('default', 'packetd');
  assert.deepEqual(
    templates.map((t) => t.name),
    protocolSchemas().map((p) => `logs-packetd.${p.name}-default`),
  );
  for (const { name, body } of templates) {
    assert.deepEqual(body.index_patterns, [name]);
    assert.equal(body.template.settings.index['lifecycle.name'], 'packetd');
    assert.ok(body.priority > 100);
  }
});

test("the package's entry and the document writer do not load @bufbuild/protobuf", () => {
  const script = `
    await import(${JSON.stringify(new URL('../index.js', import.meta.url).href)});
    await import(${JSON.stringify(new URL('./document.js', import.meta.url).href)});
    const { getHeapSnapshot } = await import('node:v8');
    let text = '';
    for await (const chunk of getHeapSnapshot()) text += chunk;
    process.stdout.write(String(text.includes(['node_modules', '@bufbuild'].join('/'))));
  `;
  assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', script]).toString(), 'false');
});
