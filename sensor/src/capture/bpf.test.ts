import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  Ancillary,
  type BpfInstruction,
  compileFanout,
  compileRules,
  MAX_INSTRUCTIONS,
  Op,
  type Rule,
  type RuleOptions,
  SNAP_BYTES,
} from './bpf.js';

interface Delivery {
  etherType: number;
  bytes: Uint8Array;
  packetType?: number;
  interfaceIndex?: number;
}

/** SKF_NET_OFF. */
const NETWORK = 0xfff00000;

/** Runs a program as filter.rst describes the machine: a load beyond the packet ends it with 0. */
function run(
  program: BpfInstruction[],
  { etherType, bytes, packetType = 0, interfaceIndex = 2 }: Delivery,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const memory = new Uint32Array(16);
  let a = 0;
  let x = 0;
  for (let pc = 0; ; pc++) {
    assert.ok(pc < program.length, 'ran off the end');
    const { code, jt, jf } = program[pc];
    const fromNetwork = program[pc].k >= NETWORK && program[pc].k < Ancillary.PROTOCOL;
    const k = fromNetwork ? program[pc].k - NETWORK : program[pc].k;
    const fits = (offset: number, size: number): boolean => offset + size <= bytes.length;
    const branch = (condition: boolean): void => {
      pc += condition ? jt : jf;
    };
    switch (code) {
      case Op.LD_W:
        if (k === Ancillary.PROTOCOL) a = etherType;
        else if (k === Ancillary.PACKET_TYPE) a = packetType;
        else if (k === Ancillary.INTERFACE) a = interfaceIndex;
        else if (fits(k, 4)) a = view.getUint32(k);
        else return 0;
        break;
      case Op.LD_H:
        if (!fits(k, 2)) return 0;
        a = view.getUint16(k);
        break;
      case Op.LD_B:
        if (!fits(k, 1)) return 0;
        a = view.getUint8(k);
        break;
      case Op.LD_H_INDEXED:
        if (!fits(x + k, 2)) return 0;
        a = view.getUint16(x + k);
        break;
      case Op.LD_MEM:
        a = memory[k];
        break;
      case Op.LDX_MEM:
        x = memory[k];
        break;
      case Op.XOR_X:
        a = (a ^ x) >>> 0;
        break;
      case Op.MUL:
        a = Math.imul(a, k) >>> 0;
        break;
      case Op.SHIFT_RIGHT:
        a >>>= k;
        break;
      case Op.RET_A:
        return a;
      case Op.ST:
        memory[k] = a;
        break;
      case Op.LDX_MSH:
        if (!fits(k, 1)) return 0;
        x = (view.getUint8(k) & 15) * 4;
        break;
      case Op.JA:
        pc += k;
        break;
      case Op.JEQ:
        branch(a === k);
        break;
      case Op.JGT:
        branch(a > k);
        break;
      case Op.JGE:
        branch(a >= k);
        break;
      case Op.JSET:
        branch((a & k) !== 0);
        break;
      case Op.RET:
        return k;
      default:
        assert.fail(`opcode ${code}`);
    }
  }
}

/** What the kernel's checker asks of a program (bpf_check_classic). */
function assertLoadable(program: BpfInstruction[]): void {
  assert.ok(program.length > 0 && program.length <= MAX_INSTRUCTIONS, `${program.length} instructions`);
  assert.equal(program.at(-1)?.code, Op.RET);
  program.forEach(({ code, jt, jf, k }, index) => {
    const known: number[] = Object.values(Op);
    assert.ok(known.includes(code));
    for (const offset of [jt, jf])
      assert.ok(Number.isInteger(offset) && offset >= 0 && offset <= 255, `${index}: ${offset}`);
    const far = code === Op.JA ? k : (code & 7) === 5 ? Math.max(jt, jf) : 0;
    assert.ok(index + 1 + far < program.length || code === Op.RET, `${index} jumps out`);
  });
}

interface Ipv4 {
  source?: string;
  destination?: string;
  protocol?: number;
  fragmentOffset?: number;
  optionBytes?: number;
  ports?: [number, number];
}

function ipv4({
  source = '10.0.0.1',
  destination = '10.0.0.2',
  protocol = 6,
  fragmentOffset = 0,
  optionBytes = 0,
  ports = [1, 2],
}: Ipv4): Delivery {
  const bytes = new Uint8Array(20 + optionBytes + 8);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x45 + optionBytes / 4;
  view.setUint16(6, fragmentOffset);
  bytes[9] = protocol;
  bytes.set(source.split('.').map(Number), 12);
  bytes.set(destination.split('.').map(Number), 16);
  view.setUint16(20 + optionBytes, ports[0]);
  view.setUint16(22 + optionBytes, ports[1]);
  return { etherType: 0x0800, bytes };
}

function ipv6({
  nextHeader = 6,
  ports = [1, 2],
  last = 1,
}: {
  nextHeader?: number;
  ports?: [number, number];
  last?: number;
}): Delivery {
  const bytes = new Uint8Array(48);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x60;
  bytes[6] = nextHeader;
  // fd00::1 to fd00::<last>
  bytes[8] = 0xfd;
  bytes[23] = 1;
  bytes[24] = 0xfd;
  bytes[39] = last;
  view.setUint16(40, ports[0]);
  view.setUint16(42, ports[1]);
  return { etherType: 0x86dd, bytes };
}

const rule = (ports: number[], host?: string): Rule => ({ protocol: 'http', ports, host });

const rows: {
  title: string;
  rules: Rule[] | null;
  options?: Partial<RuleOptions>;
  packet: Delivery;
  kept: boolean;
}[] = [
  { title: 'source port', rules: [rule([80])], packet: ipv4({ ports: [80, 5] }), kept: true },
  { title: 'destination port', rules: [rule([80])], packet: ipv4({ ports: [5, 80] }), kept: true },
  { title: 'UDP', rules: [rule([53])], packet: ipv4({ protocol: 17, ports: [5, 53] }), kept: true },
  { title: 'other port', rules: [rule([80])], packet: ipv4({ ports: [81, 79] }), kept: false },
  {
    title: 'options before TCP',
    rules: [rule([80])],
    packet: ipv4({ optionBytes: 40, ports: [5, 80] }),
    kept: true,
  },
  { title: 'ICMP', rules: [rule([80])], packet: ipv4({ protocol: 1, ports: [80, 80] }), kept: false },
  {
    title: 'first fragment, other port',
    rules: [rule([80])],
    packet: ipv4({ fragmentOffset: 0x2000 }),
    kept: false,
  },
  { title: 'later fragment', rules: [rule([80])], packet: ipv4({ fragmentOffset: 0x00b9 }), kept: true },
  { title: 'no ports: every port', rules: [rule([])], packet: ipv4({}), kept: true },
  { title: 'no rules', rules: [], packet: ipv4({}), kept: false },
  { title: 'range ends', rules: [rule([7, 8, 9])], packet: ipv4({ ports: [1, 9] }), kept: true },
  { title: 'beyond a range', rules: [rule([7, 8, 9])], packet: ipv4({ ports: [6, 10] }), kept: false },
  { title: 'host as source', rules: [rule([80], '10.0.0.1')], packet: ipv4({ ports: [5, 80] }), kept: true },
  {
    title: 'host as destination',
    rules: [rule([80], '10.0.0.2')],
    packet: ipv4({ ports: [5, 80] }),
    kept: true,
  },
  { title: 'other host', rules: [rule([80], '10.0.0.3')], packet: ipv4({ ports: [5, 80] }), kept: false },
  {
    title: 'high host',
    rules: [rule([80], '203.0.113.9')],
    packet: ipv4({ source: '203.0.113.9', ports: [5, 80] }),
    kept: true,
  },
  {
    title: 'second host',
    rules: [rule([80], '10.0.0.3'), rule([81], '10.0.0.2')],
    packet: ipv4({ ports: [5, 81] }),
    kept: true,
  },
  {
    title: 'port of the other host',
    rules: [rule([80], '10.0.0.3'), rule([81], '10.0.0.2')],
    packet: ipv4({ ports: [5, 80] }),
    kept: false,
  },
  { title: 'empty host', rules: [rule([80], '')], packet: ipv4({ ports: [5, 80] }), kept: true },
  { title: 'IPv6', rules: [rule([80])], packet: ipv6({ ports: [5, 80] }), kept: true },
  { title: 'IPv6, other port', rules: [rule([80])], packet: ipv6({ ports: [5, 81] }), kept: false },
  {
    title: 'IPv6 host as source',
    rules: [rule([80], 'fd00::1')],
    packet: ipv6({ ports: [5, 80], last: 9 }),
    kept: true,
  },
  {
    title: 'IPv6 host as destination',
    rules: [rule([80], 'FD00:0:0::9')],
    packet: ipv6({ ports: [5, 80], last: 9 }),
    kept: true,
  },
  {
    title: 'IPv6 host with an IPv4 tail',
    rules: [rule([80], 'fd00::0.0.0.9')],
    packet: ipv6({ ports: [5, 80], last: 9 }),
    kept: true,
  },
  {
    title: 'other IPv6 host',
    rules: [rule([80], 'fd00::8')],
    packet: ipv6({ ports: [5, 80], last: 9 }),
    kept: false,
  },
  { title: 'IPv6 fragment', rules: [rule([80])], packet: ipv6({ nextHeader: 44 }), kept: true },
  { title: 'IPv6 hop-by-hop', rules: [rule([80])], packet: ipv6({ nextHeader: 0 }), kept: true },
  { title: 'ICMPv6', rules: [rule([80])], packet: ipv6({ nextHeader: 58, ports: [80, 80] }), kept: false },
  {
    title: 'GRE',
    rules: [rule([80])],
    options: { keepTunnels: true },
    packet: ipv4({ protocol: 47 }),
    kept: true,
  },
  ...[51, 97, 137].map((protocol) => ({
    title: `AH, EtherIP, MPLS: protocol ${protocol}`,
    rules: [rule([80])],
    options: { keepTunnels: true },
    packet: ipv4({ protocol }),
    kept: true,
  })),
  { title: 'GRE without tunnels', rules: [rule([80])], packet: ipv4({ protocol: 47 }), kept: false },
  {
    title: 'VXLAN',
    rules: [rule([80])],
    options: { keepTunnels: true },
    packet: ipv4({ protocol: 17, ports: [5, 4789] }),
    kept: true,
  },
  ...[2152, 4754, 4790, 6081, 6635, 8472].map((port) => ({
    title: `tunnels over UDP: port ${port}`,
    rules: [rule([80])],
    options: { keepTunnels: true },
    packet: ipv4({ protocol: 17, ports: [5, port] }),
    kept: true,
  })),
  {
    title: 'port of VXLAN in TCP',
    rules: [rule([80])],
    options: { keepTunnels: true },
    packet: ipv4({ ports: [5, 4789] }),
    kept: false,
  },
  {
    title: 'IPv4 in IPv6',
    rules: [rule([80])],
    options: { keepTunnels: true },
    packet: ipv6({ nextHeader: 4 }),
    kept: true,
  },
  {
    title: 'VLAN',
    rules: [rule([80])],
    options: { keepTunnels: true },
    packet: { etherType: 0x8100, bytes: new Uint8Array(4) },
    kept: true,
  },
  {
    title: 'VLAN without tunnels',
    rules: [rule([80])],
    packet: { etherType: 0x8100, bytes: new Uint8Array(4) },
    kept: false,
  },
  ...[0x8847, 0x8848, 0x8864, 0x88a8, 0x88e7, 0x8926, 0x894f, 0x9100, 0x9200, 0x9300].flatMap((etherType) =>
    [null, [rule([80])]].map((rules) => ({
      title: `${rules === null ? 'all' : 'rules'}: EtherType ${etherType.toString(16)} before IP`,
      rules,
      options: { keepTunnels: true },
      packet: { etherType, bytes: new Uint8Array(4) },
      kept: true,
    })),
  ),
  { title: 'ARP', rules: null, packet: { etherType: 0x0806, bytes: new Uint8Array(28) }, kept: false },
  { title: 'all: IPv4', rules: null, packet: ipv4({ protocol: 1 }), kept: true },
  { title: 'all: IPv6', rules: null, packet: ipv6({ nextHeader: 58 }), kept: true },
  { title: 'all: VLAN', rules: null, packet: { etherType: 0x88a8, bytes: new Uint8Array(4) }, kept: true },
  { title: 'only IPv6: IPv4', rules: null, options: { ipVersion: 6 }, packet: ipv4({}), kept: false },
  { title: 'only IPv6: IPv6', rules: null, options: { ipVersion: 6 }, packet: ipv6({}), kept: true },
  { title: 'only IPv4: IPv6', rules: [rule([2])], options: { ipVersion: 4 }, packet: ipv6({}), kept: false },
  { title: 'only IPv4: IPv4', rules: [rule([2])], options: { ipVersion: 4 }, packet: ipv4({}), kept: true },
  {
    title: 'outgoing on loopback',
    rules: null,
    options: { loopbackIndex: 1 },
    packet: { ...ipv4({}), interfaceIndex: 1, packetType: 4 },
    kept: false,
  },
  {
    title: 'incoming on loopback',
    rules: null,
    options: { loopbackIndex: 1 },
    packet: { ...ipv4({}), interfaceIndex: 1 },
    kept: true,
  },
  {
    title: 'outgoing elsewhere',
    rules: null,
    options: { loopbackIndex: 1 },
    packet: { ...ipv4({}), packetType: 4 },
    kept: true,
  },
  { title: 'wanted interface', rules: null, options: { interfaces: [7, 2] }, packet: ipv4({}), kept: true },
  { title: 'other interface', rules: null, options: { interfaces: [7, 8] }, packet: ipv4({}), kept: false },
  {
    title: 'cut inside the ports',
    rules: [rule([0])],
    packet: { etherType: 0x0800, bytes: ipv4({}).bytes.subarray(0, 22) },
    kept: false,
  },
];

describe('filter', () => {
  for (const { title, rules, options, packet, kept } of rows) {
    it(title, () => {
      const program = compileRules(rules, { keepTunnels: false, ...options });
      assertLoadable(program);
      assert.equal(run(program, packet), kept ? SNAP_BYTES : 0);
    });
  }

  it('refuses a host that is a name', () => {
    assert.throws(() => compileRules([rule([80], 'db.example')], { keepTunnels: false }), {
      name: 'CaptureError',
    });
  });

  it('keeps exactly the named ports, however many', () => {
    const ports = fc.uniqueArray(fc.integer({ min: 0, max: 65_535 }), { maxLength: 450 });
    const property = fc.property(
      ports,
      fc.array(fc.integer({ min: 0, max: 65_535 }), { maxLength: 20 }),
      (named, others) => {
        const program = compileRules([rule(named.length === 0 ? [1] : named)], { keepTunnels: true });
        assertLoadable(program);
        const wanted = new Set(named.length === 0 ? [1] : named);
        const tested = [
          ...others,
          ...named.slice(0, 20),
          ...named.slice(0, 20).map((port) => (port + 1) & 0xffff),
        ];
        for (const port of tested) {
          if (wanted.has(port)) assert.equal(run(program, ipv4({ ports: [port, port] })), SNAP_BYTES);
          else assert.equal(run(program, ipv4({ ports: [port, port] })), 0);
        }
      },
    );
    fc.assert(property, { numRuns: 30 });
  });

  it('keeps more rather than pass the limit of instructions', () => {
    const ports = Array.from({ length: 20_000 }, (_, index) => index * 3);
    const hosts4 = Array.from({ length: 300 }, (_, index) =>
      rule([index * 2], `10.1.${index >> 8}.${index & 255}`),
    );
    const hosts6 = hosts4.map(({ ports: [port] }, index) =>
      rule([port], `fd00::${((index % 255) + 1).toString(16)}`),
    );
    for (const rules of [[rule(ports)], [...hosts4, rule(ports)], [...hosts4, ...hosts6]]) {
      const program = compileRules(rules, { keepTunnels: true, loopbackIndex: 1, interfaces: [2, 3, 4] });
      assertLoadable(program);
      for (const { ports: named, host } of rules) {
        for (const port of named.slice(0, 100)) {
          const packet = host?.includes(':')
            ? ipv6({ ports: [1, port], last: Number.parseInt(host.slice(6), 16) })
            : ipv4({ source: host, ports: [1, port] });
          assert.equal(run(program, packet), SNAP_BYTES, `${host} ${port}`);
        }
      }
    }
  });
});

describe('fan-out', () => {
  const program = compileFanout();
  /** TCP of two hosts, in either direction, also behind a jumbo payload option (RFC 2675). */
  const segment = (ports: [number, number], back: boolean, jumbo: boolean): Delivery => {
    const [first, second] = back ? [2, 1] : [1, 2];
    const bytes = new Uint8Array(jumbo ? 68 : 60);
    const view = new DataView(bytes.buffer);
    bytes[0] = 0x60;
    bytes[6] = jumbo ? 0 : 6;
    bytes[23] = first;
    bytes[39] = second;
    if (jumbo) bytes.set([6, 0, 0xc2, 4, 0, 1, 0, 0], 40);
    view.setUint16(bytes.length - 20, ports[back ? 1 : 0]);
    view.setUint16(bytes.length - 18, ports[back ? 0 : 1]);
    return { etherType: 0x86dd, bytes };
  };

  it('a jumbogram goes where its connection does, in both directions', () => {
    const workers = new Set<number>();
    for (let port = 1000; port < 1016; port++) {
      const results = [false, true].flatMap((back) =>
        [false, true].map((jumbo) => run(program, segment([port, 80], back, jumbo))),
      );
      assert.equal(new Set(results).size, 1);
      workers.add(results[0] % 2);
    }
    assert.equal(workers.size, 2);
  });
});
