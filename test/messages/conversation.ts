/** Conversations written as capture files: whole, cut into small segments, joined in their midst, with segments lost. */
import { writeFileSync } from 'node:fs';

/** What one side says at a time. */
export interface Message {
  readonly from: 'client' | 'server';
  readonly bytes: Uint8Array;
}

/** Text is Latin-1, a number one byte. */
export type Part = string | number | Uint8Array;

/** Bytes of a message by parts. */
export function bytesOf(...parts: Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) =>
      typeof part === 'string'
        ? Buffer.from(part, 'latin1')
        : typeof part === 'number'
          ? Buffer.of(part)
          : part,
    ),
  );
}

export const client = (...parts: Part[]): Message => ({
  from: 'client',
  bytes: bytesOf(...parts),
});
export const server = (...parts: Part[]): Message => ({
  from: 'server',
  bytes: bytesOf(...parts),
});

/** Big-endian integers, and little-endian ones. */
export const u16 = (value: number) => Buffer.of(value >>> 8, value);
export const u32 = (value: number) => Buffer.of(value >>> 24, value >>> 16, value >>> 8, value);
export const u64 = (value: number | bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};
export const u16le = (value: number) => u16(value).reverse();
export const u24le = (value: number) => u32(value).reverse().subarray(0, 3);
export const u32le = (value: number) => u32(value).reverse();
export const u64le = (value: number | bigint) => u64(value).reverse();

export interface Shape {
  readonly serverPort: number;
  /** The capture has the SYN; without it the connection is joined in its midst. */
  readonly handshake?: boolean;
  /** Positions at which a message is cut into segments; absent: into one. */
  readonly cuts?: (message: Uint8Array, index: number) => Iterable<number>;
  /** Says of the nth segment whether the capture has it. */
  readonly keep?: (segment: number) => boolean;
  /** The capture has FINs at the end. */
  readonly fin?: boolean;
}

const LINKTYPE_RAW = 101;
const SEGMENT_NS = 100_000;
const START_SECONDS = 1_700_000_000;
const [FIN, SYN, PUSH, ACK] = [0x01, 0x02, 0x08, 0x10];
const FIRST_PORT = 10_000;
const PORTS = 50_000;

/** A capture in memory. Every connection comes from a client address and port of its own. */
export class CaptureBuilder {
  private readonly parts: Buffer[] = [];
  private connections = 0;
  private timeNs = 0;

  constructor() {
    const header = Buffer.alloc(24);
    // Times in nanoseconds.
    header.writeUInt32LE(0xa1b23c4d, 0);
    header.writeUInt16LE(2, 4);
    header.writeUInt16LE(4, 6);
    header.writeUInt32LE(0x40000, 16);
    header.writeUInt32LE(LINKTYPE_RAW, 20);
    this.parts.push(header);
  }

  /** Appends a connection; answers its client's port and how many segments with data it had before any was left out. */
  add(messages: readonly Message[], shape: Shape): { clientPort: number; segments: number } {
    const clientPort = FIRST_PORT + (this.connections % PORTS);
    const network = Math.floor(this.connections / PORTS);
    this.connections++;
    const ends = {
      client: { address: Buffer.of(10, 1, network, 1), port: clientPort, sequence: 1_000_000 },
      server: { address: Buffer.of(10, 2, network, 1), port: shape.serverPort, sequence: 5_000_000 },
    };
    type End = keyof typeof ends;
    const send = (from: End, flags: number, payload: Uint8Array, keep = true) => {
      const [source, destination] =
        from === 'client' ? [ends.client, ends.server] : [ends.server, ends.client];
      if (keep) this.segment(source, destination, flags, payload);
      source.sequence += payload.length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0);
    };
    const none = new Uint8Array(0);
    if (shape.handshake ?? true) {
      send('client', SYN, none);
      send('server', SYN | ACK, none);
      send('client', ACK, none);
    }
    let segments = 0;
    for (const [index, { from, bytes }] of messages.entries()) {
      let start = 0;
      for (const end of [...(shape.cuts?.(bytes, index) ?? []), bytes.length]) {
        if (end <= start) continue;
        send(from, PUSH | ACK, bytes.subarray(start, end), shape.keep?.(segments++) ?? true);
        start = end;
      }
    }
    if (shape.fin ?? true) {
      send('client', FIN | ACK, none);
      send('server', FIN | ACK, none);
      send('client', ACK, none);
    }
    return { clientPort, segments };
  }

  write(path: string): string {
    writeFileSync(path, Buffer.concat(this.parts));
    return path;
  }

  private segment(
    source: { address: Buffer; port: number; sequence: number },
    destination: { address: Buffer; port: number; sequence: number },
    flags: number,
    payload: Uint8Array,
  ): void {
    this.timeNs += SEGMENT_NS;
    const length = 40 + payload.length;
    const frame = Buffer.alloc(16 + length);
    frame.writeUInt32LE(START_SECONDS + Math.floor(this.timeNs / 1e9), 0);
    frame.writeUInt32LE(this.timeNs % 1e9, 4);
    frame.writeUInt32LE(length, 8);
    frame.writeUInt32LE(length, 12);
    frame[16] = 0x45;
    frame.writeUInt16BE(length, 18);
    frame[24] = 64;
    frame[25] = 6;
    source.address.copy(frame, 28);
    destination.address.copy(frame, 32);
    frame.writeUInt16BE(source.port, 36);
    frame.writeUInt16BE(destination.port, 38);
    frame.writeUInt32BE(source.sequence >>> 0, 40);
    frame.writeUInt32BE((flags & ACK) === 0 ? 0 : destination.sequence >>> 0, 44);
    frame[48] = 0x50;
    frame[49] = flags;
    frame.writeUInt16BE(0xffff, 50);
    frame.set(payload, 56);
    this.parts.push(frame);
  }
}
