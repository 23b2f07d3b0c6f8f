/** Status codes of gRPC (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
import { type Constant, encodeString, GrpcTag, RoundTripTag } from '@packetd/proto';

const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export const Code = { OK: 0, CANCELLED: 1, UNKNOWN: 2 } as const;

/** The value of grpc-status; what is no code is UNKNOWN. */
export function statusCode(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  if (end === start || end - start > 3) return Code.UNKNOWN;
  for (let i = start; i < end; i++) {
    const digit = bytes[i] - 0x30;
    if (digit < 0 || digit > 9) return Code.UNKNOWN;
    value = value * 10 + digit;
  }
  return value;
}

export interface StatusName {
  readonly code: Constant;
  readonly errorType: Constant;
}

const STATUSES: readonly StatusName[] = NAMES.map((name) => ({
  code: encodeString(GrpcTag.statusCode, name),
  errorType: encodeString(RoundTripTag.errorType, name),
}));

/** Fields of a code; a code that there is not is UNKNOWN, as clients take it. */
export function statusName(code: number): StatusName {
  return STATUSES[code] ?? STATUSES[Code.UNKNOWN];
}

/** Code of a call that ended by RST_STREAM, by its error code (PROTOCOL-HTTP2.md, section Errors). */
export const BY_RESET: readonly number[] = [
  13, // NO_ERROR
  13, // PROTOCOL_ERROR
  13, // INTERNAL_ERROR
  13, // FLOW_CONTROL_ERROR
  13, // SETTINGS_TIMEOUT
  2, // STREAM_CLOSED: no mapping
  13, // FRAME_SIZE_ERROR
  14, // REFUSED_STREAM
  1, // CANCEL
  13, // COMPRESSION_ERROR
  13, // CONNECT_ERROR
  8, // ENHANCE_YOUR_CALM
  7, // INADEQUATE_SECURITY
];

/** Code of a call whose response has no grpc-status, by the HTTP status (http-grpc-status-mapping.md). */
export function byHttpStatus(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return Code.UNKNOWN;
  }
}
