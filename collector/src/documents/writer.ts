/** The documents of a batch: one DocumentWriter per sensor, for the observer is part of every document. */

import type { ByteBuffer } from '@packetd/proto/byte-buffer';
import type { Sensor } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { DocumentWriter } from '@packetd/proto/telemetry/document';
import type { Batch } from '../output.js';

/** Writers that are kept; a fleet has fewer sensors. */
const MAX_WRITERS = 1024;

export class BatchDocuments {
  private readonly writers = new Map<string, DocumentWriter>();

  /**
   * Appends the document of every record to `out`, each followed by a line end, and calls `each` with the
   * bounds of the record and of its document. Answers how many records are none, and have no document.
   */
  write(
    batch: Batch,
    out: ByteBuffer,
    each?: (start: number, end: number, documentStart: number, documentEnd: number) => void,
  ): number {
    let unreadable = 0;
    const writer = this.writerOf(batch.head.sensor);
    batch.eachRecord((start, end) => {
      const before = out.length;
      if (!writer.write(batch.bytes, start, end, out)) {
        out.length = before;
        unreadable++;
        return;
      }
      const documentEnd = out.length;
      out.reserve(1);
      out.bytes[out.length++] = 0x0a;
      each?.(start, end, before, documentEnd);
    });
    return unreadable;
  }

  private writerOf(sensor: Sensor | undefined): DocumentWriter {
    const key = sensor === undefined ? '' : `${sensor.name}\n${sensor.hostname}\n${sensor.version}`;
    let writer = this.writers.get(key);
    if (writer === undefined) {
      writer = new DocumentWriter(sensor);
      if (this.writers.size >= MAX_WRITERS) this.writers.clear();
      this.writers.set(key, writer);
    }
    return writer;
  }
}
