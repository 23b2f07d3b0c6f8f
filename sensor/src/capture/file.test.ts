import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { CaptureError, type Frame } from './engine.js';
import { openFile } from './file.js';

interface Seen {
  time: string;
  wireLength: number;
  captured: number;
  linkType: number;
  interfaceIndex: number;
  content: string;
}

const folder = mkdtempSync(join(tmpdir(), 'capture-'));
after(() => rmSync(folder, { recursive: true }));

function read(path: string): { frames: Seen[]; warnings: string[] } {
  const frames: Seen[] = [];
  const warnings: string[] = [];
  const engine = openFile(path, { warn: (message) => warnings.push(message) });
  const handler = {
    onFrame(frame: Parameters<Parameters<typeof engine.poll>[0]['onFrame']>[0]): void {
      const { bytes, start, end, timeNs } = frame;
      const seconds = engine.clock.baseSeconds + Math.floor(timeNs / 1e9);
      const nanoseconds = timeNs - Math.floor(timeNs / 1e9) * 1e9;
      frames.push({
        time: `${seconds}.${String(nanoseconds).padStart(9, '0')}`,
        wireLength: frame.wireLength,
        captured: end - start,
        linkType: frame.linkType,
        interfaceIndex: frame.interfaceIndex,
        content: Buffer.from(bytes.subarray(start, end)).toString('latin1'),
      });
    },
    onTick(): void {},
  };
  while (engine.poll(handler, 0)) {}
  assert.equal(engine.poll(handler, 0), false);
  assert.equal(engine.counters.frames, frames.length);
  return { frames, warnings };
}

function readBytes(bytes: Uint8Array): ReturnType<typeof read> {
  const path = join(folder, 'capture');
  writeFileSync(path, bytes);
  return read(path);
}

/** Integers of the specification's tables in one byte order. */
class Writer {
  private readonly parts: Buffer[] = [];
  constructor(private readonly littleEndian: boolean) {}
  u16(...values: number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(2);
      new DataView(part.buffer, part.byteOffset).setUint16(0, value, this.littleEndian);
      this.parts.push(part);
    }
    return this;
  }
  u32(...values: number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(4);
      new DataView(part.buffer, part.byteOffset).setUint32(0, value, this.littleEndian);
      this.parts.push(part);
    }
    return this;
  }
  raw(bytes: string | Buffer): this {
    this.parts.push(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }
  /** A block of pcapng around what was written, which is padded. */
  block(type: number): Buffer {
    const body = this.bytes();
    const padding = Buffer.alloc(-body.length & 3);
    const length = 12 + body.length + padding.length;
    return new Writer(this.littleEndian).u32(type, length).raw(body).raw(padding).u32(length).bytes();
  }
  bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

const CONTENTS = ['first', '', 'the third frame'];

function pcap(littleEndian: boolean, magic = 0xa1b2c3d4): Buffer {
  const writer = new Writer(littleEndian).u32(magic).u16(2, 4).u32(0, 0, 65_535, 101);
  CONTENTS.forEach((content, index) => {
    writer.u32(1_700_000_000 + index, 999_999, content.length, content.length + index);
    if (magic === 0xa1b2cd34) writer.u32(7).u16(0x0800).raw('\0\0');
    writer.raw(content);
  });
  return writer.bytes();
}

function section(littleEndian: boolean): Buffer {
  return new Writer(littleEndian).u32(0x1a2b3c4d).u16(1, 0).u32(0xffffffff, 0xffffffff).block(0x0a0d0d0a);
}

/** An interface whose ticks are 10^-n s, or 2^-n s where bit 7 of the resolution is set. */
function description(
  littleEndian: boolean,
  linkType: number,
  snapLength: number,
  resolution?: number,
  offsetSeconds = 10,
): Buffer {
  const writer = new Writer(littleEndian).u16(linkType, 0).u32(snapLength);
  if (resolution !== undefined) {
    writer.u16(9, 1).raw(Buffer.of(resolution, 0, 0, 0));
    writer.u16(14, 8).u32(...(littleEndian ? [offsetSeconds, 0] : [0, offsetSeconds]));
    writer.u32(0);
  }
  return writer.block(1);
}

function enhanced(littleEndian: boolean, number: number, ticks: bigint, content: string): Buffer {
  const times = [Number(ticks >> 32n), Number(ticks & 0xffffffffn)];
  return new Writer(littleEndian)
    .u32(number, ...times, content.length, content.length + 1)
    .raw(content)
    .block(6);
}

function pcapng(littleEndian: boolean): Buffer {
  const e = littleEndian;
  return Buffer.concat([
    section(e),
    description(e, 1, 4),
    description(e, 101, 0, 9),
    description(e, 113, 0, 0x80 | 20),
    new Writer(e).raw('unknown').block(0x0bad),
    enhanced(e, 0, 1_700_000_000_123_456n, 'micro'),
    enhanced(e, 1, 1_700_000_000_123_456_789n, 'nano'),
    enhanced(e, 2, (1_700_000_000n << 20n) | 0x80000n, 'binary'),
    new Writer(e).u32(9).raw('simple no').block(3),
    new Writer(e)
      .u16(1, 5)
      .u32(Math.floor(1.7e18 / 2 ** 32), Number(1_700_000_000_000_000_001n & 0xffffffffn), 3, 3)
      .raw('old')
      .block(2),
    section(!e),
    description(!e, 228, 0, 12, 1_700_000_000),
    enhanced(!e, 0, 1_123_456_789_999n, 'pico'),
  ]);
}

describe('pcap by its specification', () => {
  const rows = [
    { title: 'microseconds', magic: 0xa1b2c3d4, fraction: '999999000', interfaceIndex: 0 },
    { title: 'nanoseconds', magic: 0xa1b23c4d, fraction: '000999999', interfaceIndex: 0 },
    { title: 'modified header', magic: 0xa1b2cd34, fraction: '999999000', interfaceIndex: 7 },
  ];
  for (const { title, magic, fraction, interfaceIndex } of rows) {
    for (const littleEndian of [true, false]) {
      it(`${title}, ${littleEndian ? 'little' : 'big'}-endian`, () => {
        const { frames, warnings } = readBytes(pcap(littleEndian, magic));
        assert.deepEqual(
          frames,
          CONTENTS.map((content, index) => ({
            time: `${1_700_000_000 + index}.${fraction}`,
            wireLength: content.length + index,
            captured: content.length,
            linkType: 101,
            interfaceIndex,
            content,
          })),
        );
        assert.deepEqual(warnings, []);
      });
    }
  }
});

it('times from days before the first frame are exact and not negative', () => {
  const path = join(folder, 'capture');
  const writer = new Writer(true).u32(0xa1b23c4d).u16(2, 4).u32(0, 0, 65_535, 101);
  const allSeconds = [1_700_000_000, 1_699_800_000, 1_699_800_001, 1_600_000_000, 1_600_000_001];
  for (const seconds of allSeconds) writer.u32(seconds, 123_456_789, 1, 1).raw('x');
  writeFileSync(path, writer.bytes());
  const engine = openFile(path);
  const seen: number[] = [];
  let restarts = 0;
  const handler = {
    onFrame({ timeNs }: Frame): void {
      assert.ok(timeNs >= 0);
      const whole = Math.floor(timeNs / 1e9);
      seen.push(engine.clock.baseSeconds + whole);
      assert.ok(Math.abs(timeNs - whole * 1e9 - 123_456_789) < 16);
    },
    onTick(): void {},
    onRestart: (): number => restarts++,
  };
  while (engine.poll(handler, 0)) {}
  assert.deepEqual(seen, allSeconds);
  assert.equal(restarts, 2);
});

it('ticks have the time of the last frame, whatever came before it', () => {
  const path = join(folder, 'capture');
  const writer = new Writer(true).u32(0xa1b2c3d4).u16(2, 4).u32(0, 0, 65_535, 101);
  for (const seconds of [1_700_000_100, 1_700_000_000]) writer.u32(seconds, 0, 1, 1).raw('x');
  writeFileSync(path, writer.bytes());
  const engine = openFile(path);
  let lastNs = 0;
  const handler = {
    onFrame(frame: Frame): void {
      lastNs = frame.timeNs;
    },
    onTick: (timeNs: number): void => assert.equal(timeNs, lastNs),
  };
  while (engine.poll(handler, 0)) {}
  assert.notEqual(lastNs, 0);
});

describe('pcapng by its specification', () => {
  for (const littleEndian of [true, false]) {
    it(`resolutions, offset, sections, all packet blocks, first ${littleEndian ? 'little' : 'big'}-endian`, () => {
      const { frames, warnings } = readBytes(pcapng(littleEndian));
      assert.deepEqual(
        frames.map(({ time, linkType, interfaceIndex, content, wireLength }) =>
          [content, time, linkType, interfaceIndex, wireLength].join(' '),
        ),
        [
          'micro 1700000000.123456000 1 0 6',
          'nano 1700000010.123456789 101 1 5',
          'binary 1700000010.500000000 113 2 7',
          'simp 1700000010.500000000 1 0 9',
          'old 1700000010.000000001 101 1 3',
          'pico 1700000001.123456789 228 3 5',
        ],
      );
      assert.deepEqual(warnings, []);
    });
  }
});

describe('captures that are cut short', () => {
  for (const [title, whole, headerBytes] of [
    ['pcap', pcap(true), 24],
    ['pcapng', pcapng(false), 28],
  ] as const) {
    it(`${title} at every length: the frames before the cut, at most one warning`, () => {
      const all = readBytes(whole).frames;
      for (let length = headerBytes; length < whole.length; length++) {
        const { frames, warnings } = readBytes(whole.subarray(0, length));
        assert.ok(frames.length <= all.length && warnings.length <= 1);
        // After another first frame the clock has another base, so contents are what to compare.
        assert.deepEqual(
          frames.map(({ content }) => content),
          all.slice(0, frames.length).map(({ content }) => content),
        );
      }
    });

    // As tcpdump: what has no file header is no capture.
    it(`${title} within its file header: no capture`, () => {
      for (let length = 0; length < headerBytes; length++) {
        const message =
          length === 0 ? /it is empty/ : length < 4 ? /shorter than 4/ : /inside its file header/;
        for (const bytes of [whole.subarray(0, length), gzipSync(whole.subarray(0, length))]) {
          assert.throws(() => readBytes(bytes), { name: 'CaptureError', code: 'NOT_A_CAPTURE', message });
        }
      }
    });
  }

  it('warns for a cut inside a frame and not for one between', () => {
    const whole = pcap(true);
    assert.match(readBytes(whole.subarray(0, whole.length - 1)).warnings.join(), /cut short.*the 2 frames/);
    assert.deepEqual(readBytes(whole.subarray(0, whole.length - 31)).warnings, []);
  });

  it('gzip: the frames before the cut', () => {
    const frame = Buffer.concat([new Writer(true).u32(1, 2, 1000, 1000).bytes(), Buffer.alloc(1000, 'x')]);
    const whole = Buffer.concat([pcap(true), ...new Array<Buffer>(5000).fill(frame)]);
    const packed = gzipSync(whole, { level: 0 });
    assert.equal(readBytes(packed).frames.length, 5003);
    const { frames, warnings } = readBytes(packed.subarray(0, packed.length >> 1));
    assert.ok(frames.length > 2400 && frames.length < 2503, `${frames.length} frames`);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /gzip stream ends before its end/);
    assert.match(readBytes(packed.subarray(0, packed.length - 1)).warnings[0], /the 5003 frames/);
  });
});

describe('what is no capture, or a hostile one', () => {
  const expected = (code: string, message: RegExp) => (error: unknown) =>
    error instanceof CaptureError && error.code === code && message.test(error.message);

  it('a missing file', () => {
    assert.throws(
      () => openFile(join(folder, 'missing')),
      expected('FILE_NOT_FOUND', /missing: there is no such file/),
    );
  });
  it('a folder', () => {
    assert.throws(() => openFile(folder), expected('NOT_A_CAPTURE', /is a directory/));
  });
  for (const [title, bytes, message] of [
    ['an empty file', Buffer.alloc(0), /is empty; expected is pcap or pcapng/],
    ['text', Buffer.from('GET / HTTP/1.1'), /begins with 0x47455420/],
    ['text in gzip', gzipSync('GET / HTTP/1.1'), /begins with 0x47455420/],
    [
      'damaged gzip',
      Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 255, 255, 255]),
      /gzip stream is damaged/,
    ],
  ] as const) {
    it(title, () => assert.throws(() => readBytes(bytes), expected('NOT_A_CAPTURE', message)));
  }

  const header = pcap(true).subarray(0, 24);
  for (const [title, bytes, message] of [
    [
      'pcap of another version',
      new Writer(true).u32(0xa1b2c3d4).u16(543, 0).u32(0, 0, 65_535, 101).bytes(),
      /version 543\.0 of the format/,
    ],
    [
      'pcapng of another version',
      new Writer(true).u32(0x1a2b3c4d).u16(2, 0).u32(0xffffffff, 0xffffffff).block(0x0a0d0d0a),
      /a section of version 2 of the format/,
    ],
    [
      'pcapng without byte order',
      Buffer.from('0a0d0d0a1c00000001020304', 'hex'),
      /without its byte-order magic/,
    ],
    [
      'pcap frame length',
      Buffer.concat([header, new Writer(true).u32(1, 1, 0x7fffffff, 1).bytes()]),
      /damaged: a frame of 2147483647 bytes at offset 24/,
    ],
    [
      'pcapng block length',
      Buffer.concat([section(true), new Writer(true).u32(6, 0xfffffff0, 0).bytes()]),
      /a block of 4294967280 bytes at offset 28/,
    ],
    [
      'pcapng block shorter than itself',
      Buffer.concat([section(true), new Writer(true).u32(6, 4, 4).bytes()]),
      /a block of 4 bytes/,
    ],
    [
      'pcapng packet longer than its block',
      Buffer.concat([
        section(true),
        description(true, 1, 0),
        new Writer(true).u32(0, 0, 0, 4000, 4000).block(6),
      ]),
      /a packet of 4000 bytes/,
    ],
    [
      'pcapng packet of no interface',
      Buffer.concat([section(true), enhanced(true, 0, 1n, 'x')]),
      /undescribed interface 0/,
    ],
  ] as const) {
    it(title, () => {
      const { frames, warnings } = readBytes(bytes);
      assert.equal(frames.length, 0);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0], message);
    });
  }

  it('a block longer than the window is passed over', () => {
    const bytes = Buffer.concat([
      section(true),
      description(true, 1, 0),
      enhanced(true, 0, 1n, 'before'),
      new Writer(true).raw(Buffer.alloc(3 << 20)).block(0x0bad),
      new Writer(true)
        .u32(0, 0, 2, 4, 4)
        .raw('long')
        .u16(1, 0)
        .raw(Buffer.alloc(2 << 20))
        .block(6),
      enhanced(true, 0, 3n, 'after'),
    ]);
    assert.deepEqual(
      readBytes(bytes).frames.map(({ content }) => content),
      ['before', 'long', 'after'],
    );
  });
});

describe('captures made by others, against tshark', () => {
  const corpus = fileURLToPath(new URL('../../../../shared/corpus/', import.meta.url));
  const tshark = spawnSync('tshark', ['--version']).status === 0;
  const skip = !existsSync(corpus)
    ? 'no corpus beside the repository'
    : tshark
      ? false
      : 'tshark is not installed';
  const rows: { file: string; theme: string }[] = skip
    ? []
    : JSON.parse(readFileSync(`${corpus}index.json`, 'utf8'));
  const sample = rows.filter(({ theme }) => theme === 'capfile').filter((_, index) => index % 4 === 1);

  it('has captures', { skip }, () => assert.ok(sample.length > 10));
  for (const { file } of sample) {
    it(file, () => {
      const fields = ['encap_type', 'time_epoch', 'len', 'cap_len'].flatMap((name) => [
        '-e',
        `frame.${name}`,
      ]);
      const { stdout } = spawnSync('tshark', ['-n', '-r', corpus + file, '-T', 'fields', ...fields], {
        encoding: 'utf8',
        maxBuffer: 64 << 20,
      });
      const expected = stdout
        .split('\n')
        .map((line) => line.split('\t'))
        // Records without a link type are no frames: custom blocks, journal entries.
        .filter(([encapsulation]) => encapsulation);
      const { frames } = read(corpus + file);
      assert.deepEqual(
        frames.map(({ time, wireLength, captured }, index) => [
          // tshark gives no time where the block has none.
          expected[index]?.[1] === '' ? '' : time,
          String(wireLength),
          String(captured),
        ]),
        expected.map(([, ...values]) => values),
      );
    });
  }
});
