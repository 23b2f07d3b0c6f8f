/**
 * Live capture where there are no packet sockets, over libpcap or Npcap by the optional package
 * `cap`. It gives less than afpacket.ts, and says so:
 *
 * - It calls back from the event loop, so `poll` cannot wait: it hands over what was queued since
 *   the last call and ignores its timeout. Call it from a timer, not from a blocking loop.
 * - It tells no times. A frame's time is that of its callback, later than on the wire by up to the
 *   read timeout of libpcap and the delay of the event loop.
 * - It tells no drops of the kernel. `kernelDropped` counts the frames that found the queue full.
 * - It works on the main thread only.
 * - It tells no wire length and captures 65535 bytes at most.
 * - It is always promiscuous, but on the device any.
 */

import { isMainThread } from 'node:worker_threads';
import {
  EXTENSION_HEADERS,
  LINK_ETHER_TYPES,
  type Rule,
  type RuleOptions,
  TUNNEL_PORTS,
  TUNNEL_PROTOCOLS,
} from './bpf.js';
import { CaptureError, Clock, type Engine, Frame, type FrameHandler, LinkType } from './engine.js';

export interface CapOptions {
  /** Names of the devices, as libpcap has them. */
  devices: readonly string[];
  /** pcap-filter(7) expression; all packets when absent. */
  filter?: string;
  /** The same for links without VLANs, of which libpcap takes no filter that names them. */
  filterWithoutVlan?: string;
  /** The buffer of libpcap for each device. Default 10 MiB. */
  kernelBufferBytes?: number;
}

/** What is used of the package. */
interface CapSession {
  open(device: string, filter: string, bufferBytes: number, packet: Buffer): string;
  setMinBytes?(bytes: number): void;
  on(event: 'packet', listener: (length: number, truncated: boolean) => void): void;
  close(): void;
}
interface CapModule {
  Cap: new () => CapSession;
}

const DEFAULT_KERNEL_BUFFER_BYTES = 10 << 20;
const PACKET_BYTES = 65_535;
const QUEUE_BYTES = 8 << 20;
const QUEUE_FRAMES = 1 << 14;

/** `cap` crashes where the garbage collector takes a session whose opening failed. */
const failedSessions: CapSession[] = [];

const linkTypes: ReadonlyMap<string, number> = new Map([
  ['NULL', LinkType.NULL],
  ['ETHERNET', LinkType.ETHERNET],
  ['LINKTYPE_LINUX_SLL', LinkType.LINUX_SLL],
  ['RAW', LinkType.RAW],
]);

/** Starts to capture. Rejects with a `CaptureError` that says what is missing. */
export async function openCap(options: CapOptions): Promise<Engine> {
  if (!isMainThread) {
    throw new CaptureError(
      'NOT_SUPPORTED',
      "the package 'cap' calls back on the main thread only; capture there",
    );
  }
  const { Cap } = await loadCap();
  const engine = new CapEngine();
  try {
    for (const device of options.devices) engine.add(...openSession(Cap, device, options));
  } catch (error) {
    engine.close();
    throw error;
  }
  return engine;
}

function openSession(
  Cap: CapModule['Cap'],
  device: string,
  options: CapOptions,
  filter = options.filter ?? '',
): [session: CapSession, packet: Uint8Array, linkType: number] {
  const session = new Cap();
  const packet = Buffer.alloc(PACKET_BYTES);
  let linkName: string;
  try {
    const bufferBytes = options.kernelBufferBytes ?? DEFAULT_KERNEL_BUFFER_BYTES;
    linkName = session.open(device, filter, bufferBytes, packet);
    // Npcap only: hand over each packet at once.
    session.setMinBytes?.(0);
  } catch (cause) {
    failedSessions.push(session);
    const other = options.filterWithoutVlan ?? filter;
    if (/no VLAN support/i.test(String(cause)) && other !== filter) {
      return openSession(Cap, device, options, other);
    }
    throw openError(device, cause);
  }
  const linkType = linkTypes.get(linkName);
  if (linkType === undefined) {
    session.close();
    throw new CaptureError('NOT_SUPPORTED', `${device}: frames of link type ${linkName} cannot be read`);
  }
  return [session, packet, linkType];
}

/** The rules as pcap-filter(7) expression, with the meaning of `compileRules`; '' keeps everything. */
export function rulesExpression(rules: readonly Rule[] | null, options: RuleOptions, vlans = true): string {
  const version = options.ipVersion === 4 ? 'ip' : options.ipVersion === 6 ? 'ip6' : '(ip or ip6)';
  // `vlan` shifts the offsets of all tests after it, so it comes last.
  const tags = [...LINK_ETHER_TYPES.map((type) => `ether proto ${type}`), ...(vlans ? ['vlan'] : [])];
  if (rules === null) return [version, ...tags].join(' or ');
  const kept = rules.map(({ ports, host }) => {
    const tests = ['(tcp or udp)'];
    if (ports.length > 0) tests.push(`(${ports.map((port) => `port ${port}`).join(' or ')})`);
    if (host) tests.push(`host ${host}`);
    return `(${tests.join(' and ')})`;
  });
  if (options.ipVersion !== 6) kept.push('(ip[6:2] & 0x1fff != 0)');
  if (options.ipVersion !== 4) {
    kept.push(`(${EXTENSION_HEADERS.map((header) => `ip6[6] = ${header}`).join(' or ')})`);
  }
  if (options.keepTunnels) {
    for (const number of TUNNEL_PROTOCOLS) kept.push(`ip proto ${number}`, `ip6 proto ${number}`);
    for (const port of TUNNEL_PORTS) kept.push(`udp dst port ${port}`);
  }
  const named = `(${version} and (${kept.join(' or ')}))`;
  return options.keepTunnels ? [named, ...tags].join(' or ') : named;
}

async function loadCap(): Promise<CapModule> {
  // Optional, and without types: the name is no literal so that its absence is a matter of run time.
  const name: string = 'cap';
  try {
    const module = await import(name);
    return module.default ?? module;
  } catch (cause) {
    throw new CaptureError(
      'NOT_SUPPORTED',
      "the package 'cap' is not installed or was not built. Install libpcap with its headers (libpcap-dev; " +
        'on Windows Npcap in WinPcap mode), a C++ compiler and Python, then run: npm install cap',
      { cause },
    );
  }
}

function openError(device: string, cause: unknown): CaptureError {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/permission|not permitted|denied/i.test(message)) {
    return new CaptureError('NO_PERMISSION', `${device}: ${message}; run as administrator (sudo)`, { cause });
  }
  if (/no such device|not found|doesn't exist/i.test(message)) {
    return new CaptureError('NO_INTERFACE', `${device}: ${message}`, { cause });
  }
  return new CaptureError('SYSTEM', `${device}: ${message}`, { cause });
}

class CapEngine implements Engine {
  readonly clock = new Clock();
  readonly counters = { frames: 0, bytes: 0, kernelDropped: 0 };
  private readonly frame = new Frame();
  private readonly queue = new Uint8Array(QUEUE_BYTES);
  private readonly ends = new Uint32Array(QUEUE_FRAMES);
  private readonly timesNs = new Float64Array(QUEUE_FRAMES);
  private readonly linkTypes = new Int32Array(QUEUE_FRAMES);
  private readonly devices = new Int32Array(QUEUE_FRAMES);
  private readonly sessions: CapSession[] = [];
  private queued = 0;
  private queuedBytes = 0;
  private closed = false;

  constructor() {
    this.frame.bytes = this.queue;
  }

  /** Takes over a session that puts its packets into `packet`. */
  add(session: CapSession, packet: Uint8Array, linkType: number): void {
    const device = this.sessions.push(session) - 1;
    session.on('packet', (length) => this.enqueue(packet, length, linkType, device));
  }

  /** Never waits, see above. */
  poll(handler: FrameHandler): boolean {
    const { frame, counters, ends, timesNs, linkTypes, devices } = this;
    let start = 0;
    for (let index = 0; index < this.queued && !this.closed; index++) {
      frame.start = start;
      frame.end = ends[index];
      frame.wireLength = frame.end - start;
      frame.timeNs = timesNs[index];
      frame.linkType = linkTypes[index];
      frame.interfaceIndex = devices[index];
      start = frame.end;
      counters.frames++;
      counters.bytes += frame.wireLength;
      handler.onFrame(frame);
    }
    this.queued = 0;
    this.queuedBytes = 0;
    handler.onTick(this.now());
    return !this.closed;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const session of this.sessions) session.close();
  }

  private enqueue(packet: Uint8Array, length: number, linkType: number, device: number): void {
    const end = this.queuedBytes + length;
    if (this.queued === QUEUE_FRAMES || end > QUEUE_BYTES) {
      this.counters.kernelDropped++;
      return;
    }
    this.queue.set(length === PACKET_BYTES ? packet : packet.subarray(0, length), this.queuedBytes);
    this.linkTypes[this.queued] = linkType;
    this.devices[this.queued] = device;
    this.ends[this.queued] = end;
    this.timesNs[this.queued] = this.now();
    this.queued++;
    this.queuedBytes = end;
  }

  private now(): number {
    const milliseconds = performance.timeOrigin + performance.now();
    const seconds = Math.floor(milliseconds / 1000);
    return this.clock.relative(seconds, Math.floor((milliseconds - seconds * 1000) * 1e6));
  }
}
