/** DNS over TCP (RFC 7766): messages with two bytes of length before them, answered in any order. */
import { StatusValue } from '@packetd/proto';
import {
  type Connection,
  type Decoder,
  type DecoderOptions,
  Direction,
  type Input,
  type ProbeContext,
  Verdict,
} from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { Type } from './codes.js';
import { HEADER_BYTES, Message } from './message.js';
import { uint16 } from './rdata.js';

const LENGTH_BYTES = 2;
const PORT = 53;
/** Set in `Exchange.tag`: a zone transfer, of which the first message has been seen; below it, the flags of the query. */
const TRANSFER = 1 << 16;
const TRANSFER_BEGUN = 1 << 17;

const message = new Message();

export class DnsStream implements Decoder {
  /** Queries that wait, by id and question. */
  private readonly open = new Map<number, Exchange>();
  /** Bytes of a message that is passed over, per direction. */
  private readonly skip = [0, 0];
  private readonly lost = [false, false];

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {}

  data(input: Input): number {
    const { bytes, end, direction } = input;
    let at = input.start;
    while (at < end) {
      if (this.skip[direction] > 0) {
        const take = Math.min(this.skip[direction], end - at);
        this.skip[direction] -= take;
        at += take;
        continue;
      }
      if (this.lost[direction]) {
        const found = this.find(bytes, at, end, direction);
        this.connection.undecodable((found < 0 ? ~found : found) - at);
        if (found < 0) return ~found;
        at = found;
        this.lost[direction] = false;
      }
      if (end - at < LENGTH_BYTES) return at;
      const length = uint16(bytes, at);
      if (length < HEADER_BYTES) {
        this.lost[direction] = true;
        this.connection.undecodable(1);
        at++;
        continue;
      }
      const start = at + LENGTH_BYTES;
      const stop = start + length;
      if (stop > end) {
        input.need = stop - at;
        return at;
      }
      if (!message.read(bytes, start, stop) || !message.plausible || message.records < 0) {
        this.connection.undecodable(stop - at);
      } else if (direction === Direction.CLIENT ? !message.isResponse : message.isResponse) {
        if (direction === Direction.CLIENT) this.query(input, at, stop);
        else this.response(input, at, stop);
      }
      at = stop;
    }
    return at;
  }

  gap(direction: Direction): void {
    this.skip[direction] = 0;
    this.lost[direction] = true;
    // Their answers may be what was lost.
    if (direction === Direction.SERVER) {
      for (const exchange of this.open.values()) exchange.status = StatusValue.INCOMPLETE;
    }
  }

  fin(): void {}

  close(status: number): void {
    for (const exchange of this.open.values()) {
      if ((exchange.tag & TRANSFER_BEGUN) !== 0) {
        this.finish(exchange, status === StatusValue.RESET ? status : StatusValue.INCOMPLETE);
        continue;
      }
      message.writeFlags(exchange, exchange.tag & 0xffff);
      const doubtful = exchange.status === StatusValue.INCOMPLETE && status === StatusValue.NO_RESPONSE;
      this.finish(exchange, doubtful ? StatusValue.INCOMPLETE : status);
    }
    this.open.clear();
  }

  private query(input: Input, at: number, stop: number): void {
    const key = keyOf();
    if (this.open.has(key) || this.open.size >= this.options.maxPending) return;
    const exchange = this.connection.pool.take();
    exchange.requestStartNs = input.timeAt(at);
    exchange.requestEndNs = input.timeAt(stop - 1);
    exchange.requestFirstSegment = input.segmentAt(at);
    exchange.requestLastSegment = input.segmentAt(stop - 1);
    exchange.requestBytes = stop - at;
    const transfer = message.type === Type.AXFR || message.type === Type.IXFR;
    exchange.tag = message.flags | (transfer ? TRANSFER : 0);
    message.writeQuery(exchange);
    this.open.set(key, exchange);
  }

  private response(input: Input, at: number, stop: number): void {
    let key = keyOf();
    let exchange = this.open.get(key);
    if (exchange === undefined && message.questions === 0) {
      key = this.byId();
      exchange = this.open.get(key);
    }
    if (exchange === undefined) return;
    const begun = (exchange.tag & TRANSFER_BEGUN) !== 0;
    if (!begun) {
      exchange.responseStartNs = input.timeAt(at);
      exchange.responseFirstSegment = input.segmentAt(at);
    }
    exchange.responseEndNs = input.timeAt(stop - 1);
    exchange.responseLastSegment = input.segmentAt(stop - 1);
    exchange.responseBytes += stop - at;
    let status: number = StatusValue.OK;
    if (!begun && message.writeResponse(exchange) !== 0) status = StatusValue.ERROR;
    const transfer = (exchange.tag & TRANSFER) !== 0 && status === StatusValue.OK && message.answers > 0;
    if (transfer && !(message.endsWithSoa() && (begun || message.answers > 1 || isUpToDate(exchange)))) {
      exchange.tag |= TRANSFER_BEGUN;
      return;
    }
    this.open.delete(key);
    this.finish(exchange, status);
  }

  /** Key of the one query with this id. */
  private byId(): number {
    for (const key of this.open.keys()) if (Math.floor(key / 0x800000000) === message.id) return key;
    return -1;
  }

  /** The first `length`, header and question of this direction that make sense; else ~position to keep from. */
  private find(bytes: Uint8Array, start: number, end: number, direction: Direction): number {
    for (let at = start; at + LENGTH_BYTES + HEADER_BYTES <= end; at++) {
      const length = uint16(bytes, at);
      const from = at + LENGTH_BYTES;
      if (length < HEADER_BYTES + 5 || bytes[from + 4] !== 0 || bytes[from + 5] !== 1) continue;
      if (from + length > end) continue;
      if (!message.read(bytes, from, from + length) || !message.strict()) continue;
      if (message.isResponse === (direction === Direction.SERVER)) return at;
    }
    return ~Math.max(start, end - (LENGTH_BYTES + 0xffff));
  }

  private finish(exchange: Exchange, status: number): void {
    exchange.status = status;
    this.connection.emit(exchange);
  }
}

/** An IXFR is answered by one SOA where there is nothing new (RFC 1995 section 4). */
function isUpToDate(exchange: Exchange): boolean {
  return message.type === Type.IXFR && exchange.responseBytes > 0;
}

/** id, and 35 bits of the question's hashes. */
function keyOf(): number {
  return message.id * 0x800000000 + (message.hash0 >>> 0) * 8 + (message.hash1 & 7);
}

/** The opener's first message, or the answer to it: length and all of it must fit. */
export function probeStream(bytes: Uint8Array, start: number, end: number, context: ProbeContext): Verdict {
  if (end - start < LENGTH_BYTES) return Verdict.MORE;
  const length = uint16(bytes, start);
  if (length < HEADER_BYTES + 5) return Verdict.NO;
  const from = start + LENGTH_BYTES;
  if (end - from >= 6) {
    if (bytes[from + 4] !== 0 || bytes[from + 5] !== 1 || (bytes[from + 2] & 0x78) > 0x30) return Verdict.NO;
  }
  const isPort = context.sourcePort === PORT || context.destinationPort === PORT;
  if (from + length > end) {
    // A query is short; a long message is waited for on DNS' own port only.
    return length <= 512 || isPort ? Verdict.MORE : Verdict.NO;
  }
  if (!message.read(bytes, from, from + length) || !message.strict(isPort)) return Verdict.NO;
  return message.isResponse ? Verdict.SERVER : Verdict.CLIENT;
}
