/** Writes what methods say into an exchange. */
import { AmqpTag, type Constant, encodeString, RoundTripTag } from '@packetd/proto';
import type { Exchange } from '../exchange.js';
import type { Arguments } from './arguments.js';
import { type Consumer, NO_BYTES } from './channel.js';
import { sanitiseReplyText } from './reply-text.js';
import { Kind, type Method, replyCodeName } from './wire.js';

const MAX_NAME_BYTES = 3 * 256;
/** Holds a name put together of parts for the moment of writing it. */
const name = new Uint8Array(MAX_NAME_BYTES);

export const Settlement = {
  ACK: encodeString(AmqpTag.settlement, 'ack'),
  NACK: encodeString(AmqpTag.settlement, 'nack'),
  REJECT: encodeString(AmqpTag.settlement, 'reject'),
  RETURN: encodeString(AmqpTag.settlement, 'return'),
} as const;

/** The parts of a record that are known from the method that asks. `host` is the virtual host's field, encoded. */
export function writeMethod(
  exchange: Exchange,
  method: Method,
  args: Arguments,
  bytes: Uint8Array,
  channel: number,
  host: Constant,
): void {
  const { detail, envelope } = exchange;
  envelope.constant(method.envelope);
  detail.constant(method.detail);
  detail.constant(host);
  detail.uintNonZero(AmqpTag.channel, channel);
  writeText(exchange, AmqpTag.exchange, bytes, args.exchangeStart, args.exchangeEnd);
  writeText(exchange, AmqpTag.routingKey, bytes, args.keyStart, args.keyEnd);
  writeText(exchange, AmqpTag.consumerTag, bytes, args.consumerStart, args.consumerEnd);
  if (args.redelivered) detail.bool(AmqpTag.redelivered, true);
  if (method.kind === Kind.DELIVER && args.deliveryTag >= 0)
    detail.uint(AmqpTag.deliveryTag, args.deliveryTag);
}

/** Queue, destination and target of a call on a queue or an exchange. */
export function writeCallDestination(
  exchange: Exchange,
  args: Arguments,
  bytes: Uint8Array,
  queue: Uint8Array,
): void {
  if (queue.length > 0) {
    writeText(exchange, AmqpTag.queue, queue, 0, queue.length);
    writeText(exchange, AmqpTag.destinationName, queue, 0, queue.length);
    writeTarget(exchange, queue, 0, queue.length);
  } else if (args.exchangeEnd > args.exchangeStart) {
    writeText(exchange, AmqpTag.destinationName, bytes, args.exchangeStart, args.exchangeEnd);
    writeTarget(exchange, bytes, args.exchangeStart, args.exchangeEnd);
  }
}

/**
 * Destination of a message (OpenTelemetry's conventions for RabbitMQ): `{exchange}:{routing key}`, of a
 * delivery `{exchange}:{routing key}:{queue}`; what is empty is left out, and the queue where it is the key.
 */
export function writeMessageDestination(
  exchange: Exchange,
  args: Arguments,
  bytes: Uint8Array,
  consumer: Consumer | undefined,
): void {
  const queue = consumer?.queue ?? NO_BYTES;
  let length = append(0, bytes, args.exchangeStart, args.exchangeEnd);
  length = append(length, bytes, args.keyStart, args.keyEnd);
  if (queue.length > 0) {
    writeText(exchange, AmqpTag.queue, queue, 0, queue.length);
    if (!same(queue, bytes, args.keyStart, args.keyEnd)) length = append(length, queue, 0, queue.length);
  }
  writeText(exchange, AmqpTag.destinationName, name, 0, length);
  if (queue.length > 0) writeTarget(exchange, queue, 0, queue.length);
  else if (args.exchangeEnd > args.exchangeStart)
    writeTarget(exchange, bytes, args.exchangeStart, args.exchangeEnd);
  else writeTarget(exchange, bytes, args.keyStart, args.keyEnd);
}

export function writeReply(exchange: Exchange, args: Arguments, bytes: Uint8Array): void {
  exchange.detail.uintNonZero(AmqpTag.replyCode, args.replyCode);
  const text = sanitiseReplyText(bytes, args.textStart, args.textEnd);
  writeText(exchange, AmqpTag.replyText, text, 0, text.length);
  exchange.errorType(replyCodeName(args.replyCode));
}

export function writeText(
  exchange: Exchange,
  tag: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (end > start) exchange.detail.text(tag, bytes, start, end);
}

const GENERATED = Buffer.from('amq.gen-', 'latin1');
const DIRECT_REPLY = Buffer.from('amq.rabbitmq.reply-to.', 'latin1');
const STAR = 0x2a;
/** Hex digits and dashes in a row, with a decimal digit among them, that make a name one of many. */
const MIN_RANDOM_BYTES = 16;

/** The target must have few values: what a server or a client made up is cut off and replaced by `*`. */
export function writeTarget(exchange: Exchange, bytes: Uint8Array, start: number, end: number): void {
  if (end === start) return;
  let cut = -1;
  if (startsWith(GENERATED, bytes, start, end)) cut = start + GENERATED.length;
  else if (startsWith(DIRECT_REPLY, bytes, start, end)) cut = start + DIRECT_REPLY.length;
  else cut = randomPart(bytes, start, end);
  if (cut < 0) {
    exchange.envelope.text(RoundTripTag.target, bytes, start, end);
    return;
  }
  const length = cut - start;
  for (let i = 0; i < length; i++) name[i] = bytes[start + i];
  name[length] = STAR;
  exchange.envelope.text(RoundTripTag.target, name, 0, length + 1);
}

function randomPart(bytes: Uint8Array, start: number, end: number): number {
  let from = start;
  let digits = false;
  for (let i = start; i <= end; i++) {
    const byte = i < end ? bytes[i] : 0;
    const digit = byte >= 0x30 && byte <= 0x39;
    const letter = byte | 0x20;
    if (digit || (letter >= 0x61 && letter <= 0x66) || (byte === 0x2d && i > from)) {
      digits ||= digit;
      continue;
    }
    if (digits && i - from >= MIN_RANDOM_BYTES) return from;
    from = i + 1;
    digits = false;
  }
  return -1;
}

function startsWith(prefix: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (prefix[i] !== bytes[start + i]) return false;
  return true;
}

/** Puts [start, end) behind the first `length` bytes of `name`, after a colon; answers the new length. */
function append(length: number, bytes: Uint8Array, start: number, end: number): number {
  if (end === start) return length;
  let at = length;
  if (at > 0 && at < name.length) name[at++] = 0x3a;
  for (let i = start; i < end && at < name.length; i++) name[at++] = bytes[i];
  return at;
}

function same(a: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (a.length !== end - start) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== bytes[start + i]) return false;
  return true;
}
