/**
 * A MySQL or MariaDB connection: the login, then commands and their answers, in order.
 *
 * What a lost segment costs: inside a row, a definition or the far part of a long packet nothing but
 * `missingBytes`. Elsewhere the commands in flight become INCOMPLETE. The client is read again from the
 * next packet with sequence id 0 that is plainly a command, the server from the packet that follows such
 * a command in sequence. Where commands were lost, a client that sends ahead would have its answers
 * shifted: answers are paired again when MIN_TRUST commands have come one by one. The user is not known any
 * more, nor the database until it is named. A connection that is compressed, or whose client does send ahead,
 * is given up at a loss, or as soon as it is seen to after one. A capture that begins between commands sent
 * ahead cannot be told from one that does not.
 */
import { NO_FIELDS, StatusValue } from '@packetd/proto';
import { Escapes } from '../../redact/sql.js';
import { Charset } from '../../redact/sql-charset.js';
import { type Connection, type Decoder, type DecoderOptions, Direction, type Input } from '../decoder.js';
import { firstStage, isPassedOver, isWholeWithoutEof, Progress, packet, passOver } from './answer.js';
import { type Command, Stage } from './command.js';
import { DAMAGED, Unpacker } from './compression.js';
import { Lane } from './lane.js';
import { Pairing } from './pairing.js';
import { Match, matchCommand, matchCompressed, matchCompressedAnswer, matchFirstCommand } from './probe.js';
import { writeCommand, writeError, writeTls } from './record.js';
import { describe, runsLastStatement } from './request.js';
import { Session } from './session.js';
import {
  Capability,
  COMMAND_NAMES,
  Com,
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_READ_BYTES,
  Reply,
  uint24,
  uint32,
} from './wire.js';

const Phase = { GREETING: 0, LOGIN: 1, COMMANDS: 2, OVER: 3 } as const;
type Phase = (typeof Phase)[keyof typeof Phase];

/** Answer of a step that needs more bytes. */
const WAIT = -1;
/** Commands after a loss that must come one by one before answers are paired again. */
const MIN_TRUST = 2;
/** First byte of a greeting. */
const PROTOCOL_VERSION = 10;

export class MysqlDecoder implements Decoder {
  private readonly session = new Session();
  private readonly client = new Lane();
  private readonly server = new Lane();
  private readonly pairing: Pairing;
  private phase: Phase;
  /** Two commands were seen in flight. */
  private pipelining = false;
  /** Bytes were lost: an answer is only paired where it is plain whose it is. */
  private lossy = false;
  /** The server answered since the last command, or since a loss of commands. */
  private heard = true;
  /** Commands in a row before which it had, up to MIN_TRUST. */
  private trust = MIN_TRUST;
  /** When the last command was sent; -1 where an answer to it may be lost. */
  private commandNs = -1;
  private serverNs = -1;
  /** A command followed another before the server spoke: the client sends ahead, or an answer is lost. */
  private sentAhead = false;
  /** Not null where packets are compressed. */
  private unpacker: Unpacker | null = null;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {
    this.phase = Phase.GREETING;
    this.pairing = new Pairing(connection, this.session, this.client, this.server);
  }

  data(input: Input): number {
    const lane = input.direction === Direction.CLIENT ? this.client : this.server;
    if (lane === this.server) this.serverSpeaks(input);
    if (this.unpacker !== null) return this.unpackAll(this.unpacker, lane, input, input.start);
    const { bytes, end } = input;
    let at = input.start;
    while (at < end && this.phase !== Phase.OVER) {
      // The login ends with this packet; what follows is compressed.
      if (this.unpacker !== null) return this.unpackAll(this.unpacker, lane, input, at);
      const next = this.step(lane, input, bytes, at, end);
      if (next === WAIT) break;
      at = next;
    }
    return at;
  }

  gap(direction: Direction, length: number, _heldBytes: number, _timeNs: number): void {
    if (this.phase === Phase.OVER) return;
    if (direction === Direction.SERVER) {
      this.sentAhead = false;
      this.commandNs = -1;
    }
    const lane = direction === Direction.CLIENT ? this.client : this.server;
    if (length > 0 && this.unpacker === null && !lane.lost && length <= lane.skip) {
      lane.skip -= length;
      if (lane.owner !== null) {
        const { exchange } = lane.owner;
        exchange.missingBytes += length;
        if (direction === Direction.CLIENT) exchange.requestBytes += length;
        else exchange.responseBytes += length;
      }
      if (lane.skip === 0) this.skipped(lane);
      return;
    }
    if (lane.owner !== null && (lane.skip > 0 || lane.continues)) lane.owner.exchange.missingBytes += length;
    else if (direction === Direction.SERVER && this.pairing.head !== null)
      this.pairing.head.exchange.missingBytes += length;
    this.lose(direction);
  }

  fin(direction: Direction, _heldBytes: number, _timeNs: number): void {
    if (direction === Direction.CLIENT || this.phase === Phase.OVER) return;
    this.settle();
    this.pairing.flush(StatusValue.NO_RESPONSE);
  }

  close(status: number, _timeNs: number): void {
    this.settle();
    this.pairing.flush(status);
  }

  private step(lane: Lane, input: Input, bytes: Uint8Array, at: number, end: number): number {
    if (lane.skip > 0) {
      const stop = Math.min(end, at + lane.skip);
      lane.skip -= stop - at;
      if (lane.owner !== null) this.pairing.account(lane, lane.owner, input, at, stop);
      else if (!lane.silent) this.connection.undecodable(stop - at);
      if (lane.skip === 0) this.skipped(lane);
      return stop;
    }
    if (lane.lost)
      return lane === this.client ? this.findCommand(bytes, at, end) : this.findAnswer(input, bytes, at, end);
    if (end - at < HEADER_BYTES) return WAIT;
    const length = uint24(bytes, at);
    if (lane.continues) {
      lane.continues = length === MAX_PAYLOAD_BYTES;
      lane.skip = length;
      if (lane.owner !== null) {
        this.pairing.account(lane, lane.owner, input, at, at + HEADER_BYTES);
        if (lane === this.client) lane.owner.answerSequence = (bytes[at + 3] + 1) & 0xff;
      } else if (!lane.silent) {
        this.connection.undecodable(HEADER_BYTES);
      }
      if (length === 0) this.skipped(lane);
      return at + HEADER_BYTES;
    }
    return lane === this.client
      ? this.clientPacket(input, bytes, at, end, length)
      : this.serverPacket(input, bytes, at, end, length);
  }

  /** The rest of a packet is over. */
  private skipped(lane: Lane): void {
    if (lane.continues) return;
    const { owner } = lane;
    lane.owner = null;
    if (!lane.finishes) return;
    lane.finishes = false;
    if (owner !== null && owner === this.pairing.head) this.complete();
  }

  /** Bytes of `length` that are there of the packet at `at`, or WAIT where those that are read are not. */
  private readable(input: Input, at: number, end: number, length: number): number {
    const read = Math.min(length, MAX_READ_BYTES);
    if (end - at - HEADER_BYTES >= read) return read;
    input.need = HEADER_BYTES + read;
    return WAIT;
  }

  /** Consumes the header and `read` bytes; the rest of the packet will be passed over. */
  private consume(
    lane: Lane,
    owner: Command | null,
    input: Input,
    at: number,
    length: number,
    read: number,
  ): number {
    const stop = at + HEADER_BYTES + read;
    lane.skip = length - read;
    lane.continues = length === MAX_PAYLOAD_BYTES;
    lane.owner = owner;
    lane.silent = false;
    if (owner === null) this.connection.undecodable(stop - at);
    else this.pairing.account(lane, owner, input, at, stop);
    return stop;
  }

  // The client's side.

  private clientPacket(input: Input, bytes: Uint8Array, at: number, end: number, length: number): number {
    const sequence = bytes[at + 3];
    const { head } = this.pairing;
    if (head !== null && head.stage === Stage.INFILE && head.begun) {
      if (length === 0) head.stage = Stage.FIRST;
      return this.consume(this.client, head, input, at, length, 0);
    }
    if (this.phase === Phase.GREETING && !this.connection.fromStart && sequence !== 1) {
      // The capture began in the middle, maybe of a packet.
      const match = matchFirstCommand(bytes, at, end);
      if (match === Match.MORE) return WAIT;
      this.join();
      if (match === Match.NO) {
        this.client.lose();
        return at;
      }
    }
    if (sequence !== 0) {
      if (this.phase < Phase.COMMANDS) return this.loginPacket(input, bytes, at, end, length);
      // Authentication of COM_CHANGE_USER: never read.
      const owner = head !== null && head.stage === Stage.AUTH ? head : null;
      return this.consume(this.client, owner, input, at, length, 0);
    }
    if (length === 0) return this.consume(this.client, null, input, at, 0, 0);
    const read = this.readable(input, at, end, length);
    if (read === WAIT) return WAIT;
    const code = bytes[at + HEADER_BYTES];
    if (COMMAND_NAMES[code] === undefined) {
      this.lose(Direction.CLIENT);
      return at;
    }
    if (this.phase === Phase.GREETING) this.join();
    return this.command(input, bytes, at, length, read, code);
  }

  /** The login was not seen: the server may be in the middle of an answer. */
  private join(): void {
    this.phase = Phase.COMMANDS;
    this.lossy = true;
    this.server.lose();
  }

  /** The handshake response, and what else the client says to authenticate itself, which is not read. */
  private loginPacket(input: Input, bytes: Uint8Array, at: number, end: number, length: number): number {
    const { session, client } = this;
    let connect = this.pairing.head;
    if (connect !== null && (connect.code !== Com.CONNECT || session.known)) {
      return this.consume(client, connect.code === Com.CONNECT ? connect : null, input, at, length, 0);
    }
    const read = this.readable(input, at, end, length);
    if (read === WAIT) return WAIT;
    const start = at + HEADER_BYTES;
    if (connect === null) connect = this.pairing.pushConnect();
    connect.answerSequence = (bytes[at + 3] + 1) & 0xff;
    const { exchange } = connect;
    this.pairing.begin(exchange, input, at);
    if (session.isSslRequest(bytes, start, start + read)) {
      writeTls(exchange);
      const stop = this.consume(client, connect, input, at, length, read);
      this.pairing.flush(StatusValue.INCOMPLETE);
      this.over('tls');
      return stop;
    }
    this.phase = Phase.LOGIN;
    connect.namespace = session.handshakeResponse(bytes, start, start + read);
    return this.consume(client, connect, input, at, length, read);
  }

  private command(
    input: Input,
    bytes: Uint8Array,
    at: number,
    length: number,
    read: number,
    code: number,
  ): number {
    const { client, session } = this;
    const start = at + HEADER_BYTES + 1;
    const end = at + HEADER_BYTES + read;
    this.settle();
    if (this.isOver()) return at;
    switch (code) {
      case Com.QUIT:
      case Com.STMT_SEND_LONG_DATA:
        return this.pass(client, at, length, read);
      case Com.STMT_CLOSE:
        if (read >= 5) session.closeStatement(uint32(bytes, start));
        return this.pass(client, at, length, read);
      case Com.BINLOG_DUMP:
      case Com.BINLOG_DUMP_GTID:
      case Com.TABLE_DUMP:
        this.pairing.flush(StatusValue.NO_RESPONSE);
        this.over('opaque');
        return end;
    }
    // A client that does not send ahead has had the answers before. After a loss of commands that must have
    // shown: what the server says to one that does may answer a command that was lost.
    const { tail } = this.pairing;
    // MariaDB's clients send what runs "the last statement" right behind its preparation, and no further.
    const isBehind =
      tail !== null &&
      tail === this.pairing.head &&
      tail.code === Com.STMT_PREPARE &&
      !tail.doubtful &&
      read >= 5 &&
      runsLastStatement(code, bytes, start);
    if (this.lossy && !isBehind && this.commandNs >= 0 && this.serverNs < this.commandNs)
      this.sentAhead = true;
    this.commandNs = input.timeAt(at);
    if (!isBehind) this.trust = this.heard ? Math.min(this.trust + 1, MIN_TRUST) : 0;
    const doubtful = this.lossy && this.trust < MIN_TRUST;
    if (this.lossy && !this.pipelining && !isBehind) this.pairing.flush(StatusValue.INCOMPLETE);
    this.heard = false;
    if (this.pairing.length >= this.options.maxPending) {
      this.pairing.flush(StatusValue.INCOMPLETE);
      this.over('opaque');
      return end;
    }
    const command = this.pairing.push(code);
    const { exchange } = command;
    this.pairing.begin(exchange, input, at);
    command.stage = firstStage(code);
    if (code === Com.STMT_FETCH) command.rows = 0;
    describe(command, session, bytes, start, end);
    // What runs "the last statement" was sent right behind its preparation, which is answered first.
    if (doubtful || command.lacksStatement) {
      command.doubtful = true;
      this.server.lose();
    }
    writeCommand(exchange, code, command.shape);
    return this.consume(client, command, input, at, length, read);
  }

  /** Without a loss on this side since, the command before the last one was not answered when that was sent. */
  private serverSpeaks(input: Input): void {
    if (this.sentAhead) {
      this.sentAhead = false;
      if (input.timeNs >= this.commandNs) {
        this.pipelining = true;
        this.giveUp();
        return;
      }
    }
    this.serverNs = input.timeNs;
  }

  /** A packet that is understood, and part of no roundtrip. */
  private pass(lane: Lane, at: number, length: number, read: number): number {
    lane.skip = length - read;
    lane.continues = length === MAX_PAYLOAD_BYTES;
    lane.owner = null;
    lane.silent = true;
    lane.wireBytes = 0;
    return at + HEADER_BYTES + read;
  }

  // The server's side.

  private serverPacket(input: Input, bytes: Uint8Array, at: number, end: number, length: number): number {
    const { server } = this;
    if (this.phase === Phase.GREETING) return this.greeting(input, bytes, at, end, length);
    const command = this.pairing.head;
    if (command === null && !this.lossy && bytes[at + 3] === 0 && length > 0) {
      if (end - at <= HEADER_BYTES) return WAIT;
      // The server ends an idle connection: killed, or waited for too long.
      if (bytes[at + HEADER_BYTES] === Reply.ERR) return this.pass(server, at, length, 0);
    }
    if (command === null || (!command.begun && this.precedes(input, at, command))) {
      this.heard = true;
      return this.consume(server, null, input, at, length, 0);
    }
    if (command.next !== null && bytes[at + 3] === command.next.answerSequence && this.settle()) return at;
    // Sequence ids go on from those of the request; in compressed packets nobody minds them.
    const inSequence = command.begun || command.code === Com.CONNECT || this.unpacker !== null;
    if (!inSequence && bytes[at + 3] !== command.answerSequence) {
      this.loseAnswers();
      return at;
    }
    if (length > 0 && end - at <= HEADER_BYTES) return WAIT;
    const first = bytes[at + HEADER_BYTES];
    if (length > 0 && isPassedOver(command.stage, first, length)) {
      const progress = passOver(command, this.session);
      this.pairing.answer(command, input, at);
      const read = Math.min(length, end - at - HEADER_BYTES);
      const stop = this.consume(server, command, input, at, length, read);
      if (progress === Progress.DONE) server.finishes = true;
      if (server.skip === 0) this.skipped(server);
      return stop;
    }
    const read = this.readable(input, at, end, length);
    if (read === WAIT) return WAIT;
    const start = at + HEADER_BYTES;
    const progress = packet(command, this.session, bytes, start, start + read, length);
    if (progress === Progress.BAD) {
      this.loseAnswers();
      return at;
    }
    this.pairing.answer(command, input, at);
    const stop = this.consume(server, command, input, at, length, read);
    if (progress === Progress.DONE) server.finishes = true;
    if (server.skip === 0) this.skipped(server);
    return stop;
  }

  private greeting(input: Input, bytes: Uint8Array, at: number, end: number, length: number): number {
    if (end - at <= HEADER_BYTES) return WAIT;
    const start = at + HEADER_BYTES;
    if (bytes[at + 3] !== 0 || (bytes[start] !== PROTOCOL_VERSION && bytes[start] !== Reply.ERR)) {
      this.join();
      return at;
    }
    const read = this.readable(input, at, end, length);
    if (read === WAIT) return WAIT;
    const connect = this.pairing.pushConnect();
    const { exchange } = connect;
    exchange.responseFirstSegment = input.segmentAt(at);
    const stop = this.consume(this.server, connect, input, at, length, read);
    if (bytes[start] === Reply.ERR) {
      exchange.responseStartNs = input.timeAt(at);
      writeError(exchange, bytes, start, start + read);
      this.complete();
      this.phase = Phase.COMMANDS;
      return stop;
    }
    this.session.greeting(bytes, start, start + read);
    exchange.responseEndNs = -1;
    this.phase = Phase.LOGIN;
    return stop;
  }

  /** The answer is whole. */
  private complete(): void {
    const command = this.pairing.shift();
    const { session } = this;
    const { exchange } = command;
    const failed = exchange.status === StatusValue.ERROR;
    if (!command.lossFollows) this.heard = true;
    if (
      !this.lossy &&
      this.pairing.head !== null &&
      this.pairing.head.exchange.requestStartNs < exchange.responseStartNs
    ) {
      this.pipelining = true;
    }
    if (command.charset >= 0) this.readAs(command, failed);
    if (!failed) {
      exchange.status = StatusValue.OK;
      if (command.namespace !== null) session.useDatabase(command.namespace);
      if (command.user !== null) session.useUser(command.user);
      if (command.code === Com.CHANGE_USER || command.code === Com.RESET_CONNECTION)
        session.closeStatements();
    }
    if (command.code === Com.CONNECT) {
      if (this.phase === Phase.LOGIN) this.phase = Phase.COMMANDS;
      if (!failed && session.compressed) this.compress();
    }
    this.pairing.emit(command);
  }

  /** The server has carried out what changes how it reads statements, or not. */
  private readAs(command: Command, failed: boolean): void {
    const { session } = this;
    if (!failed) {
      // What the server itself has said is not overridden by what nobody knows.
      if (command.charset !== Charset.UNKNOWN) session.charset = command.charset as Charset;
    } else if (command.affectedRows < 0 && command.resultSets === 0) {
      session.charset = command.formerCharset as Charset;
    }
  }

  /** From here on both directions carry compressed packets. */
  private compress(): void {
    this.unpacker = new Unpacker(!this.session.has(Capability.COMPRESS));
  }

  /** Reads what is in compressed packets. */
  private unpackAll(unpacker: Unpacker, lane: Lane, input: Input, from: number): number {
    const { bytes, end } = input;
    let at = from;
    while (at < end && !this.isOver()) {
      const stop = unpacker.take(lane, input, bytes, at, end);
      if (stop < 0) {
        if (stop === DAMAGED) this.giveUp();
        break;
      }
      at = stop;
      const { plain } = lane;
      let read = 0;
      while (read < plain.end && !this.isOver()) {
        const next = this.step(lane, plain, plain.bytes, read, plain.end);
        if (next === WAIT) break;
        read = next;
      }
      lane.consumed(read);
    }
    return at;
  }

  // Loss.

  /** Boundaries of this direction's packets are lost, and whole commands or answers may be. */
  private lose(direction: Direction): void {
    const { session, client, server } = this;
    this.lossy = true;
    session.escapes = Escapes.UNKNOWN;
    session.charset = Charset.UNKNOWN;
    for (let command = this.pairing.head; command !== null; command = command.next)
      command.formerCharset = Charset.UNKNOWN;
    if (
      this.unpacker !== null ||
      (session.known && session.compressed) ||
      this.pipelining ||
      this.pairing.length > 2
    ) {
      this.giveUp();
      return;
    }
    if (this.phase === Phase.LOGIN) {
      this.pairing.flush(StatusValue.INCOMPLETE);
      this.phase = Phase.COMMANDS;
    }
    if (direction === Direction.CLIENT) {
      session.useDatabase(NO_FIELDS);
      session.useUser(NO_FIELDS);
      session.lastShape = null;
      this.heard = false;
      this.trust = 0;
      for (let command = this.pairing.head; command !== null; command = command.next)
        command.lossFollows = true;
      const inside = client.skip > 0 || client.continues;
      client.lose();
      if (!inside) return;
      this.pairing.flush(StatusValue.INCOMPLETE);
      server.lose();
      return;
    }
    // The client may have gone on before the loss was known.
    this.heard = true;
    if (this.pairing.length === 2) this.pairing.drop(StatusValue.INCOMPLETE);
    else this.pairing.flush(StatusValue.INCOMPLETE);
    server.lose();
  }

  /** What the server says is not the answer. */
  private loseAnswers(): void {
    this.lossy = true;
    if (this.pipelining) {
      this.giveUp();
      return;
    }
    this.pairing.flush(StatusValue.INCOMPLETE);
    if (this.phase === Phase.LOGIN) this.phase = Phase.COMMANDS;
    this.server.lose();
  }

  private giveUp(): void {
    this.pairing.flush(StatusValue.INCOMPLETE);
    this.over('opaque');
  }

  private isOver(): boolean {
    return this.phase === Phase.OVER;
  }

  private over(to: 'tls' | 'opaque'): void {
    // What is sent ahead of a login that ends in compression nobody here reads has no answers.
    this.pairing.flush(StatusValue.INCOMPLETE);
    this.phase = Phase.OVER;
    this.connection.handOver(to);
  }

  /** Passes over the client's bytes up to a packet that is plainly a command. */
  private findCommand(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    let match: Match = Match.NO;
    while (at < end) {
      if (!this.session.known) {
        match = matchCompressed(bytes, at, end);
        if (match === Match.YES) {
          this.giveUp();
          return at;
        }
        if (match === Match.MORE) break;
      }
      match = matchCommand(bytes, at, end, false);
      if (match !== Match.NO) break;
      at++;
    }
    if (match === Match.YES) this.client.lost = false;
    else if (at === from) return WAIT;
    this.connection.undecodable(at - from);
    return at;
  }

  /** Passes over the server's bytes until they begin with the first packet of an answer. */
  private findAnswer(input: Input, bytes: Uint8Array, at: number, end: number): number {
    const command = this.pairing.head;
    if (command !== null && !command.doubtful && !this.precedes(input, at, command)) {
      if (end - at <= HEADER_BYTES) return WAIT;
      if (bytes[at + 3] === command.answerSequence && uint24(bytes, at) > 0) {
        if (!this.session.known) {
          // The header of the client's compressed packet may have been in a segment of its own.
          const match = matchCompressedAnswer(bytes, at, end);
          if (match === Match.MORE) return WAIT;
          if (match === Match.YES) {
            this.giveUp();
            return at;
          }
        }
        this.server.lost = false;
        return at;
      }
      this.pairing.flush(StatusValue.INCOMPLETE);
    }
    this.heard = true;
    this.connection.undecodable(end - at);
    return end;
  }

  /** The server's byte at `at` came before the command: it does not answer it. */
  private precedes(input: Input, at: number, command: Command): boolean {
    return this.lossy && input.timeAt(at) < command.exchange.requestStartNs;
  }

  /** An answer that may be whole already is, for the client or the next answer goes on. */
  private settle(): boolean {
    const { head } = this.pairing;
    if (head === null || !isWholeWithoutEof(head, this.session)) return false;
    this.session.deprecateEof = 1;
    this.complete();
    return true;
  }
}
