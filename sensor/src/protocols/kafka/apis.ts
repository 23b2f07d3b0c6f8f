/** What the decoder needs of an API, in wire format. */
import { encodeString, KafkaTag, RoundTripTag } from '@packetd/proto';
import { APIS, layoutOf } from './layouts.js';

/** Keys that are treated in a way of their own. */
export const Key = {
  PRODUCE: 0,
  FETCH: 1,
  SASL_HANDSHAKE: 17,
  API_VERSIONS: 18,
  SASL_AUTHENTICATE: 36,
  SHARE_FETCH: 78,
} as const;
/** Versions above the last that is known, which a newer client may speak: their bodies are not read. */
const NEWER_VERSIONS = 8;
/** LeaderAndIsr and its like ended before the tables begin. */
const OLD_VERSIONS = 8;

/** Operation name and type of the messaging conventions. */
const OPERATIONS: { readonly [key: number]: readonly [name: string, type: string] } = {
  [Key.PRODUCE]: ['send', 'send'],
  [Key.FETCH]: ['poll', 'receive'],
  [Key.SHARE_FETCH]: ['poll', 'receive'],
  8: ['commit', 'settle'],
  28: ['commit', 'settle'],
  79: ['acknowledge', 'settle'],
};

export interface Version {
  readonly flexible: boolean;
  readonly taggedResponse: boolean;
  /** null where the body is not known. */
  readonly request: Uint8Array | null;
  readonly response: Uint8Array | null;
}

export interface ApiShape {
  readonly name: string;
  readonly operation: Uint8Array;
  readonly detail: Uint8Array;
  readonly versions: Version[];
  readonly maxVersion: number;
  readonly flexible: number;
}

const shapes: ApiShape[] = [];

/** The API with this key; undefined for one that there is not. */
export function apiOf(key: number): ApiShape | undefined {
  return shapes[key] ?? makeShape(key);
}

/** Made when it is first asked for: a connection uses few of them. */
function makeShape(key: number): ApiShape | undefined {
  const api = APIS[key];
  if (api === undefined) return undefined;
  const detail = [encodeString(KafkaTag.api, api.name)];
  const operation = OPERATIONS[key];
  if (operation !== undefined) {
    detail.push(
      encodeString(KafkaTag.operationName, operation[0]),
      encodeString(KafkaTag.operationType, operation[1]),
    );
  }
  const maxVersion = api.maxVersion < 0 ? OLD_VERSIONS : api.maxVersion + NEWER_VERSIONS;
  const versions = Array.from({ length: maxVersion + 1 }, (_, version): Version => {
    const known = version <= api.maxVersion;
    const layout = (layouts: typeof api.request) => {
      const found = known ? layoutOf(layouts, version) : undefined;
      return found === undefined ? null : Buffer.from(found, 'latin1');
    };
    return {
      flexible: api.flexible >= 0 && version >= api.flexible,
      // The answer to ApiVersions must be read before anybody knows what is spoken (KIP-511).
      taggedResponse: key !== Key.API_VERSIONS && api.taggedResponse >= 0 && version >= api.taggedResponse,
      request: layout(api.request),
      response: layout(api.response),
    };
  });
  shapes[key] = {
    name: api.name,
    operation: encodeString(RoundTripTag.operation, api.name),
    detail: Buffer.concat(detail),
    versions,
    maxVersion,
    flexible: api.flexible,
  };
  return shapes[key];
}

/** Largest request that is believed: brokers take 100 MB by default. */
export const MAX_MESSAGE_BYTES = 2 ** 30;
/** size (4), API key (2), version (2), correlation id (4), length of the client id (2). */
export const REQUEST_HEADER_BYTES = 14;
const MAX_CLIENT_ID_BYTES = 512;

/** 1 where a request header stands at `at`, 0 where more bytes are needed, -1 where none does. */
export function requestAt(bytes: Uint8Array, at: number, end: number): number {
  if (end - at >= 4) {
    const size = int32(bytes, at);
    if (size < REQUEST_HEADER_BYTES - 4 || size > MAX_MESSAGE_BYTES) return -1;
  }
  if (end - at < REQUEST_HEADER_BYTES)
    return end - at >= 6 && apiOf((bytes[at + 4] << 8) | bytes[at + 5]) === undefined ? -1 : 0;
  const size = int32(bytes, at);
  const api = apiOf((bytes[at + 4] << 8) | bytes[at + 5]);
  const version = (bytes[at + 6] << 8) | bytes[at + 7];
  if (api === undefined || version > api.maxVersion || int32(bytes, at + 8) < 0) return -1;
  const length = ((bytes[at + 12] << 24) | (bytes[at + 13] << 16)) >> 16;
  if (length < -1 || length > MAX_CLIENT_ID_BYTES || REQUEST_HEADER_BYTES + length > size + 4) return -1;
  for (let i = at + REQUEST_HEADER_BYTES; i < Math.min(at + REQUEST_HEADER_BYTES + length, end); i++) {
    if (bytes[i] < 0x20 || bytes[i] > 0x7e) return -1;
  }
  return 1;
}

function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}
