/**
 * The parser against tshark, frame by frame, over captures made by others: protocol, addresses, ports
 * and payload length of the innermost packet. A sixth of the captures by default; all of them with
 * `PACKETD_ORACLE=full` in the environment.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Frame, FrameHandler } from '../capture/engine.js';
import { openFile } from '../capture/file.js';
import { formatAddress } from './address.js';
import { Packet, ParseStatus } from './packet.js';
import { PacketParser } from './parse.js';

const CORPUS = fileURLToPath(new URL('../../../../shared/corpus/', import.meta.url));
const THEMES = new Set(['tunnel', 'linktype', 'ipfrag', 'capfile']);
const FULL = process.env.PACKETD_ORACLE === 'full';
const SAMPLE_EVERY = 6;
const FIELDS = ['frame.protocols', 'ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst']
  .concat(['tcp.srcport', 'tcp.dstport', 'tcp.len', 'udp.srcport', 'udp.dstport', 'udp.length'])
  .flatMap((field) => ['-e', field]);

/** Where the two differ and why; a row that a full run does not need is an error. */
const DIFFERENCES: readonly { file: RegExp; protocols: RegExp; reason: string }[] = [
  { file: /./, protocols: /:icmp/, reason: 'tshark shows the packet quoted in an ICMP error' },
  { file: /./, protocols: /wlan|arcnet/, reason: 'a link type we do not read' },
  { file: /AH-IPcomp/, protocols: /:ipcomp:/, reason: 'IPComp is not decompressed' },
  {
    file: /defrag-af-confusion-spray|geneve__28_/,
    protocols: /:udp|:geneve/,
    reason: 'tshark shows the UDP length field where it is beyond the IP length; we use the IP length',
  },
  {
    file: /telnet-raw/,
    protocols: /:tcp$/,
    reason: 'IP announces more than the wire had; tshark believes the wire',
  },
  { file: /vxlan_port_8472/, protocols: /:udp:data$/, reason: 'tshark knows VXLAN on port 4789 only' },
  { file: /vxlan__06_/, protocols: /:vxlan:/, reason: 'VXLAN without the I flag is UDP' },
  {
    file: /vxlan__08_|geneve__24_/,
    protocols: /:ip$/,
    reason: 'the inner IP header is cut: the outer UDP packet',
  },
  { file: /geneve__18_/, protocols: /:geneve:/, reason: 'tshark takes Geneve by the source port too' },
  { file: /pbb-recursive/, protocols: /(ieee8021ah:.*){16}/, reason: 'deeper than MAX_LINK_HEADERS' },
  { file: /bigtcp/, protocols: /:udp$/, reason: 'UDP length 0 is offload; tshark stops there' },
  {
    file: /fragmented-1|teardrop/,
    protocols: /:udp/,
    reason: 'a fragment beyond the known end of its datagram',
  },
  {
    file: /mobility-dst-opts|secopt/,
    protocols: /:ip$|dstopts$/,
    reason: 'options that tshark finds malformed',
  },
];

/** tshark numbers blocks that are no packets (custom, systemd journal …) as frames. */
const NOT_COMPARABLE = /complex\.pcapng$|basic__test018\.pcapng$/;

/** A line for each frame: "protocol source port destination port length", or "-status" without a transport. */
function ours(file: string): string[] {
  const lines: string[] = [];
  const parser = new PacketParser();
  const p = new Packet();
  const handler: FrameHandler = {
    onFrame(frame: Frame): void {
      const status = parser.parse(frame, p);
      if (status !== ParseStatus.OK) {
        lines.push(`-${status}`);
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
      const name = p.protocol === 6 ? 'tcp' : 'udp';
      lines.push(`${name} ${source} ${p.sourcePort} ${destination} ${p.destinationPort} ${p.payloadLength}`);
    },
    onTick(): void {},
  };
  const engine = openFile(CORPUS + file);
  while (engine.poll(handler, 0));
  engine.close();
  return lines;
}

interface OracleFrame {
  readonly line: string;
  readonly protocols: string;
}

function tshark(file: string): OracleFrame[] {
  const run = spawnSync(
    'tshark',
    ['-n', '-r', CORPUS + file, '-T', 'fields', '-E', 'occurrence=l', ...FIELDS],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const rows = run.stdout.split('\n').slice(0, -1);
  return rows.map((row) => {
    const [protocols, source4, destination4, source6, destination6, ...transport] = row.split('\t');
    const [tcpSource, tcpDestination, tcpLength, udpSource, udpDestination, udpLength] = transport;
    const layers = protocols.split(':');
    const ip = Math.max(layers.lastIndexOf('ip'), layers.lastIndexOf('ipv6'));
    const upper = Math.max(layers.lastIndexOf('tcp'), layers.lastIndexOf('udp'));
    if (ip < 0 || upper < ip) return { line: '-', protocols };
    const source = layers[ip] === 'ip' ? source4 : source6;
    const destination = layers[ip] === 'ip' ? destination4 : destination6;
    const line =
      layers[upper] === 'tcp'
        ? `tcp ${source} ${tcpSource} ${destination} ${tcpDestination} ${tcpLength}`
        : `udp ${source} ${udpSource} ${destination} ${udpDestination} ${Number(udpLength) - 8}`;
    return { line, protocols };
  });
}

function skipReason(): string | false {
  if (!existsSync(`${CORPUS}index.json`)) return 'the corpus of captures is not there';
  if (spawnSync('tshark', ['--version'], { stdio: 'ignore' }).status !== 0) return 'tshark is not installed';
  return false;
}

test('innermost packets are those that tshark shows', { skip: skipReason() }, () => {
  const index = JSON.parse(readFileSync(`${CORPUS}index.json`, 'utf8')) as { file: string; theme: string }[];
  const captures = index.filter(({ theme, file }) => THEMES.has(theme) && !NOT_COMPARABLE.test(file));
  const used = new Set<RegExp>();
  const unexplained: string[] = [];
  let frames = 0;
  captures.forEach(({ file }, number) => {
    if (!FULL && number % SAMPLE_EVERY !== 0) return;
    let lines: string[];
    try {
      lines = ours(file);
    } catch {
      // Not a capture that `openFile` takes: its own tests are about that.
      return;
    }
    const expected = tshark(file);
    if (expected.length !== lines.length)
      unexplained.push(`${file}: ${lines.length} frames, not ${expected.length}`);
    lines.forEach((line, at) => {
      frames++;
      const want = expected[at];
      if (want === undefined || line === want.line || (line.startsWith('-') && want.line === '-')) return;
      const known = DIFFERENCES.find((row) => row.file.test(file) && row.protocols.test(want.protocols));
      if (known === undefined)
        unexplained.push(`${file} frame ${at + 1}: ${line}, not ${want.line} (${want.protocols})`);
      else used.add(known.file).add(known.protocols);
    });
  });
  assert.deepEqual(unexplained, []);
  assert.ok(frames > 1000);
  if (FULL)
    assert.deepEqual(
      DIFFERENCES.filter((row) => !used.has(row.protocols)).map((row) => row.reason),
      [],
    );
});
