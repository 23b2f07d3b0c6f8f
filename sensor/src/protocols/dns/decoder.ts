/** DNS over TCP (RFC 7766): a 2-byte length before each message, responses in any order. */
import { StatusValue } from '@packetd/proto';
import { type Connection, type Decoder, type DecoderOptions, Direction, type Input } from '../decoder.js';
import { HEADER_BYTES, Message } from './message.js';
import { PREFIX_BYTES, plausibleHeader } from './probe.js';
import { u16 } from './rdata.js';
import { isAnswered, writeEnd, writeQuery, writeResponse } from './record.js';
import { hashKey, Transaction, Transactions } from './transactions.js';

const message = new Message();
/** What is asked, of the message at hand; it becomes the entry of a new query. */
let key = new Transaction();

/** One direction's place in its stream of messages. */
class Framing {
  /** Length of the message, prefix included, whose first bytes are held; 0 where none is. */
  frameBytes = 0;
  /** Bytes of a message with a hole that are still to come. */
  skip = 0;
  /** The next message's start is unknown. */
  lost = false;
}

export class DnsStreamDecoder implements Decoder {
  private readonly open = new Transactions();
  private readonly framings = [new Framing(), new Framing()];

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {}

  data(input: Input): number {
    const framing = this.framings[input.direction];
    const { bytes, end } = input;
    let at = input.start;
    if (framing.skip > 0) {
      const skipped = Math.min(framing.skip, end - at);
      framing.skip -= skipped;
      this.connection.undecodable(skipped);
      at += skipped;
    }
    framing.frameBytes = 0;
    for (;;) {
      if (framing.lost) {
        at = this.resync(input, framing, at);
        if (framing.lost) return at;
      }
      if (end - at < PREFIX_BYTES) return at;
      const next = at + PREFIX_BYTES + u16(bytes, at);
      if (next - at < PREFIX_BYTES + HEADER_BYTES) {
        framing.lost = true;
        continue;
      }
      if (next > end) {
        framing.frameBytes = next - at;
        input.need = next - at;
        return at;
      }
      if (!this.message(input, at, next)) this.connection.undecodable(next - at);
      at = next;
    }
  }

  gap(direction: Direction, length: number, heldBytes: number, _timeNs: number): void {
    if (direction === Direction.SERVER) this.doubt();
    const framing = this.framings[direction];
    let hole = length;
    if (framing.skip > 0) {
      const lost = Math.min(framing.skip, hole);
      framing.skip -= lost;
      hole -= lost;
      if (hole === 0) return;
    } else if (framing.frameBytes > 0 && framing.frameBytes >= heldBytes + length) {
      // The hole is inside one message, which is lost; the next one's start is known.
      framing.skip = framing.frameBytes - heldBytes - length;
      framing.frameBytes = 0;
      return;
    }
    framing.frameBytes = 0;
    framing.lost = true;
  }

  fin(_direction: Direction, _heldBytes: number, _timeNs: number): void {}

  close(status: number, _timeNs: number): void {
    for (let entry = this.open.oldest; entry !== null; entry = this.open.oldest) {
      const partly = entry.messages > 0 || entry.doubtful;
      entry.exchange!.status = partly && status !== StatusValue.RESET ? StatusValue.INCOMPLETE : status;
      this.finish(entry);
    }
  }

  /** What is open may have been answered in a hole. */
  private doubt(): void {
    for (let entry = this.open.oldest; entry !== null; entry = entry.newer) entry.doubtful = true;
  }

  /** Position of the next message that is one beyond doubt; `lost` stays where there is none yet. */
  private resync(input: Input, framing: Framing, from: number): number {
    const { bytes, end, direction } = input;
    let at = from;
    for (; at + PREFIX_BYTES + HEADER_BYTES <= end; at++) {
      const length = u16(bytes, at);
      const start = at + PREFIX_BYTES;
      if (length <= HEADER_BYTES || bytes[start + 2] >> 7 !== direction) continue;
      if (!plausibleHeader(bytes, start, end, length)) continue;
      if (start + length > end) {
        input.need = PREFIX_BYTES + length;
        break;
      }
      if (message.read(bytes, start, start + length, 0) && message.plausible()) {
        framing.lost = false;
        break;
      }
    }
    this.connection.undecodable(at - from);
    return at;
  }

  /** Takes the message [at + 2, next). False where it is none, or answers nothing. */
  private message(input: Input, at: number, next: number): boolean {
    if (!message.read(input.bytes, at + PREFIX_BYTES, next, 0)) return false;
    if (message.isResponse !== (input.direction === Direction.SERVER)) return false;
    key.id = message.id;
    key.opcode = message.opcode;
    key.type = message.type;
    key.class = message.class;
    key.hasQuestion = message.hasQuestion;
    hashKey(key);
    return message.isResponse ? this.response(input, at, next) : this.query(input, at, next);
  }

  private query(input: Input, at: number, next: number): boolean {
    if (!message.hasQuestion && !message.plausibleWithoutQuestion()) return false;
    const { open } = this;
    open.find(key, message);
    const crowded = open.crowded ?? (open.count >= this.options.maxPending ? open.oldest : null);
    if (crowded !== null) {
      crowded.exchange!.status = crowded.messages > 0 ? StatusValue.INCOMPLETE : StatusValue.NO_RESPONSE;
      this.finish(crowded);
    }
    const entry = key;
    key = open.take();
    const exchange = this.connection.pool.take();
    entry.exchange = exchange;
    exchange.requestStartNs = input.timeAt(at);
    exchange.requestEndNs = input.timeAt(next - 1);
    exchange.requestBytes = next - at;
    exchange.requestFirstSegment = input.segmentAt(at);
    exchange.requestLastSegment = input.segmentAt(next - 1);
    writeQuery(entry, message);
    open.add(entry);
    return true;
  }

  private response(input: Input, at: number, next: number): boolean {
    const entry = this.open.find(key, message);
    if (entry === null) return false;
    const exchange = entry.exchange!;
    if (entry.messages === 0) {
      exchange.responseStartNs = input.timeAt(at);
      exchange.responseFirstSegment = input.segmentAt(at);
    }
    exchange.responseEndNs = input.timeAt(next - 1);
    exchange.responseLastSegment = input.segmentAt(next - 1);
    exchange.responseBytes += next - at;
    const whole = writeResponse(entry, message);
    if (!whole) this.connection.undecodable(message.end - message.at);
    if (!whole || isAnswered(entry, message)) this.finish(entry);
    return true;
  }

  private finish(entry: Transaction): void {
    writeEnd(entry);
    this.open.remove(entry);
    this.connection.emit(entry.exchange!);
    this.open.release(entry);
  }
}
