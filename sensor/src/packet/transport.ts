/** TCP (RFC 9293) and UDP (RFC 768). Checksums are not verified, as for IP. */
import { type Cursor, IpProtocol, missing, readInt32, readUint16 } from './cursor.js';
import { type Packet, ParseStatus } from './packet.js';

/** A header whose options were cut by the capture is OK: the packet then has no captured payload. */
export function readTcp(c: Cursor, packet: Packet): ParseStatus {
  const { bytes, position } = c;
  if (position + 20 > c.end) return missing(c, 20);
  const headerLength = (bytes[position + 12] >> 4) * 4;
  if (headerLength < 20 || position + headerLength > c.declaredEnd) return ParseStatus.MALFORMED;
  const payloadStart = position + headerLength;
  putTcp(packet, bytes, position);
  packet.payloadStart = Math.min(payloadStart, c.end);
  packet.payloadEnd = c.end;
  packet.payloadLength = c.declaredEnd - payloadStart;
  return ParseStatus.OK;
}

/** Writes what the TCP header at `position`, which is there, says into `packet`; all but where the payload is. */
export function putTcp(packet: Packet, bytes: Uint8Array, position: number): void {
  packet.bytes = bytes;
  packet.protocol = IpProtocol.TCP;
  packet.sourcePort = readUint16(bytes, position);
  packet.destinationPort = readUint16(bytes, position + 2);
  packet.sequence = readInt32(bytes, position + 4);
  packet.acknowledgement = readInt32(bytes, position + 8);
  packet.flags = bytes[position + 13];
}

/**
 * The length field counts where it is less than what IP announces; 0 is what a jumbogram
 * (RFC 2675) and offload have. Leaves the cursor at the payload, for tunnels.
 */
export function readUdp(c: Cursor, packet: Packet): ParseStatus {
  const { bytes, position } = c;
  if (position + 8 > c.end) return missing(c, 8);
  const length = readUint16(bytes, position + 4);
  if (length !== 0) {
    if (length < 8) return ParseStatus.MALFORMED;
    if (position + length < c.declaredEnd) c.declaredEnd = position + length;
    if (c.end > c.declaredEnd) c.end = c.declaredEnd;
  }
  putUdp(packet, bytes, position);
  packet.payloadEnd = c.end;
  packet.payloadLength = c.declaredEnd - packet.payloadStart;
  c.position = packet.payloadStart;
  return ParseStatus.OK;
}

/** Writes what the UDP header at `position`, which is there, says into `packet`; all but where the payload ends. */
export function putUdp(packet: Packet, bytes: Uint8Array, position: number): void {
  packet.bytes = bytes;
  packet.protocol = IpProtocol.UDP;
  packet.sourcePort = readUint16(bytes, position);
  packet.destinationPort = readUint16(bytes, position + 2);
  packet.sequence = 0;
  packet.acknowledgement = 0;
  packet.flags = 0;
  packet.payloadStart = position + 8;
}
