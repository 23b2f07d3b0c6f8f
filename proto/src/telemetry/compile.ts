/**
 * The schema as the telemetry compiler sees it: what a record's fields are, how they are seen outside,
 * and the tree of one protocol's document that the document writer, the Elasticsearch mapping and the
 * reference all walk. Knows the envelope (`RoundTrip`) by name and no protocol at all.
 */

import { SCHEMA } from '../gen/schema.js';

export type FieldKind =
  | 'string'
  | 'bytes'
  | 'bool'
  | 'double'
  | 'float'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'
  | 'sint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed32'
  | 'sfixed64'
  | 'enum'
  | 'message';

export interface MetricSchema {
  /** Name without the protocol prefix. */
  readonly name: string;
  readonly kind: 'counter' | 'histogram' | 'unspecified';
  /** Bucket bounds; empty takes the default for bytes. */
  readonly buckets: readonly number[];
}

/** One field of a message, with what packetd/v1/options.proto says of it; '' and null are "not said". */
export interface FieldSchema {
  readonly name: string;
  /** Property of the @bufbuild/protobuf message object. */
  readonly localName: string;
  readonly number: number;
  readonly kind: FieldKind;
  /** Message or enum name without the package. */
  readonly type: string;
  readonly repeated: boolean;
  /** Whether zero, false and '' mean absent (a proto3 field without `optional`). */
  readonly implicit: boolean;
  /** Name of the oneof that the field is a member of. */
  readonly oneof: string;
  readonly attribute: string;
  readonly label: string;
  readonly metric: MetricSchema | null;
  readonly elasticType: string;
}

export interface MessageSchema {
  readonly protocol: {
    readonly name: string;
    readonly fixed: readonly { readonly key: string; readonly value: string }[];
    readonly ports: readonly number[];
    readonly networkProtocolName: string;
  } | null;
  readonly fields: readonly FieldSchema[];
}

export interface Schema {
  readonly messages: { readonly [name: string]: MessageSchema };
  readonly enums: { readonly [name: string]: readonly { readonly number: number; readonly name: string }[] };
}

/** A schema that cannot be compiled. Raised at start-up only; the message names the fields at fault. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
}

/** One arm of the record's `detail`. */
export interface ProtocolSchema {
  readonly name: string;
  /** `network.protocol.name`. */
  readonly networkProtocolName: string;
  /** Case of the oneof `detail`. */
  readonly detailCase: string;
  /** Field number of the arm in `RoundTrip`. */
  readonly number: number;
  /** Message name without the package. */
  readonly message: string;
  readonly ports: readonly number[];
  readonly fixed: readonly (readonly [key: string, value: string])[];
  readonly fields: readonly FieldSchema[];
}

/** Every protocol of the schema, by name. */
export function protocolSchemas(schema: Schema = SCHEMA): ProtocolSchema[] {
  const protocols: ProtocolSchema[] = [];
  for (const field of messageSchema('RoundTrip', schema).fields) {
    if (field.oneof !== 'detail') continue;
    const message = messageSchema(field.type, schema);
    if (message.protocol === null) throw new SchemaError(`${field.type} has no option packetd.v1.protocol`);
    const { name, fixed, ports, networkProtocolName } = message.protocol;
    protocols.push({
      name,
      networkProtocolName: networkProtocolName || name,
      detailCase: field.localName,
      number: field.number,
      message: field.type,
      ports,
      fixed: fixed.map(({ key, value }) => [key, value] as const),
      fields: message.fields,
    });
  }
  return protocols.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function messageSchema(name: string, schema: Schema = SCHEMA): MessageSchema {
  const message = schema.messages[name];
  if (message === undefined) throw new SchemaError(`the schema has no message ${name}`);
  return message;
}

/** Names of an enum by number, without the prefix its values share. The zero value is ''. */
export function enumNames(name: string, schema: Schema = SCHEMA): Map<number, string> {
  const values = schema.enums[name];
  if (values === undefined) throw new SchemaError(`the schema has no enum ${name}`);
  return new Map(values.map((v) => [v.number, v.number === 0 ? '' : v.name]));
}

/** Whether a field is a list of names and values whose attribute is a prefix. */
export function isKeyValueList(field: FieldSchema): boolean {
  return field.kind === 'message' && field.repeated && field.type === 'KeyValue';
}

/** How a value of the envelope is rendered. */
export type EnvelopeForm =
  | 'timestamp'
  | 'hex'
  | 'span_id'
  | 'unsigned'
  /** Integer that is shown as 0, too, once the roundtrip is complete (status OK or ERROR). */
  | 'measured'
  | 'outcome'
  | 'string'
  | 'address'
  | 'enum'
  | 'lower_enum'
  | 'protocol'
  | 'network_protocol'
  | 'observer';

export interface EnvelopeField {
  /** Dotted name in the document. */
  readonly attribute: string;
  /** Field of `RoundTrip`, dotted; '' where the value is not the record's own. */
  readonly source: string;
  readonly form: EnvelopeForm;
  readonly elasticType: string;
  readonly description: string;
}

const envelope = (
  attribute: string,
  source: string,
  form: EnvelopeForm,
  elasticType: string,
  description: string,
): EnvelopeField => ({ attribute, source, form, elasticType, description });

/** The document's fields that every protocol has, in the order of the document. */
export const ENVELOPE: readonly EnvelopeField[] = [
  envelope(
    '@timestamp',
    'start_unix_nano',
    'timestamp',
    'date_nanos',
    'Capture time of the first byte of the request (of the response where no request was seen).',
  ),
  envelope('event.id', 'id', 'hex', 'keyword', 'Deterministic: the same capture gives the same ids.'),
  envelope(
    'event.duration',
    'duration_nano',
    'measured',
    'long',
    'From the first byte of the request to the last byte of the response, in nanoseconds.',
  ),
  envelope(
    'event.outcome',
    'status',
    'outcome',
    'keyword',
    '`success` (OK), `failure` (ERROR, RESET, CANCELLED) or `unknown` (NO_RESPONSE, INCOMPLETE).',
  ),
  envelope('network.protocol.name', '', 'network_protocol', 'keyword', 'Name of the application protocol.'),
  envelope(
    'network.protocol.version',
    'protocol_version',
    'string',
    'keyword',
    'Version of the application protocol, for example `1.1`.',
  ),
  envelope('network.transport', 'transport', 'lower_enum', 'keyword', '`tcp` or `udp`.'),
  envelope('client.address', 'client.address', 'address', 'ip', 'Address of the side that sent the request.'),
  envelope('client.port', 'client.port', 'unsigned', 'long', 'Port of the side that sent the request.'),
  envelope(
    'client.bytes',
    'client.bytes',
    'unsigned',
    'long',
    'Size of the request on the wire, headers of the application protocol included.',
  ),
  envelope(
    'client.packets',
    'client.packets',
    'unsigned',
    'long',
    'Segments or datagrams that carried the request.',
  ),
  envelope(
    'server.address',
    'server.address',
    'address',
    'ip',
    'Address of the side that sent the response.',
  ),
  envelope('server.port', 'server.port', 'unsigned', 'long', 'Port of the side that sent the response.'),
  envelope(
    'server.bytes',
    'server.bytes',
    'unsigned',
    'long',
    'Size of the response on the wire, headers of the application protocol included.',
  ),
  envelope(
    'server.packets',
    'server.packets',
    'unsigned',
    'long',
    'Segments or datagrams that carried the response.',
  ),
  envelope('observer.name', '', 'observer', 'keyword', 'Name of the sensor.'),
  envelope('observer.hostname', '', 'observer', 'keyword', 'Host name of the sensor.'),
  envelope('observer.version', '', 'observer', 'keyword', 'Version of the sensor.'),
  envelope('packetd.protocol', '', 'protocol', 'keyword', 'Name of the protocol in packetd.'),
  envelope(
    'packetd.operation',
    'operation',
    'string',
    'keyword',
    'What was asked, low-cardinality; the span is named `{operation} {target}`.',
  ),
  envelope('packetd.target', 'target', 'string', 'keyword', 'What it was asked of, low-cardinality.'),
  envelope(
    'packetd.status',
    'status',
    'enum',
    'keyword',
    'OK, ERROR, NO_RESPONSE, CANCELLED, RESET or INCOMPLETE.',
  ),
  envelope(
    'packetd.wait.request',
    'wait_request_nano',
    'measured',
    'long',
    'Request transfer, in nanoseconds.',
  ),
  envelope(
    'packetd.wait.server',
    'wait_server_nano',
    'measured',
    'long',
    'Last byte of the request to first byte of the response, in nanoseconds.',
  ),
  envelope(
    'packetd.wait.response',
    'wait_response_nano',
    'measured',
    'long',
    'Response transfer, in nanoseconds.',
  ),
  envelope(
    'packetd.missing_bytes',
    'missing_bytes',
    'unsigned',
    'long',
    'Bytes of this roundtrip that the capture lost.',
  ),
  envelope(
    'error.type',
    'error_type',
    'string',
    'keyword',
    'Low-cardinality class of the error; absent when the status is OK.',
  ),
  envelope('trace.id', 'trace.trace_id', 'hex', 'keyword', 'Trace that the request carried.'),
  envelope('span.id', 'id', 'span_id', 'keyword', 'Span of this roundtrip: the last 8 bytes of its id.'),
  envelope('parent.id', 'trace.parent_span_id', 'hex', 'keyword', 'Span that the request came from.'),
];

/** Where a value of the document comes from. */
export type DocumentLeaf =
  | { readonly kind: 'envelope'; readonly envelope: EnvelopeField }
  | { readonly kind: 'field'; readonly field: FieldSchema }
  | { readonly kind: 'fixed'; readonly value: string };

export interface DocumentGroup {
  readonly kind: 'group';
  /** By JSON key, in the order of the document. */
  readonly members: Map<string, DocumentNode>;
}

export type DocumentNode = (DocumentLeaf & { readonly owner: string }) | DocumentGroup;

/** The document of one protocol as a tree of its dotted names; without a protocol, the envelope alone. */
export function documentTree(protocol?: ProtocolSchema): DocumentGroup {
  const root: DocumentGroup = { kind: 'group', members: new Map() };
  for (const field of ENVELOPE) {
    insert(root, field.attribute, {
      kind: 'envelope',
      envelope: field,
      owner: `the envelope's ${field.attribute}`,
    });
  }
  if (protocol === undefined) return root;
  for (const [key, value] of protocol.fixed) {
    insert(root, key, { kind: 'fixed', value, owner: `${protocol.message}'s fixed ${key}` });
  }
  for (const field of protocol.fields) {
    if (field.attribute === '') continue;
    insert(root, field.attribute, { kind: 'field', field, owner: `${protocol.message}.${field.name}` });
  }
  return root;
}

/** The object of a message inside the document: names are the attributes or else the field names. */
export function messageTree(name: string, schema: Schema = SCHEMA): DocumentGroup {
  const root: DocumentGroup = { kind: 'group', members: new Map() };
  for (const field of messageSchema(name, schema).fields) {
    insert(root, field.attribute || field.name, { kind: 'field', field, owner: `${name}.${field.name}` });
  }
  return root;
}

function insert(root: DocumentGroup, name: string, leaf: DocumentLeaf & { owner: string }): void {
  const path = name.split('.');
  const key = path.pop()!;
  if (key === '' || path.includes('')) throw new SchemaError(`${leaf.owner}: "${name}" is not a dotted name`);
  let group = root;
  for (const step of path) {
    let next = group.members.get(step);
    if (next === undefined) {
      next = { kind: 'group', members: new Map() };
      group.members.set(step, next);
    }
    if (next.kind !== 'group') throw conflict(name, leaf.owner, next.owner);
    group = next;
  }
  const taken = group.members.get(key);
  if (taken !== undefined) throw conflict(name, leaf.owner, firstOwner(taken));
  group.members.set(key, leaf);
}

function firstOwner(node: DocumentNode): string {
  while (node.kind === 'group') node = node.members.values().next().value!;
  return node.owner;
}

function conflict(name: string, first: string, second: string): SchemaError {
  return new SchemaError(`${first} and ${second} cannot both be in the document: "${name}" is taken`);
}
