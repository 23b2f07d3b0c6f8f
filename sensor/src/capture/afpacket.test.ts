import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { openAfPacket } from './afpacket.js';
import { compileRules } from './bpf.js';
import { CaptureError, type Engine, type Frame, LinkType } from './engine.js';
import { listInterfaces } from './interfaces.js';

const FRAMES = 500;
const loopbackIndex = listInterfaces().find(({ loopback, up }) => loopback && up)?.index ?? 0;

/** Why a live capture cannot be made here, or false. Under CI that is a failure. */
function unavailable(): string | false {
  try {
    openAfPacket({ interfaces: 'any', promiscuous: false }).close();
    return loopbackIndex === 0 ? 'there is no loopback interface' : false;
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    return error.message;
  }
}

/** A block goes back every 10 ms even with one frame in it: room for the seconds that a busy machine sends for. */
const RING = { blockBytes: 1 << 16, blockCount: 512 };
const reason = unavailable();
const skip = process.env.CI === 'true' ? false : reason;

/** Sends datagrams over loopback to itself and answers their port. */
async function sendDatagrams(
  address: string,
  whileOpen: (port: number, send: () => Promise<void>) => Promise<void>,
) {
  const socket = createSocket(address === '::1' ? 'udp6' : 'udp4');
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  const { port } = socket.address();
  try {
    await whileOpen(port, async () => {
      for (let sent = 0; sent < FRAMES; sent++) {
        const content = Buffer.from(`datagram ${sent}`);
        await new Promise<void>((resolve, reject) =>
          socket.send(content, port, address, (error) => (error ? reject(error) : resolve())),
        );
      }
    });
  } finally {
    socket.close();
  }
}

/** Polls all engines until nothing came for a while; contents behind the headers, per engine. */
function collect(engines: Engine[], headerBytes: number, check: (frame: Frame) => void): string[][] {
  return engines.map((engine) => {
    const contents: string[] = [];
    const handler = {
      onFrame(frame: Frame): void {
        check(frame);
        contents.push(Buffer.from(frame.bytes.subarray(frame.start + headerBytes, frame.end)).toString());
      },
      onTick(): void {},
    };
    for (let idle = 0; idle < 5; idle++) {
      const before = contents.length;
      engine.poll(handler, 30);
      if (contents.length > before) idle = 0;
    }
    return contents;
  });
}

/** Two engines of a fan-out group over loopback; `number` tells the groups of this file apart. */
function openPair(number: number): Engine[] {
  const fanout = { group: (process.pid + number) & 0xffff, size: 2 };
  return [1, 2].map(() =>
    openAfPacket({ interfaces: [loopbackIndex], promiscuous: false, loopbackIndex, fanout, ...RING }),
  );
}

/** Polls the engines until nothing came for a while, and closes them. */
function collectBy(engines: Engine[], onFrame: (engine: Engine, frame: Frame) => void): void {
  // Others may keep loopback busy for as long as they like.
  for (let idle = 0, rounds = 0; idle < 3 && rounds < 50; idle++, rounds++) {
    for (const engine of engines) {
      engine.poll(
        {
          onFrame: (frame) => {
            idle = 0;
            onFrame(engine, frame);
          },
          onTick: () => {},
        },
        30,
      );
    }
  }
  for (const engine of engines) engine.close();
}

describe('live capture on loopback', { skip }, () => {
  const expected = Array.from({ length: FRAMES }, (_, index) => `datagram ${index}`);

  it('is available', () => assert.equal(reason, false));

  for (const { title, address, etherType, headerBytes, interfaces } of [
    {
      title: 'IPv4, any interface',
      address: '127.0.0.1',
      etherType: 0x0800,
      headerBytes: 28,
      interfaces: 'any',
    },
    {
      title: 'IPv6, one interface',
      address: '::1',
      etherType: 0x86dd,
      headerBytes: 48,
      interfaces: [loopbackIndex],
    },
    {
      title: 'IPv4, listed interfaces',
      address: '127.0.0.1',
      etherType: 0x0800,
      headerBytes: 28,
      interfaces: [loopbackIndex, 0x7ffffff0],
    },
  ] as const) {
    it(`${title}: each datagram once, twice the same`, async () => {
      for (let run = 0; run < 2; run++) {
        await sendDatagrams(address, async (port, send) => {
          const filter = compileRules([{ protocol: 'dns', ports: [port] }], {
            keepTunnels: false,
            loopbackIndex,
          });
          const engine = openAfPacket({
            interfaces: interfaces === 'any' ? 'any' : [...interfaces],
            promiscuous: false,
            filter,
            loopbackIndex,
            ...RING,
          });
          try {
            const startNs = engine.clock.relative(Math.floor(Date.now() / 1000) - 1, 0);
            await send();
            const [contents] = collect([engine], headerBytes, (frame) => {
              assert.equal(frame.linkType, LinkType.NETWORK);
              assert.equal(frame.etherType, etherType);
              assert.equal(frame.interfaceIndex, loopbackIndex);
              assert.equal(frame.wireLength, frame.end - frame.start);
              assert.equal(
                (frame.bytes[frame.start + headerBytes - 6] << 8) |
                  frame.bytes[frame.start + headerBytes - 5],
                port,
              );
              assert.ok(frame.timeNs >= startNs && frame.timeNs < startNs + 60e9);
            });
            assert.deepEqual(contents, expected);
            assert.equal(engine.counters.frames, FRAMES);
            assert.equal(engine.counters.kernelDropped, 0);
          } finally {
            engine.close();
          }
        });
      }
    });
  }

  it('fan-out: each datagram at one of two engines', async () => {
    await sendDatagrams('127.0.0.1', async (port, send) => {
      const filter = compileRules([{ protocol: 'dns', ports: [port] }], {
        keepTunnels: false,
        loopbackIndex,
      });
      const fanout = { group: process.pid & 0xffff, size: 2 };
      const open = (): Engine =>
        openAfPacket({ interfaces: 'any', promiscuous: false, filter, loopbackIndex, fanout, ...RING });
      const engines = [open(), open()];
      try {
        await send();
        const contents = collect(engines, 28, () => {});
        assert.equal(contents[0].length + contents[1].length, FRAMES);
        assert.deepEqual(new Set(contents.flat()), new Set(expected));
      } finally {
        for (const engine of engines) engine.close();
      }
    });
  });

  for (const address of ['127.0.0.1', '::1']) {
    it(`fan-out: both directions of a TCP connection at one of two engines, ${address}`, async () => {
      const engines = openPair(1);
      const server = createServer((socket) => socket.pipe(socket)).listen(0, address);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      for (let i = 0; i < 32; i++) {
        const socket = connect(port, address);
        socket.write('ping');
        await once(socket, 'data');
        socket.destroy();
      }
      server.close();
      const header = address === '::1' ? 40 : 20;
      const seen = new Map<number, Set<Engine>>();
      collectBy(engines, (engine, { bytes, start }) => {
        const at = start + header;
        const ports = [(bytes[at] << 8) | bytes[at + 1], (bytes[at + 2] << 8) | bytes[at + 3]];
        if (!ports.includes(port)) return;
        const client = ports[0] === port ? ports[1] : ports[0];
        seen.set(client, (seen.get(client) ?? new Set()).add(engine));
      });
      assert.equal(seen.size, 32);
      for (const at of seen.values()) assert.equal(at.size, 1);
      assert.equal(new Set([...seen.values()].flatMap((at) => [...at])).size, 2, 'both have some');
    });

    // Tunnels over UDP make their source ports up, and only the first of several fragments has ports.
    it(`fan-out: UDP of two hosts at one engine, whatever its ports and fragments, ${address}`, async () => {
      const type = address === '::1' ? 'udp6' : 'udp4';
      const engines = openPair(2);
      const server = createSocket(type);
      await new Promise<void>((resolve) => server.bind(0, address, resolve));
      const { port } = server.address();
      const bytes = Buffer.alloc(65_000, 'v');
      server.setSendBufferSize(1 << 20);
      for (let i = 0; i < 8; i++) {
        const client = createSocket(type);
        for (const length of [100, 65_000]) {
          await new Promise((resolve) => client.send(bytes.subarray(0, length), port, address, resolve));
        }
        const to = client.address().port;
        await new Promise((resolve) => server.send(bytes.subarray(0, 100), to, address, resolve));
        client.close();
      }
      server.close();
      const at = new Set<Engine>();
      let frames = 0;
      collectBy(engines, (engine, frame) => {
        const { start, end } = frame;
        // Only what has our filling, for others may talk over loopback meanwhile.
        if (frame.bytes[end - 1] !== 118 || frame.bytes[end - 60] !== 118 || end - start < 100) return;
        frames++;
        at.add(engine);
      });
      assert.ok(frames >= 24, `${frames} frames`);
      assert.equal(at.size, 1);
    });
  }

  it('a ring that is too small drops, and the kernel counts it', async () => {
    await sendDatagrams('127.0.0.1', async (port, send) => {
      const filter = compileRules([{ protocol: 'dns', ports: [port] }], {
        keepTunnels: false,
        loopbackIndex,
      });
      const engine = openAfPacket({
        interfaces: 'any',
        promiscuous: false,
        filter,
        loopbackIndex,
        blockBytes: 4096,
        blockCount: 2,
      });
      await send();
      collect([engine], 28, () => {});
      engine.close();
      const { frames, kernelDropped } = engine.counters;
      assert.ok(kernelDropped > 0);
      // On loopback the filter sees each datagram before the ring does, so nothing else is lost.
      assert.equal(frames + kernelDropped, FRAMES);
    });
  });

  it('closes within a handler', async () => {
    await sendDatagrams('127.0.0.1', async (port, send) => {
      const filter = compileRules([{ protocol: 'dns', ports: [port] }], {
        keepTunnels: false,
        loopbackIndex,
      });
      const engine = openAfPacket({ interfaces: 'any', promiscuous: false, filter, loopbackIndex });
      await send();
      const handler = { onFrame: () => engine.close(), onTick: () => {} };
      while (engine.poll(handler, 50)) {}
      assert.equal(engine.counters.frames, 1);
      assert.equal(engine.poll(handler, 0), false);
    });
  });

  it('the kernel takes the longest filters', () => {
    const scattered = Array.from({ length: 5000 }, (_, index) => index * 13);
    for (const ports of [scattered, scattered.slice(0, 480)]) {
      const filter = compileRules([{ protocol: 'dns', ports }], { keepTunnels: true, loopbackIndex });
      openAfPacket({ interfaces: 'any', promiscuous: false, filter, loopbackIndex }).close();
    }
  });
});
