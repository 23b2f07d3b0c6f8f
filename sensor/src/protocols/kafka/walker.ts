/** Walks a message's body by its program as the bytes come, and shows a visitor the fields that have a role. */
import type { Batches } from './batches.js';
import { NOTHING, Op, type Program, Role } from './schema.js';
import { int16, int32, VARINT_MORE, varint, varintEnd } from './wire.js';

/** Deepest nesting of arrays; the deepest known message has 5. */
const MAX_DEPTH = 12;
/** Longest string that is shown to the visitor; longer ones are passed over. */
export const MAX_STRING_BYTES = 4096;

export interface Visitor {
  number(role: Role, value: number): void;
  /** [start, end) of `bytes` is a string, borrowed; empty where it is null. */
  text(role: Role, bytes: Uint8Array, start: number, end: number): void;
  /** The 16 bytes at `at` are a UUID, borrowed. */
  uuid(role: Role, bytes: Uint8Array, at: number): void;
}

export const Walk = {
  /** More bytes are needed. */
  MORE: 0,
  /** The program is at its end. */
  DONE: 1,
  /** A length points out of the message. */
  MALFORMED: 2,
} as const;
export type Walk = (typeof Walk)[keyof typeof Walk];

export class Walker {
  /** Position behind what the last `run` took. */
  at = 0;
  private program: Program = NOTHING;
  private pc = 0;
  private depth = 0;
  private readonly counts = new Float64Array(MAX_DEPTH);
  private skip = 0;
  private tagsLeft = 0;
  /** Role of the field with tag 0 among them. */
  private tagRole: Role = Role.NONE;

  /** `visitor` may be called with what it has seen before: the walk never goes back. */
  constructor(
    private readonly visitor: Visitor,
    private readonly batches: Batches,
  ) {}

  begin(program: Program): void {
    this.program = program;
    this.pc = 0;
    this.depth = 0;
    this.skip = 0;
    this.tagsLeft = 0;
    this.batches.left = 0;
  }

  /** The rest of the message is not to be read. */
  abandon(): void {
    this.begin(NOTHING);
  }

  /** `length` bytes at the running position are not there; false where they were needed. */
  pass(length: number): boolean {
    if (this.batches.left > 0) return this.batches.pass(length);
    if (length > this.skip) return false;
    this.skip -= length;
    return true;
  }

  /** Goes on over [start, limit) of a message that ends at `messageEnd` (which may lie behind `limit`). */
  run(bytes: Uint8Array, start: number, limit: number, messageEnd: number): Walk {
    this.at = start;
    for (;;) {
      const resumed = this.resume(bytes, limit, messageEnd);
      if (resumed !== Walk.DONE) return resumed;
      const walk = this.steps(bytes, limit, messageEnd);
      if (walk !== PAUSE) return walk;
    }
  }

  /** Finishes what the step before has begun: bytes to pass over, records, tagged fields. */
  private resume(bytes: Uint8Array, limit: number, messageEnd: number): Walk {
    for (;;) {
      if (this.skip > 0) {
        const take = Math.min(this.skip, limit - this.at);
        this.skip -= take;
        this.at += take;
        if (this.skip > 0) return Walk.MORE;
      }
      if (this.batches.left > 0) {
        this.at = this.batches.run(bytes, this.at, limit);
        if (this.batches.left > 0) return Walk.MORE;
      }
      if (this.tagsLeft === 0) return Walk.DONE;
      // Tagged field: tag size bytes.
      const tag = varint(bytes, this.at, limit);
      const size = tag < 0 ? tag : varint(bytes, varintEnd, limit);
      if (size === VARINT_MORE) return limit === messageEnd ? Walk.MALFORMED : Walk.MORE;
      if (size < 0 || size > messageEnd - varintEnd) return Walk.MALFORMED;
      if (tag === 0 && this.tagRole !== Role.NONE && size === 2) {
        if (varintEnd + size > limit) return Walk.MORE;
        this.visitor.number(this.tagRole, int16(bytes, varintEnd));
      }
      this.tagsLeft--;
      this.at = varintEnd;
      this.skip = size;
    }
  }

  /** Runs the program until there is something to resume (PAUSE), or it cannot go on. */
  private steps(bytes: Uint8Array, limit: number, messageEnd: number): Walk | typeof PAUSE {
    const { program, visitor, counts } = this;
    let { at, pc } = this;
    let walk: Walk | typeof PAUSE = PAUSE;
    steps: for (;;) {
      const op = program[pc];
      const argument = program[pc + 1];
      let next = at;
      switch (op) {
        case Op.END:
          walk = Walk.DONE;
          break steps;
        case Op.SKIP:
          next = at + argument;
          if (next > limit) {
            if (next > messageEnd) {
              walk = Walk.MALFORMED;
              break steps;
            }
            this.skip = argument;
            pc += 2;
            break steps;
          }
          break;
        case Op.INT8:
          next = at + 1;
          if (next > limit) break;
          visitor.number(argument as Role, (bytes[at] << 24) >> 24);
          break;
        case Op.INT16:
          next = at + 2;
          if (next > limit) break;
          visitor.number(argument as Role, int16(bytes, at));
          break;
        case Op.INT32:
          next = at + 4;
          if (next > limit) break;
          visitor.number(argument as Role, int32(bytes, at));
          break;
        case Op.UUID:
          next = at + 16;
          if (next > limit) break;
          visitor.uuid(argument as Role, bytes, at);
          break;
        case Op.STRING:
        case Op.COMPACT_STRING:
        case Op.BYTES:
        case Op.COMPACT_BYTES:
        case Op.RECORDS:
        case Op.COMPACT_RECORDS: {
          const length = this.length(bytes, at, limit, messageEnd, LENGTH_BYTES[op]);
          if (length <= NEED || length > messageEnd - lengthEnd) {
            walk = length === NEED ? Walk.MORE : Walk.MALFORMED;
            break steps;
          }
          const size = Math.max(length, 0);
          next = lengthEnd;
          if (op > Op.COMPACT_STRING || argument === Role.NONE || size > MAX_STRING_BYTES) {
            if (op >= Op.RECORDS ? size > 0 : size > limit - next) {
              if (op >= Op.RECORDS) this.batches.begin(size);
              else this.skip = size;
              at = next;
              pc += 2;
              break steps;
            }
            next += size;
          } else {
            next += size;
            if (next > limit) break;
            visitor.text(argument as Role, bytes, lengthEnd, next);
          }
          break;
        }
        case Op.ARRAY:
        case Op.COMPACT_ARRAY: {
          const count = this.length(bytes, at, limit, messageEnd, op === Op.ARRAY ? 4 : 0);
          // Every element has at least one byte.
          if (count <= NEED || count > messageEnd - lengthEnd || this.depth === MAX_DEPTH) {
            walk = count === NEED ? Walk.MORE : Walk.MALFORMED;
            break steps;
          }
          at = lengthEnd;
          if (count <= 0) {
            pc = argument;
            continue;
          }
          counts[this.depth++] = count;
          pc += 2;
          continue;
        }
        case Op.NEXT:
          if (--counts[this.depth - 1] > 0) {
            pc = argument;
            continue;
          }
          this.depth--;
          break;
        case Op.TAGS: {
          const count = at < limit && bytes[at] === 0 ? 0 : varint(bytes, at, limit);
          next = count === 0 ? at + 1 : varintEnd;
          if (count < 0 || count > messageEnd - next) {
            walk = count === VARINT_MORE && limit < messageEnd ? Walk.MORE : Walk.MALFORMED;
            break steps;
          }
          if (count > 0) {
            this.tagsLeft = count;
            this.tagRole = argument as Role;
            at = next;
            pc += 2;
            break steps;
          }
          break;
        }
        case Op.OPTIONAL:
          next = at + 1;
          if (next > limit) break;
          if (bytes[at] > 0x7f) {
            at = next;
            pc = argument;
            continue;
          }
          break;
      }
      if (next > limit) {
        walk = next > messageEnd ? Walk.MALFORMED : Walk.MORE;
        break;
      }
      at = next;
      pc += 2;
    }
    this.at = at;
    this.pc = pc;
    return walk;
  }

  /** Length of `wide` bytes (0: compact); -1 is null. NEED or INVALID where there is none; sets `lengthEnd`. */
  private length(bytes: Uint8Array, at: number, limit: number, messageEnd: number, wide: number): number {
    if (wide === 0) {
      if (at < limit && bytes[at] < 0x80) {
        lengthEnd = at + 1;
        return bytes[at] - 1;
      }
      const value = varint(bytes, at, limit);
      if (value >= 0) {
        lengthEnd = varintEnd;
        return value - 1;
      }
      return value === VARINT_MORE && limit < messageEnd ? NEED : INVALID;
    }
    if (limit - at < wide) return limit < messageEnd ? NEED : INVALID;
    lengthEnd = at + wide;
    const value = wide === 2 ? int16(bytes, at) : int32(bytes, at);
    return value < -1 ? INVALID : value;
  }
}

/** A step is to be finished by `resume`. */
const PAUSE = 3;
/** Width of the length of each operation that has one, 0 where it is a varint. */
const LENGTH_BYTES = new Uint8Array(Op.COMPACT_RECORDS + 1);
LENGTH_BYTES[Op.STRING] = 2;
LENGTH_BYTES[Op.BYTES] = 4;
LENGTH_BYTES[Op.RECORDS] = 4;
const NEED = -2;
const INVALID = -3;
/** Position behind the length that was read last. */
let lengthEnd = 0;
