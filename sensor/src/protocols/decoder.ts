/**
 * The seam between flows and protocols: what a decoder is given and what it gives back.
 *
 * A decoder is one connection's parser. It gets bytes, gaps and ends per direction, pairs requests
 * with responses in `Exchange` objects and hands finished ones to `Connection.emit`. It never throws,
 * never answers a position outside [start, end], and holds no more than its named caps.
 */
import type { Side } from '../flow/stream.js';
import type { Exchange, ExchangePool } from './exchange.js';

/** Who sent the bytes, once roles are known. */
export const Direction = { CLIENT: 0, SERVER: 1 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

/**
 * Contiguous bytes of one direction: what was not consumed before, then what is new. The object and
 * its bytes are borrowed until `data` returns.
 */
export class Input {
  direction: Direction = 0;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** Arrival of the newest byte. */
  timeNs = 0;
  /** Positions below this were held back from earlier segments, the first of which came at `heldTimeNs`. */
  freshFrom = 0;
  heldTimeNs = 0;
  /** Number of the newest segment of this direction, and of the first held one. */
  segment = 0;
  heldSegment = 0;
  /**
   * Set by the decoder before it returns: do not call again before this many bytes from the returned
   * position on are there (0: call with whatever comes).
   */
  need = 0;

  /** Arrival of the byte at `position`. */
  timeAt(position: number): number {
    return position < this.freshFrom ? this.heldTimeNs : this.timeNs;
  }

  /** Segment that brought the byte at `position`. */
  segmentAt(position: number): number {
    return position < this.freshFrom ? this.heldSegment : this.segment;
  }
}

export interface Decoder {
  /**
   * Parses as much of `input` as is whole and answers the position up to which it consumed. The rest
   * comes again, with more behind it. Bytes of bodies should be consumed as they come: at most
   * `MAX_HELD_BYTES` are kept for a decoder; when they do not suffice they are dropped and `gap` is
   * called with length 0.
   */
  data(input: Input): number;
  /**
   * `length` bytes of `direction` are missing from here on. Whatever was not consumed of that
   * direction before is dropped (it came before the hole) and passed as `heldBytes`, a count.
   */
  gap(direction: Direction, length: number, heldBytes: number, timeNs: number): void;
  /** This side will send no more (FIN). `heldBytes` of it were never consumed. */
  fin(direction: Direction, heldBytes: number, timeNs: number): void;
  /**
   * The connection is over: what is open is emitted with `status`, which is what a request without
   * any byte of its response becomes (NO_RESPONSE or RESET); one whose response has begun becomes
   * INCOMPLETE, or RESET. The last call.
   */
  close(status: number, timeNs: number): void;
  /** Takes a request over from the protocol before, with its exchange; the first call where there is one. */
  adopt?(request: UpgradedRequest): void;
}

/** Most bytes of one direction that are held for a decoder between calls. */
export const MAX_HELD_BYTES = 1 << 20;

/** A request that was read under one protocol and is answered under the next (h2c). */
export interface UpgradedRequest {
  /** With what the request says and when; nothing of the response. */
  readonly exchange: Exchange;
  readonly headerBytes: number;
  readonly bodyBytes: number;
}

/** What a decoder may ask of its connection. */
export interface Connection {
  readonly pool: ExchangePool;
  /** Writes the finished exchange as a record and takes it back into the pool. */
  emit(exchange: Exchange): void;
  /** Counts bytes that the decoder consumed without understanding them. */
  undecodable(bytes: number): void;
  /**
   * From the position that the running `data` returns on, both directions carry something else.
   * 'detect' looks again at what it is; a protocol's name makes that its decoder; 'tls' and 'opaque'
   * are skipped for good. `request` is one that the next decoder's side of the connection answers.
   */
  handOver(to: 'detect' | 'tls' | 'opaque' | string, request?: UpgradedRequest): void;
  /** True where the first bytes of the connection were seen (its SYN was) and given to this decoder. */
  readonly fromStart: boolean;
  readonly clientPort: number;
  readonly serverPort: number;
}

/** Answer of `probe`. */
export const Verdict = {
  /** Not this protocol. */
  NO: 0,
  /** Could be; more bytes are needed. */
  MORE: 1,
  /** It is, and the bytes are a client's. */
  CLIENT: 2,
  /** It is, and the bytes are a server's. */
  SERVER: 3,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export interface ProbeContext {
  /** Which side sent the bytes; 0 is the opener where `fromStart`. */
  readonly side: Side;
  /** The bytes are the first this side sent on the connection. */
  readonly fromStart: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Options that all decoders get; each reads its own. Defaults are in `DEFAULT_DECODER_OPTIONS`. */
export interface DecoderOptions {
  /** Requests of one connection that may wait for their response, at the moment (`withBudget`). */
  readonly maxPending: number;
  /** http: record request and response headers (secrets redacted). */
  readonly headers: boolean;
  /** http: record bodies of textual content types, at most this many bytes; 0 records none. */
  readonly bodyBytes: number;
  /** Report the requests that packetd itself makes, by whichever process of it. */
  readonly own: boolean;
  /** redis: record keys. */
  readonly keys: boolean;
  /** Unanswered datagram requests become NO_RESPONSE after this time. */
  readonly datagramTimeoutNs: number;
  /** dns: decode mDNS (5353) and LLMNR (5355) too. */
  readonly multicastDns: boolean;
}

export const DEFAULT_DECODER_OPTIONS: DecoderOptions = {
  maxPending: 65_536,
  headers: true,
  bodyBytes: 0,
  own: true,
  keys: false,
  datagramTimeoutNs: 10e9,
  multicastDns: false,
};

/** Requests that wait for their response, of all connections together, from which on each keeps few; 2 KB each. */
const MAX_OPEN_REQUESTS = 100_000;
/** What a connection may keep then. */
const CROWDED_PENDING = 256;

/** The options, whose `maxPending` keeps what all connections hold within bounds. */
export function withBudget(options: DecoderOptions, pool: ExchangePool): DecoderOptions {
  const { maxPending } = options;
  const crowded = Math.min(maxPending, CROWDED_PENDING);
  return {
    ...options,
    get maxPending() {
      return pool.open < MAX_OPEN_REQUESTS ? maxPending : crowded;
    },
  };
}

/** A protocol over TCP. */
export interface StreamProtocol {
  readonly name: string;
  /** Ports that are tried first. */
  readonly ports: readonly number[];
  /** Tag of its message in RoundTrip. */
  readonly detailTag: number;
  /** Is [start, end), the first unparsed bytes of one side, this protocol? Never a false positive on another's. */
  probe(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict;
  create(connection: Connection, options: DecoderOptions): Decoder;
}
