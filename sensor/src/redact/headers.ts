/** Which header fields carry credentials. */

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]';

/** Words, of two lower-case letters at least, by their first two. */
export function words(text: string): readonly (readonly Uint8Array[] | undefined)[] {
  const byBeginning: (Uint8Array[] | undefined)[] = new Array(1 << 10).fill(undefined);
  for (const word of text.split(' ')) {
    const bytes = Buffer.from(word, 'latin1');
    const key = beginning(bytes[0], bytes[1]);
    byBeginning[key] = [...(byBeginning[key] ?? []), bytes];
  }
  return byBeginning;
}

/** Alike for both cases of two letters; of other bytes, what they may share it with is told apart later. */
function beginning(first: number, second: number): number {
  return ((first & 0x1f) << 5) | (second & 0x1f);
}

type Words = ReturnType<typeof words>;

/** A name that has one of these in it, separators aside, is a secret. */
const SECRET_WORDS = words(
  'token secret password passwd passphrase passcode credential session signature apikey accesskey authkey ' +
    'privatekey sharedkey subscriptionkey functionskey appkey applicationkey licensekey licencekey masterkey ' +
    'secretkey encryptionkey customerkey consumerkey clientkey adminkey servicekey writekey insertkey sentrykey ' +
    'jwt assertion authoriz authoris samlre bearer csrf xsrf authpw sessid sesskey loginticket codeverifier ' +
    'pincode securitycode verificationcode onetimecode authcode devicecode usercode oobcode smscode accesscode ' +
    'logincode resetcode recoverycode backupcode activationcode confirmationcode invitecode invitationcode ' +
    'securityanswer seedphrase mnemonic ' +
    // Misspelt, and in other languages.
    'passwrd passwort pswd kennwort motdepasse contrase senha wachtwoord ' +
    // Of persons, cards and accounts.
    'socialsecurity nationalid nationalinsurance taxid taxnumber passport driverslicen driverlicen drivinglicen ' +
    'creditcard debitcard cardnum cardcvv cardcvc cardcode cardverification ccnum bankaccount accountnum ' +
    'acctnum routingnum sortcode',
);

/** A whole name, separators aside, that is one of these is a secret; in header fields also behind `X-`. */
const SECRET_NAMES = words(
  'key pass pwd pw psw pin sig sign auth oauth sid sas hmac otp totp mfa mfacode ticket cookie skey dpop wsse authentication',
);

/** What makes a secret of a header field as one of its parts: `X-User-Pin`. */
const SECRET_PARTS = words('pass pwd pw pin otp totp hmac ssn cvv cvc');
/** The same as the last of them: `X-ClickHouse-Key`, `X-Sentry-Auth`. */
const SECRET_ENDS = words('key auth sig ntlm');
/** Parts before `key` that make none of it. */
const PLAIN_KEYS = words(
  'websocket idempotency surrogate cache partition routing sort primary foreign object public row group shard hash ' +
    'message correlation',
);

/**
 * Header fields that are secrets beyond those: `Cookie`, `Set-Cookie`, `Authentication-Info`, `X-Auth`,
 * `grpc-status-details-bin`, which repeats grpc-message in base64, and what gateways say of the claims of a token.
 */
const SECRET_HEADER_WORDS = words(
  'cookie authenticationinfo xauth grpcstatusdetails clientprincipal userinfo',
);

/** Longest name that is looked at; longer ones are taken for secrets. */
const MAX_NAME_BYTES = 256;
const normal = new Uint8Array(MAX_NAME_BYTES);
/** Longest name of a subprotocol of WebSocket that is taken for one. */
const MAX_SUBPROTOCOL_BYTES = 40;

/** Is the header field [start, end), in any case, one whose value must not be recorded? */
export function isSecretHeader(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > MAX_NAME_BYTES) return true;
  let length = 0;
  let part = 0;
  let before = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (isSeparator(byte)) {
      if (isWord(normal, part, length, SECRET_PARTS)) return true;
      before = part;
      part = length;
      continue;
    }
    normal[length++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  if (isWord(normal, part, length, SECRET_PARTS)) return true;
  if (isWord(normal, part, length, SECRET_ENDS) && !isWord(normal, before, part, PLAIN_KEYS)) return true;
  const prefixed = length > 1 && normal[0] === 0x78 && isSeparator(bytes[start + 1]);
  return (
    isSecretName(normal, length) ||
    (prefixed && isSecretName(normal.subarray(1), length - 1)) ||
    hasSecretWord(normal, length) ||
    hasWord(normal, length, SECRET_HEADER_WORDS)
  );
}

/** Is the name [0, length), in lower case and without separators, a secret's as a whole? */
export function isSecretName(name: Uint8Array, length: number): boolean {
  return isWord(name, 0, length, SECRET_NAMES);
}

/** Is [from, end) one of the words? */
export function isWord(name: Uint8Array, from: number, end: number, among: Words): boolean {
  const candidates = end - from < 2 ? undefined : among[beginning(name[from], name[from + 1])];
  if (candidates === undefined) return false;
  for (let w = 0; w < candidates.length; w++) {
    const word = candidates[w];
    if (word.length !== end - from) continue;
    let i = 0;
    while (i < word.length && name[from + i] === word[i]) i++;
    if (i === word.length) return true;
  }
  return false;
}

/** Schemes of authentication whose credentials are all that follows. */
const SCHEMES = words('bearer basic negotiate ntlm token digest apikey');

/** Is a header field's value, quoted or not, a credential (RFC 9110 section 11.4), whatever its name is? */
export function isSecretValue(bytes: Uint8Array, start: number, end: number): boolean {
  const from = bytes[start] === QUOTE ? start + 1 : start;
  if (end - from < 2) return false;
  const candidates = SCHEMES[beginning(bytes[from], bytes[from + 1])];
  if (candidates === undefined) return (bytes[from] | 0x20) === 0x65 && isJwt(bytes, from, end);
  for (let w = 0; w < candidates.length; w++) {
    const word = candidates[w];
    if (!startsWith(bytes, from, end, word)) continue;
    const next = bytes[from + word.length];
    if (next === SPACE || next === TAB || next === COLON) return true;
  }
  return false;
}

/** Is [start, end) a JSON Web Token (RFC 7519): `{"` in base64url, and two dots? */
export function isJwt(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 8 || bytes[start] !== 0x65 || bytes[start + 1] !== 0x79 || bytes[start + 2] !== 0x4a)
    return false;
  let dots = 0;
  for (let i = start; i < end; i++) if (bytes[i] === 0x2e) dots++;
  return dots >= 2;
}

const [QUOTE, SPACE, TAB, COLON] = Buffer.from('"\x20\t:');

const subprotocols = new Uint8Array(MAX_NAME_BYTES);

/**
 * Browsers cannot set Authorization on a WebSocket, so tokens travel in Sec-WebSocket-Protocol: is this list
 * one that names a secret, or longer than names are?
 */
export function isSecretSubprotocol(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > MAX_NAME_BYTES) return true;
  let length = 0;
  let item = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    item = byte === 0x2c ? 0 : item + 1;
    if (item > MAX_SUBPROTOCOL_BYTES) return true;
    if (!isSeparator(byte)) subprotocols[length++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  return hasSecretWord(subprotocols, length);
}

function startsWith(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start <= word.length) return false;
  for (let i = 0; i < word.length; i++) if ((bytes[start + i] | 0x20) !== word[i]) return false;
  return true;
}

/** `-`, `_`, `.`, `[`, `]` and space, which names are written with and without. */
export function isSeparator(byte: number): boolean {
  return byte === 0x2d || byte === 0x5f || byte === 0x2e || byte === 0x5b || byte === 0x5d || byte === 0x20;
}

/** Has the name [0, length), in lower case and without separators, a secret's word in it? */
export function hasSecretWord(name: Uint8Array, length: number): boolean {
  return hasWord(name, length, SECRET_WORDS);
}

/** The same for any words. */
export function hasWord(name: Uint8Array, length: number, among: Words): boolean {
  for (let at = 0; at + 1 < length; at++) {
    const candidates = among[beginning(name[at], name[at + 1])];
    if (candidates === undefined) continue;
    for (let w = 0; w < candidates.length; w++) {
      const word = candidates[w];
      if (word.length > length - at) continue;
      let i = 0;
      while (i < word.length && name[at + i] === word[i]) i++;
      if (i === word.length) return true;
    }
  }
  return false;
}
