/**
 * Kafka protocol guide (https://kafka.apache.org/protocol), "Protocol Primitive Types" and "Common Request
 * and Response Structure"; flexible versions: KIP-482.
 *
 *   RequestOrResponse => Size (RequestMessage | ResponseMessage)
 *   RequestMessage    => request_api_key request_api_version correlation_id client_id [tagged fields] body
 *   ResponseMessage   => correlation_id [tagged fields] body
 *
 * Integers are in network order.
 */

/** Usual port of a broker. */
export const PORT = 9092;
export const SIZE_BYTES = 4;
/** Size, API key, API version and correlation id. */
export const REQUEST_HEADER_BYTES = 12;
/** Size and correlation id. */
export const RESPONSE_HEADER_BYTES = 8;
/** Longest message believed (`socket.request.max.bytes` is 100 MiB unless set higher). */
export const MAX_MESSAGE_BYTES = 1 << 29;
/** Longest message that detection and resynchronisation believe. */
export const MAX_DETECTED_BYTES = 1 << 27;
/** API keys and versions up to these are taken for such, known or not. */
export const MAX_API_KEY = 1000;
export const MAX_API_VERSION = 60;
/** Longest client id that detection and resynchronisation believe. */
export const MAX_DETECTED_CLIENT_ID_BYTES = 255;
/** Longest varint of 32 bits. */
const MAX_VARINT_BYTES = 5;

export const ApiKey = {
  PRODUCE: 0,
  FETCH: 1,
  METADATA: 3,
  CONTROLLED_SHUTDOWN: 7,
  FIND_COORDINATOR: 10,
  SASL_HANDSHAKE: 17,
  API_VERSIONS: 18,
  SHARE_FETCH: 78,
} as const;

export function int16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16)) >> 16;
}

export function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** Answers of `varint` in place of a value. */
export const VARINT_MORE = -1;
export const VARINT_BAD = -2;

/** Position behind the varint that was read last. */
export let varintEnd = 0;

/** UNSIGNED_VARINT of 32 bits at `at`, VARINT_MORE where it goes on past `end`, or VARINT_BAD. */
export function varint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  const stop = Math.min(end, at + MAX_VARINT_BYTES);
  for (let i = at, shift = 0; i < stop; i++, shift += 7) {
    const byte = bytes[i];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      varintEnd = i + 1;
      return value < 0 || (shift === 28 && byte > 7) ? VARINT_BAD : value;
    }
  }
  return end - at < MAX_VARINT_BYTES ? VARINT_MORE : VARINT_BAD;
}
