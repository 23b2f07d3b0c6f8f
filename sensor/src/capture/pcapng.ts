/**
 * The pcapng file format, draft-ietf-opsawg-pcapng (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html).
 *
 *     File   => Block*                                       first block: SectionHeader
 *     Block  => type u32, length u32, body, length u32       length: of the whole block, a multiple of 4
 *     SectionHeader        => byteOrder u32, major u16, minor u16, sectionLength i64, Option*
 *     InterfaceDescription => linkType u16, reserved u16, snapLength u32, Option*
 *     EnhancedPacket       => interface u32, timeHigh u32, timeLow u32, captured u32, original u32, bytes, Option*
 *     Packet (obsolete)    => interface u16, drops u16, timeHigh u32, timeLow u32, captured u32, original u32, bytes, Option*
 *     SimplePacket         => original u32, bytes
 *     Option => code u16, length u16, value, padding to 32 bits
 */

import { type Clock, Frame } from './engine.js';
import { type Input, WINDOW_BYTES } from './input.js';
import { type CaptureReader, MAX_FRAME_BYTES, ReadStatus } from './pcap.js';

/** Longest block, as Wireshark's. */
export const MAX_BLOCK_BYTES = 16 << 20;
/** How much of a block is looked at; options beyond it are passed over. */
const MAX_HELD_BYTES = WINDOW_BYTES >> 1;
const MAX_INTERFACES = 4096;

const BlockType = {
  SECTION_HEADER: 0x0a0d0d0a,
  INTERFACE_DESCRIPTION: 1,
  PACKET: 2,
  SIMPLE_PACKET: 3,
  ENHANCED_PACKET: 6,
} as const;

/** Section 3.5, 4.1 and 4.2. */
const OptionCode = { END: 0, IF_TSRESOL: 9, IF_TSOFFSET: 14 } as const;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const BYTE_ORDER_MAGIC_SWAPPED = 0x4d3c2b1a;
/** Above it, steps of the division in `time` would pass 2^53. */
const MAX_EXACT_TICKS_PER_SECOND = 2n ** 32n;
/** Type and both lengths. */
const BLOCK_OVERHEAD_BYTES = 12;
const SECTION_HEADER_BYTES = 28;
const INTERFACE_DESCRIPTION_BYTES = 20;
const ENHANCED_PACKET_BYTES = 32;
const SIMPLE_PACKET_BYTES = 16;

/** The block was read and is no packet. */
const NO_FRAME = -1;
type BlockStatus = ReadStatus | typeof NO_FRAME;

export function isPcapng(magic: number): boolean {
  return magic === BlockType.SECTION_HEADER;
}

interface Interface {
  linkType: number;
  /** 0: no limit. */
  snapLength: number;
  ticksPerSecond: number;
  /** Set where a tick is too short for exact doubles. */
  bigTicksPerSecond: bigint | null;
  offsetSeconds: number;
}

export class PcapngReader implements CaptureReader {
  damage = '';
  private littleEndian = false;
  /** Length of the block read last, to be passed over: a frame of it may still be in use. */
  private blockBytes = 0;
  private interfaces: Interface[] = [];
  /** Interfaces of the sections before: numbers in frames are by file, those in blocks by section. */
  private firstInterface = 0;

  constructor(
    private readonly input: Input,
    private readonly clock: Clock,
  ) {}

  /** The first block is a section header, as the file's first bytes have told. */
  begin(): ReadStatus {
    const status = this.readBlock(new Frame());
    return status === NO_FRAME ? ReadStatus.OK : status;
  }

  next(frame: Frame): ReadStatus {
    for (;;) {
      const status = this.readBlock(frame);
      if (status !== NO_FRAME) return status;
    }
  }

  private readBlock(frame: Frame): BlockStatus {
    const { input } = this;
    const { view } = input;
    if (!input.skip(this.blockBytes)) return ReadStatus.CUT;
    this.blockBytes = 0;
    if (!input.hold(BLOCK_OVERHEAD_BYTES)) return input.end === input.start ? ReadStatus.END : ReadStatus.CUT;
    const type = view.getUint32(input.start, this.littleEndian);
    if (type === BlockType.SECTION_HEADER && !this.readByteOrder(view.getUint32(input.start + 8))) {
      return this.damaged('a section header without its byte-order magic');
    }
    const length = view.getUint32(input.start + 4, this.littleEndian);
    if (length < BLOCK_OVERHEAD_BYTES || length > MAX_BLOCK_BYTES) {
      return this.damaged(`a block of ${length} bytes`);
    }
    // Early writers (ntar) leave the padding out of the length; as Wireshark, read those too.
    const padded = (length + 3) & ~3;
    const whole = padded <= MAX_HELD_BYTES;
    const held = whole ? padded : MAX_HELD_BYTES;
    if (!input.hold(held)) return ReadStatus.CUT;
    const start = input.start;
    const end = whole ? start + padded - 4 : start + held;
    if (whole && view.getUint32(end, this.littleEndian) !== length) {
      return this.damaged('a block whose two lengths differ');
    }
    this.blockBytes = padded;
    switch (type) {
      case BlockType.ENHANCED_PACKET:
      case BlockType.PACKET:
        return this.readPacket(frame, type, start, end);
      case BlockType.SIMPLE_PACKET:
        return this.readSimplePacket(frame, start, end);
      case BlockType.SECTION_HEADER:
        return this.readSectionHeader(start, end);
      case BlockType.INTERFACE_DESCRIPTION:
        return this.readInterfaceDescription(start, end);
      default:
        return NO_FRAME;
    }
  }

  private damaged(what: string): ReadStatus {
    this.damage = `${what} at offset ${this.input.offset}`;
    return ReadStatus.DAMAGED;
  }

  /** The block type reads the same in both byte orders. */
  private readByteOrder(magic: number): boolean {
    this.littleEndian = magic === BYTE_ORDER_MAGIC_SWAPPED;
    return this.littleEndian || magic === BYTE_ORDER_MAGIC;
  }

  private readSectionHeader(start: number, end: number): BlockStatus {
    const { view } = this.input;
    if (end - start < SECTION_HEADER_BYTES - 4) return this.damaged('a section header too short');
    const major = view.getUint16(start + 12, this.littleEndian);
    if (major !== 1)
      return this.damaged(`a section of version ${major} of the format, of which only 1 is known,`);
    this.firstInterface += this.interfaces.length;
    this.interfaces = [];
    return NO_FRAME;
  }

  private readInterfaceDescription(start: number, end: number): BlockStatus {
    const { littleEndian } = this;
    const { view, bytes } = this.input;
    if (end - start < INTERFACE_DESCRIPTION_BYTES - 4)
      return this.damaged('an interface description too short');
    if (this.interfaces.length === MAX_INTERFACES) return this.damaged(`interface ${MAX_INTERFACES + 1}`);
    let ticksPerSecond = 1_000_000n;
    let offsetSeconds = 0;
    for (let at = start + INTERFACE_DESCRIPTION_BYTES - 4; at + 4 <= end; ) {
      const code = view.getUint16(at, littleEndian);
      const length = view.getUint16(at + 2, littleEndian);
      if (code === OptionCode.END || at + 4 + length > end) break;
      if (code === OptionCode.IF_TSRESOL && length === 1) {
        const exponent = bytes[at + 4];
        ticksPerSecond = exponent & 0x80 ? 2n ** BigInt(exponent & 0x7f) : 10n ** BigInt(exponent);
      } else if (code === OptionCode.IF_TSOFFSET && length === 8) {
        offsetSeconds = Number(view.getBigInt64(at + 4, littleEndian));
      }
      at += 4 + ((length + 3) & ~3);
    }
    this.interfaces.push({
      linkType: view.getUint16(start + 8, littleEndian),
      snapLength: view.getUint32(start + 12, littleEndian),
      ticksPerSecond: Number(ticksPerSecond),
      bigTicksPerSecond: ticksPerSecond > MAX_EXACT_TICKS_PER_SECOND ? ticksPerSecond : null,
      offsetSeconds,
    });
    return NO_FRAME;
  }

  private readPacket(frame: Frame, type: number, start: number, end: number): ReadStatus {
    const { littleEndian } = this;
    const { view, bytes } = this.input;
    if (end - start < ENHANCED_PACKET_BYTES - 4) return this.damaged('a packet block too short');
    const number =
      type === BlockType.ENHANCED_PACKET
        ? view.getUint32(start + 8, littleEndian)
        : view.getUint16(start + 8, littleEndian);
    if (number >= this.interfaces.length) return this.damaged(`a packet of undescribed interface ${number}`);
    const captured = view.getUint32(start + 20, littleEndian);
    const at = start + ENHANCED_PACKET_BYTES - 4;
    if (captured > end - at || captured > MAX_FRAME_BYTES) {
      return this.damaged(`a packet of ${captured} bytes`);
    }
    const description = this.interfaces[number];
    frame.bytes = bytes;
    frame.start = at;
    frame.end = at + captured;
    frame.wireLength = view.getUint32(start + 24, littleEndian);
    frame.timeNs = this.time(
      description,
      view.getUint32(start + 12, littleEndian),
      view.getUint32(start + 16, littleEndian),
    );
    frame.linkType = description.linkType;
    frame.interfaceIndex = this.firstInterface + number;
    return ReadStatus.OK;
  }

  /** A simple packet has no time: the frame keeps that of the one before. */
  private readSimplePacket(frame: Frame, start: number, end: number): ReadStatus {
    const { view, bytes } = this.input;
    if (end - start < SIMPLE_PACKET_BYTES - 4) return this.damaged('a packet block too short');
    if (this.interfaces.length === 0) return this.damaged('a packet of undescribed interface 0');
    const { linkType, snapLength } = this.interfaces[0];
    const original = view.getUint32(start + 8, this.littleEndian);
    const at = start + SIMPLE_PACKET_BYTES - 4;
    const captured = Math.min(original, snapLength || original, end - at);
    if (captured > MAX_FRAME_BYTES) return this.damaged(`a packet of ${captured} bytes`);
    frame.bytes = bytes;
    frame.start = at;
    frame.end = at + captured;
    frame.wireLength = original;
    frame.linkType = linkType;
    frame.interfaceIndex = this.firstInterface;
    return ReadStatus.OK;
  }

  /** Relative nanoseconds of a 64-bit count of ticks, cut to whole ones. */
  private time(description: Interface, high: number, low: number): number {
    const { ticksPerSecond, bigTicksPerSecond, offsetSeconds } = description;
    if (bigTicksPerSecond !== null) {
      const ticks = (BigInt(high) << 32n) | BigInt(low);
      const nanoseconds = ((ticks % bigTicksPerSecond) * 1_000_000_000n) / bigTicksPerSecond;
      return this.relative(Number(ticks / bigTicksPerSecond) + offsetSeconds, Number(nanoseconds));
    }
    // Long division by digits of 16 bits, each step of which is exact in a double.
    const quotient2 = Math.floor(high / ticksPerSecond);
    let rest = (high - quotient2 * ticksPerSecond) * 0x10000 + (low >>> 16);
    const quotient1 = Math.floor(rest / ticksPerSecond);
    rest = (rest - quotient1 * ticksPerSecond) * 0x10000 + (low & 0xffff);
    const quotient0 = Math.floor(rest / ticksPerSecond);
    rest -= quotient0 * ticksPerSecond;
    const seconds = quotient2 * 0x100000000 + quotient1 * 0x10000 + quotient0;
    const nanosecondsPerTick = 1e9 / ticksPerSecond;
    const nanoseconds = Number.isInteger(nanosecondsPerTick)
      ? rest * nanosecondsPerTick
      : Math.floor((rest * 1e9) / ticksPerSecond);
    return this.relative(seconds + offsetSeconds, nanoseconds);
  }

  private relative(seconds: number, nanoseconds: number): number {
    return this.clock.relative(Math.max(seconds, 0), nanoseconds);
  }
}
