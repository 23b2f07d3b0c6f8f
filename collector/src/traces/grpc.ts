/** OTLP over gRPC: the request is encoded already, so the serialisers pass bytes through. */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Sender, Sent } from './sender.js';
import { partialSuccess } from './wire.js';

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
/** google.rpc.RetryInfo in grpc-status-details-bin says how long to wait; without it RESOURCE_EXHAUSTED is final. */
const DETAILS = 'grpc-status-details-bin';
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

export class GrpcSender implements Sender {
  private readonly client: Client;
  private readonly metadata = new Metadata();

  /** `endpoint` is http://host:port or https://host:port. */
  constructor(
    endpoint: string,
    private readonly timeoutMs: number,
    headers: Readonly<Record<string, string>>,
  ) {
    const url = new URL(endpoint);
    const secure = url.protocol === 'https:';
    this.client = new Client(
      `${url.hostname}:${url.port || (secure ? '443' : '4317')}`,
      secure ? credentials.createSsl() : credentials.createInsecure(),
      { 'grpc.default_compression_algorithm': 2 },
    );
    for (const [key, value] of Object.entries(headers)) this.metadata.set(key, value);
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
  const reason = `${status[error.code]}`;
  const afterMs = retryInfoMs(error);
  const again = AGAIN.has(error.code) || (error.code === status.RESOURCE_EXHAUSTED && afterMs > 0);
  if (!again) return { result: 'refused', reason };
  return { result: 'again', reason, afterMs, reached: error.code !== status.UNAVAILABLE };
}

/** Milliseconds of RetryInfo's retry_delay { seconds = 1, nanos = 2 }; 0 where there is none. */
function retryInfoMs(error: ServiceError): number {
  const [details] = error.metadata?.get(DETAILS) ?? [];
  if (!(details instanceof Buffer)) return 0;
  const at = details.indexOf(RETRY_INFO);
  if (at < 0) return 0;
  // Any { type_url = 1, value = 2 }: the value holds RetryInfo { retry_delay = 1 }.
  let i = at + RETRY_INFO.length;
  if (details[i] !== 0x12) return 0;
  i += 2;
  if (details[i] !== 0x0a) return 0;
  const end = i + 2 + details[i + 1];
  let milliseconds = 0;
  for (i += 2; i < end; ) {
    const field = details[i++];
    let value = 0;
    for (let scale = 1; i < end; scale *= 128) {
      const byte = details[i++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    milliseconds += field === 0x08 ? value * 1000 : value / 1e6;
  }
  return milliseconds;
}
