/**
 * Takes credentials out of URLs (RFC 3986): userinfo, and the values of secret-looking parameters. URLs are
 * found in URLs too, however often they are percent-encoded: `next=https%3A%2F%2Fh%2F%3Ftoken%3D…`.
 */
import { WireWriter } from '@packetd/proto';
import {
  hasSecretWord,
  hasWord,
  isJwt,
  isSecretName,
  isSeparator,
  isWord,
  REDACTED,
  words,
} from './headers.js';

const REDACTED_BYTES = Buffer.from(REDACTED, 'latin1');

/**
 * Parameters that are secrets beyond the names that headers have: one-time secrets of OAuth (RFC 6749 section
 * 10.12), SAML and WS-Federation.
 */
const SECRET_PARAMETERS = words('code state nonce relaystate wresult samlart cardno ccno accountno');

/** What makes a secret of a name as one of its parts: `user[pass]`, `card-cvv`, `customerSsn`. */
const SECRET_PARTS = words('pass pwd pw pin otp totp hmac cred creds mdp ssn cvv cvc cvn csc ccn pan iban');

/** Longest parameter name that is looked at; a longer one is taken for a secret. */
const MAX_NAME_BYTES = 256;
const normal = new Uint8Array(MAX_NAME_BYTES);

/** Is the query parameter [start, end), percent-encoded or not, one whose value must not be recorded? */
export function isSecretParameter(bytes: Uint8Array, start: number, end: number): boolean {
  return isSecretMember(bytes, start, end) || isWord(normal, 0, normalLength, SECRET_PARAMETERS);
}

/** Bytes of the name in `normal`. */
let normalLength = 0;

/** The same for the member of an object or an element, whose `code` and `state` are of other kinds. */
export function isSecretMember(bytes: Uint8Array, start: number, end: number): boolean {
  normalLength = 0;
  if (end - start > MAX_NAME_BYTES) return true;
  let length = 0;
  let part = 0;
  let wasLower = false;
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
    const separates = isSeparator(byte) || byte === 0x2b;
    const isUpper = byte >= 0x41 && byte <= 0x5a;
    if (separates || (isUpper && wasLower)) {
      if (isSecretPart(part, length)) return true;
      part = length;
    }
    wasLower = !separates && !isUpper;
    if (!separates) normal[length++] = isUpper ? byte | 0x20 : byte;
  }
  normalLength = length;
  return isSecretPart(part, length) || isSecretName(normal, length) || hasSecretWord(normal, length);
}

/** Is [from, end) of `normal` a secret's, be it numbered: `pass1`? */
function isSecretPart(from: number, end: number): boolean {
  let stop = end;
  while (stop > from && isDigit(normal[stop - 1])) stop--;
  return isWord(normal, from, stop, SECRET_PARTS);
}

/** Those that are hardly words of a value. */
const SECRET_KEYS = words('pwd otp totp hmac ssn cvv cvv2 cvc cvc2 cvn iban');

/**
 * Which part of a URL the bytes are; a field or a text may have URLs in it, and parameters between commas and blanks.
 * A colon in a text says nothing: `password: …` may be what is wrong with it.
 */
const Part = { QUERY: 0, PATH: 1, URL: 2, FIELD: 3, TEXT: 4 } as const;
type Part = (typeof Part)[keyof typeof Part];

/** A path segment behind one that is named for a secret is one from this length on: `/reset-password/…`. */
const MIN_SECRET_SEGMENT_BYTES = 16;
/** Behind these, not always right behind, come secrets that are sent by mail, or stand for a login: `/reset/MQ/…`. */
const LINK_WORDS = words('reset verif confirm activat invit unsubscrib magic recover webhook apikey');
/** The path of Telegram's API: `/bot123456:…/sendMessage`. */
const BOT = Buffer.from('bot', 'latin1');
const [AMPERSAND, SEMICOLON, QUESTION, HASH, SLASH, EQUALS, AT, PERCENT] = Buffer.from('&;?#/=@%');
const [OPEN_BRACE, OPEN_BRACKET, QUOTE, GREATER, SPACE] = Buffer.from('{[">\x20');
const [LESS, APOSTROPHE, OPEN, COLON, COMMA] = Buffer.from("<'(:,");

/** Longest structured value in which a secret's name is looked for; a longer one is taken for a secret. */
const MAX_VALUE_BYTES = 4096;
const valueText = new Uint8Array(MAX_VALUE_BYTES);
/** What is left when userinfo is out. */
const withoutUserinfo = new WireWriter(1024);

/**
 * Appends the query (or form body) [start, end) to `out` with the values of secret parameters and userinfo
 * replaced. False where there was none: then nothing is appended.
 */
export function redactQuery(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  return redact(bytes, start, end, out, Part.QUERY);
}

/** The same for a path: its parameters (`;jsessionid=…`), and segments that follow a secret's name. */
export function redactPath(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  return redact(bytes, start, end, out, Part.PATH);
}

/** The same for a whole URL or URL reference; implicit OAuth puts tokens into the fragment. */
export function redactUrl(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  return redact(bytes, start, end, out, Part.URL);
}

/** The same for a header field's value that may be or hold anything; what is behind a secret's name goes to its end. */
export function redactField(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  return mayTell(bytes, start, end) && redact(bytes, start, end, out, Part.FIELD);
}

/** The same for a sentence. */
export function redactText(bytes: Uint8Array, start: number, end: number, out: WireWriter): boolean {
  return mayTell(bytes, start, end) && redact(bytes, start, end, out, Part.TEXT);
}

function mayTell(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (MAY_TELL[bytes[i]] !== 0) return true;
  return false;
}

/** A value without any of these tells no secret: userinfo, escapes, names before a value, structures, a web token. */
const MAY_TELL = new Uint8Array(256);
for (const byte of Buffer.from('@%=:{[<J', 'latin1')) MAY_TELL[byte] = 1;

function redact(bytes: Uint8Array, start: number, end: number, out: WireWriter, part: Part): boolean {
  withoutUserinfo.reset();
  if (!redactUserinfo(bytes, start, end, withoutUserinfo, part)) {
    return redactParameters(bytes, start, end, out, part);
  }
  const { length } = withoutUserinfo;
  if (!redactParameters(withoutUserinfo.bytes, 0, length, out, part))
    out.raw(withoutUserinfo.bytes, 0, length);
  return true;
}

/** The character that `read` found, how many times it is percent-encoded, and its bytes. */
let character = 0;
let level = 0;
let width = 1;

function read(bytes: Uint8Array, at: number, end: number): void {
  character = bytes[at];
  level = 0;
  width = 1;
  if (character !== PERCENT) return;
  let digits = at + 1;
  // %25 is a percent sign: %253D is an equals sign that is encoded twice.
  while (digits + 3 < end && bytes[digits] === 0x32 && bytes[digits + 1] === 0x35) digits += 2;
  if (digits + 1 >= end) return;
  const high = hex(bytes[digits]);
  const low = hex(bytes[digits + 1]);
  if (high < 0 || low < 0) return;
  character = (high << 4) | low;
  level = (digits - at + 1) >> 1;
  width = digits + 2 - at;
}

/** Userinfo ends at the last `@` of an authority, which ends at `/`, `?`, `#`, a space or a quote, in a query at `&` too. */
function redactUserinfo(bytes: Uint8Array, start: number, end: number, out: WireWriter, part: Part): boolean {
  if (!hasAt(bytes, start, end)) return false;
  let copied = start;
  let inQuery = part === Part.QUERY;
  let authority = -1;
  let authorityLevel = 0;
  let userinfo = -1;
  let slashLevel = -1;
  for (let at = start; at <= end; at += width) {
    if (at === end) {
      character = SPACE;
      level = 0;
    } else {
      read(bytes, at, end);
    }
    if (authority >= 0 && level <= authorityLevel) {
      if (character === AT) userinfo = at;
      else if (endsAuthority(character) || (inQuery && character === AMPERSAND)) {
        if (userinfo > authority) {
          out.raw(bytes, copied, authority);
          out.raw(REDACTED_BYTES);
          copied = userinfo;
        }
        authority = -1;
      }
    }
    if (character === SLASH && slashLevel === level && authority < 0) {
      authority = at + width;
      authorityLevel = level;
      userinfo = -1;
      slashLevel = -1;
    } else {
      slashLevel = character === SLASH ? level : -1;
    }
    if (character === QUESTION && level === 0) inQuery = true;
    if (at === end) break;
  }
  if (copied === start) return false;
  out.raw(bytes, copied, end);
  return true;
}

/** Is there an `@`, plain or percent-encoded? */
function hasAt(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i] === AT) return true;
    // %40, %2540
    if (bytes[i] !== PERCENT) continue;
    read(bytes, i, end);
    if (character === AT) return true;
  }
  return false;
}

function endsAuthority(byte: number): boolean {
  return (
    byte === SLASH ||
    byte === QUESTION ||
    byte === HASH ||
    byte <= SPACE ||
    byte === GREATER ||
    byte === QUOTE
  );
}

/** Takes out the values of parameters: `name=value` between delimiters, and in paths what stands behind a name. */
function redactParameters(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: WireWriter,
  part: Part,
): boolean {
  const isField = part >= Part.FIELD;
  let copied = start;
  let inPath = part === Part.PATH || part === Part.URL;
  /** The segment of the path before this token. */
  let before = start;
  let beforeStop = start;
  /** A segment before it has a word of LINK_WORDS. */
  let isLink = false;
  let at = start;
  while (at < end) {
    let equals = -1;
    let equalsLevel = 0;
    let value = at;
    let stop = at;
    let structured = false;
    for (;;) {
      while (stop < end && IS_SPECIAL[bytes[stop]] === 0) stop++;
      if (stop >= end) break;
      read(bytes, stop, end);
      if (isDelimiter(character) || (inPath && character === SLASH && level === 0)) break;
      if (isField && (character === COMMA || character === SPACE)) break;
      if (character === EQUALS && equals < 0) {
        equals = stop;
        equalsLevel = level;
        value = stop + width;
      } else if (!structured && (equals >= 0 || (part === Part.FIELD && !isQuotation(character)))) {
        structured = isStructure(bytes, stop, end);
      }
      stop += width;
    }
    stop = Math.min(stop, end);
    let secret = false;
    if (equals >= 0) {
      secret =
        value < end &&
        (isSecretParameter(bytes, at, equals) ||
          (equals - at === 1 && bytes[at] === LETTER_P && hasUser(bytes, start, end)));
    } else if (inPath && stop - at >= MIN_SECRET_SEGMENT_BYTES) {
      secret =
        hasSecret(bytes, before, beforeStop) ||
        ((isLink || isSecretSegment(bytes, before, beforeStop)) && looksRandom(bytes, at, stop)) ||
        isBot(bytes, at, stop);
    }
    let valueStop = stop;
    if (secret || structured || (part !== Part.TEXT && opensStructure(bytes, value, end))) {
      if (isField) valueStop = end;
      else valueStop = equals < 0 ? stop : valueEnd(bytes, value, end, equalsLevel, inPath);
      secret = secret || hasSecret(bytes, value, valueStop);
    }
    if ((secret && valueStop > value) || isJwt(bytes, value, stop)) {
      out.raw(bytes, copied, value);
      out.raw(REDACTED_BYTES);
      copied = secret ? valueStop : stop;
      valueStop = copied;
    } else valueStop = stop;
    if (valueStop < end) {
      read(bytes, valueStop, end);
      if (inPath && character === SLASH && stop > at) {
        before = at;
        beforeStop = stop;
        isLink = isLink || hasWordOf(bytes, at, stop, LINK_WORDS);
        read(bytes, valueStop, end);
      }
      if (level === 0 && (character === QUESTION || character === HASH)) inPath = false;
      valueStop += width;
    }
    at = valueStop;
  }
  if (copied === start) return false;
  out.raw(bytes, copied, end);
  return true;
}

/** What `redactParameters` stops at. */
const IS_SPECIAL = new Uint8Array(256);
for (const byte of Buffer.from('&;?#/=%, {[<"\'(:', 'latin1')) IS_SPECIAL[byte] = 1;

/** Is what was read at `at` a mark of JSON, XML, GraphQL, a search or a list of parameters within a value? */
function isStructure(bytes: Uint8Array, at: number, end: number): boolean {
  switch (character) {
    case OPEN_BRACE:
    case OPEN_BRACKET:
    case LESS:
    case QUOTE:
    case APOSTROPHE:
    case OPEN:
    case EQUALS:
      return true;
    case COLON: {
      // Not that of `https://`.
      const next = at + width;
      if (next >= end) return false;
      const colonWidth = width;
      read(bytes, next, end);
      const isScheme = character === SLASH;
      width = colonWidth;
      return !isScheme;
    }
    default:
      return false;
  }
}

function isQuotation(byte: number): boolean {
  return byte === QUOTE || byte === APOSTROPHE || byte === OPEN;
}

const [LETTER_P, LETTER_S, LETTER_U] = Buffer.from('psu');

/** InfluxDB and Subsonic take user and password as `u` and `p`, which is a page or a post elsewhere. */
function hasUser(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i + 1 < end; i++) {
    if (bytes[i] !== LETTER_U || bytes[i + 1] !== EQUALS) continue;
    if (i === start || bytes[i - 1] === AMPERSAND || bytes[i - 1] === QUESTION) return true;
  }
  return false;
}

/** Letters and digits, or letters of both cases: hardly words. */
function looksRandom(bytes: Uint8Array, start: number, end: number): boolean {
  let kinds = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (isDigit(byte)) return true;
    if (byte >= 0x41 && byte <= 0x5a) kinds |= 1;
    else if (byte >= 0x61 && byte <= 0x7a) kinds |= 2;
  }
  return kinds === 3;
}

function isBot(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (; at - start < BOT.length; at++) if (bytes[at] !== BOT[at - start]) return false;
  while (at < end && isDigit(bytes[at])) at++;
  if (at === start + BOT.length || at === end) return false;
  read(bytes, at, end);
  return character === COLON;
}

function isDelimiter(byte: number): boolean {
  return byte === AMPERSAND || byte === SEMICOLON || byte === QUESTION || byte === HASH;
}

/**
 * End of the value at `from`. It goes on over delimiters that are encoded more often than its name, over `?`,
 * and over a `;` that no other parameter follows.
 */
function valueEnd(bytes: Uint8Array, from: number, end: number, encoded: number, inPath: boolean): number {
  let at = from;
  for (; at < end; at += width) {
    read(bytes, at, end);
    if (level > encoded) continue;
    if (character === AMPERSAND || character === HASH) return at;
    if (inPath && level === 0 && (character === SLASH || character === QUESTION)) return at;
    if (character === SEMICOLON) {
      const next = at + width;
      if (isParameter(bytes, next, end)) return at;
      read(bytes, at, end);
    }
  }
  return Math.min(at, end);
}

/** Does `name=` stand at `from`? */
function isParameter(bytes: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end; at += width) {
    read(bytes, at, end);
    if (character === EQUALS) return at > from;
    if (isDelimiter(character) || character === SLASH) return false;
  }
  return false;
}

/** JSON, or a list: names may be in it. */
function opensStructure(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end || (bytes[at] !== PERCENT && bytes[at] !== OPEN_BRACE && bytes[at] !== OPEN_BRACKET))
    return false;
  read(bytes, at, end);
  return character === OPEN_BRACE || character === OPEN_BRACKET;
}

/** Has [start, end), decoded, a secret's word in it, or its name as a part of one? */
function hasSecret(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > MAX_VALUE_BYTES) return true;
  let length = 0;
  let part = 0;
  let wasLower = false;
  for (let at = start; at < end; at += width) {
    read(bytes, at, end);
    const isUpper = character >= 0x41 && character <= 0x5a;
    const isName = isUpper || isLowerOrDigit(character);
    if (!isName || (isUpper && wasLower)) {
      if (isWord(valueText, part, length, SECRET_KEYS)) return true;
      part = length;
    }
    wasLower = isName && !isUpper;
    if (isSeparator(character)) continue;
    valueText[length++] = isUpper ? character | 0x20 : character;
    if (!isName) part = length;
  }
  return isWord(valueText, part, length, SECRET_KEYS) || hasSecretWord(valueText, length);
}

/** Is the segment [start, end) as a whole a secret's name: `/key/…`, `/tickets/…`? */
function isSecretSegment(bytes: Uint8Array, start: number, end: number): boolean {
  const length = decode(bytes, start, end);
  if (isSecretName(valueText, length)) return true;
  return length > 1 && valueText[length - 1] === LETTER_S && isSecretName(valueText, length - 1);
}

function hasWordOf(bytes: Uint8Array, start: number, end: number, among: ReturnType<typeof words>): boolean {
  return hasWord(valueText, decode(bytes, start, end), among);
}

/** Decodes [start, end) into `valueText`, in lower case and without separators; answers its length. */
function decode(bytes: Uint8Array, start: number, end: number): number {
  let length = 0;
  for (let at = start; at < end && length < MAX_VALUE_BYTES; at += width) {
    read(bytes, at, end);
    if (isSeparator(character)) continue;
    valueText[length++] = character >= 0x41 && character <= 0x5a ? character | 0x20 : character;
  }
  return length;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isLowerOrDigit(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
}

function hex(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
