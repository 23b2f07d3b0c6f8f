/** How a request gets to an OTLP receiver, and what its answer means. */

/** What became of one attempt. */
export type Sent =
  | { readonly result: 'accepted'; readonly rejected: number; readonly message: string }
  | { readonly result: 'refused'; readonly reason: string }
  | {
      readonly result: 'again';
      readonly reason: string;
      readonly afterMs: number;
      readonly reached: boolean;
    };

export interface Sender {
  /** Never rejects. */
  send(request: Uint8Array, signal: AbortSignal): Promise<Sent>;
  close(): void;
}
