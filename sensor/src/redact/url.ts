/** Takes credentials out of URLs (RFC 3986): secret-looking query parameters and userinfo. */
import type { WireWriter } from '@packetd/proto';
import { hasSecretWord, isSeparator, REDACTED } from './headers.js';

const REDACTED_BYTES = Buffer.from(REDACTED, 'latin1');

/** Parameters that are secrets by their whole name, separators aside. */
const SECRET_PARAMETERS = new Set(
  'key pass pwd pw pin sig sign auth oauth code sid sas hmac otp totp mfa ticket cookie bearer skey state nonce'.split(
    ' ',
  ),
);
/** Among these the OAuth `state` and `nonce` are one-time secrets too (RFC 6749 section 10.12). */
const LONGEST_PARAMETER = 6;

/** Longest parameter name that is looked at; a longer one is taken for a secret. */
const MAX_NAME_BYTES = 256;
const normal = new Uint8Array(MAX_NAME_BYTES);

/** Is the query parameter [start, end), percent-encoded or not, one whose value must not be recorded? */
export function isSecretParameter(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > MAX_NAME_BYTES) return true;
  let length = 0;
  for (let i = start; i < end; i++) {
    let byte = bytes[i];
    if (byte === 0x25 && i + 2 < end) {
      const high = hex(bytes[i + 1]);
      const low = hex(bytes[i + 2]);
      if (high >= 0 && low >= 0) {
        byte = (high << 4) | low;
        i += 2;
      }
    }
    if (isSeparator(byte) || byte === 0x2b) continue;
    normal[length++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  if (length <= LONGEST_PARAMETER && length > 1) {
    let word = '';
    for (let i = 0; i < length; i++) word += String.fromCharCode(normal[i]);
    if (SECRET_PARAMETERS.has(word)) return true;
  }
  return hasSecretWord(normal, length);
}

/**
 * Appends the query (or form body) [start, end) to `out` with the values of secret parameters
 * replaced. False where there was none: then nothing is appended.
 */
export function redactQuery(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  let copied = start;
  let at = start;
  while (at < end) {
    let equals = -1;
    let stop = at;
    for (; stop < end; stop++) {
      const byte = bytes[stop];
      if (byte === 0x26 || byte === 0x3b) break;
      if (byte === 0x3d && equals < 0) equals = stop;
    }
    if (equals >= 0 && equals + 1 < stop && isSecretParameter(bytes, at, equals)) {
      out.raw(bytes, copied, equals + 1);
      out.raw(REDACTED_BYTES);
      copied = stop;
    }
    at = stop + 1;
  }
  if (copied === start) return false;
  out.raw(bytes, copied, end);
  return true;
}

/**
 * The same for a whole URL or URL reference, in which userinfo is replaced too; query and fragment are
 * both looked at (implicit OAuth puts tokens into the fragment).
 */
export function redactUrl(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  const before = out.length;
  let copied = start;
  let at = start;
  for (;;) {
    // Userinfo ends at the last `@` of an authority, which ends at `/`, `?`, `#`, a space or a quote.
    const authority = findAuthority(bytes, at, end);
    if (authority < 0) break;
    let stop = authority;
    let userinfo = -1;
    for (; stop < end; stop++) {
      const byte = bytes[stop];
      if (byte === 0x2f || byte === 0x3f || byte === 0x23 || byte <= 0x20 || byte === 0x3e || byte === 0x22)
        break;
      if (byte === 0x40) userinfo = stop;
    }
    if (userinfo > authority) {
      out.raw(bytes, copied, authority);
      out.raw(REDACTED_BYTES);
      copied = userinfo;
    }
    at = stop;
  }
  let mark = Math.max(start, copied);
  while (mark < end && bytes[mark] !== 0x3f && bytes[mark] !== 0x23) mark++;
  while (mark < end) {
    let stop = mark + 1;
    while (stop < end && bytes[stop] !== 0x3f && bytes[stop] !== 0x23) stop++;
    const length = out.length;
    out.raw(bytes, copied, mark + 1);
    if (redactQuery(bytes, mark + 1, stop, out)) copied = stop;
    else out.length = length;
    mark = stop;
  }
  if (copied === start && out.length === before) return false;
  out.raw(bytes, copied, end);
  return true;
}

/** Position after the next `//`, or -1. */
function findAuthority(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i + 1 < end; i++) if (bytes[i] === 0x2f && bytes[i + 1] === 0x2f) return i + 2;
  return -1;
}

function hex(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
