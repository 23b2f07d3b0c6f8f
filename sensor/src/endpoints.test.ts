/** Layer 4 figures of a capture, from its frames to the messages of the batches. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type EndpointStats,
  RoundTripBatchSchema,
  Transport,
} from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { decodeFile } from './offline.js';

const CAPTURE = fileURLToPath(
  new URL('../../../shared/corpus/pcapplusplus/linktype/sll.pcap', import.meta.url),
);
const skip = existsSync(CAPTURE) ? false : 'the corpus is not there';

async function endpointsOf(layer4: boolean): Promise<EndpointStats[]> {
  const all: EndpointStats[] = [];
  const output = {
    batch(bytes: Uint8Array, length: number) {
      all.push(...fromBinary(RoundTripBatchSchema, bytes.subarray(0, length)).endpoints);
    },
  };
  await decodeFile(CAPTURE, output, { layer4 });
  return all;
}

/** The growth of one endpoint, added up over all messages. */
function sum(all: readonly EndpointStats[], address: readonly number[], port: number) {
  const mine = all.filter((stats) => stats.port === port && address.join() === [...stats.address].join());
  const total = (key: keyof EndpointStats) => mine.reduce((value, stats) => value + Number(stats[key]), 0);
  return {
    transport: mine[0]?.transport,
    active: Number(mine.at(-1)?.connectionsActive),
    opened: total('connectionsOpened'),
    failed: total('connectionsFailed'),
    reset: total('connectionsReset'),
    clientPackets: total('clientPackets'),
    clientBytes: total('clientBytes'),
    serverPackets: total('serverPackets'),
    serverBytes: total('serverBytes'),
    retransmitted: total('retransmittedSegments'),
    handshakes: total('handshakes'),
    handshakeNano: total('handshakeNano'),
  };
}

// What tshark says: -z conv,tcp; -z conv,udp; the sums of tcp.len and of udp.length - 8.
test('figures per endpoint are those of tshark', { skip }, async () => {
  const all = await endpointsOf(true);
  assert.deepEqual(sum(all, [212, 199, 202, 69], 80), {
    transport: Transport.TCP,
    active: 0,
    opened: 1,
    failed: 0,
    reset: 0,
    clientPackets: 158,
    clientBytes: 251,
    serverPackets: 325,
    serverBytes: 414_863,
    retransmitted: 0,
    handshakes: 1,
    handshakeNano: 16_133_000,
  });
  assert.deepEqual(sum(all, [10, 0, 0, 138], 53), {
    transport: Transport.UDP,
    active: 0,
    opened: 0,
    failed: 0,
    reset: 0,
    clientPackets: 5,
    clientBytes: 166,
    serverPackets: 5,
    serverBytes: 473,
    retransmitted: 0,
    handshakes: 0,
    handshakeNano: 0,
  });
});

test('there are none where nobody asked', { skip }, async () => {
  assert.deepEqual(await endpointsOf(false), []);
});
