import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import type { TcpFlow } from './flow/stream.js';
import { OwnConnections } from './own.js';
import { parseAddress } from './packet/address.js';

function flow(address0: string, port0: number, address1: string, port1: number): TcpFlow {
  return {
    address0: parseAddress(address0),
    port0,
    address1: parseAddress(address1),
    port1,
    sideKnown: true,
    ipVersion: 4,
    firstTimeNs: 0,
  };
}

describe("packetd's own connections", () => {
  it('are those to what it listens on, not those of others to the same port', () => {
    const own = new OwnConnections();
    own.listen('10.0.0.1', 9091);
    // Another thread sees the same.
    const other = new OwnConnections(own.memory);
    assert.ok(other.has(flow('10.0.0.9', 40_000, '10.0.0.1', 9091)));
    assert.ok(other.has(flow('10.0.0.1', 9091, '10.0.0.9', 40_000)));
    assert.ok(!own.has(flow('10.0.0.9', 40_000, '10.0.0.2', 9091)));
    assert.ok(!own.has(flow('10.0.0.9', 9091, '10.0.0.1', 80)));
    assert.ok(!own.has(flow('10.0.0.9', 40_000, '10.0.0.1', 9092)));
  });

  it('to a wildcard are those to any address of this host', () => {
    const own = new OwnConnections();
    own.listen('0.0.0.0', 9091);
    for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
      assert.ok(own.has(flow('10.0.0.9', 40_000, address, 9091)), address);
    assert.ok(!own.has(flow('10.0.0.9', 40_000, '203.0.113.7', 9091)));
  });

  it('are those that this process has made or taken, until they are over', async () => {
    const own = new OwnConnections();
    const stop = own.watchProcess();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, 'connection');
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const local = socket.localPort!;
    assert.ok(own.has(flow('127.0.0.1', local, '127.0.0.1', port)));
    assert.ok(own.has(flow('127.0.0.1', port, '127.0.0.1', local)));
    assert.ok(!own.has(flow('127.0.0.1', local, '127.0.0.2', port)));
    assert.ok(!own.has(flow('127.0.0.2', local, '127.0.0.1', port)));
    assert.ok(!own.has(flow('127.0.0.1', local + 1, '127.0.0.1', port)));
    assert.ok(!own.has(flow('127.0.0.1', local, '127.0.0.1', port + 1)));
    (await accepted)[0].destroy();
    socket.destroy();
    server.close();
    stop();
    const untilMs = performance.now() + 10_000;
    while (own.has(flow('127.0.0.1', local, '127.0.0.1', port))) {
      assert.ok(performance.now() < untilMs, 'it is forgotten');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });

  it('are bounded', () => {
    const own = new OwnConnections();
    for (let port = 1; port < 3000; port++) own.listen('10.0.0.1', port);
    assert.ok(own.has(flow('10.0.0.9', 40_000, '10.0.0.1', 1)));
  });
});
