/**
 * A capture thread: reads one engine through one pipeline and hands batches to the main thread. It
 * blocks in `poll`, so it does nothing else; it ends when the main thread sets the stop word.
 */
import { isMainThread, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { DEFAULT_BLOCK_BYTES, openAfPacket } from './capture/afpacket.js';
import type { BpfInstruction } from './capture/bpf.js';
import type { CaptureError, CaptureErrorCode } from './capture/engine.js';
import type { TcpOptions } from './flow/tcp.js';
import { Count, Ledger } from './ledger.js';
import { OwnConnections } from './own.js';
import { Pipeline } from './pipeline.js';
import type { DecoderOptions } from './protocols/decoder.js';
import { PROTOCOL_NAMES } from './protocols/registry.js';
import type { Rule } from './rules.js';

/** Words of the control block, an Int32Array. */
export const Control = { STOP: 0, WAITING_BATCHES: 1, INTERFACES_CHANGED: 2 } as const;
export const CONTROL_BYTES = 12;

export interface WorkerSettings {
  readonly interfaces: 'any' | number[];
  readonly promiscuous: boolean;
  readonly filter: BpfInstruction[];
  readonly fanout?: { group: number; size: number };
  readonly loopbackIndex?: number;
  readonly ringMebibytes?: number;
  readonly rules: readonly Rule[] | null;
  readonly ipVersion: number;
  readonly decoder: Partial<DecoderOptions>;
  readonly tcp: Partial<TcpOptions>;
  readonly control: SharedArrayBuffer;
  readonly ledger: SharedArrayBuffer;
  /** Of OwnConnections; null shows those too. */
  readonly own: SharedArrayBuffer | null;
  readonly layer4: boolean;
  /** Number of this thread. */
  readonly worker: number;
}

/** What the main thread sends before it sets `INTERFACES_CHANGED`. */
export interface InterfacesChanged {
  readonly interfaces: readonly number[];
  readonly filter: BpfInstruction[];
}

export type WorkerMessage =
  | { type: 'started' }
  | { type: 'batch'; bytes: Uint8Array; records: number }
  | { type: 'failed'; name: string; message: string; code: CaptureErrorCode }
  | { type: 'stopped' };

/** Batches on their way to the main thread; with more, records are dropped and counted. */
const MAX_WAITING_BATCHES = 256;
const POLL_MS = 100;

function run(settings: WorkerSettings): void {
  const port = parentPort!;
  const control = new Int32Array(settings.control);
  const ledger = new Ledger(PROTOCOL_NAMES, new Float64Array(settings.ledger));
  const own = settings.own === null ? null : new OwnConnections(settings.own);
  const engine = openAfPacket({
    interfaces: settings.interfaces,
    promiscuous: settings.promiscuous,
    filter: settings.filter,
    fanout: settings.fanout,
    loopbackIndex: settings.loopbackIndex,
    blockCount:
      settings.ringMebibytes === undefined
        ? undefined
        : (settings.ringMebibytes * 2 ** 20) / DEFAULT_BLOCK_BYTES,
  });
  const output = {
    batch(bytes: Uint8Array, length: number, records: number) {
      if (Atomics.load(control, Control.WAITING_BATCHES) >= MAX_WAITING_BATCHES) {
        ledger.add(Count.recordsDropped, records);
        return;
      }
      Atomics.add(control, Control.WAITING_BATCHES, 1);
      const copy = bytes.slice(0, length);
      port.postMessage({ type: 'batch', bytes: copy, records } satisfies WorkerMessage, [
        copy.buffer as ArrayBuffer,
      ]);
    },
  };
  const pipeline = new Pipeline(
    engine.clock,
    output,
    {
      rules: settings.rules,
      ipVersion: settings.ipVersion,
      decoder: settings.decoder,
      tcp: settings.tcp,
      layer4: settings.layer4,
      worker: settings.worker,
      isOwn: own === null ? () => false : (flow) => own.has(flow),
    },
    ledger,
  );
  port.postMessage({ type: 'started' } satisfies WorkerMessage);
  while (Atomics.load(control, Control.STOP) === 0) {
    if (Atomics.exchange(control, Control.INTERFACES_CHANGED, 0) !== 0) {
      // This thread has no event loop to speak of: messages are fetched.
      for (let m = receiveMessageOnPort(port); m !== undefined; m = receiveMessageOnPort(port)) {
        const { interfaces, filter } = m.message as InterfacesChanged;
        engine.select(interfaces, filter);
      }
    }
    if (!engine.poll(pipeline, POLL_MS)) break;
    ledger.values[Count.kernelDropped] = engine.counters.kernelDropped;
  }
  // What the ring holds came before the end.
  engine.poll(pipeline, 0);
  pipeline.finish();
  ledger.values[Count.kernelDropped] = engine.counters.kernelDropped;
  engine.close();
  port.postMessage({ type: 'stopped' } satisfies WorkerMessage);
}

if (!isMainThread) {
  try {
    run(workerData as WorkerSettings);
  } catch (error) {
    const { name, message, code } = error as CaptureError;
    parentPort!.postMessage({ type: 'failed', name, message, code } satisfies WorkerMessage);
  }
}
