import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Frame, LinkType } from '../capture/engine.js';
import { formatAddress } from './address.js';
import { Packet, ParseStatus } from './packet.js';
import { PacketParser, type ParserOptions } from './parse.js';

const MAC = '020000000001 020000000002';
/** RFC 791: 10.0.0.1 to 10.0.0.2, 20 + 20 + 3 bytes. */
const IP4 = '4500002b 00010000 40060000 0a000001 0a000002';
/** RFC 8200: 2001:db8::1 to 2001:db8::2, 20 + 3 bytes. */
const IP6_ADDRESSES = '20010db8000000000000000000000001 20010db8000000000000000000000002';
const IP6 = `60000000 0017 06 40 ${IP6_ADDRESSES}`;
/** RFC 9293: ports 50000 and 80, sequence 1, acknowledgement 2, PSH ACK. */
const TCP = 'c3500050 00000001 00000002 50180200 00000000 616263';
const TCP4 = `${IP4} ${TCP}`;
const TCP6 = `${IP6} ${TCP}`;
/** 43 bytes of TCP4 after Ethernet: what tunnels carry here. */
const FRAME4 = `${MAC} 0800 ${TCP4}`;

const IS_TCP4 = 'tcp 10.0.0.1:50000 10.0.0.2:80 3/3';
const IS_TCP6 = 'tcp 2001:db8::1:50000 2001:db8::2:80 3/3';

const hex16 = (value: number): string => value.toString(16).padStart(4, '0');
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
const lengthOf = (hex: string): number => bytesOf(hex).length;
/** An outer IPv4 packet, 192.0.2.1 to 192.0.2.2. */
const outer4 = (protocol: string, payload: string): string =>
  `4500 ${hex16(20 + lengthOf(payload))} 00010000 40 ${protocol} 0000 c0000201 c0000202 ${payload}`;
const udp4 = (port: number, payload: string): string =>
  outer4('11', `3039 ${hex16(port)} ${hex16(8 + lengthOf(payload))} 0000 ${payload}`);
const isUdp = (port: number, payload: string): string =>
  `udp 192.0.2.1:12345 192.0.2.2:${port} ${lengthOf(payload)}/${lengthOf(payload)}`;
const ether = (etherType: string, payload: string): string => `${MAC} ${etherType} ${payload}`;
/** `count` times IP in IP, TCP innermost. */
const nested = (count: number): string => (count === 0 ? TCP4 : outer4('04', nested(count - 1)));

const VXLAN = '08000000 00006400';
const GENEVE = '00006558 00006400';

interface Case {
  readonly name: string;
  readonly bytes: string;
  /** A status, or "protocol source:port destination:port captured/announced". */
  readonly is: string;
  readonly linkType?: number;
  readonly etherType?: number;
  readonly wireLength?: number;
  readonly options?: ParserOptions;
}

const { ETHERNET, LINUX_SLL, LINUX_SLL2, NULL, LOOP, PPP, PPP_HDLC, RAW, NETWORK } = LinkType;

const CASES: readonly Case[] = [
  // Link layers.
  { name: 'Ethernet, IPv4', bytes: FRAME4, is: IS_TCP4 },
  { name: 'Ethernet, IPv6', bytes: ether('86dd', TCP6), is: IS_TCP6 },
  { name: 'padding after IP is no payload', bytes: `${FRAME4} 000000`, is: IS_TCP4 },
  { name: 'ARP', bytes: ether('0806', '0001080006040001'), is: 'NOT_IP' },
  { name: '802.3 with spanning tree', bytes: ether('0026', '424203 0000000000 0000000000'), is: 'NOT_IP' },
  { name: '802.3 with SNAP', bytes: ether('0033', `aaaa03 000000 0800 ${TCP4}`), is: IS_TCP4 },
  { name: 'SNAP of another organisation', bytes: ether('0033', `aaaa03 00000c 2000 ${TCP4}`), is: 'NOT_IP' },
  {
    name: 'SNAP and tags without end',
    bytes: ether('0033', 'aaaa03 000000 8100 0001 0033'.repeat(5000)),
    is: 'TOO_DEEP',
  },
  { name: '802.1Q', bytes: ether('8100', `0064 0800 ${TCP4}`), is: IS_TCP4 },
  { name: 'three tags', bytes: ether('88a8', `0064 9100 0065 8100 0066 86dd ${TCP6}`), is: IS_TCP6 },
  { name: '16 tags', bytes: ether('8100', `${'0001 8100'.repeat(16)} 0001 0800 ${TCP4}`), is: 'TOO_DEEP' },
  { name: 'a tag that is cut', bytes: ether('8100', '00'), wireLength: 64, is: 'TRUNCATED' },
  { name: 'a tag that is not there', bytes: ether('8100', '00'), is: 'MALFORMED' },
  { name: '802.1ah', bytes: ether('88e7', `00000001 ${FRAME4}`), is: IS_TCP4 },
  { name: 'VN-Tag', bytes: ether('8926', `00000001 0800 ${TCP4}`), is: IS_TCP4 },
  { name: 'PPPoE session', bytes: ether('8864', `11 00 0001 002d 0021 ${TCP4}`), is: IS_TCP4 },
  { name: 'PPPoE session, LCP', bytes: ether('8864', '11 00 0001 0006 c021 01010004'), is: 'NOT_IP' },
  { name: 'MPLS, two labels', bytes: ether('8847', `00010040 00020140 ${TCP6}`), is: IS_TCP6 },
  {
    name: 'MPLS, control word and Ethernet',
    bytes: ether('8847', `00010140 00000000 ${FRAME4}`),
    is: IS_TCP4,
  },
  { name: 'MPLS without a bottom', bytes: ether('8848', '00010040'.repeat(17)), is: 'TOO_DEEP' },
  { name: 'cooked', bytes: `0000 0001 0006 0200000000010000 0800 ${TCP4}`, linkType: LINUX_SLL, is: IS_TCP4 },
  {
    name: 'cooked, tagged',
    bytes: `0000 0001 0006 0200000000010000 8100 0001 86dd ${TCP6}`,
    linkType: LINUX_SLL,
    is: IS_TCP6,
  },
  {
    name: 'cooked 2',
    bytes: `86dd 0000 00000002 0001 00 06 0200000000010000 ${TCP6}`,
    linkType: LINUX_SLL2,
    is: IS_TCP6,
  },
  { name: 'null, little-endian', bytes: `02000000 ${TCP4}`, linkType: NULL, is: IS_TCP4 },
  { name: 'null, big-endian', bytes: `0000001e ${TCP6}`, linkType: NULL, is: IS_TCP6 },
  { name: 'null, another family', bytes: `07000000 ${TCP4}`, linkType: NULL, is: 'NOT_IP' },
  { name: 'loop', bytes: `00000018 ${TCP6}`, linkType: LOOP, is: IS_TCP6 },
  { name: 'raw IPv4', bytes: TCP4, linkType: RAW, is: IS_TCP4 },
  { name: 'raw IPv6, as BSD', bytes: TCP6, linkType: 12, is: IS_TCP6 },
  { name: 'IPv4 link with IPv6', bytes: TCP6, linkType: LinkType.IPV4, is: 'MALFORMED' },
  { name: 'PPP', bytes: `ff03 0021 ${TCP4}`, linkType: PPP, is: IS_TCP4 },
  { name: 'PPP, compressed headers', bytes: `57 ${TCP6}`, linkType: PPP, is: IS_TCP6 },
  { name: 'Cisco HDLC', bytes: `0f00 0800 ${TCP4}`, linkType: PPP_HDLC, is: IS_TCP4 },
  { name: 'FDDI', bytes: `50 ${MAC} aaaa03 000000 0800 ${TCP4}`, linkType: 10, is: IS_TCP4 },
  { name: 'frame relay, Cisco', bytes: `1841 0800 ${TCP4}`, linkType: 107, is: IS_TCP4 },
  { name: 'frame relay, NLPID', bytes: `1841 03 cc ${TCP4}`, linkType: 107, is: IS_TCP4 },
  { name: 'network', bytes: TCP6, linkType: NETWORK, etherType: 0x86dd, is: IS_TCP6 },
  {
    name: 'network, a tag left in front of IP, which is told',
    bytes: `000a 0800 ${TCP4}`,
    linkType: NETWORK,
    etherType: 0x0800,
    is: IS_TCP4,
  },
  {
    name: 'network, a tag that looks like IP',
    bytes: `4500 0800 ${TCP4}`,
    linkType: NETWORK,
    etherType: 0x0800,
    is: IS_TCP4,
  },
  {
    name: 'network, two tags left, IPv6',
    bytes: `6014 8100 000a 86dd ${TCP6}`,
    linkType: NETWORK,
    etherType: 0x86dd,
    is: IS_TCP6,
  },
  {
    name: 'network, a tag told that is there',
    bytes: `000a 0800 ${TCP4}`,
    linkType: NETWORK,
    etherType: 0x8100,
    is: IS_TCP4,
  },
  { name: 'network, a tag told and IP', bytes: TCP4, linkType: NETWORK, etherType: 0x8100, is: IS_TCP4 },
  { name: 'network, a tag told and IPv6', bytes: TCP6, linkType: NETWORK, etherType: 0x88a8, is: IS_TCP6 },
  {
    name: 'network, a tag left in front of PPPoE, which is told',
    bytes: `000a 8864 11 00 0001 002d 0021 ${TCP4}`,
    linkType: NETWORK,
    etherType: 0x8864,
    is: IS_TCP4,
  },
  {
    name: 'network, a flow label that looks like an EtherType',
    bytes: TCP6.replace('60000000', '600086dd'),
    linkType: NETWORK,
    etherType: 0x86dd,
    is: IS_TCP6,
  },
  { name: 'network, ARP', bytes: '00010800', linkType: NETWORK, etherType: 0x0806, is: 'NOT_IP' },
  { name: '802.11', bytes: TCP4, linkType: 105, is: 'UNKNOWN_LINK' },
  // IPv4.
  {
    name: 'IPv4 options',
    bytes: `4600002f 00010000 40060000 0a000001 0a000002 01010101 ${TCP}`,
    linkType: RAW,
    is: IS_TCP4,
  },
  {
    name: 'total length 0',
    bytes: `45000000 00010000 40060000 0a000001 0a000002 ${TCP}`,
    linkType: RAW,
    is: IS_TCP4,
  },
  { name: 'header length 16', bytes: TCP4.replace('45', '44'), linkType: RAW, is: 'MALFORMED' },
  {
    name: 'total length below the header',
    bytes: TCP4.replace('002b', '0013'),
    linkType: RAW,
    is: 'MALFORMED',
  },
  { name: 'total length below TCP', bytes: TCP4.replace('002b', '0020'), linkType: RAW, is: 'MALFORMED' },
  { name: 'ICMP', bytes: outer4('01', '0800000000010001'), linkType: RAW, is: 'NOT_TRANSPORT' },
  {
    name: 'IPv4 with AH',
    bytes: outer4('33', `06 04 0000 00000001 00000001 ${'00'.repeat(12)} ${TCP}`),
    linkType: RAW,
    is: 'tcp 192.0.2.1:50000 192.0.2.2:80 3/3',
  },
  // IPv6.
  {
    name: 'all extension headers',
    bytes: `60000000 004f 00 40 ${IP6_ADDRESSES} 2b00050200000000 2c00000000000000 3c00000000000001 3300010400000000 0604000000000001 00000001 ${'00'.repeat(12)} ${TCP}`,
    linkType: RAW,
    is: IS_TCP6,
  },
  {
    name: 'payload length 0',
    bytes: `60000000 0000 06 40 ${IP6_ADDRESSES} ${TCP}`,
    linkType: RAW,
    is: IS_TCP6,
  },
  {
    name: 'jumbogram, cut',
    bytes: `60000000 0000 00 40 ${IP6_ADDRESSES} 0600c20400011170 ${TCP}`,
    linkType: RAW,
    wireLength: 70_040,
    is: 'tcp 2001:db8::1:50000 2001:db8::2:80 3/69972',
  },
  {
    name: '17 extension headers',
    bytes: `60000000 00a0 3c 40 ${IP6_ADDRESSES} ${'3c00010400000000'.repeat(20)}`,
    linkType: RAW,
    is: 'TOO_DEEP',
  },
  {
    name: 'no next header',
    bytes: `60000000 0000 3b 40 ${IP6_ADDRESSES}`,
    linkType: RAW,
    is: 'NOT_TRANSPORT',
  },
  // Transport.
  {
    name: 'payload cut by the capture',
    bytes: TCP4.slice(0, -4),
    linkType: RAW,
    wireLength: 43,
    is: 'tcp 10.0.0.1:50000 10.0.0.2:80 1/3',
  },
  {
    name: 'TCP options cut by the capture',
    bytes: `4500002f 00010000 40060000 0a000001 0a000002 c3500050 00000001 00000002 60180200 00000000 01`,
    linkType: RAW,
    wireLength: 47,
    is: 'tcp 10.0.0.1:50000 10.0.0.2:80 0/3',
  },
  {
    name: 'TCP cut by the capture',
    bytes: TCP4.slice(0, -20),
    linkType: RAW,
    wireLength: 43,
    is: 'TRUNCATED',
  },
  { name: 'data offset 16', bytes: TCP4.replace('5018', '4018'), linkType: RAW, is: 'MALFORMED' },
  { name: 'data offset beyond IP', bytes: TCP4.replace('5018', 'f018'), linkType: RAW, is: 'MALFORMED' },
  { name: 'UDP', bytes: udp4(53, '616263'), linkType: RAW, is: isUdp(53, '616263') },
  {
    name: 'UDP length below IP',
    bytes: outer4('11', '30390035 000a0000 61626364'),
    linkType: RAW,
    is: isUdp(53, '6162'),
  },
  {
    name: 'UDP length beyond IP',
    bytes: outer4('11', '30390035 00ff0000 61626364'),
    linkType: RAW,
    is: isUdp(53, '61626364'),
  },
  {
    name: 'UDP length 0',
    bytes: outer4('11', '30390035 00000000 61626364'),
    linkType: RAW,
    is: isUdp(53, '61626364'),
  },
  { name: 'UDP length 7', bytes: outer4('11', '30390035 00070000 61626364'), linkType: RAW, is: 'MALFORMED' },
  // Tunnels.
  { name: 'IPv4 in IPv4', bytes: outer4('04', TCP4), linkType: RAW, is: IS_TCP4 },
  { name: 'IPv6 in IPv4', bytes: outer4('29', TCP6), linkType: RAW, is: IS_TCP6 },
  { name: 'seven tunnels', bytes: nested(7), linkType: RAW, is: IS_TCP4 },
  { name: 'eight tunnels', bytes: nested(8), linkType: RAW, is: 'TOO_DEEP' },
  {
    name: 'tunnels left closed',
    bytes: outer4('04', TCP4),
    linkType: RAW,
    options: { decapsulate: false },
    is: 'NOT_TRANSPORT',
  },
  { name: 'GRE', bytes: outer4('2f', `0000 0800 ${TCP4}`), linkType: RAW, is: IS_TCP4 },
  {
    name: 'GRE with checksum, key, sequence',
    bytes: outer4('2f', `b000 86dd 00000000 00000001 00000002 ${TCP6}`),
    linkType: RAW,
    is: IS_TCP6,
  },
  {
    name: 'GRE with Ethernet',
    bytes: outer4('2f', `2000 6558 00006400 ${FRAME4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  {
    name: 'GRE with a source route',
    bytes: outer4('2f', `4000 0800 00000000 0800 0004 0a000009 00000000 ${TCP4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  {
    name: 'GRE version 1, PPP',
    bytes: outer4('2f', `3081 880b 002f0001 00000001 00000001 ff03 0021 ${TCP4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  { name: 'GRE with ARP', bytes: outer4('2f', '0000 0806 00010800'), linkType: RAW, is: 'NOT_TRANSPORT' },
  { name: 'ERSPAN I', bytes: outer4('2f', `0000 88be ${FRAME4}`), linkType: RAW, is: IS_TCP4 },
  {
    name: 'ERSPAN II',
    bytes: outer4('2f', `1000 88be 00000001 10640001 00000000 ${FRAME4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  {
    name: 'ERSPAN III',
    bytes: outer4('2f', `1000 22eb 00000001 20640001 00000000 00000000 ${FRAME4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  {
    name: 'ERSPAN III, platform header',
    bytes: outer4('2f', `1000 22eb 00000001 20640001 00000000 00000001 0000000000000000 ${FRAME4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  { name: 'EtherIP', bytes: outer4('61', `3000 ${FRAME4}`), linkType: RAW, is: IS_TCP4 },
  { name: 'VXLAN', bytes: udp4(4789, `${VXLAN} ${FRAME4}`), linkType: RAW, is: IS_TCP4 },
  { name: 'VXLAN on 8472', bytes: udp4(8472, `${VXLAN} ${ether('86dd', TCP6)}`), linkType: RAW, is: IS_TCP6 },
  {
    name: 'VXLAN left closed',
    bytes: udp4(4789, `${VXLAN} ${FRAME4}`),
    linkType: RAW,
    options: { decapsulate: false },
    is: isUdp(4789, VXLAN + FRAME4),
  },
  {
    name: 'VXLAN without the I flag',
    bytes: udp4(4789, `0000000000006400 ${FRAME4}`),
    linkType: RAW,
    is: isUdp(4789, VXLAN + FRAME4),
  },
  {
    name: 'VXLAN with ARP',
    bytes: udp4(4789, `${VXLAN} ${ether('0806', '00010800')}`),
    linkType: RAW,
    is: isUdp(4789, `${VXLAN} ${MAC} 0806 00010800`),
  },
  {
    name: 'VXLAN with ICMP',
    bytes: udp4(4789, `${VXLAN} ${ether('0800', outer4('01', '0800000000010001'))}`),
    linkType: RAW,
    is: 'NOT_TRANSPORT',
  },
  {
    name: 'a DNS answer to port 4789',
    bytes: udp4(4789, '12348180 0001000100000000 01610000010001'),
    linkType: RAW,
    is: isUdp(4789, '12348180 0001000100000000 01610000010001'),
  },
  { name: 'VXLAN-GPE with IPv6', bytes: udp4(4790, `0c000002 00006400 ${TCP6}`), linkType: RAW, is: IS_TCP6 },
  { name: 'Geneve', bytes: udp4(6081, `${GENEVE} ${FRAME4}`), linkType: RAW, is: IS_TCP4 },
  {
    name: 'Geneve with options, IPv4',
    bytes: udp4(6081, `02000800 00006400 0102800100000000 ${TCP4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  { name: 'GTP-U', bytes: udp4(2152, `30ff002b 00000001 ${TCP4}`), linkType: RAW, is: IS_TCP4 },
  {
    name: 'GTP-U with an extension',
    bytes: udp4(2152, `34ff0033 00000001 00000085 01000900 ${TCP4}`),
    linkType: RAW,
    is: IS_TCP4,
  },
  {
    name: 'GTP-U echo',
    bytes: udp4(2152, '32010004 00000000 00010000'),
    linkType: RAW,
    is: isUdp(2152, '320100040000000000010000'),
  },
];

const STATUS_NAMES = Object.keys(ParseStatus);

for (const { name, bytes, is, linkType = ETHERNET, etherType = 0, wireLength, options } of CASES) {
  test(name, () => {
    const frame = new Frame();
    // Not at the start of its buffer, as in a ring.
    const content = bytesOf(bytes);
    frame.bytes = new Uint8Array(content.length + 14).fill(0x45);
    frame.bytes.set(content, 7);
    frame.start = 7;
    frame.end = 7 + content.length;
    frame.wireLength = wireLength ?? content.length;
    frame.linkType = linkType;
    frame.etherType = etherType;
    frame.timeNs = 5;
    frame.interfaceIndex = 3;
    const p = new Packet();
    const parser = new PacketParser(options);
    const status = parser.parse(frame, p);
    assert.equal(parser.counters.frames[status], 1);
    if (status !== ParseStatus.OK) {
      assert.equal(STATUS_NAMES[status], is);
      return;
    }
    const source = formatAddress(p.source0, p.source1, p.source2, p.source3, p.ipVersion);
    const destination = formatAddress(
      p.destination0,
      p.destination1,
      p.destination2,
      p.destination3,
      p.ipVersion,
    );
    const protocol = p.protocol === 6 ? 'tcp' : 'udp';
    const captured = p.payloadEnd - p.payloadStart;
    assert.equal(
      `${protocol} ${source}:${p.sourcePort} ${destination}:${p.destinationPort} ${captured}/${p.payloadLength}`,
      is,
    );
    if (protocol === 'tcp') {
      assert.deepEqual([p.sequence, p.acknowledgement, p.flags], [1, 2, 0x18]);
      assert.equal(
        Buffer.from(p.bytes.subarray(p.payloadStart, p.payloadEnd)).toString(),
        'abc'.slice(0, captured),
      );
    }
    assert.deepEqual([p.timeNs, p.interfaceIndex, p.wireLength], [5, 3, frame.wireLength]);
  });
}

/** What parsing answers, without where in the frame it stands. */
function parsed(content: Uint8Array, linkType: number, wireLength: number): unknown {
  const frame = new Frame();
  frame.bytes = content;
  frame.start = 0;
  frame.end = content.length;
  frame.wireLength = wireLength;
  frame.linkType = linkType;
  const p = new Packet();
  const status = new PacketParser().parse(frame, p);
  if (status !== ParseStatus.OK) return STATUS_NAMES[status];
  const { bytes, payloadStart, payloadEnd, wireLength: _, ...fields } = p;
  return { ...fields, payload: Buffer.from(bytes.subarray(payloadStart, payloadEnd)).toString('hex') };
}

test('the short way through plain frames answers what the long way does', () => {
  const port = fc.oneof(fc.constantFrom(53, 80, 2152, 4789, 6081), fc.nat({ max: 0xffff }));
  const fields = fc.record({
    protocol: fc.constantFrom(6, 17, 47),
    versionAndLength: fc.oneof({ weight: 9, arbitrary: fc.constant(0x45) }, fc.constantFrom(0x44, 0x46)),
    fragment: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(0, 0x4000) }, fc.nat({ max: 0xffff })),
    ports: fc.tuple(port, port),
    payload: fc.uint8Array({ maxLength: 64 }),
    totalError: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -40, max: 40 })),
    udpLength: fc.oneof(fc.constant(-1), fc.nat({ max: 100 })),
    dataOffset: fc.oneof({ weight: 4, arbitrary: fc.constant(5) }, fc.nat({ max: 15 })),
    cut: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat({ max: 60 })),
  });
  fc.assert(
    fc.property(fields, (f) => {
      const upper = Buffer.alloc((f.protocol === 6 ? 20 : 8) + f.payload.length);
      upper.writeUInt16BE(f.ports[0], 0);
      upper.writeUInt16BE(f.ports[1], 2);
      if (f.protocol === 6) upper[12] = f.dataOffset << 4;
      else upper.writeUInt16BE(f.udpLength < 0 ? upper.length : f.udpLength, 4);
      upper.set(f.payload, upper.length - f.payload.length);
      const ip = Buffer.from(bytesOf(IP4));
      ip[0] = f.versionAndLength;
      ip.writeUInt16BE(Math.max(0, ip.length + upper.length + f.totalError), 2);
      ip.writeUInt16BE(f.fragment, 6);
      ip[9] = f.protocol;
      const whole = Buffer.concat([ip, upper]);
      const captured = whole.subarray(0, Math.max(1, whole.length - f.cut));
      const ethernet = Buffer.concat([bytesOf(`${MAC} 0800`), captured]);
      // Raw IP frames have no short way.
      assert.deepEqual(parsed(ethernet, ETHERNET, 14 + whole.length), parsed(captured, RAW, whole.length));
    }),
    { numRuns: 5000 },
  );
});
