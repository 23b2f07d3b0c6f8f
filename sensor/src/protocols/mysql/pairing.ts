/** Commands in flight, in the order in which they were sent, which is that of their answers. */
import { NO_FIELDS, StatusValue } from '@packetd/proto';
import type { Connection, Input } from '../decoder.js';
import type { Exchange } from '../exchange.js';
import { type Command, releaseCommand, Stage, takeCommand } from './command.js';
import type { Lane } from './lane.js';
import { writeCommand, writeResult } from './record.js';
import type { Session } from './session.js';
import { Com } from './wire.js';

export class Pairing {
  head: Command | null = null;
  tail: Command | null = null;
  length = 0;

  constructor(
    private readonly connection: Connection,
    private readonly session: Session,
    private readonly client: Lane,
    private readonly server: Lane,
  ) {}

  push(code: number): Command {
    const command = takeCommand(this.connection.pool.take(), code);
    if (this.tail === null) this.head = command;
    else this.tail.next = command;
    this.tail = command;
    this.length++;
    return command;
  }

  pushConnect(): Command {
    const connect = this.push(Com.CONNECT);
    connect.stage = Stage.AUTH;
    writeCommand(connect.exchange, Com.CONNECT, null);
    return connect;
  }

  /** Takes the first command, which there is. */
  shift(): Command {
    const command = this.head!;
    this.head = command.next;
    if (this.head === null) this.tail = null;
    this.length--;
    return command;
  }

  /** Notes the first byte of a request. */
  begin(exchange: Exchange, input: Input, at: number): void {
    exchange.requestStartNs = this.client.startOf(input, at);
    exchange.requestFirstSegment = this.client.firstSegmentOf(input, at);
  }

  /** Notes the first byte of an answer. */
  answer(command: Command, input: Input, at: number): void {
    if (command.begun) return;
    command.begun = true;
    const { exchange } = command;
    exchange.responseStartNs = this.server.startOf(input, at);
    if (exchange.responseFirstSegment < 0) {
      exchange.responseFirstSegment = this.server.firstSegmentOf(input, at);
    }
  }

  /** Adds [from, to) to the size of a message and moves its end. */
  account(lane: Lane, owner: Command, input: Input, from: number, to: number): void {
    const { exchange } = owner;
    const size = lane.sizeOf(from, to);
    if (lane === this.client) {
      exchange.requestBytes += size;
      exchange.requestLastSegment = input.segmentAt(to - 1);
      // A file, or an exchange of authentication data, goes on after the answer has begun.
      if (!owner.begun) exchange.requestEndNs = input.timeAt(to - 1);
    } else {
      exchange.responseBytes += size;
      exchange.responseEndNs = input.timeAt(to - 1);
      exchange.responseLastSegment = input.segmentAt(to - 1);
    }
  }

  /** Ends all commands in flight without their answers. */
  flush(status: number): void {
    while (this.head !== null) this.drop(status);
  }

  /** Ends the first command; NO_RESPONSE becomes INCOMPLETE where its answer has begun, or may have. */
  drop(status: number): void {
    const command = this.shift();
    const { exchange } = command;
    if (exchange.requestStartNs < 0) {
      // A greeting that nobody answered.
      this.forget(command);
      this.connection.pool.release(exchange);
      releaseCommand(command);
      return;
    }
    const begun = command.begun || command.doubtful;
    exchange.status = begun && status === StatusValue.NO_RESPONSE ? StatusValue.INCOMPLETE : status;
    // Nobody knows whether it was carried out.
    if (command.namespace !== null) this.session.useDatabase(NO_FIELDS);
    if (command.user !== null) this.session.useUser(NO_FIELDS);
    this.emit(command);
  }

  emit(command: Command): void {
    this.forget(command);
    writeResult(command, this.session);
    this.connection.emit(command.exchange);
    releaseCommand(command);
  }

  private forget(command: Command): void {
    if (this.client.owner === command) this.client.owner = null;
    if (this.server.owner === command) this.server.owner = null;
  }
}
