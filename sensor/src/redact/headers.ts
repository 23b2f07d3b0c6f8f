/** Which header fields carry credentials. */

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]';

/** A name that has one of these in it, separators aside, is a secret. */
const SECRET_WORDS = [
  'token',
  'secret',
  'password',
  'passwd',
  'passphrase',
  'passcode',
  'credential',
  'session',
  'signature',
  'apikey',
  'accesskey',
  'authkey',
  'privatekey',
  'sharedkey',
  'subscriptionkey',
  'functionskey',
  'jwt',
  'assertion',
  'authoriz',
  'samlre',
].map((word) => Buffer.from(word, 'latin1'));

/**
 * Header fields that are secrets beyond those: `Cookie`, `Set-Cookie`, `Authentication-Info`, `X-Auth`, and
 * `grpc-status-details-bin`, which repeats grpc-message in base64.
 */
const SECRET_HEADER_WORDS = ['cookie', 'authenticationinfo', 'xauth', 'grpcstatusdetails'].map((word) =>
  Buffer.from(word, 'latin1'),
);

/** Longest name that is looked at; longer ones are taken for secrets. */
const MAX_NAME_BYTES = 256;
const normal = new Uint8Array(MAX_NAME_BYTES);

/** Is the header field [start, end), in any case, one whose value must not be recorded? */
export function isSecretHeader(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > MAX_NAME_BYTES) return true;
  let length = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (isSeparator(byte)) continue;
    normal[length++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  return hasSecretWord(normal, length) || hasWord(normal, length, SECRET_HEADER_WORDS);
}

/** `-`, `_`, `.`, `[`, `]` and space, which names are written with and without. */
export function isSeparator(byte: number): boolean {
  return byte === 0x2d || byte === 0x5f || byte === 0x2e || byte === 0x5b || byte === 0x5d || byte === 0x20;
}

/** Has the name [0, length), in lower case and without separators, a secret's word in it? */
export function hasSecretWord(name: Uint8Array, length: number): boolean {
  return hasWord(name, length, SECRET_WORDS);
}

function hasWord(name: Uint8Array, length: number, words: readonly Uint8Array[]): boolean {
  for (let w = 0; w < words.length; w++) {
    const word = words[w];
    const last = length - word.length;
    for (let at = 0; at <= last; at++) {
      let i = 0;
      while (i < word.length && name[at + i] === word[i]) i++;
      if (i === word.length) return true;
    }
  }
  return false;
}
