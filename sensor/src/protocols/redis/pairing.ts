/**
 * Pairs replies with commands: strictly in order, for RESP has no ids.
 *
 * After a gap nobody knows how many commands or replies were in it, so pairing is held off: commands and
 * replies queue up until the client sends anew after everything was answered, and are then matched from
 * the end. A client that sends before it has its answers never gives that moment, but by a pause; what
 * cannot be matched is INCOMPLETE.
 */
import { RedisTag, StatusValue } from '@packetd/proto';
import type { Connection } from '../decoder.js';
import { type Exchange, ExchangeQueue } from '../exchange.js';

/** A pause after which everything is taken to have been answered. */
const QUIET_NS = 1e9;
/** Commands and replies kept while pairing is held off. */
const MAX_UNCERTAIN = 4096;

/** What is missing. */
export const Lost = { COMMANDS: 1, REPLIES: 2 } as const;

export class Pairing {
  private readonly commands = new ExchangeQueue();
  /** Replies that came while pairing was held off. */
  private readonly replies = new ExchangeQueue();
  /** Bits of `Lost`; 0 where pairing is sure. */
  private lost = 0;
  /** Commands at the head of the queue that came before the gap: their replies come first. */
  private sure = 0;
  /** Commands that came after the last gap: none of them was answered in it. */
  private after = 0;
  /** The client has sent more while some, but not all, of its commands were answered. */
  private overlaps = false;
  private serverSpokeLast = false;
  private lastNs = 0;

  constructor(
    private readonly connection: Connection,
    private readonly maxPending: number,
  ) {}

  /** The command whose reply comes next; null where there is none, or nobody knows. */
  get head(): Exchange | null {
    return this.lost === 0 || this.sure > 0 ? this.commands.head : null;
  }

  get uncertain(): boolean {
    return this.lost !== 0;
  }

  /** A command begins; `idle` where no reply is half read. */
  began(timeNs: number, idle: boolean): void {
    if (this.serverSpokeLast) {
      if (this.lost === 0) {
        if (this.commands.length > 0) this.overlaps = true;
      } else if (idle && (!this.overlaps || this.isQuiet(timeNs))) {
        this.align();
      }
    } else if (this.lost !== 0 && idle && this.isQuiet(timeNs)) {
      this.align();
    }
    this.serverSpokeLast = false;
    this.lastNs = timeNs;
  }

  /**
   * A pause in which nothing is waited for: a command that was sent after the gap may block for longer, and its
   * reply must not be taken for that of another.
   */
  private isQuiet(timeNs: number): boolean {
    return timeNs - this.lastNs >= QUIET_NS && this.replies.length >= this.after;
  }

  /** A whole command that will be answered. */
  command(exchange: Exchange): void {
    if (this.commands.length >= (this.lost === 0 ? this.maxPending : MAX_UNCERTAIN)) {
      // Pairing goes on only where all are there.
      if (this.lost === 0) this.hold(Lost.REPLIES);
      this.finish(this.commands.shift()!, StatusValue.INCOMPLETE);
      if (this.sure > 0) this.sure--;
    }
    this.commands.push(exchange);
    if (this.lost !== 0) this.after++;
  }

  /**
   * A reply is whole: answers the command it belongs to, taken from the queue. While pairing is held off
   * it answers null, and the caller gives the reply to `park`.
   */
  take(timeNs: number): Exchange | null {
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
    if (this.replies.length >= MAX_UNCERTAIN) this.connection.pool.release(this.replies.shift()!);
    this.replies.push(reply);
  }

  /** Bytes of commands or of replies are missing. */
  hold(lost: number): void {
    // What was sent before it may have been answered in it; what is sent after it was not.
    this.after = 0;
    if (this.lost === 0) this.sure = lost === Lost.COMMANDS ? this.commands.length : 0;
    else if (lost === Lost.REPLIES) this.sure = 0;
    this.lost |= lost;
  }

  close(status: number): void {
    // The oldest may have been answered in the gap.
    const end = this.lost === 0 || status === StatusValue.RESET ? status : StatusValue.INCOMPLETE;
    for (let command = this.commands.shift(); command !== null; command = this.commands.shift()) {
      const begun = command.responseStartNs >= 0;
      this.finish(command, begun && status !== StatusValue.RESET ? StatusValue.INCOMPLETE : end);
    }
    this.dropReplies(this.replies.length);
  }

  /** Everything sent is answered: the last replies are those of the last commands. */
  private align(): void {
    const { commands, replies, lost } = this;
    // With both lost there is no end to count from; with too few of what was not lost, something else is wrong.
    const both = lost === (Lost.COMMANDS | Lost.REPLIES);
    const impossible =
      lost === Lost.COMMANDS ? replies.length < commands.length : replies.length > commands.length;
    if (both || impossible || this.sure > 0) this.dropReplies(replies.length);
    this.dropReplies(replies.length - commands.length);
    while (commands.length > replies.length) this.finish(commands.shift()!, StatusValue.INCOMPLETE);
    for (let command = commands.shift(); command !== null; command = commands.shift()) {
      const reply = replies.shift()!;
      merge(command, reply);
      this.connection.pool.release(reply);
      this.connection.emit(command);
    }
    this.lost = 0;
    this.sure = 0;
  }

  private dropReplies(count: number): void {
    for (let n = count; n > 0; n--) this.connection.pool.release(this.replies.shift()!);
  }

  private finish(exchange: Exchange, status: number): void {
    exchange.status = status;
    this.connection.emit(exchange);
  }
}

function merge(command: Exchange, reply: Exchange): void {
  command.envelope.raw(reply.envelope.bytes, 0, reply.envelope.length);
  command.detail.raw(reply.detail.bytes, 0, reply.detail.length);
  command.responseStartNs = reply.responseStartNs;
  command.responseEndNs = reply.responseEndNs;
  command.responseFirstSegment = reply.responseFirstSegment;
  command.responseLastSegment = reply.responseLastSegment;
  command.responseBytes = reply.responseBytes;
  command.missingBytes += reply.missingBytes;
  command.status = reply.status;
}

/** The field `database` of the numbers that most have, in wire format. */
export const DATABASES: readonly string[] = Array.from({ length: 16 }, (_, n) => String(n));

export function writeDatabase(exchange: Exchange, database: number): void {
  if (database >= 0) exchange.detail.string(RedisTag.database, DATABASES[database] ?? String(database));
}
