/**
 * Writes what requests, responses and their fields say into an exchange, for every version of HTTP: Http and
 * Http2 number these fields alike. No strings, no objects.
 */
import { type Constant, encodeString, HttpTag, KeyValueTag, RoundTripTag, WireWriter } from '@packetd/proto';
import { redactBody } from '../redact/body.js';
import { isSecretSubprotocol, isSecretValue, REDACTED } from '../redact/headers.js';
import { redactField, redactPath, redactQuery, redactUrl } from '../redact/url.js';
import type { Exchange } from './exchange.js';
import { Field, type FieldName, isDigit, knownMethod, MAX_RECORDED_VALUE_BYTES } from './http-names.js';
import { route, templateRoute } from './route.js';

const OTHER_METHOD = encodeString(RoundTripTag.operation, '_OTHER');
const SECRET_VALUE = encodeString(KeyValueTag.value, REDACTED);
/** Segments of a path from this length on may be tokens. */
const MIN_SUSPECT_BYTES = 16;
const SCHEME_HTTP = encodeString(HttpTag.scheme, 'http');
const VERSION_10 = encodeString(RoundTripTag.protocolVersion, '1.0');
export const VERSION_11 = encodeString(RoundTripTag.protocolVersion, '1.1');
/** By status code; made when first met. */
const errorTypes: (Constant | undefined)[] = new Array(1000).fill(undefined);

/** Holds a redacted query, URL or body for the moment of writing it. */
const redacted = new WireWriter(1024);

export function writeMethod(exchange: Exchange, bytes: Uint8Array, start: number, end: number): void {
  const method = knownMethod(bytes, start, end);
  if (method === null) {
    exchange.detail.text(HttpTag.method, bytes, start, end);
    exchange.envelope.constant(OTHER_METHOD);
  } else {
    exchange.detail.constant(method.encoded);
    exchange.envelope.constant(method.operation);
  }
}

/** `digits` is at the major version's digit. */
export function writeVersion(exchange: Exchange, bytes: Uint8Array, digits: number): void {
  const major = bytes[digits];
  const minor = bytes[digits + 2];
  if (major === 0x31 && minor === 0x31) exchange.envelope.constant(VERSION_11);
  else if (major === 0x31 && minor === 0x30) exchange.envelope.constant(VERSION_10);
  else exchange.envelope.text(RoundTripTag.protocolVersion, bytes, digits, digits + 3);
}

export function writeStatus(exchange: Exchange, code: number): void {
  exchange.detail.uint(HttpTag.statusCode, code);
}

/** The error type of a status code from 400 on. */
export function writeErrorType(exchange: Exchange, code: number): void {
  errorTypes[code] ??= encodeString(RoundTripTag.errorType, String(code));
  exchange.envelope.constant(errorTypes[code]);
}

/**
 * request-target = origin-form / absolute-form / authority-form / asterisk-form (RFC 9112 section 3.2).
 * `schemeField` is what an origin-form target is recorded with. True where it names the host, which then stands above the Host field (section 3.2.2).
 */
export function writeTarget(
  exchange: Exchange,
  bytes: Uint8Array,
  start: number,
  end: number,
  connect: boolean,
  schemeField: Constant = SCHEME_HTTP,
): boolean {
  const detail = exchange.detail;
  if (connect) {
    writeHost(exchange, bytes, start, end);
    return true;
  }
  let at = start;
  let hosted = false;
  const scheme = schemeEnd(bytes, start, end);
  if (scheme < 0) {
    detail.constant(schemeField);
  } else {
    detail.text(HttpTag.scheme, bytes, start, scheme);
    const authority = scheme + 3;
    at = authority;
    while (at < end && bytes[at] !== 0x2f && bytes[at] !== 0x3f && bytes[at] !== 0x23) at++;
    hosted = at > authority;
    if (hosted) writeHost(exchange, bytes, authority, at);
  }
  let query = at;
  let segment = at;
  // Escapes, parameters, userinfo and long segments may hide a secret.
  let suspect = false;
  for (; query < end; query++) {
    const byte = bytes[query];
    if (byte === 0x3f || byte === 0x23) break;
    if (byte === 0x2f) {
      suspect = suspect || query - segment >= MIN_SUSPECT_BYTES;
      segment = query + 1;
    } else if (byte === 0x25 || byte === 0x3b || byte === 0x3d || byte === 0x40) suspect = true;
  }
  suspect = suspect || query - segment >= MIN_SUSPECT_BYTES;
  if (query === at) {
    // RFC 9110 section 4.2.3: an empty path is "/".
    detail.text(HttpTag.path, ROOT, 0, 1);
    detail.text(HttpTag.route, ROOT, 0, 1);
    exchange.envelope.text(RoundTripTag.target, ROOT, 0, 1);
  } else {
    // The route is made of what is left, for labels and span names are no place for secrets either.
    let path = bytes;
    let from = at;
    let to = query;
    redacted.reset();
    if (suspect && redactPath(bytes, at, query, redacted)) {
      path = redacted.bytes;
      from = 0;
      to = redacted.length;
    }
    detail.text(HttpTag.path, path, from, to);
    const length = templateRoute(path, from, to);
    if (length < 0) {
      detail.text(HttpTag.route, path, from, to);
      exchange.envelope.text(RoundTripTag.target, path, from, to);
    } else {
      detail.text(HttpTag.route, route, 0, length);
      exchange.envelope.text(RoundTripTag.target, route, 0, length);
    }
  }
  if (query < end && bytes[query] === 0x3f) {
    let stop = query + 1;
    while (stop < end && bytes[stop] !== 0x23) stop++;
    if (stop > query + 1) writeRedacted(exchange.detail, HttpTag.query, bytes, query + 1, stop, redactQuery);
  }
  return hosted;
}

const ROOT = Uint8Array.of(0x2f);

/** Position of `://` after a scheme, or -1. */
function schemeEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const letter = bytes[at] | 0x20;
    const allowed = letter >= 0x61 && letter <= 0x7a;
    if (
      !allowed &&
      (at === start ||
        !(isDigit(bytes[at]) || bytes[at] === 0x2b || bytes[at] === 0x2d || bytes[at] === 0x2e))
    )
      break;
    at++;
  }
  if (at === start || at + 2 >= end) return -1;
  return bytes[at] === 0x3a && bytes[at + 1] === 0x2f && bytes[at + 2] === 0x2f ? at : -1;
}

/** [ userinfo "@" ] uri-host [ ":" port ]; userinfo is no part of a host, and may be a secret. */
export function writeHost(exchange: Exchange, bytes: Uint8Array, from: number, end: number): void {
  const detail = exchange.detail;
  let start = from;
  for (let i = from; i < end; i++) if (bytes[i] === 0x40) start = i + 1;
  let stop = end;
  while (stop > start && isDigit(bytes[stop - 1])) stop--;
  let hostEnd = end;
  if (stop > start && bytes[stop - 1] === 0x3a) {
    hostEnd = stop - 1;
    let port = 0;
    for (let i = stop; i < end && port < 65_536; i++) port = port * 10 + bytes[i] - 0x30;
    if (port < 65_536) detail.uintNonZero(HttpTag.hostPort, port);
  }
  let hostStart = start;
  if (hostEnd - hostStart > 2 && bytes[hostStart] === 0x5b && bytes[hostEnd - 1] === 0x5d) {
    hostStart++;
    hostEnd--;
  }
  if (hostEnd > hostStart) detail.text(HttpTag.host, bytes, hostStart, hostEnd);
}

/** One field of a head as KeyValue; secrets are replaced. */
export function writeField(
  exchange: Exchange,
  tag: number,
  name: FieldName,
  isUrl: boolean,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const detail = exchange.detail;
  const mark = detail.begin(tag);
  detail.constant(name.encoded);
  if (!name.secret && end > start) {
    const stop = Math.min(end, start + MAX_RECORDED_VALUE_BYTES);
    if (isSecretValue(bytes, start, stop)) detail.constant(SECRET_VALUE);
    else if (name.field === Field.SUBPROTOCOL && isSecretSubprotocol(bytes, start, stop))
      detail.constant(SECRET_VALUE);
    else if (name.field === Field.HOST) writeHostField(detail, bytes, start, stop);
    else if (isUrl || looksLikeUrl(bytes, start, stop))
      writeRedacted(detail, KeyValueTag.value, bytes, start, stop, redactUrl);
    else if (name.searched) writeRedacted(detail, KeyValueTag.value, bytes, start, stop, redactField);
    else detail.text(KeyValueTag.value, bytes, start, stop);
  }
  detail.end(mark);
}

/** Proxies and frameworks hand URLs on in fields of many names. */
function looksLikeUrl(bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start];
  if (first === 0x2f) return true;
  return (
    (first | 0x20) === 0x68 &&
    end - start > 7 &&
    (bytes[start + 1] | 0x20) === 0x74 &&
    (bytes[start + 2] | 0x20) === 0x74 &&
    (bytes[start + 3] | 0x20) === 0x70
  );
}

/** Userinfo does not belong into Host, but some clients put it there. */
function writeHostField(detail: WireWriter, bytes: Uint8Array, from: number, end: number): void {
  let start = from;
  for (let i = from; i < end; i++) if (bytes[i] === 0x40) start = i + 1;
  detail.text(KeyValueTag.value, bytes, start, end);
}

export function writeBody(
  exchange: Exchange,
  tag: number,
  body: Uint8Array,
  length: number,
  form: boolean,
): void {
  writeRedacted(exchange.detail, tag, body, 0, length, form ? redactQuery : redactBody);
}

function writeRedacted(
  out: WireWriter,
  tag: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  redact: typeof redactUrl,
): void {
  redacted.reset();
  if (redact(bytes, start, end, redacted)) out.text(tag, redacted.bytes, 0, redacted.length);
  else out.text(tag, bytes, start, end);
}
