/** The corpus of captures beside the checkout, for the tests that read it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { eachRecord, RECORD } from '@packetd/proto/batch';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { type RoundTrip, RoundTripSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { DocumentWriter } from '@packetd/proto/telemetry/document';
import type { Engine, Frame, FrameHandler } from '@packetd/sensor/capture/engine';
import { openFile } from '@packetd/sensor/capture/file';
import { Pipeline } from '@packetd/sensor/pipeline';
import { ROOT } from '../e2e/support.js';

export const CORPUS = join(ROOT, '../shared/corpus');
export const noCorpus = existsSync(CORPUS) ? false : 'the corpus is not beside this checkout';

export interface Capture {
  readonly file: string;
  readonly theme: string;
  /** What tshark sees: `http1:80 dns`. */
  readonly protocols: string;
  readonly decode_as: readonly (readonly [port: number, protocol: string])[];
  readonly packets: number;
}

export function captures(): Capture[] {
  return JSON.parse(readFileSync(join(CORPUS, 'index.json'), 'utf8')) as Capture[];
}

/** Names of the index and of tshark that are not ours. */
const NAMES: Readonly<Record<string, string>> = {
  http1: 'http',
  pgsql: 'postgresql',
  resp: 'redis',
  mongo: 'mongodb',
};

/** The protocols that a capture is known to have. */
export function protocolsOf(capture: Capture): Set<string> {
  const names = [
    ...capture.protocols.split(/[ ,;]+/).map((part) => part.split(':')[0].replace(/\(.*/, '')),
    capture.theme,
    ...capture.decode_as.map(([, name]) => name),
  ];
  return new Set(names.map((name) => NAMES[name] ?? name));
}

/** Where a piece of so many bytes is cut: positions within it, ascending. */
export type Cuts = (length: number) => Iterable<number>;

/**
 * Decodes a capture in this thread; `keep` says which frames the pipeline is shown, `cuts` how the bytes
 * of each TCP segment are cut on their way from reassembly to the protocols.
 */
export async function decode(
  file: string,
  keep: (index: number) => boolean = () => true,
  cuts: Cuts | null = null,
): Promise<{ records: RoundTrip[]; documents: string[]; frames: number; pipeline: Pipeline }> {
  const engine: Engine = await openFile(file, { warn: () => {} });
  const records: RoundTrip[] = [];
  const documents: string[] = [];
  const writer = new DocumentWriter();
  const out = new ByteBuffer(64 << 10);
  const pipeline = new Pipeline(engine.clock, {
    batch(bytes, length) {
      eachRecord(bytes, length, RECORD, (start, end) => {
        records.push(fromBinary(RoundTripSchema, bytes.subarray(start, end)));
        out.length = 0;
        if (!writer.write(bytes, start, end, out)) throw new Error('a record that is no document');
        documents.push(Buffer.from(out.bytes.subarray(0, out.length)).toString());
      });
    },
  });
  if (cuts !== null) cutStreams(pipeline, cuts);
  let frames = 0;
  const handler: FrameHandler = {
    onFrame(frame: Frame) {
      if (keep(frames++)) pipeline.onFrame(frame);
    },
    onTick: (timeNs) => pipeline.onTick(timeNs),
    onRestart: () => pipeline.onRestart(),
  };
  while (engine.poll(handler, 0));
  pipeline.finish();
  engine.close();
  return { records, documents, frames, pipeline };
}

/** Makes the pipeline hand every piece of every stream on in several. */
function cutStreams(pipeline: Pipeline, cuts: Cuts): void {
  const open = pipeline.open.bind(pipeline);
  pipeline.open = (flow) => {
    const handler = open(flow);
    if (handler === null) return null;
    return {
      data(side, bytes, start, end, timeNs) {
        let from = start;
        for (const cut of cuts(end - start)) {
          handler.data(side, bytes, from, start + cut, timeNs);
          from = start + cut;
        }
        handler.data(side, bytes, from, end, timeNs);
      },
      gap: (side, length, timeNs) => handler.gap(side, length, timeNs),
      fin: (side, timeNs) => handler.fin(side, timeNs),
      close: (reason, timeNs) => handler.close(reason, timeNs),
    };
  };
}

/** A repeatable sequence of numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Every byte on its own. */
export function* byteByByte(length: number): Generator<number> {
  for (let at = 1; at < length; at++) yield at;
}

/** About every `step`th byte. */
export function atRandom(seed: number, step: number): Cuts {
  const next = random(seed);
  return function* (length) {
    for (let at = 1; at < length; at++) if (next() < 1 / step) yield at;
  };
}
