/** The corpus of captures beside the checkout, for the tests that read it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { eachRecord, RECORD } from '@packetd/proto/batch';
import { type RoundTrip, RoundTripSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
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

/** Decodes a capture in this thread; `keep` says which frames the pipeline is shown. */
export async function decode(
  file: string,
  keep: (index: number) => boolean = () => true,
): Promise<{ records: RoundTrip[]; frames: number; pipeline: Pipeline }> {
  const engine: Engine = await openFile(file, { warn: () => {} });
  const records: RoundTrip[] = [];
  const pipeline = new Pipeline(engine.clock, {
    batch(bytes, length) {
      eachRecord(bytes, length, RECORD, (start, end) => {
        records.push(fromBinary(RoundTripSchema, bytes.subarray(start, end)));
      });
    },
  });
  let frames = 0;
  const handler: FrameHandler = {
    onFrame(frame: Frame) {
      if (keep(frames++)) pipeline.onFrame(frame);
    },
    onTick: (timeNs) => pipeline.onTick(timeNs),
  };
  while (engine.poll(handler, 0));
  pipeline.finish();
  engine.close();
  return { records, frames, pipeline };
}
