/** RDATA of LOC, version 0 (RFC 1876). */
import type { WireWriter } from '@packetd/proto';
import { byte, decimal, padded, space } from './text.js';

const RDATA_BYTES = 16;
/** Equator and prime meridian, in thousandths of a second of arc. */
const ORIGIN = 2 ** 31;
/** Altitudes count centimetres from 100 000 m below the WGS 84 spheroid. */
const ALTITUDE_BASE_CM = 10_000_000;
const MS_PER_DEGREE = 3_600_000;

/** VERSION 1 | SIZE 1 | HORIZ PRE 1 | VERT PRE 1 | LATITUDE 4 | LONGITUDE 4 | ALTITUDE 4 */
export function location(w: WireWriter, bytes: Uint8Array, from: number, end: number): number {
  if (end - from !== RDATA_BYTES || bytes[from] !== 0) return -1;
  for (let at = from + 1; at < from + 4; at++) if (bytes[at] >> 4 > 9 || (bytes[at] & 15) > 9) return -1;
  const latitude = word(bytes, from + 4) - ORIGIN;
  const longitude = word(bytes, from + 8) - ORIGIN;
  if (Math.abs(latitude) > 90 * MS_PER_DEGREE || Math.abs(longitude) > 180 * MS_PER_DEGREE) return -1;
  angle(w, latitude, 0x4e, 0x53);
  space(w);
  angle(w, longitude, 0x45, 0x57);
  space(w);
  const altitude = word(bytes, from + 12) - ALTITUDE_BASE_CM;
  if (altitude < 0) byte(w, 0x2d);
  metres(w, Math.abs(altitude), true);
  // Each is a digit times a power of ten; from a metre on it has no decimals.
  for (let at = from + 1; at < from + 4; at++) {
    space(w);
    metres(w, (bytes[at] >> 4) * 10 ** (bytes[at] & 15), (bytes[at] & 15) < 2);
  }
  return end;
}

/** Degrees, minutes, seconds with three decimals, and the half of the globe. */
function angle(w: WireWriter, value: number, positive: number, negative: number): void {
  const ms = Math.abs(value);
  decimal(w, Math.floor(ms / MS_PER_DEGREE));
  space(w);
  decimal(w, Math.floor(ms / 60_000) % 60);
  space(w);
  decimal(w, Math.floor(ms / 1000) % 60);
  byte(w, 0x2e);
  padded(w, ms % 1000, 3);
  space(w);
  byte(w, value < 0 ? negative : positive);
}

/** Centimetres as metres. */
function metres(w: WireWriter, centimetres: number, decimals: boolean): void {
  decimal(w, Math.floor(centimetres / 100));
  if (decimals) {
    byte(w, 0x2e);
    padded(w, centimetres % 100, 2);
  }
  byte(w, 0x6d);
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
