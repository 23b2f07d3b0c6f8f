/** The label sets of one protocol, found by what the record holds, so that no text is made for values seen before. */
import type { MetricsReader } from '@packetd/proto/telemetry/metrics';
import { LabelSet } from './store.js';

/** Values come from the network: with more label sets than this all are made anew. */
const MAX_SETS = 65_536;

interface Entry {
  readonly key: Int32Array;
  readonly labels: LabelSet;
  /** Of the same hash. */
  readonly next: Entry | null;
}

export class LabelSets {
  private readonly entries = new Map<number, Entry>();
  private size = 0;

  /** The labels of the record that was read last. */
  of(reader: MetricsReader): LabelSet {
    const { hash } = reader;
    const first = this.entries.get(hash) ?? null;
    for (let entry = first; entry !== null; entry = entry.next)
      if (isKey(entry.key, reader)) return entry.labels;
    const labels = new LabelSet(reader.labels());
    const key = new Int32Array(reader.keyLength / 4);
    for (let i = 0; i < key.length; i++) key[i] = reader.key.getInt32(4 * i);
    const isFull = this.size >= MAX_SETS;
    if (isFull) {
      this.entries.clear();
      this.size = 0;
    }
    this.entries.set(hash, { key, labels, next: isFull ? null : first });
    this.size++;
    return labels;
  }
}

function isKey(words: Int32Array, { key, keyLength }: MetricsReader): boolean {
  if (words.length * 4 !== keyLength) return false;
  for (let i = 0; i < words.length; i++) if (words[i] !== key.getInt32(4 * i)) return false;
  return true;
}
