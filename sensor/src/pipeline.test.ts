import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clock, Frame, LinkType } from './capture/engine.js';
import { Pipeline } from './pipeline.js';

/** A query for the address of `a`, 10.0.0.1:5000 to 10.0.0.2:53, and its response: RFC 1035 section 4.1. */
const QUESTION = '0161 00 0001 0001';
const QUERY = `0007 0100 0001 0000 0000 0000 ${QUESTION}`;
const RESPONSE = `0007 8183 0001 0000 0000 0000 ${QUESTION}`;
const IP = '4500 002f 0000 0000 40 11 0000';
const QUERY_FRAME = `${IP} 0a000001 0a000002 1388 0035 001b 0000 ${QUERY}`;
const RESPONSE_FRAME = `${IP} 0a000002 0a000001 0035 1388 001b 0000 ${RESPONSE}`;

test('records are handed on in time where the clock is set back', () => {
  let records = 0;
  const pipeline = new Pipeline(new Clock(), { batch: (_bytes, _length, count) => (records += count) });
  const exchange = (timeNs: number): void => {
    for (const hex of [QUERY_FRAME, RESPONSE_FRAME]) {
      const frame = new Frame();
      frame.bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      frame.end = frame.bytes.length;
      frame.wireLength = frame.end;
      frame.linkType = LinkType.RAW;
      frame.timeNs = timeNs;
      pipeline.onFrame(frame);
    }
    pipeline.onTick(timeNs);
  };
  exchange(3600e9);
  assert.equal(records, 0);
  pipeline.onTick(1e9);
  pipeline.onTick(3e9);
  assert.equal(records, 1);
  exchange(4e9);
  assert.equal(records, 1);
  pipeline.onRestart();
  assert.equal(records, 2);
  exchange(1e9);
  pipeline.onTick(2e9);
  assert.equal(records, 3);
});
