/**
 * SQL without its literals: one pass over the bytes of a statement replaces every literal by `?`, drops
 * comments and closes up blanks and lists. What is known of the result (operation, table, summary) is
 * worked out once and remembered, so a statement that was seen before costs no string and no object.
 *
 * Nothing that was between quotes or digits is ever kept; an unterminated literal hides the rest. Where it is
 * not sure how the server reads a statement, each way is taken, and only as much is kept as all agree on.
 */
import { AMBIGUOUS, Charset, maskTrails } from './sql-charset.js';
import { describeSql, withoutSettings } from './sql-summary.js';

/** Does `\\` escape in strings? */
export const Escapes = { NO: 0, YES: 1, UNKNOWN: 2 } as const;
export type Escapes = (typeof Escapes)[keyof typeof Escapes];

/** Lexical rules of a server. */
export interface SqlDialect {
  /** `SET app.x = y`: applications keep what they like in parameters of their own, a word without quotes too. */
  readonly customParameters: boolean;
  /** `E'…'`, in which backslashes always escape. */
  readonly escapeStrings: boolean;
  /** `"…"` is a string, or an identifier where sql_mode says so; otherwise it is an identifier. */
  readonly doubleQuotedStrings: boolean;
  readonly backtickIdentifiers: boolean;
  /** `$tag$…$tag$`; of others only newer servers have it. */
  readonly dollarQuotes: boolean;
  /** `# …` to the line's end. */
  readonly hashComments: boolean;
  readonly nestedComments: boolean;
  /** The text of `/*! … *\/` and `/*M! … *\/` is executed, by servers that are new enough. */
  readonly executableComments: boolean;
}

/** PostgreSQL manual, section 4.1. */
export const POSTGRESQL: SqlDialect = {
  customParameters: true,
  escapeStrings: true,
  doubleQuotedStrings: false,
  backtickIdentifiers: false,
  dollarQuotes: true,
  hashComments: false,
  nestedComments: true,
  executableComments: false,
};

/** MySQL reference manual, sections 11.1 and 11.7. */
export const MYSQL: SqlDialect = {
  customParameters: false,
  escapeStrings: false,
  doubleQuotedStrings: true,
  backtickIdentifiers: true,
  dollarQuotes: false,
  hashComments: true,
  nestedComments: false,
  executableComments: true,
};

/** What is known of one statement text; bytes are UTF-8 without literals. */
export interface SqlShape {
  /** The text, at most MAX_TEXT_BYTES and an ellipsis. */
  readonly text: Uint8Array;
  /** SELECT, INSERT, CREATE TABLE …; empty where there is none. */
  readonly operation: string;
  readonly operationBytes: Uint8Array;
  /** The first table; empty where there is none. */
  readonly collection: Uint8Array;
  /** `SELECT users orders`, at most 255 characters. */
  readonly summary: Uint8Array;
  /** It may change how the server reads what comes next. */
  readonly changesReading: boolean;
}

/** A shape, and the text that has it. */
interface Known {
  readonly text: Uint8Array;
  readonly shape: SqlShape;
}

/** Longest sanitised text that is kept. */
export const MAX_TEXT_BYTES = 4096;
/** Bytes of a statement that are looked at. */
export const MAX_SCANNED_BYTES = 64 << 10;
const DEFAULT_CACHED = 2048;
/** Longer quoted names are none: servers cut or refuse them beyond 64 characters. */
const MAX_NAME_BYTES = 2 + 64 * 4;
/** No list of VALUES is open; else where its first row ends, or NO_ROW. */
const NO_LIST = -2;
const NO_ROW = -1;

const Byte = {
  TAB: 0x09,
  LF: 0x0a,
  CR: 0x0d,
  SPACE: 0x20,
  EXCLAMATION: 0x21,
  DOUBLE_QUOTE: 0x22,
  HASH: 0x23,
  DOLLAR: 0x24,
  AMPERSAND: 0x26,
  QUOTE: 0x27,
  OPEN: 0x28,
  CLOSE: 0x29,
  STAR: 0x2a,
  PLUS: 0x2b,
  COMMA: 0x2c,
  DASH: 0x2d,
  DOT: 0x2e,
  SLASH: 0x2f,
  QUESTION: 0x3f,
  SEMICOLON: 0x3b,
  EQUALS: 0x3d,
  LESS: 0x3c,
  GREATER: 0x3e,
  M: 0x4d,
  BACKSLASH: 0x5c,
  UNDERSCORE: 0x5f,
  BACKTICK: 0x60,
} as const;

const Kind = { OTHER: 0, BLANK: 1, WORD: 2, DIGIT: 3 } as const;
/** Kind of each byte; all of UTF-8's multi-byte characters are letters. */
const KINDS = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const letter = byte | 0x20;
  if (byte <= Byte.SPACE) KINDS[byte] = Kind.BLANK;
  else if (byte >= 0x30 && byte <= 0x39) KINDS[byte] = Kind.DIGIT;
  else if ((letter >= 0x61 && letter <= 0x7a) || byte === Byte.UNDERSCORE || byte >= 0x80)
    KINDS[byte] = Kind.WORD;
}

const [TRUE, FALSE, VALUES, ROW] = ['true', 'false', 'values', 'row'].map((word) => Buffer.from(word));

/** Words that are written behind a string without a blank. */
const BEHIND_STRINGS = (
  'and or xor as from then else end when in is not like ilike rlike regexp between order group having limit offset ' +
  'union on using collate escape uescape where into set with for asc desc returning div mod'
)
  .split(' ')
  .map((word) => Buffer.from(word));

const ELLIPSIS = new TextEncoder().encode('…');
const scratch = new Uint8Array(MAX_TEXT_BYTES + ELLIPSIS.length);
/** What the readings so far agree on. */
const agreed = new Uint8Array(scratch.length);
/** A statement in another character set. */
const masked = new Uint8Array(MAX_SCANNED_BYTES);

/** What was met that not every server reads in the same way. */
const Doubt = { BACKSLASH: 1, BACKSLASH_IN_DOUBLE_QUOTES: 2, DOLLAR_QUOTE: 4 } as const;

export class SqlShapes {
  private readonly shapes = new Map<number, Known>();
  private length = 0;
  /** Length of what the readings agree on; -1 where there was one only. */
  private agreedLength = -1;
  private disagree = false;
  /** Inside of an executable comment. */
  private executable = false;
  /** All of `Doubt` that was met in the statement. */
  private doubts = 0;
  /** Read like this it could not be executed. */
  private impossible = false;

  constructor(
    private readonly dialect: SqlDialect,
    private readonly maxCached = DEFAULT_CACHED,
  ) {}

  /** The shape of the statement in [start, end). Never throws. */
  shape(bytes: Uint8Array, start: number, end: number, escapes: Escapes, charset: Charset): SqlShape {
    const stop = Math.min(end, start + MAX_SCANNED_BYTES);
    const cut = stop < end;
    this.agreedLength = -1;
    this.disagree = false;
    if (charset === Charset.PLAIN || !maskTrails(charset, bytes, start, stop, masked)) {
      this.read(bytes, start, stop, cut, escapes);
    } else this.read(masked, 0, stop - start, cut, escapes);
    if (charset === Charset.UNKNOWN) {
      for (const each of AMBIGUOUS) {
        if (!maskTrails(each, bytes, start, stop, masked)) continue;
        this.agree();
        this.read(masked, 0, stop - start, cut, escapes);
      }
    }
    if (this.agreedLength >= 0) {
      this.agree();
      this.restore();
      if (this.disagree) {
        // Half a word is none.
        let to = this.length;
        while (to > 0 && KINDS[scratch[to - 1]] >= Kind.WORD) to--;
        this.length = cutText(to);
      }
    }
    const { length } = this;
    let h0 = length;
    let h1 = 0x1b873593;
    for (let i = 0; i < length; i++) {
      h0 = Math.imul(h0 ^ scratch[i], 0x01000193);
      h1 = Math.imul(h1 + scratch[i], 0x85ebca6b) ^ (h1 >>> 15);
    }
    const key = (h0 >>> 0) * 0x200000 + (h1 >>> 11);
    const known = this.shapes.get(key);
    if (known !== undefined && isScratch(known.text, length)) return known.shape;
    const text = scratch.slice(0, length);
    const shape = describeSql(this.dialect.customParameters ? withoutSettings(text) : text);
    if (this.shapes.size >= this.maxCached) this.shapes.clear();
    this.shapes.set(key, { text, shape });
    return shape;
  }

  /** In every way that a server may read it whose character set is known. */
  private read(bytes: Uint8Array, start: number, end: number, cut: boolean, escapes: Escapes): void {
    const { dollarQuotes } = this.dialect;
    this.doubts = 0;
    this.readStrings(bytes, start, end, cut, escapes, dollarQuotes);
    if (dollarQuotes || (this.doubts & Doubt.DOLLAR_QUOTE) === 0) return;
    this.agree();
    this.readStrings(bytes, start, end, cut, escapes, true);
  }

  private readStrings(
    bytes: Uint8Array,
    start: number,
    end: number,
    cut: boolean,
    escapes: Escapes,
    dollarQuotes: boolean,
  ): void {
    const escaped = escapes !== Escapes.NO;
    this.sanitise(bytes, start, end, cut, escaped, escaped, dollarQuotes);
    if (this.doubts === 0) return;
    if (escapes === Escapes.UNKNOWN && (this.doubts & Doubt.BACKSLASH) !== 0) {
      this.agree();
      this.sanitise(bytes, start, end, cut, false, false, dollarQuotes);
    }
    if (!escaped || (this.doubts & Doubt.BACKSLASH_IN_DOUBLE_QUOTES) === 0) return;
    // With ANSI_QUOTES "…" is an identifier, without escapes. That is rare, as are backslashes in those: what
    // makes no sense so was meant otherwise.
    this.agree();
    this.sanitise(bytes, start, end, cut, true, false, dollarQuotes);
    if (this.impossible) this.restore();
  }

  /** What this reading and those before have in front is what may be shown under each of them. */
  private agree(): void {
    const { length } = this;
    if (this.agreedLength < 0) {
      agreed.set(scratch.subarray(0, length));
      this.agreedLength = length;
      return;
    }
    let same = 0;
    while (same < length && same < this.agreedLength && scratch[same] === agreed[same]) same++;
    if (same === length && same === this.agreedLength) return;
    this.agreedLength = same;
    this.disagree = true;
  }

  private restore(): void {
    scratch.set(agreed.subarray(0, this.agreedLength));
    this.length = this.agreedLength;
  }

  /** Writes the text without literals into `scratch`, read in one way. */
  private sanitise(
    bytes: Uint8Array,
    start: number,
    end: number,
    cut: boolean,
    escapes: boolean,
    escapesInDoubleQuotes: boolean,
    dollarQuotes: boolean,
  ): void {
    const { dialect } = this;
    let at = start;
    let to = 0;
    let blank = false;
    /** Behind VALUES: where the first row ends. The others say nothing new. */
    let firstRow = NO_LIST;
    let depth = 0;
    /** Where the last statement, and the one before it, begin in the text. */
    let statement = 0;
    let before = -1;
    let nonsense = false;
    /** Where the first string ends in the text; -1 before it. */
    let firstString = -1;
    let open = false;
    let runOn = false;
    this.executable = false;
    skipped = 0;
    while (at < end && to < MAX_TEXT_BYTES - 2) {
      const byte = bytes[at];
      const kind = KINDS[byte];
      if (kind === Kind.BLANK) {
        blank = to > 0;
        at++;
        continue;
      }
      const commentEnd = this.comment(bytes, at, end);
      if (commentEnd > at) {
        blank = to > 0;
        const inside = byte === Byte.SLASH ? commentEnd - 2 : commentEnd;
        if (this.executable && closesComment(bytes, at + 2, inside)) break;
        at = commentEnd;
        continue;
      }
      if (blank) {
        scratch[to++] = Byte.SPACE;
        blank = false;
      }
      if (
        firstRow !== NO_LIST &&
        depth === 0 &&
        kind !== Kind.WORD &&
        byte !== Byte.OPEN &&
        byte !== Byte.COMMA
      ) {
        firstRow = NO_LIST;
      }
      if (kind === Kind.WORD) {
        const from = at;
        at++;
        while (at < end && (KINDS[bytes[at]] >= Kind.WORD || bytes[at] === Byte.DOLLAR)) at++;
        const quoted = prefixedString(bytes, from, at, end, dialect);
        if (quoted >= 0) {
          const isEscaped = dialect.escapeStrings && (bytes[from] | 0x20) === 0x65;
          at = skipContinued(bytes, quoted, end, escapes || isEscaped);
          to = literal(to);
          if (firstString < 0) firstString = to;
          open = isOpen;
          if (this.executable && closesComment(bytes, quoted, at)) break;
          runOn = runsOn(bytes, at, end);
          if (runOn) break;
          continue;
        }
        const size = at - from;
        if (size === TRUE.length || size === FALSE.length) {
          if (isWord(bytes, from, at, TRUE) || isWord(bytes, from, at, FALSE)) {
            to = literal(to);
            continue;
          }
        }
        if (firstRow !== NO_LIST && depth === 0 && !isWord(bytes, from, at, ROW)) firstRow = NO_LIST;
        if (size === VALUES.length && isWord(bytes, from, at, VALUES)) {
          firstRow = NO_ROW;
          depth = 0;
        }
        for (let i = from; i < at && to < MAX_TEXT_BYTES; i++) scratch[to++] = bytes[i];
        continue;
      }
      if (
        kind === Kind.DIGIT ||
        (byte === Byte.DOT && at + 1 < end && KINDS[bytes[at + 1]] === Kind.DIGIT && !endsWord(to))
      ) {
        at = skipNumber(bytes, at, end);
        to = literal(withoutSign(to));
        continue;
      }
      if (byte === Byte.QUOTE || (byte === Byte.DOUBLE_QUOTE && dialect.doubleQuotedStrings)) {
        const from = at;
        at = skipString(bytes, at, end, byte === Byte.QUOTE ? escapes : escapesInDoubleQuotes);
        to = literal(to);
        if (firstString < 0) firstString = to;
        open = isOpen;
        if (isOpen) nonsense = true;
        if (this.executable && closesComment(bytes, from, at)) break;
        runOn = runsOn(bytes, at, end);
        if (runOn) break;
        continue;
      }
      if (byte === Byte.DOUBLE_QUOTE || (byte === Byte.BACKTICK && dialect.backtickIdentifiers)) {
        const stop = skipString(bytes, at, end, false);
        open = isOpen;
        if (isOpen) nonsense = true;
        if (this.executable && closesComment(bytes, at, stop)) {
          to = literal(to);
          break;
        }
        if (isOpen || stop - at > MAX_NAME_BYTES) {
          // No name: it is open, or too long for one.
          at = stop;
          to = literal(to);
          continue;
        }
        while (at < stop && to < MAX_TEXT_BYTES) scratch[to++] = bytes[at++];
        at = stop;
        continue;
      }
      if (byte === Byte.DOLLAR) {
        const tag = dollarTagEnd(bytes, at, end);
        if (tag > at) {
          if (dollarQuotes) {
            at = skipDollarQuote(bytes, at, tag, end);
            to = literal(to);
            continue;
          }
          skipped |= Doubt.DOLLAR_QUOTE;
        }
        // A parameter: $1.
        scratch[to++] = byte;
        at++;
        while (at < end && KINDS[bytes[at]] >= Kind.WORD && to < MAX_TEXT_BYTES) scratch[to++] = bytes[at++];
        continue;
      }
      scratch[to++] = byte;
      at++;
      if (byte === Byte.BACKSLASH) nonsense = true;
      if (byte === Byte.OPEN) depth++;
      else if (byte === Byte.CLOSE) {
        depth--;
        if (firstRow === NO_LIST || depth > 0) to = closeUpRows(to);
        else if (firstRow === NO_ROW) firstRow = to;
        else to = firstRow;
      } else if (byte === Byte.SEMICOLON) {
        if (before >= 0 && isRepeated(before, statement, to)) to = statement;
        else {
          before = statement;
          statement = to;
        }
      }
    }
    if (before >= 0 && isRepeated(before, statement, to, Byte.SEMICOLON)) to = statement;
    if (firstRow >= 0) to = firstRow;
    this.doubts |= skipped;
    this.impossible = runOn || (nonsense && at >= end && !cut);
    // A quote too many, as in 'O'Brien', makes strings of what is between them, and text of what is in them.
    const inverted = open && !cut && firstString >= 0 && to > firstString;
    if (inverted) to = firstString;
    this.length = at < end || cut || inverted ? cutText(to) : to;
  }

  /** Position behind a comment that begins at `at`, or `at`. */
  private comment(bytes: Uint8Array, at: number, end: number): number {
    const { dialect } = this;
    const next = at + 1 < end ? bytes[at + 1] : 0;
    switch (bytes[at]) {
      case Byte.DASH:
        // MySQL wants a blank behind.
        if (next !== Byte.DASH) return at;
        if (dialect.hashComments && at + 2 < end && KINDS[bytes[at + 2]] !== Kind.BLANK) return at;
        return lineEnd(bytes, at, end, !dialect.hashComments);
      case Byte.HASH:
        return dialect.hashComments ? lineEnd(bytes, at, end, false) : at;
      case Byte.SLASH: {
        if (next !== Byte.STAR) return at;
        const mark = at + 3 < end && bytes[at + 2] === Byte.M ? at + 3 : at + 2;
        if (dialect.executableComments && mark < end && bytes[mark] === Byte.EXCLAMATION) {
          let from = mark + 1;
          while (from < end && KINDS[bytes[from]] === Kind.DIGIT) from++;
          this.executable = true;
          return from;
        }
        return blockEnd(bytes, at, end, dialect.nestedComments);
      }
      case Byte.STAR:
        if (!this.executable || next !== Byte.SLASH) return at;
        this.executable = false;
        return at + 2;
      default:
        return at;
    }
  }
}

/** Writes `?`; behind `?, ` it says nothing new. */
function literal(to: number): number {
  if (to >= 2 && scratch[to - 1] === Byte.COMMA && scratch[to - 2] === Byte.QUESTION) return to - 1;
  if (
    to >= 3 &&
    scratch[to - 1] === Byte.SPACE &&
    scratch[to - 2] === Byte.COMMA &&
    scratch[to - 3] === Byte.QUESTION
  ) {
    return to - 2;
  }
  scratch[to] = Byte.QUESTION;
  return to + 1;
}

/** The sign of a number belongs to it behind what no operand ends in. */
function withoutSign(to: number): number {
  let at = to - 1;
  if (at < 0 || (scratch[at] !== Byte.DASH && scratch[at] !== Byte.PLUS)) return to;
  const sign = at--;
  if (at >= 0 && scratch[at] === Byte.SPACE) at--;
  switch (at < 0 ? 0 : scratch[at]) {
    case Byte.OPEN:
    case Byte.COMMA:
    case Byte.EQUALS:
    case Byte.LESS:
    case Byte.GREATER:
      return sign;
    default:
      return to;
  }
}

/** The statement [second, to) is that at `first`, but for blanks in front; `end` is what it lacks. */
function isRepeated(first: number, second: number, to: number, end = 0): boolean {
  let a = first;
  let b = second;
  if (scratch[a] === Byte.SPACE) a++;
  if (b < to && scratch[b] === Byte.SPACE) b++;
  if (b === to || second - a !== to - b + (end === 0 ? 0 : 1)) return false;
  while (b < to) if (scratch[a++] !== scratch[b++]) return false;
  return true;
}

/** `(?), (?)` is `(?)`. */
function closeUpRows(to: number): number {
  if (to < 7 || scratch[to - 2] !== Byte.QUESTION || scratch[to - 3] !== Byte.OPEN) return to;
  let at = to - 4;
  if (scratch[at] === Byte.SPACE) at--;
  if (scratch[at] !== Byte.COMMA) return to;
  const isRow =
    scratch[at - 1] === Byte.CLOSE && scratch[at - 2] === Byte.QUESTION && scratch[at - 3] === Byte.OPEN;
  return isRow ? at : to;
}

/** The word [from, to), whatever its case, is `lower`. */
function isWord(bytes: Uint8Array, from: number, to: number, lower: Uint8Array): boolean {
  if (to - from !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) if ((bytes[from + i] | 0x20) !== lower[i]) return false;
  return true;
}

/** The text so far ends in a word, so that a dot behind it belongs to a name. */
function endsWord(to: number): boolean {
  return (
    to > 0 &&
    (KINDS[scratch[to - 1]] >= Kind.WORD ||
      scratch[to - 1] === Byte.DOUBLE_QUOTE ||
      scratch[to - 1] === Byte.BACKTICK)
  );
}

/**
 * Where the word [from, to) is the prefix of a string: the position of its quote; else -1. N'…', B'…',
 * X'…', E'…', U&'…' and, in MySQL, _utf8mb4'…'.
 */
function prefixedString(
  bytes: Uint8Array,
  from: number,
  to: number,
  end: number,
  dialect: SqlDialect,
): number {
  if (to >= end) return -1;
  const next = bytes[to];
  if (next === Byte.QUOTE) {
    if (to - from === 1) {
      const letter = bytes[from] | 0x20;
      return letter === 0x6e || letter === 0x62 || letter === 0x78 || letter === 0x65 ? to : -1;
    }
    return dialect.executableComments && bytes[from] === Byte.UNDERSCORE ? to : -1;
  }
  const isUnicode = next === Byte.AMPERSAND && to - from === 1 && (bytes[from] | 0x20) === 0x75;
  return isUnicode && to + 1 < end && bytes[to + 1] === Byte.QUOTE ? to + 1 : -1;
}

/** The quoted text that was skipped last never ended. */
let isOpen = false;
/** Sum of `Doubt` over what was skipped. */
let skipped = 0;

/** Position behind the quoted text at `at`, whose quote is doubled inside; `end` where it never ends. */
function skipString(bytes: Uint8Array, at: number, end: number, escapes: boolean): number {
  const quote = bytes[at];
  isOpen = false;
  for (let i = at + 1; i < end; i++) {
    const byte = bytes[i];
    if (byte === Byte.BACKSLASH) {
      skipped |=
        quote === Byte.DOUBLE_QUOTE ? Doubt.BACKSLASH | Doubt.BACKSLASH_IN_DOUBLE_QUOTES : Doubt.BACKSLASH;
      if (escapes) i++;
    } else if (byte === quote) {
      if (i + 1 < end && bytes[i + 1] === quote) i++;
      else return i + 1;
    }
  }
  isOpen = true;
  return end;
}

/** Does a word that is none of SQL's stand right behind a string that ends at `at`: 'O'Brien'? */
function runsOn(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end || KINDS[bytes[at]] < Kind.WORD) return false;
  let stop = at;
  while (stop < end && KINDS[bytes[stop]] >= Kind.WORD) stop++;
  return !BEHIND_STRINGS.some((word) => isWord(bytes, at, stop, word));
}

/**
 * The same; a string that goes on in another line (a quote behind blanks with a line feed) keeps its escapes.
 * Where none follow, the next string is one of its own, which says no more.
 */
function skipContinued(bytes: Uint8Array, at: number, end: number, escapes: boolean): number {
  let stop = skipString(bytes, at, end, escapes);
  for (;;) {
    let next = stop;
    while (next < end && KINDS[bytes[next]] === Kind.BLANK) next++;
    if (next === stop || next >= end || bytes[next] !== Byte.QUOTE) return stop;
    stop = skipString(bytes, next, end, escapes);
  }
}

/** 12, 1.5, 1e-9, 0xff, 1_000. */
function skipNumber(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end) {
    const byte = bytes[i];
    if (KINDS[byte] >= Kind.WORD || byte === Byte.DOT) {
      i++;
      continue;
    }
    const exponent = i > at && (bytes[i - 1] | 0x20) === 0x65 && (bytes[at + 1] | 0x20) !== 0x78;
    if (
      (byte === Byte.DASH || byte === Byte.PLUS) &&
      exponent &&
      i + 1 < end &&
      KINDS[bytes[i + 1]] === Kind.DIGIT
    )
      i++;
    else break;
  }
  return i;
}

/** Position behind the `$tag$` that begins at `at`, or `at` where there is none. */
function dollarTagEnd(bytes: Uint8Array, at: number, end: number): number {
  let i = at + 1;
  if (i < end && KINDS[bytes[i]] === Kind.DIGIT) return at;
  while (i < end && KINDS[bytes[i]] >= Kind.WORD) i++;
  return i < end && bytes[i] === Byte.DOLLAR ? i + 1 : at;
}

/** Position behind the quotation that [at, tag) begins and ends. */
function skipDollarQuote(bytes: Uint8Array, at: number, tag: number, end: number): number {
  const size = tag - at;
  for (let j = tag; j + size <= end; j++) {
    if (bytes[j] !== Byte.DOLLAR) continue;
    let k = 1;
    while (k < size && bytes[j + k] === bytes[at + k]) k++;
    if (k === size) return j + size;
  }
  return end;
}

function lineEnd(bytes: Uint8Array, at: number, end: number, orReturn: boolean): number {
  let i = at;
  while (i < end && bytes[i] !== Byte.LF && !(orReturn && bytes[i] === Byte.CR)) i++;
  return Math.min(end, i + 1);
}

/**
 * There is the end of a comment in [from, to): for a server that is too old for the executable comment around it,
 * that ended here.
 */
function closesComment(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i + 1 < to; i++) if (bytes[i] === Byte.STAR && bytes[i + 1] === Byte.SLASH) return true;
  return false;
}

/** Marks the text as cut at `to`, or where the character ends that is there. */
function cutText(to: number): number {
  let at = to;
  while (at > 0 && (scratch[at - 1] & 0xc0) === 0x80) at--;
  if (at > 0 && scratch[at - 1] >= 0xc0) at--;
  scratch.set(ELLIPSIS, at);
  return at + ELLIPSIS.length;
}

function blockEnd(bytes: Uint8Array, at: number, end: number, nested: boolean): number {
  let depth = 1;
  for (let i = at + 2; i + 1 < end; i++) {
    if (bytes[i] === Byte.STAR && bytes[i + 1] === Byte.SLASH) {
      i++;
      if (--depth === 0) return i + 1;
    } else if (nested && bytes[i] === Byte.SLASH && bytes[i + 1] === Byte.STAR) {
      i++;
      depth++;
    }
  }
  return end;
}

function isScratch(text: Uint8Array, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) if (text[i] !== scratch[i]) return false;
  return true;
}
