/** The user agent of packetd's own requests: 'packetd', alone or before a space or a slash. */
const PACKETD = Uint8Array.from(Buffer.from('packetd'));
const SPACE = 0x20;
const SLASH = 0x2f;

export function isOwnAgent(bytes: Uint8Array, start: number, end: number): boolean {
  const after = start + PACKETD.length;
  if (end < after) return false;
  for (let i = 0; i < PACKETD.length; i++) if (bytes[start + i] !== PACKETD[i]) return false;
  return end === after || bytes[after] === SPACE || bytes[after] === SLASH;
}
