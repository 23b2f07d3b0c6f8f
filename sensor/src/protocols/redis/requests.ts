/** Reads commands as they come, in any pieces: arrays of bulk strings, or inline. Values are stepped over. */
import { RedisTag } from '@packetd/proto';
import type { Connection, Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import {
  type Command,
  commandNamed,
  Effect,
  isKnownCommand,
  MAX_COUNTED,
  withSubcommand,
} from './commands.js';
import { BAD, CR, LF, lineEnd, MAX_BULK_BYTES, MAX_ELEMENTS, NEED_MORE, readNumber, Type } from './wire.js';

/** Longest argument that is looked at: names, numbers of keys, databases. */
const MAX_WANTED_BYTES = 64;
/** Longest key that is recorded. */
const MAX_KEY_BYTES = 1024;
const MAX_KEYS = 64;
const MAX_INLINE_BYTES = 4096;
/** `*1`, `$1` and a letter, with their line ends. */
const SHORTEST_BYTES = 11;
const ZERO = 0x30;
/** Words of an inline command that are looked at. */
const INLINE_WORDS = 3;

export interface RequestSink {
  commandBegins(timeNs: number): void;
  /** It is over: `reader` says what it was. False ends the reading: something else follows. */
  commandEnds(reader: RequestReader, exchange: Exchange): boolean;
  /** The same of one whose arguments say nothing to anybody (`Command.isPlain`). */
  plainCommand(command: Command, exchange: Exchange): void;
}

export class RequestReader {
  command: Command | null = null;
  /** Arguments of the command, its name included. */
  count = 0;
  /** The command's keys, where an argument says how many. */
  keys = 0;
  /** Number in argument 1: the database of SELECT, the version of HELLO; -1 where there is none. */
  number = -1;
  /** The word that decides, of CLIENT REPLY and REPLCONF: its first two letters' codes, or 0. */
  mode = 0;
  /** The command whose arguments are still to come. */
  exchange: Exchange | null = null;
  /** Nothing but commands is believed: where they were found again may have been inside of a value. */
  strict: boolean;
  private index = 0;
  private skip = 0;
  private recordedKeys = 0;
  private stopped = false;

  constructor(
    private readonly connection: Connection,
    private readonly sink: RequestSink,
    private readonly recordKeys: boolean,
    private readonly inline: boolean,
  ) {
    this.strict = !inline;
  }

  get skipping(): number {
    return this.skip;
  }

  /** Passes over lost bytes of an argument, which may end with them: `input` says when. */
  pass(length: number, input: Input): void {
    this.skip -= length;
    this.exchange!.requestBytes += length;
    this.exchange!.missingBytes += length;
    if (this.skip === 0 && ++this.index === this.count) this.ends(input, input.end);
  }

  /** Forgets the command that is half read; answers its exchange, if it is one that can be told. */
  reset(): Exchange | null {
    const { exchange } = this;
    this.exchange = null;
    this.skip = 0;
    if (exchange === null) return null;
    if (this.command === null) {
      this.connection.pool.release(exchange);
      return null;
    }
    this.describe(exchange, this.command);
    return exchange;
  }

  /**
   * Reads from `at`; answers the position up to which it consumed, or ~position where the bytes are no command.
   * Stops early where the sink said so.
   */
  read(input: Input, at: number): number {
    const { end } = input;
    this.stopped = false;
    while (at < end && !this.stopped) {
      if (this.skip > 0) {
        const take = Math.min(this.skip, end - at);
        this.skip -= take;
        this.exchange!.requestBytes += take;
        at += take;
        if (this.skip > 0) return at;
        if (++this.index === this.count) this.ends(input, at);
        continue;
      }
      let next = at;
      if (this.exchange === null) {
        next = this.plain(input, at);
        if (next === at) next = this.begins(input, at);
      } else next = this.argument(input, at);
      if (next < 0 || next === at) return next;
      at = next;
    }
    return at;
  }

  /**
   * In one go what most commands are: whole, new, of few short arguments, none of which is wanted. Answers `at` where
   * it is something else, or not whole.
   */
  private plain(input: Input, at: number): number {
    const { bytes, end, timeNs, segment } = input;
    if (end - at < SHORTEST_BYTES || at < input.freshFrom || this.recordKeys) return at;
    const count = bytes[at + 1] - ZERO;
    if (bytes[at] !== Type.ARRAY || bytes[at + 2] !== CR || bytes[at + 3] !== LF) return at;
    if (count < 1 || count > 9) return at;
    let next = at + 4;
    let nameEnd = 0;
    for (let left = count; left > 0; left--) {
      if (next + 6 > end || bytes[next] !== Type.BULK_STRING) return at;
      let length = bytes[next + 1] - ZERO;
      if (length < 0 || length > 9) return at;
      next += 2;
      if (bytes[next] !== CR) {
        const digit = bytes[next++] - ZERO;
        if (digit < 0 || digit > 9) return at;
        length = length * 10 + digit;
      }
      if (bytes[next] !== CR || bytes[next + 1] !== LF) return at;
      next += 2 + length;
      if (next + 2 > end) return at;
      if (left === count) nameEnd = next;
      next += 2;
    }
    // Its length is one digit or two.
    const nameStart = bytes[at + 6] === CR ? at + 8 : at + 9;
    if (nameEnd - nameStart > MAX_WANTED_BYTES) return at;
    const command = commandNamed(bytes, nameStart, nameEnd);
    if (command === null || !command.isPlain) return at;
    this.sink.commandBegins(timeNs);
    const exchange = this.connection.pool.take();
    exchange.requestStartNs = timeNs;
    exchange.requestEndNs = timeNs;
    exchange.requestFirstSegment = segment;
    exchange.requestLastSegment = segment;
    exchange.requestBytes = next - at;
    exchange.envelope.constant(command.operation);
    exchange.detail.constant(command.detail(count));
    this.sink.plainCommand(command, exchange);
    return next;
  }

  /** `*count`, or an inline command. */
  private begins(input: Input, at: number): number {
    const { bytes, end } = input;
    if (bytes[at] !== Type.ARRAY) return this.inlineCommand(input, at);
    const count = readNumber(bytes, at + 1, end);
    if (count === NEED_MORE) return at;
    if (count === BAD || count > MAX_ELEMENTS || count < -1) return ~at;
    const next = lineEnd;
    // Redis passes over empty commands.
    if (count <= 0) return next;
    this.open(input, at, count);
    this.exchange!.requestBytes = next - at;
    return next;
  }

  private open(input: Input, at: number, count: number): void {
    const timeNs = input.timeAt(at);
    this.sink.commandBegins(timeNs);
    const exchange = this.connection.pool.take();
    exchange.requestStartNs = timeNs;
    exchange.requestFirstSegment = input.segmentAt(at);
    this.exchange = exchange;
    this.command = null;
    this.count = count;
    this.index = 0;
    this.keys = 0;
    this.number = -1;
    this.mode = 0;
    this.recordedKeys = 0;
  }

  /** `$length` and the argument, which is looked at or stepped over. */
  private argument(input: Input, at: number): number {
    const { bytes, end } = input;
    if (bytes[at] !== Type.BULK_STRING) return ~at;
    const length = readNumber(bytes, at + 1, end);
    if (length === NEED_MORE) return at;
    if (length < 0 || length > MAX_BULK_BYTES) return ~at;
    const start = lineEnd;
    const stop = start + length;
    const { index } = this;
    const exchange = this.exchange!;
    if (index === 0 ? true : length <= MAX_KEY_BYTES && this.wants(index, length)) {
      if (index === 0 && length > MAX_WANTED_BYTES) return ~at;
      if (stop + 2 > end) {
        input.need = stop + 2 - at;
        return at;
      }
      if (!this.look(index, bytes, start, stop)) return ~at;
    } else if (stop + 2 > end) {
      exchange.requestBytes += start - at;
      this.skip = length + 2;
      return start;
    }
    exchange.requestBytes += stop + 2 - at;
    if (++this.index === this.count) this.ends(input, stop + 2);
    return stop + 2;
  }

  private wants(index: number, length: number): boolean {
    const command = this.command!;
    if (length > MAX_WANTED_BYTES) return this.recordKeys && command.isKey(index, this.count);
    if (index === 1) {
      const { effect } = command;
      if (command.subcommands !== null || effect === Effect.SELECT || effect === Effect.REPLCONF) return true;
    } else if (index === 2 && command.effect === Effect.CLIENT) return true;
    return index === command.countAt || (this.recordKeys && command.isKey(index, this.count));
  }

  /** Takes what an argument says. False where it cannot be one of a command. */
  private look(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (index === 0) {
      this.command = commandNamed(bytes, start, end);
      return this.command !== null;
    }
    const command = this.command!;
    if (index === 1 && command.subcommands !== null) {
      this.command = withSubcommand(command, bytes, start, end);
      return true;
    }
    const decides = command.effect === Effect.CLIENT ? 2 : command.effect === Effect.REPLCONF ? 1 : 0;
    if (index === decides && end - start >= 2) {
      this.mode = ((bytes[start] & 0xdf) << 8) | (bytes[start + 1] & 0xdf);
    }
    if (index === 1 && command.firstKey !== 1) this.number = decimal(bytes, start, end);
    if (index === command.countAt) this.keys = Math.max(0, decimal(bytes, start, end));
    if (this.recordKeys && command.isKey(index, this.count) && this.recordedKeys < MAX_KEYS) {
      this.recordedKeys++;
      this.exchange!.detail.text(RedisTag.keys, bytes, start, end);
    }
    return true;
  }

  private ends(input: Input, at: number): void {
    const exchange = this.exchange!;
    this.exchange = null;
    exchange.requestEndNs = input.timeAt(at - 1);
    exchange.requestLastSegment = input.segmentAt(at - 1);
    this.describe(exchange, this.command!);
    if (!this.sink.commandEnds(this, exchange)) this.stopped = true;
  }

  private describe(exchange: Exchange, command: Command): void {
    const { count } = this;
    exchange.envelope.constant(command.operation);
    exchange.detail.constant(command.detail(count));
    if (command.countAt > 0) {
      const keys = Math.min(this.keys, count) + command.keys(count);
      exchange.detail.uintNonZero(RedisTag.keyCount, keys);
    } else if (count >= MAX_COUNTED) {
      exchange.detail.uintNonZero(RedisTag.keyCount, command.keys(count));
    }
    if (count >= MAX_COUNTED) exchange.detail.uint(RedisTag.argumentCount, count);
  }

  /** Words on a line. Only commands that are known: anything may look like a line of words. */
  private inlineCommand(input: Input, at: number): number {
    const { bytes, end } = input;
    if (this.strict) return ~at;
    if (bytes[at] === 0x0d || bytes[at] === LF) return at + 1;
    if (!this.inline) return ~at;
    const stop = bytes.indexOf(LF, at);
    if (stop < 0 || stop >= end) return end - at > MAX_INLINE_BYTES ? ~at : at;
    let lineStop = stop;
    if (bytes[stop - 1] === 0x0d) lineStop--;
    let nameEnd = at;
    while (nameEnd < lineStop && !isBlank(bytes[nameEnd])) nameEnd++;
    if (!isKnownCommand(bytes, at, nameEnd)) return ~at;
    this.open(input, at, countWords(bytes, at, lineStop));
    this.look(0, bytes, at, nameEnd);
    let from = nameEnd;
    for (let index = 1; index < Math.min(this.count, INLINE_WORDS); index++) {
      while (isBlank(bytes[from])) from++;
      let to = from;
      while (to < lineStop && !isBlank(bytes[to])) to++;
      if (to - from <= MAX_WANTED_BYTES && this.wants(index, to - from)) this.look(index, bytes, from, to);
      from = to;
    }
    this.exchange!.requestBytes = stop + 1 - at;
    this.ends(input, stop + 1);
    return stop + 1;
  }
}

function countWords(bytes: Uint8Array, start: number, end: number): number {
  let words = 0;
  for (let i = start; i < end; i++) {
    if (!isBlank(bytes[i]) && (i === start || isBlank(bytes[i - 1]))) words++;
  }
  return words;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

/** A small decimal number; -1 where it is none. */
function decimal(bytes: Uint8Array, start: number, end: number): number {
  if (end === start || end - start > 9) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i] - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
