/** One direction of a connection: where in its packets the bytes are. */
import { Input } from '../decoder.js';
import type { Command } from './command.js';
import { COMPRESSED_HEADER_BYTES } from './compression.js';
import { MAX_PAYLOAD_BYTES } from './wire.js';

const EMPTY = new Uint8Array(0);

export class Lane {
  /** Rest of the packet that is passed over. */
  skip = 0;
  /** The packet goes on in the next one. */
  continues = false;
  /** To whom the bytes that are passed over belong; null to nobody. */
  owner: Command | null = null;
  /** They belong to nobody, but are understood. */
  silent = false;
  /** The owner's answer is whole with the bytes that are passed over. */
  finishes = false;
  /** Packet boundaries, or on the server's side the command that is answered, are not known. */
  lost = false;

  /** Rest of the compressed packet under way, and its length unpacked: 0 where it is not compressed. */
  packetBytes = 0;
  unpackedBytes = 0;
  packetTimeNs = 0;
  packetSegment = 0;
  packed: Uint8Array = EMPTY;
  packedLength = 0;
  /** Wire bytes of compressed packets that no message has been charged with yet. */
  wireBytes = 0;
  /** Unpacked bytes, of which some wait for the rest of their packet. */
  private waiting: Uint8Array = EMPTY;
  readonly plain = new Input();
  private compressed = false;

  lose(): void {
    this.skip = 0;
    this.continues = false;
    this.owner = null;
    this.finishes = false;
    this.lost = true;
  }

  beginPacket(length: number, unpackedBytes: number, timeNs: number, segment: number): void {
    this.compressed = true;
    this.packetBytes = length;
    this.unpackedBytes = unpackedBytes;
    this.packetTimeNs = timeNs;
    this.packetSegment = segment;
    this.wireBytes += COMPRESSED_HEADER_BYTES;
  }

  /** Keeps bytes of a compressed packet until it is whole. */
  keep(bytes: Uint8Array, start: number, end: number): void {
    const length = this.packedLength + end - start;
    if (length > this.packed.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(this.packed.length * 2, MAX_PAYLOAD_BYTES)));
      grown.set(this.packed.subarray(0, this.packedLength));
      this.packed = grown;
    }
    this.packed.set(bytes.subarray(start, end), this.packedLength);
    this.packedLength = length;
  }

  /** Arrival of the byte at `at` of `input`; in a compressed packet, of the packet's first byte. */
  startOf(input: Input, at: number): number {
    return this.compressed && at >= input.freshFrom ? this.packetTimeNs : input.timeAt(at);
  }

  /** The segment of that byte. */
  firstSegmentOf(input: Input, at: number): number {
    return this.compressed && at >= input.freshFrom ? this.packetSegment : input.segmentAt(at);
  }

  /** Bytes on the wire: of compressed packets, all that nobody was charged with. */
  sizeOf(from: number, to: number): number {
    if (!this.compressed) return to - from;
    const size = this.wireBytes;
    this.wireBytes = 0;
    return size;
  }

  /** Puts unpacked bytes behind those that wait; `plain` is all of them. */
  append(bytes: Uint8Array, start: number, end: number, input: Input): void {
    const { plain } = this;
    const before = this.waiting.length;
    if (before === 0) {
      this.waiting = bytes.subarray(start, end);
    } else if (end > start) {
      const joined = new Uint8Array(before + end - start);
      joined.set(this.waiting);
      joined.set(bytes.subarray(start, end), before);
      this.waiting = joined;
    }
    plain.direction = input.direction;
    plain.bytes = this.waiting;
    plain.end = this.waiting.length;
    plain.timeNs = input.timeNs;
    plain.segment = input.segment;
    plain.freshFrom = before;
  }

  /** Drops what was consumed, and keeps a copy of the rest. */
  consumed(position: number): void {
    const { plain } = this;
    if (position >= plain.freshFrom) {
      plain.heldTimeNs = this.packetTimeNs;
      plain.heldSegment = this.packetSegment;
    }
    this.waiting = position === this.waiting.length ? EMPTY : this.waiting.slice(position);
  }
}
