/** OTLP over gRPC: the request is encoded already, so the serialisers pass bytes through. */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { EndpointError, readCa } from '../post.js';
import type { Sender, Sent } from './sender.js';
import { partialSuccess, retryDelayMs } from './wire.js';

const METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

/** Codes with which a client tries again (OTLP specification, section OTLP/gRPC response). */
const AGAIN = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);
/** Holds a google.rpc.Status; without RetryInfo in it RESOURCE_EXHAUSTED is final. */
const DETAILS = 'grpc-status-details-bin';
/** Characters of what a receiver says that are logged. */
const MAX_REASON = 300;

export class GrpcSender implements Sender {
  private readonly client: Client;
  private readonly metadata = new Metadata();

  /** `endpoint` is http://host:port or https://host:port. Throws EndpointError. */
  constructor(
    key: string,
    endpoint: string,
    private readonly timeoutMs: number,
    headers: Readonly<Record<string, string>>,
    ca: string,
  ) {
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new EndpointError(`${key}.endpoint is no URL; write http://host:4317`);
    }
    const secure = url.protocol === 'https:';
    const authority = ca === '' ? null : readCa(`${key}.ca`, ca);
    this.client = new Client(
      `${url.hostname}:${url.port || (secure ? '443' : '4317')}`,
      secure ? credentials.createSsl(authority) : credentials.createInsecure(),
      { 'grpc.default_compression_algorithm': 2, 'grpc.primary_user_agent': 'packetd' },
    );
    for (const [name, value] of Object.entries(headers)) {
      try {
        this.metadata.set(name, value);
      } catch {
        // What it says has the value in it.
        throw new EndpointError(`${key}.headers: a name or value is not allowed in metadata`);
      }
    }
  }

  send(request: Uint8Array, signal: AbortSignal): Promise<Sent> {
    return new Promise((resolve) => {
      const call = this.client.makeUnaryRequest(
        METHOD,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.from(request),
        this.metadata,
        { deadline: Date.now() + this.timeoutMs },
        (error: ServiceError | null, answer?: Buffer) => {
          signal.removeEventListener('abort', cancel);
          resolve(
            error === null
              ? { result: 'accepted', ...partialSuccess(answer ?? new Uint8Array(0)) }
              : outcome(error),
          );
        },
      );
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });
  }

  close(): void {
    this.client.close();
  }
}

function outcome(error: ServiceError): Sent {
  const reason = `${status[error.code]} ${error.details.slice(0, MAX_REASON)}`.trim();
  const [details] = error.metadata?.get(DETAILS) ?? [];
  const afterMs = details instanceof Buffer ? retryDelayMs(details) : 0;
  const again = AGAIN.has(error.code) || (error.code === status.RESOURCE_EXHAUSTED && afterMs > 0);
  if (!again) return { result: 'refused', reason };
  return { result: 'again', reason, afterMs, reached: error.code !== status.UNAVAILABLE };
}
