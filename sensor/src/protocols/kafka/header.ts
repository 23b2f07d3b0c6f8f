/** Tells whether bytes are the beginning of a request or response: for detection, and after bytes were lost. */
import { type Api, api } from './apis.js';
import { Batches } from './batches.js';
import { Role } from './schema.js';
import { Walk, Walker } from './walker.js';
import {
  ApiKey,
  int16,
  int32,
  MAX_API_VERSION,
  MAX_DETECTED_BYTES,
  MAX_DETECTED_CLIENT_ID_BYTES,
  REQUEST_HEADER_BYTES,
  RESPONSE_HEADER_BYTES,
  SIZE_BYTES,
} from './wire.js';

/** Bytes of a message that are looked at, so that the answer does not depend on how much is there. */
export const BELIEVED_BYTES = 512;

export const Match = { NO: 0, MORE: 1, YES: 2 } as const;
export type Match = (typeof Match)[keyof typeof Match];

/** Error codes, throttle times and partitions beyond these are taken for other bytes. */
const MAX_ERROR_CODE = 200;
const MAX_THROTTLE_MS = 3_600_000;
const MAX_PARTITION = 1 << 20;

/** Looks whether the values of a walk can be what their roles say. */
const judge = {
  plausible: true,
  number(role: Role, value: number): void {
    if (role === Role.ERROR) this.plausible &&= value >= -1 && value <= MAX_ERROR_CODE;
    else if (role === Role.THROTTLE) this.plausible &&= value >= 0 && value <= MAX_THROTTLE_MS;
    else if (role === Role.PARTITION) this.plausible &&= value >= -1 && value <= MAX_PARTITION;
    else if (role === Role.ACKS) this.plausible &&= value >= -1 && value <= 1;
  },
  text(_role: Role, bytes: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end; i++) this.plausible &&= bytes[i] >= 0x20;
  },
  uuid(): void {},
};
const trial = new Walker(judge, new Batches(null));

/**
 * The whole of a request of a known API with a client id, whatever its body: enough where something else
 * speaks for Kafka too.
 */
export function hasRequestHeader(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < REQUEST_HEADER_BYTES + 2) return false;
  const size = int32(bytes, at);
  const length = int16(bytes, at + REQUEST_HEADER_BYTES);
  const clientId = at + REQUEST_HEADER_BYTES + 2;
  const key = int16(bytes, at + 4);
  const version = int16(bytes, at + 6);
  if (size !== end - at - SIZE_BYTES || key < 0 || !api(key).known) return false;
  if (version < 0 || version > MAX_API_VERSION || int32(bytes, at + 8) < 0) return false;
  return length > 0 && length <= end - clientId && isPrintable(bytes, clientId, clientId + length);
}

function isPrintable(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] < 0x20 || bytes[i] > 0x7e) return false;
  return true;
}

/**
 * A request of a known API in a known version, with a printable client id, whose first BELIEVED_BYTES walk
 * as its layout says, to the very end where it is shorter.
 */
export function matchRequest(bytes: Uint8Array, at: number, end: number): Match {
  const have = end - at;
  // Size, key and version are refused at the first byte that cannot be theirs.
  if (have > 0 && bytes[at] > MAX_DETECTED_BYTES >>> 24) return Match.NO;
  if (have < SIZE_BYTES) return Match.MORE;
  const size = int32(bytes, at);
  if (size < REQUEST_HEADER_BYTES - SIZE_BYTES || size > MAX_DETECTED_BYTES) return Match.NO;
  if (have < 6) return have === 4 || bytes[at + 4] === 0 ? Match.MORE : Match.NO;
  const known = api(Math.max(int16(bytes, at + 4), 0));
  if (int16(bytes, at + 4) < 0 || !known.known) return Match.NO;
  if (have < 8) return have === 6 || bytes[at + 6] === 0 ? Match.MORE : Match.NO;
  const version = int16(bytes, at + 6);
  if (version < 0 || version > known.newestVersion) return Match.NO;
  if (have < REQUEST_HEADER_BYTES + 2) {
    if (known.key !== ApiKey.CONTROLLED_SHUTDOWN || have < REQUEST_HEADER_BYTES)
      return have < SIZE_BYTES + size ? Match.MORE : Match.NO;
  }
  if (int32(bytes, at + 8) < 0) return Match.NO;
  if (known.key !== ApiKey.CONTROLLED_SHUTDOWN || version > 0) {
    const length = int16(bytes, at + REQUEST_HEADER_BYTES);
    if (length < -1 || length > MAX_DETECTED_CLIENT_ID_BYTES) return Match.NO;
    const clientId = at + REQUEST_HEADER_BYTES + 2;
    if (!isPrintable(bytes, clientId, Math.min(clientId + length, end))) return Match.NO;
  }
  return walks(known, version, true, bytes, at, end);
}

/** A response to a request of this API and version, judged like a request. */
export function matchResponse(
  known: Api,
  version: number,
  bytes: Uint8Array,
  at: number,
  end: number,
): Match {
  if (known.key === ApiKey.METADATA && namesNoBroker(version, bytes, at, end)) return Match.NO;
  return walks(known, version, false, bytes, at, end);
}

/**
 * Metadata begins with its brokers, one at least. Where there is none, a partition's number, leader and epoch in the
 * middle of such a response are taken for a size, a correlation id and what follows.
 */
function namesNoBroker(version: number, bytes: Uint8Array, at: number, end: number): boolean {
  // Tagged fields (KIP-482) are not in use in the header.
  const tags = version >= 9 ? 1 : 0;
  const brokers = at + RESPONSE_HEADER_BYTES + tags + (version >= 3 ? 4 : 0);
  if (version >= 9) return brokers < end && bytes[brokers] <= 1;
  return brokers + 4 <= end && int32(bytes, brokers) < 1;
}

function walks(
  known: Api,
  version: number,
  request: boolean,
  bytes: Uint8Array,
  at: number,
  end: number,
): Match {
  const messageEnd = at + SIZE_BYTES + int32(bytes, at);
  const enough = Math.min(messageEnd, at + BELIEVED_BYTES);
  judge.plausible = true;
  trial.begin(request ? known.request(version) : known.response(version));
  const body = at + (request ? REQUEST_HEADER_BYTES : RESPONSE_HEADER_BYTES);
  const walk = trial.run(bytes, body, Math.min(end, enough), messageEnd);
  if (walk === Walk.MALFORMED || !judge.plausible) return Match.NO;
  if (walk === Walk.DONE)
    return trial.at === messageEnd || version > known.newestVersion ? Match.YES : Match.NO;
  return end < enough ? Match.MORE : Match.YES;
}
