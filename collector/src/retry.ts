/** Waiting between attempts: exponential with jitter, or as long as the server asks for. */

const FIRST_MS = 250;
const LONGEST_MS = 30_000;
/** A server that asks for more is asked again after this. */
const LONGEST_ASKED_MS = 300_000;

export class Backoff {
  private next = FIRST_MS;

  reset(): void {
    this.next = FIRST_MS;
  }

  /** Milliseconds to wait before the next attempt; `askedMs` is what the server said, 0 where it said nothing. */
  delay(askedMs = 0): number {
    const base = this.next;
    this.next = Math.min(this.next * 2, LONGEST_MS);
    if (askedMs > 0) return Math.min(askedMs, LONGEST_ASKED_MS);
    return base / 2 + Math.random() * (base / 2);
  }
}

/** Retry-After (RFC 9110 section 10.2.3) in milliseconds; 0 where it is absent or past. */
export function retryAfterMs(value: string | null | undefined): number {
  if (!value) return 0;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}

/** Waits, or ends early with `signal`. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}

/** What an output rejects with when it is closed before its backend has accepted. */
export class ClosedError extends Error {
  override readonly name = 'ClosedError';

  constructor(output: string) {
    super(`${output} was closed before its backend accepted everything`);
  }
}
