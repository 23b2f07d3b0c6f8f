/**
 * Frames of both directions into roundtrips: calls with their -ok, publishes with their confirm,
 * deliveries with their acknowledgement, per channel.
 *
 * Bodies are counted as they come. Delivery and publish numbers are explicit or counted from
 * confirm.select, so a lost segment costs what it held; what might have been answered in a gap ends as
 * INCOMPLETE and never as NO_RESPONSE.
 */
import { AmqpTag, encode, encodeString, NO_FIELDS, RoundTripTag, StatusValue } from '@packetd/proto';
import { type Connection, type Decoder, type DecoderOptions, Direction, type Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { TraceReader } from '../trace-context.js';
import { Arguments } from './arguments.js';
import { Channel, type Content, NO_BYTES } from './channel.js';
import { bodySize, writeProperties } from './properties.js';
import {
  Settlement,
  writeCallDestination,
  writeMessageDestination,
  writeMethod,
  writeReply,
  writeText,
} from './record.js';
import { findFrame } from './resync.js';
import {
  FRAME_END,
  FRAME_HEADER_BYTES,
  FrameType,
  isError,
  Kind,
  MAX_FRAME_BYTES,
  MAX_PARSED_FRAME_BYTES,
  type Method,
  MethodId,
  methodAt,
  PROTOCOL_HEADER_BYTES,
  Sender,
  uint16,
  uint32,
} from './wire.js';

/** Marks a publish as mandatory in `Exchange.tag`: a Return may come before its confirm. */
const MANDATORY = 1;
const VERSION = encodeString(RoundTripTag.protocolVersion, '0-9-1');
const ERROR_NACK = encodeString(RoundTripTag.errorType, 'nack');
const ERROR_REJECT = encodeString(RoundTripTag.errorType, 'reject');
/** Marks a queue.declare or basic.consume in `Exchange.tag` whose queue or consumer tag the server names. */
const SERVER_NAMES = 1 << 24;
/** Of no method. */
const ANY_METHOD = 0;
/**
 * With nothing published and nothing settled for so long, all that was published is settled: where publishes
 * could not be numbered, because the beginning or a part was not seen, the next one has the next number.
 */
const QUIET_NS = 2e9;
/** Deliveries of a consumer that was not seen: with so many and no acknowledgement, it wants none. */
const MAX_UNACKED_UNSEEN = 256;

/** Where one direction stands. */
class Half {
  /** Bytes of a body frame, or of a frame that is skipped, that are still to come, its end octet included. */
  left = 0;
  /** The content those bytes belong to. */
  content: Content | null = null;
  lost = false;
}

/** Read and written in one go. */
const trace = new TraceReader();

export class AmqpDecoder implements Decoder {
  private readonly halves: readonly [Half, Half] = [new Half(), new Half()];
  private readonly channels = new Map<number, Channel>();
  private readonly args = new Arguments();
  private last: Channel | null = null;
  private waiting = 0;
  /** The virtual host as a field of the record; empty where it was not seen. */
  private host = NO_FIELDS;
  /** When the protocol header came; -1 where it was not seen. */
  private headerNs = -1;
  private headerSegment = -1;
  private started = false;
  /** The server does not read publishes for now, so does not settle them. */
  private blocked = false;
  /** Another version of AMQP. */
  private foreign = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: DecoderOptions,
  ) {}

  data(input: Input): number {
    const half = this.halves[input.direction];
    let at = input.start;
    const { end, bytes } = input;
    while (at < end) {
      if (this.foreign) {
        this.connection.undecodable(end - at);
        return end;
      }
      if (half.left > 0) {
        at = this.body(half, input, at);
        continue;
      }
      if (half.lost) {
        const found = findFrame(bytes, at, end, input.direction);
        const stop = found < 0 ? ~found : found;
        this.connection.undecodable(stop - at);
        if (found < 0) {
          input.need = 0;
          return stop;
        }
        half.lost = false;
        at = found;
      }
      const next = this.frame(half, input, at);
      if (next < 0) return at;
      at = next;
    }
    return at;
  }

  gap(direction: Direction, length: number, heldBytes: number, timeNs: number): void {
    const half = this.halves[direction];
    if (heldBytes === 0 && length > 0 && length <= half.left) {
      // Inside a body: nothing but bytes is missing.
      half.left -= length;
      const { content } = half;
      if (content?.exchange) {
        content.exchange.missingBytes += length;
        count(content.exchange, direction, length);
        if (half.left === 0) this.bodyEnd(half, timeNs, -1, direction);
      }
      return;
    }
    this.lose(direction);
  }

  fin(): void {}

  close(status: number): void {
    for (const channel of this.channels.values()) this.endChannel(channel, status);
    this.channels.clear();
    if (this.headerNs >= 0 && this.started) this.emitFailedStart(status);
  }

  /** Consumes bytes of a body frame. */
  private body(half: Half, input: Input, at: number): number {
    const take = Math.min(half.left, input.end - at);
    half.left -= take;
    const stop = at + take;
    const exchange = half.content?.exchange;
    if (exchange) count(exchange, input.direction, take);
    if (half.left > 0) return stop;
    if (input.bytes[stop - 1] !== FRAME_END) {
      this.lose(input.direction);
      return stop;
    }
    if (exchange) this.bodyEnd(half, input.timeAt(stop - 1), input.segmentAt(stop - 1), input.direction);
    return stop;
  }

  /** A body frame is over: so is the content, when it has all its bytes. */
  private bodyEnd(half: Half, timeNs: number, segment: number, direction: Direction): void {
    const content = half.content!;
    half.content = null;
    if (content.remaining <= 0) this.contentEnd(content, timeNs, segment, direction);
  }

  /** The frame at `at`: answers the position behind it, or -1 where more bytes are needed. */
  private frame(half: Half, input: Input, at: number): number {
    const { bytes, end, direction } = input;
    const type = bytes[at];
    if (type === 0x41) return this.protocolHeader(input, at);
    if (end - at < FRAME_HEADER_BYTES) return -1;
    const size = uint32(bytes, at + 3);
    const payload = at + FRAME_HEADER_BYTES;
    const stop = payload + size;
    switch (type) {
      case FrameType.BODY: {
        if (size > MAX_FRAME_BYTES) break;
        half.left = size + 1;
        half.content = this.contentOf(uint16(bytes, at + 1), direction);
        const { content } = half;
        if (content?.exchange) {
          count(content.exchange, direction, FRAME_HEADER_BYTES);
          content.remaining -= size;
        }
        return payload;
      }
      case FrameType.METHOD:
      case FrameType.HEADER:
      case FrameType.HEARTBEAT:
        if (size > MAX_FRAME_BYTES) break;
        if (size > MAX_PARSED_FRAME_BYTES) {
          half.left = size + 1;
          half.content = null;
          return payload;
        }
        if (stop >= end) {
          input.need = stop + 1 - at;
          return -1;
        }
        if (bytes[stop] !== FRAME_END) break;
        if (type === FrameType.METHOD) this.method(input, at, stop);
        else if (type === FrameType.HEADER) this.header(input, at, stop);
        return stop + 1;
    }
    this.lose(direction);
    this.connection.undecodable(1);
    return at + 1;
  }

  private protocolHeader(input: Input, at: number): number {
    const { bytes, end } = input;
    if (end - at < PROTOCOL_HEADER_BYTES) return -1;
    const isHeader = bytes[at + 1] === 0x4d && bytes[at + 2] === 0x51 && bytes[at + 3] === 0x50;
    if (!isHeader) {
      this.lose(input.direction);
      this.connection.undecodable(1);
      return at + 1;
    }
    const is091 = bytes[at + 4] === 0 && bytes[at + 5] === 0 && bytes[at + 6] === 9 && bytes[at + 7] === 1;
    if (input.direction === Direction.CLIENT) {
      this.headerNs = input.timeAt(at);
      this.headerSegment = input.segmentAt(at);
      this.foreign = !is091;
    }
    return at + PROTOCOL_HEADER_BYTES;
  }

  private method(input: Input, at: number, stop: number): void {
    const { bytes, direction } = input;
    const payload = at + FRAME_HEADER_BYTES;
    const method = stop - payload < 4 ? undefined : methodAt(bytes, payload);
    const sender = direction === Direction.CLIENT ? Sender.CLIENT : Sender.SERVER;
    const { args } = this;
    if (
      method === undefined ||
      (method.sender & sender) === 0 ||
      !args.parse(method, bytes, payload + 4, stop)
    ) {
      this.connection.undecodable(stop + 1 - at);
      return;
    }
    if (method.kind === Kind.SETUP) {
      if (method.id !== MethodId.START) this.started = true;
      return;
    }
    const channel = this.channel(uint16(bytes, at + 1));
    const unfinished = channel.content[direction];
    if (unfinished.exchange !== null) this.abandon(unfinished);
    switch (method.kind) {
      case Kind.SYNC:
        this.call(channel, method, input, at, stop);
        return;
      case Kind.REPLY:
        this.reply(channel, method, input, at, stop);
        return;
      case Kind.PUBLISH:
        this.publish(channel, method, input, at, stop);
        return;
      case Kind.DELIVER:
        this.deliver(channel, method, input, at, stop);
        return;
      case Kind.RETURN: {
        const exchange = this.open(method, channel, input, at, stop);
        writeMessageDestination(exchange, args, bytes, undefined);
        writeReply(exchange, args, bytes);
        exchange.status = StatusValue.ERROR;
        exchange.tag = this.returned(channel, args, bytes);
        channel.content[direction].begin(exchange, method, -1);
        return;
      }
      case Kind.SETTLE:
        this.settle(channel, method, input, at, stop);
        return;
      case Kind.NOTICE:
        if (method.id === MethodId.RECOVER_ASYNC) this.requeue(channel);
        else this.blocked = method.id === MethodId.BLOCKED;
        this.finish(this.open(method, channel, input, at, stop), StatusValue.OK);
    }
  }

  private call(channel: Channel, method: Method, input: Input, at: number, stop: number): void {
    const { args } = this;
    const { bytes } = input;
    // Where the number is used again, what waits had its answer in what was lost.
    if (method.id === MethodId.CHANNEL_OPEN) this.dropDoubtful(channel, ANY_METHOD);
    if (method.id === MethodId.CHANNEL_OPEN && channel.calls.length === 0) {
      this.endChannel(channel, StatusValue.INCOMPLETE);
      this.channels.set(channel.number, this.fresh(channel.number));
      channel = this.last!;
    }
    if (method.id === MethodId.CONNECTION_OPEN) this.remember(bytes);
    const exchange = this.open(method, channel, input, at, stop);
    if (method.id === MethodId.CONNECTION_OPEN && this.headerNs >= 0) {
      exchange.requestStartNs = this.headerNs;
      exchange.requestFirstSegment = this.headerSegment;
      exchange.requestBytes += PROTOCOL_HEADER_BYTES;
      this.headerNs = -1;
    }
    let unnamed = false;
    const noWait = method.noWait >= 0 && (args.flags & (1 << method.noWait)) !== 0;
    switch (method.id) {
      case MethodId.QUEUE_DECLARE:
        // An empty name is told by Declare-Ok.
        unnamed = args.queueEnd === args.queueStart;
        if (unnamed) break;
        channel.lastQueue = bytes.slice(args.queueStart, args.queueEnd);
        writeCallDestination(exchange, args, bytes, channel.lastQueue);
        break;
      case MethodId.CONFIRM_SELECT:
        // What was lost before it had no numbers.
        if (!channel.confirms) channel.uncounted = false;
        channel.confirms = true;
        if (channel.nextPublish === 0) channel.nextPublish = 1;
        break;
      case MethodId.CANCEL:
        channel.cancelConsumer(bytes, args.consumerStart, args.consumerEnd);
        if (input.direction === Direction.SERVER)
          channel.removeConsumer(bytes, args.consumerStart, args.consumerEnd);
        break;
      case MethodId.CONNECTION_CLOSE:
      case MethodId.CHANNEL_CLOSE:
        if (isError(args.replyCode)) {
          writeReply(exchange, args, bytes);
          exchange.status = StatusValue.ERROR;
          if (
            method.id === MethodId.CONNECTION_CLOSE &&
            this.headerNs >= 0 &&
            input.direction === Direction.SERVER
          )
            this.refuseStart(input, at, stop);
        } else exchange.detail.uintNonZero(AmqpTag.replyCode, args.replyCode);
        this.failPending(channel, method.id, input, at, stop);
        break;
      default: {
        const named = args.queueEnd > args.queueStart;
        const usesQueue = method.arguments.includes('q');
        const queue = named
          ? bytes.slice(args.queueStart, args.queueEnd)
          : usesQueue
            ? channel.lastQueue
            : NO_BYTES;
        writeCallDestination(exchange, args, bytes, queue);
        if (method.id === MethodId.CONSUME) {
          const noAck = (args.flags & 2) !== 0;
          const tag = bytes.slice(args.consumerStart, args.consumerEnd);
          // An empty tag is told by Consume-Ok.
          if (tag.length > 0) channel.addConsumer(tag, { queue, noAck, cancelled: false });
          else {
            unnamed = true;
            if (!noWait) channel.unnamed.push({ queue, noAck, cancelled: false });
          }
        }
      }
    }
    if (noWait) {
      this.finish(exchange, StatusValue.OK);
      return;
    }
    const closes = method.id === MethodId.CONNECTION_CLOSE || method.id === MethodId.CHANNEL_CLOSE;
    if (channel.closing && !closes) {
      this.finish(exchange, StatusValue.CANCELLED);
      return;
    }
    if (closes) channel.closing = true;
    exchange.tag = unnamed ? method.id | SERVER_NAMES : method.id;
    if (!this.mayWait()) {
      this.finish(exchange, StatusValue.INCOMPLETE);
      return;
    }
    this.dropDoubtful(channel, method.id);
    channel.calls.push(exchange);
    this.waiting++;
  }

  private reply(channel: Channel, method: Method, input: Input, at: number, stop: number): void {
    const { args } = this;
    const { bytes, direction } = input;
    const exchange = this.takeCall(channel, method.id);
    if (exchange === null) {
      this.orphan(channel, method.id);
      return;
    }
    count(exchange, direction, stop + 1 - at);
    answered(exchange, input, at, stop, direction);
    if (args.queueEnd > args.queueStart && callId(exchange) === MethodId.QUEUE_DECLARE) {
      channel.lastQueue = bytes.slice(args.queueStart, args.queueEnd);
      if ((exchange.tag & SERVER_NAMES) !== 0) writeCallDestination(exchange, args, bytes, channel.lastQueue);
    }
    if (method.id === MethodId.GET_OK) {
      writeText(exchange, AmqpTag.exchange, bytes, args.exchangeStart, args.exchangeEnd);
      writeText(exchange, AmqpTag.routingKey, bytes, args.keyStart, args.keyEnd);
      if (args.redelivered) exchange.detail.bool(AmqpTag.redelivered, true);
      if (args.deliveryTag >= 0) exchange.detail.uint(AmqpTag.deliveryTag, args.deliveryTag);
    }
    if (args.messageCount >= 0) exchange.detail.uint(AmqpTag.messageCount, args.messageCount);
    if (method.id === MethodId.CANCEL_OK) channel.removeConsumer(bytes, args.consumerStart, args.consumerEnd);
    else if (method.id === MethodId.RECOVER_OK) this.requeue(channel);
    else if (method.id === MethodId.CONSUME_OK && (exchange.tag & SERVER_NAMES) !== 0) {
      const consumer = channel.unnamed.shift();
      if (consumer !== undefined)
        channel.addConsumer(bytes.slice(args.consumerStart, args.consumerEnd), consumer);
      writeText(exchange, AmqpTag.consumerTag, bytes, args.consumerStart, args.consumerEnd);
    }
    if (method.id === MethodId.GET_OK) {
      exchange.status = StatusValue.OK;
      channel.content[direction].begin(exchange, method, -1);
      return;
    }
    const closed = exchange.tag === MethodId.CHANNEL_CLOSE || exchange.tag === MethodId.CONNECTION_CLOSE;
    this.finish(exchange, exchange.status === StatusValue.ERROR ? StatusValue.ERROR : StatusValue.OK);
    if (closed) this.forget(channel, StatusValue.CANCELLED);
  }

  /** The call of this reply was lost, and with it what it did to the channel. */
  private orphan(channel: Channel, id: number): void {
    if (id === MethodId.CONFIRM_SELECT + 1) channel.confirms = true;
    else if (id === MethodId.CONNECTION_OPEN + 1) this.headerNs = -1;
    else if (id === MethodId.CHANNEL_OPEN + 1 || id === MethodId.CHANNEL_CLOSE + 1) {
      // The number is used again: what is known is of the channel before.
      if (channel.calls.length === 0) this.forget(channel, StatusValue.INCOMPLETE);
    }
  }

  private publish(channel: Channel, method: Method, input: Input, at: number, stop: number): void {
    const { args } = this;
    const exchange = this.open(method, channel, input, at, stop);
    writeMessageDestination(exchange, args, input.bytes, undefined);
    let tag = -1;
    if (
      (channel.uncounted || channel.nextPublish === 0) &&
      channel.settledUpTo > 0 &&
      !this.blocked &&
      exchange.requestStartNs - channel.quietSinceNs >= QUIET_NS
    ) {
      channel.nextPublish = channel.settledUpTo + 1;
      channel.uncounted = false;
    }
    channel.quietSinceNs = exchange.requestEndNs;
    if (channel.nextPublish > 0 && !channel.uncounted) {
      tag = channel.nextPublish++;
      exchange.detail.uint(AmqpTag.deliveryTag, tag);
      if ((args.flags & MANDATORY) !== 0) exchange.tag = destinationHash(args, input.bytes);
    }
    channel.content[input.direction].begin(exchange, method, tag);
  }

  private deliver(channel: Channel, method: Method, input: Input, at: number, stop: number): void {
    const { args } = this;
    const { bytes } = input;
    const exchange = this.open(method, channel, input, at, stop);
    const consumer = channel.consumer(bytes, args.consumerStart, args.consumerEnd);
    writeMessageDestination(exchange, args, bytes, consumer);
    if (consumer === undefined) channel.unseenConsumers = true;
    const tag = consumer?.noAck === true ? -1 : args.deliveryTag;
    channel.content[input.direction].begin(exchange, method, tag);
  }

  private header(input: Input, at: number, stop: number): void {
    const { bytes, direction } = input;
    const payload = at + FRAME_HEADER_BYTES;
    const content = this.contentOf(uint16(bytes, at + 1), direction);
    const { exchange } = content ?? NO_CONTENT;
    if (content === null || exchange === null || content.remaining >= 0) return;
    const size = bodySize(bytes, payload, stop);
    if (size < 0) {
      this.connection.undecodable(stop + 1 - at);
      this.abandon(content);
      return;
    }
    content.remaining = size;
    count(exchange, direction, stop + 1 - at);
    exchange.detail.uint(AmqpTag.bodyBytes, size);
    writeProperties(exchange, trace, bytes, payload, stop);
    trace.write(exchange.envelope);
    if (size === 0) this.contentEnd(content, input.timeAt(stop), input.segmentAt(stop), direction);
  }

  /** A message is whole: it waits for its settlement, or is a record. */
  private contentEnd(content: Content, timeNs: number, segment: number, direction: Direction): void {
    const exchange = content.exchange!;
    const method = content.method!;
    content.exchange = null;
    const channel = this.ownerOf(content, direction);
    seen(exchange, direction, segment);
    if (method.id === MethodId.GET_OK) {
      exchange.responseEndNs = timeNs;
      this.finish(exchange, exchange.status);
      return;
    }
    exchange.requestEndNs = timeNs;
    if (method.kind === Kind.PUBLISH && channel !== null && timeNs > channel.quietSinceNs)
      channel.quietSinceNs = timeNs;
    if (method.kind === Kind.RETURN) {
      const publish = exchange.tag === 0 ? undefined : channel?.publishes.get(exchange.tag);
      if (publish === undefined) this.finish(exchange, StatusValue.ERROR);
      else this.connection.pool.release(exchange);
      return;
    }
    if (content.tag < 0 || channel === null) {
      const unknown = method.kind === Kind.PUBLISH && channel?.uncounted === true && channel.confirms;
      const cancelled = channel?.closing === true && method.kind === Kind.PUBLISH;
      this.finish(
        exchange,
        unknown ? StatusValue.INCOMPLETE : cancelled ? StatusValue.CANCELLED : StatusValue.OK,
      );
      return;
    }
    if (channel.closing) {
      this.finish(exchange, StatusValue.CANCELLED);
      return;
    }
    const waiting = method.kind === Kind.PUBLISH ? channel.publishes : channel.deliveries;
    if (!this.mayWait() && !this.evict(waiting)) {
      this.finish(exchange, StatusValue.INCOMPLETE);
      return;
    }
    this.waiting++;
    waiting.set(content.tag, exchange);
    if (method.kind === Kind.PUBLISH) return;
    if (!channel.acknowledges && channel.deliveries.size > MAX_UNACKED_UNSEEN && channel.unseenConsumers) {
      for (const delivery of channel.deliveries.values()) this.end(delivery, StatusValue.OK);
      channel.deliveries.clear();
    }
  }

  /** Ack, nack or reject: from the server of publishes, from the client of deliveries. */
  private settle(channel: Channel, method: Method, input: Input, at: number, stop: number): void {
    const { direction } = input;
    const { deliveryTag, flags } = this.args;
    if (direction === Direction.CLIENT) channel.acknowledges = true;
    else this.told(channel, deliveryTag, input.timeAt(stop));
    const waiting = direction === Direction.SERVER ? channel.publishes : channel.deliveries;
    const multiple = method.id !== MethodId.REJECT && (flags & 1) !== 0;
    if (!multiple) {
      const exchange = waiting.get(deliveryTag);
      if (exchange === undefined) return;
      waiting.delete(deliveryTag);
      count(exchange, direction, stop + 1 - at);
      this.settled(exchange, method, flags, false, true, input, at, stop);
      return;
    }
    for (const [tag, exchange] of waiting) {
      if (deliveryTag !== 0 && tag > deliveryTag) break;
      waiting.delete(tag);
      // The bytes are those of the one that is named.
      const named = tag === deliveryTag;
      if (named) count(exchange, direction, stop + 1 - at);
      this.settled(exchange, method, flags, true, named, input, at, stop);
    }
  }

  /** The server has settled a publish: how far it is with them. */
  private told(channel: Channel, deliveryTag: number, timeNs: number): void {
    channel.confirms = true;
    channel.quietSinceNs = timeNs;
    if (deliveryTag > channel.settledUpTo) channel.settledUpTo = deliveryTag;
    if (channel.nextPublish === 0 || channel.uncounted || deliveryTag < channel.nextPublish) return;
    // There are more publishes than were numbered.
    channel.uncounted = true;
    for (const exchange of channel.publishes.values()) this.end(exchange, StatusValue.INCOMPLETE);
    channel.publishes.clear();
  }

  private settled(
    exchange: Exchange,
    method: Method,
    flags: number,
    multiple: boolean,
    named: boolean,
    input: Input,
    at: number,
    stop: number,
  ): void {
    const { detail, envelope } = exchange;
    this.waiting--;
    // What settled it by name, or returned it, may be what was lost: this says no more than that it is settled.
    if (exchange.status === StatusValue.INCOMPLETE && (!named || exchange.tag !== 0)) {
      this.connection.emit(exchange);
      return;
    }
    answered(exchange, input, at, stop, input.direction);
    if (multiple) detail.bool(AmqpTag.multiple, true);
    if (exchange.status === StatusValue.ERROR) {
      // It was returned; the confirm that follows says no more than that.
      detail.constant(Settlement.RETURN);
      this.connection.emit(exchange);
      return;
    }
    let status: number = StatusValue.ERROR;
    if (method.id === MethodId.ACK) {
      detail.constant(Settlement.ACK);
      status = StatusValue.OK;
    } else if (method.id === MethodId.NACK) {
      detail.constant(Settlement.NACK);
      envelope.constant(ERROR_NACK);
      if ((flags & 2) !== 0) detail.bool(AmqpTag.requeue, true);
    } else {
      detail.constant(Settlement.REJECT);
      envelope.constant(ERROR_REJECT);
      if ((flags & 1) !== 0) detail.bool(AmqpTag.requeue, true);
    }
    exchange.status = status;
    this.connection.emit(exchange);
  }

  /** The first mandatory publish that waits and went to this destination is the one that came back; answers its number or 0. */
  private returned(channel: Channel, args: Arguments, bytes: Uint8Array): number {
    const hash = destinationHash(args, bytes);
    for (const [tag, publish] of channel.publishes) {
      if (publish.tag !== hash || publish.status === StatusValue.ERROR) continue;
      writeReply(publish, args, bytes);
      publish.status = StatusValue.ERROR;
      return tag;
    }
    return 0;
  }

  /** A Close fails what waits: calls with its code, messages are given up. */
  private failPending(channel: Channel, id: number, input: Input, at: number, stop: number): void {
    const { bytes } = input;
    const channels = id === MethodId.CONNECTION_CLOSE ? this.channels.values() : [channel];
    const failed = isError(this.args.replyCode);
    for (const each of channels) {
      each.closing = true;
      for (const content of each.content) if (content.exchange !== null) this.abandon(content);
      for (let call = each.calls.shift(); call !== null; call = each.calls.shift()) {
        if (call.tag === MethodId.CHANNEL_CLOSE && id === MethodId.CHANNEL_CLOSE) {
          // Both sides close at once (section 1.5.2.5): each Close gets its Close-Ok.
          each.calls.push(call);
          break;
        }
        this.waiting--;
        // A Close of a channel has told its error; that of the connection may overtake its Close-Ok.
        const told = call.status === StatusValue.ERROR;
        // Its answer may be what was lost.
        const doubtful = call.status === StatusValue.INCOMPLETE;
        if (failed && !told && !doubtful) {
          writeReply(call, this.args, bytes);
          if (input.direction === Direction.SERVER) answered(call, input, at, stop, Direction.SERVER);
        }
        if (doubtful) this.finish(call, StatusValue.INCOMPLETE);
        else this.finish(call, failed || told ? StatusValue.ERROR : StatusValue.CANCELLED);
      }
      this.giveUp(each.publishes, failed, bytes);
      this.giveUp(each.deliveries, failed, bytes);
    }
    channel.closing = false;
  }

  /** basic.recover: the server takes back what was not acknowledged, and delivers it under new tags. */
  private requeue(channel: Channel): void {
    for (const exchange of channel.deliveries.values()) this.end(exchange, StatusValue.CANCELLED);
    channel.deliveries.clear();
  }

  private giveUp(messages: Map<number, Exchange>, failed: boolean, bytes: Uint8Array): void {
    for (const exchange of messages.values()) {
      if (failed && exchange.status === 0) writeReply(exchange, this.args, bytes);
      this.end(exchange, StatusValue.CANCELLED);
    }
    messages.clear();
  }

  /** After a gap an older call may have had its answer in it: a newer of the same method decides so. */
  private dropDoubtful(channel: Channel, id: number): void {
    for (let n = channel.calls.length; n > 0; n--) {
      const call = channel.calls.shift()!;
      if ((id === ANY_METHOD || callId(call) === id) && call.status === StatusValue.INCOMPLETE) {
        this.waiting--;
        this.finish(call, StatusValue.INCOMPLETE);
      } else channel.calls.push(call);
    }
  }

  /** Takes the first call that a reply with this id answers. */
  private takeCall(channel: Channel, replyId: number): Exchange | null {
    let found: Exchange | null = null;
    for (let n = channel.calls.length; n > 0; n--) {
      const call = channel.calls.shift()!;
      if (found === null && answers(replyId, callId(call))) found = call;
      else channel.calls.push(call);
    }
    if (found !== null) this.waiting--;
    return found;
  }

  private lose(direction: Direction): void {
    const half = this.halves[direction];
    half.left = 0;
    half.content = null;
    half.lost = true;
    for (const channel of this.channels.values()) {
      const content = channel.content[direction];
      if (content.exchange !== null) this.abandon(content);
      if (direction === Direction.CLIENT) {
        channel.uncounted = true;
        channel.quietSinceNs = Number.POSITIVE_INFINITY;
        doubt(channel.deliveries.values());
      } else {
        channel.settledUpTo = 0;
        doubt(channel.publishes.values());
        // Which Consume-Ok is whose is not known any more.
        channel.unnamed.length = 0;
        for (let call = channel.calls.head; call !== null; call = call.next) doubtOne(call);
      }
    }
  }

  /** Content that will not become whole. */
  private abandon(content: Content): void {
    const exchange = content.exchange!;
    content.exchange = null;
    for (const half of this.halves) if (half.content === content) half.content = null;
    this.finish(exchange, StatusValue.INCOMPLETE);
  }

  private endChannel(channel: Channel, status: number): void {
    for (const content of channel.content) if (content.exchange !== null) this.abandon(content);
    // A Close has told its error, though nobody has answered it.
    for (let call = channel.calls.shift(); call !== null; call = channel.calls.shift())
      this.end(call, call.status === StatusValue.ERROR ? StatusValue.ERROR : status);
    for (const exchange of channel.publishes.values()) this.end(exchange, status);
    for (const exchange of channel.deliveries.values()) this.end(exchange, status);
    channel.publishes.clear();
    channel.deliveries.clear();
  }

  private end(exchange: Exchange, status: number): void {
    this.waiting--;
    // Its answer may be what was lost.
    const doubtful = exchange.status === StatusValue.INCOMPLETE;
    const unanswered = status !== StatusValue.OK && status !== StatusValue.ERROR;
    this.finish(exchange, doubtful && unanswered ? StatusValue.INCOMPLETE : status);
  }

  /** The server ended the connection before Connection.Open: a login that failed, most of the time. */
  private emitFailedStart(status: number): void {
    this.finish(this.takeStart(), status);
  }

  /** The same, where Connection.Close tells why (`authentication_failure_close`, an extension of RabbitMQ). */
  private refuseStart(input: Input, at: number, stop: number): void {
    const exchange = this.takeStart();
    writeReply(exchange, this.args, input.bytes);
    answered(exchange, input, at, stop, Direction.SERVER);
    this.finish(exchange, StatusValue.ERROR);
  }

  private takeStart(): Exchange {
    const exchange = this.connection.pool.take();
    exchange.envelope.constant(VERSION);
    exchange.operation('connect');
    exchange.detail.string(AmqpTag.method, 'connection.start');
    exchange.requestStartNs = this.headerNs;
    exchange.requestEndNs = this.headerNs;
    exchange.requestFirstSegment = this.headerSegment;
    exchange.requestLastSegment = this.headerSegment;
    exchange.requestBytes = PROTOCOL_HEADER_BYTES;
    this.headerNs = -1;
    return exchange;
  }

  private open(method: Method, channel: Channel, input: Input, at: number, stop: number): Exchange {
    const { direction } = input;
    const exchange = this.connection.pool.take();
    exchange.requestStartNs = input.timeAt(at);
    exchange.requestEndNs = input.timeAt(stop);
    count(exchange, direction, stop + 1 - at);
    seen(exchange, direction, input.segmentAt(at));
    seen(exchange, direction, input.segmentAt(stop));
    exchange.envelope.constant(VERSION);
    writeMethod(exchange, method, this.args, input.bytes, channel.number, this.host);
    return exchange;
  }

  private finish(exchange: Exchange, status: number): void {
    exchange.status = status;
    this.connection.emit(exchange);
  }

  private mayWait(): boolean {
    return this.waiting < this.options.maxPending;
  }

  /** Gives up the oldest that waits here: what lost its settlement to a gap would stand in the way for ever. */
  private evict(messages: Map<number, Exchange>): boolean {
    for (const [tag, exchange] of messages) {
      messages.delete(tag);
      this.end(exchange, StatusValue.INCOMPLETE);
      return true;
    }
    return false;
  }

  private remember(bytes: Uint8Array): void {
    const { hostStart, hostEnd } = this.args;
    this.host = encode((writer) => writer.text(AmqpTag.virtualHost, bytes, hostStart, hostEnd));
  }

  private channel(number: number): Channel {
    if (this.last?.number === number) return this.last;
    let channel = this.channels.get(number);
    if (channel === undefined) {
      channel = this.fresh(number);
      this.channels.set(number, channel);
    }
    this.last = channel;
    return channel;
  }

  private fresh(number: number): Channel {
    // The login went well, though its end may not have been seen.
    if (number > 0) this.headerNs = -1;
    this.last = new Channel(number);
    return this.last;
  }

  private forget(channel: Channel, status: number): void {
    this.endChannel(channel, status);
    this.channels.delete(channel.number);
    if (this.last === channel) this.last = null;
  }

  private contentOf(number: number, direction: Direction): Content | null {
    const channel = this.last?.number === number ? this.last : this.channels.get(number);
    return channel === undefined ? null : channel.content[direction];
  }

  private ownerOf(content: Content, direction: Direction): Channel | null {
    if (this.last?.content[direction] === content) return this.last;
    for (const channel of this.channels.values()) if (channel.content[direction] === content) return channel;
    return null;
  }
}

const NO_CONTENT: { exchange: null } = { exchange: null };

/** Method id of a call that waits. */
function callId(exchange: Exchange): number {
  return exchange.tag & ~SERVER_NAMES;
}

/** Bytes go to the side that sent them, whoever asked. */
function count(exchange: Exchange, direction: Direction, bytes: number): void {
  if (direction === Direction.CLIENT) exchange.requestBytes += bytes;
  else exchange.responseBytes += bytes;
}

function seen(exchange: Exchange, direction: Direction, segment: number): void {
  if (segment < 0) return;
  if (direction === Direction.CLIENT) {
    if (exchange.requestFirstSegment < 0) exchange.requestFirstSegment = segment;
    exchange.requestLastSegment = segment;
  } else {
    if (exchange.responseFirstSegment < 0) exchange.responseFirstSegment = segment;
    exchange.responseLastSegment = segment;
  }
}

function answered(exchange: Exchange, input: Input, at: number, stop: number, direction: Direction): void {
  exchange.responseStartNs = input.timeAt(at);
  exchange.responseEndNs = input.timeAt(stop);
  seen(exchange, direction, input.segmentAt(at));
  seen(exchange, direction, input.segmentAt(stop));
}

/** Does the method `replyId` answer the call `id`? Replies have the next number, but for two. */
function answers(replyId: number, id: number): boolean {
  if (id === MethodId.GET) return replyId === id + 1 || replyId === id + 2;
  if (id === MethodId.EXCHANGE_UNBIND) return replyId === id + 11;
  return replyId === id + 1;
}

/** FNV-1a of exchange and routing key, never 0. */
function destinationHash(args: Arguments, bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = args.exchangeStart; i < args.exchangeEnd; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  hash = Math.imul(hash ^ 0x100, 0x01000193);
  for (let i = args.keyStart; i < args.keyEnd; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash >>> 0 || 1;
}

function doubt(exchanges: Iterable<Exchange>): void {
  for (const exchange of exchanges) doubtOne(exchange);
}

function doubtOne(exchange: Exchange): void {
  if (exchange.status === 0) exchange.status = StatusValue.INCOMPLETE;
}
