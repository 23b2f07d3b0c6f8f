import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Side, TcpFlow } from '../flow/stream.js';
import { Ledger } from '../ledger.js';
import { type ConnectionSettings, ProtocolConnection } from './connection.js';
import { DEFAULT_DECODER_OPTIONS, Direction, type StreamProtocol, Verdict } from './decoder.js';
import { ExchangePool } from './exchange.js';

const FLOW: TcpFlow = {
  address0: new Int32Array(4),
  port0: 40_000,
  address1: new Int32Array(4),
  port1: 5432,
  sideKnown: false,
  ipVersion: 4,
  firstTimeNs: 0,
};

/** What a decoder is told of a connection whose client begins with `?` and is known by `!`. */
function told(say: (from: Side, text: string) => void, connect: (to: ProtocolConnection) => void): void {
  const protocol = {
    name: 'marked',
    detailTag: 0,
    ports: [],
    probe: (bytes, start, end) => {
      const text = Buffer.from(bytes.subarray(start, end)).toString('latin1');
      if (text.endsWith('!')) return Verdict.CLIENT;
      return text.startsWith('?') ? Verdict.MORE : Verdict.NO;
    },
    create: () => ({
      data(input) {
        say(input.direction, Buffer.from(input.bytes.subarray(input.start, input.end)).toString('latin1'));
        return input.end;
      },
      gap: (direction, length) => say(direction, `gap ${length}`),
      fin() {},
      close() {},
    }),
  } as StreamProtocol;
  const settings = {
    pool: new ExchangePool(),
    ledger: new Ledger([protocol.name]),
    options: DEFAULT_DECODER_OPTIONS,
    indexOf: new Map([[protocol.name, 0]]),
  } as Partial<ConnectionSettings> as ConnectionSettings;
  connect(new ProtocolConnection(FLOW, [protocol], null, settings));
}

test('what detection passes over behind bytes that it holds is lost to the decoder, in its place', () => {
  const seen: string[] = [];
  told(
    (from, text) => seen.push(`${from === Direction.CLIENT ? 'client' : 'server'} ${text}`),
    (connection) => {
      const data = (side: Side, text: string, timeNs: number) =>
        connection.data(side, Buffer.from(text), 0, text.length, timeNs);
      data(1, 'before', 1);
      data(0, '?', 2);
      data(1, 'answer', 3);
      connection.gap(1, 4, 4);
      data(0, 'more!', 5);
      data(1, 'next', 6);
    },
  );
  assert.deepEqual(seen, ['client ?', 'server gap 10', 'client more!', 'server next']);
});
