/** gRPC calls on HTTP/2 streams (PROTOCOL-HTTP2.md and PROTOCOL-WEB.md). */

import { type Constant, encodeString, GrpcTag, RoundTripTag, StatusValue } from '@packetd/proto';
import { sanitiseMessage } from '../../redact/message.js';
import { Direction } from '../decoder.js';
import { Framing, framingOf, GrpcMessages } from '../grpc-messages.js';
import { BY_RESET, byHttpStatus, Code, statusCode, statusName } from '../grpc-status.js';
import { Field } from '../http-names.js';
import { fieldOf, writeAuthority } from '../http2/fields.js';
import { ERROR_CODES } from '../http2/frames.js';
import { type HeaderList, intern, Pseudo } from '../http2/hpack.js';
import type { Application, Call, Stream } from '../http2/stream.js';
import { isOwnAgent } from '../own-agent.js';

const MAX_NAME_BYTES = 512;

const STATUS = intern('grpc-status');
const MESSAGE = intern('grpc-message');
const TIMEOUT = intern('grpc-timeout');
const ENCODING = intern('grpc-encoding');

const CONTENT_TYPE = Buffer.from('application/grpc', 'latin1');
const [SLASH, PLUS, SEMICOLON, DASH, PERCENT, QUESTION] = Buffer.from('/+;-%?', 'latin1');
const PROTO = encodeString(GrpcTag.contentSubtype, 'proto');

const STREAMING = {
  UNARY: encodeString(GrpcTag.streaming, 'unary'),
  CLIENT: encodeString(GrpcTag.streaming, 'client_stream'),
  SERVER: encodeString(GrpcTag.streaming, 'server_stream'),
  BIDI: encodeString(GrpcTag.streaming, 'bidi_stream'),
} as const;
const errorCodes = ERROR_CODES.map((name) => encodeString(GrpcTag.errorCode, name));

export const grpcCalls: Application = {
  detailTag: RoundTripTag.grpc,
  open(stream, list) {
    const type = fieldOf(list, Field.CONTENT_TYPE);
    if (type < 0 || !isGrpc(list, type)) return null;
    return new GrpcCall(stream, list, type);
  },
  assume(stream, list) {
    return new GrpcCall(stream, list, -1);
  },
  claims(list) {
    if (list.find(STATUS) >= 0) return 1;
    const type = fieldOf(list, Field.CONTENT_TYPE);
    if (type < 0) return 0;
    return isGrpc(list, type) ? 1 : -1;
  },
};

class GrpcCall implements Call {
  private readonly requests: GrpcMessages;
  private readonly responses: GrpcMessages;
  /** grpc-status; -1 where there was none. */
  private status = -1;
  /** There were fields of the response whose names are unknown: grpc-status may be one. */
  private hidden = false;

  constructor(stream: Stream, list: HeaderList, type: number) {
    const exchange = stream.exchange!;
    const { detail, envelope } = exchange;
    const { values, starts, ends } = list;
    const framing = this.subtype(stream, list, type);
    this.requests = new GrpcMessages(framing);
    this.responses = new GrpcMessages(framing);
    const path = list.find(Pseudo.PATH);
    if (path >= 0) {
      let start = starts[path];
      // A gateway for browsers may have a query, which is no part of the name, and may have a token.
      let end = start;
      while (end < ends[path] && end - start < MAX_NAME_BYTES && values[path][end] !== QUESTION) end++;
      if (start < end && values[path][start] === SLASH) start++;
      detail.text(GrpcTag.method, values[path], start, end);
      envelope.text(RoundTripTag.operation, values[path], start, end);
      let slash = end;
      while (slash > start && values[path][slash - 1] !== SLASH) slash--;
      if (slash - 1 > start) detail.text(GrpcTag.service, values[path], start, slash - 1);
    }
    const authority = list.find(Pseudo.AUTHORITY);
    if (authority >= 0) writeAuthority(exchange, list, authority);
    const agent = fieldOf(list, Field.USER_AGENT);
    if (agent >= 0) {
      detail.text(GrpcTag.userAgent, values[agent], starts[agent], ends[agent]);
      exchange.own = isOwnAgent(values[agent], starts[agent], ends[agent]);
    }
    const timeout = list.find(TIMEOUT);
    if (timeout >= 0) detail.text(GrpcTag.timeout, values[timeout], starts[timeout], ends[timeout]);
    const encoding = list.find(ENCODING);
    if (encoding >= 0) detail.text(GrpcTag.encoding, values[encoding], starts[encoding], ends[encoding]);
  }

  headers(direction: Direction, list: HeaderList): void {
    if (direction === Direction.CLIENT) return;
    const status = list.find(STATUS);
    if (status < 0) {
      this.hidden = this.hidden || list.incomplete;
      return;
    }
    this.status = statusCode(list.values[status], list.starts[status], list.ends[status]);
    const message = list.find(MESSAGE);
    if (message >= 0) this.keepMessage(list.values[message], list.starts[message], list.ends[message]);
  }

  data(direction: Direction, bytes: Uint8Array, start: number, end: number): void {
    (direction === Direction.CLIENT ? this.requests : this.responses).take(bytes, start, end);
  }

  lost(direction: Direction): void {
    (direction === Direction.CLIENT ? this.requests : this.responses).uncertain = true;
  }

  framing(): number {
    return this.requests.framing;
  }

  finish(stream: Stream, status: number, ended: boolean, resetCode: number): number {
    const exchange = stream.exchange!;
    const { detail, envelope } = exchange;
    const { requests, responses } = this;
    this.webTrailer();
    detail.uint(GrpcTag.streamId, stream.id);
    if (stream.statusCode > 0) detail.uint(GrpcTag.httpStatusCode, stream.statusCode);
    if (!requests.uncertain) detail.uint(GrpcTag.requestMessages, requests.count);
    if (!responses.uncertain && stream.responded) detail.uint(GrpcTag.responseMessages, responses.count);
    if (!requests.uncertain && !responses.uncertain)
      detail.constant(streaming(requests.count, responses.count));
    if (!stream.requestBodyDoubtful) detail.uint(GrpcTag.requestBodyBytes, stream.requestBodyBytes);
    if (stream.responded && !stream.responseBodyDoubtful)
      detail.uint(GrpcTag.responseBodyBytes, stream.responseBodyBytes);
    if (resetCode >= 0 && resetCode < errorCodes.length) detail.constant(errorCodes[resetCode]);
    if (this.message.length > 0) detail.text(GrpcTag.statusMessage, this.message, 0, this.message.length);

    let code = this.status;
    if (code < 0) {
      if (resetCode >= 0) code = BY_RESET[resetCode] ?? Code.UNKNOWN;
      else if (ended && stream.statusCode > 0 && stream.statusCode !== 200)
        code = byHttpStatus(stream.statusCode);
      else if (ended && this.hidden) return StatusValue.INCOMPLETE;
      else if (ended && stream.responded && !stream.doubtful) code = Code.UNKNOWN;
      else if (ended) return StatusValue.INCOMPLETE;
      else if (status === StatusValue.NO_RESPONSE && exchange.responseStartNs >= 0)
        return StatusValue.INCOMPLETE;
      else return status;
    }
    const name = statusName(code);
    detail.constant(name.code);
    if (code === Code.OK) return StatusValue.OK;
    envelope.constant(name.errorType);
    return resetCode >= 0 && this.status < 0 ? StatusValue.CANCELLED : StatusValue.ERROR;
  }

  private message: Uint8Array = NO_BYTES;

  /** grpc-message is percent-encoded; what it repeats in quotes is left out. */
  private keepMessage(bytes: Uint8Array, start: number, end: number): void {
    const decoded = new Uint8Array(end - start);
    let length = 0;
    for (let i = start; i < end; i++) {
      const high = bytes[i] === PERCENT && i + 2 < end ? hexDigit(bytes[i + 1]) : -1;
      const low = high >= 0 ? hexDigit(bytes[i + 2]) : -1;
      if (low >= 0) {
        decoded[length++] = high * 16 + low;
        i += 2;
      } else decoded[length++] = bytes[i];
    }
    this.message = sanitiseMessage(decoded, 0, length).slice();
  }

  /** The trailers in the body (gRPC-Web). */
  private webTrailer(): void {
    const status = this.responses.trailerField('grpc-status');
    if (status !== null) this.status = statusCode(status, 0, status.length);
    const message = this.responses.trailerField('grpc-message');
    if (message !== null) this.keepMessage(message, 0, message.length);
  }

  /** What follows `application/grpc`, and how messages are framed there. */
  private subtype(stream: Stream, list: HeaderList, type: number): Framing {
    if (type < 0) return Framing.PLAIN;
    const { detail } = stream.exchange!;
    const bytes = list.values[type];
    let start = list.starts[type] + CONTENT_TYPE.length;
    let end = start;
    while (end < list.ends[type] && bytes[end] !== SEMICOLON && bytes[end] !== 0x20) end++;
    if (start === end) {
      detail.constant(PROTO);
      return Framing.PLAIN;
    }
    if (bytes[start] === PLUS || bytes[start] === DASH) start++;
    detail.text(GrpcTag.contentSubtype, bytes, start, end);
    return framingOf(bytes, list.starts[type], end);
  }
}

const NO_BYTES = new Uint8Array(0);

/** application/grpc, alone or before `+`, `-web` or `;`. */
function isGrpc(list: HeaderList, type: number): boolean {
  const bytes = list.values[type];
  const start = list.starts[type];
  if (list.ends[type] - start < CONTENT_TYPE.length) return false;
  for (let i = 0; i < CONTENT_TYPE.length; i++)
    if ((bytes[start + i] | 0x20) !== (CONTENT_TYPE[i] | 0x20)) return false;
  const next = start + CONTENT_TYPE.length;
  return (
    next === list.ends[type] || bytes[next] === PLUS || bytes[next] === SEMICOLON || bytes[next] === DASH
  );
}

function streaming(requests: number, responses: number): Constant {
  if (requests > 1) return responses > 1 ? STREAMING.BIDI : STREAMING.CLIENT;
  return responses > 1 ? STREAMING.SERVER : STREAMING.UNARY;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
