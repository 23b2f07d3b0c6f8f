/** The seam between sources (NATS JetStream, in-process) and outputs (metrics, traces, documents). */
import { fromBinary } from '@bufbuild/protobuf';
import { eachRecord, RECORD, withoutRecords } from '@packetd/proto/batch';
import { type RoundTripBatch, RoundTripBatchSchema } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';

/** One batch of a sensor, in wire format, on its way to the outputs. Outputs share it and do not write to it. */
export class Batch {
  private message: RoundTripBatch | null = null;

  /** `bytes` is one RoundTripBatch, uncompressed, and belongs to the batch from here on. */
  constructor(readonly bytes: Uint8Array) {}

  /**
   * All of the batch but its roundtrips, which each output reads from `eachRecord`: decoded at the first call, then
   * shared. Throws where the bytes are no RoundTripBatch.
   */
  get head(): Omit<RoundTripBatch, 'roundtrips'> {
    this.message ??= fromBinary(RoundTripBatchSchema, withoutRecords(this.bytes));
    return this.message;
  }

  /** Calls `visit` with the bounds in `bytes` of every roundtrip; they may be malformed. */
  eachRecord(visit: (start: number, end: number) => void): void {
    eachRecord(this.bytes, this.bytes.length, RECORD, visit);
  }
}

/** A place where roundtrips go. Each has its own position in the stream and its own back-pressure. */
export interface Output {
  /** metrics, traces, documents: also the name of its durable consumer. */
  readonly name: string;
  /** Writes that it wants open at once, when it accepts many together and keeps none of the batches. */
  readonly window?: number;
  /**
   * Resolves when the output has durably accepted everything of `batch`; until then the source will
   * not acknowledge it, and gives it again (to this or another collector) should this process die.
   * Retries what can be retried itself, with back-off; rejects only when it is closed. What the
   * backend refuses for good is counted, and resolves. Several writes run at once: the source keeps
   * at most its window of them open.
   */
  write(batch: Batch): Promise<void>;
  /** Opens the files that it writes again, whose names somebody has given to others. Throws FileError. */
  reopen?(): void;
  /** Nothing more comes: what waits for its time is sent now. */
  flush?(): void;
  /** Sends what it has buffered and ends. Writes still open after `deadlineMs` reject. */
  close(deadlineMs: number): Promise<void>;
}
