/**
 * Pairs replies with commands: strictly in order, for RESP has no ids.
 *
 * After a gap nobody knows how many commands or replies were in it, and whoever joins in the middle does not
 * know how many commands wait for their replies. Pairing is held off then: commands and replies queue up
 * until everything that was sent is known to be answered, and are matched from the end. It is known
 * - after a pause,
 * - when the client leaves after the server spoke, or
 * - when the client begins to send after the server did (a turn), and as few commands are unanswered as at any
 *   turn since the gap, if some of these turns will have begun with none. Of a client that had never sent before
 *   it had all its replies, a few turns that agree say so; of one that had, as many as it takes by the share
 *   of turns that began with none. Of one that nobody saw before, turns that agree may be those of a client that
 *   always has more in flight: they count where it sent now one, now more commands at once, or paused, or
 *   where its replies do not fit the commands before their own.
 * What cannot be matched, or would get a reply that its command never gives, is INCOMPLETE.
 */
import { type Constant, encodeString, RedisTag, StatusValue } from '@packetd/proto';
import type { Connection, DecoderOptions } from '../decoder.js';
import { type Exchange, ExchangeQueue } from '../exchange.js';
import { Effect, ReplyKind } from './commands.js';

/** A pause after which everything is taken to have been answered. */
const QUIET_NS = 1e9;
/** Commands and replies kept while pairing is held off. */
const MAX_UNCERTAIN = 4096;
/** Turns that agree, those before the gap among them, after which a client is taken for one that waits. */
const SURE_TURNS = 17;
/** So many of them have to come after the gap. */
const CONFIRMING_TURNS = 4;
/** The same where nothing but their number says so. */
const MANY_TURNS = 256;
/** A pause is longer than the server ever took, by this factor, and so many of them are no accident. */
const PAUSE_FACTOR = 4;
const SURE_PAUSES = 3;
/** Commands that a client may always have in flight besides, and replies that are looked at to find out. */
const MAX_SHIFT = 8;
const MAX_SHIFTED = 64;
/** Turns that the share of those with everything answered is taken over, and how many tell it. */
const SHARE_TURNS = 64;
const TOLD_TURNS = 32;
/** So many turns with everything answered are expected before it is believed that there was one. */
const EXPECTED_IDLE = 20;
/** Where they are rarer than this, turns tell nothing. */
const LEAST_SHARE = 1 / 16;
/** In `Exchange.tag`: the `ReplyKind`s that a command can give, or the one that a reply is. */
export const KIND = 0x10000;
const KINDS_MASK = 0xff;
/** In a command's tag: its `Effect`. */
export const EFFECT_BITS = 0xf;
/** In a reply's tag: how much of its detail is no text of an error; 0 where that is the server's. */
const TEXT_AT = 0xffff;

/** What is missing. */
export const Lost = { COMMANDS: 1, REPLIES: 2 } as const;

export class Pairing {
  private readonly commands = new ExchangeQueue();
  /** Replies that came while pairing was held off. */
  private readonly replies = new ExchangeQueue();
  /** Bits of `Lost`; 0 where pairing is sure. */
  private lost: number;
  /** Pairing is held off for more than that the connection was joined in its midst. */
  private gapped = false;
  /** Commands at the head of the queue that came before the gap: their replies come first. */
  private sure = 0;
  /** Commands that came after the last gap: none of them was answered in it. */
  private after = 0;
  /** Turns while pairing was sure, and the share of them that began with everything answered. */
  private known = 0;
  private idleShare = 1;
  /** The client has sent while commands of it were unanswered. */
  private ahead = false;
  /** Turns since pairing is held off, and commands since the first of them. */
  private heldOffTurns = 0;
  private turnCommands = 0;
  /** The fewest unanswered commands at one of them, less those that nobody saw, and turns with as many. */
  private fewest = 0;
  private fewestTurns = 0;
  /** Commands at the last turn, and since the one before; turns that had other numbers of them. */
  private commandsAtTurn = 0;
  private batch = 0;
  private otherBatches = 0;
  /** When the client began to send last, the longest that the server then took, and longer pauses of the client. */
  private askedNs = 0;
  private longestNs = 0;
  private pauses = 0;
  /** The client sends no more. */
  clientLeft = false;
  private serverSpokeLast = false;
  private lastNs = 0;
  /** The server has said something that may be a reply. */
  heard = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {
    // The rest of a reply that was joined in its middle comes before the first command of a client that waits.
    this.lost = connection.fromStart ? 0 : Lost.COMMANDS;
  }

  /** The command whose reply comes next; null where there is none, or nobody knows. */
  get head(): Exchange | null {
    return this.lost === 0 || this.sure > 0 ? this.commands.head : null;
  }

  get uncertain(): boolean {
    return this.lost !== 0;
  }

  /** A command begins; `idle` where no reply is half read. */
  began(timeNs: number, idle: boolean): void {
    if (this.lost !== 0 && idle && this.sure === 0 && this.isQuiet(timeNs)) {
      this.align();
    } else if (this.serverSpokeLast) {
      this.turn(timeNs, idle);
    }
    this.serverSpokeLast = false;
    this.lastNs = timeNs;
  }

  /**
   * A pause in which nothing is waited for: a command that was sent after the gap may block for longer, and its
   * reply must not be taken for that of another.
   */
  private isQuiet(timeNs: number): boolean {
    return this.lastNs > 0 && timeNs - this.lastNs >= QUIET_NS && this.replies.length >= this.after;
  }

  /** The client sends after the server did. */
  private turn(timeNs: number, idle: boolean): void {
    if (this.lost === 0) {
      const answered = idle && this.commands.length === 0;
      this.known++;
      this.idleShare += ((answered ? 1 : 0) - this.idleShare) / Math.min(this.known, SHARE_TURNS);
      if (!answered) this.ahead = true;
      return;
    }
    this.measure(timeNs);
    // Something is unanswered, and nobody knows how much.
    if (!idle || this.sure > 0) {
      this.ahead = true;
      this.heldOffTurns++;
      return;
    }
    const unanswered = this.commands.length - this.replies.length;
    if (this.fewestTurns === 0) {
      this.fewest = unanswered;
      this.turnCommands = 0;
    } else if (unanswered !== this.fewest) this.ahead = true;
    this.heldOffTurns++;
    if (unanswered < this.fewest) {
      this.fewest = unanswered;
      this.fewestTurns = 0;
    }
    if (unanswered > this.fewest) return;
    this.fewestTurns++;
    if (!this.isAnswered()) return;
    if (this.matching() < Math.min(this.turnCommands, this.replies.length)) this.restart();
    else this.align();
  }

  /** What a turn says of how the client sends: how much at once, and how soon after the server. */
  private measure(timeNs: number): void {
    if (timeNs - this.lastNs > this.longestNs * PAUSE_FACTOR && this.longestNs > 0) this.pauses++;
    this.askedNs = timeNs;
    if (this.heldOffTurns > 1 && this.commandsAtTurn !== this.batch) this.otherBatches++;
    this.batch = this.commandsAtTurn;
    this.commandsAtTurn = 0;
  }

  /** Is a turn with the fewest unanswered commands one with none? */
  private isAnswered(): boolean {
    const { known, heldOffTurns, fewestTurns } = this;
    if (this.ahead) {
      const share = Math.min(this.idleShare, fewestTurns / heldOffTurns);
      return known >= TOLD_TURNS && share >= LEAST_SHARE && heldOffTurns * share >= EXPECTED_IDLE;
    }
    if (heldOffTurns < CONFIRMING_TURNS || known + heldOffTurns < SURE_TURNS) return false;
    return this.waits || heldOffTurns >= MANY_TURNS;
  }

  /** The client has never sent before it had all its replies, and does not send as if it always had one more in flight. */
  private get waits(): boolean {
    if (this.ahead) return false;
    if (this.known > 0 || this.otherBatches > 1 || this.pauses >= SURE_PAUSES) return true;
    for (let shift = 1; shift <= MAX_SHIFT; shift++) if (this.couldBeShifted(shift)) return false;
    return true;
  }

  /** Could each of the last replies be that of a command so many before the one that it came after? */
  private couldBeShifted(shift: number): boolean {
    const count = Math.min(this.commands.length - shift, this.replies.length, MAX_SHIFTED);
    if (count <= 0) return true;
    let command = this.commands.head;
    let reply = this.replies.head;
    for (let n = this.commands.length - shift - count; n > 0; n--) command = command!.next;
    for (let n = this.replies.length - count; n > 0; n--) reply = reply!.next;
    for (let n = count; n > 0; n--, command = command!.next, reply = reply!.next) {
      if (!canAnswer(command!, reply!)) return false;
    }
    return true;
  }

  /** What the turns since the gap said is not so. */
  private restart(): void {
    this.heldOffTurns = 0;
    this.fewestTurns = 0;
    this.otherBatches = 0;
    this.askedNs = 0;
    this.longestNs = 0;
    this.pauses = 0;
  }

  /** A whole command that will be answered. */
  command(exchange: Exchange): void {
    const { maxPending } = this.options;
    if (this.commands.length >= (this.lost === 0 ? maxPending : Math.min(maxPending, MAX_UNCERTAIN))) {
      // Pairing goes on only where all are there.
      if (this.lost === 0) this.hold(Lost.REPLIES, false, true);
      const oldest = this.commands.shift()!;
      // So many without a word: a master, whose replica says within a second what the connection is.
      if (!this.heard && !this.connection.fromStart) this.forget(oldest);
      else this.finish(oldest, StatusValue.INCOMPLETE);
      if (this.sure > 0) this.sure--;
      this.fewest--;
    }
    this.turnCommands++;
    this.commandsAtTurn++;
    if (this.lost !== 0) this.after++;
    this.commands.push(exchange);
  }

  /**
   * A reply is whole: answers the command it belongs to, taken from the queue. While pairing is held off
   * it answers null, and the caller gives the reply to `park`.
   */
  take(timeNs: number): Exchange | null {
    this.heard = true;
    if (!this.serverSpokeLast && this.askedNs > 0)
      this.longestNs = Math.max(this.longestNs, timeNs - this.askedNs);
    this.serverSpokeLast = true;
    this.lastNs = timeNs;
    if (this.lost !== 0) {
      if (this.sure === 0) return null;
      this.sure--;
    }
    return this.commands.shift();
  }

  /** Keeps a reply until it is known whose it is. */
  park(reply: Exchange): void {
    if (this.replies.length >= MAX_UNCERTAIN) {
      this.connection.pool.release(this.replies.shift()!);
      this.fewest++;
    }
    this.replies.push(reply);
  }

  /**
   * Bytes of commands or of replies are missing, or none of the protocol's (`foreign`). `pushes`: they may be
   * of what the server sends unasked.
   */
  hold(lost: number, foreign = false, pushes = false): void {
    const { commands } = this;
    if (lost === Lost.COMMANDS) {
      if (this.lost === 0 && !foreign) this.sure = commands.length;
      // Of two gaps the replies to what is in between cannot be told from those to what is lost.
      else this.dropUnsure(foreign);
    } else {
      // What is lost may have come last.
      this.serverSpokeLast = true;
      // It begins with the reply that comes next, or in it.
      if (this.lost === 0 && !pushes && commands.length > 0)
        this.finish(commands.shift()!, StatusValue.INCOMPLETE);
      this.dropReplies(this.replies.length);
      if ((this.lost & Lost.COMMANDS) !== 0) {
        for (; this.sure > 0; this.sure--) this.finish(commands.shift()!, StatusValue.INCOMPLETE);
      }
      this.sure = 0;
    }
    this.restart();
    this.after = 0;
    this.gapped = true;
    this.lost |= lost;
  }

  /** Behind a gap the server has sent what was not understood: there may have been replies among it. */
  passedOver(): void {
    if (!this.gapped || this.lost === 0) return;
    this.serverSpokeLast = true;
    this.after = 0;
    this.restart();
  }

  /** Forgets everything. */
  discard(): void {
    for (let c = this.commands.shift(); c !== null; c = this.commands.shift()) this.forget(c);
    this.dropReplies(this.replies.length);
    this.sure = 0;
  }

  /** There will be no roundtrip of it: its bytes count as not understood. */
  private forget(command: Exchange): void {
    this.connection.undecodable(command.requestBytes);
    this.connection.pool.release(command);
  }

  /** `idle` where no reply is half read. */
  close(status: number, idle: boolean, timeNs: number): void {
    if (this.lost !== 0 && idle && this.serverSpokeLast && this.sure === 0 && this.isOver(timeNs)) {
      const unanswered = this.commands.length - this.replies.length;
      if (this.fewestTurns > 0 ? unanswered === this.fewest : unanswered <= 0) this.align();
    }
    // The oldest may have been answered in the gap.
    const end = this.lost === 0 || status === StatusValue.RESET ? status : StatusValue.INCOMPLETE;
    for (let command = this.commands.shift(); command !== null; command = this.commands.shift()) {
      const begun = command.responseStartNs >= 0;
      this.finish(command, begun && status !== StatusValue.RESET ? StatusValue.INCOMPLETE : end);
    }
    this.dropReplies(this.replies.length);
  }

  /** Does a client that the server answered last wait for nothing more, now that the connection or the capture ends? */
  private isOver(timeNs: number): boolean {
    if (this.clientLeft || timeNs - this.lastNs >= QUIET_NS || this.waits) return true;
    // All there is of the connection is something asked and as much answered.
    return !this.gapped && this.heldOffTurns === 0;
  }

  /** Everything sent is answered: the last replies are those of the last commands. */
  private align(): void {
    const { commands, replies } = this;
    const matching = this.matching();
    this.dropReplies(replies.length - matching);
    while (commands.length > matching) this.finish(commands.shift()!, StatusValue.INCOMPLETE);
    for (let command = commands.shift(); command !== null; command = commands.shift()) {
      const reply = replies.shift()!;
      merge(command, reply);
      this.connection.pool.release(reply);
      this.connection.emit(command);
    }
    this.lost = 0;
    this.sure = 0;
    if (!this.ahead) this.known += this.heldOffTurns;
    this.restart();
  }

  /** So many of the last commands have replies, from the last one on, that may be theirs. */
  private matching(): number {
    let command = this.commands.head;
    let reply = this.replies.head;
    for (let n = this.commands.length - this.replies.length; n > 0; n--) command = command!.next;
    for (let n = this.replies.length - this.commands.length; n > 0; n--) reply = reply!.next;
    let left = Math.min(this.commands.length, this.replies.length);
    let matching = 0;
    for (; left > 0; left--, command = command!.next, reply = reply!.next) {
      const kinds = (command!.tag / KIND) & KINDS_MASK;
      // Behind a gap in an aggregate its elements look like replies, up to the next turn.
      const mayBeElement =
        (this.lost & Lost.REPLIES) !== 0 &&
        (kinds & ReplyKind.NESTED) !== 0 &&
        (this.fewestTurns === 0 || left > this.turnCommands);
      if (!canAnswer(command!, reply!) || mayBeElement) matching = 0;
      else matching++;
    }
    return matching;
  }

  private dropUnsure(foreign: boolean): void {
    const { commands } = this;
    const kept = this.sure;
    for (let n = kept; n > 0; n--) commands.push(commands.shift()!);
    for (let n = commands.length - kept; n > 0; n--) {
      const command = commands.shift()!;
      // What was found in the middle of a value was no command.
      if (foreign) this.connection.pool.release(command);
      else this.finish(command, StatusValue.INCOMPLETE);
    }
  }

  private dropReplies(count: number): void {
    for (let n = count; n > 0; n--) this.connection.pool.release(this.replies.shift()!);
  }

  private finish(exchange: Exchange, status: number): void {
    exchange.status = status;
    this.connection.emit(exchange);
  }
}

function canAnswer(command: Exchange, reply: Exchange): boolean {
  return ((command.tag / KIND) & (reply.tag / KIND) & KINDS_MASK) !== 0;
}

function merge(command: Exchange, reply: Exchange): void {
  command.envelope.raw(reply.envelope.bytes, 0, reply.envelope.length);
  const textAt = (command.tag & EFFECT_BITS) === Effect.FOREIGN ? reply.tag & TEXT_AT : 0;
  command.detail.raw(reply.detail.bytes, 0, textAt === 0 ? reply.detail.length : textAt);
  if (textAt > 0) command.detail.string(RedisTag.errorMessage, '?');
  command.responseStartNs = reply.responseStartNs;
  command.responseEndNs = reply.responseEndNs;
  command.responseFirstSegment = reply.responseFirstSegment;
  command.responseLastSegment = reply.responseLastSegment;
  command.responseBytes = reply.responseBytes;
  command.missingBytes += reply.missingBytes;
  command.status = reply.status;
}

/** The field `database` of the numbers that most have. */
export const DATABASES: readonly Constant[] = Array.from({ length: 16 }, (_, n) => databaseField(n));

function databaseField(database: number): Constant {
  return encodeString(RedisTag.database, String(database));
}

export function writeDatabase(exchange: Exchange, database: number): void {
  if (database >= 0) exchange.detail.constant(DATABASES[database] ?? databaseField(database));
}
