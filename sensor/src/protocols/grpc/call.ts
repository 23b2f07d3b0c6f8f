/** gRPC calls on HTTP/2 streams (PROTOCOL-HTTP2.md and PROTOCOL-WEB.md). */

import { encodeString, GrpcTag, RoundTripTag, StatusValue } from '@packetd/proto';
import { sanitiseMessage } from '../../redact/message.js';
import { Direction } from '../decoder.js';
import { Field } from '../http-names.js';
import { fieldOf, writeAuthority } from '../http2/fields.js';
import { ERROR_CODES } from '../http2/frames.js';
import { type HeaderList, intern, Pseudo } from '../http2/hpack.js';
import type { Application, Call, Stream } from '../http2/stream.js';
import { isOwnAgent } from '../own-agent.js';
import { BY_RESET, byHttpStatus, Code, statusName } from './status.js';

/** Flags (1) and length (4) before every message. */
const PREFIX_BYTES = 5;
/** Set in the flags of gRPC-Web's trailer frame. */
const TRAILER = 0x80;
const MAX_TRAILER_BYTES = 4096;
const MAX_NAME_BYTES = 512;

const STATUS = intern('grpc-status');
const MESSAGE = intern('grpc-message');
const TIMEOUT = intern('grpc-timeout');
const ENCODING = intern('grpc-encoding');

const CONTENT_TYPE = Buffer.from('application/grpc', 'latin1');
const [SLASH, PLUS, SEMICOLON, DASH, PERCENT] = Buffer.from('/+;-%', 'latin1');
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

/** Counts the messages of one direction. */
class Messages {
  count = 0;
  /** Not all of them could be counted. */
  uncertain = false;
  private malformed = false;
  private prefix = 0;
  private length = 0;
  private left = 0;
  private flags = 0;
  /** The text of a trailer frame. */
  trailer: number[] | null = null;

  constructor(private readonly web: boolean) {}

  /** 1 whole messages and nothing else, -1 something else, 0 unknown. */
  get framing(): number {
    if (this.malformed) return -1;
    return this.count > 0 && !this.uncertain && this.left === 0 && this.prefix === 0 ? 1 : 0;
  }

  take(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end && !this.uncertain) {
      if (this.left > 0) {
        const take = Math.min(this.left, end - at);
        if (this.trailer !== null && (this.flags & TRAILER) !== 0) {
          for (let i = at; i < at + take && this.trailer.length < MAX_TRAILER_BYTES; i++)
            this.trailer.push(bytes[i]);
        }
        this.left -= take;
        at += take;
        continue;
      }
      const byte = bytes[at++];
      if (this.prefix === 0) {
        this.flags = byte;
        this.length = 0;
        if ((byte & ~(this.web ? TRAILER | 1 : 1)) !== 0) {
          this.uncertain = true;
          this.malformed = true;
          return;
        }
      } else this.length = this.length * 256 + byte;
      if (++this.prefix < PREFIX_BYTES) continue;
      this.prefix = 0;
      this.left = this.length;
      if ((this.flags & TRAILER) !== 0) this.trailer = [];
      else this.count++;
    }
  }
}

class GrpcCall implements Call {
  private readonly requests: Messages;
  private readonly responses: Messages;
  /** grpc-status; -1 where there was none. */
  private status = -1;
  /** There were fields of the response whose names are unknown: grpc-status may be one. */
  private hidden = false;

  constructor(stream: Stream, list: HeaderList, type: number) {
    const exchange = stream.exchange!;
    const { detail, envelope } = exchange;
    const { values, starts, ends } = list;
    const web = this.subtype(stream, list, type);
    this.requests = new Messages(web);
    this.responses = new Messages(web);
    const path = list.find(Pseudo.PATH);
    if (path >= 0) {
      let start = starts[path];
      const end = Math.min(ends[path], start + MAX_NAME_BYTES);
      if (values[path][start] === SLASH) start++;
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
    this.status = decimal(list.values[status], list.starts[status], list.ends[status]);
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
    if (responses.trailer !== null) this.webTrailer(responses.trailer);
    detail.uint(GrpcTag.streamId, stream.id);
    if (stream.statusCode > 0) detail.uint(GrpcTag.httpStatusCode, stream.statusCode);
    if (!requests.uncertain) detail.uint(GrpcTag.requestMessages, requests.count);
    if (!responses.uncertain && stream.responded) detail.uint(GrpcTag.responseMessages, responses.count);
    if (!requests.uncertain && !responses.uncertain) detail.raw(streaming(requests.count, responses.count));
    detail.uint(GrpcTag.requestBodyBytes, stream.requestBodyBytes);
    if (stream.responded) detail.uint(GrpcTag.responseBodyBytes, stream.responseBodyBytes);
    if (resetCode >= 0 && resetCode < errorCodes.length) detail.raw(errorCodes[resetCode]);
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
    detail.raw(name.code);
    if (code === Code.OK) return StatusValue.OK;
    envelope.raw(name.errorType);
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

  /** `grpc-status:0\r\ngrpc-message:…` in the body (gRPC-Web). */
  private webTrailer(trailer: readonly number[]): void {
    for (const line of Buffer.from(trailer).toString('latin1').split('\r\n')) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).trim().toLowerCase();
      const value = Buffer.from(line.slice(colon + 1).trim(), 'latin1');
      if (name === 'grpc-status') this.status = decimal(value, 0, value.length);
      else if (name === 'grpc-message') this.keepMessage(value, 0, value.length);
    }
  }

  /** What follows `application/grpc`; true for gRPC-Web. Its base64 form has no messages that can be counted. */
  private subtype(stream: Stream, list: HeaderList, type: number): boolean {
    if (type < 0) return false;
    const { detail } = stream.exchange!;
    const bytes = list.values[type];
    let start = list.starts[type] + CONTENT_TYPE.length;
    let end = start;
    while (end < list.ends[type] && bytes[end] !== SEMICOLON && bytes[end] !== 0x20) end++;
    if (start === end) {
      detail.raw(PROTO);
      return false;
    }
    const web = bytes[start] === DASH;
    if (bytes[start] === PLUS || web) start++;
    detail.text(GrpcTag.contentSubtype, bytes, start, end);
    return web;
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

function streaming(requests: number, responses: number): Uint8Array {
  if (requests > 1) return responses > 1 ? STREAMING.BIDI : STREAMING.CLIENT;
  return responses > 1 ? STREAMING.SERVER : STREAMING.UNARY;
}

function decimal(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  if (end === start || end - start > 3) return Code.UNKNOWN;
  for (let i = start; i < end; i++) {
    const digit = bytes[i] - 0x30;
    if (digit < 0 || digit > 9) return Code.UNKNOWN;
    value = value * 10 + digit;
  }
  return value;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
