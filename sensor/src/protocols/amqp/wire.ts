/**
 * AMQP 0-9-1: frames (section 4.2 of the specification), methods and their arguments (amqp0-9-1.xml,
 * with RabbitMQ's additions confirm, basic.nack, connection.blocked and connection.update-secret).
 */
import { AmqpTag, Constant, encodeString, RoundTripTag } from '@packetd/proto';

export const FrameType = { METHOD: 1, HEADER: 2, BODY: 3, HEARTBEAT: 8 } as const;
/** type (1), channel (2), size (4). */
export const FRAME_HEADER_BYTES = 7;
export const FRAME_END = 0xce;
/** Largest payload of a frame that is believed; RabbitMQ's frame-max is 128 KiB unless raised. */
export const MAX_FRAME_BYTES = 128 << 20;
/** Largest method or header frame that is parsed; longer ones are skipped and counted. */
export const MAX_PARSED_FRAME_BYTES = 512 << 10;
/** `AMQP` 0 0 9 1. */
export const PROTOCOL_HEADER_BYTES = 8;

/** Who may send a method. */
export const Sender = { CLIENT: 1, SERVER: 2, EITHER: 3 } as const;

/** What a method is to the pairing. */
export const Kind = {
  /** Asks; a REPLY answers. */
  SYNC: 0,
  /** Answers a SYNC. */
  REPLY: 1,
  /** basic.publish. */
  PUBLISH: 2,
  /** basic.deliver. */
  DELIVER: 3,
  /** basic.return. */
  RETURN: 4,
  /** basic.ack, nack and reject. */
  SETTLE: 5,
  /** Says something that is not answered. */
  NOTICE: 6,
  /** Part of the connection's set-up: start, secure, tune and their answers. */
  SETUP: 7,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export interface Method {
  /** class << 16 | method. */
  readonly id: number;
  readonly name: string;
  readonly kind: Kind;
  readonly sender: number;
  /** Bit of the flags octet that says no answer is wanted; -1 where there is none. */
  readonly noWait: number;
  /**
   * Arguments in order: `-` reserved short, `s` short string, `e` exchange, `k` routing key, `q` queue,
   * `c` consumer tag, `t` delivery tag, `f` flags octet, `r` redelivered, `h` reply code, `x` reply
   * text, `v` virtual host, `n` long, `m` message count.
   */
  readonly arguments: string;
  /** Fields of the record that are the same for each, in wire format. */
  readonly envelope: Constant;
  readonly detail: Constant;
}

const { CLIENT, SERVER, EITHER } = Sender;

/** class, method, name, kind, sender, arguments, bit of no-wait */
type Row = [number, number, string, Kind, number, string?, number?];

const ROWS: readonly Row[] = [
  [10, 10, 'connection.start', Kind.SETUP, SERVER],
  [10, 11, 'connection.start-ok', Kind.SETUP, CLIENT],
  [10, 20, 'connection.secure', Kind.SETUP, SERVER],
  [10, 21, 'connection.secure-ok', Kind.SETUP, CLIENT],
  [10, 30, 'connection.tune', Kind.SETUP, SERVER],
  [10, 31, 'connection.tune-ok', Kind.SETUP, CLIENT],
  [10, 40, 'connection.open', Kind.SYNC, CLIENT, 'v'],
  [10, 41, 'connection.open-ok', Kind.REPLY, SERVER],
  [10, 50, 'connection.close', Kind.SYNC, EITHER, 'hx'],
  [10, 51, 'connection.close-ok', Kind.REPLY, EITHER],
  [10, 60, 'connection.blocked', Kind.NOTICE, SERVER],
  [10, 61, 'connection.unblocked', Kind.NOTICE, SERVER],
  [10, 70, 'connection.update-secret', Kind.SYNC, CLIENT],
  [10, 71, 'connection.update-secret-ok', Kind.REPLY, SERVER],
  [20, 10, 'channel.open', Kind.SYNC, CLIENT],
  [20, 11, 'channel.open-ok', Kind.REPLY, SERVER],
  [20, 20, 'channel.flow', Kind.SYNC, EITHER],
  [20, 21, 'channel.flow-ok', Kind.REPLY, EITHER],
  [20, 40, 'channel.close', Kind.SYNC, EITHER, 'hx'],
  [20, 41, 'channel.close-ok', Kind.REPLY, EITHER],
  [40, 10, 'exchange.declare', Kind.SYNC, CLIENT, '-esf', 4],
  [40, 11, 'exchange.declare-ok', Kind.REPLY, SERVER],
  [40, 20, 'exchange.delete', Kind.SYNC, CLIENT, '-ef', 1],
  [40, 21, 'exchange.delete-ok', Kind.REPLY, SERVER],
  [40, 30, 'exchange.bind', Kind.SYNC, CLIENT, '-eskf', 0],
  [40, 31, 'exchange.bind-ok', Kind.REPLY, SERVER],
  [40, 40, 'exchange.unbind', Kind.SYNC, CLIENT, '-eskf', 0],
  [40, 51, 'exchange.unbind-ok', Kind.REPLY, SERVER],
  [50, 10, 'queue.declare', Kind.SYNC, CLIENT, '-qf', 4],
  [50, 11, 'queue.declare-ok', Kind.REPLY, SERVER, 'qm'],
  [50, 20, 'queue.bind', Kind.SYNC, CLIENT, '-qekf', 0],
  [50, 21, 'queue.bind-ok', Kind.REPLY, SERVER],
  [50, 30, 'queue.purge', Kind.SYNC, CLIENT, '-qf', 0],
  [50, 31, 'queue.purge-ok', Kind.REPLY, SERVER, 'm'],
  [50, 40, 'queue.delete', Kind.SYNC, CLIENT, '-qf', 2],
  [50, 41, 'queue.delete-ok', Kind.REPLY, SERVER, 'm'],
  [50, 50, 'queue.unbind', Kind.SYNC, CLIENT, '-qek'],
  [50, 51, 'queue.unbind-ok', Kind.REPLY, SERVER],
  [60, 10, 'basic.qos', Kind.SYNC, CLIENT],
  [60, 11, 'basic.qos-ok', Kind.REPLY, SERVER],
  [60, 20, 'basic.consume', Kind.SYNC, CLIENT, '-qcf', 3],
  [60, 21, 'basic.consume-ok', Kind.REPLY, SERVER, 'c'],
  [60, 30, 'basic.cancel', Kind.SYNC, EITHER, 'cf', 0],
  [60, 31, 'basic.cancel-ok', Kind.REPLY, EITHER, 'c'],
  [60, 40, 'basic.publish', Kind.PUBLISH, CLIENT, '-ekf'],
  [60, 50, 'basic.return', Kind.RETURN, SERVER, 'hxek'],
  [60, 60, 'basic.deliver', Kind.DELIVER, SERVER, 'ctrek'],
  [60, 70, 'basic.get', Kind.SYNC, CLIENT, '-qf'],
  [60, 71, 'basic.get-ok', Kind.REPLY, SERVER, 'trekm'],
  [60, 72, 'basic.get-empty', Kind.REPLY, SERVER],
  [60, 80, 'basic.ack', Kind.SETTLE, EITHER, 'tf'],
  [60, 90, 'basic.reject', Kind.SETTLE, CLIENT, 'tf'],
  [60, 100, 'basic.recover-async', Kind.NOTICE, CLIENT],
  [60, 110, 'basic.recover', Kind.SYNC, CLIENT],
  [60, 111, 'basic.recover-ok', Kind.REPLY, SERVER],
  [60, 120, 'basic.nack', Kind.SETTLE, EITHER, 'tf'],
  [85, 10, 'confirm.select', Kind.SYNC, CLIENT, 'f', 0],
  [85, 11, 'confirm.select-ok', Kind.REPLY, SERVER],
  [90, 10, 'tx.select', Kind.SYNC, CLIENT],
  [90, 11, 'tx.select-ok', Kind.REPLY, SERVER],
  [90, 20, 'tx.commit', Kind.SYNC, CLIENT],
  [90, 21, 'tx.commit-ok', Kind.REPLY, SERVER],
  [90, 30, 'tx.rollback', Kind.SYNC, CLIENT],
  [90, 31, 'tx.rollback-ok', Kind.REPLY, SERVER],
];

export const MethodId = {
  START: id(10, 10),
  CONNECTION_OPEN: id(10, 40),
  CONNECTION_CLOSE: id(10, 50),
  BLOCKED: id(10, 60),
  UNBLOCKED: id(10, 61),
  CHANNEL_OPEN: id(20, 10),
  CHANNEL_CLOSE: id(20, 40),
  EXCHANGE_UNBIND: id(40, 40),
  QUEUE_DECLARE: id(50, 10),
  CONSUME: id(60, 20),
  CONSUME_OK: id(60, 21),
  CANCEL: id(60, 30),
  CANCEL_OK: id(60, 31),
  GET: id(60, 70),
  GET_OK: id(60, 71),
  ACK: id(60, 80),
  REJECT: id(60, 90),
  RECOVER_ASYNC: id(60, 100),
  RECOVER_OK: id(60, 111),
  NACK: id(60, 120),
  CONFIRM_SELECT: id(85, 10),
} as const;

/** Types of operation of the messaging conventions, for the methods that move messages. */
const OPERATION_TYPES: { readonly [name: string]: string } = {
  'basic.publish': 'send',
  'basic.deliver': 'process',
  'basic.get': 'receive',
};

const METHODS: ReadonlyMap<number, Method> = new Map(
  ROWS.map(([classId, methodId, name, kind, sender, args = '', noWait = -1]) => {
    const operation =
      name === 'connection.open' ? 'connect' : name.startsWith('basic.') ? name.slice(6) : name;
    const detail = [encodeString(AmqpTag.method, name), encodeString(AmqpTag.operationName, operation)];
    if (Object.hasOwn(OPERATION_TYPES, name))
      detail.push(encodeString(AmqpTag.operationType, OPERATION_TYPES[name]));
    return [
      id(classId, methodId),
      {
        id: id(classId, methodId),
        name,
        kind,
        sender,
        noWait,
        arguments: args,
        envelope: encodeString(RoundTripTag.operation, operation),
        detail: Constant.of(...detail),
      },
    ];
  }),
);

function id(classId: number, methodId: number): number {
  return (classId << 16) | methodId;
}

/** The method whose ids are at `at`; undefined where there is none. */
export function methodAt(bytes: Uint8Array, at: number): Method | undefined {
  // All classes and methods are below 256.
  if (bytes[at] !== 0 || bytes[at + 2] !== 0) return undefined;
  return METHODS.get((bytes[at + 1] << 16) | bytes[at + 3]);
}

/** Names of the reply codes (section 1.5 of the specification), for `error_type`. */
const REPLY_CODES: { readonly [code: number]: string } = {
  311: 'CONTENT_TOO_LARGE',
  312: 'NO_ROUTE',
  313: 'NO_CONSUMERS',
  320: 'CONNECTION_FORCED',
  402: 'INVALID_PATH',
  403: 'ACCESS_REFUSED',
  404: 'NOT_FOUND',
  405: 'RESOURCE_LOCKED',
  406: 'PRECONDITION_FAILED',
  501: 'FRAME_ERROR',
  502: 'SYNTAX_ERROR',
  503: 'COMMAND_INVALID',
  504: 'CHANNEL_ERROR',
  505: 'UNEXPECTED_FRAME',
  506: 'RESOURCE_ERROR',
  530: 'NOT_ALLOWED',
  540: 'NOT_IMPLEMENTED',
  541: 'INTERNAL_ERROR',
};

export function replyCodeName(code: number): string {
  return REPLY_CODES[code] ?? String(code);
}

const REPLY_SUCCESS = 200;

/** Is a Close with this code an error? py-amqp closes with 0, which is none of the specification's. */
export function isError(replyCode: number): boolean {
  return replyCode !== REPLY_SUCCESS && replyCode !== 0;
}

/** An unsigned 64-bit number; -1 above 2^53. */
export function uint64(bytes: Uint8Array, at: number): number {
  const high = uint32(bytes, at);
  return high >= 0x200000 ? -1 : high * 0x100000000 + uint32(bytes, at + 4);
}

export function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

export function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
