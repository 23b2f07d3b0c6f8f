/** One direction of a connection: the message it is in, and what was found in it so far. */
import type { Exchange } from '../exchange.js';
import { type Command, commandNamed } from './commands.js';
import { CommandText } from './text.js';
import { MAX_VALUE_BYTES, type Visitor, Walker } from './walker.js';
import { Bson, int32, numberAt } from './wire.js';

/** What the next byte of a message is. */
export const State = {
  /** The fixed fields of the opcode. */
  PREFIX: 0,
  SECTION_KIND: 1,
  /** Size and name of a document sequence. */
  SEQUENCE: 2,
  /** Inside the walked document. */
  DOCUMENT: 3,
  /** The documents of a sequence: `sequenceLeft` bytes. */
  SEQUENCE_DOCUMENTS: 4,
  /** Nothing of interest up to the message's end. */
  REST: 5,
} as const;
export type State = (typeof State)[keyof typeof State];

/** Contexts of the walker. */
const Context = {
  REQUEST: 1,
  /** Below a request's top level, in a document and in a list. */
  TEXT: 2,
  TEXT_LIST: 3,
  REPLY: 4,
  CURSOR: 5,
  BATCH: 6,
  WRITE_ERRORS: 7,
  ERROR: 8,
  /** A request whose command stands in `$query` (OP_QUERY with options). */
  WRAPPED: 9,
  /** What became of the operations of a bulkWrite. */
  WRITE_RESULTS: 10,
} as const;

export const NO_BYTES = new Uint8Array(0);

export class Message {
  readonly walker = new Walker();
  /** Bytes of the message that are still to come; 0 between messages. */
  left = 0;
  state: State = State.PREFIX;
  opcode = 0;
  flags = 0;
  requestId = 0;
  responseTo = 0;
  compressor = -1;
  exchange: Exchange | null = null;
  isReply = false;
  /** Bytes were lost or not understood: what was not found may have been there. */
  damaged = false;
  /** It is compressed in a way, or of a size, that is not read here. */
  unread = false;
  /** The running sequence is of documents. */
  carriesDocuments = false;
  sequenceLeft = 0;
  /** Bytes of the running document of the sequence that are still to come. */
  documentLeft = 0;
  /** Documents in sequences. */
  documentsSent = 0;
  readonly request = new RequestVisitor();
  readonly reply = new ReplyVisitor();

  begin(requestId: number, responseTo: number, opcode: number, left: number): void {
    this.left = left;
    this.state = State.PREFIX;
    this.opcode = opcode;
    this.flags = 0;
    this.requestId = requestId;
    this.responseTo = responseTo;
    this.compressor = -1;
    this.exchange = null;
    this.isReply = false;
    this.damaged = false;
    this.unread = false;
    this.carriesDocuments = false;
    this.sequenceLeft = 0;
    this.documentLeft = 0;
    this.documentsSent = 0;
    this.request.reset();
    this.reply.reset();
  }

  get visitor(): Visitor {
    return this.isReply ? this.reply : this.request;
  }

  /** The document that comes next is walked as this message's main one. */
  beginDocument(): void {
    this.state = State.DOCUMENT;
    this.walker.begin(this.isReply ? Context.REPLY : Context.REQUEST);
    if (!this.isReply) this.request.text.open(false);
  }
}

/** The command document of a request. */
export class RequestVisitor implements Visitor {
  command: Command | null = null;
  database = NO_BYTES;
  collection = NO_BYTES;
  cursorId = '';
  readonly text = new CommandText();
  /** Those named last, by whichever message. */
  private lastDatabase = NO_BYTES;
  private lastCollection = NO_BYTES;
  private first = true;

  reset(): void {
    this.command = null;
    this.database = NO_BYTES;
    this.collection = NO_BYTES;
    this.cursorId = '';
    this.text.reset();
    this.first = true;
  }

  element(
    context: number,
    type: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: number,
    size: number,
  ): number {
    const { text } = this;
    if (context === Context.REQUEST || context === Context.WRAPPED) {
      if (this.first) {
        if (context === Context.REQUEST && type === Bson.DOCUMENT && isQueryKey(bytes, nameStart, nameEnd)) {
          text.length = 0;
          text.open(false);
          return Context.WRAPPED;
        }
        this.first = false;
        return this.name(type, bytes, nameStart, nameEnd, value, size);
      }
      if (bytes[nameStart] === DOLLAR || bytes[nameStart] === LETTER_L) {
        if (is(DB, bytes, nameStart, nameEnd)) {
          if (type === Bson.STRING) {
            this.database = stringAt(bytes, value, size, this.lastDatabase);
            this.lastDatabase = this.database;
          }
          return 0;
        }
        // What drivers add to every command says nothing about it.
        if (is(LSID, bytes, nameStart, nameEnd) || is(CLUSTER_TIME, bytes, nameStart, nameEnd)) return 0;
      }
      if (type === Bson.STRING && this.collection.length === 0 && is(COLLECTION, bytes, nameStart, nameEnd)) {
        this.nameCollection(bytes, value, size);
        text.key(bytes, nameStart, nameEnd, false);
        text.quoted(this.collection, 0, this.collection.length);
        return 0;
      }
    }
    if (text.full) return 0;
    const inList = context === Context.TEXT_LIST;
    if (type === Bson.DOCUMENT || type === Bson.ARRAY) {
      const list = type === Bson.ARRAY;
      text.key(bytes, nameStart, nameEnd, inList);
      text.open(list);
      return list ? Context.TEXT_LIST : Context.TEXT;
    }
    // Plain values of a list are one: `[?]`.
    if (inList && text.bytes[text.length - 1] === QUESTION) return 0;
    text.key(bytes, nameStart, nameEnd, inList);
    text.value();
    return 0;
  }

  leave(context: number): void {
    this.text.close(context === Context.TEXT_LIST);
    // What follows `$query` are options of OP_QUERY.
    if (context === Context.WRAPPED) this.text.full = true;
  }

  /** The document is a filter: its first key is no command. */
  plain(command: Command): void {
    this.command = command;
    this.first = false;
  }

  private nameCollection(bytes: Uint8Array, value: number, size: number): void {
    this.collection = stringAt(bytes, value, size, this.lastCollection);
    this.lastCollection = this.collection;
  }

  /** The first element: its key is the command, its value often the collection. */
  private name(
    type: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: number,
    size: number,
  ): number {
    const { text } = this;
    this.command = commandNamed(bytes, nameStart, nameEnd);
    if (this.command === null) return 0;
    text.key(bytes, nameStart, nameEnd, false);
    if (type === Bson.DOCUMENT) {
      // explain: { find: … }
      text.open(false);
      return Context.TEXT;
    }
    if (type === Bson.STRING && this.command.namesCollection) {
      this.nameCollection(bytes, value, size);
      text.quoted(this.collection, 0, this.collection.length);
      return 0;
    }
    if (type === Bson.INT64 && this.command.name === 'getMore') {
      this.cursorId = decimal(bytes, value);
    }
    text.value();
    return 0;
  }
}

/** The reply document: how it went, and what came back. */
export class ReplyVisitor implements Visitor {
  /** NaN where it was not seen. */
  ok = Number.NaN;
  /** 0 where there is none. */
  code = 0;
  codeName = NO_BYTES;
  errorMessage = NO_BYTES;
  /** writeErrors, writeConcernError or `$err` are there. */
  failed = false;
  /** -1 where there is no batch. */
  documents = -1;
  affected = -1;
  cursorId = '';
  /** It answers a bulkWrite: its cursor is of what became of each operation. */
  ofBulkWrite = false;

  reset(): void {
    this.ofBulkWrite = false;
    this.ok = Number.NaN;
    this.code = 0;
    this.codeName = NO_BYTES;
    this.errorMessage = NO_BYTES;
    this.failed = false;
    this.documents = -1;
    this.affected = -1;
    this.cursorId = '';
  }

  /** Takes back what was counted: not all of it was seen. */
  uncount(): void {
    this.documents = -1;
    if (this.ofBulkWrite) this.affected = -1;
  }

  element(
    context: number,
    type: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: number,
    size: number,
  ): number {
    switch (context) {
      case Context.REPLY:
        return this.top(type, bytes, nameStart, nameEnd, value, size);
      case Context.CURSOR:
        if (type === Bson.ARRAY) {
          if (is(FIRST_BATCH, bytes, nameStart, nameEnd) || is(NEXT_BATCH, bytes, nameStart, nameEnd)) {
            this.documents = Math.max(this.documents, 0);
            return this.ofBulkWrite ? Context.WRITE_RESULTS : Context.BATCH;
          }
        } else if (type === Bson.INT64 && is(ID, bytes, nameStart, nameEnd)) {
          this.cursorId = decimal(bytes, value);
        }
        return 0;
      case Context.BATCH:
        this.documents++;
        return 0;
      case Context.WRITE_RESULTS:
        // Only those that failed have a code.
        this.documents++;
        return Context.ERROR;
      case Context.WRITE_ERRORS:
        // The first says what is recorded.
        return type === Bson.DOCUMENT && bytes[nameStart] === ZERO && nameEnd === nameStart + 1
          ? Context.ERROR
          : 0;
      default:
        this.error(type, bytes, nameStart, nameEnd, value, size);
        return 0;
    }
  }

  leave(): void {}

  private top(
    type: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: number,
    size: number,
  ): number {
    if (is(OK, bytes, nameStart, nameEnd)) {
      this.ok = numberAt(type, bytes, value);
      return 0;
    }
    if (type === Bson.DOCUMENT) {
      if (is(CURSOR, bytes, nameStart, nameEnd)) return Context.CURSOR;
      if (!is(WRITE_CONCERN_ERROR, bytes, nameStart, nameEnd)) return 0;
      this.failed = true;
      return Context.ERROR;
    }
    if (type === Bson.ARRAY) {
      if (!is(WRITE_ERRORS, bytes, nameStart, nameEnd) || size <= EMPTY_DOCUMENT_BYTES) return 0;
      this.failed = true;
      return Context.WRITE_ERRORS;
    }
    if (is(N, bytes, nameStart, nameEnd)) {
      const n = countAt(type, bytes, value);
      if (n >= 0) this.affected = n;
      return 0;
    }
    if (this.ofBulkWrite && bytes[nameStart] === LETTER_N) {
      const n = countAt(type, bytes, value);
      if (is(N_ERRORS, bytes, nameStart, nameEnd)) {
        if (n > 0) this.failed = true;
      } else if (n >= 0 && BULK_COUNTS.some((name) => is(name, bytes, nameStart, nameEnd))) {
        this.affected = Math.max(this.affected, 0) + n;
      }
      return 0;
    }
    if (is(DOLLAR_ERR, bytes, nameStart, nameEnd)) this.failed = true;
    this.error(type, bytes, nameStart, nameEnd, value, size);
    return 0;
  }

  private error(
    type: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: number,
    size: number,
  ): void {
    if (this.code === 0 && is(CODE, bytes, nameStart, nameEnd)) {
      const code = numberAt(type, bytes, value);
      if (Number.isInteger(code)) this.code = code;
    } else if (type === Bson.STRING) {
      if (this.codeName.length === 0 && is(CODE_NAME, bytes, nameStart, nameEnd)) {
        this.codeName = stringAt(bytes, value, size);
      } else if (
        this.errorMessage.length === 0 &&
        (is(ERRMSG, bytes, nameStart, nameEnd) || is(DOLLAR_ERR, bytes, nameStart, nameEnd))
      ) {
        this.errorMessage = stringAt(bytes, value, size);
      }
    }
  }
}

const [DOLLAR, LETTER_L, LETTER_N, QUESTION, ZERO] = Buffer.from('$ln?0');
const EMPTY_DOCUMENT_BYTES = 5;
const [
  DB,
  LSID,
  CLUSTER_TIME,
  COLLECTION,
  QUERY,
  DOLLAR_QUERY,
  OK,
  CURSOR,
  FIRST_BATCH,
  NEXT_BATCH,
  ID,
  WRITE_ERRORS,
  WRITE_CONCERN_ERROR,
  N,
  CODE,
  CODE_NAME,
  ERRMSG,
  DOLLAR_ERR,
  N_ERRORS,
] = [
  '$db',
  'lsid',
  '$clusterTime',
  'collection',
  'query',
  '$query',
  'ok',
  'cursor',
  'firstBatch',
  'nextBatch',
  'id',
  'writeErrors',
  'writeConcernError',
  'n',
  'code',
  'codeName',
  'errmsg',
  '$err',
  'nErrors',
].map((name) => Buffer.from(name, 'latin1'));

/** Of a bulkWrite, together what `n` is of other writes. */
const BULK_COUNTS = ['nInserted', 'nMatched', 'nUpserted', 'nDeleted'].map((name) =>
  Buffer.from(name, 'latin1'),
);

/** -1 where it is none: a double is any number, a count is a whole one. */
function countAt(type: number, bytes: Uint8Array, at: number): number {
  const n = numberAt(type, bytes, at);
  return n >= 0 && Number.isSafeInteger(n) ? n : -1;
}

function isQueryKey(bytes: Uint8Array, start: number, end: number): boolean {
  return is(DOLLAR_QUERY, bytes, start, end) || is(QUERY, bytes, start, end);
}

function is(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}

/**
 * A copy of a BSON string's bytes, without its final 0; nothing where it is longer than what is held. The copy made
 * `last` where that is the same, as the names of most messages are.
 */
function stringAt(
  bytes: Uint8Array,
  value: number,
  size: number,
  last: Uint8Array<ArrayBuffer> = NO_BYTES,
): Uint8Array<ArrayBuffer> {
  if (size > MAX_VALUE_BYTES) return NO_BYTES;
  const start = value + 4;
  const end = value + size - 1;
  return is(last, bytes, start, end) ? last : new Uint8Array(bytes.subarray(start, end));
}

/** A 64-bit number as text; '' for 0. */
function decimal(bytes: Uint8Array, at: number): string {
  const low = int32(bytes, at) >>> 0;
  const high = int32(bytes, at + 4);
  return low === 0 && high === 0 ? '' : String((BigInt(high) << 32n) | BigInt(low));
}
