/** Field tags of the OpenTelemetry protocol 1.x (opentelemetry/proto/trace/v1, common/v1, resource/v1). */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const tag = (field: number, type: number) => field * 8 + type;

export const OtlpTag = {
  REQUEST_RESOURCE_SPANS: tag(1, BYTES),
  RESOURCE_SPANS_RESOURCE: tag(1, BYTES),
  RESOURCE_SPANS_SCOPE_SPANS: tag(2, BYTES),
  RESOURCE_ATTRIBUTES: tag(1, BYTES),
  SCOPE_SPANS_SCOPE: tag(1, BYTES),
  SCOPE_SPANS_SPANS: tag(2, BYTES),
  SCOPE_NAME: tag(1, BYTES),
  SCOPE_VERSION: tag(2, BYTES),
  SPAN_TRACE_ID: tag(1, BYTES),
  SPAN_SPAN_ID: tag(2, BYTES),
  SPAN_TRACE_STATE: tag(3, BYTES),
  SPAN_PARENT_SPAN_ID: tag(4, BYTES),
  SPAN_NAME: tag(5, BYTES),
  SPAN_KIND: tag(6, VARINT),
  SPAN_START: tag(7, FIXED64),
  SPAN_END: tag(8, FIXED64),
  SPAN_ATTRIBUTES: tag(9, BYTES),
  SPAN_STATUS: tag(15, BYTES),
  SPAN_FLAGS: tag(16, FIXED32),
  STATUS_MESSAGE: tag(2, BYTES),
  STATUS_CODE: tag(3, VARINT),
  KEY: tag(1, BYTES),
  VALUE: tag(2, BYTES),
  STRING_VALUE: tag(1, BYTES),
  BOOL_VALUE: tag(2, VARINT),
  INT_VALUE: tag(3, VARINT),
  DOUBLE_VALUE: tag(4, FIXED64),
  ARRAY_VALUE: tag(5, BYTES),
  ARRAY_VALUES: tag(1, BYTES),
  /** Of the answer: ExportTracePartialSuccess, its rejected spans and its message. */
  PARTIAL_SUCCESS: tag(1, BYTES),
  REJECTED_SPANS: tag(1, VARINT),
  ERROR_MESSAGE: tag(2, BYTES),
  /** google.rpc.Status, the body of an error: its message and details, each an Any. */
  RPC_MESSAGE: tag(2, BYTES),
  RPC_DETAILS: tag(3, BYTES),
  ANY_TYPE_URL: tag(1, BYTES),
  ANY_VALUE: tag(2, BYTES),
  /** google.rpc.RetryInfo and the Duration in it. */
  RETRY_DELAY: tag(1, BYTES),
  DURATION_SECONDS: tag(1, VARINT),
  DURATION_NANOS: tag(2, VARINT),
} as const;

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';
/** Of what a receiver says, so much is logged. */
const MAX_TEXT_BYTES = 300;

export const SpanKind = { SERVER: 2, CLIENT: 3, PRODUCER: 4, CONSUMER: 5 } as const;
export const StatusCode = { UNSET: 0, ERROR: 2 } as const;

/** Reads ExportTraceServiceResponse: how many spans were rejected, and why. */
export function partialSuccess(bytes: Uint8Array): { rejected: number; message: string } {
  const found = { rejected: 0, message: '' };
  walk(bytes, 0, bytes.length, (field, start, end) => {
    if (field !== OtlpTag.PARTIAL_SUCCESS) return;
    walk(bytes, start, end, (inner, from, to, value) => {
      if (inner === OtlpTag.REJECTED_SPANS) found.rejected = value;
      else if (inner === OtlpTag.ERROR_MESSAGE) {
        found.message = text(bytes, from, to);
      }
    });
  });
  return found;
}

/** The message of a google.rpc.Status; '' where there is none. */
export function statusMessage(bytes: Uint8Array): string {
  let message = '';
  walk(bytes, 0, bytes.length, (field, start, end) => {
    if (field === OtlpTag.RPC_MESSAGE) message = text(bytes, start, end);
  });
  return message;
}

/** How long the RetryInfo of a google.rpc.Status asks to wait, in milliseconds; 0 where there is none. */
export function retryDelayMs(bytes: Uint8Array): number {
  let milliseconds = 0;
  walk(bytes, 0, bytes.length, (field, start, end) => {
    if (field !== OtlpTag.RPC_DETAILS) return;
    let isRetryInfo = false;
    walk(bytes, start, end, (inner, from, to) => {
      if (inner === OtlpTag.ANY_TYPE_URL) isRetryInfo = text(bytes, from, to) === RETRY_INFO;
      else if (inner === OtlpTag.ANY_VALUE && isRetryInfo) milliseconds = delay(bytes, from, to);
    });
  });
  return milliseconds;
}

function delay(bytes: Uint8Array, start: number, end: number): number {
  let milliseconds = 0;
  walk(bytes, start, end, (field, from, to) => {
    if (field !== OtlpTag.RETRY_DELAY) return;
    walk(bytes, from, to, (unit, _from, _to, value) => {
      if (unit === OtlpTag.DURATION_SECONDS) milliseconds += value * 1000;
      else if (unit === OtlpTag.DURATION_NANOS) milliseconds += value / 1e6;
    });
  });
  return milliseconds;
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return new TextDecoder().decode(bytes.subarray(start, Math.min(end, start + MAX_TEXT_BYTES)));
}

/** Calls `visit` for every varint and length-delimited field; stops at what is malformed. */
function walk(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (tag: number, from: number, to: number, value: number) => void,
): void {
  let at = start;
  const varint = () => {
    let value = 0;
    for (let scale = 1; at < end; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < end) {
    const field = varint();
    if ((field & 7) === VARINT) {
      visit(field, at, at, varint());
    } else if ((field & 7) === BYTES) {
      const length = varint();
      if (at + length > end) return;
      visit(field, at, at + length, 0);
      at += length;
    } else return;
  }
}
