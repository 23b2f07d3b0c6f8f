/** What the tests of the outputs share: records, a backend that answers by script, and a reader of protobuf. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type Http, HttpSchema } from '@packetd/proto/gen/packetd/v1/http_pb';
import {
  type RoundTrip,
  type RoundTripBatch,
  RoundTripBatchSchema,
  type RoundTripSchema,
  Status,
  Transport,
} from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import type { Log } from './log.js';
import { Batch } from './output.js';

type RoundTripInit = Exclude<MessageInitShape<typeof RoundTripSchema>, RoundTrip>;
type BatchInit = Exclude<MessageInitShape<typeof RoundTripBatchSchema>, RoundTripBatch>;

/** GET /users/:id of 10.0.0.1:41000 at 10.0.0.2:8080, 200 after 20 ms. */
export function httpRecord(
  init: RoundTripInit = {},
  http: Exclude<MessageInitShape<typeof HttpSchema>, Http> = {},
): RoundTripInit {
  return {
    id: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
    client: { address: Uint8Array.of(10, 0, 0, 1), port: 41000, bytes: 120n, packets: 1 },
    server: { address: Uint8Array.of(10, 0, 0, 2), port: 8080, bytes: 640n, packets: 1 },
    startUnixNano: 1_700_000_000_123_456_789n,
    durationNano: 20_000_000n,
    operation: 'GET',
    target: '/users/:id',
    status: Status.OK,
    transport: Transport.TCP,
    protocolVersion: '1.1',
    detail: {
      case: 'http',
      value: create(HttpSchema, {
        method: 'GET',
        path: '/users/7',
        statusCode: 200,
        requestBodyBytes: 0n,
        responseBodyBytes: 512n,
        ...http,
      }),
    },
    ...init,
  };
}

export function batchOf(roundtrips: readonly RoundTripInit[], further: BatchInit = {}): Batch {
  const message = create(RoundTripBatchSchema, {
    sensor: { name: 'edge-1', hostname: 'edge-1.example', version: '1.2.3' },
    roundtrips: [...roundtrips],
    ...further,
  });
  return new Batch(toBinary(RoundTripBatchSchema, message));
}

/** The fields of a message by number; every value of each, in order. */
export type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint)[]>;

/** Reads any message: length-delimited fields as bytes, all others as the bits they have. */
export function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    let value: Uint8Array | bigint;
    if (type === WireType.LengthDelimited) value = reader.bytes();
    else if (type === WireType.Varint) value = BigInt(reader.uint64());
    else if (type === WireType.Bit64) value = BigInt(reader.fixed64());
    else if (type === WireType.Bit32) value = BigInt(reader.fixed32());
    else throw new Error(`wire type ${type}`);
    const values = fields.get(number);
    if (values === undefined) fields.set(number, [value]);
    else values.push(value);
  }
  return fields;
}

export function messages(fields: Fields, number: number): Fields[] {
  return (fields.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array));
}

export function textOf(fields: Fields, number: number): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(
    (fields.get(number)?.[0] ?? new Uint8Array(0)) as Uint8Array,
  );
}

export function bitsOf(fields: Fields, number: number): bigint {
  return (fields.get(number)?.[0] ?? 0n) as bigint;
}

export function doubleOf(fields: Fields, number: number): number {
  return new Float64Array(BigUint64Array.of(bitsOf(fields, number)).buffer)[0];
}

/** sint32 and sint64. */
export function signed(zigzag: bigint): number {
  return Number((zigzag >> 1n) ^ -(zigzag & 1n));
}

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly atMs: number;
}

/** A backend on loopback. Requests are answered as `script` says, one entry each, then with 204. */
export class Backend {
  readonly received: Received[] = [];
  /** Most requests that were open at once. */
  mostOpen = 0;
  private open = 0;
  private readonly server = createServer((request, response) => {
    this.mostOpen = Math.max(this.mostOpen, ++this.open);
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      this.received.push({ headers: request.headers, body: Buffer.concat(pieces), atMs: Date.now() });
      const answer = this.script.shift() ?? ((r: ServerResponse) => r.writeHead(204).end());
      this.open--;
      answer(response);
    });
  });

  private constructor(private readonly script: ((response: ServerResponse) => void)[]) {}

  static async start(script: ((response: ServerResponse) => void)[] = []): Promise<Backend> {
    const backend = new Backend(script);
    backend.server.listen(0, '127.0.0.1');
    await once(backend.server, 'listening');
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/api`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

export function answering(
  status: number,
  headers: Record<string, string> = {},
  body: string | Uint8Array = '',
): (response: ServerResponse) => void {
  return (response) => response.writeHead(status, headers).end(body);
}

/** Keeps what is logged. */
export class Lines implements Log {
  readonly lines: string[] = [];
  debug = this.keep;
  info = this.keep;
  warn = this.keep;
  error = this.keep;

  private keep(message: string, fields: object = {}): void {
    this.lines.push(`${message} ${JSON.stringify(fields)}`);
  }
}
