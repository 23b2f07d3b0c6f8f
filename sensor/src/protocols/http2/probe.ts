/** Is it HTTP/2? By the preface, by the server's first SETTINGS, or by a chain of frames. */
import { type ProbeContext, Verdict } from '../decoder.js';
import {
  chain,
  FRAME_HEADER_BYTES,
  FrameType,
  PREFACE,
  plausibleHeader,
  streamId,
  uint24,
} from './frames.js';
import { HeaderList, HpackDecoder, Pseudo } from './hpack.js';

/** Identifiers of settings that are registered. */
const MAX_SETTING = 0x10;
/** Whole frames that a connection joined in its midst must show. */
const FRAMES = 2;

const list = new HeaderList();

export function probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  if (bytes[start] === PREFACE[0]) {
    const length = Math.min(PREFACE.length, end - start);
    let i = 0;
    while (i < length && bytes[start + i] === PREFACE[i]) i++;
    if (i === PREFACE.length) return Verdict.CLIENT;
    if (i === length) return Verdict.MORE;
  }
  if (bytes[start] !== 0 || (end > start + 1 && bytes[start + 1] > 0x40)) return Verdict.NO;
  if (end - start < FRAME_HEADER_BYTES) return Verdict.MORE;
  if (!plausibleHeader(bytes, start)) return Verdict.NO;
  if (context.fromStart) return context.side === 1 ? firstSettings(bytes, start, end) : Verdict.NO;
  return joined(bytes, start, end);
}

/** A server begins with SETTINGS (RFC 9113 section 3.4). */
function firstSettings(bytes: Uint8Array, start: number, end: number): Verdict {
  if (bytes[start + 3] !== FrameType.SETTINGS || bytes[start + 4] !== 0) return Verdict.NO;
  const stop = start + FRAME_HEADER_BYTES + uint24(bytes, start);
  for (let at = start + FRAME_HEADER_BYTES; at + 6 <= Math.min(stop, end); at += 6) {
    const id = (bytes[at] << 8) | bytes[at + 1];
    // Unknown ones are allowed, and GREASE makes use of that (0x?a?a).
    if (id > MAX_SETTING && (bytes[at] & 0x0f) !== 0x0a) return Verdict.NO;
  }
  if (stop > end) return Verdict.MORE;
  if (stop === start + FRAME_HEADER_BYTES && stop === end) return Verdict.MORE;
  return chain(bytes, start, end, FRAMES) === -1 ? Verdict.NO : Verdict.SERVER;
}

/** Whole frames, and a header block among them that tells which side speaks. */
function joined(bytes: Uint8Array, start: number, end: number): Verdict {
  if (chain(bytes, start, end, FRAMES) === -1) return Verdict.NO;
  for (let at = start; at + FRAME_HEADER_BYTES <= end; ) {
    if (!plausibleHeader(bytes, at)) return Verdict.NO;
    const payload = at + FRAME_HEADER_BYTES;
    const stop = payload + uint24(bytes, at);
    if (stop > end) return Verdict.MORE;
    if (bytes[at + 3] === FrameType.HEADERS && streamId(bytes, at + 5) % 2 === 1) {
      return side(bytes, payload, stop, bytes[at + 4]);
    }
    at = stop;
  }
  return Verdict.MORE;
}

function side(bytes: Uint8Array, payload: number, stop: number, flags: number): Verdict {
  let from = payload;
  let to = stop;
  if ((flags & 8) !== 0) {
    to -= bytes[from];
    from++;
  }
  if ((flags & 32) !== 0) from += 5;
  if (from >= to || !new HpackDecoder(false).decode(bytes, from, to, list)) return Verdict.NO;
  if (list.find(Pseudo.METHOD) >= 0) return Verdict.CLIENT;
  return list.find(Pseudo.STATUS) >= 0 ? Verdict.SERVER : Verdict.MORE;
}
