/** One direction of a connection: where it stands in which message, and how that message is framed. */
import type { Exchange } from '../exchange.js';
import type { GrpcMessages } from '../grpc-messages.js';
import type { HeadMemo } from './memo.js';

/** What the next byte of a direction is. */
export const State = {
  /** Empty lines, or a start line. */
  START: 0,
  /** Field lines up to the empty line. */
  FIELDS: 1,
  /** `remaining` bytes of body. */
  LENGTH: 2,
  CHUNK_SIZE: 3,
  /** `remaining` bytes of a chunk. */
  CHUNK_DATA: 4,
  /** The line end after a chunk. */
  CHUNK_END: 5,
  TRAILERS: 6,
  /** A body up to the end of the connection. */
  UNTIL_CLOSE: 7,
  /** Bytes of something unknown, up to a line that is a start line. */
  RESYNC: 8,
} as const;
export type State = (typeof State)[keyof typeof State];

/** Bodies of which fields are known: none of these is set when a message begins. */
export const NO_LENGTH = -1;
/** Content-Length is malformed, or there are several that differ. */
export const BAD_LENGTH = -2;

export class Message {
  state: State;
  /** Bytes after the consumed ones in which no line end was found; the search goes on there. */
  scanned = 0;
  /** The field line that is being searched has a folded continuation. */
  folded = false;
  /** RESYNC: the next byte is the first of a line. */
  lineStart = true;
  remaining = 0;
  /** The roundtrip that the message belongs to; null where it is not recorded. */
  exchange: Exchange | null = null;
  headBytes = 0;
  fields = 0;
  bodyBytes = 0;
  trailerBytes = 0;
  /** Bytes, or NO_LENGTH or BAD_LENGTH. */
  contentLength = NO_LENGTH;
  chunked = false;
  /** Transfer-Encoding is there. */
  coded = false;
  /** Expect: 100-continue, and neither a 100 nor a byte of the body was seen. */
  expecting = false;
  /** A response whose request is not known: there may be no body, whatever its fields say (HEAD). */
  unasked = false;
  /** Upgrade names h2c. */
  upgradeH2c = false;
  upgrades = false;
  /** Content type is textual, and there is no content coding. */
  textual = false;
  form = false;
  encoded = false;
  /** A response of gRPC-Web: how the call went is said in the body, or instead of one in a field. */
  grpcWeb: GrpcMessages | null = null;
  grpcStatus = -1;
  /** Content-Type, Host and User-Agent are recorded once. */
  seenHost = false;
  seenAgent = false;
  seenType = false;
  status = 0;
  /** Nothing of the fields of this head was read. */
  fresh = false;
  /** No field of this head says more than a `HeadMemo` keeps. */
  plain = false;
  /** The direction has had a head before. */
  repeating = false;
  memo: HeadMemo | null = null;
  /** Beginning of the body where it is recorded. */
  body: Uint8Array | null = null;
  bodyLength = 0;

  constructor(
    readonly isRequest: boolean,
    state: State,
  ) {
    this.state = state;
  }

  /** A start line was read: a head begins. */
  begin(exchange: Exchange | null): void {
    this.state = State.FIELDS;
    this.exchange = exchange;
    this.scanned = 0;
    this.folded = false;
    this.headBytes = 0;
    this.fields = 0;
    this.bodyBytes = 0;
    this.contentLength = NO_LENGTH;
    this.chunked = false;
    this.coded = false;
    this.expecting = false;
    this.unasked = false;
    this.upgradeH2c = false;
    this.upgrades = false;
    this.textual = false;
    this.form = false;
    this.encoded = false;
    this.grpcWeb = null;
    this.grpcStatus = -1;
    this.seenHost = false;
    this.seenAgent = false;
    this.seenType = false;
    this.fresh = true;
    this.plain = true;
    this.bodyLength = 0;
  }

  /** The direction is over. */
  end(): void {
    this.memo?.release();
    this.memo = null;
  }

  /** Bytes are lost or make no sense: looks for the next start line. */
  lose(): void {
    this.state = State.RESYNC;
    this.scanned = 0;
    this.folded = false;
    this.lineStart = true;
  }

  /** Keeps the beginning of the body, up to `limit` bytes. */
  keepBody(limit: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.body === null || this.body.length < limit) this.body = new Uint8Array(limit);
    const length = Math.min(end - start, limit - this.bodyLength);
    if (length <= 0) return;
    this.body.set(bytes.subarray(start, start + length), this.bodyLength);
    this.bodyLength += length;
  }
}
