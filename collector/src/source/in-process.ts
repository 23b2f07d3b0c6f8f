/** Batches of a sensor in this process: a bounded queue for each output, so that none waits for another. */

import { health } from '../health.js';
import { Batch, type Output } from '../output.js';

/** Batches that are written at once, where the output does not ask for another number. */
const WINDOW = 8;

export class InProcessSource {
  private readonly lanes: Lane[];

  /** Each output may fall behind by `maxBytes`; then its oldest batches go, counted. */
  constructor(outputs: readonly Output[], maxBytes: number) {
    this.lanes = outputs.map((output) => new Lane(output, maxBytes));
  }

  /** Never waits. `bytes` belongs to the source from here on. */
  batch(bytes: Uint8Array, records: number): void {
    const batch = new Batch(bytes);
    for (const lane of this.lanes) lane.add(batch, records);
  }

  /**
   * Resolves when everything is accepted, or `deadlineMs` are over; answers how many roundtrips no output has
   * begun to write by then, which are given up.
   */
  async drain(deadlineMs: number): Promise<number> {
    const until = Date.now() + deadlineMs;
    for (const lane of this.lanes) lane.flush();
    while (this.lanes.some((lane) => lane.busy) && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.lanes.reduce((sum, lane) => sum + lane.giveUp(), 0);
  }
}

class Lane {
  private readonly queue: { batch: Batch; records: number }[] = [];
  private bytes = 0;
  private open = 0;

  constructor(
    private readonly output: Output,
    private readonly maxBytes: number,
  ) {}

  get busy(): boolean {
    return this.open > 0 || this.queue.length > 0;
  }

  add(batch: Batch, records: number): void {
    this.queue.push({ batch, records });
    this.bytes += batch.bytes.length;
    while (this.bytes > this.maxBytes && this.queue.length > 1) {
      const oldest = this.queue.shift()!;
      this.bytes -= oldest.batch.bytes.length;
      this.dropped(oldest.records);
    }
    this.pump();
  }

  flush(): void {
    this.output.flush?.();
  }

  /** Drops what waits; answers its roundtrips. */
  giveUp(): number {
    let records = 0;
    for (const waiting of this.queue.splice(0)) records += this.dropped(waiting.records);
    this.bytes = 0;
    return records;
  }

  private dropped(records: number): number {
    health.batches.inc({ output: this.output.name, result: 'dropped' });
    health.records.inc({ output: this.output.name, result: 'dropped' }, records);
    return records;
  }

  private pump(): void {
    const { window = WINDOW } = this.output;
    while (this.open < window && this.queue.length > 0) {
      const { batch, records } = this.queue.shift()!;
      this.bytes -= batch.bytes.length;
      this.open++;
      this.output
        .write(batch)
        .catch(() => this.dropped(records))
        .finally(() => {
          this.open--;
          this.pump();
        });
    }
    health.queueBytes.set({ output: this.output.name }, this.bytes);
  }
}
