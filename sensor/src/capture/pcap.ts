/**
 * The pcap file format, draft-ietf-opsawg-pcap (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html).
 *
 *     File   => magic u32, major u16, minor u16, reserved u32 u32, snaplen u32, linktype u32, Record*
 *     Record => seconds u32, fraction u32, captured u32, original u32, bytes
 */

import type { Clock, Frame } from './engine.js';
import type { Input } from './input.js';

/** What reading the next frame came to. */
export const ReadStatus = {
  OK: 0,
  /** The file ended where a frame would begin. */
  END: 1,
  /** The file ended inside a frame or a header. */
  CUT: 2,
  /** A length or reference cannot be; `CaptureReader.damage` says what. Nothing after it can be found. */
  DAMAGED: 3,
} as const;
export type ReadStatus = (typeof ReadStatus)[keyof typeof ReadStatus];

export interface CaptureReader {
  /** What is wrong, after `DAMAGED`. */
  readonly damage: string;
  /** Reads the header of the file, once and before the first frame: OK, CUT or DAMAGED. */
  begin(): ReadStatus;
  /** Fills the frame, whose bytes lie in the input's window until the next call. */
  next(frame: Frame): ReadStatus;
}

/** Longest captured frame: the 256 KiB that libpcap and Wireshark allow, and room for a pseudo-header. */
export const MAX_FRAME_BYTES = (256 << 10) + 1024;

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** The header of Kuznetzov's patched libpcap adds interface u32, protocol u16, packet type u8, padding. */
const MODIFIED_RECORD_HEADER_BYTES = 24;

interface Variant {
  littleEndian: boolean;
  nanosecondsPerFraction: number;
  recordHeaderBytes: number;
}

/** By the first four bytes, read as big-endian. */
const variants: ReadonlyMap<number, Variant> = new Map([
  [0xa1b2c3d4, { littleEndian: false, nanosecondsPerFraction: 1000, recordHeaderBytes: RECORD_HEADER_BYTES }],
  [0xd4c3b2a1, { littleEndian: true, nanosecondsPerFraction: 1000, recordHeaderBytes: RECORD_HEADER_BYTES }],
  [0xa1b23c4d, { littleEndian: false, nanosecondsPerFraction: 1, recordHeaderBytes: RECORD_HEADER_BYTES }],
  [0x4d3cb2a1, { littleEndian: true, nanosecondsPerFraction: 1, recordHeaderBytes: RECORD_HEADER_BYTES }],
  [
    0xa1b2cd34,
    { littleEndian: false, nanosecondsPerFraction: 1000, recordHeaderBytes: MODIFIED_RECORD_HEADER_BYTES },
  ],
  [
    0x34cdb2a1,
    { littleEndian: true, nanosecondsPerFraction: 1000, recordHeaderBytes: MODIFIED_RECORD_HEADER_BYTES },
  ],
]);

export function isPcap(magic: number): boolean {
  return variants.has(magic);
}

export class PcapReader implements CaptureReader {
  damage = '';
  private readonly littleEndian: boolean;
  private readonly nanosecondsPerFraction: number;
  private readonly recordHeaderBytes: number;
  private linkType = 0;
  /** Before version 2.3 the captured and the original length were swapped, in 2.3 sometimes. */
  private minorVersion = 4;

  constructor(
    private readonly input: Input,
    private readonly clock: Clock,
    magic: number,
  ) {
    const variant = variants.get(magic)!;
    this.littleEndian = variant.littleEndian;
    this.nanosecondsPerFraction = variant.nanosecondsPerFraction;
    this.recordHeaderBytes = variant.recordHeaderBytes;
  }

  begin(): ReadStatus {
    const { input, littleEndian } = this;
    if (!input.hold(FILE_HEADER_BYTES)) return ReadStatus.CUT;
    const major = input.view.getUint16(input.start + 4, littleEndian);
    this.minorVersion = input.view.getUint16(input.start + 6, littleEndian);
    if (major !== 2) {
      this.damage = `version ${major}.${this.minorVersion} of the format, of which only 2 is known`;
      return ReadStatus.DAMAGED;
    }
    // The upper 16 bits tell the length of a frame check sequence.
    this.linkType = input.view.getUint32(input.start + 20, littleEndian) & 0xffff;
    input.start += FILE_HEADER_BYTES;
    return ReadStatus.OK;
  }

  next(frame: Frame): ReadStatus {
    const { input, littleEndian, recordHeaderBytes } = this;
    const { view } = input;
    if (!input.hold(recordHeaderBytes)) return input.end === input.start ? ReadStatus.END : ReadStatus.CUT;
    let at = input.start;
    const seconds = view.getUint32(at, littleEndian);
    const fraction = view.getUint32(at + 4, littleEndian);
    let captured = view.getUint32(at + 8, littleEndian);
    let original = view.getUint32(at + 12, littleEndian);
    if (this.minorVersion < 4 && (this.minorVersion < 3 || captured > original)) {
      const swapped = captured;
      captured = original;
      original = swapped;
    }
    if (captured > MAX_FRAME_BYTES) {
      this.damage = `a frame of ${captured} bytes at offset ${input.offset}`;
      return ReadStatus.DAMAGED;
    }
    frame.interfaceIndex =
      recordHeaderBytes === MODIFIED_RECORD_HEADER_BYTES ? view.getUint32(at + 16, littleEndian) : 0;
    if (!input.hold(recordHeaderBytes + captured)) return ReadStatus.CUT;
    at = input.start + recordHeaderBytes;
    input.start = at + captured;
    frame.bytes = input.bytes;
    frame.start = at;
    frame.end = at + captured;
    frame.wireLength = original;
    frame.timeNs = this.clock.relative(seconds, fraction * this.nanosecondsPerFraction);
    frame.linkType = this.linkType;
    return ReadStatus.OK;
  }
}
