/** Addresses as text and back: IPv4 dotted, IPv6 by RFC 5952. Addresses are the four words of `Packet`. */

/** The longest text of an address. */
export const MAX_ADDRESS_LENGTH = 39;

const DIGIT_0 = 0x30;
const DOT = 0x2e;
const COLON = 0x3a;
const HEX = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));

const scratch = Buffer.alloc(MAX_ADDRESS_LENGTH);
const groups = new Uint16Array(8);

export function formatAddress(
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  ipVersion: number,
): string {
  return scratch.toString('latin1', 0, writeAddress(scratch, 0, word0, word1, word2, word3, ipVersion));
}

/** Writes the text at `offset`, which needs `MAX_ADDRESS_LENGTH` bytes of room, and answers where it ends. */
export function writeAddress(
  target: Uint8Array,
  offset: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  ipVersion: number,
): number {
  if (ipVersion === 4) return writeIpv4(target, offset, word3);
  // RFC 5952 section 5: the prefix known to hold IPv4 addresses is written in mixed notation.
  if (word0 === 0 && word1 === 0 && word2 === 0xffff) {
    for (let i = 0; i < 7; i++) target[offset + i] = i === 0 || i === 1 || i === 6 ? COLON : 0x66;
    return writeIpv4(target, offset + 7, word3);
  }
  groups[0] = word0 >>> 16;
  groups[1] = word0;
  groups[2] = word1 >>> 16;
  groups[3] = word1;
  groups[4] = word2 >>> 16;
  groups[5] = word2;
  groups[6] = word3 >>> 16;
  groups[7] = word3;
  // The longest run of zero groups is left out, the first of equals, never a single one.
  let runStart = -1;
  let runLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > runLength) {
      runStart = i;
      runLength = length;
    }
    i += length;
  }
  let at = offset;
  for (let i = 0; i < 8; i++) {
    if (i === runStart) {
      target[at++] = COLON;
      target[at++] = COLON;
      i += runLength - 1;
      continue;
    }
    if (i > 0 && target[at - 1] !== COLON) target[at++] = COLON;
    at = writeGroup(target, at, groups[i]);
  }
  return at;
}

function writeGroup(target: Uint8Array, offset: number, group: number): number {
  let at = offset;
  if (group >= 0x1000) target[at++] = HEX[group >> 12];
  if (group >= 0x100) target[at++] = HEX[(group >> 8) & 15];
  if (group >= 0x10) target[at++] = HEX[(group >> 4) & 15];
  target[at++] = HEX[group & 15];
  return at;
}

function writeIpv4(target: Uint8Array, offset: number, word: number): number {
  let at = writeDecimal(target, offset, word >>> 24);
  target[at++] = DOT;
  at = writeDecimal(target, at, (word >>> 16) & 255);
  target[at++] = DOT;
  at = writeDecimal(target, at, (word >>> 8) & 255);
  target[at++] = DOT;
  return writeDecimal(target, at, word & 255);
}

function writeDecimal(target: Uint8Array, offset: number, value: number): number {
  let at = offset;
  if (value >= 100) target[at++] = DIGIT_0 + ((value / 100) | 0);
  if (value >= 10) target[at++] = DIGIT_0 + (((value / 10) | 0) % 10);
  target[at++] = DIGIT_0 + (value % 10);
  return at;
}

/** A text that is known to be an address, of IPv6 perhaps with its zone, as the four words of `Packet`. */
export function parseAddress(text: string): Int32Array {
  const words = new Int32Array(4);
  if (text.includes(':')) {
    // The URL parser writes any form of an IPv6 address in full hexadecimal groups.
    const [head, tail = ''] = new URL(`http://[${text.split('%')[0]}]/`).hostname.slice(1, -1).split('::');
    const left = head === '' ? [] : head.split(':');
    const right = tail === '' ? [] : tail.split(':');
    const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
    for (let i = 0; i < 4; i++) {
      words[i] = (Number.parseInt(groups[i * 2], 16) << 16) | Number.parseInt(groups[i * 2 + 1], 16);
    }
  } else {
    words[2] = 0xffff;
    words[3] = text.split('.').reduce((word, part) => (word << 8) | Number(part), 0);
  }
  return words;
}
