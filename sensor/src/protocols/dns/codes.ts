/** Code tables of DNS: https://www.iana.org/assignments/dns-parameters (RFC 6895). */
import { Constant, DnsAnswerTag, DnsTag, encode, encodeString, RoundTripTag } from '@packetd/proto';

export const Opcode = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5, DSO: 6 } as const;

export const Type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  AAAA: 28,
  LOC: 29,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
} as const;

export const Class = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

/** Bits of the second header word. */
export const Flag = {
  QR: 0x8000,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  Z: 0x0040,
  AD: 0x0020,
  CD: 0x0010,
} as const;

/** RFC 6891, 7871, 7873. */
export const EdnsOption = { CLIENT_SUBNET: 8, COOKIE: 10 } as const;

/** Mnemonics of the assigned types. */
export const TYPE_NAMES: Record<number, string> = {};
const names = (first: number, list: string): void => {
  list.split(' ').forEach((name, index) => {
    if (name !== '-') TYPE_NAMES[first + index] = name;
  });
};
names(
  1,
  'A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP NSAP-PTR SIG KEY',
);
names(
  26,
  'PX GPOS AAAA LOC NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT APL DS SSHFP IPSECKEY RRSIG NSEC',
);
names(
  48,
  'DNSKEY DHCID NSEC3 NSEC3PARAM TLSA SMIMEA - HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD',
);
names(64, 'SVCB HTTPS DSYNC HHIT BRID');
names(99, 'SPF UINFO UID GID UNSPEC NID L32 L64 LP EUI48 EUI64');
names(128, 'NXNAME');
names(249, 'TKEY TSIG IXFR AXFR MAILB MAILA ANY URI CAA AVC DOA AMTRELAY RESINFO WALLET CLA IPN');
names(32768, 'TA DLV');

const CLASS_NAMES: Record<number, string> = { 1: 'IN', 3: 'CH', 4: 'HS', 254: 'NONE', 255: 'ANY' };

const OPCODE_NAMES: Record<number, string> = {
  0: 'QUERY',
  1: 'IQUERY',
  2: 'STATUS',
  4: 'NOTIFY',
  5: 'UPDATE',
  6: 'DSO',
};

const RCODE_NAMES: Record<number, string> = {};
'NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE DSOTYPENI'
  .split(' ')
  .forEach((name, code) => {
    RCODE_NAMES[code] = name;
  });
'BADVERS BADKEY BADTIME BADMODE BADNAME BADALG BADTRUNC BADCOOKIE'.split(' ').forEach((name, index) => {
  RCODE_NAMES[16 + index] = name;
});

/** A code's name as the fields that carry it. */
export interface CodeName {
  readonly text: Uint8Array;
  readonly question: Constant;
  readonly answer: Constant;
  readonly target: Constant;
  /** What nearly all messages are, in one piece: a standard query with one question of class IN, and an answer of class IN. */
  readonly onlyQuestion: Constant;
  readonly answerIn: Constant;
  /** Operation and target of a standard query. */
  readonly query: Constant;
}

const encoder = new TextEncoder();

const QUERY_NAME = 'QUERY';
const IN_NAME = 'IN';
const QUERY_OPCODE = encodeString(DnsTag.opcode, QUERY_NAME);
const ONE_QUESTION = encode((writer) => writer.uint(DnsTag.questionCount, 1));

function typeNameOf(name: string): CodeName {
  const question = encodeString(DnsTag.questionType, name);
  const answer = encodeString(DnsAnswerTag.type, name);
  const target = encodeString(RoundTripTag.target, name);
  return {
    text: encoder.encode(name),
    question,
    answer,
    target,
    onlyQuestion: Constant.of(
      question,
      encodeString(DnsTag.questionClass, IN_NAME),
      QUERY_OPCODE,
      ONE_QUESTION,
    ),
    answerIn: Constant.of(answer, encodeString(DnsAnswerTag.class, IN_NAME)),
    query: Constant.of(encodeString(RoundTripTag.operation, QUERY_NAME), target),
  };
}

/** Types below this, the assigned ones but two, are a plain array: a lookup is one load. */
const DENSE_TYPES = 512;
/** Made when first met: most are never. */
const types: (CodeName | undefined)[] = new Array(DENSE_TYPES).fill(undefined);
const sparseTypes = new Map<number, CodeName>();

/** Name of a type; one that is not assigned is written as TYPE123 (RFC 3597 section 5). */
export function typeName(type: number): CodeName {
  const made = type < DENSE_TYPES ? types[type] : sparseTypes.get(type);
  if (made !== undefined) return made;
  const name = TYPE_NAMES[type];
  if (name === undefined) return typeNameOf(`TYPE${type}`);
  const known = typeNameOf(name);
  if (type < DENSE_TYPES) types[type] = known;
  else sparseTypes.set(type, known);
  return known;
}

/** Assigned, or for private use (RFC 6895 section 3.1). */
export function isKnownType(type: number): boolean {
  if (type < DENSE_TYPES && types[type] !== undefined) return true;
  return TYPE_NAMES[type] !== undefined || (type >= 0xff00 && type < 0xffff);
}

/** Assigned classes as fields of the question and of an answer; others are CLASS123 (RFC 3597 section 5). */
const classes = new Map<number, { question: Constant; answer: Constant }>();
for (const [code, name] of Object.entries(CLASS_NAMES)) classes.set(Number(code), classNameOf(name));
const CLASS_IN = classes.get(Class.IN)!;

function classNameOf(name: string): { question: Constant; answer: Constant } {
  return {
    question: encodeString(DnsTag.questionClass, name),
    answer: encodeString(DnsAnswerTag.class, name),
  };
}

export function className(code: number): { readonly question: Constant; readonly answer: Constant } {
  if (code === Class.IN) return CLASS_IN;
  return classes.get(code) ?? classNameOf(`CLASS${code}`);
}

/** The 16 opcodes as fields `operation` and `opcode`. */
export const OPCODES: readonly { readonly operation: Constant; readonly opcode: Constant }[] = Array.from(
  { length: 16 },
  (_, code) => {
    const name = OPCODE_NAMES[code] ?? `OPCODE${code}`;
    return {
      operation: encodeString(RoundTripTag.operation, name),
      opcode: encodeString(DnsTag.opcode, name),
    };
  },
);

const rcodes: ({ rcode: Constant; errorType: Constant } | undefined)[] = new Array(4096).fill(undefined);

/** The field of an rcode (12 bits, RFC 6891 section 6.1.3) and of the error type it is. */
export function rcodeName(code: number): { readonly rcode: Constant; readonly errorType: Constant } {
  let known = rcodes[code];
  if (known === undefined) {
    const name = RCODE_NAMES[code] ?? `RCODE${code}`;
    known = {
      rcode: encodeString(DnsTag.rcode, name),
      errorType: encodeString(RoundTripTag.errorType, name),
    };
    rcodes[code] = known;
  }
  return known;
}

/** AA, TC, RD, RA, AD and CD; the bits between them are Z and those of the opcode and rcode. */
const FLAG_BITS = [Flag.AA, Flag.TC, Flag.RD, Flag.RA, Flag.AD, Flag.CD] as const;
const FLAG_NAMES = ['AA', 'TC', 'RD', 'RA', 'AD', 'CD'] as const;

/** Bits 4 to 10 of the second header word. */
const FLAG_COMBINATIONS = 128;
/** The fields `header_flags` by those bits, and the same before NOERROR; made when first met. */
const flagFields: (Constant | undefined)[] = new Array(FLAG_COMBINATIONS).fill(undefined);
const noErrorFields: (Constant | undefined)[] = new Array(FLAG_COMBINATIONS).fill(undefined);

function flagFieldsOf(flags: number): Constant {
  return Constant.of(
    ...FLAG_BITS.flatMap((bit, i) =>
      (flags & bit) !== 0 ? [encodeString(DnsTag.headerFlags, FLAG_NAMES[i])] : [],
    ),
  );
}

/** The names of the flags that are set, in the order of the header. */
export function flagNames(flags: number): Constant {
  const index = (flags >> 4) & (FLAG_COMBINATIONS - 1);
  flagFields[index] ??= flagFieldsOf(flags);
  return flagFields[index];
}

/** The same in a response without an error. */
export function flagNamesNoError(flags: number): Constant {
  const index = (flags >> 4) & (FLAG_COMBINATIONS - 1);
  noErrorFields[index] ??= Constant.of(flagFieldsOf(flags), encodeString(DnsTag.rcode, 'NOERROR'));
  return noErrorFields[index];
}
