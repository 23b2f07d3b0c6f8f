/** One stream, and what an application on top of HTTP/2 makes of it. */
import type { Direction } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import type { HeaderList } from './hpack.js';

/** A call of an application protocol that a stream carries. */
export interface Call {
  /** Fields of the response's header block, or of the trailers of either side. */
  headers(direction: Direction, list: HeaderList): void;
  /** Application bytes of DATA frames, padding left out. */
  data(direction: Direction, bytes: Uint8Array, start: number, end: number): void;
  /** DATA of this direction was lost. */
  lost(direction: Direction): void;
  /**
   * Writes what the call says into the exchange; answers the record's status. `ended` is false where the
   * response did not come to its end, and `resetCode` the code of RST_STREAM, -1 without one.
   */
  finish(stream: Stream, status: number, ended: boolean, resetCode: number): number;
  /** Is DATA of the request framed as this application frames it? 1 yes, -1 no, 0 unknown. */
  framing(): number;
}

/** What streams may be besides plain HTTP. */
export interface Application {
  /** Tag of its message in RoundTrip. */
  readonly detailTag: number;
  /** Takes over a stream with these request fields, and writes what they say; null where it is not its own. */
  open(stream: Stream, list: HeaderList): Call | null;
  /** Takes these request fields for its own, the one that would tell being unknown. */
  assume(stream: Stream, list: HeaderList): Call;
  /** Do response fields say whose the stream is? 1 this application's, -1 another's, 0 unknown. */
  claims(list: HeaderList): number;
}

/** What a request says, encoded, for as long as it is not known whether the stream is plain HTTP. */
export interface Undecided {
  readonly call: Call;
  readonly plainDetail: Uint8Array;
  readonly plainEnvelope: Uint8Array;
  readonly callDetail: Uint8Array;
  readonly callEnvelope: Uint8Array;
}

export class Stream {
  id = 0;
  exchange: Exchange | null = null;
  call: Call | null = null;
  undecided: Undecided | null = null;
  statusCode = 0;
  requestEnded = false;
  /** The final response's header block was seen. */
  responded = false;
  /** Bytes were lost that may have been this stream's. */
  doubtful = false;
  /** Among them DATA: the size of the body is not known. */
  requestBodyDoubtful = false;
  responseBodyDoubtful = false;
  pushed = false;
  requestHeaderBytes = 0;
  responseHeaderBytes = 0;
  requestBodyBytes = 0;
  responseBodyBytes = 0;
  fields = 0;

  reset(id: number): void {
    this.id = id;
    this.exchange = null;
    this.call = null;
    this.undecided = null;
    this.statusCode = 0;
    this.requestEnded = false;
    this.responded = false;
    this.doubtful = false;
    this.requestBodyDoubtful = false;
    this.responseBodyDoubtful = false;
    this.pushed = false;
    this.requestHeaderBytes = 0;
    this.responseHeaderBytes = 0;
    this.requestBodyBytes = 0;
    this.responseBodyBytes = 0;
    this.fields = 0;
  }
}
