/** Writes header fields into a stream's exchange. */

import { Constant, encodeString, Http2Tag, KeyValueTag, RoundTripTag } from '@packetd/proto';
import { REDACTED } from '../../redact/headers.js';
import type { Exchange } from '../exchange.js';
import { Field, type FieldName, MAX_RECORDED_FIELDS } from '../http-names.js';
import { writeField, writeHost, writeMethod, writeStatus, writeTarget } from '../http-record.js';
import { isOwnAgent } from '../own-agent.js';
import type { TraceReader } from '../trace-context.js';
import { type Entry, type HeaderList, intern, Pseudo } from './hpack.js';
import type { Stream } from './stream.js';

export const VERSION = encodeString(RoundTripTag.protocolVersion, '2');
const SCHEMES = [encodeString(Http2Tag.scheme, 'https'), encodeString(Http2Tag.scheme, 'http')];
const NO_SCHEME = Constant.of();
const COLON = 0x3a;
const SECRET_VALUE = encodeString(KeyValueTag.value, REDACTED);
const CONNECT = 7;
/** The text of an error may repeat values: it is recorded apart, without them. */
const ERROR_TEXT = intern('grpc-message');

/** Method, target, host and scheme of a request that is plain HTTP. */
export function writeRequest(stream: Stream, list: HeaderList): void {
  const exchange = stream.exchange!;
  const method = list.find(Pseudo.METHOD);
  const path = list.find(Pseudo.PATH);
  const scheme = list.find(Pseudo.SCHEME);
  const authority = list.find(Pseudo.AUTHORITY);
  if (method >= 0) writeMethod(exchange, list.values[method], list.starts[method], list.ends[method]);
  if (path >= 0) {
    const length = scheme < 0 ? 0 : list.ends[scheme] - list.starts[scheme];
    const schemeField = length === 5 ? SCHEMES[0] : length === 4 ? SCHEMES[1] : NO_SCHEME;
    writeTarget(exchange, list.values[path], list.starts[path], list.ends[path], false, schemeField);
  }
  if (authority >= 0) {
    writeAuthority(exchange, list, authority);
    // CONNECT has nothing but an authority (RFC 9113 section 8.5).
    if (path < 0 && method >= 0 && list.ends[method] - list.starts[method] === CONNECT) return;
  }
  const agent = fieldOf(list, Field.USER_AGENT);
  if (agent >= 0) {
    exchange.detail.text(Http2Tag.userAgent, list.values[agent], list.starts[agent], list.ends[agent]);
    exchange.own = isOwnAgent(list.values[agent], list.starts[agent], list.ends[agent]);
  }
  writeContentType(exchange, Http2Tag.requestContentType, list);
}

export function writeAuthority(exchange: Exchange, list: HeaderList, index: number): void {
  const { values, starts, ends } = list;
  writeHost(exchange, values[index], starts[index], ends[index]);
}

/** Status and content type of a response that is plain HTTP. */
export function writeResponse(stream: Stream, list: HeaderList): void {
  if (stream.statusCode > 0) writeStatus(stream.exchange!, stream.statusCode);
  writeContentType(stream.exchange!, Http2Tag.responseContentType, list);
}

/** The three digits of :status; 0 where it is missing or unknown. */
export function statusOf(list: HeaderList): number {
  const index = list.find(Pseudo.STATUS);
  if (index < 0 || list.ends[index] - list.starts[index] !== 3) return 0;
  let code = 0;
  for (let i = list.starts[index]; i < list.ends[index]; i++) {
    const digit = list.values[index][i] - 0x30;
    if (digit < 0 || digit > 9) return 0;
    code = code * 10 + digit;
  }
  return code;
}

/** Records the fields that are not pseudo fields, as `tag`; takes the trace of a request's. */
export function writeFields(
  stream: Stream,
  list: HeaderList,
  tag: number,
  record: boolean,
  trace: TraceReader | null,
): void {
  const exchange = stream.exchange!;
  const { names, values, starts, ends, entries, secret } = list;
  for (let i = 0; i < list.length; i++) {
    const name = names[i];
    if (name === null || ends[i] < 0 || name.name[0] === COLON) continue;
    if (trace !== null && name.field === Field.TRACE) trace.take(name.trace, values[i], starts[i], ends[i]);
    if (!record || name === ERROR_TEXT || ++stream.fields > MAX_RECORDED_FIELDS) continue;
    const entry = entries[i];
    if (secret[i] === 1) writeSecret(exchange, tag, name);
    else if (entry === null)
      writeField(exchange, tag, name, name.field === Field.URL, values[i], starts[i], ends[i]);
    else writeEntry(exchange, tag, entry);
  }
}

/** A table's entry is written as it was the first time; each direction's table has entries of its own. */
function writeEntry(exchange: Exchange, tag: number, entry: Entry): void {
  const { detail } = exchange;
  if (entry.encoded === null || entry.encodedTag !== tag) {
    const before = detail.length;
    const { name, value } = entry;
    writeField(exchange, tag, name, name.field === Field.URL, value, 0, value.length);
    entry.encoded = detail.bytes.slice(before, detail.length);
    entry.encodedTag = tag;
    return;
  }
  detail.raw(entry.encoded);
}

function writeSecret(exchange: Exchange, tag: number, name: FieldName): void {
  const mark = exchange.detail.begin(tag);
  exchange.detail.constant(name.encoded);
  if (!name.secret) exchange.detail.constant(SECRET_VALUE);
  exchange.detail.end(mark);
}

function writeContentType(exchange: Exchange, tag: number, list: HeaderList): void {
  const index = fieldOf(list, Field.CONTENT_TYPE);
  if (index >= 0) exchange.detail.text(tag, list.values[index], list.starts[index], list.ends[index]);
}

/** Index of the first field that means `field`, with a value; or -1. */
export function fieldOf(list: HeaderList, field: Field): number {
  for (let i = 0; i < list.length; i++) {
    if (list.names[i]?.field === field && list.ends[i] > list.starts[i]) return i;
  }
  return -1;
}
