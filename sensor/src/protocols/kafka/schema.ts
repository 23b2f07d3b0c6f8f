/**
 * Compiles the fields of a message, written once for all versions, into a program of one version for the
 * walker.
 *
 *   fields  := field (' ' field)*
 *   field   := [role ':'] type ['@' versions] | role ':int16#0'
 *   type    := primitive | '[' [role ':'] primitive ']' | '(' fields ')' | '{' fields '}' | '?{' fields '}'
 *   versions:= n | n '-' n | n '+'
 *
 * `[…]` is an array of a primitive type, `(…)` an array of structures, `{…}` a structure and `?{…}` one that
 * can be null. Strings, byte strings and arrays are compact in flexible versions, where every structure ends
 * with tagged fields (KIP-482); all of them can be null. A field without a role is walked over, as are tagged
 * fields but for one that says something: `#0` is the one of tag 0.
 */
import { ApiKey } from './wire.js';

/** What a field means to a record. */
export const Role = {
  NONE: 0,
  CLIENT_ID: 1,
  TOPIC: 2,
  TOPIC_ID: 3,
  PARTITION: 4,
  GROUP: 5,
  TRANSACTION: 6,
  ACKS: 7,
  ERROR: 8,
  THROTTLE: 9,
  /** Name of a topic in a response that tells its id too. */
  TOPIC_NAME: 10,
  COORDINATOR_KEY: 11,
  COORDINATOR_TYPE: 12,
  RESOURCE_TYPE: 13,
  RESOURCE: 14,
} as const;
export type Role = (typeof Role)[keyof typeof Role];

const ROLES: Readonly<Record<string, Role>> = {
  topic: Role.TOPIC,
  topicId: Role.TOPIC_ID,
  partition: Role.PARTITION,
  group: Role.GROUP,
  transaction: Role.TRANSACTION,
  acks: Role.ACKS,
  error: Role.ERROR,
  throttle: Role.THROTTLE,
  topicName: Role.TOPIC_NAME,
  coordinatorKey: Role.COORDINATOR_KEY,
  coordinatorType: Role.COORDINATOR_TYPE,
  resourceType: Role.RESOURCE_TYPE,
  resource: Role.RESOURCE,
};

/** Key, name, first flexible version (-1: none), newest version, request fields, response fields. */
export type ApiRow = readonly [number, string, number, number, string, string];

/** A program is pairs of an operation and its argument. */
export const Op = {
  END: 0,
  /** Argument: bytes. */
  SKIP: 1,
  /** Argument of these: a role. */
  INT8: 2,
  INT16: 3,
  INT32: 4,
  UUID: 5,
  STRING: 6,
  COMPACT_STRING: 7,
  BYTES: 8,
  COMPACT_BYTES: 9,
  RECORDS: 10,
  COMPACT_RECORDS: 11,
  /** Argument: where it goes on behind the last element. */
  ARRAY: 12,
  COMPACT_ARRAY: 13,
  /** End of an element. Argument: where the next one begins. */
  NEXT: 14,
  /** Tagged fields. Argument: the role of that with tag 0, an int16. */
  TAGS: 15,
  /** A structure that can be null. Argument: where it goes on behind it. */
  OPTIONAL: 16,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

export type Program = Int32Array;

const FIXED_BYTES: Readonly<Record<string, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float64: 8,
  uuid: 16,
};
const FIXED_OPS: Readonly<Record<string, Op>> = {
  int8: Op.INT8,
  int16: Op.INT16,
  int32: Op.INT32,
  uuid: Op.UUID,
};

/** Only a client id: what is known of a request in an unknown version. */
const CLIENT_ID_ONLY: Program = Int32Array.of(Op.STRING, Role.CLIENT_ID, Op.END, 0);
/** Knows nothing of a body. */
export const NOTHING: Program = Int32Array.of(Op.END, 0);

/** Behind the correlation id: the rest of the header, then the body. */
export function requestProgram(row: ApiRow | undefined, version: number): Program {
  if (row === undefined || version > row[3]) return CLIENT_ID_ONLY;
  const out: number[] = [];
  // Request header version 0 has no client id; only this API had it.
  if (row[0] !== ApiKey.CONTROLLED_SHUTDOWN || version > 0) out.push(Op.STRING, Role.CLIENT_ID);
  return compile(out, row, version, row[4], isFlexible(row, version));
}

/** Behind the correlation id: the rest of the header, then the body. */
export function responseProgram(row: ApiRow | undefined, version: number): Program {
  if (row === undefined || version > row[3]) return NOTHING;
  // KIP-511: ApiVersions answers with header version 0 whatever the version.
  return compile([], row, version, row[5], isFlexible(row, version) && row[0] !== ApiKey.API_VERSIONS);
}

function isFlexible(row: ApiRow, version: number): boolean {
  return row[2] >= 0 && version >= row[2];
}

function compile(out: number[], row: ApiRow, version: number, fields: string, headerTags: boolean): Program {
  const flexible = isFlexible(row, version);
  if (headerTags) out.push(Op.TAGS, 0);
  new Compiler(fields, version, flexible, out).structure();
  out.push(Op.END, 0);
  return Int32Array.from(out);
}

const TAGGED = /^(\w+):int16#0/;

class Compiler {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly version: number,
    private readonly flexible: boolean,
    private readonly out: number[],
  ) {}

  /** Fields up to a closing bracket, and the tagged fields behind them. */
  structure(): void {
    const first = this.out.length;
    let tagged: Role = Role.NONE;
    while (this.at < this.text.length && !')}'.includes(this.text[this.at])) {
      const [text, role] = TAGGED.exec(this.text.slice(this.at)) ?? [];
      if (text !== undefined) {
        tagged = ROLES[role];
        this.at += text.length;
      } else if (this.text[this.at] === ' ') this.at++;
      else this.field(first);
    }
    if (this.flexible) this.out.push(Op.TAGS, tagged);
  }

  /** `first`: where the structure's fields begin. */
  private field(first: number): void {
    const start = this.out.length;
    switch (this.text[this.at]) {
      case '(':
        this.array(() => this.structure());
        break;
      case '[':
        this.array(() => this.primitive());
        break;
      case '{':
        this.at++;
        this.structure();
        this.at++;
        break;
      case '?': {
        this.at += 2;
        this.out.push(Op.OPTIONAL, 0);
        this.structure();
        this.out[start + 1] = this.out.length;
        this.at++;
        break;
      }
      default:
        this.primitive();
    }
    const { out } = this;
    // What stands in other versions only is compiled to know where it ends, and taken back.
    if (!this.versions()) {
      out.length = start;
    } else if (
      start > first &&
      out.length === start + 2 &&
      out[start] === Op.SKIP &&
      out[start - 2] === Op.SKIP
    ) {
      out[start - 1] += out[start + 1];
      out.length = start;
    }
  }

  private array(element: () => void): void {
    const start = this.out.length;
    this.at++;
    this.out.push(this.flexible ? Op.COMPACT_ARRAY : Op.ARRAY, 0);
    element();
    this.out.push(Op.NEXT, start + 2);
    this.out[start + 1] = this.out.length;
    this.at++;
  }

  private primitive(): void {
    const [word] = /^[a-zA-Z0-9:]+/.exec(this.text.slice(this.at))!;
    this.at += word.length;
    const colon = word.indexOf(':');
    const role = colon < 0 ? Role.NONE : ROLES[word.slice(0, colon)];
    const type = word.slice(colon + 1);
    const { out, flexible } = this;
    if (type === 'string') out.push(flexible ? Op.COMPACT_STRING : Op.STRING, role);
    else if (type === 'bytes') out.push(flexible ? Op.COMPACT_BYTES : Op.BYTES, 0);
    else if (type === 'records') out.push(flexible ? Op.COMPACT_RECORDS : Op.RECORDS, 0);
    else if (role === Role.NONE) out.push(Op.SKIP, FIXED_BYTES[type]);
    else out.push(FIXED_OPS[type], role);
  }

  /** Is the field part of this version? */
  private versions(): boolean {
    if (this.text[this.at] !== '@') return true;
    const [all, from, to] = /^@(\d+)(\+|-\d+)?/.exec(this.text.slice(this.at))!;
    this.at += all.length;
    if (this.version < Number(from)) return false;
    return to === '+' || this.version <= (to === undefined ? Number(from) : -Number(to));
  }
}
