/**
 * What the last head of a direction was written as. Clients and servers repeat themselves on a connection:
 * a head with the bytes of the one before is written again as it was, without being read.
 */
import { equalBytes, STRIDE_BYTES, viewOf } from '@packetd/proto';
import type { Exchange } from '../exchange.js';
import type { Message } from './message.js';

/** Longer request lines and field sections are read each time. */
const MAX_LINE_BYTES = 256;
const MAX_FIELDS_BYTES = 2048;
/** Directions of all connections that are remembered at a time; the others are read each time. */
const MAX_MEMOS = 8192;
/** Heads in a row that were unlike the ones before, after which only every 16th is remembered. */
const MAX_MISSES = 8;
const MISS_INTERVAL = 16;

const NOTHING = new DataView(new ArrayBuffer(0));

/** Bytes of the wire and the fields that they became. */
class Repeated {
  /** The bytes, then detail and envelope as they were written, and a stride. */
  private view = NOTHING;
  /** Of the bytes of the wire. */
  length = 0;
  private detailBytes = 0;
  private envelopeBytes = 0;
  private misses = 0;

  /** Does [at, end) begin with the bytes that are remembered? */
  matches(bytes: Uint8Array, at: number, end: number): boolean {
    const { view, length } = this;
    const stop = at + length;
    if (length === 0 || stop > end || bytes[stop - 1] !== view.getUint8(length - 1)) return false;
    if (!equalBytes(view, 0, viewOf(bytes), at, length)) return false;
    this.misses = 0;
    return true;
  }

  /** Remembers [start, end) with what was written since the lengths given; false where it does not pay. */
  keep(
    bytes: Uint8Array,
    start: number,
    end: number,
    { detail, envelope }: Exchange,
    detailFrom: number,
    envelopeFrom: number,
  ): boolean {
    if (++this.misses > MAX_MISSES && this.misses % MISS_INTERVAL !== 0) return false;
    this.length = end - start;
    this.detailBytes = detail.length - detailFrom;
    this.envelopeBytes = envelope.length - envelopeFrom;
    const kept = new Uint8Array(this.length + this.detailBytes + this.envelopeBytes + STRIDE_BYTES);
    kept.set(bytes.subarray(start, end));
    kept.set(detail.bytes.subarray(detailFrom, detail.length), this.length);
    kept.set(envelope.bytes.subarray(envelopeFrom, envelope.length), this.length + this.detailBytes);
    this.view = new DataView(kept.buffer);
    return true;
  }

  write({ detail, envelope }: Exchange): void {
    detail.words(this.view, this.length, this.detailBytes);
    envelope.words(this.view, this.length + this.detailBytes, this.envelopeBytes);
  }
}

let memos = 0;

export class HeadMemo {
  /** The request line with its line end. */
  readonly line = new Repeated();
  /** Field lines with the empty line behind them. */
  readonly fields = new Repeated();
  private tag = 0;
  private hostInTarget = false;
  private seenHostBefore = false;
  private seenHost = false;
  private own = false;
  private seenAgent = false;
  private seenType = false;
  private count = 0;
  private contentLength = 0;
  private chunked = false;
  private coded = false;
  private expecting = false;
  private textual = false;
  private form = false;
  private encoded = false;

  /** One for a direction, or null where there are too many; given back by `release`. */
  static take(): HeadMemo | null {
    if (memos >= MAX_MEMOS) return null;
    memos++;
    return new HeadMemo();
  }

  release(): void {
    memos--;
  }

  /** A request line [start, end) was read into the exchange, which was empty before. */
  keepLine(message: Message, exchange: Exchange, bytes: Uint8Array, start: number, end: number): void {
    if (end - start > MAX_LINE_BYTES || !this.line.keep(bytes, start, end, exchange, 0, 0)) return;
    this.tag = exchange.tag;
    this.hostInTarget = message.seenHost;
  }

  /** Makes the exchange what the remembered request line made it. */
  repeatLine(message: Message, exchange: Exchange): void {
    exchange.tag = this.tag;
    message.seenHost = this.hostInTarget;
    this.line.write(exchange);
  }

  matchesFields(message: Message, bytes: Uint8Array, at: number, end: number): boolean {
    return message.seenHost === this.seenHostBefore && this.fields.matches(bytes, at, end);
  }

  /** The fields [start, end), none of which says more than is kept here, were read into message and exchange. */
  keepFields(
    message: Message,
    exchange: Exchange,
    bytes: Uint8Array,
    start: number,
    end: number,
    detailFrom: number,
    seenHostBefore: boolean,
  ): void {
    if (end - start > MAX_FIELDS_BYTES) return;
    if (!this.fields.keep(bytes, start, end, exchange, detailFrom, exchange.envelope.length)) return;
    this.seenHostBefore = seenHostBefore;
    this.seenHost = message.seenHost;
    this.own = exchange.own;
    this.seenAgent = message.seenAgent;
    this.seenType = message.seenType;
    this.count = message.fields;
    this.contentLength = message.contentLength;
    this.chunked = message.chunked;
    this.coded = message.coded;
    this.expecting = message.expecting;
    this.textual = message.textual;
    this.form = message.form;
    this.encoded = message.encoded;
  }

  /** Makes message and exchange what the remembered fields made them. */
  repeatFields(message: Message, exchange: Exchange): void {
    message.seenHost = this.seenHost;
    if (message.isRequest) exchange.own = this.own;
    message.seenAgent = this.seenAgent;
    message.seenType = this.seenType;
    message.fields = this.count;
    message.contentLength = this.contentLength;
    message.chunked = this.chunked;
    message.coded = this.coded;
    message.expecting = this.expecting;
    message.textual = this.textual;
    message.form = this.form;
    message.encoded = this.encoded;
    this.fields.write(exchange);
  }
}
