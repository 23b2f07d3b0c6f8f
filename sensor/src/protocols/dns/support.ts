/** Messages, packets and a sink for the tests of this folder. Only tests import it. */
import type { Dns } from '@packetd/proto/gen/packetd/v1/dns_pb';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { Packet } from '../../packet/packet.js';
import type { DatagramEndpoints, DatagramSink } from '../datagram.js';
import { DEFAULT_DECODER_OPTIONS, type DecoderOptions } from '../decoder.js';
import { type Exchange, ExchangePool } from '../exchange.js';
import { decodeExchange } from '../harness.js';
import { dnsDatagram } from './index.js';

export interface Record {
  /** A name (`www.ab`, compressed where it is `*`, which is the question's). */
  name: string;
  type: number;
  class?: number;
  ttl?: number;
  data: string;
}

export interface Question {
  id?: number;
  flags?: number;
  /** null: no question. */
  name?: string | null;
  type?: number;
  class?: number;
  answers?: readonly Record[];
  authorities?: readonly Record[];
  additionals?: readonly Record[];
}

const u16 = (value: number): string => String.fromCharCode((value >> 8) & 255, value & 255);
const u32 = (value: number): string => u16(value >>> 16) + u16(value & 0xffff);

export function wireName(name: string): string {
  if (name === '*') return '\xc0\x0c';
  const labels = name === '.' ? [] : name.split('.');
  return `${labels.map((label) => String.fromCharCode(label.length) + label).join('')}\0`;
}

/** A message in Latin-1. */
export function message(m: Question): string {
  const section = (records: readonly Record[] = []): string =>
    records
      .map(
        (r) =>
          wireName(r.name) + u16(r.type) + u16(r.class ?? 1) + u32(r.ttl ?? 60) + u16(r.data.length) + r.data,
      )
      .join('');
  const name = m.name === undefined ? 'www.example.com' : m.name;
  return (
    u16(m.id ?? 7) +
    u16(m.flags ?? 0x0100) +
    u16(name === null ? 0 : 1) +
    u16(m.answers?.length ?? 0) +
    u16(m.authorities?.length ?? 0) +
    u16(m.additionals?.length ?? 0) +
    (name === null ? '' : wireName(name) + u16(m.type ?? 1) + u16(m.class ?? 1)) +
    section(m.answers) +
    section(m.authorities) +
    section(m.additionals)
  );
}

/** OPT: size 1232, the upper bits of the rcode, DO, and options. */
export function opt(
  settings: { rcode?: number; version?: number; dnssec?: boolean; options?: string } = {},
): Record {
  const ttl =
    (((settings.rcode ?? 0) >> 4) << 24) | ((settings.version ?? 0) << 16) | (settings.dnssec ? 0x8000 : 0);
  return { name: '.', type: 41, class: 1232, ttl, data: settings.options ?? '' };
}

/** ADDRESS of an A record. */
export const ADDRESS = '\xc0\x00\x02\x07';
export const A: Record = { name: '*', type: 1, data: ADDRESS };

/** RDATA of SOA with a serial. */
export function soa(serial: number): Record {
  return {
    name: '*',
    type: 6,
    data: wireName('ns') + wireName('admin') + u32(serial) + u32(1) + u32(2) + u32(3) + u32(4),
  };
}

export const details = (record: RoundTrip): Dns => record.detail.value as Dns;

/** `TYPE name RCODE STATUS`, and what else is given. */
export function line(record: RoundTrip): string {
  const { questionType, questionName, rcode } = details(record);
  return `${questionType || '-'} ${questionName || '-'} ${rcode || '-'} ${Status[record.status]}`;
}

/** A socket's end as tests give it: the last byte of 10.0.0.x, and the port. */
export type End = readonly [host: number, port: number];
export const CLIENT: End = [1, 40_000];
export const SERVER: End = [2, 53];

/** The UDP decoder with what came of it. */
export class Datagrams implements DatagramSink {
  readonly pool = new ExchangePool();
  readonly records: RoundTrip[] = [];
  readonly ends: [client: End, server: End][] = [];
  readonly packets: [number, number][] = [];
  undecoded = 0;
  readonly decoder;

  constructor(options: Partial<DecoderOptions> = {}) {
    this.decoder = dnsDatagram.create(this, { ...DEFAULT_DECODER_OPTIONS, ...options });
  }

  emit(e: DatagramEndpoints, exchange: Exchange): void {
    this.records.push(decodeExchange(exchange, dnsDatagram.detailTag));
    this.ends.push([
      [e.client3 & 255, e.clientPort],
      [e.server3 & 255, e.serverPort],
    ]);
    this.packets.push([
      exchange.requestLastSegment - exchange.requestFirstSegment + 1,
      exchange.responseFirstSegment < 0
        ? 0
        : exchange.responseLastSegment - exchange.responseFirstSegment + 1,
    ]);
    this.pool.release(exchange);
  }

  undecodable(bytes: number): void {
    this.undecoded += bytes;
  }

  /** `cut` bytes at the end were not captured. */
  send(from: End, to: End, payload: string, timeMs: number, cut = 0, interfaceIndex = 1): this {
    const p = packet(from, to, Buffer.from(payload, 'latin1'), timeMs, cut);
    p.interfaceIndex = interfaceIndex;
    this.decoder.datagram(p);
    return this;
  }

  get lines(): string[] {
    return this.records.map(line);
  }
}

export function packet(from: End, to: End, payload: Uint8Array, timeMs = 0, cut = 0): Packet {
  const p = new Packet();
  p.bytes = payload;
  p.ipVersion = 4;
  p.source2 = 0xffff;
  p.source3 = 0x0a000000 + from[0];
  p.sourcePort = from[1];
  p.destination2 = 0xffff;
  p.destination3 = to[0] >= 224 ? (to[0] * 0x1000000 + 251) | 0 : 0x0a000000 + to[0];
  p.destinationPort = to[1];
  p.protocol = 17;
  p.payloadStart = 0;
  p.payloadEnd = payload.length - cut;
  p.payloadLength = payload.length;
  p.timeNs = timeMs * 1e6;
  return p;
}
