/**
 * RDATA as text. The wire format and the text of each row are BIND's (named-compilezone and a zone
 * transfer) for records that are examples of the RFCs of their types; BIND ends names with a dot, and
 * breaks long hexadecimal and base 64 by spaces, which are left out here. NSEC3 is from RFC 5155 appendix
 * A, the IPv4-mapped address from RFC 5952 section 5.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireWriter } from '@packetd/proto';
import fc from 'fast-check';
import { typeName } from './codes.js';
import { writeRdata } from './rdata.js';
import { base32hex, base64, isName, name, timestamp } from './text.js';

const ROWS: readonly (readonly [type: string, code: number, rdata: string, text: string])[] = [
  ['A', 1, 'c0000201', '192.0.2.1'],
  ['NS', 2, '036e7331076578616d706c6503636f6d00', 'ns1.example.com'],
  ['CNAME', 5, '03777777076578616d706c6503636f6d00', 'www.example.com'],
  [
    'SOA',
    6,
    '036e7331076578616d706c6503636f6d000a686f73746d6173746572076578616d706c6503636f6d0078a3f17500001c20000003840012750000015180',
    'ns1.example.com hostmaster.example.com 2024010101 7200 900 1209600 86400',
  ],
  ['PTR', 12, '04686f7374076578616d706c65036e657400', 'host.example.net'],
  [
    'HINFO',
    13,
    '0f50432d496e74656c2d3730306d687a10526564686174204c696e757820372e31',
    '"PC-Intel-700mhz" "Redhat Linux 7.1"',
  ],
  [
    'MINFO',
    14,
    '0161076578616d706c6503636f6d000162076578616d706c6503636f6d00',
    'a.example.com b.example.com',
  ],
  ['MX', 15, '000a046d61696c076578616d706c6503636f6d00', '10 mail.example.com'],
  ['MX', 15, '000000', '0 .'],
  ['TXT', 16, '0b68656c6c6f20776f726c64056122625c630201ff', '"hello world" "a\\"b\\\\c" "\\001\\255"'],
  [
    'RP',
    17,
    '0561646d696e076578616d706c6503636f6d0003747874076578616d706c6503636f6d00',
    'admin.example.com txt.example.com',
  ],
  ['AFSDB', 18, '0001026462076578616d706c6503636f6d00', '1 db.example.com'],
  ['X25', 19, '0c333131303631373030393536', '"311061700956"'],
  ['RT', 21, '000a0572656c6179076578616d706c6503636f6d00', '10 relay.example.com'],
  ['AAAA', 28, '20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ['AAAA', 28, '00000000000000000000000000000000', '::'],
  ['AAAA', 28, '00000000000000000000000000000001', '::1'],
  ['AAAA', 28, '20010000000000010000000000000000', '2001:0:0:1::'],
  ['AAAA', 28, '20010db8000000000000000000000007', '2001:db8::7'],
  ['LOC', 29, '0033161389172dd070be15f000988d20', '42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m'],
  ['LOC', 29, '00121613791b7d2898e6486800989a68', '32 7 19.000 S 116 2 25.000 E 10.00m 1m 10000m 10m'],
  ['LOC', 29, '000016138b3cf018810cbce0009895b8', '52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m'],
  ['SRV', 33, '0000000513c409736970736572766572076578616d706c6503636f6d00', '0 5 5060 sipserver.example.com'],
  [
    'NAPTR',
    35,
    '0064000a0175074532552b7369701b215e2e2a24217369703a696e666f406578616d706c652e636f6d2100',
    '100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .',
  ],
  [
    'NAPTR',
    35,
    '0064003201730d7a333935302b49324c2b49324300065f7a33393530045f746370066761746563680365647500',
    '100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.gatech.edu',
  ],
  ['KX', 36, '000a026b78076578616d706c6503636f6d00', '10 kx.example.com'],
  ['DNAME', 39, '076578616d706c65036e657400', 'example.net'],
  [
    'DS',
    43,
    'ec4505012bb183af5f22588179a53b0a98631fad1a292118',
    '60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118',
  ],
  [
    'SSHFP',
    44,
    '0201123456789abcdef67890123456789abcdef67890',
    '2 1 123456789ABCDEF67890123456789ABCDEF67890',
  ],
  [
    'RRSIG',
    46,
    '00010503000151803e7c9dd73e5510d70a52076578616d706c6503636f6d00a090755ba58d1affa576f4375831b4310920e481218d18a9f164eb3d81afd3b875d3c75428631e0cf2a28d50875f70c329d7dbfafea807dc1fba1dc34c95d401f23f334ce63bfcf3f1b5b44739e5f0eded18d6b33f040a911376d173d757a9f0c1fa1798941bb0b36b2df9062790fa7f0166f2737eea907378341fb12dc0a77a',
    'A 5 3 86400 20030322173103 20030220173103 2642 example.com oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTrPYGv07h108dUKGMeDPKijVCHX3DDKdfb+v6oB9wfuh3DTJXUAfI/M0zmO/zz8bW0Rznl8O3tGNazPwQKkRN20XPXV6nwwfoXmJQbsLNrLfkGJ5D6fwFm8nN+6pBzeDQfsS3Ap3o=',
  ],
  [
    'NSEC',
    47,
    '04686f7374076578616d706c6503636f6d000006400100000003041b000000000000000000000000000000000000000000000000000020',
    'host.example.com A MX RRSIG NSEC TYPE1234',
  ],
  [
    'DNSKEY',
    48,
    '010003050103d22a6ca77f35b893206fd35e4c506d8378843709b97e041647e1bff43d8d64c649af1e371973c9e891fce3df519a8c840a63ee42a6d2ebddbb97035d215aa4e417b1fa45fa11a9741ea2098c1dfa5fb5feb332fd4bc8152089aef36ba644cce2413b3b72be18cbef8da253f4e93d2103866d9234a2e28df529a67d5468dbefe3',
    '256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+BBZH4b/0PY1kxkmvHjcZc8nokfzj31GajIQKY+5CptLr3buXA10hWqTkF7H6RfoRqXQeogmMHfpftf6zMv1LyBUgia7za6ZEzOJBOztyvhjL742iU/TpPSEDhm2SNKLijfUppn1UaNvv4w==',
  ],
  [
    'DHCID',
    49,
    '000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40',
    'AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=',
  ],
  ['NSEC3PARAM', 51, '0100000c04aabbccdd', '1 0 12 AABBCCDD'],
  ['NSEC3PARAM', 51, '0100000000', '1 0 0 -'],
  [
    'TLSA',
    52,
    '000001d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971',
    '0 0 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971',
  ],
  ['SMIMEA', 53, '030000aabb', '3 0 0 AABB'],
  ['CDS', 59, '0000000000', '0 0 0 00'],
  ['CDNSKEY', 60, '0000030000', '0 3 0 AA=='],
  ['OPENPGPKEY', 61, '99010d0455', 'mQENBFU='],
  ['CSYNC', 62, '000000420003000460000008', '66 3 A NS AAAA'],
  [
    'ZONEMD',
    63,
    '7848b78c0101febe3d4ce2ec2ffa4ba99d46cd69d6d29711e55217057bee7eb1a7b641a47ba7fed2dd5b97ae499fafa4f22c6bd647de',
    '2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B641A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE',
  ],
  ['SVCB', 64, '000003666f6f076578616d706c6503636f6d00', '0 foo.example.com'],
  ['SVCB', 64, '000100', '1 .'],
  ['SVCB', 64, '001003666f6f076578616d706c6503636f6d00000300020035', '16 foo.example.com port=53'],
  [
    'SVCB',
    64,
    '000103666f6f076578616d706c6503636f6d00029b000568656c6c6f',
    '1 foo.example.com key667="hello"',
  ],
  [
    'SVCB',
    64,
    '000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f',
    '1 foo.example.com key667="hello\\210qoo"',
  ],
  [
    'SVCB',
    64,
    '000103666f6f076578616d706c6503636f6d000006002020010db800000000000000000000000120010db8000000000000000000530001',
    '1 foo.example.com ipv6hint=2001:db8::1,2001:db8::53:1',
  ],
  [
    'SVCB',
    64,
    '001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d313900040004c0000201',
    '16 foo.example.org mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1',
  ],
  [
    'SVCB',
    64,
    '001003666f6f076578616d706c65036f7267000001000c08665c6f6f2c626172026832',
    '16 foo.example.org alpn="f\\\\\\\\oo\\\\,bar,h2"',
  ],
  [
    'HTTPS',
    65,
    '000100000100060268320268330002000000040008c0000201c0000202000500050043fe0d00',
    '1 . alpn="h2,h3" no-default-alpn ipv4hint=192.0.2.1,192.0.2.2 ech=AEP+DQA=',
  ],
  ['SPF', 99, '0b763d73706631202d616c6c', '"v=spf1 -all"'],
  [
    'URI',
    256,
    '000a00016674703a2f2f667470312e6578616d706c652e636f6d2f7075626c6963',
    '10 1 "ftp://ftp1.example.com/public"',
  ],
  [
    'CAA',
    257,
    '0005697373756563612e6578616d706c652e6e65743b20706f6c6963793d6576',
    '0 issue "ca.example.net; policy=ev"',
  ],
  [
    'CAA',
    257,
    '8005696f6465666d61696c746f3a7365637572697479406578616d706c652e636f6d',
    '128 iodef "mailto:security@example.com"',
  ],
  ['TYPE65400', 65400, '0a000001', '\\# 4 0A000001'],
  [
    'NSEC3',
    50,
    '0101000c04aabbccdd14174eb2409fe28bcb4887a1836f957f0a8425e27b000722010000000290',
    '1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS SOA MX RRSIG DNSKEY NSEC3PARAM',
  ],
  ['AAAA', 28, '00000000000000000000ffffc0000221', '::ffff:192.0.2.33'],
  // As `dig` of BIND 9.18 shows them; it writes the numbers of CERT as mnemonics (RFC 4398 section 2.2 allows both).
  ['ISDN', 20, '0f31353038363230323830303332313703303034', '"150862028003217" "004"'],
  ['ISDN', 20, '0f313530383632303238303033323138', '"150862028003218"'],
  ['NSAP-PTR', 23, '03666f6f03616c6c047465737400', 'foo.all.test'],
  [
    'KEY',
    25,
    '0100030803010001a7ad89d2f3b0a594b78b30591f32bb4c0f1cf8948bc2d4',
    '256 3 8 AwEAAaetidLzsKWUt4swWR8yu0wPHPiUi8LU',
  ],
  ['PX', 26, '000a046e657432026974000970726d642d6e65743200', '10 net2.it prmd-net2'],
  ['GPOS', 27, '082d32322e36383832083131362e38363532053235302e30', '"-22.6882" "116.8652" "250.0"'],
  ['EID', 31, 'e32c6f78163a9348', 'E32C6F78163A9348'],
  ['NIMLOC', 32, '32251a030067', '32251A030067'],
  [
    'CERT',
    37,
    '000100010803010001a7ad89d2f3b0a594b78b30591f32bb4c0f1cf8948bc2d4',
    '1 1 8 AwEAAaetidLzsKWUt4swWR8yu0wPHPiUi8LU',
  ],
  ['SINK', 40, '01000003010001a7ad', '1 0 0 AwEAAaet'],
  ['APL', 42, '00011503c0a82000011c83c0a82600020801ff', '1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8'],
  [
    'IPSECKEY',
    45,
    '0a0002010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801',
    '10 0 2 . AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==',
  ],
  [
    'IPSECKEY',
    45,
    '0a0102c0000226010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801',
    '10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==',
  ],
  [
    'IPSECKEY',
    45,
    '0a020220010db8000080020000000020000001010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801',
    '10 2 2 2001:db8:0:8002::2000:1 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==',
  ],
  [
    'IPSECKEY',
    45,
    '0a0302096d7967617465776179076578616d706c6503636f6d00010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801',
    '10 3 2 mygateway.example.com AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==',
  ],
  [
    'HIP',
    55,
    '10020084200100107b1a74df365639cc39f1d57803010001b771ca136e4aeb5ce44333c53b3d2c13c22243851fc708bcce29f7e2eb5787b5f56ccad34f8223acc10904ddb56b2ec4a6d6232f3b50ea094f0914b3b941bbe529af582c36bbadefdaf2adaf9b4911906f5b2522603c615272b880ec8fb930cc6ee39c444daa75b1678f005a4b2499d1da5433f805c7a5ad3237acc5dd5c5e430472767331076578616d706c6503636f6d000472767332076578616d706c6503636f6d00',
    '2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D rvs1.example.com rvs2.example.com',
  ],
  ['NINFO', 56, '03666f6f03626172', '"foo" "bar"'],
  [
    'RKEY',
    57,
    '0000ff01010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a',
    '0 255 1 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6',
  ],
  ['TALINK', 58, '0002743203616c6c047465737400', '. t2.all.test'],
  ['NID', 104, '000a00144fffff20ee64', '10 14:4fff:ff20:ee64'],
  ['L32', 105, '000a0a010200', '10 10.1.2.0'],
  ['L64', 106, '000a20010db811401000', '10 2001:db8:1140:1000'],
  ['LP', 107, '000a0b6c36342d7375626e65743103616c6c047465737400', '10 l64-subnet1.all.test'],
  ['EUI48', 108, '00005e00532a', '00-00-5e-00-53-2a'],
  ['EUI64', 109, '00005eef1000002a', '00-00-5e-ef-10-00-00-2a'],
  [
    'DOA',
    259,
    '0000000000000001020068747470733a2f2f7777772e6973632e6f72672f',
    '0 1 2 "" aHR0cHM6Ly93d3cuaXNjLm9yZy8=',
  ],
  ['AMTRELAY', 260, '0000', '0 0 0 .'],
  ['AMTRELAY', 260, '0a01cb00710f', '10 0 1 203.0.113.15'],
  ['AMTRELAY', 260, '0a8220010db8000000000000000000000015', '10 1 2 2001:db8::15'],
  ['AMTRELAY', 260, '808309616d7472656c617973076578616d706c6503636f6d00', '128 1 3 amtrelays.example.com'],
  // RFC 9859 section 2.1: the notifications of a zone's CDS go there.
  ['DSYNC', 66, '003b0114eb03666f6f047465737400', 'CDS 1 5355 foo.test'],
];

/** Not what their type says, so they are written as RFC 3597 section 5 has it. */
const GENERIC: readonly (readonly [title: string, code: number, rdata: string, text: string])[] = [
  ['A of 3 bytes', 1, 'c00002', '\\# 3 C00002'],
  ['A of 5 bytes', 1, 'c000020101', '\\# 5 C000020101'],
  ['MX without its name', 15, '000a', '\\# 2 000A'],
  ['bytes behind the name of a CNAME', 5, '0161000162', '\\# 5 0161000162'],
  ['a pointer to itself', 5, 'c000', '\\# 2 C000'],
  ['a pointer forwards', 5, 'c0020000', '\\# 4 C0020000'],
  ['TXT longer than its data', 16, '0561', '\\# 2 0561'],
  ['NSEC with an empty window', 47, '0161000000', '\\# 5 0161000000'],
  ['NSEC with windows out of order', 47, '016100010140000140', '\\# 9 016100010140000140'],
  [
    'LOC of an unknown version',
    29,
    '01000000800000008000000000989680',
    '\\# 16 01000000800000008000000000989680',
  ],
  ['SVCB with keys out of order', 64, '00010000040000000300020035', '\\# 13 00010000040000000300020035'],
  [
    'SVCB with the same key twice (RFC 9460 appendix D.3)',
    64,
    '0001000003000200350003000200ff',
    '\\# 15 0001000003000200350003000200FF',
  ],
  ['SVCB whose port is no number', 64, '00010000030001ff', '\\# 8 00010000030001FF'],
  ['SVCB with an empty alpn', 64, '000100000100020000', '\\# 9 000100000100020000'],
  ['CAA whose tag is no word', 257, '00012061', '\\# 4 00012061'],
  ['IPSECKEY whose gateway is of no known kind', 45, '0a0402', '\\# 3 0A0402'],
  ['APL whose address is longer than its family has', 42, '000120050102030405', '\\# 9 000120050102030405'],
  ['EUI48 of 5 bytes', 108, '00005e0053', '\\# 5 00005E0053'],
  ['HIP whose key is longer than its data', 55, '01020004aabb', '\\# 6 01020004AABB'],
  ['a type without a layout, empty', 65400, '', '\\# 0'],
];

function text(code: number, rdata: Uint8Array): string {
  const w = new WireWriter(16);
  writeRdata(w, code, rdata, 0, 0, rdata.length);
  return Buffer.from(w.bytes.subarray(0, w.length)).toString('latin1');
}

for (const [type, code, rdata, expected] of ROWS) {
  test(`${type}: ${expected.slice(0, 60)}`, () => {
    assert.equal(Buffer.from(typeName(code).text).toString(), type);
    assert.equal(text(code, Buffer.from(rdata, 'hex')), expected);
  });
}

for (const [title, code, rdata, expected] of GENERIC) {
  test(title, () => assert.equal(text(code, Buffer.from(rdata, 'hex')), expected));
}

test('any bytes are text of some kind for any type', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300 }), fc.uint8Array({ maxLength: 80 }), (code, rdata) => {
      assert.match(text(code, rdata), /^[ -~]*$/);
    }),
    { numRuns: 3000 },
  );
});

test('every row cut short is its generic form, or a shorter value', () => {
  for (const [, code, rdata] of ROWS) {
    const bytes = Buffer.from(rdata, 'hex');
    for (let length = 0; length < bytes.length; length++) {
      assert.match(text(code, bytes.subarray(0, length)), /^[ -~]*$/);
    }
  }
});

test('base 64 is that of Node', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const w = new WireWriter(4);
      base64(w, bytes, 0, bytes.length);
      assert.equal(
        Buffer.from(w.bytes.subarray(0, w.length)).toString(),
        Buffer.from(bytes).toString('base64'),
      );
    }),
  );
});

test('base 32 with extended hex alphabet (RFC 4648 section 10)', () => {
  const vectors = [
    ['', ''],
    ['f', 'CO'],
    ['fo', 'CPNG'],
    ['foo', 'CPNMU'],
    ['foob', 'CPNMUOG'],
    ['fooba', 'CPNMUOJ1'],
    ['foobar', 'CPNMUOJ1E8'],
  ];
  for (const [plain, encoded] of vectors) {
    const w = new WireWriter(4);
    base32hex(w, Buffer.from(plain), 0, plain.length);
    assert.equal(Buffer.from(w.bytes.subarray(0, w.length)).toString(), encoded);
  }
});

test('times are those of Date', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (seconds) => {
      const w = new WireWriter(4);
      timestamp(w, seconds);
      const expected = new Date(seconds * 1000).toISOString().replace(/[-T:]|\..*/g, '');
      assert.equal(Buffer.from(w.bytes.subarray(0, w.length)).toString(), expected);
    }),
  );
});

/** Text of the name at `at`, and where it ends; null where it is none. */
function nameAt(bytes: Uint8Array, at: number): [string, number] | null {
  const w = new WireWriter(4);
  const end = name(w, bytes, 0, bytes.length, at);
  return end < 0 ? null : [Buffer.from(w.bytes.subarray(0, w.length)).toString('latin1'), end];
}

test('names (RFC 1035 sections 3.1, 4.1.4 and 5.1)', () => {
  const b = (s: string): Buffer => Buffer.from(s, 'latin1');
  const HEADER = '\0'.repeat(12);
  assert.deepEqual(nameAt(b('\0'), 0), ['.', 1]);
  assert.deepEqual(nameAt(b('\x03www\x02ab\0'), 0), ['www.ab', 8]);
  assert.deepEqual(nameAt(b('\x05a.b\\c\x04\x00 \x7f\xff\0'), 0), ['a\\.b\\\\c.\\000\\032\\127\\255', 12]);
  // The example of section 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64.
  const example = Buffer.alloc(93);
  example.write('\x01F\x03ISI\x04ARPA\0', 20, 'latin1');
  example.write('\x03FOO\xc0\x14', 40, 'latin1');
  example.write('\xc0\x1a', 64, 'latin1');
  assert.deepEqual(nameAt(example, 20), ['F.ISI.ARPA', 32]);
  assert.deepEqual(nameAt(example, 40), ['FOO.F.ISI.ARPA', 46]);
  assert.deepEqual(nameAt(example, 64), ['ARPA', 66]);
  assert.deepEqual(nameAt(example, 92), ['.', 93]);
  assert.equal(nameAt(b(`${HEADER}\xc0\x0c`), 12), null, 'a pointer to itself');
  assert.equal(nameAt(b(`${HEADER}\xc0\x0e\x01a\0`), 12), null, 'a pointer forwards');
  assert.equal(nameAt(b(`${HEADER}\x01a\xc0\x0c`), 12), null, 'a loop');
  assert.equal(nameAt(b(`${HEADER}\xc0\x0e\xc0\x0c`), 14), null, 'two pointers that point at each other');
  assert.equal(nameAt(b('\x40a\0'), 0), null, 'the label type 01');
  assert.equal(nameAt(b('\x05ab'), 0), null, 'a label that is cut');
  assert.equal(nameAt(b(`${'\x3f'.padEnd(64, 'a').repeat(3)}\x3d${'b'.repeat(61)}\0`), 0)?.[0].length, 253);
  assert.equal(
    nameAt(b(`${'\x3f'.padEnd(64, 'a').repeat(3)}\x3e${'b'.repeat(62)}\0`), 0),
    null,
    'of 256 bytes',
  );
});

test('a name is itself in letters of any case, and no other', () => {
  const label = fc.oneof(
    fc.stringMatching(/^[a-zA-Z0-9-]{1,12}$/),
    fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const wire = (labels: readonly string[]): Buffer =>
    Buffer.from(`${labels.map((l) => String.fromCharCode(l.length) + l).join('')}\0`, 'latin1');
  const swap = (l: string): string =>
    l.replace(/[a-zA-Z]/g, (c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase()));
  const same = (a: readonly string[], b: readonly string[]): boolean => {
    const w = new WireWriter(4);
    const left = wire(a);
    assert.ok(name(w, left, 0, left.length, 0) > 0);
    const right = wire(b);
    return isName(w.bytes, 0, w.length, right, 0, right.length, 0);
  };
  const fold = (labels: readonly string[]): string =>
    JSON.stringify(labels.map((l) => l.replace(/[A-Z]/g, (c) => c.toLowerCase())));
  const names = fc.array(label, { maxLength: 4 });
  fc.assert(
    fc.property(names, names, (a, b) => {
      assert.ok(same(a, a.map(swap)));
      assert.equal(same(a, b), fold(a) === fold(b));
    }),
  );
  assert.ok(!same(['a.b'], ['a', 'b']));
  assert.ok(!same(['a\x01b'], ['a', 'b']));
  assert.ok(!same(['@'], ['`']));
});
