/**
 * Character sets whose characters may end in the byte of a backslash or a backtick. A server that reads
 * statements in one of them takes no such byte for an escape or a quote
 * (MySQL reference manual, 12.10.7 and 12.10.8; PostgreSQL manual, 23.3.1).
 */
export const Charset = {
  /** UTF-8, single-byte sets, and sets of which every byte of a character is above 0x7F. */
  PLAIN: 0,
  /** gbk and gb18030, and PostgreSQL's JOHAB: 0x81 to 0xFE lead. */
  GBK: 1,
  BIG5: 2,
  /** sjis and cp932. */
  SJIS: 3,
  /** Any of these. */
  UNKNOWN: 4,
} as const;
export type Charset = (typeof Charset)[keyof typeof Charset];

/** Those of one reading each. */
export const AMBIGUOUS: readonly Charset[] = [Charset.GBK, Charset.BIG5, Charset.SJIS];

/** MySQL's, MariaDB's and PostgreSQL's names. */
const BY_NAME: ReadonlyMap<string, Charset> = new Map([
  ['gbk', Charset.GBK],
  ['gb18030', Charset.GBK],
  ['johab', Charset.GBK],
  ['big5', Charset.BIG5],
  ['sjis', Charset.SJIS],
  ['cp932', Charset.SJIS],
  ['shift_jis_2004', Charset.SJIS],
]);
/** Names that say nothing: what they stand for is not known here. */
const OPEN_NAMES: ReadonlySet<string> = new Set(['', 'default']);

export function charsetNamed(name: string): Charset {
  const lower = name.toLowerCase();
  return OPEN_NAMES.has(lower) ? Charset.UNKNOWN : (BY_NAME.get(lower) ?? Charset.PLAIN);
}

/** By the low byte of a MySQL or MariaDB collation's id; 0 leaves it to the server. */
export function charsetOfCollation(id: number): Charset {
  switch (id & 0xff) {
    case 0:
      return Charset.UNKNOWN;
    case 1:
    case 84:
      return Charset.BIG5;
    case 13:
    case 88:
    case 95:
    case 96:
      return Charset.SJIS;
    case 28:
    case 87:
    case 248:
    case 249:
    case 250:
      return Charset.GBK;
    default:
      return Charset.PLAIN;
  }
}

const BACKSLASH = 0x5c;
const BACKTICK = 0x60;
/** What stands for such a byte: a letter. */
const LETTER = 0x80;

/**
 * Copies [start, end) to `into`, where it fits, with a letter for each backslash and backtick that is the
 * last byte of a character; answers whether there was one.
 */
export function maskTrails(
  charset: Charset,
  bytes: Uint8Array,
  start: number,
  end: number,
  into: Uint8Array,
): boolean {
  let masked = false;
  let to = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    into[to++] = byte;
    if (byte < 0x80 || at + 1 >= end || !isCharacter(charset, byte, bytes[at + 1])) continue;
    const trail = bytes[++at];
    const matters = trail === BACKSLASH || trail === BACKTICK;
    if (matters) masked = true;
    into[to++] = matters ? LETTER : trail;
  }
  return masked;
}

function isCharacter(charset: Charset, lead: number, trail: number): boolean {
  if (trail < 0x40 || trail === 0x7f) return false;
  switch (charset) {
    case Charset.GBK:
      return lead >= 0x81 && lead <= 0xfe && trail <= 0xfe;
    case Charset.BIG5:
      return lead >= 0xa1 && lead <= 0xf9 && (trail <= 0x7e || (trail >= 0xa1 && trail <= 0xfe));
    case Charset.SJIS:
      return (lead <= 0x9f || (lead >= 0xe0 && lead <= 0xfc)) && lead >= 0x81 && trail <= 0xfc;
    default:
      return false;
  }
}
