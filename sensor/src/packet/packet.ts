/**
 * The innermost IP packet of a frame, as offsets into its bytes. One object per pipeline, filled
 * by `parseFrame` and reused; bytes are borrowed like the frame's.
 */
export class Packet {
  bytes: Uint8Array = new Uint8Array(0);
  /** 4 or 6. */
  ipVersion = 0;
  /** Addresses as four signed 32-bit words; an IPv4 address is 0, 0, 0xffff, address. */
  source0 = 0;
  source1 = 0;
  source2 = 0;
  source3 = 0;
  destination0 = 0;
  destination1 = 0;
  destination2 = 0;
  destination3 = 0;
  /** 6 (TCP) or 17 (UDP) after `ParseStatus.OK`. */
  protocol = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** Payload of TCP or UDP that was captured: bytes[payloadStart, payloadEnd). */
  payloadStart = 0;
  payloadEnd = 0;
  /** Payload length by the headers; more than what was captured where the frame was cut. */
  payloadLength = 0;
  /** TCP only, signed like the addresses. */
  sequence = 0;
  acknowledgement = 0;
  flags = 0;
  timeNs = 0;
  interfaceIndex = 0;
  /** Length of the frame on the wire. */
  wireLength = 0;
}

/** RFC 9293 section 3.1. */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;

/** Why a frame did or did not become a packet; each is a counter. */
export const ParseStatus = {
  OK: 0,
  /** No IP inside: ARP, LLDP, 802.11 … */
  NOT_IP: 1,
  /** IP, but neither TCP nor UDP. */
  NOT_TRANSPORT: 2,
  /** A fragment that was kept; the packet follows with its last fragment. */
  FRAGMENT_HELD: 3,
  TRUNCATED: 4,
  MALFORMED: 5,
  UNKNOWN_LINK: 6,
  TOO_DEEP: 7,
} as const;
export type ParseStatus = (typeof ParseStatus)[keyof typeof ParseStatus];
