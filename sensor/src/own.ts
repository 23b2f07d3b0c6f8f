/**
 * packetd's own connections, so that it never feeds on itself: a table of ports in shared memory that
 * the main thread fills as sockets are made and that the workers look up when a connection appears.
 *
 * Sockets of this process are seen through node:diagnostics_channel. A client's port is in the table
 * when its 'connect' event runs, which is before the first request is written.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server, Socket } from 'node:net';

const PORTS = 65_536;

/** Use counts per local port: how many of our sockets have it. */
export class OwnPorts {
  private readonly counts: Int32Array;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(PORTS * 4)) {
    this.counts = new Int32Array(memory);
  }

  has(port: number): boolean {
    return this.counts[port] > 0;
  }

  add(port: number): void {
    Atomics.add(this.counts, port, 1);
  }

  remove(port: number): void {
    Atomics.sub(this.counts, port, 1);
  }

  /** Follows the client sockets of this process until the answered function is called. */
  watchProcess(): () => void {
    const onClient = (message: unknown) => {
      const { socket } = message as { socket: Socket };
      socket.once('connect', () => {
        const port = socket.localPort;
        if (port === undefined) return;
        this.add(port);
        // Packets of the closing handshake are still on their way when the socket is gone.
        socket.once('close', () => setTimeout(() => this.remove(port), LINGER_MS).unref());
      });
    };
    subscribe('net.client.socket', onClient);
    return () => unsubscribe('net.client.socket', onClient);
  }

  /** Leaves out what others say to a server of ours. */
  watchServer(server: Server): void {
    const address = server.address();
    if (address !== null && typeof address === 'object') this.add(address.port);
  }
}

const LINGER_MS = 2000;
