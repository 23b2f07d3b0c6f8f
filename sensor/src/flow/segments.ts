/** Packets and a recording factory for the tests of this folder. */
import { Packet, TcpFlag } from '../packet/packet.js';
import type { CloseReason, Side, StreamHandler, StreamHandlerFactory, TcpFlow } from './stream.js';

export const CLIENT = { address: 0x0a000001, port: 40000 };
export const SERVER = { address: 0x0a000002, port: 80 };

/** Flag letters as tcpdump writes them. */
const LETTERS: Readonly<Record<string, number>> = {
  S: TcpFlag.SYN,
  F: TcpFlag.FIN,
  R: TcpFlag.RST,
  P: TcpFlag.PSH,
  '.': TcpFlag.ACK,
};

export interface SegmentFields {
  from?: 'client' | 'server';
  flags?: string;
  seq: number;
  ack?: number;
  data?: string | Uint8Array;
  /** Payload length by the headers, where the capture has less. */
  length?: number;
  ms?: number;
  client?: { address: number; port: number };
  server?: { address: number; port: number };
}

/** A packet; by default the client's, with ACK alone among the flags where `ack` is given. */
export function segment(f: SegmentFields): Packet {
  const p = new Packet();
  const client = f.client ?? CLIENT;
  const server = f.server ?? SERVER;
  const [source, destination] = f.from === 'server' ? [server, client] : [client, server];
  const payload =
    typeof f.data === 'string' ? new TextEncoder().encode(f.data) : (f.data ?? new Uint8Array(0));
  // Not at offset 0, so that a mixed-up offset shows.
  p.bytes = new Uint8Array(payload.length + 11).fill(0xee);
  p.bytes.set(payload, 7);
  p.payloadStart = 7;
  p.payloadEnd = 7 + payload.length;
  p.payloadLength = f.length ?? payload.length;
  p.ipVersion = 4;
  p.source2 = 0xffff;
  p.source3 = source.address | 0;
  p.destination2 = 0xffff;
  p.destination3 = destination.address | 0;
  p.protocol = 6;
  p.sourcePort = source.port;
  p.destinationPort = destination.port;
  p.sequence = f.seq | 0;
  p.acknowledgement = (f.ack ?? 0) | 0;
  for (const letter of f.flags ?? (f.ack === undefined ? '' : '.')) p.flags |= LETTERS[letter];
  p.timeNs = (f.ms ?? 0) * 1e6;
  p.wireLength = 54 + p.payloadLength;
  return p;
}

/** Writes what comes up as lines: `0 text`, `0 gap 5`, `1 fin`, `close 1`. */
export class Recorder implements StreamHandlerFactory, StreamHandler {
  readonly lines: string[] = [];
  readonly flows: TcpFlow[] = [];
  readonly times: number[] = [];
  wanted = true;

  open(flow: TcpFlow): StreamHandler | null {
    this.flows.push(flow);
    return this.wanted ? this : null;
  }

  data(side: Side, bytes: Uint8Array, start: number, end: number, timeNs: number): void {
    this.line(`${side} ${new TextDecoder().decode(bytes.subarray(start, end))}`, timeNs);
  }

  gap(side: Side, length: number, timeNs: number): void {
    this.line(`${side} gap ${length}`, timeNs);
  }

  fin(side: Side, timeNs: number): void {
    this.line(`${side} fin`, timeNs);
  }

  close(reason: CloseReason, timeNs: number): void {
    this.line(`close ${reason}`, timeNs);
  }

  private line(text: string, timeNs: number): void {
    this.lines.push(text);
    this.times.push(timeNs);
  }
}
