/** Interned field names and methods: what repeats is looked up by its bytes and written as it was encoded once. */
import { Constant, encodeString, HttpTag, KeyValueTag, RoundTripTag } from '@packetd/proto';
import { isSecretHeader, REDACTED } from '../redact/headers.js';
import { TraceHeader, traceHeader } from './trace-context.js';

/** Fields of a head that are recorded; framing is read from all of them. */
export const MAX_RECORDED_FIELDS = 256;
/** Longest recorded field value; the rest is cut off. */
export const MAX_RECORDED_VALUE_BYTES = 8 << 10;

/** ASCII lower case of a byte; other bytes as they are. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, b) => (b >= 0x41 && b <= 0x5a ? b | 0x20 : b));

/**
 * Methods that are used as operation; all others are `_OTHER` there. The IANA HTTP Method Registry,
 * UPnP (M-SEARCH, NOTIFY, SUBSCRIBE, UNSUBSCRIBE), the caches' PURGE and BAN, and RPC over HTTP.
 */
const KNOWN_METHODS = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'CONNECT',
  'TRACE',
  'QUERY',
  ...['ACL', 'BASELINE-CONTROL', 'BIND', 'CHECKIN', 'CHECKOUT', 'COPY', 'LABEL', 'LINK', 'LOCK', 'MERGE'],
  ...['MKACTIVITY', 'MKCALENDAR', 'MKCOL', 'MKREDIRECTREF', 'MKWORKSPACE', 'MOVE', 'ORDERPATCH', 'PROPFIND'],
  ...['PROPPATCH', 'REBIND', 'REPORT', 'SEARCH', 'UNBIND', 'UNCHECKOUT', 'UNLINK', 'UNLOCK', 'UPDATE'],
  ...[
    'UPDATEREDIRECTREF',
    'VERSION-CONTROL',
    'M-SEARCH',
    'NOTIFY',
    'SUBSCRIBE',
    'UNSUBSCRIBE',
    'PURGE',
    'BAN',
  ],
  ...['RPC_IN_DATA', 'RPC_OUT_DATA'],
] as const;

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** What the decoder does with a field besides recording it. */
export const Field = {
  OTHER: 0,
  CONTENT_LENGTH: 1,
  TRANSFER_ENCODING: 2,
  HOST: 3,
  USER_AGENT: 4,
  CONTENT_TYPE: 5,
  UPGRADE: 6,
  EXPECT: 7,
  /** Its value is a URL that may carry credentials. */
  URL: 8,
  CONTENT_ENCODING: 9,
  TRACE: 10,
  SUBPROTOCOL: 11,
  GRPC_STATUS: 12,
} as const;
export type Field = (typeof Field)[keyof typeof Field];

const FIELDS: Readonly<Record<string, Field>> = {
  'content-length': Field.CONTENT_LENGTH,
  'transfer-encoding': Field.TRANSFER_ENCODING,
  host: Field.HOST,
  'user-agent': Field.USER_AGENT,
  'content-type': Field.CONTENT_TYPE,
  upgrade: Field.UPGRADE,
  'grpc-status': Field.GRPC_STATUS,
  expect: Field.EXPECT,
  referer: Field.URL,
  location: Field.URL,
  'content-location': Field.URL,
  refresh: Field.URL,
  link: Field.URL,
  destination: Field.URL,
  'x-original-url': Field.URL,
  'x-original-uri': Field.URL,
  'x-rewrite-url': Field.URL,
  'x-forwarded-uri': Field.URL,
  'x-envoy-original-path': Field.URL,
  'content-encoding': Field.CONTENT_ENCODING,
  'sec-websocket-protocol': Field.SUBPROTOCOL,
};

/** Fields with values of a grammar in which there is no place for secrets: they are recorded as they are. */
const PLAIN = new Set(
  (
    'accept accept-charset accept-encoding accept-language accept-ranges age allow alt-svc cache-control connection ' +
    'content-encoding content-language content-length content-range content-type date dnt etag expect expires host ' +
    'if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive last-modified max-forwards ' +
    'permissions-policy server-timing pragma priority range retry-after server strict-transport-security te trailer transfer-encoding upgrade ' +
    'upgrade-insecure-requests user-agent vary via x-content-type-options x-forwarded-for x-forwarded-proto ' +
    'x-frame-options x-powered-by x-real-ip x-request-id x-xss-protection sec-ch-ua sec-ch-ua-mobile ' +
    'sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-accept ' +
    'sec-websocket-extensions sec-websocket-key sec-websocket-version traceparent grpc-encoding ' +
    'grpc-accept-encoding grpc-timeout grpc-status'
  ).split(' '),
);

/** Names kept; later ones are encoded anew each time. */
const MAX_NAMES = 1024;
const MAX_NAME_BYTES = 64;
/** A power of two: the hash gives 12 bits. */
const SLOTS = 4096;

export class FieldName {
  readonly field: Field;
  readonly trace: TraceHeader;
  readonly secret: boolean;
  /** Its value is looked through for secrets. */
  readonly searched: boolean;
  /** KeyValue.key, encoded; with `secret` the replaced value too. */
  readonly encoded: Constant;

  /** `name` in lower case. */
  constructor(readonly name: Uint8Array) {
    const text = Buffer.from(name).toString('utf8');
    this.trace = traceHeader(name, 0, name.length);
    this.field =
      this.trace !== TraceHeader.NONE
        ? Field.TRACE
        : Object.hasOwn(FIELDS, text)
          ? FIELDS[text]
          : Field.OTHER;
    this.secret = isSecretHeader(name, 0, name.length);
    this.searched = !PLAIN.has(text);
    const key = encodeString(KeyValueTag.key, text);
    this.encoded = this.secret ? Constant.of(key, encodeString(KeyValueTag.value, REDACTED)) : key;
  }
}

const slots: (FieldName | null)[] = new Array(SLOTS).fill(null);
let names = 0;

/** Slots that are looked at for one name; a name that is not found in them is encoded anew each time. */
const MAX_PROBES = 16;

/** The name [start, end), not empty, in any case. */
export function internField(bytes: Uint8Array, start: number, end: number): FieldName {
  const length = end - start;
  // Length and four bytes tell the names of one site apart; `| 0x20` is enough of a lower case for a hash.
  const outer = (bytes[start] | 0x20) + ((bytes[end - 1] | 0x20) << 8);
  const inner = (bytes[start + (length >> 1)] | 0x20) + ((bytes[start + (length >> 2)] | 0x20) << 8);
  const hash = Math.imul(outer ^ (inner << 12) ^ (length << 5), 0x9e3779b1);
  let slot = hash >>> 20;
  let free = -1;
  for (let probe = 0; probe < MAX_PROBES; probe++) {
    const entry = slots[slot];
    if (entry === null) {
      free = slot;
      break;
    }
    const name = entry.name;
    if (name.length === length) {
      let i = 0;
      while (i < length && LOWER[bytes[start + i]] === name[i]) i++;
      if (i === length) return entry;
    }
    slot = (slot + 1) & (SLOTS - 1);
  }
  const lower = new Uint8Array(length);
  for (let i = 0; i < length; i++) lower[i] = LOWER[bytes[start + i]];
  const made = new FieldName(lower);
  if (free >= 0 && names < MAX_NAMES && length <= MAX_NAME_BYTES) {
    slots[free] = made;
    names++;
  }
  return made;
}

/** A known method with the fields it is written as. */
export class Method {
  readonly name: Uint8Array;
  /** Http.method. */
  readonly encoded: Constant;
  /** RoundTrip.operation. */
  readonly operation: Constant;

  constructor(name: string) {
    this.name = Buffer.from(name, 'latin1');
    this.encoded = encodeString(HttpTag.method, name);
    this.operation = encodeString(RoundTripTag.operation, name);
  }
}

const byLength: Method[][] = [];
for (const name of KNOWN_METHODS) {
  byLength[name.length] ??= [];
  byLength[name.length].push(new Method(name));
}
const NONE: readonly Method[] = [];

/** The known method [start, end), or null. Methods are case-sensitive (RFC 9110 section 9.1). */
export function knownMethod(bytes: Uint8Array, start: number, end: number): Method | null {
  const candidates = byLength[end - start] ?? NONE;
  for (let m = 0; m < candidates.length; m++) {
    const name = candidates[m].name;
    let i = 0;
    while (i < name.length && bytes[start + i] === name[i]) i++;
    if (i === name.length) return candidates[m];
  }
  return null;
}
