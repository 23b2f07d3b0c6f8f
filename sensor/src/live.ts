/** A live capture: one or more capture threads, their batches given to an output of the main thread. */
import { Worker } from 'node:worker_threads';
import { compileRules } from './capture/bpf.js';
import { CaptureError, type CaptureErrorCode } from './capture/engine.js';
import { type InterfaceInfo, listInterfaces, selectInterfaces } from './capture/interfaces.js';
import { Ledger } from './ledger.js';
import { OwnPorts } from './own.js';
import type { DecoderOptions } from './protocols/decoder.js';
import type { BatchOutput } from './protocols/records.js';
import { PROTOCOL_NAMES } from './protocols/registry.js';
import type { Rule } from './rules.js';
import { Control, CONTROL_BYTES, type WorkerMessage, type WorkerSettings } from './worker.js';

export interface LiveOptions {
  /** 'any', a name, a comma list or a regular expression. */
  readonly interfaces: string;
  readonly engine: 'afpacket' | 'cap';
  readonly promiscuous: boolean;
  /** Threads; they share the traffic by flow. */
  readonly workers: number;
  readonly rules: readonly Rule[] | null;
  /** 4, 6, or 0 for both. */
  readonly ipVersion: number;
  readonly decoder: Partial<DecoderOptions>;
  /** Leave out the connections of this process. */
  readonly skipOwn: boolean;
}

interface Thread {
  readonly worker: Worker;
  readonly ledger: Ledger;
  readonly control: Int32Array;
  readonly stopped: Promise<void>;
}

export class LiveCapture {
  /** What is watched. */
  readonly interfaces: InterfaceInfo[];
  /** Never resolves; rejects when a thread dies. */
  readonly failed: Promise<never>;
  readonly ownPorts = new OwnPorts();
  private readonly threads: Thread[] = [];
  private unwatch: (() => void) | null = null;
  private reject: (error: Error) => void = () => {};

  /** Throws CaptureError where the interfaces do not exist. */
  constructor(
    private readonly options: LiveOptions,
    private readonly output: BatchOutput,
    private readonly warn: (message: string) => void,
  ) {
    this.interfaces = selectInterfaces(options.interfaces);
    this.failed = new Promise((_, reject) => {
      this.reject = reject;
    });
    // Whoever does not wait for it is not to be ended by it.
    this.failed.catch(() => {});
  }

  /** Resolves when every thread captures. Rejects with CaptureError. */
  async start(): Promise<void> {
    if (this.options.skipOwn) this.unwatch = this.ownPorts.watchProcess();
    const loopbackIndex = listInterfaces().find((i) => i.loopback)?.index;
    const any = this.options.interfaces === 'any';
    const indices = this.interfaces.map((i) => i.index);
    const filter = compileRules(this.options.rules === null ? null : this.options.rules.map((r) => ({ ...r, ports: [...r.ports] })), {
      ipVersion: this.options.ipVersion === 4 ? 4 : this.options.ipVersion === 6 ? 6 : undefined,
      keepTunnels: true,
      loopbackIndex,
      interfaces: any ? undefined : indices,
    });
    const group = (process.pid & 0xffff) ^ (Date.now() & 0xffff);
    const settings = {
      engine: this.options.engine,
      interfaces: any ? ('any' as const) : this.interfaces.map(({ name, index }) => ({ name, index })),
      promiscuous: this.options.promiscuous,
      filter,
      fanout: this.options.workers > 1 ? { group, size: this.options.workers } : undefined,
      loopbackIndex,
      rules: this.options.rules,
      ipVersion: this.options.ipVersion,
      decoder: this.options.decoder,
      ownPorts: this.options.skipOwn ? this.ownPorts.memory : null,
    };
    await Promise.all(Array.from({ length: this.options.workers }, () => this.startThread(settings)));
  }

  /** The ledgers of all threads, added up. */
  ledger(): Ledger {
    const sum = new Ledger(PROTOCOL_NAMES);
    for (const { ledger } of this.threads) {
      for (let i = 0; i < sum.values.length; i++) sum.values[i] += ledger.values[i];
    }
    return sum;
  }

  /** Ends the capture: what is open becomes records, then the ledger is final. */
  async stop(): Promise<Ledger> {
    for (const { control } of this.threads) Atomics.store(control, Control.STOP, 1);
    await Promise.all(this.threads.map((thread) => thread.stopped));
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()));
    this.unwatch?.();
    return this.ledger();
  }

  private startThread(common: Omit<WorkerSettings, 'control' | 'ledger'>): Promise<void> {
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    const memory = new SharedArrayBuffer(Ledger.size(PROTOCOL_NAMES.length) * 8);
    const settings: WorkerSettings = { ...common, control, ledger: memory };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: settings });
    const words = new Int32Array(control);
    let stopped: () => void = () => {};
    this.threads.push({
      worker,
      ledger: new Ledger(PROTOCOL_NAMES, new Float64Array(memory)),
      control: words,
      stopped: new Promise((resolve) => {
        stopped = resolve;
      }),
    });
    return new Promise((resolve, reject) => {
      const end = (error: Error) => {
        reject(error);
        this.reject(error);
        stopped();
      };
      worker.on('error', end);
      worker.on('message', (message: WorkerMessage) => {
        switch (message.type) {
          case 'started':
            resolve();
            return;
          case 'batch':
            Atomics.sub(words, Control.WAITING_BATCHES, 1);
            this.output.batch(message.bytes, message.bytes.length, message.records);
            return;
          case 'failed':
            end(message.name === 'CaptureError' ? new CaptureError(codeOf(message.message), message.message) : new Error(message.message));
            return;
          case 'stopped':
            stopped();
        }
      });
      worker.on('exit', (code) => {
        if (code !== 0) this.warn(`a capture thread ended with code ${code}`);
        stopped();
      });
    });
  }
}

/** The code does not cross the thread boundary with the message; only its class matters above. */
function codeOf(message: string): CaptureErrorCode {
  return message.includes('CAP_NET_RAW') ? 'NO_PERMISSION' : 'SYSTEM';
}
