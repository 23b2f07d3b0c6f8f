/**
 * The dynamic table as it was before bytes were lost. A peer whose fields have all been added refers to them for as
 * long as the connection lasts, so that without it nothing would ever be known again.
 *
 * It is believed to be as it was when the blocks since then refer by it to the same names, in the same order, as those
 * before, and blocks of two kinds, or one that refers to many names, have done so. Some of these names must be of one
 * entry only: else an entry that was added in the hole could be taken for another. It is not believed where an entry
 * was ever evicted, nor where so much was lost that all could have been evicted and added again.
 */
import type { FieldName } from '../http-names.js';
import type { Entry } from './hpack.js';

/** Kinds of blocks that are remembered. */
const MAX_SHAPES = 4;
/** References of a block that are looked at. */
export const MAX_REFERENCES = 32;
/** A block of so many is looked at, where they are like those before; a prime, for kinds take turns. */
const MAX_PAUSE = 61;
/** Names that are enough in blocks of one kind, and of them, names of one entry only; the same for several kinds. */
const NAMES_OF_ONE = 4;
const SINGLE_OF_ONE = 2;
const NAMES_OF_MORE = 2;
const SINGLE_OF_MORE = 1;

/** What the last block referred to in the dynamic table, in its order: shared, and valid for that block. */
export class References {
  length = 0;
  /** Those to entries that are not known. */
  lost = 0;
  /** null for one that is not known. */
  readonly names: (FieldName | null)[] = new Array(MAX_REFERENCES).fill(null);
  /** Of one that is not known: its position in the lost table, or -1. */
  readonly positions = new Int32Array(MAX_REFERENCES);

  clear(): void {
    this.length = 0;
    this.lost = 0;
  }

  add(name: FieldName | null, position: number): void {
    if (name === null) this.lost++;
    if (this.length < MAX_REFERENCES) {
      this.names[this.length] = name;
      this.positions[this.length] = position;
    }
    this.length++;
  }
}

const NO_ENTRIES: readonly Entry[] = [];

/** The names that blocks of one direction refer to. */
export class Shapes {
  private readonly kept: FieldName[][] = [];
  private oldest = 0;
  private pause = 0;
  private wait = 0;

  /** Is the next block to be looked at? The more were like those before, the fewer are. */
  isDue(): boolean {
    return this.wait === 0 || --this.wait === 0;
  }

  learn(references: References): void {
    const { length, names } = references;
    if (length === 0) return;
    if (this.like(references, NO_ENTRIES) !== 0) {
      this.pause = Math.min(this.pause * 2 + 1, MAX_PAUSE);
      this.wait = this.pause;
      return;
    }
    this.pause = 0;
    let shape = this.kept[this.oldest];
    if (this.kept.length < MAX_SHAPES) {
      shape = [];
      this.kept.push(shape);
    } else this.oldest = (this.oldest + 1) % MAX_SHAPES;
    shape.length = length;
    for (let i = 0; i < length; i++) shape[i] = names[i]!;
  }

  /** Bits of the shapes that the references have. */
  like(references: References, lost: readonly Entry[]): number {
    let bits = 0;
    for (let s = 0; s < this.kept.length; s++) if (isLike(this.kept[s], references, lost)) bits |= 1 << s;
    return bits;
  }

  /** The names of the shapes whose bits are set. */
  namesOf(bits: number): Set<FieldName> {
    return new Set(this.kept.filter((_, s) => (bits & (1 << s)) !== 0).flat());
  }
}

function isLike(shape: readonly FieldName[], references: References, lost: readonly Entry[]): boolean {
  if (shape.length !== references.length) return false;
  for (let i = 0; i < shape.length; i++) {
    const name = references.names[i] ?? lost[references.positions[i]]?.name;
    if (name !== shape[i]) return false;
  }
  return true;
}

export const Belief = { OPEN: 0, HOLDS: 1, FAILS: 2 } as const;
export type Belief = (typeof Belief)[keyof typeof Belief];

export class LostTable {
  private seen = 0;

  constructor(
    /** The newest first. */
    readonly entries: readonly Entry[],
    private readonly shapes: Shapes,
    /** Bytes that may be lost yet. */
    private room: number,
  ) {}

  /** More is lost. False where it is too much. */
  lose(bytes: number): boolean {
    this.seen = 0;
    this.room -= bytes;
    return this.room >= 0;
  }

  /** The same, with what was added since behind it. */
  withNewer(newer: readonly Entry[]): LostTable {
    return newer.length === 0 ? this : new LostTable([...newer, ...this.entries], this.shapes, this.room);
  }

  /** What a block tells about it. */
  consider(references: References): Belief {
    if (references.lost === 0) return Belief.OPEN;
    const like = references.length > MAX_REFERENCES ? 0 : this.shapes.like(references, this.entries);
    if (like === 0) return Belief.FAILS;
    this.seen |= like;
    const names = this.shapes.namesOf(this.seen);
    let single = 0;
    for (const name of names) if (this.entries.filter((entry) => entry.name === name).length === 1) single++;
    const isOne = (this.seen & (this.seen - 1)) === 0;
    return names.size >= (isOne ? NAMES_OF_ONE : NAMES_OF_MORE) &&
      single >= (isOne ? SINGLE_OF_ONE : SINGLE_OF_MORE)
      ? Belief.HOLDS
      : Belief.OPEN;
  }
}
