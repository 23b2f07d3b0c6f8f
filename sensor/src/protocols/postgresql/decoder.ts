/**
 * A session of PostgreSQL: what the client sends becomes steps that the server answers in order.
 *
 * After bytes of either side are lost nobody can tell which answers belong to which steps; pairing goes
 * on when the client sends anew while the server's last word was ReadyForQuery, or when a client that is
 * known to wait for each answer sends anew. Requests in between are INCOMPLETE.
 */
import {
  Constant,
  encodeString,
  NO_FIELDS,
  PostgresqlTag,
  RoundTripTag,
  StatusValue,
  WireWriter,
} from '@packetd/proto';
import { Escapes, POSTGRESQL, type SqlShape, SqlShapes } from '../../redact/sql.js';
import { Charset, charsetNamed } from '../../redact/sql-charset.js';
import { type Connection, type Decoder, type DecoderOptions, Direction, type Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { Match, matchFrontend } from './probe.js';
import {
  affectedRows,
  Request,
  TRANSACTION_STATUS,
  writeError,
  writeOperation,
  writeShape,
} from './record.js';
import { Names, type Prepared } from './statements.js';
import { endsWithReady, type Step, StepKind, Steps } from './steps.js';
import {
  BACK_WANTED,
  Back,
  COMPLETES,
  ENDS_TURN,
  FRONT_WANTED,
  Front,
  HEADER_BYTES,
  int16,
  int32,
  isReady,
  MAX_MESSAGE_BYTES,
  MAX_STARTUP_BYTES,
  READY_BYTES,
  STARTUP_HEADER_BYTES,
  StartupCode,
  stringEnd,
} from './wire.js';

/** Without a pause this long, a client that sends before it has its answers is not paired again after a loss. */
const QUIET_NS = 1e9;
/** A client that has waited for its answers so often waits for the next; one that sent ahead once has to do so more often. */
const SOME_TURNS = 4;
const MANY_TURNS = 32;
/** Set in `Exchange.tag` while the operation is to be told by the command tag. */
const NO_OPERATION = 1;
/** Set in `Exchange.tag` of a connect: the server may yet answer with an older version. */
const NO_VERSION = 2;
const ANSWER_NO = 0x4e;
const ANSWER_SSL = 0x53;
const ANSWER_GSS = 0x47;
const [CONNECT, CANCEL, QUERY, EXECUTE, FUNCTION] = [
  'connect',
  'cancel',
  'query',
  'execute',
  'function_call',
].map((name) => Buffer.from(name));
/** First of the field `request` of a query behind its tag and length. */
const QUERY_LETTER = 0x71;

/** Shared by all sessions of a thread: statements repeat across them. */
const shapes = new SqlShapes(POSTGRESQL);
/** Off: backslashes escape in all strings. */
const STANDARD_STRINGS = 'standard_conforming_strings';
/** The character set of statements. */
const CLIENT_ENCODING = 'client_encoding';

const Stage = {
  /** Start-up packets, which have no type. */
  STARTUP: 0,
  /** The server's bare byte that answers SSLRequest or GSSENCRequest. */
  ASKED: 1,
  MESSAGES: 2,
} as const;

export class PostgresqlDecoder implements Decoder {
  private stage: number;
  private readonly steps = new Steps();
  private readonly statements = new Names<Prepared>();
  private readonly portals = new Names<Prepared>();
  /** Bytes of the running message that are passed over, per direction. */
  private readonly skip = [0, 0];
  private readonly lost = [false, false];
  /** Answers cannot be told apart until the next quiet moment. */
  private unsure: boolean;
  private readySeen = false;
  private serverSpokeLast = false;
  /** The client sends on before it has the ReadyForQuery that it is owed. */
  private overlaps = false;
  /** How often in a row it has waited for it, and whether its last message is one that is answered with it. */
  private turns = 0;
  private turnEnded = false;
  private lastNs = 0;
  /** When the server spoke last, or was known to have spoken. */
  private serverNs = 0;
  /** The server takes COPY data: it ignores Sync until CopyDone or CopyFail. */
  private copyIn = false;
  /** The client has ended COPY data that the server has not asked for yet. */
  private copyEnded = false;
  /** After an error everything up to the next Sync is passed over. */
  private failed = false;
  /** The error of a Parse, Bind or Describe, for the Execute that it stopped. */
  private heldError: Uint8Array | null = null;
  private failedStep: { shape: SqlShape | null; startNs: number; endNs: number; bytes: number } | null = null;
  /** First byte and bytes of the Parse, Bind and Describe before an Execute. */
  private batchNs = -1;
  private batchSegment = -1;
  private batchBytes = 0;
  /** The same of the answers to it. */
  private answerNs = -1;
  private answerSegment = -1;
  private answerBytes = 0;
  private rows = 0;
  private hasRows = false;
  private affected = -1;
  private completed = 0;
  private notices = 0;
  private copyBytes = -1;
  /** Some of it is lost, with nobody knows how many headers: there is no number to tell. */
  private copyLost = false;
  /** Database, user and protocol version, in wire format. */
  private session: Constant = NO_FIELDS;
  private version: Constant = NO_FIELDS;
  /** The client has spoken. */
  private begun = false;
  private handedOver = false;
  /** How the server reads statements, as it said last. */
  private escapes: Escapes = Escapes.UNKNOWN;
  private charset: Charset = Charset.UNKNOWN;
  /** A statement that may change it is not answered yet. */
  private changesReading = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {
    this.stage = connection.fromStart ? Stage.STARTUP : Stage.MESSAGES;
    this.unsure = !connection.fromStart;
  }

  data(input: Input): number {
    const { direction, bytes, end } = input;
    let at = input.start;
    if (!this.begun && direction === Direction.CLIENT && at < end) {
      this.begun = true;
      // A start-up packet is the first of a session whether its SYN was seen or not.
      if (bytes[at] === 0) {
        this.stage = Stage.STARTUP;
        this.unsure = false;
      }
    }
    while (at < end) {
      if (this.skip[direction] > 0) {
        const take = Math.min(this.skip[direction], end - at);
        this.skip[direction] -= take;
        at += take;
        continue;
      }
      if (this.lost[direction]) {
        const found =
          direction === Direction.CLIENT ? findFrontend(bytes, at, end) : findReady(bytes, at, end);
        const stop = found < 0 ? ~found : found;
        this.connection.undecodable(stop - at);
        if (found < 0) return stop;
        at = stop;
        this.lost[direction] = false;
      }
      const next = this.stage === Stage.MESSAGES ? this.message(input, at) : this.beforeMessages(input, at);
      if (next < 0) return at;
      at = next;
      if (this.handedOver) return at;
    }
    return at;
  }

  gap(direction: Direction, length: number, heldBytes: number, timeNs: number): void {
    if (direction === Direction.SERVER) this.serverNs = timeNs;
    const inside = length > 0 && heldBytes === 0 && length <= this.skip[direction];
    // Of the client's bytes only COPY data are known to belong to what is answered.
    if (this.copyBytes >= 0 && !inside) this.copyLost = true;
    if (this.copyBytes >= 0 || (inside && direction === Direction.SERVER)) {
      const exchange = this.steps.head?.exchange;
      if (exchange) exchange.missingBytes += length;
    }
    if (inside) {
      this.skip[direction] -= length;
      return;
    }
    this.lose(direction);
  }

  fin(): void {}

  close(status: number): void {
    const end = this.unsure && status !== StatusValue.RESET ? StatusValue.INCOMPLETE : status;
    while (this.steps.length > 0) {
      const head = this.steps.length;
      const { exchange } = this.steps.shift();
      if (exchange === null) continue;
      // An error is the answer, though no ReadyForQuery follows where the server ends the session.
      if (exchange.status === StatusValue.ERROR) {
        this.answered(exchange, exchange.responseEndNs, exchange.responseLastSegment, StatusValue.ERROR);
        continue;
      }
      const begun = this.answerNs >= 0 && head > 0;
      this.emit(exchange, begun && status !== StatusValue.RESET ? StatusValue.INCOMPLETE : end);
      this.resetAnswer();
    }
  }

  private lose(direction: Direction): void {
    this.skip[direction] = 0;
    this.lost[direction] = true;
    if (this.stage !== Stage.MESSAGES) this.stage = Stage.MESSAGES;
    this.copyIn = false;
    if (direction === Direction.SERVER) {
      this.dropSteps();
      this.forgetError();
      this.escapes = Escapes.UNKNOWN;
      this.charset = Charset.UNKNOWN;
    }
    this.unsure = true;
    this.readySeen = false;
    this.forgetBatch();
    if (direction === Direction.CLIENT) {
      this.turnEnded = false;
      // They may be others by now; named statements are hardly ever prepared again.
      this.statements.forgetUnnamed();
      this.portals.clear();
    }
  }

  /** What waits may have been answered in the gap. */
  private dropSteps(): void {
    while (this.steps.length > 0) {
      const { exchange } = this.steps.shift();
      if (exchange !== null) this.emit(exchange, StatusValue.INCOMPLETE);
    }
    this.resetAnswer();
  }

  /** Start-up packets of the client, and the bare byte of the server. */
  private beforeMessages(input: Input, at: number): number {
    const { direction, bytes, end } = input;
    if (direction === Direction.SERVER) {
      if (this.stage !== Stage.ASKED) return this.message(input, at);
      switch (bytes[at]) {
        case ANSWER_NO:
          this.stage = Stage.STARTUP;
          return at + 1;
        case ANSWER_SSL:
          this.handedOver = true;
          this.connection.handOver('tls');
          return at + 1;
        case ANSWER_GSS:
          this.handedOver = true;
          this.connection.handOver('opaque');
          return at + 1;
        default:
          // A server that does not know the request answers with an error.
          this.stage = Stage.MESSAGES;
          return this.message(input, at);
      }
    }
    if (end - at < STARTUP_HEADER_BYTES) return -1;
    const length = int32(bytes, at);
    const code = int32(bytes, at + 4);
    const stop = at + length;
    if (length < STARTUP_HEADER_BYTES || length > MAX_STARTUP_BYTES) {
      this.lose(direction);
      this.connection.undecodable(1);
      return at + 1;
    }
    if (stop > end) {
      input.need = length;
      return -1;
    }
    if (code === StartupCode.SSL || code === StartupCode.GSS) {
      this.stage = Stage.ASKED;
      return stop;
    }
    if (code === StartupCode.CANCEL) {
      const exchange = this.open(input, at, stop, Request.CANCEL);
      writeOperation(exchange, CANCEL, 0, CANCEL.length);
      exchange.requestBytes = length;
      this.emit(exchange, StatusValue.OK);
      return stop;
    }
    this.startup(input, at, stop, code);
    return stop;
  }

  /** StartupMessage: user and database; the rest of the login is nobody's business. */
  private startup(input: Input, at: number, stop: number, code: number): void {
    const { bytes } = input;
    this.stage = Stage.MESSAGES;
    this.version = protocolVersion(code);
    const w = new WireWriter(128);
    let user = -1;
    let userEnd = -1;
    let named = false;
    for (let from = at + STARTUP_HEADER_BYTES; from < stop && bytes[from] !== 0; ) {
      const keyEnd = stringEnd(bytes, from, stop);
      const valueEnd = keyEnd < 0 ? -1 : stringEnd(bytes, keyEnd + 1, stop);
      if (valueEnd < 0) break;
      const key = Buffer.from(bytes.subarray(from, keyEnd)).toString('latin1');
      if (key === 'user') {
        user = keyEnd + 1;
        userEnd = valueEnd;
      } else if (key === 'database') {
        named = true;
        w.text(PostgresqlTag.database, bytes, keyEnd + 1, valueEnd);
      }
      from = valueEnd + 1;
    }
    if (user >= 0) {
      w.text(PostgresqlTag.user, bytes, user, userEnd);
      // The database is the user's where none is named.
      if (!named) w.text(PostgresqlTag.database, bytes, user, userEnd);
    }
    this.session = new Constant(w);
    const exchange = this.open(input, at, stop, Request.CONNECT);
    exchange.requestBytes = stop - at;
    writeOperation(exchange, CONNECT, 0, CONNECT.length);
    exchange.tag = NO_VERSION;
    this.steps.push(StepKind.CONNECT, exchange);
  }

  /** The message at `at`: answers the position to go on from, or -1 where more bytes are needed. */
  private message(input: Input, at: number): number {
    const { direction, bytes, end } = input;
    if (end - at < HEADER_BYTES) return -1;
    const type = bytes[at];
    const wanted = (direction === Direction.CLIENT ? FRONT_WANTED : BACK_WANTED)[type];
    const length = int32(bytes, at + 1);
    if (wanted < 0 || length < 4 || length > MAX_MESSAGE_BYTES) {
      this.lose(direction);
      this.connection.undecodable(1);
      return at + 1;
    }
    const body = at + HEADER_BYTES;
    const stop = at + 1 + length;
    const need = Math.min(body + wanted, stop);
    if (need > end) {
      input.need = need - at;
      return -1;
    }
    if (direction === Direction.CLIENT) this.front(input, type, at, body, stop, need);
    else this.back(input, type, at, body, stop, need);
    if (stop <= end) return stop;
    this.skip[direction] = stop - end;
    return end;
  }

  private front(input: Input, type: number, at: number, body: number, stop: number, seen: number): void {
    const { bytes } = input;
    const length = stop - at;
    this.clientSpeaks(type, input.timeAt(at));
    switch (type) {
      case Front.QUERY: {
        const exchange = this.open(input, at, stop, Request.QUERY);
        exchange.requestBytes = length;
        const sqlEnd = seen === stop ? stop - 1 : seen;
        const shape = this.shape(bytes, body, Math.max(body, sqlEnd));
        if (!writeShape(exchange, shape)) exchange.tag = NO_OPERATION;
        this.changesReading ||= shape.changesReading;
        this.push(StepKind.QUERY, exchange);
        return;
      }
      case Front.PARSE: {
        this.addToBatch(input, at, length);
        const nameEnd = stringEnd(bytes, body, seen);
        const prepared = nameEnd < 0 ? null : this.prepare(bytes, body, nameEnd, seen);
        const step = this.push(StepKind.PARSE, null);
        if (step === null) return;
        step.prepared = prepared;
        step.startNs = input.timeAt(at);
        step.endNs = input.timeNs;
        step.bytes = length;
        return;
      }
      case Front.BIND: {
        this.addToBatch(input, at, length);
        this.push(StepKind.BIND, null);
        const portalEnd = stringEnd(bytes, body, seen);
        if (portalEnd < 0) return;
        const nameEnd = stringEnd(bytes, portalEnd + 1, seen);
        if (nameEnd < 0 || nameEnd + 3 > seen) {
          this.portals.delete(bytes, body, portalEnd);
          return;
        }
        const statement = this.statements.get(bytes, portalEnd + 1, nameEnd);
        const formats = int16(bytes, nameEnd + 1);
        const countAt = nameEnd + 3 + formats * 2;
        const parameters = countAt + 2 <= seen ? int16(bytes, countAt) : 0;
        this.portals.set(bytes, body, portalEnd, {
          shape: statement === undefined || (statement.refused && !this.failed) ? null : statement.shape,
          name: statement?.name ?? bytes.slice(portalEnd + 1, nameEnd),
          parameters,
          refused: false,
        });
        return;
      }
      case Front.DESCRIBE:
        this.addToBatch(input, at, length);
        this.push(StepKind.DESCRIBE, null);
        return;
      case Front.CLOSE: {
        this.push(StepKind.CLOSE, null);
        const nameEnd = stringEnd(bytes, body + 1, seen);
        if (nameEnd < 0) return;
        (bytes[body] === 0x53 ? this.statements : this.portals).delete(bytes, body + 1, nameEnd);
        return;
      }
      case Front.EXECUTE:
        this.execute(input, at, body, stop, seen);
        return;
      case Front.SYNC:
        this.forgetBatch();
        if (!this.copyIn) {
          const step = this.push(StepKind.SYNC, null);
          if (step !== null) step.followsCopy = this.copyEnded;
        }
        return;
      case Front.COPY_DONE:
      case Front.COPY_FAIL:
        this.copyEnded = !this.copyIn;
        this.copyIn = false;
        return;
      case Front.FUNCTION_CALL: {
        const exchange = this.open(input, at, stop, Request.FUNCTION_CALL);
        exchange.requestBytes = length;
        writeOperation(exchange, FUNCTION, 0, FUNCTION.length);
        this.push(StepKind.FUNCTION_CALL, exchange);
        return;
      }
      case Front.COPY_DATA: {
        const exchange = this.steps.head?.exchange;
        if (!exchange) return;
        exchange.requestBytes += length;
        exchange.requestEndNs = input.timeNs;
        exchange.requestLastSegment = input.segment;
        this.copyBytes = Math.max(0, this.copyBytes) + length - HEADER_BYTES;
      }
    }
  }

  private shape(bytes: Uint8Array, start: number, end: number): SqlShape {
    return this.changesReading
      ? shapes.shape(bytes, start, end, Escapes.UNKNOWN, Charset.UNKNOWN)
      : shapes.shape(bytes, start, end, this.escapes, this.charset);
  }

  /** Remembers the statement of a Parse whose name ends at `nameEnd`. */
  private prepare(bytes: Uint8Array, body: number, nameEnd: number, seen: number): Prepared {
    const sqlEnd = stringEnd(bytes, nameEnd + 1, seen);
    const shape = this.shape(bytes, nameEnd + 1, sqlEnd < 0 ? seen : sqlEnd);
    const prepared = { shape, name: bytes.slice(body, nameEnd), parameters: 0, refused: false };
    this.statements.set(bytes, body, nameEnd, prepared);
    return prepared;
  }

  private execute(input: Input, at: number, body: number, stop: number, seen: number): void {
    const { bytes } = input;
    this.copyEnded = false;
    const exchange = this.open(input, at, stop, Request.EXECUTE);
    exchange.requestBytes = stop - at + this.batchBytes;
    if (this.batchNs >= 0) {
      exchange.requestStartNs = this.batchNs;
      exchange.requestFirstSegment = this.batchSegment;
    }
    this.forgetBatch();
    const portalEnd = stringEnd(bytes, body, seen);
    const portal = portalEnd < 0 ? undefined : this.portals.get(bytes, body, portalEnd);
    exchange.tag = NO_OPERATION;
    if (portal !== undefined) {
      if (portal.shape !== null) {
        if (writeShape(exchange, portal.shape)) exchange.tag = 0;
        this.changesReading ||= portal.shape.changesReading;
      }
      const { name } = portal;
      if (name.length > 0) exchange.detail.text(PostgresqlTag.statementName, name, 0, name.length);
      exchange.detail.uintNonZero(PostgresqlTag.parameterCount, portal.parameters);
    }
    this.push(StepKind.EXECUTE, exchange);
  }

  /** Queues a step that the server will answer; null where it is not to be paired. */
  private push(kind: StepKind, exchange: Exchange | null): Step | null {
    if (this.unsure || this.steps.length >= this.options.maxPending) {
      if (exchange !== null) this.emit(exchange, StatusValue.INCOMPLETE);
      if (!this.unsure) {
        this.unsure = true;
        this.readySeen = false;
      }
      return null;
    }
    const step = this.steps.push(kind, exchange);
    if (this.failed) this.passOver();
    return step;
  }

  /** After a loss, pairing goes on with what the client sends while the server waits for it. */
  private clientSpeaks(type: number, timeNs: number): void {
    if (this.unsure && timeNs < this.serverNs) {
      // It was held back behind a gap, and may be answered by what the server has said since.
      if (COMPLETES[type] === 0) this.turnEnded = ENDS_TURN[type] === 1;
      return;
    }
    if (COMPLETES[type] === 0) {
      this.turn();
      this.turnEnded = ENDS_TURN[type] === 1;
    }
    if (this.serverSpokeLast) {
      // What was prepared before, without a Sync, is answered: it may be long ago.
      if (this.steps.length === 0 && !this.failed) {
        this.forgetBatch();
        this.resetAnswer();
      }
      if (
        this.steps.length === 0 &&
        this.unsure &&
        !this.lost[Direction.SERVER] &&
        (this.readySeen || this.lastNs === 0)
      ) {
        if (!this.overlaps || timeNs - this.lastNs >= QUIET_NS) this.unsure = false;
      }
    } else if (
      this.unsure &&
      this.lastNs === 0 &&
      !this.lost[Direction.SERVER] &&
      !this.connection.fromStart
    ) {
      // The first that is heard of a session joined in its midst.
      this.unsure = false;
    }
    this.serverSpokeLast = false;
    this.lastNs = timeNs;
  }

  /** A client that waits for each answer has had those before, be they lost: what it sends is answered next. */
  private turn(): void {
    if (this.steps.owedReady > 0) {
      this.overlaps = true;
      this.turns = 0;
    } else if (this.turnEnded && !this.unsure) {
      if (++this.turns >= MANY_TURNS) this.overlaps = false;
    } else if (this.turnEnded && !this.overlaps && this.turns >= SOME_TURNS && this.steps.length === 0) {
      this.unsure = false;
      // What comes is the beginning of an answer.
      this.lost[Direction.SERVER] = false;
    }
  }

  private back(input: Input, type: number, at: number, body: number, stop: number, seen: number): void {
    this.serverSpokeLast = true;
    this.lastNs = input.timeNs;
    this.serverNs = input.timeNs;
    this.readySeen = type === Back.READY;
    const head = this.steps.head;
    const length = stop - at;
    if (type === Back.PARAMETER_STATUS) this.parameter(head, input.bytes, body, seen);
    if (head === null) {
      // Whatever is lost, up to here the server has passed over what follows an error.
      if (type === Back.READY) this.forgetError();
      return;
    }
    switch (type) {
      case Back.NOTIFICATION:
        return;
      case Back.NOTICE:
        this.notices++;
        break;
      case Back.NEGOTIATE_VERSION:
        if (head.kind === StepKind.CONNECT && seen - body >= 4) {
          this.version = protocolVersion(int32(input.bytes, body));
        }
    }
    if (this.answerNs < 0) {
      this.answerNs = input.timeAt(at);
      this.answerSegment = input.segmentAt(at);
    }
    this.answerBytes += length;
    switch (type) {
      case Back.DATA_ROW:
        this.rows++;
        this.hasRows = true;
        return;
      case Back.ROW_DESCRIPTION:
      case Back.NO_DATA:
        this.hasRows ||= type === Back.ROW_DESCRIPTION && head.kind === StepKind.QUERY;
        if (head.kind === StepKind.DESCRIBE) this.steps.shift();
        return;
      case Back.PARSE_COMPLETE:
        if (head.kind === StepKind.PARSE) this.steps.shift();
        return;
      case Back.BIND_COMPLETE:
        if (head.kind === StepKind.BIND) this.steps.shift();
        return;
      case Back.CLOSE_COMPLETE:
        if (head.kind === StepKind.CLOSE) this.steps.shift();
        this.resetAnswer();
        return;
      case Back.COPY_IN:
        if (head.kind === StepKind.EXECUTE) this.steps.dropIgnoredSyncs();
        // How much was sent ahead of this is not known.
        if (this.copyEnded) return;
        this.copyIn = true;
        this.copyBytes = Math.max(0, this.copyBytes);
        return;
      case Back.COPY_OUT:
      case Back.COPY_BOTH:
        this.copyBytes = Math.max(0, this.copyBytes);
        return;
      case Back.COPY_DATA:
        this.copyBytes = Math.max(0, this.copyBytes) + length - HEADER_BYTES;
        return;
      case Back.COMMAND_COMPLETE:
      case Back.EMPTY_QUERY:
      case Back.PORTAL_SUSPENDED:
        this.complete(head, input, type, body, seen);
        return;
      case Back.ERROR:
        this.error(head, input, body, seen);
        return;
      case Back.READY:
        this.ready(input, body);
    }
  }

  /** A statement is done: the last of an Execute, one of a simple query. */
  private complete(head: Step, input: Input, type: number, body: number, seen: number): void {
    const { bytes } = input;
    const { exchange } = head;
    if (exchange === null || (head.kind !== StepKind.EXECUTE && head.kind !== StepKind.QUERY)) return;
    this.completed++;
    if (type === Back.COMMAND_COMPLETE) {
      const tagEnd = stringEnd(bytes, body, seen);
      if (tagEnd >= 0) {
        const affected = affectedRows(bytes, body, tagEnd);
        if (affected >= 0) this.affected = Math.max(0, this.affected) + affected;
        if (exchange.tag === NO_OPERATION) {
          let word = body;
          while (word < tagEnd && bytes[word] !== 0x20) word++;
          writeOperation(exchange, bytes, body, word);
          exchange.tag = 0;
        }
      }
    }
    if (this.copyIn) {
      // The server has had an end of the data that was lost here, with who knows how many of them.
      this.copyIn = false;
      this.copyBytes = -1;
    }
    if (head.kind === StepKind.QUERY) return;
    if (type === Back.PORTAL_SUSPENDED) exchange.detail.bool(PostgresqlTag.suspended, true);
    // Rows are counted even when there are none: an execution that describes nothing may return some.
    if (this.affected < 0) this.hasRows = true;
    this.steps.shift();
    this.answered(exchange, input.timeNs, input.segment, StatusValue.OK);
  }

  private error(head: Step, input: Input, body: number, seen: number): void {
    const { bytes } = input;
    const { exchange } = head;
    this.copyIn = false;
    switch (head.kind) {
      case StepKind.CONNECT:
        writeError(exchange!, bytes, body, seen);
        this.steps.shift();
        this.answered(exchange!, input.timeNs, input.segment, StatusValue.ERROR);
        return;
      case StepKind.QUERY:
      case StepKind.FUNCTION_CALL:
        // ReadyForQuery is still to come.
        if (exchange!.status !== StatusValue.ERROR) writeError(exchange!, bytes, body, seen);
        exchange!.status = StatusValue.ERROR;
        exchange!.responseEndNs = input.timeNs;
        exchange!.responseLastSegment = input.segment;
        return;
      case StepKind.SYNC:
        // A FATAL between queries, or a COPY that failed after its Sync.
        return;
      case StepKind.EXECUTE:
        writeError(exchange!, bytes, body, seen);
        this.steps.shift();
        this.failed = true;
        this.answered(exchange!, input.timeNs, input.segment, StatusValue.ERROR);
        break;
      default:
        this.failed = true;
        this.heldError = bytes.slice(body, seen);
        this.failedStep =
          head.kind === StepKind.PARSE
            ? {
                shape: head.prepared?.shape ?? null,
                startNs: head.startNs,
                endNs: head.endNs,
                bytes: head.bytes,
              }
            : null;
        refuse(this.steps.shift());
    }
    this.passOver();
  }

  /** After an error: the first request that was stopped carries it, the others are cancelled. */
  private passOver(): void {
    while (this.steps.length > 0 && this.steps.head!.kind !== StepKind.SYNC) {
      const step = this.steps.shift();
      const { exchange } = step;
      refuse(step);
      if (exchange === null) continue;
      if (this.heldError === null) {
        this.emit(exchange, StatusValue.CANCELLED);
        continue;
      }
      writeError(exchange, this.heldError, 0, this.heldError.length);
      this.heldError = null;
      this.failedStep = null;
      exchange.responseStartNs = this.answerNs;
      exchange.responseEndNs = this.lastNs;
      exchange.responseFirstSegment = this.answerSegment;
      exchange.responseLastSegment = this.answerSegment;
      exchange.responseBytes = this.answerBytes;
      this.emit(exchange, StatusValue.ERROR);
      this.resetAnswer();
    }
  }

  private ready(input: Input, body: number): void {
    let head = this.steps.head;
    while (head !== null && !endsWithReady(head.kind)) {
      // Steps that the server never answered: the pairing has lost its way.
      const { exchange } = this.steps.shift();
      if (exchange !== null) this.emit(exchange, StatusValue.INCOMPLETE);
      head = this.steps.head;
    }
    if (head === null || head.kind !== StepKind.SYNC) this.forgetError();
    if (head === null) {
      this.resetAnswer();
      return;
    }
    const { kind, exchange } = this.steps.shift();
    if (this.steps.length === 0) this.changesReading = false;
    if (kind === StepKind.SYNC) {
      this.syncAfterError();
      this.resetAnswer();
      return;
    }
    if (exchange === null) return;
    if (kind === StepKind.QUERY) {
      const status = TRANSACTION_STATUS[input.bytes[body]];
      if (status !== undefined) exchange.detail.constant(status);
      if (this.completed > 1) exchange.detail.uint(PostgresqlTag.statements, this.completed);
    }
    this.answered(
      exchange,
      input.timeNs,
      input.segment,
      exchange.status === StatusValue.ERROR ? StatusValue.ERROR : StatusValue.OK,
    );
  }

  /** A statement that could not be prepared, and that nobody tried to execute, is a record of its own. */
  private syncAfterError(): void {
    const step = this.failedStep;
    if (this.failed && this.heldError !== null && step !== null) {
      const exchange = this.connection.pool.take();
      exchange.envelope.constant(this.version);
      exchange.detail.constant(Request.PARSE);
      exchange.detail.constant(this.session);
      exchange.requestStartNs = step.startNs;
      exchange.requestEndNs = step.endNs;
      exchange.requestBytes = step.bytes;
      exchange.responseStartNs = this.answerNs;
      exchange.responseEndNs = this.lastNs;
      exchange.responseBytes = this.answerBytes;
      if (step.shape === null || !writeShape(exchange, step.shape)) exchange.tag = NO_OPERATION;
      writeError(exchange, this.heldError, 0, this.heldError.length);
      this.emit(exchange, StatusValue.ERROR);
    }
    this.forgetError();
  }

  private forgetError(): void {
    this.failed = false;
    this.heldError = null;
    this.failedStep = null;
  }

  private parameter(head: Step | null, bytes: Uint8Array, body: number, seen: number): void {
    const keyEnd = stringEnd(bytes, body, seen);
    const valueEnd = keyEnd < 0 ? -1 : stringEnd(bytes, keyEnd + 1, seen);
    if (valueEnd < 0) return;
    const key = Buffer.from(bytes.subarray(body, keyEnd)).toString('latin1');
    if (key === STANDARD_STRINGS) {
      // `on` or `off`.
      this.escapes = bytes[valueEnd - 1] === 0x66 ? Escapes.YES : Escapes.NO;
    } else if (key === CLIENT_ENCODING) {
      this.charset = charsetNamed(Buffer.from(bytes.subarray(keyEnd + 1, valueEnd)).toString('latin1'));
    } else if (key === 'server_version' && head !== null && head.kind === StepKind.CONNECT) {
      head.exchange!.detail.text(PostgresqlTag.serverVersion, bytes, keyEnd + 1, valueEnd);
    }
  }

  /** Writes what the answers said, and emits. */
  private answered(exchange: Exchange, endNs: number, endSegment: number, status: number): void {
    const { detail } = exchange;
    exchange.responseStartNs = this.answerNs;
    exchange.responseEndNs = endNs;
    exchange.responseFirstSegment = this.answerSegment;
    exchange.responseLastSegment = endSegment;
    exchange.responseBytes = this.answerBytes;
    if (this.hasRows) detail.uint(PostgresqlTag.returnedRows, this.rows);
    if (this.affected >= 0) detail.uint(PostgresqlTag.affectedRows, this.affected);
    detail.uintNonZero(PostgresqlTag.notices, this.notices);
    if (this.copyBytes >= 0 && !this.copyLost) detail.uint(PostgresqlTag.copyBytes, this.copyBytes);
    this.emit(exchange, status);
    this.resetAnswer();
  }

  private resetAnswer(): void {
    this.answerNs = -1;
    this.answerSegment = -1;
    this.answerBytes = 0;
    this.rows = 0;
    this.hasRows = false;
    this.affected = -1;
    this.completed = 0;
    this.notices = 0;
    this.copyBytes = -1;
    this.copyLost = false;
  }

  private forgetBatch(): void {
    this.batchNs = -1;
    this.batchBytes = 0;
  }

  private addToBatch(input: Input, at: number, length: number): void {
    if (this.batchNs < 0) {
      this.batchNs = input.timeAt(at);
      this.batchSegment = input.segmentAt(at);
    }
    this.batchBytes += length;
  }

  private open(input: Input, at: number, stop: number, request: Constant): Exchange {
    const exchange = this.connection.pool.take();
    const last = Math.min(stop, input.end) - 1;
    exchange.requestStartNs = input.timeAt(at);
    exchange.requestEndNs = input.timeAt(last);
    exchange.requestFirstSegment = input.segmentAt(at);
    exchange.requestLastSegment = input.segmentAt(last);
    if (request !== Request.CONNECT) exchange.envelope.constant(this.version);
    exchange.detail.constant(request);
    exchange.detail.constant(this.session);
    return exchange;
  }

  private emit(exchange: Exchange, status: number): void {
    if (exchange.tag === NO_OPERATION) {
      // No text, and no command tag: it is named by how it was asked.
      const name = exchange.detail.bytes[2] === QUERY_LETTER ? QUERY : EXECUTE;
      writeOperation(exchange, name, 0, name.length);
    } else if (exchange.tag === NO_VERSION) exchange.envelope.constant(this.version);
    exchange.status = status;
    this.connection.emit(exchange);
  }
}

function refuse({ prepared }: Step): void {
  if (prepared !== null) prepared.refused = true;
}

/** Of a StartupMessage or NegotiateProtocolVersion: major version in the high 16 bits, minor in the low. */
function protocolVersion(code: number): Constant {
  return encodeString(RoundTripTag.protocolVersion, `${code >> 16}.${code & 0xffff}`);
}

/** Position of the first ReadyForQuery; else ~position from which on bytes must be kept. */
function findReady(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at + READY_BYTES <= end; at++) if (isReady(bytes, at)) return at;
  return ~Math.max(start, end - READY_BYTES + 1);
}

/** Position from which on the bytes are messages of a client; else ~position from which on bytes must be kept. */
function findFrontend(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (FRONT_WANTED[bytes[at]] < 0 || (at + 1 < end && bytes[at + 1] !== 0)) continue;
    const match = matchFrontend(bytes, at, end);
    if (match === Match.YES) return at;
    if (match === Match.MORE) return ~at;
  }
  return ~end;
}
