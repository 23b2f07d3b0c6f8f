/**
 * The documents of a capture do not depend on how TCP cut its streams: every segment whole, byte by byte
 * and cut at random places. What counts segments (`packets`) is left out.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PROTOCOL_NAMES } from '@packetd/sensor/protocols/registry';
import { atRandom, byteByByte, CORPUS, type Cuts, captures, decode, noCorpus } from './corpus.js';

/** Larger captures are cut at random only, and still larger ones not at all. */
const MAX_BYTE_BY_BYTE = 1 << 20;
const MAX_AT_RANDOM = 8 << 20;

const everyFrame = () => true;
/** The documents in an order of their own: what two connections finish at once may change places. */
const essence = (documents: readonly string[]) =>
  documents.map((document) => document.replaceAll(/"packets":\d+,?/g, '')).sort();

/** Names of the cuts that gave something else. */
async function differences(file: string): Promise<{ documents: number; wrong: string[] }> {
  const expected = essence((await decode(file)).documents);
  const wrong: string[] = [];
  const compare = async (name: string, cuts: Cuts) => {
    const actual = essence((await decode(file, everyFrame, cuts)).documents);
    const missing = expected.filter((document) => !actual.includes(document));
    const extra = actual.filter((document) => !expected.includes(document));
    if (missing.length + extra.length > 0 || actual.length !== expected.length)
      wrong.push(`${file} ${name}: not ${missing[0]} but ${extra[0]}`);
  };
  const { size } = statSync(file);
  if (size <= MAX_BYTE_BY_BYTE) await compare('byte by byte', byteByByte);
  if (size <= MAX_AT_RANDOM) {
    await compare('in small pieces, seed 7919', atRandom(7919, 5));
    await compare('in larger pieces, seed 104729', atRandom(104729, 100));
  }
  return { documents: expected.length, wrong };
}

describe('cuts of the corpus', { skip: noCorpus }, () => {
  const all = noCorpus === false ? captures() : [];
  for (const theme of new Set(all.map((capture) => capture.theme))) {
    it(theme, { timeout: 600_000 }, async () => {
      const wrong: string[] = [];
      let documents = 0;
      for (const { file } of all.filter((capture) => capture.theme === theme)) {
        const result = await differences(join(CORPUS, file));
        documents += result.documents;
        wrong.push(...result.wrong);
      }
      assert.deepEqual(wrong, []);
      if ((PROTOCOL_NAMES as readonly string[]).includes(theme)) assert.ok(documents > 0);
    });
  }
});
