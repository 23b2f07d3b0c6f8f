/**
 * Kernel filters in classic BPF (McCanne & Jacobson 1993; Linux Documentation/networking/filter.rst)
 * for packet sockets in cooked mode: offsets count from the network header, the EtherType comes from
 * the ancillary area.
 *
 * A filter keeps a superset of what the rules name: what the instructions at hand cannot express
 * (fragments, extension headers, the inside of tunnels, hosts by the thousand) is kept and left to
 * the decoder.
 */

import { isIP } from 'node:net';
import { CaptureError } from './engine.js';

/** struct sock_filter. */
export interface BpfInstruction {
  code: number;
  /** Instructions to pass over if true and if false. */
  jt: number;
  jf: number;
  k: number;
}

export interface Rule {
  readonly protocol: string;
  /** None: every port. */
  readonly ports: readonly number[];
  /** IPv4 or IPv6 address, of either side; any when absent or empty. */
  readonly host?: string;
}

export interface RuleOptions {
  /** Of the outermost IP header; both when absent. */
  ipVersion?: 4 | 6;
  /** Keep what has IP further inside (tags, MPLS and PPPoE, GRE, IP in IP, VXLAN …), whatever that is. */
  keepTunnels: boolean;
  /** The interface whose packets are seen going out and coming in; those going out are dropped. */
  loopbackIndex?: number;
  /** Interfaces to keep; all when absent. */
  interfaces?: number[];
}

/**
 * BPF_MAXINSNS is 4096, but up to Linux 6.8 the translated program also has to fit into the 20 KiB
 * of net.core.optmem_max.
 */
export const MAX_INSTRUCTIONS = 2048;
/** Bytes kept of a packet. */
export const SNAP_BYTES = 0x40000;

/** The opcodes in use; loads go to A unless named LDX. */
export const Op = {
  LD_W: 0x20,
  LD_H: 0x28,
  LD_B: 0x30,
  /** At X + k. */
  LD_H_INDEXED: 0x48,
  LD_MEM: 0x60,
  ST: 0x02,
  LDX_MEM: 0x61,
  /** A = A ^ X, A * k, A >> k. */
  XOR_X: 0xac,
  MUL: 0x24,
  SHIFT_RIGHT: 0x74,
  /** Ends with A. */
  RET_A: 0x16,
  /** X = 4 * (byte at k & 15): the length of an IPv4 header. */
  LDX_MSH: 0xb1,
  JA: 0x05,
  JEQ: 0x15,
  JGT: 0x25,
  JGE: 0x35,
  JSET: 0x45,
  RET: 0x06,
} as const;

/** SKF_AD_OFF and what lies there. */
const ANCILLARY = 0xfffff000;
export const Ancillary = {
  PROTOCOL: ANCILLARY + 0,
  PACKET_TYPE: ANCILLARY + 4,
  INTERFACE: ANCILLARY + 8,
} as const;

const PACKET_OUTGOING = 4;
const EtherType = { IPV4: 0x0800, IPV6: 0x86dd } as const;
/**
 * What stands between Ethernet and IP: VLAN tags that the kernel left in the frame, VN-Tag, PBB, MPLS, PPPoE
 * sessions, NSH.
 */
export const LINK_ETHER_TYPES = [
  0x8100, 0x88a8, 0x9100, 0x9200, 0x9300, 0x8926, 0x88e7, 0x8847, 0x8848, 0x8864, 0x894f,
];
const IpProtocol = { HOP_BY_HOP: 0, TCP: 6, UDP: 17 } as const;
/** IPv4 in IP, IPv6 in IP, GRE, AH (an extension header of IPv4 too), EtherIP, MPLS. */
export const TUNNEL_PROTOCOLS = [4, 41, 47, 51, 97, 137];
/** GTP-U, GRE, VXLAN, VXLAN-GPE, Geneve, MPLS, VXLAN before IANA (Linux). */
export const TUNNEL_PORTS = [2152, 4754, 4789, 4790, 6081, 6635, 8472];
/** IPv6: hop-by-hop, routing, fragment, ESP, AH, destination, mobility, HIP, Shim6. */
export const EXTENSION_HEADERS = [0, 43, 44, 50, 51, 60, 135, 139, 140];

const FRAGMENT_OFFSET_MASK = 0x1fff;
const IPV6_HEADER_BYTES = 40;
/** With one option: the length of a jumbogram. */
const HOP_BY_HOP_BYTES = 8;
/** Scratch memory. */
const Memory = { SOURCE_PORT: 0, DESTINATION_PORT: 1 } as const;

/** Ranges that surely fit: two tests each, for both ports. */
const MAX_WIDENED_RANGES = 420;
/** Comparisons before one `ret`: an offset has 8 bits, and a range takes two. */
const MAX_TESTS = 120;

type Label = number;
type PortRange = [first: number, last: number];

interface HostPorts {
  /** Words of the address, one for IPv4 and four for IPv6; null: any host. */
  host: number[] | null;
  ranges: PortRange[];
}

/** The program that keeps what the rules name, or all IP traffic for null. */
export function compileRules(rules: readonly Rule[] | null, options: RuleOptions): BpfInstruction[] {
  if (rules === null) return compile(null, options);
  const groups = groupByHost(rules);
  const exact = compile(groups, options);
  if (exact.length <= MAX_INSTRUCTIONS) return exact;
  const ranges = mergeRanges(groups.flatMap((group) => group.ranges));
  return compile([{ host: null, ranges: widen(ranges, MAX_WIDENED_RANGES) }], options);
}

const FanoutMemory = { HASH: 0, PORT: 1 } as const;
/** SKF_NET_OFF: offsets from the network header, wherever the packet begins. */
const NETWORK = 0xfff00000;

/**
 * The program that gives a packet to a worker of a fan-out group: its result modulo the workers. Both
 * directions of a connection get the same. The kernel's own hash takes ports where it sees some, which
 * sends fragments of IPv6 away from their connection and the directions of VXLAN and Geneve, whose source
 * ports are made up, to two workers. So TCP goes by addresses and ports, also behind the hop-by-hop header
 * that Linux puts into what is longer than 64 KiB (BIG TCP), all else by addresses, and what is not IP at once
 * (tags, PPPoE, MPLS) to the first worker.
 */
export function compileFanout(): BpfInstruction[] {
  const asm = new Assembler();
  const ipv4 = asm.label();
  const ipv6 = asm.label();
  const mix = asm.label();
  /** A = A ^ scratch. */
  const fold = (memory: number): void => {
    asm.emit(Op.LDX_MEM, memory);
    asm.emit(Op.XOR_X, 0);
  };
  const foldWords = (first: number, words: number): void => {
    asm.emit(Op.LD_W, NETWORK + first);
    for (let word = 1; word < words; word++) {
      asm.emit(Op.ST, FanoutMemory.HASH);
      asm.emit(Op.LD_W, NETWORK + first + word * 4);
      fold(FanoutMemory.HASH);
    }
    asm.emit(Op.ST, FanoutMemory.HASH);
  };
  /** X is the length of the header before the ports; 0 in IPv6, whose header has one length. */
  const foldPorts = (at: number): void => {
    for (const port of [0, 2]) {
      if (port === 2) asm.emit(Op.ST, FanoutMemory.PORT);
      if (at === 0) asm.emit(Op.LDX_MSH, NETWORK);
      asm.emit(at === 0 ? Op.LD_H_INDEXED : Op.LD_H, NETWORK + at + port);
    }
    fold(FanoutMemory.PORT);
    fold(FanoutMemory.HASH);
    asm.emit(Op.ST, FanoutMemory.HASH);
  };
  asm.emit(Op.LD_W, Ancillary.PROTOCOL);
  asm.jumpIfEqual(EtherType.IPV4, ipv4);
  asm.jumpIfEqual(EtherType.IPV6, ipv6);
  asm.drop();

  asm.place(ipv4);
  foldWords(12, 2);
  const portsOfIpv4 = asm.label();
  asm.emit(Op.LD_B, NETWORK + 9);
  asm.jumpIfEqual(IpProtocol.TCP, portsOfIpv4);
  asm.jump(mix);
  asm.place(portsOfIpv4);
  foldPorts(0);
  asm.jump(mix);

  asm.place(ipv6);
  foldWords(8, 8);
  const portsOfIpv6 = asm.label();
  const hopByHop = asm.label();
  const portsBehindOption = asm.label();
  asm.emit(Op.LD_B, NETWORK + 6);
  asm.jumpIfEqual(IpProtocol.TCP, portsOfIpv6);
  asm.jumpIfEqual(IpProtocol.HOP_BY_HOP, hopByHop);
  asm.jump(mix);
  asm.place(hopByHop);
  // Next header, length in 8 bytes less 1.
  asm.emit(Op.LD_H, NETWORK + IPV6_HEADER_BYTES);
  asm.jumpIfEqual(IpProtocol.TCP << 8, portsBehindOption);
  asm.jump(mix);
  asm.place(portsBehindOption);
  foldPorts(IPV6_HEADER_BYTES + HOP_BY_HOP_BYTES);
  asm.jump(mix);
  asm.place(portsOfIpv6);
  foldPorts(IPV6_HEADER_BYTES);

  // The low bits of addresses and ports differ little: the ports of clients are all even on Linux.
  asm.place(mix);
  asm.emit(Op.LD_MEM, FanoutMemory.HASH);
  asm.emit(Op.MUL, 0x9e3779b1);
  asm.emit(Op.SHIFT_RIGHT, 16);
  asm.emit(Op.RET_A, 0);
  return asm.assemble();
}

/** The program that keeps nothing. */
export function dropAll(): BpfInstruction[] {
  return [{ code: Op.RET, jt: 0, jf: 0, k: 0 }];
}

/** Instructions with labels as targets of `JA`, the only jump that reaches across a program. */
class Assembler {
  readonly instructions: BpfInstruction[] = [];
  private readonly positions: number[] = [];
  private readonly jumps: { at: number; label: Label }[] = [];

  emit(code: number, k: number, jt = 0, jf = 0): void {
    this.instructions.push({ code, jt, jf, k: k >>> 0 });
  }

  label(): Label {
    return this.positions.push(-1) - 1;
  }

  place(label: Label): void {
    this.positions[label] = this.instructions.length;
  }

  jump(label: Label): void {
    this.jumps.push({ at: this.instructions.length, label });
    this.emit(Op.JA, 0);
  }

  jumpIfEqual(value: number, label: Label): void {
    this.emit(Op.JEQ, value, 0, 1);
    this.jump(label);
  }

  jumpUnlessEqual(value: number, label: Label): void {
    this.emit(Op.JEQ, value, 1, 0);
    this.jump(label);
  }

  keep(): void {
    this.emit(Op.RET, SNAP_BYTES);
  }

  drop(): void {
    this.emit(Op.RET, 0);
  }

  keepIfEqual(value: number): void {
    this.emit(Op.JEQ, value, 0, 1);
    this.keep();
  }

  keepIfAny(values: readonly number[]): void {
    for (const value of values) this.keepIfEqual(value);
  }

  /** Keeps the packet where A is in one of the ranges. */
  keepIfInRanges(ranges: readonly PortRange[]): void {
    for (let first = 0; first < ranges.length; first += MAX_TESTS) {
      const some = ranges.slice(first, first + MAX_TESTS);
      let left = some.reduce((sum, range) => sum + (range[0] === range[1] ? 1 : 2), 0);
      for (const [low, high] of some) {
        left -= low === high ? 1 : 2;
        // The last test of all passes over the `ret` where it fails.
        const next = left === 0 ? 1 : 0;
        if (low === high) {
          this.emit(Op.JEQ, low, left, next);
        } else {
          this.emit(Op.JGE, low, 0, 1 + next);
          this.emit(Op.JGT, high, next, left);
        }
      }
      this.keep();
    }
  }

  assemble(): BpfInstruction[] {
    for (const { at, label } of this.jumps) this.instructions[at].k = this.positions[label] - at - 1;
    return this.instructions;
  }
}

function compile(groups: HostPorts[] | null, options: RuleOptions): BpfInstruction[] {
  const asm = new Assembler();
  const { ipVersion, keepTunnels, loopbackIndex, interfaces } = options;
  const ipv4 = asm.label();
  const ipv6 = asm.label();
  const anyHost = asm.label();
  if (interfaces !== undefined) {
    asm.emit(Op.LD_W, Ancillary.INTERFACE);
    const wanted = asm.label();
    for (const index of interfaces) asm.jumpIfEqual(index, wanted);
    asm.drop();
    asm.place(wanted);
  }
  if (loopbackIndex !== undefined) {
    asm.emit(Op.LD_W, Ancillary.INTERFACE);
    asm.emit(Op.JEQ, loopbackIndex, 0, 3);
    asm.emit(Op.LD_W, Ancillary.PACKET_TYPE);
    asm.emit(Op.JEQ, PACKET_OUTGOING, 0, 1);
    asm.drop();
  }
  asm.emit(Op.LD_W, Ancillary.PROTOCOL);
  if (ipVersion !== 6) asm.jumpIfEqual(EtherType.IPV4, ipv4);
  if (ipVersion !== 4) asm.jumpIfEqual(EtherType.IPV6, ipv6);
  if (keepTunnels || groups === null) asm.keepIfAny(LINK_ETHER_TYPES);
  asm.drop();

  asm.place(ipv4);
  if (groups === null) asm.keep();
  else emitIpv4(asm, groups, keepTunnels, anyHost);
  asm.place(ipv6);
  if (groups === null) asm.keep();
  else emitIpv6(asm, groups, keepTunnels, anyHost);

  asm.place(anyHost);
  for (const group of groups ?? []) if (group.host === null) emitPorts(asm, group.ranges);
  asm.drop();
  return asm.assemble();
}

/** RFC 791 section 3.1. */
function emitIpv4(asm: Assembler, groups: HostPorts[], keepTunnels: boolean, anyHost: Label): void {
  asm.emit(Op.LD_H, 6);
  asm.emit(Op.JSET, FRAGMENT_OFFSET_MASK, 0, 1);
  asm.keep();
  asm.emit(Op.LDX_MSH, 0);
  asm.emit(Op.LD_H_INDEXED, 0);
  asm.emit(Op.ST, Memory.SOURCE_PORT);
  asm.emit(Op.LD_H_INDEXED, 2);
  asm.emit(Op.ST, Memory.DESTINATION_PORT);
  asm.emit(Op.LD_B, 9);
  emitTransport(asm, keepTunnels);
  for (const { host, ranges } of groups) {
    if (host?.length !== 1) continue;
    const next = asm.label();
    const found = asm.label();
    asm.emit(Op.LD_W, 12);
    asm.jumpIfEqual(host[0], found);
    asm.emit(Op.LD_W, 16);
    asm.jumpUnlessEqual(host[0], next);
    asm.place(found);
    emitPorts(asm, ranges);
    asm.place(next);
  }
  asm.jump(anyHost);
}

/** RFC 8200 section 3. */
function emitIpv6(asm: Assembler, groups: HostPorts[], keepTunnels: boolean, anyHost: Label): void {
  asm.emit(Op.LD_B, 6);
  asm.keepIfAny(EXTENSION_HEADERS);
  asm.emit(Op.LD_H, IPV6_HEADER_BYTES);
  asm.emit(Op.ST, Memory.SOURCE_PORT);
  asm.emit(Op.LD_H, IPV6_HEADER_BYTES + 2);
  asm.emit(Op.ST, Memory.DESTINATION_PORT);
  asm.emit(Op.LD_B, 6);
  emitTransport(asm, keepTunnels);
  for (const { host, ranges } of groups) {
    if (host?.length !== 4) continue;
    const next = asm.label();
    const destination = asm.label();
    const found = asm.label();
    emitAddressTest(asm, 8, host, destination);
    asm.jump(found);
    asm.place(destination);
    emitAddressTest(asm, 24, host, next);
    asm.place(found);
    emitPorts(asm, ranges);
    asm.place(next);
  }
  asm.jump(anyHost);
}

function emitAddressTest(asm: Assembler, offset: number, words: number[], other: Label): void {
  words.forEach((word, index) => {
    asm.emit(Op.LD_W, offset + 4 * index);
    asm.jumpUnlessEqual(word, other);
  });
}

/** A is the protocol: drops all but TCP and UDP, keeps tunnels. */
function emitTransport(asm: Assembler, keepTunnels: boolean): void {
  const transport = asm.label();
  asm.jumpIfEqual(IpProtocol.TCP, transport);
  if (keepTunnels) asm.keepIfAny(TUNNEL_PROTOCOLS);
  asm.emit(Op.JEQ, IpProtocol.UDP, 1, 0);
  asm.drop();
  if (keepTunnels) {
    asm.emit(Op.LD_MEM, Memory.DESTINATION_PORT);
    asm.keepIfAny(TUNNEL_PORTS);
  }
  asm.place(transport);
}

function emitPorts(asm: Assembler, ranges: PortRange[]): void {
  asm.emit(Op.LD_MEM, Memory.SOURCE_PORT);
  asm.keepIfInRanges(ranges);
  asm.emit(Op.LD_MEM, Memory.DESTINATION_PORT);
  asm.keepIfInRanges(ranges);
}

function groupByHost(rules: readonly Rule[]): HostPorts[] {
  const groups = new Map<string, { host: number[] | null; ranges: PortRange[] }>();
  for (const { ports, host } of rules) {
    const words = host ? addressWords(host) : null;
    const key = words === null ? '' : words.join();
    const group = groups.get(key) ?? { host: words, ranges: [] };
    groups.set(key, group);
    if (ports.length === 0) group.ranges.push([0, 0xffff]);
    for (const port of ports) group.ranges.push([port, port]);
  }
  return [...groups.values()].map(({ host, ranges }) => ({ host, ranges: mergeRanges(ranges) }));
}

/** Sorted, adjacent and overlapping ones made one. */
function mergeRanges(ranges: PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const [first, last] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const previous = merged.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

/** Closes the smallest gaps between ranges until no more than `count` are left. */
function widen(ranges: PortRange[], count: number): PortRange[] {
  if (ranges.length <= count) return ranges;
  const gap = (index: number): number => ranges[index][0] - ranges[index - 1][1];
  const kept = ranges
    .map((_, index) => index)
    .slice(1)
    .sort((a, b) => gap(b) - gap(a))
    .slice(0, count - 1)
    .sort((a, b) => a - b);
  return [0, ...kept].map((first, index) => [
    ranges[first][0],
    ranges[(kept[index] ?? ranges.length) - 1][1],
  ]);
}

function addressWords(host: string): number[] {
  switch (isIP(host)) {
    case 4:
      return [wordOf(host.split('.').map(Number))];
    case 6: {
      const groups = ipv6Groups(host);
      return [0, 2, 4, 6].map((index) => ((groups[index] << 16) | groups[index + 1]) >>> 0);
    }
    default:
      throw new CaptureError(
        'NOT_SUPPORTED',
        `the host '${host}' of a rule is not an address; give an IPv4 or IPv6 address`,
      );
  }
}

function wordOf(octets: number[]): number {
  return octets.reduce((word, octet) => word * 256 + octet, 0);
}

/** The eight groups of an address that `isIP` accepted (RFC 4291 section 2.2). */
function ipv6Groups(address: string): number[] {
  const plain = address.replace(/%.*$/, '').replace(/\d+\.\d+\.\d+\.\d+$/, (ipv4) => {
    const word = wordOf(ipv4.split('.').map(Number));
    return `${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`;
  });
  const parse = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [head, tail = null] = plain.split('::');
  const before = parse(head);
  if (tail === null) return before;
  const after = parse(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}
