/** A live capture: one or more capture threads, their batches given to an output of the main thread. */
import { Worker } from 'node:worker_threads';
import { type BpfInstruction, compileRules, dropAll } from './capture/bpf.js';
import { CaptureError, type Engine } from './capture/engine.js';
import {
  type InterfaceInfo,
  indicesOf,
  listInterfaces,
  matcherOf,
  selectInterfaces,
} from './capture/interfaces.js';
import type { TcpOptions } from './flow/tcp.js';
import { Count, Ledger } from './ledger.js';
import { OwnConnections } from './own.js';
import { Pipeline, type PipelineOptions } from './pipeline.js';
import type { DecoderOptions } from './protocols/decoder.js';
import type { BatchOutput } from './protocols/records.js';
import { PROTOCOL_NAMES } from './protocols/registry.js';
import type { Rule } from './rules.js';
import {
  CONTROL_BYTES,
  Control,
  type InterfacesChanged,
  type WorkerMessage,
  type WorkerSettings,
} from './worker.js';

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
  readonly tcp?: Partial<TcpOptions>;
  /** Count connections, packets and bytes per server endpoint. */
  readonly layer4?: boolean;
  /** Leave out the connections of this process. */
  readonly skipOwn: boolean;
  /** Size of each thread's capture ring. */
  readonly ringMebibytes?: number;
}

interface Thread {
  readonly worker: Worker;
  readonly ledger: Ledger;
  readonly control: Int32Array;
  readonly stopped: Promise<void>;
}

interface InThisThread {
  readonly engine: Engine;
  readonly pipeline: Pipeline;
  readonly ledger: Ledger;
  readonly timer: NodeJS.Timeout;
}

/** How often the queue of the engine cap is emptied. */
const CAP_POLL_MS = 5;
/** How often it is looked for interfaces that came or went. */
const INTERFACES_MS = 1000;

export class LiveCapture {
  /** What is watched. */
  readonly interfaces: InterfaceInfo[];
  /** Never resolves; rejects when a thread dies. */
  readonly failed: Promise<never>;
  readonly own = new OwnConnections();
  private readonly threads: Thread[] = [];
  private inThisThread: InThisThread | null = null;
  private unwatch: (() => void) | null = null;
  /** ifindex of what is watched now, by name. */
  private indices: Map<string, number>;
  private interfacesTimer: NodeJS.Timeout | null = null;
  /** Batches that the output is not ready for. */
  private readonly waiting: { message: WorkerMessage & { type: 'batch' }; words: Int32Array }[] = [];
  private delivering: Promise<void> | null = null;
  private stopping = false;
  private reject: (error: Error) => void = () => {};

  /** Throws CaptureError where the interfaces do not exist. */
  constructor(
    private readonly options: LiveOptions,
    private readonly output: BatchOutput,
    private readonly warn: (message: string) => void,
  ) {
    this.interfaces = selectInterfaces(options.interfaces);
    this.indices = new Map(this.interfaces.map(({ name, index }) => [name, index]));
    this.failed = new Promise((_, reject) => {
      this.reject = reject;
    });
    // Whoever does not wait for it is not to be ended by it.
    this.failed.catch(() => {});
  }

  /** Resolves when every thread captures. Rejects with CaptureError. */
  async start(): Promise<void> {
    if (this.options.skipOwn) this.unwatch = this.own.watchProcess();
    const any = this.options.interfaces === 'any';
    if (this.options.engine === 'cap') {
      await this.startInThisThread();
      return;
    }
    const loopbackIndex = listInterfaces().find((i) => i.loopback)?.index;
    const filterOf = (interfaces: number[] | undefined): BpfInstruction[] =>
      compileRules(this.options.rules, { ...this.ruleOptions(), loopbackIndex, interfaces });
    const indices = [...this.indices.values()];
    const group = (process.pid & 0xffff) ^ (Date.now() & 0xffff);
    const settings = {
      interfaces: any ? ('any' as const) : indices,
      ringMebibytes: this.options.ringMebibytes,
      promiscuous: this.options.promiscuous,
      filter: filterOf(any ? undefined : indices),
      fanout: this.options.workers > 1 ? { group, size: this.options.workers } : undefined,
      loopbackIndex,
      rules: this.options.rules,
      ipVersion: this.options.ipVersion,
      decoder: { ...this.options.decoder, own: !this.options.skipOwn },
      tcp: this.options.tcp ?? {},
      layer4: this.options.layer4 ?? false,
      own: this.options.skipOwn ? this.own.memory : null,
    };
    const threads = Array.from({ length: this.options.workers }, (_, worker) => {
      return this.startThread({ ...settings, worker });
    });
    await Promise.all(threads);
    if (any) return;
    const matches = matcherOf(this.options.interfaces, this.interfaces);
    this.interfacesTimer = setInterval(() => this.followInterfaces(matches, filterOf), INTERFACES_MS).unref();
  }

  /** An interface that is made anew has another number: the capture follows the names. */
  private followInterfaces(
    matches: (name: string) => boolean,
    filterOf: (interfaces: number[]) => BpfInstruction[],
  ): void {
    const now = indicesOf(matches);
    if (now === null) return;
    const before = this.indices;
    const gone = [...before.keys()].filter((name) => !now.has(name));
    const come = [...now].filter(([name, index]) => before.get(name) !== index).map(([name]) => name);
    if (gone.length + come.length === 0) return;
    this.indices = now;
    const interfaces = [...now.values()];
    const changed: InterfacesChanged = {
      interfaces,
      filter: interfaces.length === 0 ? dropAll() : filterOf(interfaces),
    };
    for (const { worker, control } of this.threads) {
      worker.postMessage(changed);
      Atomics.store(control, Control.INTERFACES_CHANGED, 1);
    }
    if (gone.length > 0) this.warn(`${gone.join(', ')} is gone; it is watched again when it comes back`);
    if (come.length > 0) this.warn(`watching ${come.join(', ')} from now on`);
  }

  /** The package cap calls back on the main thread only, so its pipeline runs there too. */
  private async startInThisThread(): Promise<void> {
    const { interfaces, workers, promiscuous, rules, ringMebibytes } = this.options;
    if (workers > 1)
      throw new CaptureError(
        'NOT_SUPPORTED',
        `the engine cap has one thread, not ${workers}; leave workers at 1`,
      );
    if (!promiscuous)
      throw new CaptureError('NOT_SUPPORTED', 'the engine cap is always promiscuous; leave no-promisc out');
    const { openCap, rulesExpression } = await import('./capture/cap.js');
    // Of Linux only: a device of libpcap that is all of them.
    const any = interfaces === 'any' && process.platform === 'linux';
    const engine = await openCap({
      devices: any ? ['any'] : this.interfaces.map(({ name }) => name),
      filter: rulesExpression(rules, this.ruleOptions()),
      filterWithoutVlan: rulesExpression(rules, this.ruleOptions(), false),
      kernelBufferBytes: ringMebibytes === undefined ? undefined : ringMebibytes * 2 ** 20,
    });
    const ledger = new Ledger(PROTOCOL_NAMES);
    const pipeline = new Pipeline(engine.clock, this.output, this.pipelineOptions(), ledger);
    const timer = setInterval(() => {
      // The engine's queue is bounded and counts what it drops.
      if ((this.output.ready?.() ?? null) !== null) return;
      engine.poll(pipeline, 0);
      ledger.values[Count.kernelDropped] = engine.counters.kernelDropped;
    }, CAP_POLL_MS);
    this.inThisThread = { engine, pipeline, ledger, timer };
  }

  /** The ledgers of all threads, added up. */
  ledger(): Ledger {
    const sum = new Ledger(PROTOCOL_NAMES);
    for (const { ledger } of this.inThisThread === null ? this.threads : [this.inThisThread]) {
      for (let i = 0; i < sum.values.length; i++) sum.values[i] += ledger.values[i];
    }
    return sum;
  }

  /** Ends the capture: what is open becomes records, then the ledger is final. */
  async stop(): Promise<Ledger> {
    this.stopping = true;
    if (this.interfacesTimer !== null) clearInterval(this.interfacesTimer);
    for (const { control } of this.threads) Atomics.store(control, Control.STOP, 1);
    await Promise.all(this.threads.map((thread) => thread.stopped));
    while (this.delivering !== null) await this.delivering;
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()));
    if (this.inThisThread !== null) {
      const { engine, pipeline, timer } = this.inThisThread;
      clearInterval(timer);
      engine.poll(pipeline, 0);
      pipeline.finish();
      engine.close();
    }
    this.unwatch?.();
    return this.ledger();
  }

  private ruleOptions(): { ipVersion?: 4 | 6; keepTunnels: boolean } {
    const { ipVersion } = this.options;
    return { ipVersion: ipVersion === 4 || ipVersion === 6 ? ipVersion : undefined, keepTunnels: true };
  }

  private pipelineOptions(): Partial<PipelineOptions> {
    const { rules, ipVersion, decoder, tcp, skipOwn, layer4 = false } = this.options;
    return {
      rules,
      ipVersion,
      decoder: { ...decoder, own: !skipOwn },
      tcp: tcp ?? {},
      layer4,
      isOwn: skipOwn ? (flow) => this.own.has(flow) : () => false,
    };
  }

  /** Hands on what waits. As long as the output is not ready the threads are not told that it is gone. */
  private deliver(): void {
    this.delivering = null;
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      const ready = this.output.ready?.() ?? null;
      if (ready !== null) {
        this.delivering = ready.then(() => this.deliver()).catch((error) => this.reject(error));
        return;
      }
      this.waiting.shift();
      const { message, words } = next;
      Atomics.sub(words, Control.WAITING_BATCHES, 1);
      this.output.batch(message.bytes, message.bytes.length, message.records);
    }
  }

  private startThread(common: Omit<WorkerSettings, 'control' | 'ledger'>): Promise<void> {
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    const memory = new SharedArrayBuffer(Ledger.size(PROTOCOL_NAMES.length) * 8);
    const settings: WorkerSettings = { ...common, control, ledger: memory };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: settings,
      // Space for garbage of which there is little: without a limit it grows to 32 MiB in each thread.
      resourceLimits: { maxYoungGenerationSizeMb: 6 },
    });
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
            this.waiting.push({ message, words });
            if (this.delivering === null) this.deliver();
            return;
          case 'failed':
            end(
              message.name === 'CaptureError'
                ? new CaptureError(message.code, message.message)
                : new Error(message.message),
            );
            return;
          case 'stopped':
            stopped();
        }
      });
      worker.on('exit', (code) => {
        if (code !== 0 && !this.stopping) this.warn(`a capture thread ended with code ${code}`);
        stopped();
      });
    });
  }
}
