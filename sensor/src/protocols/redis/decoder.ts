/** A connection of Redis or Valkey: commands, their replies, and what is neither. */
import { encodeString, RedisTag, RoundTripTag, StatusValue, WireWriter } from '@packetd/proto';
import { sanitiseMessage } from '../../redact/message.js';
import { type Connection, type Decoder, type DecoderOptions, Direction, Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { type Command, Effect, ReplyKind } from './commands.js';
import { EFFECT_BITS, KIND, Lost, Pairing, writeDatabase } from './pairing.js';
import { ReplyReader, type ReplySink } from './replies.js';
import { RequestReader, type RequestSink } from './requests.js';
import { findCommand, findReply } from './resync.js';
import { REPLY_TYPES, Type } from './wire.js';

/** In `Exchange.tag`: the command's effect, the confirmations it waits for, and the number in its first argument. */
const CONFIRMATION = 0x10;
const CONFIRMATIONS_MASK = 0xfff0;
const MAX_CONFIRMATIONS = CONFIRMATIONS_MASK / CONFIRMATION;
const NUMBER = 0x10000;
const MAX_NUMBER = 0x3fff;

/** First letters of ON, OFF and SKIP, and of ACK and GETACK. */
const MODE_ON = 0x4f4e;
const MODE_OFF = 0x4f46;
const MODE_SKIP = 0x534b;
const MODE_ACK = 0x4143;
const MODE_GETACK = 0x4745;
/** CLIENT REPLY: are commands answered? */
const Answers = { ON: 0, OFF: 1, NEXT_NOT: 2 } as const;

const ERROR_TYPE = encodeString(RoundTripTag.errorType, 'error');

/** Stands for lost bytes at whose end a command or reply is over. */
const hole = new Input();
hole.freshFrom = -1;

export class RedisDecoder implements Decoder, ReplySink, RequestSink {
  private readonly pairing: Pairing;
  private readonly requests: RequestReader;
  private readonly replies = new ReplyReader(this);
  private readonly lost = [false, false];
  /** Number of the newest segment of either side. */
  private readonly segments = [0, 0];
  private answers: number = Answers.ON;
  /** The selected database; -1 where nobody knows. */
  private database: number;
  private databaseInTransaction = false;
  private inTransaction = false;
  /** The client has sent MULTI, and what ends it not yet. */
  private queueing = false;
  /** Channels and patterns, and shard channels, that are subscribed to: their messages may come as arrays (RESP2). */
  private channels = 0;
  private shardChannels = 0;
  private monitoring = false;
  /** The server has sent what no command asked for (RESP3). */
  private pushed = false;
  private inReply = false;
  /** Bytes of the server that are still to come begin with a reply. */
  private replyIsNext = false;

  constructor(
    private readonly connection: Connection,
    options: DecoderOptions,
  ) {
    this.pairing = new Pairing(connection, options);
    this.requests = new RequestReader(connection, this, options.keys, connection.fromStart);
    this.database = connection.fromStart ? 0 : -1;
  }

  data(input: Input): number {
    const { direction, bytes, end } = input;
    this.segments[direction] = input.segment;
    const reader = direction === Direction.CLIENT ? this.requests : this.replies;
    let at = input.start;
    while (at < end) {
      if (this.lost[direction]) {
        if (direction === Direction.SERVER && this.replyIsNext) {
          this.connection.undecodable(Math.max(0, input.freshFrom - at));
          at = Math.max(at, input.freshFrom);
          this.lost[direction] = false;
          continue;
        }
        const found =
          direction === Direction.CLIENT ? findCommand(bytes, at, end) : findReply(bytes, at, end);
        const stop = found < 0 ? ~found : found;
        this.connection.undecodable(stop - at);
        if (stop > at && direction === Direction.SERVER) this.pairing.passedOver();
        if (found < 0) return stop;
        this.lost[direction] = false;
        at = found;
      }
      at = reader.read(input, at);
      if (at >= 0) return at;
      // These bytes are none of the protocol's.
      at = ~at;
      this.lose(direction, true);
      this.connection.undecodable(1);
      at++;
    }
    return at;
  }

  gap(direction: Direction, length: number, heldBytes: number, timeNs: number): void {
    const reader = direction === Direction.CLIENT ? this.requests : this.replies;
    if (length > 0 && heldBytes === 0 && length <= reader.skipping) {
      hole.timeNs = timeNs;
      hole.segment = this.segments[direction];
      reader.pass(length, hole);
      return;
    }
    this.lose(direction, false);
  }

  fin(direction: Direction): void {
    if (direction === Direction.CLIENT) this.pairing.clientLeft = true;
  }

  close(status: number, timeNs: number): void {
    const exchange = this.requests.reset();
    if (exchange !== null) {
      exchange.status = status === StatusValue.RESET ? status : StatusValue.INCOMPLETE;
      this.connection.emit(exchange);
    }
    const { head } = this.pairing;
    if (this.replies.active && this.inReply && head !== null) head.responseStartNs = this.replies.startNs;
    this.pairing.close(status, !this.replies.active, timeNs);
  }

  /** Bytes of `direction` are missing, or none of the protocol's (`foreign`). */
  private lose(direction: Direction, foreign: boolean): void {
    this.lost[direction] = true;
    if (direction === Direction.CLIENT) {
      const exchange = this.requests.reset();
      const found = this.requests.strict;
      this.requests.strict = true;
      this.pairing.hold(Lost.COMMANDS, foreign && found);
      if (exchange !== null && foreign && found) this.connection.pool.release(exchange);
      else if (exchange !== null) {
        exchange.status = StatusValue.INCOMPLETE;
        this.connection.emit(exchange);
      }
    } else {
      this.replies.reset();
      this.replyIsNext = false;
      this.pairing.hold(Lost.REPLIES, foreign, this.pushed || this.subscribed || this.monitoring);
    }
    this.inReply = false;
    this.database = -1;
  }

  commandBegins(timeNs: number): void {
    this.pairing.began(timeNs, !this.replies.active);
    if (!this.pairing.uncertain) this.replyIsNext = true;
  }

  commandEnds(reader: RequestReader, exchange: Exchange): boolean {
    const command = reader.command!;
    let answered = this.answers === Answers.ON;
    if (this.answers === Answers.NEXT_NOT) this.answers = Answers.ON;
    let tag: number = command.effect;
    switch (command.effect) {
      case Effect.CLIENT:
        // In a transaction it is answered by QUEUED, as all are.
        if (command.name === 'CLIENT REPLY' && !this.queueing) {
          if (reader.mode === MODE_ON) this.answers = Answers.ON;
          else if (reader.mode === MODE_OFF) this.answers = Answers.OFF;
          else if (reader.mode === MODE_SKIP && this.answers === Answers.ON) this.answers = Answers.NEXT_NOT;
          answered = this.answers === Answers.ON;
        }
        tag = Effect.NONE;
        break;
      case Effect.MULTI:
        this.queueing = true;
        break;
      case Effect.RESET:
        this.answers = Answers.ON;
        answered = true;
        this.queueing = false;
        break;
      case Effect.EXEC:
      case Effect.DISCARD:
        this.queueing = false;
        break;
      case Effect.SUBSCRIBE:
        tag |= CONFIRMATION * Math.min(Math.max(1, reader.count - 1), MAX_CONFIRMATIONS);
        break;
      case Effect.UNSUBSCRIBE:
        // Without names there is one for each subscription, and nobody here knows how many there are.
        tag |= CONFIRMATION * Math.min(Math.max(1, reader.count - 1), MAX_CONFIRMATIONS);
        break;
      case Effect.SELECT:
        tag |= NUMBER * (reader.number >= 0 && reader.number <= MAX_NUMBER ? reader.number + 1 : 0);
        break;
      case Effect.REPLCONF:
        if (reader.mode !== MODE_ACK && reader.mode !== MODE_GETACK) break;
        if (!this.connection.fromStart || this.pairing.uncertain) {
          this.connection.pool.release(exchange);
          this.replicates();
          return false;
        }
        answered = false;
        break;
    }
    if (command.effect !== Effect.SELECT) tag += KIND * command.replies;
    exchange.tag = tag;
    const subscribes = command.effect === Effect.SUBSCRIBE || command.effect === Effect.UNSUBSCRIBE;
    if (answered && !(subscribes && this.pairing.uncertain)) {
      this.pairing.command(exchange);
      return true;
    }
    // What confirms a subscription is no reply that pairing could count.
    this.unanswered(exchange, answered ? StatusValue.INCOMPLETE : StatusValue.OK);
    return true;
  }

  plainCommand(command: Command, exchange: Exchange): void {
    exchange.tag = command.effect + KIND * command.replies;
    if (this.answers === Answers.ON) {
      this.pairing.command(exchange);
      return;
    }
    if (this.answers === Answers.NEXT_NOT) this.answers = Answers.ON;
    this.unanswered(exchange, StatusValue.OK);
  }

  private unanswered(exchange: Exchange, status: number): void {
    exchange.status = status;
    writeDatabase(exchange, this.database);
    this.connection.emit(exchange);
  }

  /** A master's link to its replica, joined in its midst: nothing on it is a roundtrip. */
  private replicates(): void {
    this.pairing.discard();
    this.connection.handOver('opaque');
  }

  get awaitsStream(): boolean {
    const { head } = this.pairing;
    return head !== null && (head.tag & EFFECT_BITS) === Effect.REPLICATE;
  }

  /** No channel is subscribed to any more. */
  private leave(): void {
    this.channels = 0;
    this.shardChannels = 0;
  }

  private get subscribed(): boolean {
    return this.channels > 0 || this.shardChannels > 0;
  }

  replyBegins(type: number): boolean {
    this.inReply = type !== Type.PUSH;
    if (type === Type.PUSH) {
      this.pushed = true;
      return true;
    }
    if (type !== Type.ARRAY) return false;
    const { head } = this.pairing;
    // Where pairing is held off it may be a message, or what a replica says.
    if (head === null) return this.subscribed || this.pairing.uncertain;
    const effect = head.tag & EFFECT_BITS;
    return this.subscribed || effect === Effect.SUBSCRIBE || effect === Effect.UNSUBSCRIBE;
  }

  replyEnds(reader: ReplyReader, input: Input, last: number): boolean {
    this.inReply = false;
    const { type } = reader;
    const uncertain = this.pairing.head === null && this.pairing.uncertain;
    if (type === Type.PUSH || (type === Type.ARRAY && reader.textEnd > reader.textStart)) {
      const kind = pushKind(reader.text, reader.textStart, reader.textEnd);
      if (uncertain && type === Type.ARRAY && kind !== Push.OTHER) {
        if (kind === Push.REPLICA && !this.connection.fromStart && !this.pairing.heard) {
          this.replicates();
          return false;
        }
        // A message, a confirmation or a list that looks like one: a reply is missing, or none is.
        if (kind !== Push.REPLICA) {
          this.pairing.hold(Lost.REPLIES, false, true);
          return true;
        }
      }
      if (kind >= Push.SUBSCRIBED) return this.confirmation(kind, reader, input, last);
      if (kind === Push.MESSAGE || type === Type.PUSH) return true;
    }
    if ((this.monitoring || uncertain) && type === Type.SIMPLE_STRING && isMonitorLine(reader)) return true;
    if (this.answers === Answers.OFF && this.pairing.head === null && !this.pairing.uncertain) {
      // It was refused, so what was sent since then is answered after all.
      this.answers = Answers.ON;
      this.pairing.hold(Lost.COMMANDS);
    }
    const exchange = this.pairing.take(input.timeAt(last));
    if (exchange !== null) {
      if (!this.pairing.uncertain) this.requests.strict = false;
      this.answer(exchange, reader, input, last);
      return this.after(exchange, reader);
    }
    if (!this.pairing.uncertain) return true;
    const parked = this.connection.pool.take();
    parked.tag = KIND * kindOf(reader) + this.write(parked, reader, input, last, false);
    this.pairing.park(parked);
    return true;
  }

  /** `subscribe`, `unsubscribe` and the like: n of them answer a command with n channels. */
  private confirmation(kind: number, reader: ReplyReader, input: Input, last: number): boolean {
    // Its last element says how many of its kind there are now.
    if (reader.type === Type.ARRAY) {
      if (kind >= Push.SHARD_SUBSCRIBED) this.shardChannels = reader.integer;
      else this.channels = reader.integer;
    }
    const { head } = this.pairing;
    if (head === null) return true;
    const ends = kind === Push.UNSUBSCRIBED || kind === Push.SHARD_UNSUBSCRIBED;
    const effect = ends ? Effect.UNSUBSCRIBE : Effect.SUBSCRIBE;
    if ((head.tag & EFFECT_BITS) !== effect) return true;
    if (head.responseStartNs < 0) {
      head.responseStartNs = reader.startNs;
      head.responseFirstSegment = reader.startSegment;
    }
    head.tag -= CONFIRMATION;
    if ((head.tag & CONFIRMATIONS_MASK) !== 0) {
      head.responseBytes += reader.bytes;
      return true;
    }
    const { responseBytes, responseStartNs, responseFirstSegment } = head;
    const exchange = this.pairing.take(input.timeAt(last))!;
    this.write(exchange, reader, input, last, false);
    exchange.responseBytes += responseBytes;
    exchange.responseStartNs = responseStartNs;
    exchange.responseFirstSegment = responseFirstSegment;
    writeDatabase(exchange, this.database);
    this.connection.emit(exchange);
    return true;
  }

  private answer(exchange: Exchange, reader: ReplyReader, input: Input, last: number): void {
    this.write(exchange, reader, input, last, (exchange.tag & EFFECT_BITS) === Effect.FOREIGN);
    writeDatabase(exchange, this.database);
  }

  /** What the command has changed, now that it is known how it went. False where another protocol follows. */
  private after(exchange: Exchange, reader: ReplyReader): boolean {
    const { tag, status } = exchange;
    const effect = tag & EFFECT_BITS;
    this.connection.emit(exchange);
    const ordinary = effect === Effect.NONE || effect === Effect.FOREIGN;
    // In RESP2 a subscribed connection refuses ordinary commands.
    if (ordinary && status === StatusValue.OK && this.subscribed) this.leave();
    if (ordinary || status !== StatusValue.OK) {
      if (effect === Effect.EXEC) this.inTransaction = false;
      return true;
    }
    switch (effect) {
      case Effect.MONITOR:
        this.monitoring = true;
        return true;
      case Effect.REPLICATE:
        if (DUAL_CHANNEL.compare(reader.text, reader.textStart, reader.textEnd) === 0) return true;
        this.connection.handOver('opaque');
        return false;
      case Effect.SELECT:
        // In a transaction it is done at EXEC only.
        if (this.inTransaction) this.databaseInTransaction = true;
        else this.database = Math.floor(tag / NUMBER) - 1;
        return true;
      case Effect.MULTI:
        this.inTransaction = true;
        this.databaseInTransaction = false;
        return true;
      case Effect.EXEC:
        if (this.databaseInTransaction && reader.type !== Type.NULL) this.database = -1;
        this.inTransaction = false;
        return true;
      case Effect.DISCARD:
        this.inTransaction = false;
        return true;
      case Effect.RESET:
        this.database = 0;
        this.inTransaction = false;
        this.leave();
        this.monitoring = false;
        return true;
      default:
        return true;
    }
  }

  /**
   * Writes what the reply says; an error in whose words nobody knows where `foreign`. Answers how much of the
   * detail is beyond that doubt, 0 for all of it.
   */
  private write(
    exchange: Exchange,
    reader: ReplyReader,
    input: Input,
    last: number,
    foreign: boolean,
  ): number {
    const { type, elements } = reader;
    exchange.responseStartNs = reader.startNs;
    exchange.responseFirstSegment = reader.startSegment;
    exchange.responseEndNs = input.timeAt(last);
    exchange.responseLastSegment = input.segmentAt(last);
    exchange.responseBytes = reader.bytes;
    exchange.missingBytes += reader.missing;
    exchange.detail.constant(REPLY_TYPES[type]);
    if (elements >= 0) exchange.detail.uint(RedisTag.elementCount, elements);
    if (type !== Type.ERROR && type !== Type.BULK_ERROR) {
      exchange.status = StatusValue.OK;
      return 0;
    }
    exchange.status = StatusValue.ERROR;
    return writeError(exchange, reader.text, reader.textStart, reader.textEnd, foreign);
  }
}

/** The kinds of command that may be answered by this reply. */
function kindOf(reader: ReplyReader): number {
  switch (reader.type) {
    case Type.SIMPLE_STRING: {
      const { text, textStart, textEnd } = reader;
      return QUEUED.compare(text, textStart, textEnd) === 0 ? ReplyKind.ANY : ReplyKind.STATUS;
    }
    case Type.INTEGER:
    case Type.BIG_NUMBER:
      return ReplyKind.INTEGER;
    case Type.BULK_STRING:
    case Type.VERBATIM_STRING:
    case Type.DOUBLE:
      return ReplyKind.BULK;
    case Type.ARRAY:
    case Type.MAP:
    case Type.SET:
      return ReplyKind.AGGREGATE;
    default:
      return ReplyKind.ANY;
  }
}

const QUEUED = Buffer.from('QUEUED', 'latin1');
/** Valkey to PSYNC: the snapshot comes on another connection, and here the replica asks once more. */
const DUAL_CHANNEL = Buffer.from('DUALCHANNELSYNC', 'latin1');

const Push = {
  OTHER: 0,
  MESSAGE: 1,
  SUBSCRIBED: 2,
  UNSUBSCRIBED: 3,
  SHARD_SUBSCRIBED: 4,
  SHARD_UNSUBSCRIBED: 5,
  REPLICA: -1,
} as const;

const PUSH_KINDS: ReadonlyMap<string, number> = new Map<string, number>([
  ...['message', 'pmessage', 'smessage', 'invalidate'].map((kind) => [kind, Push.MESSAGE] as const),
  ...['subscribe', 'psubscribe'].map((kind) => [kind, Push.SUBSCRIBED] as const),
  ...['unsubscribe', 'punsubscribe'].map((kind) => [kind, Push.UNSUBSCRIBED] as const),
  ['ssubscribe', Push.SHARD_SUBSCRIBED],
  ['sunsubscribe', Push.SHARD_UNSUBSCRIBED],
  // Not sent by a server: a replica tells its master how far it is.
  ['REPLCONF', Push.REPLICA],
]);

function pushKind(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 12) return Push.OTHER;
  const kind = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
  return PUSH_KINDS.get(kind) ?? Push.OTHER;
}

/** `1700000000.123456 [0 127.0.0.1:6379] "get" "key"` */
function isMonitorLine(reader: ReplyReader): boolean {
  const { text, textStart, textEnd } = reader;
  let at = textStart;
  while (at < textEnd && text[at] >= 0x30 && text[at] <= 0x39) at++;
  return at > textStart && text[at] === 0x2e;
}

/** Behind these comes what the client or a script said, without quotes. */
const FREE_TEXT = [
  'beginning with:',
  'user_script:',
  'user_function:',
  'longitude,latitude pair',
  'Invalid metadata value given:',
  'Unsupported CONFIG parameter:',
  'Invalid node address specified:',
].map((text) => Buffer.from(text, 'latin1'));
/** What servers say themselves where a script, a function or a module is called. */
const OWN_TEXT = [
  'unknown command',
  'unknown subcommand',
  'wrong number of arguments',
  'user_script:',
  'user_function:',
  'Error compiling script',
  'Error running script',
  'Error running function',
  'Error registering functions',
  'Error compiling function',
  'Invalid metadata value given:',
  'Missing library metadata',
  'Library name was not given',
  'Function not found',
  'No matching script',
  'Number of keys',
  'Operation against a key holding the wrong kind of value',
  'value is not an integer or out of range',
  'Can not execute a script with write flag',
  'Write commands are not allowed',
  'Script attempted to access',
  'Script killed by user',
  'command not allowed when used memory',
  'Authentication required',
  'The cluster is down',
  'Hash slot not served',
].map((text) => Buffer.from(text, 'latin1'));
const UNKNOWN = Buffer.from('?', 'latin1');
/** Holds such an error for the moment of writing it. */
const errorText = new WireWriter(1024);

/**
 * `-WRONGTYPE Operation against …`: the first word is the code; what is quoted repeats arguments. Of `foreign`
 * words, which may repeat them without quotes, only those are kept that begin as the server's own. Answers how
 * much of the detail is there without the words, 0 where they are the server's.
 */
function writeError(
  exchange: Exchange,
  bytes: Uint8Array,
  start: number,
  end: number,
  foreign: boolean,
): number {
  let stop = start;
  while (stop < end && isCodeByte(bytes[stop])) stop++;
  let at = start;
  const coded = stop > start && stop - start <= 32 && (stop === end || bytes[stop] === 0x20);
  if (coded) {
    exchange.detail.text(RedisTag.statusCode, bytes, start, stop);
    exchange.envelope.text(RoundTripTag.errorType, bytes, start, stop);
    at = Math.min(stop + 1, end);
  } else exchange.envelope.constant(ERROR_TYPE);
  let free = end;
  const own = OWN_TEXT.some((text) => startsWith(bytes, at, end, text));
  const before = own ? 0 : exchange.detail.length;
  if (foreign && !own) free = at;
  for (const text of FREE_TEXT) free = Math.min(free, endOf(text, bytes, at, end));
  const message = sanitiseMessage(bytes, at, free);
  if (free === end) {
    if (message.length > 0) exchange.detail.text(RedisTag.errorMessage, message, 0, message.length);
    return before;
  }
  errorText.reset();
  errorText.raw(message);
  errorText.raw(UNKNOWN);
  exchange.detail.text(RedisTag.errorMessage, errorText.bytes, 0, errorText.length);
  return before;
}

/** Position behind the first `text`; `end` where it is not there. */
function endOf(text: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at + text.length <= end; at++) {
    if (startsWith(bytes, at, end, text)) return at + text.length;
  }
  return end;
}

function startsWith(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}

function isCodeByte(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f;
}
