/** The seam for protocols over UDP: no flow is kept below them. */
import type { Packet } from '../packet/packet.js';
import type { DecoderOptions, Verdict } from './decoder.js';
import type { Exchange, ExchangePool } from './exchange.js';

/** Addresses of a finished datagram exchange; the words are as in `Packet`, copied by the callee. */
export interface DatagramEndpoints {
  ipVersion: number;
  client0: number;
  client1: number;
  client2: number;
  client3: number;
  clientPort: number;
  server0: number;
  server1: number;
  server2: number;
  server3: number;
  serverPort: number;
}

/** Takes finished exchanges of datagram protocols. */
export interface DatagramSink {
  readonly pool: ExchangePool;
  emit(endpoints: DatagramEndpoints, exchange: Exchange): void;
  undecodable(bytes: number): void;
}

export interface DatagramDecoder {
  /** The payload is packet.bytes[payloadStart, payloadEnd); it may be cut (payloadLength says the whole). */
  datagram(packet: Packet): void;
  /** Is it the answer to an open request, though `probe` cannot tell so by its content? */
  awaits(packet: Packet): boolean;
  /** Emits what has waited too long. */
  tick(timeNs: number): void;
  /** The capture ended: emits everything that is open. */
  flush(timeNs: number): void;
}

export interface DatagramProtocol {
  readonly name: string;
  readonly ports: readonly number[];
  readonly detailTag: number;
  /** CLIENT for a request, SERVER for a response, NO otherwise; stateless. */
  probe(packet: Packet): Verdict;
  create(sink: DatagramSink, options: DecoderOptions): DatagramDecoder;
  /** The protocol as it is under these options, where they change what `probe` takes. */
  configured?(options: DecoderOptions): DatagramProtocol;
}
