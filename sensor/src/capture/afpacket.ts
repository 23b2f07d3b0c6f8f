/**
 * Live capture on Linux: a packet socket in cooked mode with a TPACKET_V3 ring
 * (packet(7), Linux Documentation/networking/packet_mmap.rst, include/uapi/linux/if_packet.h).
 *
 * The kernel fills blocks of the ring and hands each over when it is full or `retireMs` old; the
 * frames are read where the kernel put them. A block goes back after its frames were handled, so
 * a reader that is too slow loses frames in the kernel, which counts them.
 *
 *     Block  => version u32, private u32, status u32, frames u32, firstFrame u32, length u32, …
 *     Frame  => next u32, seconds u32, nanoseconds u32, captured u32, original u32, status u32,
 *               link u16, network u16, hash u32, vlan u32 u16, padding 10, SocketAddress, …
 *     SocketAddress => family u16, protocol u16 (network order), interface i32, hardware u16, type u8, …
 */

import { type BpfInstruction, compileFanout, compileRules, dropAll } from './bpf.js';
import {
  CaptureError,
  Clock,
  type Engine,
  Frame,
  type FrameHandler,
  LinkType,
  restartIfBefore,
} from './engine.js';
import { Errno, type Libc, loadLibc, SO_ATTACH_FILTER, SO_ERROR, SocketLevel } from './libc.js';

export interface AfPacketOptions {
  /** Every interface, or those of these indices. */
  interfaces: 'any' | number[];
  /** Only for interfaces that are given by index, as with libpcap. */
  promiscuous: boolean;
  /** What to keep, see bpf.ts; all IP traffic when absent. */
  filter?: BpfInstruction[];
  /** A power of two, at least a page and more than the longest packet. Default 256 KiB. */
  blockBytes?: number;
  /** Default 128. */
  blockCount?: number;
  /** How old a block may get before it is handed over. Default 20 ms. */
  retireMs?: number;
  /** `size` engines of one group share the traffic by flow. The group is 16 bits wide and of the host. */
  fanout?: { group: number; size: number };
  /** The interface whose packets are seen going out and coming in; those going out are passed over. */
  loopbackIndex?: number;
}

// On quiet traffic it is age that fills the ring, a block each `retireMs`: many small blocks give a
// reader that gets no processor 2.5 s until frames are lost, where as many bytes in blocks of 1 MiB give 0.3 s.
export const DEFAULT_BLOCK_BYTES = 1 << 18;
const DEFAULT_BLOCK_COUNT = 128;
const DEFAULT_RETIRE_MS = 20;
/** Longest wait of one `poll`, so that ticks come in time. */
const MAX_WAIT_MS = 100;
/** How often the kernel is asked for its drops. */
const STATISTICS_INTERVAL_MS = 250;

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const ETH_P_ALL = 3;
const PACKET_OUTGOING = 4;

/** Options of the level PACKET. */
const PacketOption = {
  ADD_MEMBERSHIP: 1,
  RX_RING: 5,
  STATISTICS: 6,
  VERSION: 10,
  FANOUT: 18,
  FANOUT_DATA: 22,
  IGNORE_OUTGOING: 23,
} as const;
const TPACKET_V3 = 2;
const PACKET_MR_PROMISC = 1;
/** By the result of a program. */
const PACKET_FANOUT_CBPF = 6;
/** IPv4 fragments are put together before, for only the first one has ports. */
const PACKET_FANOUT_FLAG_DEFRAG = 0x8000;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const POLLIN = 1;
const POLLERR = 8;

/** Byte offsets in a block and in a frame. */
const Block = { STATUS: 8, FRAMES: 12, FIRST_FRAME: 16 } as const;
const FrameHeader = {
  NEXT: 0,
  SECONDS: 4,
  NANOSECONDS: 8,
  CAPTURED: 12,
  ORIGINAL: 16,
  NETWORK: 26,
  PROTOCOL: 50,
  INTERFACE: 52,
  PACKET_TYPE: 58,
} as const;
const TP_STATUS_KERNEL = 0;
const TP_STATUS_USER = 1;
/** Only has to divide the blocks: frames of TPACKET_V3 are as long as they are. */
const RING_FRAME_BYTES = 2048;

/** A capture whose interfaces can change while it runs. */
export interface AfPacketCapture extends Engine {
  /** Captures from the interfaces of these indices from now on; `filter` keeps theirs only. Throws CaptureError. */
  select(interfaces: readonly number[], filter: BpfInstruction[]): void;
}

/** Starts to capture. Throws a `CaptureError` that says what is missing. */
export function openAfPacket(options: AfPacketOptions): AfPacketCapture {
  const libc = loadLibc();
  const { interfaces, loopbackIndex, fanout } = options;
  const blockBytes = options.blockBytes ?? DEFAULT_BLOCK_BYTES;
  const blockCount = options.blockCount ?? DEFAULT_BLOCK_COUNT;
  const wanted = interfaces === 'any' ? null : Int32Array.from(interfaces);
  const filter =
    options.filter ??
    compileRules(null, {
      keepTunnels: true,
      loopbackIndex,
      interfaces: wanted === null ? undefined : [...wanted],
    });

  const descriptor = libc.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw systemError('open a packet socket', libc.errno());
  try {
    const check = (result: number, action: string): void => {
      if (result < 0) throw systemError(action, libc.errno());
    };
    const set = (option: number, value: Uint32Array | Int32Array, action: string): void =>
      check(libc.setsockopt(descriptor, SocketLevel.PACKET, option, value, value.byteLength), action);

    // Nothing enters until all is set: what came before the fan-out would come to every worker.
    check(attach(libc, descriptor, dropAll()), 'attach a filter');
    set(PacketOption.VERSION, Uint32Array.of(TPACKET_V3), 'use TPACKET_V3');
    const frameCount = (blockBytes / RING_FRAME_BYTES) * blockCount;
    const retireMs = options.retireMs ?? DEFAULT_RETIRE_MS;
    set(
      PacketOption.RX_RING,
      Uint32Array.of(blockBytes, blockCount, RING_FRAME_BYTES, frameCount, retireMs, 0, 0),
      `make a ring of ${blockCount} blocks of ${blockBytes} bytes`,
    );
    const ringBytes = blockBytes * blockCount;
    const address = libc.mmap(null, ringBytes, PROT_READ_WRITE, MAP_SHARED, descriptor, 0);
    if (libc.isMapFailed(address)) throw systemError('map the ring', libc.errno());
    try {
      // To all, for the filter picks and can pick others later: a bound socket goes deaf with its interface.
      check(libc.bind(descriptor, socketAddress(), 20), 'bind to the interfaces');
      ignoreOutgoing(libc, descriptor, interfaces, loopbackIndex);
      if (options.promiscuous) {
        for (const index of wanted ?? []) {
          check(addPromiscuous(libc, descriptor, index), `make interface ${index} promiscuous`);
        }
      }
      if (fanout !== undefined && fanout.size > 1) {
        const value = (fanout.group & 0xffff) | ((PACKET_FANOUT_CBPF | PACKET_FANOUT_FLAG_DEFRAG) << 16);
        set(PacketOption.FANOUT, Int32Array.of(value), `join fan-out group ${fanout.group}`);
        const program = compileFanout();
        check(
          setProgram(libc, descriptor, SocketLevel.PACKET, PacketOption.FANOUT_DATA, program),
          'set the program of the fan-out group',
        );
      }
      check(attach(libc, descriptor, filter), `attach a filter of ${filter.length} instructions`);
      const ring = new Ring(libc.view(address, ringBytes), blockBytes, blockCount);
      const { promiscuous } = options;
      return new AfPacketEngine(libc, descriptor, address, ring, wanted, promiscuous, loopbackIndex ?? -1);
    } catch (error) {
      libc.munmap(address, ringBytes);
      throw error;
    }
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

class Ring {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly halfWords: Uint16Array;

  constructor(
    buffer: ArrayBuffer,
    readonly blockBytes: number,
    readonly blockCount: number,
  ) {
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.halfWords = new Uint16Array(buffer);
  }
}

class AfPacketEngine implements AfPacketCapture {
  readonly clock = new Clock();
  readonly counters = { frames: 0, bytes: 0, kernelDropped: 0 };
  private readonly frame = new Frame();
  private ring: Ring | null;
  private block = 0;
  private polling = false;
  private closed = false;
  private lastNs = 0;
  private statisticsMs = 0;
  /** struct pollfd: descriptor i32, events i16, revents i16. */
  private readonly pollDescriptor: Int32Array;
  private readonly pollEvents: Int16Array;
  /** struct tpacket_stats_v3: packets, drops, freezes. */
  private readonly statistics = new Uint32Array(3);
  private readonly optionLength = new Uint32Array(1);

  constructor(
    private readonly libc: Libc,
    private readonly descriptor: number,
    private readonly address: unknown,
    ring: Ring,
    private wanted: Int32Array | null,
    private readonly promiscuous: boolean,
    private readonly loopbackIndex: number,
  ) {
    this.ring = ring;
    this.pollDescriptor = Int32Array.of(descriptor, 0);
    this.pollEvents = new Int16Array(this.pollDescriptor.buffer, 4);
    this.clock.relative(Math.floor(Date.now() / 1000), 0);
  }

  poll(handler: FrameHandler, timeoutMs: number): boolean {
    const { ring } = this;
    if (ring === null) return false;
    this.polling = true;
    if (!this.isReady(ring)) this.wait(Math.min(timeoutMs, MAX_WAIT_MS));
    let blocks = 0;
    // Not more than the ring once, so that a flood does not keep the caller here.
    for (; blocks < ring.blockCount && !this.closed && this.isReady(ring); blocks++) {
      this.readBlock(ring, handler);
      handler.onTick(this.lastNs);
    }
    const nowMs = Date.now();
    if (blocks === 0) handler.onTick(this.clock.relative(Math.floor(nowMs / 1000), (nowMs % 1000) * 1e6));
    if (Math.abs(nowMs - this.statisticsMs) >= STATISTICS_INTERVAL_MS) {
      this.statisticsMs = nowMs;
      this.readStatistics();
    }
    this.polling = false;
    if (this.closed) this.release();
    return !this.closed;
  }

  select(interfaces: readonly number[], filter: BpfInstruction[]): void {
    const { libc, descriptor, wanted } = this;
    for (const index of interfaces) {
      // One that went away again meanwhile is no error.
      if (this.promiscuous && !wanted?.includes(index)) addPromiscuous(libc, descriptor, index);
    }
    // What the ring holds of the interfaces before is kept.
    this.wanted = Int32Array.of(...new Set([...(wanted ?? []), ...interfaces]));
    ignoreOutgoing(libc, descriptor, interfaces, this.loopbackIndex);
    if (attach(libc, descriptor, filter) < 0) throw systemError('attach a filter', libc.errno());
  }

  /** From within a handler too: the ring then goes when `poll` ends. */
  close(): void {
    this.closed = true;
    if (!this.polling) this.release();
  }

  private isReady(ring: Ring): boolean {
    const at = (this.block * ring.blockBytes + Block.STATUS) >>> 2;
    return (Atomics.load(ring.words, at) & TP_STATUS_USER) !== 0;
  }

  private readBlock(ring: Ring, handler: FrameHandler): void {
    const { bytes, words, halfWords } = ring;
    const { frame, counters, wanted, loopbackIndex } = this;
    const start = this.block * ring.blockBytes;
    let at = start + words[(start + Block.FIRST_FRAME) >>> 2];
    frame.bytes = bytes;
    frame.linkType = LinkType.NETWORK;
    for (let left = words[(start + Block.FRAMES) >>> 2]; left > 0 && !this.closed; left--) {
      const interfaceIndex = words[(at + FrameHeader.INTERFACE) >>> 2];
      const outgoing = bytes[at + FrameHeader.PACKET_TYPE] === PACKET_OUTGOING;
      // The filter does both already where it was compiled with these options.
      const passedOver =
        (outgoing && interfaceIndex === loopbackIndex) ||
        (wanted !== null && !contains(wanted, interfaceIndex));
      if (!passedOver) {
        frame.start = at + halfWords[(at + FrameHeader.NETWORK) >>> 1];
        frame.end = frame.start + words[(at + FrameHeader.CAPTURED) >>> 2];
        frame.wireLength = words[(at + FrameHeader.ORIGINAL) >>> 2];
        frame.etherType = (bytes[at + FrameHeader.PROTOCOL] << 8) | bytes[at + FrameHeader.PROTOCOL + 1];
        frame.interfaceIndex = interfaceIndex;
        frame.timeNs = this.clock.relative(
          words[(at + FrameHeader.SECONDS) >>> 2] >>> 0,
          words[(at + FrameHeader.NANOSECONDS) >>> 2],
        );
        restartIfBefore(this.clock, frame, handler);
        this.lastNs = frame.timeNs;
        counters.frames++;
        counters.bytes += frame.end - frame.start;
        handler.onFrame(frame);
      }
      at += words[(at + FrameHeader.NEXT) >>> 2];
    }
    Atomics.store(words, (start + Block.STATUS) >>> 2, TP_STATUS_KERNEL);
    this.block = this.block + 1 === ring.blockCount ? 0 : this.block + 1;
  }

  private wait(timeoutMs: number): void {
    if (timeoutMs <= 0) return;
    const { libc, pollEvents, pollDescriptor } = this;
    pollEvents[0] = POLLIN;
    pollEvents[1] = 0;
    libc.poll(pollDescriptor, 1, timeoutMs);
    // An error would end every wait until it is fetched.
    if ((pollEvents[1] & POLLERR) !== 0) this.getOption(SocketLevel.SOCKET, SO_ERROR, 4);
  }

  /** The kernel counts from zero again after each call. */
  private readStatistics(): void {
    if (this.getOption(SocketLevel.PACKET, PacketOption.STATISTICS, 12)) {
      this.counters.kernelDropped += this.statistics[1];
    }
  }

  private getOption(level: number, option: number, length: number): boolean {
    this.optionLength[0] = length;
    return this.libc.getsockopt(this.descriptor, level, option, this.statistics, this.optionLength) === 0;
  }

  private release(): void {
    const { ring, libc, frame } = this;
    if (ring === null) return;
    this.readStatistics();
    this.ring = null;
    frame.bytes = new Uint8Array(0);
    libc.munmap(this.address, ring.blockBytes * ring.blockCount);
    libc.close(this.descriptor);
  }
}

/** `includes` of typed arrays is a call into the engine, for each frame. */
function contains(list: Int32Array, value: number): boolean {
  for (let i = 0; i < list.length; i++) if (list[i] === value) return true;
  return false;
}

/** struct sockaddr_ll of every interface. */
function socketAddress(): Uint8Array {
  const address = new Uint8Array(20);
  new Uint16Array(address.buffer)[0] = AF_PACKET;
  new DataView(address.buffer).setUint16(2, ETH_P_ALL);
  return address;
}

/**
 * Of loopback alone, packets that go out are not offered to the socket at all: otherwise the kernel copies the head of
 * each, on the processor of the program that sends it, for the filter to drop. Linux before 4.20 cannot do without.
 */
function ignoreOutgoing(
  libc: Libc,
  descriptor: number,
  interfaces: 'any' | readonly number[],
  loopbackIndex: number | undefined,
): void {
  const alone = interfaces !== 'any' && interfaces.length > 0 && interfaces.every((i) => i === loopbackIndex);
  libc.setsockopt(
    descriptor,
    SocketLevel.PACKET,
    PacketOption.IGNORE_OUTGOING,
    Int32Array.of(alone ? 1 : 0),
    4,
  );
}

/** struct packet_mreq: interface i32, type u16, length of the address u16, address. */
function addPromiscuous(libc: Libc, descriptor: number, interfaceIndex: number): number {
  const request = new Int32Array(4);
  request[0] = interfaceIndex;
  new Uint16Array(request.buffer)[2] = PACKET_MR_PROMISC;
  return libc.setsockopt(
    descriptor,
    SocketLevel.PACKET,
    PacketOption.ADD_MEMBERSHIP,
    request,
    request.byteLength,
  );
}

function attach(libc: Libc, descriptor: number, program: BpfInstruction[]): number {
  return setProgram(libc, descriptor, SocketLevel.SOCKET, SO_ATTACH_FILTER, program);
}

/** struct sock_filter: code u16, jt u8, jf u8, k u32. */
function setProgram(
  libc: Libc,
  descriptor: number,
  level: number,
  option: number,
  program: BpfInstruction[],
): number {
  const words = new Uint32Array(program.length * 2);
  const halfWords = new Uint16Array(words.buffer);
  const bytes = new Uint8Array(words.buffer);
  program.forEach(({ code, jt, jf, k }, index) => {
    halfWords[index * 4] = code;
    bytes[index * 8 + 2] = jt;
    bytes[index * 8 + 3] = jf;
    words[index * 2 + 1] = k;
  });
  return libc.setProgram(descriptor, level, option, bytes, program.length);
}

function systemError(action: string, errno: number): CaptureError {
  switch (errno) {
    case Errno.EPERM:
    case Errno.EACCES:
      return new CaptureError(
        'NO_PERMISSION',
        `cannot ${action}: the capability CAP_NET_RAW is missing. Run with sudo, or give it to Node once: ` +
          'sudo setcap cap_net_raw+ep $(readlink -f $(which node)); in a container: --cap-add NET_RAW --network host',
      );
    case Errno.ENODEV:
    case Errno.ENXIO:
    case Errno.ENETDOWN:
      return new CaptureError(
        'NO_INTERFACE',
        `cannot ${action}: the interface ${errno === Errno.ENETDOWN ? 'is down; set it up' : 'does not exist'}`,
      );
    case Errno.ENOMEM:
      return new CaptureError(
        'SYSTEM',
        `cannot ${action}: not enough memory; make the ring smaller, for a filter raise net.core.optmem_max`,
      );
    case Errno.EAFNOSUPPORT:
    case Errno.ENOPROTOOPT:
      return new CaptureError(
        'NOT_SUPPORTED',
        `cannot ${action}: this kernel has no packet sockets of that kind (errno ${errno}); use the engine 'cap'`,
      );
    default:
      return new CaptureError('SYSTEM', `cannot ${action}: errno ${errno}`);
  }
}
