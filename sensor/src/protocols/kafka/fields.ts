/** Takes the fields that a record wants out of a message as the walker shows them, and writes them. */
import { encodeString, KafkaTag, RoundTripTag } from '@packetd/proto';
import type { Exchange } from '../exchange.js';
import type { Batches } from './batches.js';
import { errorCode } from './errors.js';
import { Role } from './schema.js';
import { isZero, learnTopic, MAX_TOPIC_BYTES, topicName } from './topics.js';
import type { Visitor } from './walker.js';
import { ApiKey } from './wire.js';

/** Topics and partitions that a record lists. */
const MAX_TOPICS = 32;
const MAX_PARTITIONS = 32;
/** `resource_type` of a topic (org.apache.kafka.common.config.ConfigResource.Type and acl ResourceType). */
const RESOURCE_TOPIC = 2;
/** `key_type` of a group in FindCoordinator. */
const COORDINATOR_GROUP = 0;
const MAX_GROUP_BYTES = 256;
const NO_ACKS = -0x8000;

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].map((name) =>
  encodeString(KafkaTag.compression, name),
);

export class Fields implements Visitor {
  exchange: Exchange | null = null;
  /** First error code that is not 0. */
  error = 0;
  acks = NO_ACKS;
  /** Different topics named, with those whose name is not known. */
  topicCount = 0;
  /** Topics and partitions are wanted. */
  collecting = false;
  private apiKey = 0;
  private version = 0;
  private throttleMs = 0;
  /** Where the names written so far stand in the detail: start, end. */
  private readonly names = new Int32Array(MAX_TOPICS * 2);
  private nameCount = 0;
  private readonly partitions = new Int32Array(MAX_PARTITIONS);
  private partitionCount = 0;
  private clientWritten = false;
  private groupWritten = false;
  private transactionWritten = false;
  private resourceType = 0;
  private coordinatorType = COORDINATOR_GROUP;
  /** A group or topic name that waits for the field that tells what it is. */
  private readonly held = new Uint8Array(MAX_GROUP_BYTES);
  private heldBytes = -1;
  private readonly id = new Uint8Array(16);
  private idSeen = false;

  begin(exchange: Exchange | null, apiKey: number, version: number, collecting: boolean): void {
    this.exchange = exchange;
    this.apiKey = apiKey;
    this.version = version;
    this.collecting = collecting;
    this.error = 0;
    this.acks = NO_ACKS;
    this.topicCount = 0;
    this.throttleMs = 0;
    this.nameCount = 0;
    this.partitionCount = 0;
    this.clientWritten = false;
    this.groupWritten = false;
    this.transactionWritten = false;
    this.resourceType = 0;
    this.coordinatorType = COORDINATOR_GROUP;
    this.heldBytes = -1;
    this.idSeen = false;
  }

  number(role: Role, value: number): void {
    switch (role) {
      case Role.PARTITION:
        if (this.collecting && value >= 0 && this.partitionCount < MAX_PARTITIONS)
          this.partitions[this.partitionCount++] = value;
        return;
      case Role.ERROR:
        if (this.error === 0) this.error = value;
        return;
      case Role.THROTTLE:
        if (value > 0) this.throttleMs = value;
        return;
      case Role.ACKS:
        this.acks = value;
        return;
      case Role.RESOURCE_TYPE:
        this.resourceType = value;
        return;
      case Role.COORDINATOR_TYPE:
        this.coordinatorType = value;
        if (this.heldBytes > 0 && value === COORDINATOR_GROUP) this.group(this.held, 0, this.heldBytes);
    }
  }

  text(role: Role, bytes: Uint8Array, start: number, end: number): void {
    if (role === Role.TOPIC_NAME) {
      this.hold(bytes, start, end);
      this.learn();
      return;
    }
    const { exchange } = this;
    if (exchange === null || end === start) return;
    switch (role) {
      case Role.TOPIC:
        if (this.collecting) this.topic(exchange, bytes, start, end);
        return;
      case Role.CLIENT_ID:
        if (!this.clientWritten) exchange.detail.text(KafkaTag.clientId, bytes, start, end);
        this.clientWritten = true;
        return;
      case Role.GROUP:
        this.group(bytes, start, end);
        return;
      case Role.TRANSACTION:
        if (!this.transactionWritten) exchange.detail.text(KafkaTag.transactionalId, bytes, start, end);
        this.transactionWritten = true;
        return;
      case Role.RESOURCE:
        if (this.resourceType === RESOURCE_TOPIC) this.topic(exchange, bytes, start, end);
        return;
      case Role.COORDINATOR_KEY:
        // The type stands before the keys from version 4 on, behind the key in 1 to 3; 0 has groups only.
        if (this.version === 0 || (this.version >= 4 && this.coordinatorType === COORDINATOR_GROUP))
          this.group(bytes, start, end);
        else this.hold(bytes, start, end);
    }
  }

  uuid(_role: Role, bytes: Uint8Array, at: number): void {
    if (this.collecting) {
      const { exchange } = this;
      if (exchange === null || isZero(bytes, at)) return;
      const name = topicName(bytes, at);
      if (name === null) this.topicCount++;
      else this.topic(exchange, name, 0, name.length);
      return;
    }
    this.id.set(bytes.subarray(at, at + 16));
    this.idSeen = true;
    this.learn();
  }

  /** What is known at the end of a request. */
  writeRequest(exchange: Exchange, batches: Batches): void {
    const { detail } = exchange;
    if (this.acks !== NO_ACKS) detail.int(KafkaTag.acks, this.acks);
    if (this.apiKey === ApiKey.PRODUCE) this.writeBatches(exchange, batches);
    this.writeTopics(exchange);
  }

  /** What is known at the end of a response. */
  writeResponse(exchange: Exchange, batches: Batches): void {
    const { detail, envelope } = exchange;
    if (this.apiKey === ApiKey.FETCH || this.apiKey === ApiKey.SHARE_FETCH)
      this.writeBatches(exchange, batches);
    if (this.collecting) this.writeTopics(exchange);
    detail.uintNonZero(KafkaTag.throttleTimeMs, this.throttleMs);
    if (this.error !== 0) {
      const code = errorCode(this.error);
      envelope.constant(code.envelope);
      detail.constant(code.detail);
    }
  }

  private writeBatches(exchange: Exchange, batches: Batches): void {
    const { detail } = exchange;
    if (!batches.uncounted) detail.uint(KafkaTag.messageCount, batches.records);
    if (batches.bytes >= 0) detail.uint(KafkaTag.recordBytes, batches.bytes);
    const codec = CODECS[batches.codec];
    if (codec !== undefined) detail.constant(codec);
  }

  private writeTopics(exchange: Exchange): void {
    const { detail, envelope } = exchange;
    detail.uintNonZero(KafkaTag.topicCount, this.topicCount);
    if (this.topicCount === 1 && this.nameCount === 1)
      envelope.text(RoundTripTag.target, detail.bytes, this.names[0], this.names[1]);
    if (this.partitionCount > 0) {
      const mark = detail.begin(KafkaTag.partitions);
      detail.reserve(this.partitionCount * 5);
      for (let i = 0; i < this.partitionCount; i++) detail.varint(this.partitions[i]);
      detail.end(mark);
    }
  }

  /** Writes the name of a topic unless it is there already. */
  private topic(exchange: Exchange, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length > MAX_TOPIC_BYTES) return;
    const { detail } = exchange;
    const { names, nameCount } = this;
    for (let n = 0; n < nameCount * 2; n += 2) {
      if (names[n + 1] - names[n] === length && same(detail.bytes, names[n], bytes, start, length)) return;
    }
    this.topicCount++;
    if (nameCount === MAX_TOPICS) return;
    detail.text(KafkaTag.destinationNames, bytes, start, end);
    // Legal names are ASCII; what is not was replaced, and is not compared.
    names[nameCount * 2] = detail.length - length;
    names[nameCount * 2 + 1] = detail.length;
    this.nameCount++;
  }

  private group(bytes: Uint8Array, start: number, end: number): void {
    if (!this.groupWritten) this.exchange?.detail.text(KafkaTag.consumerGroup, bytes, start, end);
    this.groupWritten = true;
  }

  private hold(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.heldBytes = length > MAX_GROUP_BYTES ? 0 : length;
    for (let i = 0; i < this.heldBytes; i++) this.held[i] = bytes[start + i];
  }

  /** Once both the name and the id of a topic are there. */
  private learn(): void {
    if (this.heldBytes < 0 || !this.idSeen) return;
    learnTopic(this.id, 0, this.held, 0, this.heldBytes);
    this.heldBytes = -1;
    this.idSeen = false;
  }
}

function same(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}
