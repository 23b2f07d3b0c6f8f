/** No protocol claims another's traffic: every capture with detection on, against what tshark sees in it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { PROTOCOL_NAMES } from '@packetd/sensor/protocols/registry';
import { CORPUS, captures, decode, noCorpus, protocolsOf } from './corpus.js';

/** gRPC is HTTP/2 with a content type: the index has one name for both in places. */
const SAME = new Set(['http2', 'grpc']);

it('claims only what is there', { skip: noCorpus, timeout: 900_000 }, async () => {
  const matrix = new Map<string, Map<string, number>>();
  const wrong: string[] = [];
  for (const capture of captures()) {
    const there = protocolsOf(capture);
    const { records } = await decode(join(CORPUS, capture.file));
    for (const { detail } of records) {
      const claimed = detail.case ?? '?';
      const known = there.has(claimed) || (SAME.has(claimed) && [...SAME].some((name) => there.has(name)));
      const truth = known ? claimed : capture.theme;
      const row = matrix.get(truth) ?? new Map<string, number>();
      row.set(claimed, (row.get(claimed) ?? 0) + 1);
      matrix.set(truth, row);
      if (!known) wrong.push(`${capture.file}: ${claimed} (there is ${[...there].join(' ')})`);
    }
  }
  const width = Math.max(...PROTOCOL_NAMES.map((name) => name.length)) + 1;
  const lines = [...matrix].map(([truth, row]) =>
    [
      truth.padEnd(width),
      ...PROTOCOL_NAMES.map((name) => String(row.get(name) ?? '.').padStart(name.length + 1)),
    ].join(' '),
  );
  console.log(['claimed as'.padEnd(width), ...PROTOCOL_NAMES.map((name) => ` ${name}`)].join(' '));
  for (const line of lines) console.log(line);
  assert.deepEqual([...new Set(wrong)], []);
});
