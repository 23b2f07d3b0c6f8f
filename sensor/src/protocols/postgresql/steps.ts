/** What the server still owes: one step for each message of the client that is answered, in order. */
import type { Exchange } from '../exchange.js';
import type { Prepared } from './statements.js';

export const StepKind = {
  /** Start-up and authentication, up to ReadyForQuery. */
  CONNECT: 0,
  /** Simple query, up to ReadyForQuery. */
  QUERY: 1,
  FUNCTION_CALL: 2,
  PARSE: 3,
  BIND: 4,
  DESCRIBE: 5,
  EXECUTE: 6,
  CLOSE: 7,
  SYNC: 8,
} as const;
export type StepKind = (typeof StepKind)[keyof typeof StepKind];

export class Step {
  kind: StepKind = StepKind.SYNC;
  exchange: Exchange | null = null;
  /** Of PARSE. */
  prepared: Prepared | null = null;
  /** Of SYNC: the client had ended a COPY that the server had not asked for yet. */
  followsCopy = false;
  startNs = 0;
  endNs = 0;
  bytes = 0;
}

const FIRST_SIZE = 16;

/** A ring of steps that are used again. */
export class Steps {
  private ring: Step[] = Array.from({ length: FIRST_SIZE }, () => new Step());
  private first = 0;
  length = 0;
  /** Steps among them that end with a ReadyForQuery. */
  owedReady = 0;

  get head(): Step | null {
    return this.length === 0 ? null : this.ring[this.first];
  }

  /** The step at `index` from the head. */
  at(index: number): Step {
    return this.ring[(this.first + index) % this.ring.length];
  }

  push(kind: StepKind, exchange: Exchange | null): Step {
    if (this.length === this.ring.length) this.grow();
    const step = this.ring[(this.first + this.length++) % this.ring.length];
    step.kind = kind;
    step.exchange = exchange;
    step.prepared = null;
    step.followsCopy = false;
    if (endsWithReady(kind)) this.owedReady++;
    return step;
  }

  /** Takes the head; it is valid until the next `push`. */
  shift(): Step {
    const step = this.ring[this.first];
    this.first = (this.first + 1) % this.ring.length;
    this.length--;
    if (endsWithReady(step.kind)) this.owedReady--;
    return step;
  }

  /** Takes out the Syncs behind the head that the server ignores, for it takes COPY data. */
  dropIgnoredSyncs(): void {
    while (this.length > 1 && this.at(1).kind === StepKind.SYNC && !this.at(1).followsCopy) {
      const second = (this.first + 1) % this.ring.length;
      const head = this.ring[this.first];
      this.ring[this.first] = this.ring[second];
      this.ring[second] = head;
      this.first = second;
      this.length--;
      this.owedReady--;
    }
  }

  private grow(): void {
    const ordered = Array.from({ length: this.length }, (_, i) => this.at(i));
    this.ring = [...ordered, ...Array.from({ length: this.length }, () => new Step())];
    this.first = 0;
  }
}

/** What ends with a ReadyForQuery of its own. */
export function endsWithReady(kind: StepKind): boolean {
  return kind <= StepKind.FUNCTION_CALL || kind === StepKind.SYNC;
}
