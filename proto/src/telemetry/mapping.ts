/** Elasticsearch mappings and index templates of the documents. */

import {
  type DocumentGroup,
  documentTree,
  type FieldKind,
  type FieldSchema,
  isKeyValueList,
  messageTree,
  type ProtocolSchema,
  protocolSchemas,
  SchemaError,
} from './compile.js';

/** Strings beyond this many characters are kept in the document but not indexed. */
export const IGNORE_ABOVE_CHARACTERS = 1024;
/** Above the 100 of Elasticsearch's own `logs` template. */
const TEMPLATE_PRIORITY = 250;

export interface ElasticProperty {
  type?: string;
  ignore_above?: number;
  ignore_malformed?: boolean;
  value?: string;
  properties?: { [name: string]: ElasticProperty };
}

export interface ElasticMapping {
  properties: { [name: string]: ElasticProperty };
}

export interface ElasticIndexTemplate {
  /** Name of the template and, at the same time, of the data stream. */
  name: string;
  body: {
    index_patterns: string[];
    data_stream: Record<string, never>;
    priority: number;
    template: {
      settings: { index: { [name: string]: unknown } };
      mappings: ElasticMapping & { dynamic: boolean; date_detection: boolean };
    };
    _meta: { [name: string]: string };
  };
}

const TYPE_BY_KIND: { readonly [kind in FieldKind]: string } = {
  string: 'keyword',
  bytes: 'keyword',
  enum: 'keyword',
  bool: 'boolean',
  double: 'double',
  float: 'float',
  int32: 'long',
  int64: 'long',
  uint32: 'long',
  uint64: 'long',
  sint32: 'long',
  sint64: 'long',
  fixed32: 'long',
  fixed64: 'long',
  sfixed32: 'long',
  sfixed64: 'long',
  message: 'object',
};

/** Elasticsearch type of a field in the document. */
export function elasticType(field: FieldSchema): string {
  if (field.elasticType !== '') return field.elasticType;
  return isKeyValueList(field) ? 'flattened' : TYPE_BY_KIND[field.kind];
}

/** Mapping of the documents of one protocol; without one, of the fields that all protocols have. */
export function elasticMapping(protocol?: string): ElasticMapping {
  return mappingOf(protocol === undefined ? undefined : find(protocol));
}

/** Name of the data stream that a protocol's documents go to. */
export function dataStream(protocol: string, namespace: string): string {
  return `logs-packetd.${protocol}-${namespace}`;
}

/**
 * Index templates of all data streams of a namespace. Fields that are not in the schema stay in the
 * document but are not indexed. `lifecycle` names the policy that rolls over and deletes indices.
 */
export function indexTemplates(namespace: string, lifecycle?: string): ElasticIndexTemplate[] {
  return protocolSchemas().map((protocol) => {
    const { properties } = mappingOf(protocol);
    properties.data_stream = {
      properties: {
        type: { type: 'constant_keyword', value: 'logs' },
        dataset: { type: 'constant_keyword', value: `packetd.${protocol.name}` },
        namespace: { type: 'constant_keyword', value: namespace },
      },
    };
    const name = dataStream(protocol.name, namespace);
    return {
      name,
      body: {
        index_patterns: [name],
        data_stream: {},
        priority: TEMPLATE_PRIORITY,
        template: {
          settings: {
            index: {
              codec: 'best_compression',
              // A number beyond its type or an address that is none costs its field, not the document.
              'mapping.ignore_malformed': true,
              ...(lifecycle === undefined ? {} : { 'lifecycle.name': lifecycle }),
            },
          },
          mappings: { dynamic: false, date_detection: false, properties },
        },
        _meta: { description: `Roundtrips of ${protocol.name}`, managed_by: 'packetd' },
      },
    };
  });
}

function find(name: string): ProtocolSchema {
  const protocol = protocolSchemas().find((p) => p.name === name);
  if (protocol === undefined) throw new SchemaError(`the schema has no protocol ${name}`);
  return protocol;
}

function mappingOf(protocol: ProtocolSchema | undefined): ElasticMapping {
  return { properties: propertiesOf(documentTree(protocol)) };
}

function propertiesOf(group: DocumentGroup): { [name: string]: ElasticProperty } {
  const properties: { [name: string]: ElasticProperty } = {};
  for (const [name, node] of group.members) {
    switch (node.kind) {
      case 'group':
        properties[name] = { properties: propertiesOf(node) };
        break;
      case 'fixed':
        properties[name] = leaf('keyword');
        break;
      case 'envelope':
        properties[name] = leaf(node.envelope.elasticType);
        break;
      case 'field':
        properties[name] =
          elasticType(node.field) === 'object'
            ? { type: 'object', properties: propertiesOf(messageTree(node.field.type)) }
            : leaf(elasticType(node.field));
        break;
    }
  }
  return properties;
}

function leaf(type: string): ElasticProperty {
  // The timestamp of a data stream must be one.
  if (type === 'date_nanos') return { type, ignore_malformed: false };
  return ['keyword', 'flattened', 'wildcard'].includes(type)
    ? { type, ignore_above: IGNORE_ABOVE_CHARACTERS }
    : { type };
}
