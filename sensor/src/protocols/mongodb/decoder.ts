/**
 * Messages of both directions into roundtrips, by requestID and responseTo.
 *
 * Documents are walked as they come, so a batch of many megabytes costs no memory; bodies that are
 * compressed are held whole, as long as they fit.
 */
import { MongodbTag, RoundTripTag, StatusValue } from '@packetd/proto';
import { sanitiseMessage } from '../../redact/message.js';
import { type Connection, type Decoder, type DecoderOptions, Direction, type Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { type Command, command } from './commands.js';
import { isReadable, unpack } from './compression.js';
import { Message, NO_BYTES, State } from './message.js';
import { findMessage } from './resync.js';
import {
  CHECKSUM_BYTES,
  COMPRESSED_BYTES,
  COMPRESSORS,
  HEADER_BYTES,
  int32,
  LEGACY_COMMANDS,
  MAX_MESSAGE_BYTES,
  MsgFlag,
  OPCODE_NAMES,
  Opcode,
  REPLY_BYTES,
  ReplyFlag,
} from './wire.js';

/** Largest compressed body that is held. */
const MAX_PACKED_BYTES = 1 << 20;
const MAX_NAMESPACE_BYTES = 256;
/** What a script of the client's threw, in its own words: not recorded. */
const JS_INTERPRETER_FAILURE = 139;
/** Marks in `Exchange.tag`. */
const Mark = {
  /** hello over an exhaust cursor answers for ever: the first answer is the record. */
  FIRST_REPLY_ONLY: 1,
  BULK_WRITE: 2,
} as const;

export class MongodbDecoder implements Decoder {
  private readonly messages: readonly [Message, Message] = [new Message(), new Message()];
  private readonly lost = [false, false];
  /** Requests that wait, by requestID. */
  private readonly pending = new Map<number, Exchange>();
  /** The reply of an exhaust cursor that came last, and the request it belongs to. */
  private exhaustId = 0;
  private exhaust: Exchange | null = null;
  private exhaustReplies = 0;
  private exhaustDocuments = 0;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {}

  data(input: Input): number {
    const { direction, bytes, end } = input;
    const message = this.messages[direction];
    let at = input.start;
    while (at < end) {
      if (this.lost[direction]) {
        const found = findMessage(bytes, at, end, direction, this.pending);
        const stop = found < 0 ? ~found : found;
        this.connection.undecodable(stop - at);
        at = stop;
        if (found < 0) return at;
        this.lost[direction] = false;
      }
      if (message.left === 0) {
        if (end - at < HEADER_BYTES) return at;
        if (!this.begin(message, input, at)) {
          this.lost[direction] = true;
          this.connection.undecodable(1);
          at++;
          continue;
        }
        at += HEADER_BYTES;
      }
      const limit = Math.min(end, at + message.left);
      const whole = at + message.left === limit;
      const consumed = this.body(message, bytes, at, limit, input);
      message.left -= consumed - at;
      at = consumed;
      if (message.left > 0) {
        if (!whole) return at;
        // All of it is there, and it does not add up.
        this.connection.undecodable(message.left);
        message.damaged = true;
        at += message.left;
        message.left = 0;
      }
      this.end(message, input, at - 1);
    }
    return at;
  }

  gap(direction: Direction, length: number, heldBytes: number, timeNs: number): void {
    const message = this.messages[direction];
    const missing = length + heldBytes;
    if (message.left > 0 && length > 0 && missing <= message.left) {
      const { walker } = message;
      if (message.exchange !== null) {
        message.exchange.missingBytes += length;
        count(message.exchange, direction, missing);
      }
      if (heldBytes === 0 && message.state === State.DOCUMENT && !walker.done && length <= walker.skipping) {
        walker.pass(length);
      } else if (
        heldBytes === 0 &&
        message.state === State.SEQUENCE_DOCUMENTS &&
        length <= message.documentLeft
      ) {
        message.documentLeft -= length;
        message.sequenceLeft -= length;
      } else if (message.state !== State.REST) {
        message.damaged = true;
        message.state = State.REST;
      }
      message.left -= missing;
      if (message.left === 0) this.close1(message, timeNs, -1);
      return;
    }
    this.giveUp(message);
    this.lost[direction] = true;
    if (direction === Direction.SERVER) {
      // Their answers may be what was lost.
      for (const exchange of this.pending.values()) exchange.status = StatusValue.INCOMPLETE;
    }
  }

  fin(): void {}

  close(status: number): void {
    for (const message of this.messages) this.giveUp(message);
    for (const exchange of this.pending.values()) {
      const doubtful = exchange.status === StatusValue.INCOMPLETE && status === StatusValue.NO_RESPONSE;
      this.finish(exchange, doubtful ? StatusValue.INCOMPLETE : status);
    }
    this.pending.clear();
    if (this.exhaust !== null) {
      this.finish(this.exhaust, status === StatusValue.RESET ? status : StatusValue.INCOMPLETE);
      this.exhaust = null;
    }
  }

  /** Takes the header at `at`; false where it is none. */
  private begin(message: Message, input: Input, at: number): boolean {
    const { bytes, direction } = input;
    const length = int32(bytes, at);
    const opcode = int32(bytes, at + 12);
    if (length < HEADER_BYTES || length > MAX_MESSAGE_BYTES + HEADER_BYTES) return false;
    if (!OPCODE_NAMES.has(opcode)) return false;
    message.begin(int32(bytes, at + 4), int32(bytes, at + 8), opcode, length - HEADER_BYTES);
    message.isReply = direction === Direction.SERVER;
    if (message.isReply) {
      message.exchange = this.awaited(message.responseTo);
      const { exchange } = message;
      message.reply.ofBulkWrite = exchange?.tag === Mark.BULK_WRITE;
      if (exchange !== null && exchange.responseStartNs < 0) {
        exchange.responseStartNs = input.timeAt(at);
        exchange.responseFirstSegment = input.segmentAt(at);
      }
    } else {
      const exchange = this.connection.pool.take();
      exchange.requestStartNs = input.timeAt(at);
      exchange.requestFirstSegment = input.segmentAt(at);
      message.exchange = exchange;
    }
    if (message.exchange !== null) count(message.exchange, direction, HEADER_BYTES);
    return true;
  }

  /** The request that a reply with this responseTo answers. */
  private awaited(responseTo: number): Exchange | null {
    if (this.exhaust !== null && responseTo === this.exhaustId) return this.exhaust;
    return this.pending.get(responseTo) ?? null;
  }

  /** The id of an exhaust cursor's last reply may also be that of another request, which still waits. */
  private answered(responseTo: number, exchange: Exchange): void {
    if (this.pending.get(responseTo) === exchange) this.pending.delete(responseTo);
  }

  /** Goes on with a message over [at, limit), which ends with it or before. Answers what it consumed. */
  private body(message: Message, bytes: Uint8Array, at: number, limit: number, input: Input | null): number {
    const from = at;
    const to = this.parse(message, bytes, at, limit, at + message.left, input);
    if (message.exchange !== null && input !== null) count(message.exchange, input.direction, to - from);
    return to;
  }

  private parse(
    message: Message,
    bytes: Uint8Array,
    at: number,
    limit: number,
    messageEnd: number,
    input: Input | null,
  ): number {
    while (at < limit) {
      switch (message.state) {
        case State.PREFIX: {
          const next = this.prefix(message, bytes, at, limit, limit === messageEnd, input);
          if (next < 0) return at;
          at = next;
          break;
        }
        case State.SECTION_KIND: {
          if ((message.flags & MsgFlag.CHECKSUM) !== 0 && messageEnd - at <= CHECKSUM_BYTES) {
            message.state = State.REST;
            break;
          }
          const kind = bytes[at];
          if (kind > 1) {
            message.damaged = true;
            message.state = State.REST;
            break;
          }
          at++;
          if (kind === 0) message.beginDocument();
          else message.state = State.SEQUENCE;
          break;
        }
        case State.SEQUENCE: {
          const zero = limit - at > 4 ? bytes.indexOf(0, at + 4) : -1;
          if (zero < 0 || zero >= limit) {
            if (limit - at > MAX_NAMESPACE_BYTES) message.state = State.REST;
            else return at;
            break;
          }
          message.sequenceLeft = int32(bytes, at) - (zero + 1 - at);
          message.carriesDocuments = !isNamespaces(bytes, at + 4, zero);
          at = zero + 1;
          message.state = message.sequenceLeft < 0 ? State.REST : State.SEQUENCE_DOCUMENTS;
          break;
        }
        case State.SEQUENCE_DOCUMENTS: {
          if (message.sequenceLeft === 0) {
            message.state = State.SECTION_KIND;
            break;
          }
          if (message.documentLeft > 0) {
            const take = Math.min(message.documentLeft, limit - at);
            message.documentLeft -= take;
            message.sequenceLeft -= take;
            at += take;
            break;
          }
          if (limit - at < 4) return at;
          const size = int32(bytes, at);
          if (size < 5 || size > message.sequenceLeft) {
            message.damaged = true;
            message.state = State.REST;
            break;
          }
          if (message.carriesDocuments) message.documentsSent++;
          message.documentLeft = size;
          break;
        }
        case State.DOCUMENT: {
          at = message.walker.walk(bytes, at, limit, message.visitor);
          if (!message.walker.done) return at;
          if (message.walker.malformed) {
            message.damaged = true;
            message.state = State.REST;
          } else message.state = message.opcode === Opcode.MSG ? State.SECTION_KIND : State.REST;
          break;
        }
        case State.REST:
          return limit;
      }
    }
    return at;
  }

  /** What stands before the first document. Answers the position behind it, or -1 where more is needed. */
  private prefix(
    message: Message,
    bytes: Uint8Array,
    at: number,
    limit: number,
    last: boolean,
    input: Input | null,
  ): number {
    const { opcode, request } = message;
    switch (opcode) {
      case Opcode.MSG:
        if (limit - at < 4) return -1;
        message.flags = int32(bytes, at);
        message.state = State.SECTION_KIND;
        return at + 4;
      case Opcode.COMPRESSED:
        return this.packed(message, bytes, at, limit, last, input);
      case Opcode.REPLY: {
        if (limit - at < REPLY_BYTES) return -1;
        message.flags = int32(bytes, at);
        const documents = int32(bytes, at + 16);
        message.reply.documents = documents;
        if (documents > 0) message.beginDocument();
        else message.state = State.REST;
        return at + REPLY_BYTES;
      }
      case Opcode.COMMAND_REPLY:
        message.beginDocument();
        return at;
      case Opcode.COMMAND: {
        // database, command, metadata, arguments
        const database = this.cstring(bytes, at, limit);
        const name = database < 0 ? -1 : this.cstring(bytes, database + 1, limit);
        if (name < 0) return this.tooLong(message, at, limit);
        request.database = bytes.slice(at, database);
        message.beginDocument();
        return name + 1;
      }
      case Opcode.KILL_CURSORS:
        request.command = command(LEGACY_COMMANDS.get(opcode)!);
        message.state = State.REST;
        return at;
      default: {
        const end = limit - at < 5 ? -1 : this.cstring(bytes, at + 4, limit);
        if (end < 0) return this.tooLong(message, at, limit);
        const isCommand = namespace(message, bytes, at + 4, end);
        if (opcode !== Opcode.QUERY) {
          request.command = command(LEGACY_COMMANDS.get(opcode)!);
          message.state = State.REST;
          return end + 1;
        }
        if (limit - end - 1 < 8) return -1;
        if (!isCommand) request.plain(command('find'));
        else request.collection = NO_BYTES;
        message.beginDocument();
        return end + 9;
      }
    }
  }

  /** OP_COMPRESSED: waits for the whole, unpacks it and reads it as the message it is. */
  private packed(
    message: Message,
    bytes: Uint8Array,
    at: number,
    limit: number,
    last: boolean,
    input: Input | null,
  ): number {
    if (limit - at < COMPRESSED_BYTES) return -1;
    const compressor = bytes[at + 8];
    message.compressor = compressor;
    const wanted = message.left;
    if (
      wanted > MAX_PACKED_BYTES - HEADER_BYTES ||
      input === null ||
      !isReadable(compressor, int32(bytes, at + 4))
    ) {
      message.damaged = true;
      message.unread = true;
      message.state = State.REST;
      return at;
    }
    if (!last) {
      input.need = wanted;
      return -1;
    }
    const inner = int32(bytes, at);
    const body = unpack(compressor, bytes, at + COMPRESSED_BYTES, limit, int32(bytes, at + 4));
    message.state = State.REST;
    if (body === null || !OPCODE_NAMES.has(inner) || inner === Opcode.COMPRESSED) {
      message.damaged = true;
      return limit;
    }
    message.opcode = inner;
    message.state = State.PREFIX;
    const { left } = message;
    message.left = body.length;
    const consumed = this.body(message, body, 0, body.length, null);
    if (consumed < body.length) message.damaged = true;
    message.left = left;
    message.state = State.REST;
    return limit;
  }

  private cstring(bytes: Uint8Array, at: number, limit: number): number {
    const zero = bytes.indexOf(0, at);
    return zero >= limit ? -1 : zero;
  }

  private tooLong(message: Message, at: number, limit: number): number {
    if (limit - at < 2 * MAX_NAMESPACE_BYTES) return -1;
    message.damaged = true;
    message.state = State.REST;
    return at;
  }

  /** The last byte of a message, at `last`, was seen. */
  private end(message: Message, input: Input, last: number): void {
    this.close1(message, input.timeAt(last), input.segmentAt(last));
  }

  private close1(message: Message, timeNs: number, segment: number): void {
    const { exchange } = message;
    message.exchange = null;
    if (exchange === null) return;
    if (message.isReply) this.reply(message, exchange, timeNs, segment);
    else this.request(message, exchange, timeNs, segment);
  }

  private request(message: Message, exchange: Exchange, timeNs: number, segment: number): void {
    const { request } = message;
    exchange.requestEndNs = timeNs;
    exchange.requestLastSegment = segment;
    if (request.command === null && message.compressor < 0) {
      // Bytes that look like a message, but say nothing: less is said rather than something wrong.
      this.connection.pool.release(exchange);
      return;
    }
    this.writeRequest(message, exchange, request.command);
    const unacknowledged =
      (message.opcode === Opcode.MSG && (message.flags & MsgFlag.MORE_TO_COME) !== 0) ||
      (LEGACY_COMMANDS.has(message.opcode) && message.opcode !== Opcode.GET_MORE);
    if (unacknowledged) {
      exchange.detail.bool(MongodbTag.unacknowledged, true);
      this.finish(exchange, StatusValue.OK);
      return;
    }
    if (this.pending.size >= this.options.maxPending) {
      this.finish(exchange, StatusValue.INCOMPLETE);
      return;
    }
    const older = this.pending.get(message.requestId);
    if (older !== undefined) {
      // The rest of its reply, should one be half read, is nobody's.
      const reply = this.messages[Direction.SERVER];
      if (reply.exchange === older) reply.exchange = null;
      this.finish(older, StatusValue.INCOMPLETE);
    }
    const name = request.command?.name;
    if (name === 'hello' || name === 'isMaster' || name === 'ismaster') exchange.tag = Mark.FIRST_REPLY_ONLY;
    else if (name === 'bulkWrite') exchange.tag = Mark.BULK_WRITE;
    this.pending.set(message.requestId, exchange);
  }

  private writeRequest(message: Message, exchange: Exchange, name: Command | null): void {
    const { detail, envelope } = exchange;
    const { request } = message;
    if (name === null) {
      exchange.operation('compressed');
      detail.string(MongodbTag.command, 'compressed');
    } else {
      envelope.constant(name.operation);
      detail.constant(name.detail);
    }
    const { database, collection, text } = request;
    if (database.length > 0) detail.text(MongodbTag.database, database, 0, database.length);
    if (collection.length > 0) {
      detail.text(MongodbTag.collection, collection, 0, collection.length);
      envelope.text(RoundTripTag.target, collection, 0, collection.length);
      if (name !== null) writeSummary(exchange, name, collection);
    } else if (name !== null) detail.string(MongodbTag.querySummary, name.name);
    if (text.length > 2 && !message.damaged) detail.text(MongodbTag.queryText, text.bytes, 0, text.length);
    detail.string(MongodbTag.opcode, OPCODE_NAMES.get(message.opcode)!);
    detail.int(MongodbTag.requestId, message.requestId);
    if (request.cursorId !== '') detail.string(MongodbTag.cursorId, request.cursorId);
    if (!message.damaged) detail.uintNonZero(MongodbTag.documentsSent, message.documentsSent);
    writeCompressor(exchange, message.compressor);
  }

  private reply(message: Message, exchange: Exchange, timeNs: number, segment: number): void {
    const { reply } = message;
    if (message.damaged && message.opcode !== Opcode.REPLY) reply.uncount();
    exchange.responseEndNs = timeNs;
    exchange.responseLastSegment = segment;
    const more = message.opcode === Opcode.MSG && (message.flags & MsgFlag.MORE_TO_COME) !== 0;
    this.answered(message.responseTo, exchange);
    if (more && exchange.tag !== Mark.FIRST_REPLY_ONLY) {
      if (exchange !== this.exhaust) {
        if (this.exhaust !== null) this.finish(this.exhaust, StatusValue.INCOMPLETE);
        this.exhaust = exchange;
        this.exhaustReplies = 0;
        this.exhaustDocuments = 0;
      }
      this.exhaustReplies++;
      this.exhaustDocuments += message.damaged ? Number.NaN : Math.max(0, reply.documents);
      this.exhaustId = message.requestId;
      return;
    }
    if (exchange === this.exhaust) {
      this.exhaust = null;
      reply.documents = message.damaged ? -1 : Math.max(0, reply.documents) + this.exhaustDocuments;
      exchange.detail.uint(MongodbTag.furtherReplies, this.exhaustReplies);
    }
    this.writeReply(message, exchange);
  }

  private writeReply(message: Message, exchange: Exchange): void {
    const { reply } = message;
    const { detail } = exchange;
    if (reply.documents >= 0) detail.uint(MongodbTag.documentsReturned, reply.documents);
    if (reply.affected >= 0) detail.uint(MongodbTag.affected, reply.affected);
    if (reply.cursorId !== '') detail.string(MongodbTag.cursorId, reply.cursorId);
    const queryFailed =
      message.opcode === Opcode.REPLY &&
      (message.flags & (ReplyFlag.QUERY_FAILURE | ReplyFlag.CURSOR_NOT_FOUND)) !== 0;
    if (reply.ok === 0 || reply.failed || queryFailed) {
      this.writeError(message, exchange);
      this.finish(exchange, StatusValue.ERROR);
      return;
    }
    // What tells of an error may be what was lost.
    const known = message.damaged
      ? message.unread
      : !Number.isNaN(reply.ok) || message.opcode === Opcode.REPLY;
    this.finish(exchange, known ? StatusValue.OK : StatusValue.INCOMPLETE);
  }

  private writeError(message: Message, exchange: Exchange): void {
    const { code, codeName, errorMessage } = message.reply;
    const { detail, envelope } = exchange;
    if (code !== 0) detail.string(MongodbTag.statusCode, String(code));
    if (codeName.length > 0) {
      detail.text(MongodbTag.errorName, codeName, 0, codeName.length);
      envelope.text(RoundTripTag.errorType, codeName, 0, codeName.length);
    } else exchange.errorType(code === 0 ? 'error' : String(code));
    if (errorMessage.length > 0 && code !== JS_INTERPRETER_FAILURE) {
      const text = sanitiseMessage(errorMessage, 0, errorMessage.length);
      detail.text(MongodbTag.errorMessage, text, 0, text.length);
    }
  }

  /** The rest of a message will not come. */
  private giveUp(message: Message): void {
    const { exchange } = message;
    if (message.left === 0 && exchange === null) return;
    message.left = 0;
    message.exchange = null;
    if (exchange === null) return;
    if (message.isReply) {
      this.answered(message.responseTo, exchange);
      if (exchange === this.exhaust) this.exhaust = null;
      this.finish(exchange, StatusValue.INCOMPLETE);
    } else if (message.request.command === null) {
      this.connection.pool.release(exchange);
    } else {
      this.writeRequest(message, exchange, message.request.command);
      this.finish(exchange, StatusValue.INCOMPLETE);
    }
  }

  private finish(exchange: Exchange, status: number): void {
    exchange.status = status;
    this.connection.emit(exchange);
  }
}

/** `database.collection`; true where it is a database's `$cmd`. */
function namespace(message: Message, bytes: Uint8Array, start: number, end: number): boolean {
  let dot = start;
  while (dot < end && bytes[dot] !== 0x2e) dot++;
  message.request.database = bytes.slice(start, dot);
  message.request.collection = bytes.slice(Math.min(dot + 1, end), end);
  const { collection } = message.request;
  return collection.length === 4 && collection[0] === 0x24 && collection[1] === 0x63;
}

const NAMESPACES = Buffer.from('nsInfo');

/** The sequence of bulkWrite that names the collections; the other one is `ops`. */
function isNamespaces(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== NAMESPACES.length) return false;
  for (let i = 0; i < NAMESPACES.length; i++) if (bytes[start + i] !== NAMESPACES[i]) return false;
  return true;
}

function writeCompressor(exchange: Exchange, compressor: number): void {
  if (compressor > 0 && compressor < COMPRESSORS.length) {
    exchange.detail.string(MongodbTag.compressor, COMPRESSORS[compressor]);
  }
}

const summary = new Uint8Array(512);

/** `find users` */
function writeSummary(exchange: Exchange, name: Command, collection: Uint8Array): void {
  let length = 0;
  for (let i = 0; i < name.name.length; i++) summary[length++] = name.name.charCodeAt(i);
  summary[length++] = 0x20;
  for (let i = 0; i < collection.length && length < summary.length; i++) summary[length++] = collection[i];
  exchange.detail.text(MongodbTag.querySummary, summary, 0, length);
}

function count(exchange: Exchange, direction: Direction, bytes: number): void {
  if (direction === Direction.CLIENT) exchange.requestBytes += bytes;
  else exchange.responseBytes += bytes;
}
