/**
 * A roundtrip in the making. What the request says is written into it as wire format when the request
 * is parsed, what the response says is appended later, so captured bytes are copied once and no
 * object or string lives per field. Pooled: a decoder takes it with `ExchangePool.take` and gives it
 * away with `Connection.emit` (or `ExchangePool.release` when there will be no record).
 */
import { RoundTripTag, WireWriter } from '@packetd/proto';

/** Writers that grew past this are not kept in the pool. */
const MAX_POOLED_BYTES = 16 << 10;
const MAX_POOLED = 4096;

export class Exchange {
  /** Fields of RoundTrip itself: operation, target, error type, trace, protocol version. */
  readonly envelope = new WireWriter(64);
  /** Fields of the protocol's own message. */
  readonly detail = new WireWriter(256);
  /** First and last byte of the request, first and last of the response; -1 where not seen. */
  requestStartNs = -1;
  requestEndNs = -1;
  responseStartNs = -1;
  responseEndNs = -1;
  requestBytes = 0;
  responseBytes = 0;
  /** Segment numbers of the first and the last byte of each message; -1 where not seen. */
  requestFirstSegment = -1;
  requestLastSegment = -1;
  responseFirstSegment = -1;
  responseLastSegment = -1;
  missingBytes = 0;
  /** A value of StatusValue. */
  status = 0;
  /** Tag of the message in RoundTrip's `detail`; 0 is the decoder's own protocol. */
  detailTag = 0;
  /** For the decoder's own use while the exchange is open. */
  tag = 0;
  /** Made by packetd itself, as its user agent tells. */
  own = false;
  next: Exchange | null = null;

  reset(): void {
    this.envelope.length = 0;
    this.detail.length = 0;
    this.requestStartNs = -1;
    this.requestEndNs = -1;
    this.responseStartNs = -1;
    this.responseEndNs = -1;
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.requestFirstSegment = -1;
    this.requestLastSegment = -1;
    this.responseFirstSegment = -1;
    this.responseLastSegment = -1;
    this.missingBytes = 0;
    this.status = 0;
    this.detailTag = 0;
    this.tag = 0;
    this.own = false;
    this.next = null;
  }

  operation(value: string): void {
    this.envelope.string(RoundTripTag.operation, value);
  }

  target(value: string): void {
    this.envelope.string(RoundTripTag.target, value);
  }

  errorType(value: string): void {
    this.envelope.string(RoundTripTag.errorType, value);
  }

  protocolVersion(value: string): void {
    this.envelope.string(RoundTripTag.protocolVersion, value);
  }
}

export class ExchangePool {
  private readonly free: Exchange[] = [];
  /** Exchanges that were taken and not yet given back. */
  open = 0;

  take(): Exchange {
    this.open++;
    return this.free.pop() ?? new Exchange();
  }

  release(exchange: Exchange): void {
    this.open--;
    if (this.free.length >= MAX_POOLED) return;
    if (exchange.detail.bytes.length > MAX_POOLED_BYTES || exchange.envelope.bytes.length > MAX_POOLED_BYTES)
      return;
    exchange.reset();
    this.free.push(exchange);
  }
}

/** Exchanges of one connection in the order of their requests, linked through `next`. */
export class ExchangeQueue {
  head: Exchange | null = null;
  tail: Exchange | null = null;
  length = 0;

  push(exchange: Exchange): void {
    exchange.next = null;
    if (this.tail === null) this.head = exchange;
    else this.tail.next = exchange;
    this.tail = exchange;
    this.length++;
  }

  shift(): Exchange | null {
    const exchange = this.head;
    if (exchange === null) return null;
    this.head = exchange.next;
    if (this.head === null) this.tail = null;
    exchange.next = null;
    this.length--;
    return exchange;
  }
}
