/** Frames of HTTP/2 (RFC 9113 sections 4 and 6). */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const FRAME_HEADER_BYTES = 9;

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

/** Names of the error codes (section 7). */
export const ERROR_CODES: readonly string[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];
export const ErrorCode = { NO_ERROR: 0, REFUSED_STREAM: 7, CANCEL: 8 } as const;

/** Flags that a type may have. */
const FLAGS: readonly number[] = [
  Flag.END_STREAM | Flag.PADDED,
  Flag.END_STREAM | Flag.END_HEADERS | Flag.PADDED | Flag.PRIORITY,
  0,
  0,
  Flag.ACK,
  Flag.END_HEADERS | Flag.PADDED,
  Flag.ACK,
  0,
  0,
  Flag.END_HEADERS,
];
/** Largest frame that is believed while looking for a boundary: the default SETTINGS_MAX_FRAME_SIZE. */
const MAX_PLAUSIBLE_BYTES = 16_384;
/** Type of ORIGIN and others up to here are skipped (section 5.5). */
const MAX_KNOWN_TYPE = FrameType.CONTINUATION;

export function uint24(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
}

/** Stream id: 31 bits. */
export function streamId(bytes: Uint8Array, at: number): number {
  return ((bytes[at] & 0x7f) << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** Could a frame header stand at `at`? Nine bytes are there. */
export function plausibleHeader(bytes: Uint8Array, at: number): boolean {
  const length = uint24(bytes, at);
  const type = bytes[at + 3];
  if (length > MAX_PLAUSIBLE_BYTES || type > MAX_KNOWN_TYPE || (bytes[at + 5] & 0x80) !== 0) return false;
  if ((bytes[at + 4] & ~FLAGS[type]) !== 0) return false;
  const stream = streamId(bytes, at + 5);
  switch (type) {
    case FrameType.SETTINGS:
      return stream === 0 && length % 6 === 0 && ((bytes[at + 4] & Flag.ACK) === 0 || length === 0);
    case FrameType.PING:
      return stream === 0 && length === 8;
    case FrameType.GOAWAY:
      return stream === 0 && length >= 8;
    case FrameType.WINDOW_UPDATE:
      return length === 4;
    case FrameType.RST_STREAM:
      return stream !== 0 && length === 4;
    case FrameType.PRIORITY:
      return stream !== 0 && length === 5;
    default:
      return stream !== 0 && (length > 0 || type === FrameType.DATA);
  }
}

/**
 * Does a chain of `want` frames begin at `at`? 1 yes, -1 no, 0 where the bytes end before that can be told:
 * a chain that ends just where the bytes do counts when it has one frame.
 */
export function chain(bytes: Uint8Array, at: number, end: number, want: number): number {
  let position = at;
  for (let frames = 0; frames < want; frames++) {
    if (position === end && frames > 0) return 1;
    if (position + FRAME_HEADER_BYTES > end) return 0;
    if (!plausibleHeader(bytes, position)) return -1;
    position += FRAME_HEADER_BYTES + uint24(bytes, position);
    if (position > end) return frames > 0 ? 1 : 0;
  }
  return 1;
}
