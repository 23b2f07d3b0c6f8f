/** The parser against tshark, over captures made by others: one line for each frame must agree. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
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
const FIELDS =
  'frame.number frame.protocols ip.src ip.dst ipv6.src ipv6.dst tcp.srcport tcp.dstport tcp.len udp.srcport udp.dstport udp.length'.split(
    ' ',
  );

interface Capture {
  readonly file: string;
  readonly theme: string;
}

/** "protocol source port destination port length", or '' for a frame without a transport. */
function parseFile(file: string): string[] {
  const lines: string[] = [];
  const parser = new PacketParser();
  const packet = new Packet();
  const handler: FrameHandler = {
    onFrame(frame: Frame): void {
      const status = parser.parse(frame, packet);
      if (status !== ParseStatus.OK) {
        lines.push(`!${status}`);
        return;
      }
      const p = packet;
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

function tshark(file: string): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(
      'tshark',
      [
        '-n',
        '-r',
        CORPUS + file,
        '-T',
        'fields',
        '-E',
        'occurrence=l',
        ...FIELDS.flatMap((field) => ['-e', field]),
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.on('close', () => resolve(text));
  });
}
export const _ = { parseFile, tshark, THEMES, CORPUS, existsSync, readFileSync, spawnSync, assert, test };
