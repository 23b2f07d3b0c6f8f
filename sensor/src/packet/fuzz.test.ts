/** Damaged frames: nothing throws, and what OK answers lies inside its buffer. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Frame } from '../capture/engine.js';
import { openFile } from '../capture/file.js';
import { Packet, ParseStatus } from './packet.js';
import { PacketParser } from './parse.js';

const CORPUS = fileURLToPath(new URL('../../../../shared/corpus/', import.meta.url));
const THEMES = new Set(['tunnel', 'linktype', 'ipfrag']);
const FRAMES_PER_CAPTURE = 8;
const MUTATIONS = 200_000;

/** Marsaglia's xorshift32: the same frames in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test(`${MUTATIONS} damaged frames`, {
  skip: existsSync(CORPUS) ? false : 'the corpus of captures is not there',
}, () => {
  const originals: { bytes: Uint8Array; linkType: number }[] = [];
  const index = JSON.parse(readFileSync(`${CORPUS}index.json`, 'utf8')) as { file: string; theme: string }[];
  for (const { file, theme } of index) {
    if (!THEMES.has(theme)) continue;
    let kept = 0;
    const onFrame = (frame: Frame): void => {
      if (kept++ < FRAMES_PER_CAPTURE) {
        originals.push({ bytes: frame.bytes.slice(frame.start, frame.end), linkType: frame.linkType });
      }
    };
    try {
      const engine = openFile(CORPUS + file);
      engine.poll({ onFrame, onTick: () => {} }, 0);
      engine.close();
    } catch {
      // Not a capture that `openFile` takes.
    }
  }
  const below = random(20_211);
  const parser = new PacketParser({ fragments: { maxDatagrams: 64, maxBytes: 1 << 20 } });
  const packet = new Packet();
  const frame = new Frame();
  const linkTypes = [
    ...new Set(originals.map(({ linkType }) => linkType)),
    107,
    192,
    239,
    104,
    204,
    51,
    0x10000,
  ];
  for (let round = 0; round < MUTATIONS; round++) {
    const original = originals[below(originals.length)];
    const bytes = original.bytes.slice();
    const flips = below(6);
    // Headers are in front: that is where damage matters.
    for (let flip = 0; flip < flips && bytes.length > 0; flip++)
      bytes[below(Math.min(bytes.length, 128))] = below(256);
    frame.bytes = bytes;
    frame.start = below(16) === 0 ? below(bytes.length + 1) : 0;
    frame.end = below(4) === 0 ? frame.start + below(bytes.length - frame.start + 1) : bytes.length;
    frame.wireLength = below(2) === 0 ? bytes.length - frame.start : below(70_000);
    frame.linkType = below(32) === 0 ? linkTypes[below(linkTypes.length)] : original.linkType;
    frame.etherType = below(2) === 0 ? 0x0800 : 0x86dd;
    frame.timeNs = round * 1e6;
    if (parser.parse(frame, packet) !== ParseStatus.OK) continue;
    const { bytes: owner, payloadStart, payloadEnd, payloadLength, protocol, ipVersion } = packet;
    const isInside = 0 < payloadStart && payloadStart <= payloadEnd && payloadEnd <= owner.length;
    const isWithinFrame = owner !== bytes || (payloadStart > frame.start && payloadEnd <= frame.end);
    if (!isInside || !isWithinFrame || payloadLength < payloadEnd - payloadStart) {
      assert.fail(
        `round ${round}: [${payloadStart}, ${payloadEnd}) of ${owner.length}, ${payloadLength} announced`,
      );
    }
    assert.ok((protocol === 6 || protocol === 17) && (ipVersion === 4 || ipVersion === 6));
  }
  const { frames, fragments } = parser.counters;
  assert.equal(
    frames.reduce((sum, count) => sum + count),
    MUTATIONS,
  );
  assert.ok(frames[ParseStatus.OK] > MUTATIONS / 10 && fragments.held > 0 && fragments.reassembled > 0);
});
