import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { RedisTag, RoundTripTag, StatusValue } from '@packetd/proto';
import {
  type RoundTripBatch,
  RoundTripBatchSchema,
  Status,
} from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { Clock } from '../capture/engine.js';
import { Exchange } from './exchange.js';
import { Endpoints, RecordEncoder, TRANSPORT_TCP } from './records.js';

const BASE = 1_700_000_000;

function encode(fill: (exchange: Exchange) => void, times = 1): RoundTripBatch {
  const clock = new Clock();
  clock.baseSeconds = BASE;
  let batch: RoundTripBatch | null = null;
  const encoder = new RecordEncoder(clock, {
    batch(bytes, length) {
      batch = fromBinary(RoundTripBatchSchema, bytes.slice(0, length));
    },
  });
  const endpoints = new Endpoints(TRANSPORT_TCP);
  endpoints.setClient(4, 0, 0, 0xffff, 0x0a000001, 40_000);
  endpoints.setServer(6, 0x20010db8, 0, 0, 1, 6379);
  endpoints.identify(BASE, 0);
  for (let i = 0; i < times; i++) {
    const exchange = new Exchange();
    fill(exchange);
    encoder.write(endpoints, exchange, RoundTripTag.redis);
  }
  encoder.flush();
  return batch!;
}

describe('a record', () => {
  const { roundtrips } = encode((x) => {
    x.requestStartNs = 1_500_000_001;
    x.requestEndNs = 1_500_000_101;
    x.responseStartNs = 1_500_001_101;
    x.responseEndNs = 1_500_002_101;
    x.requestBytes = 100;
    x.responseBytes = 3_000_000_000;
    x.requestFirstSegment = 4;
    x.requestLastSegment = 6;
    x.responseFirstSegment = 1;
    x.responseLastSegment = 1;
    x.status = StatusValue.ERROR;
    x.operation('GET');
    x.errorType('ERR');
    x.detail.string(RedisTag.command, 'GET');
  });
  const [r] = roundtrips;

  it('has both endpoints with address, port, bytes and packets', () => {
    assert.deepEqual([...r.client!.address], [10, 0, 0, 1]);
    assert.deepEqual([...r.server!.address], [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert.deepEqual([r.client!.port, r.client!.bytes, r.client!.packets], [40_000, 100n, 3]);
    assert.deepEqual([r.server!.port, r.server!.bytes, r.server!.packets], [6379, 3_000_000_000n, 1]);
  });

  it('has exact times: start, duration and the wait split', () => {
    assert.equal(r.startUnixNano, BigInt(BASE) * 1_000_000_000n + 1_500_000_001n);
    assert.equal(r.durationNano, 2100n);
    assert.deepEqual([r.waitRequestNano, r.waitServerNano, r.waitResponseNano], [100n, 1000n, 1000n]);
  });

  it('has no number of packets where the last of them is not known', () => {
    const { roundtrips } = encode((x) => {
      x.requestStartNs = 1000;
      x.requestBytes = 30;
      x.requestFirstSegment = 4;
      x.responseFirstSegment = 1;
      x.responseLastSegment = 1;
    });
    const { client, server } = roundtrips[0];
    assert.deepEqual([client!.bytes, client!.packets, server!.packets], [30n, 0, 1]);
  });

  it('has no time of the server where the end of the request is not known', () => {
    const { roundtrips } = encode((x) => {
      x.requestStartNs = 1000;
      x.responseStartNs = 3000;
      x.responseEndNs = 4000;
    });
    const [{ durationNano, waitRequestNano, waitServerNano, waitResponseNano }] = roundtrips;
    assert.deepEqual(
      [durationNano, waitRequestNano, waitServerNano, waitResponseNano],
      [3000n, 0n, 0n, 1000n],
    );
  });

  it('has what the decoder said', () => {
    assert.equal(r.status, Status.ERROR);
    assert.deepEqual([r.operation, r.errorType], ['GET', 'ERR']);
    assert.equal(r.detail.case, 'redis');
  });
});

describe('ids', () => {
  const same = (x: Exchange) => {
    x.requestStartNs = 5;
    x.requestEndNs = 5;
  };

  it('differ within a connection even at the same time', () => {
    const { roundtrips } = encode(same, 1000);
    assert.equal(new Set(roundtrips.map((r) => Buffer.from(r.id).toString('hex'))).size, 1000);
    assert.equal(roundtrips[0].id.length, 16);
  });

  it('are the same for the same capture', () => {
    const ids = () => encode(same, 3).roundtrips.map((r) => Buffer.from(r.id).toString('hex'));
    assert.deepEqual(ids(), ids());
  });
});
