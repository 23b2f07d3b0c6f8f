/**
 * Trace context that requests carry in header fields, for every protocol that has such fields:
 * W3C Trace Context level 1, B3 (single and multi), Jaeger `uber-trace-id`, Datadog, SkyWalking `sw8`.
 *
 * Where a request carries several, the first of that list wins. Ids of 64 bits are padded with zeros on
 * the left. Nothing is allocated per request.
 */
import { RoundTripTag, TraceContextTag, type WireWriter } from '@packetd/proto';

/** The fields that are read, by name. */
export const TraceHeader = {
  NONE: 0,
  TRACEPARENT: 1,
  TRACESTATE: 2,
  B3: 3,
  B3_TRACE_ID: 4,
  B3_SPAN_ID: 5,
  B3_SAMPLED: 6,
  B3_FLAGS: 7,
  UBER_TRACE_ID: 8,
  DATADOG_TRACE_ID: 9,
  DATADOG_PARENT_ID: 10,
  DATADOG_SAMPLING_PRIORITY: 11,
  DATADOG_TAGS: 12,
  SW8: 13,
} as const;
export type TraceHeader = (typeof TraceHeader)[keyof typeof TraceHeader];

const NAMES: readonly (readonly [Uint8Array, TraceHeader])[] = (
  [
    ['traceparent', TraceHeader.TRACEPARENT],
    ['tracestate', TraceHeader.TRACESTATE],
    ['b3', TraceHeader.B3],
    ['x-b3-traceid', TraceHeader.B3_TRACE_ID],
    ['x-b3-spanid', TraceHeader.B3_SPAN_ID],
    ['x-b3-sampled', TraceHeader.B3_SAMPLED],
    ['x-b3-flags', TraceHeader.B3_FLAGS],
    ['uber-trace-id', TraceHeader.UBER_TRACE_ID],
    ['x-datadog-trace-id', TraceHeader.DATADOG_TRACE_ID],
    ['x-datadog-parent-id', TraceHeader.DATADOG_PARENT_ID],
    ['x-datadog-sampling-priority', TraceHeader.DATADOG_SAMPLING_PRIORITY],
    ['x-datadog-tags', TraceHeader.DATADOG_TAGS],
    ['sw8', TraceHeader.SW8],
  ] as const
).map(([name, header]) => [Buffer.from(name, 'latin1'), header]);

/** Which of them the name [start, end), in any case, is. */
export function traceHeader(bytes: Uint8Array, start: number, end: number): TraceHeader {
  const length = end - start;
  const first = bytes[start] | 0x20;
  // t(race…), b(3), x(-b3-…, -datadog-…), u(ber…), s(w8)
  if (
    length < 2 ||
    length > 27 ||
    (first !== 0x74 && first !== 0x62 && first !== 0x78 && first !== 0x75 && first !== 0x73)
  ) {
    return TraceHeader.NONE;
  }
  for (let n = 0; n < NAMES.length; n++) {
    const name = NAMES[n][0];
    if (name.length !== length) continue;
    let i = 0;
    for (; i < length; i++) {
      const byte = bytes[start + i];
      if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== name[i]) break;
    }
    if (i === length) return NAMES[n][1];
  }
  return TraceHeader.NONE;
}

/** The ways of carrying a trace, the preferred first. */
const Scheme = { W3C: 0, B3_SINGLE: 1, B3_MULTI: 2, JAEGER: 3, DATADOG: 4, SKYWALKING: 5 } as const;
type Scheme = (typeof Scheme)[keyof typeof Scheme];
const SCHEMES = 6;

/** Longest tracestate kept (W3C Trace Context section 3.3.1.5 asks for at least 512). */
export const MAX_TRACESTATE_BYTES = 512;
const MAX_SW8_BYTES = 128;
/** traceparent version 00: `00-` 32 hex `-` 16 hex `-` 2 hex. */
const TRACEPARENT_BYTES = 55;
const COLON = 0x3a;
const DASH = 0x2d;

/** Collects the trace headers of one request; reused for the next after `write` or `reset`. */
export class TraceReader {
  /** A trace header was seen since the last `write` or `reset`. */
  seen = false;
  private readonly traceIds = new Uint8Array(16 * SCHEMES);
  private readonly spanIds = new Uint8Array(8 * SCHEMES);
  private readonly flags = new Uint8Array(SCHEMES);
  private readonly state = new Uint8Array(MAX_TRACESTATE_BYTES);
  private stateLength = 0;
  /** Fields named traceparent: several are none, for nobody can tell which is right. */
  private parents = 0;

  /** Takes the field if it is a trace header; says whether it was. */
  header(
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): boolean {
    const header = traceHeader(name, nameStart, nameEnd);
    if (header === TraceHeader.NONE) return false;
    this.take(header, value, valueStart, valueEnd);
    return true;
  }

  /** Takes the value of a field whose name is known already. Malformed values are left aside. */
  take(header: TraceHeader, bytes: Uint8Array, start: number, end: number): void {
    this.seen = true;
    switch (header) {
      case TraceHeader.TRACEPARENT:
        this.parents++;
        this.traceparent(bytes, start, end);
        return;
      case TraceHeader.TRACESTATE:
        this.tracestate(bytes, start, end);
        return;
      case TraceHeader.B3:
        this.b3(bytes, start, end);
        return;
      case TraceHeader.B3_TRACE_ID:
        this.hex(this.traceIds, Scheme.B3_MULTI * 16, 16, bytes, start, end);
        return;
      case TraceHeader.B3_SPAN_ID:
        this.hex(this.spanIds, Scheme.B3_MULTI * 8, 8, bytes, start, end);
        return;
      case TraceHeader.B3_SAMPLED:
      case TraceHeader.B3_FLAGS: {
        // `1`, or `true` of old tracers; flags 1 is debug, which implies sampled.
        const sampled = bytes[start] === 0x31 || (bytes[start] | 0x20) === 0x74;
        if (end > start && sampled) this.flags[Scheme.B3_MULTI] = 1;
        return;
      }
      case TraceHeader.UBER_TRACE_ID:
        this.jaeger(bytes, start, end);
        return;
      case TraceHeader.DATADOG_TRACE_ID:
        decimal(this.traceIds, Scheme.DATADOG * 16 + 8, bytes, start, end);
        return;
      case TraceHeader.DATADOG_PARENT_ID:
        decimal(this.spanIds, Scheme.DATADOG * 8, bytes, start, end);
        return;
      case TraceHeader.DATADOG_SAMPLING_PRIORITY:
        // -1 and 0 reject, 1 and 2 keep.
        if (end - start === 1 && (bytes[start] === 0x31 || bytes[start] === 0x32))
          this.flags[Scheme.DATADOG] = 1;
        return;
      case TraceHeader.DATADOG_TAGS:
        this.datadogTags(bytes, start, end);
        return;
      case TraceHeader.SW8:
        this.skywalking(bytes, start, end);
    }
  }

  /** Writes RoundTrip.trace where a trace id was found, and begins anew. */
  write(writer: WireWriter): void {
    if (!this.seen) return;
    for (let scheme = 0; scheme < SCHEMES; scheme++) {
      const at = scheme * 16;
      if (isZero(this.traceIds, at, at + 16) || (scheme === Scheme.W3C && this.parents > 1)) continue;
      const mark = writer.begin(RoundTripTag.trace);
      writer.blob(TraceContextTag.traceId, this.traceIds, at, at + 16);
      const span = scheme * 8;
      if (!isZero(this.spanIds, span, span + 8)) {
        writer.blob(TraceContextTag.parentSpanId, this.spanIds, span, span + 8);
      }
      writer.uintNonZero(TraceContextTag.flags, this.flags[scheme]);
      if (scheme === Scheme.W3C && this.stateLength > 0) {
        writer.text(TraceContextTag.tracestate, this.state, 0, this.stateLength);
      }
      writer.end(mark);
      break;
    }
    this.reset();
  }

  reset(): void {
    if (!this.seen) return;
    this.seen = false;
    this.traceIds.fill(0);
    this.spanIds.fill(0);
    this.flags.fill(0);
    this.stateLength = 0;
    this.parents = 0;
  }

  /** version "-" trace-id "-" parent-id "-" trace-flags, in lower-case hex; later versions may append to it. */
  private traceparent(bytes: Uint8Array, start: number, end: number): void {
    if (end - start < TRACEPARENT_BYTES) return;
    const version = hexByte(bytes, start);
    if (version < 0 || version === 0xff) return;
    if (version === 0 ? end - start !== TRACEPARENT_BYTES : end - start > 55 && bytes[start + 55] !== DASH)
      return;
    if (bytes[start + 2] !== DASH || bytes[start + 35] !== DASH || bytes[start + 52] !== DASH) return;
    for (let i = start; i < start + TRACEPARENT_BYTES; i++) if (bytes[i] >= 0x41 && bytes[i] <= 0x5a) return;
    const flags = hexByte(bytes, start + 53);
    if (flags < 0) return;
    if (!this.ids(Scheme.W3C, bytes, start + 3, start + 35, start + 36, start + 52)) return;
    this.flags[Scheme.W3C] = flags;
  }

  /** Several fields are one list (section 3.3.1.1). A list that is too long is cut at an entry's end. */
  private tracestate(bytes: Uint8Array, start: number, end: number): void {
    const comma = this.stateLength > 0 ? 1 : 0;
    let stop = end;
    if (this.stateLength + comma + stop - start > MAX_TRACESTATE_BYTES) {
      stop = start + MAX_TRACESTATE_BYTES - this.stateLength - comma;
      while (stop > start && bytes[stop] !== 0x2c) stop--;
    }
    if (stop <= start) return;
    if (comma === 1) this.state[this.stateLength++] = 0x2c;
    for (let i = start; i < stop; i++) this.state[this.stateLength++] = bytes[i];
  }

  /** TraceId "-" SpanId [ "-" SamplingState [ "-" ParentSpanId ] ], or the sampling state alone. */
  private b3(bytes: Uint8Array, start: number, end: number): void {
    const span = indexOf(bytes, start, end, DASH);
    if (span < 0) return;
    const sampling = indexOf(bytes, span + 1, end, DASH);
    if (!this.ids(Scheme.B3_SINGLE, bytes, start, span, span + 1, sampling < 0 ? end : sampling)) return;
    if (sampling < 0 || sampling + 1 >= end) return;
    const state = bytes[sampling + 1];
    if (state === 0x31 || state === 0x64) this.flags[Scheme.B3_SINGLE] = 1;
  }

  /** trace-id ":" span-id ":" parent-span-id ":" flags; the colons may be percent-encoded. */
  private jaeger(bytes: Uint8Array, start: number, end: number): void {
    const first = separator(bytes, start, end);
    if (first < 0) return;
    const span = first + separatorBytes(bytes, first);
    const second = separator(bytes, span, end);
    if (second < 0) return;
    const third = separator(bytes, second + separatorBytes(bytes, second), end);
    if (!this.ids(Scheme.JAEGER, bytes, start, first, span, second) || third < 0) return;
    const last = hexValue(bytes[end - 1]);
    if (last >= 0) this.flags[Scheme.JAEGER] = last & 1;
  }

  /** `_dd.p.tid=` and the upper 64 bits of the trace id in hex, among other tags. */
  private datadogTags(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; ) {
      let stop = indexOf(bytes, at, end, 0x2c);
      if (stop < 0) stop = end;
      if (stop - at === DATADOG_TID.length + 16) {
        let i = 0;
        while (i < DATADOG_TID.length && bytes[at + i] === DATADOG_TID[i]) i++;
        if (i === DATADOG_TID.length) this.hex(this.traceIds, Scheme.DATADOG * 16, 8, bytes, at + i, stop);
      }
      at = stop + 1;
    }
  }

  /**
   * sample "-" base64(trace id) "-" base64(segment id) "-" span id "-" … (Cross Process Propagation
   * Headers Protocol v3). The ids are text; they become 16 and 8 bytes as in the SkyWalking receiver of
   * the OpenTelemetry collector, so that both name the same span.
   */
  private skywalking(bytes: Uint8Array, start: number, end: number): void {
    const trace = indexOf(bytes, start, end, DASH) + 1;
    if (trace === 0) return;
    const segment = indexOf(bytes, trace, end, DASH) + 1;
    if (segment === 0) return;
    const span = indexOf(bytes, segment, end, DASH) + 1;
    if (span === 0) return;
    const spanEnd = indexOf(bytes, span, end, DASH);
    const at = Scheme.SKYWALKING * 16;
    const traceLength = base64(bytes, trace, segment - 1, sw8Text);
    if (!skywalkingId(sw8Text, traceLength, 0, this.traceIds, at)) {
      this.traceIds.fill(0, at, at + 16);
      return;
    }
    let spanId = 0;
    for (let i = span; i < (spanEnd < 0 ? end : spanEnd); i++) {
      if (bytes[i] < 0x30 || bytes[i] > 0x39) return;
      spanId = (spanId * 10 + bytes[i] - 0x30) >>> 0;
    }
    if (start < end && bytes[start] === 0x31) this.flags[Scheme.SKYWALKING] = 1;
    const segmentLength = base64(bytes, segment, span - 1, sw8Text);
    if (!skywalkingId(sw8Text, segmentLength, spanId, sw8Id, 0)) return;
    for (let i = 0; i < 8; i++) this.spanIds[Scheme.SKYWALKING * 8 + i] = sw8Id[i] ^ sw8Id[i + 8];
  }

  private ids(
    scheme: Scheme,
    b: Uint8Array,
    trace: number,
    traceEnd: number,
    span: number,
    spanEnd: number,
  ): boolean {
    if (!this.hex(this.traceIds, scheme * 16, 16, b, trace, traceEnd)) return false;
    const whole =
      this.hex(this.spanIds, scheme * 8, 8, b, span, spanEnd) &&
      !isZero(this.spanIds, scheme * 8, scheme * 8 + 8);
    if (!whole) this.traceIds.fill(0, scheme * 16, scheme * 16 + 16);
    return whole;
  }

  /** Hex digits into `size` bytes at `to`, right-aligned; false (and zeros) where they are not that. */
  private hex(
    out: Uint8Array,
    to: number,
    size: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const digits = end - start;
    out.fill(0, to, to + size);
    if (digits < 1 || digits > size * 2) return false;
    for (let i = 0; i < digits; i++) {
      const value = hexValue(bytes[end - 1 - i]);
      if (value < 0) {
        out.fill(0, to, to + size);
        return false;
      }
      out[to + size - 1 - (i >> 1)] |= (i & 1) === 0 ? value : value << 4;
    }
    return true;
  }
}

const DATADOG_TID = Buffer.from('_dd.p.tid=', 'latin1');
const sw8Text = new Uint8Array(MAX_SW8_BYTES);
const sw8Id = new Uint8Array(16);
const sw8Number = new Uint8Array(8);

/**
 * `hex32`, a UUID, or `hex32.number.number`: the 16 bytes of the hex, over which the span id and both
 * numbers are XORed in little-endian order (4, 4 and 8 bytes).
 */
function skywalkingId(
  text: Uint8Array,
  length: number,
  spanId: number,
  out: Uint8Array,
  to: number,
): boolean {
  let digits = 0;
  let at = 0;
  out.fill(0, to, to + 16);
  for (; at < length && digits < 32; at++) {
    if (text[at] === DASH && length === 36) continue;
    const value = hexValue(text[at]);
    if (value < 0) return false;
    out[to + (digits >> 1)] |= (digits & 1) === 0 ? value << 4 : value;
    digits++;
  }
  if (digits < 32) return false;
  for (let i = 0; i < 4; i++) out[to + i] ^= spanId >>> (8 * i);
  if (at === length) return true;
  const dot = indexOf(text, at + 1, length, 0x2e);
  if (text[at] !== 0x2e || dot < 0) return false;
  if (!decimal(sw8Number, 0, text, at + 1, dot)) return false;
  for (let i = 0; i < 4; i++) out[to + 4 + i] ^= sw8Number[7 - i];
  if (!decimal(sw8Number, 0, text, dot + 1, length)) return false;
  for (let i = 0; i < 8; i++) out[to + 8 + i] ^= sw8Number[7 - i];
  return true;
}

/** An unsigned 64-bit decimal number into 8 bytes, network order; false (and zeros) where it is not one. */
function decimal(out: Uint8Array, to: number, bytes: Uint8Array, start: number, end: number): boolean {
  out.fill(0, to, to + 8);
  if (end === start || end - start > 20) return false;
  for (let i = start; i < end; i++) {
    let carry = bytes[i] - 0x30;
    if (carry < 0 || carry > 9) carry = -1;
    for (let b = to + 7; b >= to && carry >= 0; b--) {
      const value = out[b] * 10 + carry;
      out[b] = value;
      carry = value >> 8;
    }
    if (carry !== 0) {
      out.fill(0, to, to + 8);
      return false;
    }
  }
  return true;
}

/** Decodes base64 (standard or URL alphabet) into `out`, as much as fits; answers the length. */
function base64(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let length = 0;
  let bits = 0;
  let count = 0;
  for (let i = start; i < end && length < out.length; i++) {
    const value = sextet(bytes[i]);
    if (value < 0) break;
    bits = ((bits << 6) | value) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out[length++] = bits >> count;
    }
  }
  return length;
}

function sextet(byte: number): number {
  if (byte >= 0x41 && byte <= 0x5a) return byte - 0x41;
  if (byte >= 0x61 && byte <= 0x7a) return byte - 0x47;
  if (byte >= 0x30 && byte <= 0x39) return byte + 4;
  if (byte === 0x2b || byte === 0x2d) return 62;
  return byte === 0x2f || byte === 0x5f ? 63 : -1;
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function hexByte(bytes: Uint8Array, at: number): number {
  const high = hexValue(bytes[at]);
  const low = hexValue(bytes[at + 1]);
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

function indexOf(bytes: Uint8Array, start: number, end: number, byte: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === byte) return i;
  return -1;
}

/** Position of the next `:` or `%3A`, or -1. */
function separator(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    if (bytes[i] === COLON) return i;
    if (bytes[i] === 0x25 && i + 2 < end && bytes[i + 1] === 0x33 && (bytes[i + 2] | 0x20) === 0x61) return i;
  }
  return -1;
}

function separatorBytes(bytes: Uint8Array, at: number): number {
  return bytes[at] === COLON ? 1 : 3;
}
