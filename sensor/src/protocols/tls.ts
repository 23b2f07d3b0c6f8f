/** TLS record layer (RFC 8446 section 5.1), as far as needed to leave a connection alone. */

const CONTENT_TYPE_CHANGE_CIPHER_SPEC = 20;
const CONTENT_TYPE_APPLICATION_DATA = 23;
/** RFC 8446 section 5.2: 2^14 + 256. */
const MAX_CIPHERTEXT_BYTES = 16_640;

/** True where [start, end) begins with the header of a TLS record: type, version 3.x, plausible length. */
export function looksLikeTls(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 5) return false;
  const type = bytes[start];
  if (type < CONTENT_TYPE_CHANGE_CIPHER_SPEC || type > CONTENT_TYPE_APPLICATION_DATA) return false;
  if (bytes[start + 1] !== 3 || bytes[start + 2] > 4) return false;
  const length = (bytes[start + 3] << 8) | bytes[start + 4];
  return length > 0 && length <= MAX_CIPHERTEXT_BYTES;
}
