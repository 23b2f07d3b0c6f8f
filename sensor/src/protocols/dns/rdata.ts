/**
 * RDATA in presentation format. The layout of each type is a row of `FORMATS`, a list of fields that
 * stand one behind the other and are separated by a space; A and AAAA, which are most of all answers,
 * go straight.
 */
import type { WireWriter } from '@packetd/proto';
import { amtRelay, hostIdentity, hyphenated, ipsecGateway, locator64, prefixes } from './addresses.js';
import { TYPE_NAMES, Type, typeName } from './codes.js';
import { location } from './location.js';
import { serviceParameters } from './svcb.js';
import {
  base32hex,
  base64,
  byte,
  characterString,
  decimal,
  hex,
  ipv4,
  ipv6,
  name,
  quoted,
  space,
  tagString,
  timestamp,
} from './text.js';

/** What a field of RDATA is. */
const Field = {
  U8: 0,
  U16: 1,
  U32: 2,
  NAME: 3,
  /** One <character-string>. */
  STRING: 4,
  /** One or more of them, to the end. */
  STRINGS: 5,
  /** The number of a type, as its name. */
  TYPE: 6,
  /** Seconds since 1970. */
  TIME: 7,
  /** The rest in hexadecimal. */
  HEX: 8,
  /** The rest in base 64; nothing at all where it is empty. */
  BASE64: 9,
  /** Length byte and bytes in hexadecimal, `-` where there are none (RFC 5155 section 3.3). */
  SALT: 10,
  /** Length byte and bytes in base 32 hex (RFC 5155 section 3.3). */
  HASH: 11,
  /** Type bit maps to the end (RFC 4034 section 4.1.2). */
  TYPES: 12,
  /** Length byte and letters, unquoted (RFC 8659). */
  TAG: 13,
  /** The rest in quotes. */
  QUOTED: 14,
  SERVICE_PARAMETERS: 15,
  LOCATION: 16,
  IPV4: 17,
  IPV6: 18,
  EUI48: 19,
  EUI64: 20,
  LOCATOR64: 21,
  IPSEC_GATEWAY: 22,
  AMT_RELAY: 23,
  PREFIXES: 24,
  HOST_IDENTITY: 25,
  /** Names to the end, or none. */
  NAMES: 26,
} as const;
type Field = (typeof Field)[keyof typeof Field];

const { U8, U16, U32, NAME, STRING, STRINGS, TYPE, TIME, HEX, BASE64, SALT, HASH, TYPES, TAG, QUOTED } =
  Field;

const ONE_NAME = [NAME];
const PREFERENCE_NAME = [U16, NAME];
const DIGEST = [U16, U8, U8, HEX];
const KEY = [U16, U8, U8, BASE64];
const SIGNATURE = [TYPE, U8, U8, U32, TIME, TIME, U16, NAME, BASE64];
const ASSOCIATION = [U8, U8, U8, HEX];
const SERVICE = [U16, NAME, Field.SERVICE_PARAMETERS];

/** By the mnemonic of the type; the comment is where the layout is defined. */
const FORMATS: Record<string, readonly Field[]> = {
  // RFC 1035 section 3.3
  A: [Field.IPV4],
  NS: ONE_NAME,
  MD: ONE_NAME,
  MF: ONE_NAME,
  CNAME: ONE_NAME,
  SOA: [NAME, NAME, U32, U32, U32, U32, U32],
  MB: ONE_NAME,
  MG: ONE_NAME,
  MR: ONE_NAME,
  PTR: ONE_NAME,
  HINFO: [STRING, STRING],
  MINFO: [NAME, NAME],
  MX: PREFERENCE_NAME,
  TXT: [STRINGS],
  // RFC 1183
  RP: [NAME, NAME],
  AFSDB: PREFERENCE_NAME,
  X25: [STRING],
  RT: PREFERENCE_NAME,
  ISDN: [STRINGS],
  // RFC 1706, 2163, 1712, 2535, 4398, 3123
  'NSAP-PTR': ONE_NAME,
  PX: [U16, NAME, NAME],
  GPOS: [STRING, STRING, STRING],
  SIG: SIGNATURE,
  KEY,
  CERT: [U16, U16, U8, BASE64],
  APL: [Field.PREFIXES],
  // RFC 3596, 1876, 2782, 3403, 2230, 6672
  AAAA: [Field.IPV6],
  LOC: [Field.LOCATION],
  SRV: [U16, U16, U16, NAME],
  NAPTR: [U16, U16, STRING, STRING, STRING, NAME],
  KX: PREFERENCE_NAME,
  DNAME: ONE_NAME,
  // RFC 4034, 4255, 5155
  DS: DIGEST,
  SSHFP: [U8, U8, HEX],
  RRSIG: SIGNATURE,
  NSEC: [NAME, TYPES],
  DNSKEY: KEY,
  NSEC3: [U8, U8, U16, SALT, HASH, TYPES],
  NSEC3PARAM: [U8, U8, U16, SALT],
  // RFC 4701, 6698, 8162, 7344, 7929, 8976, 9460
  DHCID: [BASE64],
  TLSA: ASSOCIATION,
  SMIMEA: ASSOCIATION,
  CDS: DIGEST,
  CDNSKEY: KEY,
  OPENPGPKEY: [BASE64],
  CSYNC: [U32, U16, TYPES],
  ZONEMD: [U32, U8, U8, HEX],
  SVCB: SERVICE,
  HTTPS: SERVICE,
  // RFC 4025, 8777, 8005, 6742, 7043
  IPSECKEY: [U8, Field.IPSEC_GATEWAY, BASE64],
  AMTRELAY: [U8, Field.AMT_RELAY],
  HIP: [Field.HOST_IDENTITY, Field.NAMES],
  NID: [U16, Field.LOCATOR64],
  L32: [U16, Field.IPV4],
  L64: [U16, Field.LOCATOR64],
  LP: PREFERENCE_NAME,
  EUI48: [Field.EUI48],
  EUI64: [Field.EUI64],
  // RFC 9859, 9886, and templates at IANA
  DSYNC: [TYPE, U8, U16, NAME],
  HHIT: [BASE64],
  BRID: [BASE64],
  EID: [HEX],
  NIMLOC: [HEX],
  SINK: [U8, U8, U8, BASE64],
  NINFO: [STRINGS],
  RKEY: KEY,
  TALINK: [NAME, NAME],
  DOA: [U32, U32, U8, STRING, BASE64],
  CLA: [STRINGS],
  // RFC 7208, 7553, 8659, 4431
  SPF: [STRINGS],
  URI: [U16, U16, QUOTED],
  CAA: [U8, TAG, QUOTED],
  AVC: [STRINGS],
  RESINFO: [STRINGS],
  WALLET: [STRINGS],
  TA: DIGEST,
  DLV: DIGEST,
};

const formatsByType = new Map<number, readonly Field[]>();
for (const [type, name] of Object.entries(TYPE_NAMES)) {
  if (Object.hasOwn(FORMATS, name)) formatsByType.set(Number(type), FORMATS[name]);
}

/**
 * Writes RDATA [from, end) of a message [start, …) as text: by the type's layout where it has one and
 * the bytes fill it exactly, else in the generic form of RFC 3597 section 5. `start` and `end` bound
 * names as well: none reaches beyond its RDATA but by a pointer.
 */
export function writeRdata(
  w: WireWriter,
  type: number,
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
): void {
  if (type === Type.A && end - from === 4) {
    ipv4(w, bytes, from);
    return;
  }
  if (type === Type.AAAA && end - from === 16) {
    ipv6(w, bytes, from);
    return;
  }
  const before = w.length;
  const format = formatsByType.get(type);
  // An update may carry an RRset's name and type alone (RFC 2136 section 2.4), which is no data at all.
  if (end === from && format !== undefined) return;
  if (format !== undefined && writeFields(w, format, bytes, start, from, end) === end) return;
  w.length = before;
  generic(w, bytes, from, end);
}

/** `\# length hex` */
function generic(w: WireWriter, bytes: Uint8Array, from: number, end: number): void {
  byte(w, 0x5c);
  byte(w, 0x23);
  space(w);
  decimal(w, end - from);
  if (end === from) return;
  space(w);
  hex(w, bytes, from, end);
}

function writeFields(
  w: WireWriter,
  format: readonly Field[],
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
): number {
  let at = from;
  for (let i = 0; i < format.length; i++) {
    if (i > 0) space(w);
    const before = w.length;
    at = writeField(w, format[i], bytes, start, at, end);
    if (at < 0) return -1;
    if (w.length === before && i > 0) w.length--;
  }
  return at;
}

function writeField(
  w: WireWriter,
  field: Field,
  bytes: Uint8Array,
  start: number,
  at: number,
  end: number,
): number {
  switch (field) {
    case Field.U8:
      if (at + 1 > end) return -1;
      decimal(w, bytes[at]);
      return at + 1;
    case Field.U16:
      if (at + 2 > end) return -1;
      decimal(w, u16(bytes, at));
      return at + 2;
    case Field.U32:
      if (at + 4 > end) return -1;
      decimal(w, u32(bytes, at));
      return at + 4;
    case Field.NAME:
      return name(w, bytes, start, end, at);
    case Field.STRING:
      return characterString(w, bytes, at, end);
    case Field.STRINGS:
      return strings(w, bytes, at, end);
    case Field.TYPE:
      if (at + 2 > end) return -1;
      w.raw(typeName(u16(bytes, at)).text);
      return at + 2;
    case Field.TIME:
      if (at + 4 > end) return -1;
      timestamp(w, u32(bytes, at));
      return at + 4;
    case Field.HEX:
      return hex(w, bytes, at, end);
    case Field.BASE64:
      return base64(w, bytes, at, end);
    case Field.SALT:
      if (at >= end || at + 1 + bytes[at] > end) return -1;
      if (bytes[at] === 0) byte(w, 0x2d);
      return hex(w, bytes, at + 1, at + 1 + bytes[at]);
    case Field.HASH:
      if (at >= end || bytes[at] === 0 || at + 1 + bytes[at] > end) return -1;
      return base32hex(w, bytes, at + 1, at + 1 + bytes[at]);
    case Field.TYPES:
      return typeBitMaps(w, bytes, at, end);
    case Field.TAG:
      return tagString(w, bytes, at, end);
    case Field.QUOTED:
      return quoted(w, bytes, at, end);
    case Field.SERVICE_PARAMETERS:
      return serviceParameters(w, bytes, at, end);
    case Field.LOCATION:
      return location(w, bytes, at, end);
    case Field.IPV4:
      return at + 4 > end ? -1 : ipv4(w, bytes, at);
    case Field.IPV6:
      return at + 16 > end ? -1 : ipv6(w, bytes, at);
    case Field.EUI48:
      return hyphenated(w, bytes, at, end, 6);
    case Field.EUI64:
      return hyphenated(w, bytes, at, end, 8);
    case Field.LOCATOR64:
      return locator64(w, bytes, at, end);
    case Field.IPSEC_GATEWAY:
      return ipsecGateway(w, bytes, start, at, end);
    case Field.AMT_RELAY:
      return amtRelay(w, bytes, start, at, end);
    case Field.PREFIXES:
      return prefixes(w, bytes, at, end);
    case Field.HOST_IDENTITY:
      return hostIdentity(w, bytes, at, end);
    case Field.NAMES:
      return names(w, bytes, start, at, end);
  }
}

function strings(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at >= 0 && at < end) {
    if (at > from) space(w);
    at = characterString(w, bytes, at, end);
  }
  return at;
}

function names(w: WireWriter, bytes: Uint8Array, start: number, from: number, end: number): number {
  let at = from;
  while (at >= 0 && at < end) {
    if (at > from) space(w);
    at = name(w, bytes, start, end, at);
  }
  return at;
}

/** ( Window Block # | Bitmap Length | Bitmap )+, windows in ascending order, RFC 4034 section 4.1.2 */
function typeBitMaps(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  let previous = -1;
  let separate = false;
  while (at < end) {
    if (at + 2 > end) return -1;
    const window = bytes[at];
    const length = bytes[at + 1];
    at += 2;
    if (window <= previous || length === 0 || length > 32 || at + length > end) return -1;
    previous = window;
    for (let i = 0; i < length * 8; i++) {
      if ((bytes[at + (i >> 3)] & (0x80 >> (i & 7))) === 0) continue;
      if (separate) space(w);
      separate = true;
      w.raw(typeName(window * 256 + i).text);
    }
    at += length;
  }
  return at;
}

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
