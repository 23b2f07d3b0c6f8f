/**
 * Packets that wait for what they acknowledge. Captures are not in the order of the wire where packets of
 * both directions come through several queues: an answer may stand before its request. It is held back for
 * a moment, and whatever its side sends then; what it acknowledges is lost when it has not come by then.
 */
import { Packet } from '../packet/packet.js';
import { takeBuffer } from './buffers.js';
import type { Half } from './half.js';

/** What `hold` takes of one connection. */
export const MAX_DEFERRED_PACKETS = 8;

export class DeferredPackets {
  private readonly packets: Packet[] = [];

  /** `half` sent them, and `peer` what is missing. */
  constructor(
    readonly half: Half,
    readonly peer: Half,
    readonly sinceNs: number,
  ) {}

  get isFull(): boolean {
    return this.packets.length >= MAX_DEFERRED_PACKETS;
  }

  /** Keeps a copy, whose bytes whoever takes it gives back. */
  hold(p: Packet): void {
    const copy = new Packet();
    Object.assign(copy, p);
    copy.payloadStart = 0;
    copy.payloadEnd = p.payloadEnd - p.payloadStart;
    copy.bytes = takeBuffer(copy.payloadEnd);
    copy.bytes.set(p.bytes.subarray(p.payloadStart, p.payloadEnd));
    this.packets.push(copy);
  }

  /** The next packet, or null: where `all` is false only one whose acknowledged bytes have come. */
  take(all: boolean): Packet | null {
    const next = this.packets[0];
    if (next === undefined) return null;
    if (!all && ((next.acknowledgement - this.peer.next) | 0) > 0) return null;
    this.packets.shift();
    return next;
  }

  get isEmpty(): boolean {
    return this.packets.length === 0;
  }
}
