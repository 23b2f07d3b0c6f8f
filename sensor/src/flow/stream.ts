/** What reassembly hands up: in-order bytes, holes and ends of one TCP connection. */

/** Who sent it: the side that opened the connection (or is guessed to have) is 0, the other 1. */
export type Side = 0 | 1;

export const CloseReason = {
  /** Both sides sent FIN. */
  FIN: 0,
  RST: 1,
  /** No packet for the idle limit. */
  IDLE: 2,
  /** The capture ended. */
  END: 3,
  /** The flow table was full and this was its oldest entry. */
  EVICTED: 4,
  /** A new connection took the same addresses and ports. */
  REUSED: 5,
} as const;
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason];

/** Receives one connection's streams. Never throws. */
export interface StreamHandler {
  /** In-order bytes[start, end) of one side, borrowed until the call returns. */
  data(side: Side, bytes: Uint8Array, start: number, end: number, timeNs: number): void;
  /** `length` bytes that will never be seen. */
  gap(side: Side, length: number, timeNs: number): void;
  /** One side will send no more. */
  fin(side: Side, timeNs: number): void;
  /** The connection is over; the last call. */
  close(reason: CloseReason, timeNs: number): void;
}

/** A connection as reassembly knows it. Words of addresses are as in `Packet`. */
export interface TcpFlow {
  /** Side 0, the opener. `sideKnown` is false for a guess (no SYN seen). */
  readonly address0: Int32Array;
  readonly port0: number;
  readonly address1: Int32Array;
  readonly port1: number;
  readonly sideKnown: boolean;
  readonly ipVersion: number;
  /** Time of the first packet seen. */
  readonly firstTimeNs: number;
}

/** Makes the handler of a new connection, or null to skip it (its bytes are counted as skipped). */
export interface StreamHandlerFactory {
  open(flow: TcpFlow): StreamHandler | null;
}
