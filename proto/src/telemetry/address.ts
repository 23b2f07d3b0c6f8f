/** IP addresses as text: IPv4 dotted, IPv6 by RFC 5952, IPv4-mapped as `::ffff:10.0.0.1` (§5). */

/** Longest text of an address. */
export const MAX_ADDRESS_TEXT_BYTES = 45;

const HEX_DIGITS = new Uint8Array([...'0123456789abcdef'].map((c) => c.charCodeAt(0)));

/** Whether [start, end) has the length of an address. */
export function isAddress(start: number, end: number): boolean {
  return end - start === 4 || end - start === 16;
}

/** Writes the address in [start, end), for which `isAddress` holds; answers the position behind it. */
export function putAddress(dst: Uint8Array, at: number, src: Uint8Array, start: number, end: number): number {
  return end - start === 4 ? putIpv4(dst, at, src, start) : putIpv6(dst, at, src, start);
}

function putIpv4(dst: Uint8Array, at: number, src: Uint8Array, start: number): number {
  for (let i = 0; i < 4; i++) {
    const byte = src[start + i];
    if (i > 0) dst[at++] = 0x2e;
    if (byte >= 100) {
      const hundreds = byte >= 200 ? 2 : 1;
      const rest = byte - hundreds * 100;
      dst[at++] = 0x30 + hundreds;
      dst[at++] = 0x30 + ((rest / 10) | 0);
      dst[at++] = 0x30 + (rest % 10);
    } else {
      if (byte >= 10) dst[at++] = 0x30 + ((byte / 10) | 0);
      dst[at++] = 0x30 + (byte % 10);
    }
  }
  return at;
}

function putIpv6(dst: Uint8Array, at: number, src: Uint8Array, start: number): number {
  // The first longest run of two or more zero groups becomes `::` (§4.2).
  let runAt = -1;
  let runLength = 1;
  for (let i = 0; i < 8; ) {
    let j = i;
    while (j < 8 && src[start + 2 * j] === 0 && src[start + 2 * j + 1] === 0) j++;
    if (j - i > runLength) {
      runAt = i;
      runLength = j - i;
    }
    i = j + 1;
  }
  const mapped = runAt === 0 && runLength === 5 && src[start + 10] === 0xff && src[start + 11] === 0xff;
  const groups = mapped ? 6 : 8;
  for (let i = 0; i < groups; i++) {
    if (i === runAt) {
      dst[at++] = 0x3a;
      dst[at++] = 0x3a;
      i += runLength - 1;
      continue;
    }
    if (i > 0 && i !== runAt + runLength) dst[at++] = 0x3a;
    const group = (src[start + 2 * i] << 8) | src[start + 2 * i + 1];
    if (group > 0xfff) dst[at++] = HEX_DIGITS[group >>> 12];
    if (group > 0xff) dst[at++] = HEX_DIGITS[(group >>> 8) & 15];
    if (group > 0xf) dst[at++] = HEX_DIGITS[(group >>> 4) & 15];
    dst[at++] = HEX_DIGITS[group & 15];
  }
  if (!mapped) return at;
  dst[at++] = 0x3a;
  return putIpv4(dst, at, src, start + 12);
}

const scratch = new Uint8Array(MAX_ADDRESS_TEXT_BYTES);

/** Text of an address of 4 or 16 bytes; '' for any other length. */
export function addressText(address: Uint8Array): string {
  if (!isAddress(0, address.length)) return '';
  const end = putAddress(scratch, 0, address, 0, address.length);
  return String.fromCharCode.apply(null, scratch.subarray(0, end) as unknown as number[]);
}
