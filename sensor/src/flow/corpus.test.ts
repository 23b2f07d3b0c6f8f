/** What both sides sent, against tshark's "follow", on captures made by others that lost nothing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Frame } from '../capture/engine.js';
import { openFile } from '../capture/file.js';
import { Packet, ParseStatus } from '../packet/packet.js';
import { PacketParser } from '../packet/parse.js';
import type { Side, StreamHandler, TcpFlow } from './stream.js';
import { TcpTracker } from './tcp.js';

/** Beside the repository. */
const CORPUS = fileURLToPath(new URL('../../../../shared/corpus/', import.meta.url));
const THEMES = ['tcp-nasty', 'http1'];
/** Loss is judged differently by each tool; what is in tunnels or fragments is not this folder's. */
const NOT_CLEAN = /lost-seg|ack-of-unseen|snaplen|frag|tunnel|l2tp|gre|vxlan|ipip|malformed/;
const MAX_PACKETS = 300;
const MAX_STREAMS = 8;
/** Every so-maniest capture of the list, to keep the test short; 1 for all. */
const STEP = Number(process.env.FLOW_CORPUS_STEP ?? 6);
/** Captures of one direction: tshark tells of no gap where the other was acknowledged and never seen. */
const ONE_SIDED = /async|onesided/;
/** Where we differ on purpose. */
const DIFFERENT = new Map<string, string>([
  [
    'suricata-verify/tcp-nasty/bug-6244-tcp-rst-with-data__tcp-rst-with-data.pcap',
    'tshark takes the text in a RST (RFC 9293 section 3.5.3) for a part of the stream',
  ],
]);

interface Row {
  file: string;
  theme: string;
  packets: number;
  special: string;
}

class Sides implements StreamHandler {
  readonly hex = ['', ''];
  readonly ports: number[];

  constructor(flow: TcpFlow) {
    this.ports = [flow.port0, flow.port1];
  }

  data(side: Side, bytes: Uint8Array, start: number, end: number): void {
    this.hex[side] += Buffer.from(bytes.subarray(start, end)).toString('hex');
  }

  gap(side: Side, length: number): void {
    this.hex[side] += `<${length} lost>`;
  }

  fin(): void {}
  close(): void {}

  /** The same whichever side is taken for the opener. */
  text(): string {
    const [a, b] = this.ports.map((port, side) => `${port}:${this.hex[side]}`);
    return a < b ? `${a} ${b}` : `${b} ${a}`;
  }
}

function ours(path: string): string[] {
  const streams: Sides[] = [];
  const tracker = new TcpTracker({
    open: (flow) => {
      const sides = new Sides(flow);
      streams.push(sides);
      return sides;
    },
  });
  const engine = openFile(path);
  const parser = new PacketParser();
  const packet = new Packet();
  let newestNs = 0;
  const onFrame = (frame: Frame) => {
    newestNs = frame.timeNs;
    if (parser.parse(frame, packet) === ParseStatus.OK && packet.protocol === 6) tracker.packet(packet);
  };
  const onTick = (timeNs: number) => tracker.tick(timeNs);
  while (engine.poll({ onFrame, onTick }, 0));
  engine.close();
  tracker.flush(newestNs);
  const c = tracker.counters;
  assert.equal(
    c.deliveredBytes +
      c.retransmittedBytes +
      c.lateBytes +
      c.implausibleBytes +
      c.ignoredBytes +
      c.droppedBytes,
    c.payloadBytes,
  );
  return streams.map((sides) => sides.text());
}

function theirs(path: string): string[] {
  const args = ['-r', path, '-q'];
  for (let i = 0; i < MAX_STREAMS; i++) args.push('-z', `follow,tcp,raw,${i}`);
  const output = execFileSync('tshark', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  });
  const texts: string[] = [];
  for (const part of output.split('Follow: tcp,raw').slice(1)) {
    const nodes = [...part.matchAll(/^Node [01]: .*:(\d+)$/gm)].map((match) => match[1]);
    const hex = ['', ''];
    for (const line of part.split('\n').slice(4)) {
      if (/^\t?[0-9a-f]+$/.test(line)) hex[line.startsWith('\t') ? 1 : 0] += line.trim();
    }
    if (hex[0] === '' && hex[1] === '') continue;
    const [a, b] = nodes.map((port, i) => `${port}:${hex[i]}`);
    texts.push(a < b ? `${a} ${b}` : `${b} ${a}`);
  }
  return texts;
}

const skip = existsSync(`${CORPUS}index.json`) ? false : 'no corpus beside the repository';

test('the streams of clean captures are those of tshark', { skip }, async (t) => {
  const rows = JSON.parse(readFileSync(`${CORPUS}index.json`, 'utf8')) as Row[];
  const clean = rows.filter(
    (row) =>
      THEMES.includes(row.theme) &&
      row.packets <= MAX_PACKETS &&
      !NOT_CLEAN.test(row.special) &&
      !ONE_SIDED.test(row.file),
  );
  let compared = 0;
  for (const row of clean.filter((_, i) => i % STEP === 0)) {
    const different = DIFFERENT.get(row.file);
    await t.test(row.file, { skip: different ?? false }, () => {
      const path = CORPUS + row.file;
      const streams = ours(path);
      for (const text of theirs(path)) {
        assert.ok(streams.includes(text), `${text}\nis not among\n${streams.join('\n')}`.slice(0, 4000));
        compared++;
      }
    });
  }
  assert.ok(compared > 20);
});
