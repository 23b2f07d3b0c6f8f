/**
 * Fuzzing by mutation: conversations are bent, cut, spliced and given to the decoders. A decoder must not
 * throw, must answer a position inside of its input, must come to an end, and what it gives must be a record
 * that the schema's own library reads and that makes a JSON document. Everything follows from the seed.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eachRecord, RECORD } from '@packetd/proto/batch';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { DocumentWriter } from '@packetd/proto/telemetry/document';
import { Clock, Frame } from '@packetd/sensor/capture/engine';
import { openFile } from '@packetd/sensor/capture/file';
import { CloseReason, type TcpFlow } from '@packetd/sensor/flow/stream';
import { Ledger } from '@packetd/sensor/ledger';
import { Packet } from '@packetd/sensor/packet/packet';
import { PacketParser } from '@packetd/sensor/packet/parse';
import { type ConnectionSettings, ProtocolConnection } from '@packetd/sensor/protocols/connection';
import { DEFAULT_DECODER_OPTIONS } from '@packetd/sensor/protocols/decoder';
import { ExchangePool } from '@packetd/sensor/protocols/exchange';
import { RecordEncoder } from '@packetd/sensor/protocols/records';
import { DATAGRAM_PROTOCOLS, PROTOCOL_NAMES, STREAM_PROTOCOLS } from '@packetd/sensor/protocols/registry';
import { Escapes, MYSQL, POSTGRESQL, SqlShapes } from '@packetd/sensor/redact/sql';
import { Charset } from '@packetd/sensor/redact/sql-charset';
import { type Conversation, captureFiles, conversations } from './seeds.js';

export interface Result {
  readonly entry: string;
  executions: number;
  records: number;
}

/** A defect, with what it takes to see it again. */
class FuzzError extends Error {
  override readonly name = 'FuzzError';
}

/** xorshift32: the same seed gives the same run. */
export class Random {
  constructor(private state: number) {
    if (this.state === 0) this.state = 1;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % below;
  }

  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

const INTERESTING = [0, 1, 2, 0x7f, 0x80, 0xff, 0x0d, 0x0a, 0x24, 0x2a, 0x16, 0x51, 0xce];
const WORDS = [0, 1, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Bends bytes: flips, borders of numbers, cuts, doubles, splices from another. */
function mutate(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let out = bytes.slice();
  for (let n = 1 + random.below(4); n > 0 && out.length > 0; n--) {
    const at = random.below(out.length);
    switch (random.below(9)) {
      case 0:
        out[at] ^= 1 << random.below(8);
        break;
      case 1:
        out[at] = random.one(INTERESTING);
        break;
      case 2:
        out[at] += random.below(2) === 0 ? 1 : -1;
        break;
      case 3: {
        const word = random.one(WORDS);
        const size = random.one([2, 4]);
        for (let i = 0; i < size && at + i < out.length; i++) out[at + i] = word >>> (8 * (size - 1 - i));
        break;
      }
      case 4:
        out = out.slice(0, at);
        break;
      case 5:
        out = Uint8Array.from(
          Buffer.concat([out.subarray(0, at), out.subarray(at, at + random.below(64)), out.subarray(at)]),
        );
        break;
      case 6: {
        const from = random.below(other.length + 1);
        out = Uint8Array.from(
          Buffer.concat([
            out.subarray(0, at),
            other.subarray(from, from + random.below(128)),
            out.subarray(at),
          ]),
        );
        break;
      }
      case 7:
        out = Uint8Array.from(
          Buffer.concat([out.subarray(0, at), out.subarray(Math.min(out.length, at + 1 + random.below(32)))]),
        );
        break;
      default:
        for (let i = at; i < Math.min(out.length, at + 4); i++) out[i] = random.below(256);
    }
  }
  return out;
}

const FLOW: TcpFlow = {
  address0: Int32Array.of(0, 0, 0xffff, 0x0a000001),
  port0: 40_000,
  address1: Int32Array.of(0, 0, 0xffff, 0x0a000002),
  port1: 5,
  sideKnown: true,
  ipVersion: 4,
  firstTimeNs: 0,
};
/** Time that one execution may take before it is taken for endless; many times what any needs. */
const ENDLESS_MS = 5000;

/** Checks every record that comes out. */
class Checker {
  records = 0;
  readonly settings: ConnectionSettings;
  private readonly encoder: RecordEncoder;
  private readonly writer = new DocumentWriter();
  private readonly out = new ByteBuffer(1 << 16);

  constructor() {
    const clock = new Clock();
    clock.baseSeconds = 1_700_000_000;
    this.encoder = new RecordEncoder(clock, {
      batch: (bytes, length) => {
        eachRecord(bytes, length, RECORD, (start, end) => {
          this.records++;
          this.out.length = 0;
          if (!this.writer.write(bytes, start, end, this.out))
            throw new FuzzError(
              `no document can be made of record ${Buffer.from(bytes.subarray(start, end)).toString('hex')}`,
            );
          JSON.parse(Buffer.from(this.out.bytes.subarray(0, this.out.length)).toString('utf8'));
        });
      },
    });
    this.settings = {
      clock,
      pool: new ExchangePool(),
      encoder: this.encoder,
      ledger: new Ledger(PROTOCOL_NAMES),
      options: { ...DEFAULT_DECODER_OPTIONS, keys: true, bodyBytes: 256 },
      indexOf: new Map(PROTOCOL_NAMES.map((name, index) => [name, index])),
      indexOfTag: new Map(
        STREAM_PROTOCOLS.map((p) => [p.detailTag, (PROTOCOL_NAMES as readonly string[]).indexOf(p.name)]),
      ),
    };
  }

  flush(): void {
    this.encoder.flush();
  }
}

/** One connection: pieces bent, in any cuts, with gaps and ends between them. */
function connection(random: Random, checker: Checker, name: string, seeds: readonly Conversation[]): void {
  const conversation = random.one(seeds);
  const other = random.one(random.one(seeds)).bytes;
  const certain = random.below(2) === 0;
  const flow = random.below(4) === 0 ? { ...FLOW, sideKnown: false } : FLOW;
  const protocol = STREAM_PROTOCOLS.find((p) => p.name === name)!;
  const subject = new ProtocolConnection(
    flow,
    certain ? [protocol] : STREAM_PROTOCOLS,
    certain ? { clientSide: random.below(16) === 0 ? 1 : 0 } : null,
    checker.settings,
  );
  let timeNs = 0;
  const first = random.below(8) === 0 ? random.below(conversation.length) : 0;
  for (const piece of conversation.slice(first, first + 60)) {
    timeNs += random.below(1e7);
    const { side } = piece;
    if (random.below(20) === 0) subject.gap(side, 1 + random.below(5000), timeNs);
    const bytes = random.below(3) === 0 ? mutate(random, piece.bytes, other) : piece.bytes;
    for (let at = 0; at < bytes.length; ) {
      const size =
        random.below(2) === 0 ? bytes.length - at : 1 + random.below(Math.min(bytes.length - at, 64));
      subject.data(side, bytes, at, at + size, timeNs);
      at += size;
    }
    if (random.below(40) === 0) subject.fin(side, timeNs);
  }
  subject.close(random.one(Object.values(CloseReason)), timeNs);
  const { pool } = checker.settings;
  // The budget of open requests counts them.
  if (pool.open !== 0) throw new FuzzError(`${pool.open} exchanges were not given back`);
}

/** Entry points by name: each answers a function that runs one execution. */
export async function entries(): Promise<Map<string, (random: Random, checker: Checker) => void>> {
  const found = new Map<string, (random: Random, checker: Checker) => void>();
  const payloads: Uint8Array[] = [];
  for (const { name } of STREAM_PROTOCOLS) {
    const seeds = (await conversations(name)).filter((conversation) => conversation.length > 0);
    const own = seeds.length > 0 ? seeds : await conversations('http2');
    for (const conversation of own.slice(0, 10))
      payloads.push(...conversation.slice(0, 4).map(({ bytes }) => bytes));
    found.set(name, (random, checker) => connection(random, checker, name, own));
  }
  found.set('probe', (random) => {
    const bytes = mutate(random, random.one(payloads), random.one(payloads));
    const context = {
      side: random.one([0, 1] as const),
      fromStart: random.below(2) === 0,
      sourcePort: random.below(65_536),
      destinationPort: random.one([80, 53, 5432, 6379, 9092, random.below(65_536)]),
    };
    for (const { probe } of STREAM_PROTOCOLS) probe(bytes, 0, bytes.length, context);
  });
  const packet = new Packet();
  for (const protocol of DATAGRAM_PROTOCOLS) {
    found.set(`${protocol.name} datagrams`, (random, checker) => {
      const decoder = protocol.create(
        {
          pool: checker.settings.pool,
          undecodable: () => {},
          emit: (_, exchange) => checker.settings.pool.release(exchange),
        },
        checker.settings.options,
      );
      for (let n = 0; n < 4; n++) {
        const bytes = mutate(random, random.one(payloads).subarray(random.one([0, 2])), random.one(payloads));
        packet.bytes = bytes;
        packet.payloadStart = 0;
        packet.payloadEnd = bytes.length;
        packet.payloadLength = bytes.length + random.one([0, 0, 10]);
        packet.ipVersion = 4;
        packet.sourcePort = random.one([53, 40_000]);
        packet.destinationPort = random.one([53, 40_000]);
        packet.timeNs = n * 1e6;
        protocol.probe(packet);
        decoder.datagram(packet);
      }
      decoder.flush(1e12);
    });
  }
  const shapes = [new SqlShapes(POSTGRESQL, 64), new SqlShapes(MYSQL, 64)];
  found.set('sql', (random) => {
    const bytes = mutate(random, random.one(SQL), random.one(SQL));
    random.one(shapes).shape(bytes, 0, bytes.length, random.one(ESCAPES), random.one(CHARSETS));
  });
  const files = captureFiles();
  const frame = new Frame();
  const parser = new PacketParser();
  found.set('packet', (random) => {
    const file = random.one(files);
    const from = Math.min(file.length, 40 + random.below(100));
    const bytes = mutate(random, file.subarray(from, from + 1500), random.one(files).subarray(0, 200));
    frame.bytes = bytes;
    frame.start = 0;
    frame.end = bytes.length;
    frame.wireLength = bytes.length;
    frame.linkType = random.one([1, 0, 101, 113, 276, 12, 108, 127, 228, 229]);
    parser.parse(frame, packet);
  });
  return found;
}

const ESCAPES: readonly Escapes[] = Object.values(Escapes);
const CHARSETS: readonly Charset[] = Object.values(Charset);
const SQL = [
  "SELECT a, 'b''c', E'\\'x', $$d$$, $1 FROM t WHERE x IN (1, 2.5e-3) -- end",
  'INSERT INTO `t` VALUES ("a", 0xff, _utf8\'x\') /*! , (1) */ # end',
  'WITH q AS (SELECT 1) UPDATE "T" SET a = b /* c /* d */ */',
].map((text) => Uint8Array.from(Buffer.from(text)));

/** Runs an entry. Throws FuzzError with the seed of the execution that failed. */
export function run(
  entry: string,
  execute: (random: Random, checker: Checker) => void,
  executions: number,
  seed: number,
): Result {
  const checker = new Checker();
  const result: Result = { entry, executions: 0, records: 0 };
  for (let n = 0; n < executions; n++) {
    const own = (seed * 0x9e3779b1 + n * 0x85ebca6b) >>> 0 || 1;
    const began = Date.now();
    try {
      execute(new Random(own), checker);
      if ((n & 255) === 0) checker.flush();
    } catch (error) {
      throw new FuzzError(`${entry}, execution ${own}: ${(error as Error).stack ?? error}`);
    }
    if (Date.now() - began > ENDLESS_MS)
      throw new FuzzError(`${entry}, execution ${own}: took ${Date.now() - began} ms`);
    result.executions++;
  }
  checker.flush();
  result.records = checker.records;
  return result;
}

/** The readers of capture files, which are asynchronous: each execution is a file. */
export async function runReaders(executions: number, seed: number): Promise<Result> {
  const random = new Random(seed);
  const files = captureFiles();
  const path = join(tmpdir(), `packetd-fuzz-${process.pid}.pcap`);
  const result: Result = { entry: 'capture files', executions: 0, records: 0 };
  for (let n = 0; n < executions; n++) {
    writeFileSync(path, mutate(random, random.one(files), random.one(files)));
    try {
      const engine = await openFile(path, { warn: () => {} });
      for (let polls = 0; polls < 1000 && engine.poll({ onFrame() {}, onTick() {} }, 0); polls++);
      engine.close();
    } catch (error) {
      if ((error as Error).name !== 'CaptureError')
        throw new FuzzError(`capture file ${n} of seed ${seed}: ${(error as Error).stack}`);
    }
    result.executions++;
  }
  return result;
}
