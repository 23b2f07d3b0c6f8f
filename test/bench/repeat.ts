/** Makes a long capture of a short one: its frames again and again, later, and from other addresses of loopback. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

const FILE_HEADER_BYTES = 24;
const FRAME_HEADER_BYTES = 16;
/** Of Ethernet, then the last bytes of IPv4's source and destination. */
const LAST_OF_SOURCE = 14 + 15;
const LAST_OF_DESTINATION = 14 + 19;
/** 127.0.0.1 to 127.0.0.250. */
const MAX_TIMES = 250;

/**
 * Writes `times` copies of a capture of 127.0.0.1 (pcap, Ethernet, little-endian, as tcpdump writes it here), each a
 * second after the one before, its connections between 127.0.0.n and itself.
 */
export function repeat(from: string, to: string, times: number): void {
  if (times > MAX_TIMES) throw new Error(`${from} is too short: it would have to be repeated ${times} times`);
  const capture = readFileSync(from);
  const frames = capture.subarray(FILE_HEADER_BYTES);
  const starts: number[] = [];
  for (let at = 0; at + FRAME_HEADER_BYTES <= frames.length; ) {
    starts.push(at);
    at += FRAME_HEADER_BYTES + frames.readUInt32LE(at + 8);
  }
  const seconds = frames.readUInt32LE(starts.at(-1)!) - frames.readUInt32LE(0) + 1;
  const file = openSync(to, 'w');
  writeSync(file, capture, 0, FILE_HEADER_BYTES);
  for (let copy = 0; copy < times; copy++) {
    for (const at of starts) {
      if (copy > 0) frames.writeUInt32LE(frames.readUInt32LE(at) + seconds, at);
      frames[at + FRAME_HEADER_BYTES + LAST_OF_SOURCE] = copy + 1;
      frames[at + FRAME_HEADER_BYTES + LAST_OF_DESTINATION] = copy + 1;
    }
    writeSync(file, frames);
  }
  closeSync(file);
}
