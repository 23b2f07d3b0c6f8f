/** The content header: body size and the properties that are recorded (section 2.3.5.2). */
import { AmqpTag } from '@packetd/proto';
import type { Exchange } from '../exchange.js';
import type { TraceReader } from '../trace-context.js';
import { uint16, uint32, uint64 } from './wire.js';

/** class (2), weight (2), body size (8), property flags (2). */
const FIXED_BYTES = 14;

const Property = {
  CONTENT_TYPE: 15,
  CONTENT_ENCODING: 14,
  HEADERS: 13,
  DELIVERY_MODE: 12,
  PRIORITY: 11,
  CORRELATION_ID: 10,
  REPLY_TO: 9,
  EXPIRATION: 8,
  MESSAGE_ID: 7,
} as const;
const PERSISTENT = 2;

/** Size of the body that a header frame's payload announces; -1 where it is malformed. */
export function bodySize(bytes: Uint8Array, start: number, end: number): number {
  return end - start < FIXED_BYTES ? -1 : uint64(bytes, start + 4);
}

/** Writes the properties of the header frame's payload [start, end). Stops at what is malformed. */
export function writeProperties(
  exchange: Exchange,
  trace: TraceReader,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const { detail } = exchange;
  const flags = uint16(bytes, start + 12);
  let at = start + FIXED_BYTES;
  for (let property = Property.CONTENT_TYPE as number; property >= Property.MESSAGE_ID; property--) {
    if ((flags & (1 << property)) === 0) continue;
    if (at >= end) return;
    if (property === Property.HEADERS) {
      if (at + 4 > end) return;
      const stop = at + 4 + uint32(bytes, at);
      if (stop > end) return;
      readTrace(trace, bytes, at + 4, stop);
      at = stop;
      continue;
    }
    if (property === Property.DELIVERY_MODE || property === Property.PRIORITY) {
      if (property === Property.DELIVERY_MODE && bytes[at] === PERSISTENT)
        detail.bool(AmqpTag.persistent, true);
      at++;
      continue;
    }
    const from = at + 1;
    at = from + bytes[at];
    if (at > end) return;
    const tag = TEXTS[property];
    if (tag > 0 && at > from) detail.text(tag, bytes, from, at);
  }
}

/** Tag of the text property with this bit; 0 where it is not recorded. */
const TEXTS: number[] = Array(16).fill(0);
TEXTS[Property.CONTENT_TYPE] = AmqpTag.contentType;
TEXTS[Property.CORRELATION_ID] = AmqpTag.correlationId;
TEXTS[Property.REPLY_TO] = AmqpTag.replyTo;
TEXTS[Property.MESSAGE_ID] = AmqpTag.messageId;

const LONG_STRING = 0x53;
const BINARY = 0x78;

/** Entries of a field table: name, type, value (section 4.2.5.5, types as RabbitMQ uses them). */
function readTrace(trace: TraceReader, bytes: Uint8Array, start: number, end: number): void {
  let at = start;
  while (at < end) {
    const name = at + 1;
    const nameEnd = name + bytes[at];
    if (nameEnd >= end) return;
    const type = bytes[nameEnd];
    const value = nameEnd + 1;
    let size = valueSize(type);
    if (size < 0) {
      if (size === UNKNOWN || value + 4 > end) return;
      size = 4 + uint32(bytes, value);
    }
    if (value + size > end) return;
    if (type === LONG_STRING || type === BINARY)
      trace.header(bytes, name, nameEnd, bytes, value + 4, value + size);
    at = value + size;
  }
}

const PREFIXED = -1;
const UNKNOWN = -2;

const SIZES = new Int8Array(128).fill(UNKNOWN);
for (const [types, size] of [
  ['V', 0],
  ['tbB', 1],
  ['sUu', 2],
  ['Iif', 4],
  ['D', 5],
  ['lLdT', 8],
  ['SxAF', PREFIXED],
] as const) {
  for (const type of types) SIZES[type.charCodeAt(0)] = size;
}

/** Bytes of a field value; PREFIXED where a 32-bit length comes first. */
function valueSize(type: number): number {
  return type < 128 ? SIZES[type] : UNKNOWN;
}
