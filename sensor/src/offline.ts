/** Runs a capture file through a pipeline in the calling thread, as fast as it decodes. */
import { nameOf, openFile } from './capture/file.js';
import type { TcpOptions } from './flow/tcp.js';
import { Count, type Ledger } from './ledger.js';
import { Pipeline, type PipelineOptions } from './pipeline.js';
import type { BatchOutput } from './protocols/records.js';

/**
 * Lower limits than live: a file shall need little memory, whatever is in it, and a server with ten thousand clients
 * be followed. The connection that was silent for longest gives way, and is joined anew when it goes on.
 */
const TCP_OPTIONS: Partial<TcpOptions> = { maxConnections: 16_384, maxTotalHoldBytes: 16 << 20 };

/** Let the event loop run (signals, closed pipes) after this many blocks of frames. */
const POLLS_PER_TURN = 64;

/**
 * Decodes a whole file ('-' is stdin) and answers its ledger. `signal` ends it early; requests still
 * open at the end become records of their own status. Throws CaptureError for what is no capture.
 */
export async function decodeFile(
  path: string,
  output: BatchOutput,
  options: Partial<PipelineOptions> & {
    warn?: (message: string) => void;
    signal?: AbortSignal;
    /** Counts here instead of in a ledger of its own. */
    ledger?: Ledger;
  } = {},
): Promise<Ledger> {
  const engine = await openFile(path, { warn: options.warn });
  const tcp = { ...TCP_OPTIONS, ...options.tcp };
  const pipeline = new Pipeline(engine.clock, output, { ...options, tcp }, options.ledger);
  try {
    let polls = 0;
    while (!options.signal?.aborted && engine.poll(pipeline, 0)) {
      await output.ready?.();
      if (++polls % POLLS_PER_TURN === 0) await new Promise(setImmediate);
    }
    pipeline.finish();
    pipeline.ledger.values[Count.kernelDropped] = engine.counters.kernelDropped;
    const unknown = pipeline.ledger.get(Count.unknownLink);
    if (unknown > 0) {
      options.warn?.(
        `${nameOf(path)}: ${unknown} of ${pipeline.ledger.get(Count.frames)} frames are of a link type that packetd does not read`,
      );
    }
    return pipeline.ledger;
  } finally {
    engine.close();
  }
}
