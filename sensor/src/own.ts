/**
 * packetd's own connections, so that it never feeds on itself: a table in shared memory that the main
 * thread fills as sockets are made and that the workers look up when a connection appears.
 *
 * What is observed may well use the same ports: a connection is packetd's own where both its ends are those
 * of a socket of this process, or one is what this process listens on, address and port. Sockets are
 * seen through node:diagnostics_channel. A client's ends are in the table when its 'connect' event runs,
 * which is before the first request is written.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { TcpFlow } from './flow/stream.js';
import { parseAddress } from './packet/address.js';

/** Connections and listeners at once; more are not known. packetd has a handful. */
const MAX_ENTRIES = 1024;
/** Packets of the closing handshake are still on their way when the socket is gone. */
const LINGER_MS = 2000;

/** Words of an entry. */
const Word = { KIND: 0, PORTS: 1, LOCAL: 2, REMOTE: 6 } as const;
const ENTRY_WORDS = 10;
const Kind = { FREE: 0, CONNECTION: 1, LISTENER: 2 } as const;
/** Before the entries: entries beyond it were never used. */
const USED = 0;
const HEADER_WORDS = 1;

const WILDCARDS = new Set(['0.0.0.0', '::']);

export class OwnConnections {
  private readonly words: Int32Array;

  constructor(
    readonly memory: SharedArrayBuffer = new SharedArrayBuffer(
      (HEADER_WORDS + MAX_ENTRIES * ENTRY_WORDS) * 4,
    ),
  ) {
    this.words = new Int32Array(memory);
  }

  has(flow: TcpFlow): boolean {
    const { words } = this;
    const end = HEADER_WORDS + Atomics.load(words, USED) * ENTRY_WORDS;
    for (let at = HEADER_WORDS; at < end; at += ENTRY_WORDS) {
      const kind = Atomics.load(words, at + Word.KIND);
      if (kind === Kind.FREE) continue;
      const local = words[at + Word.PORTS] >>> 16;
      const remote = words[at + Word.PORTS] & 0xffff;
      if (kind === Kind.LISTENER) {
        if (flow.port0 === local && this.equal(at + Word.LOCAL, flow.address0)) return true;
        if (flow.port1 === local && this.equal(at + Word.LOCAL, flow.address1)) return true;
        continue;
      }
      if (flow.port0 === local && flow.port1 === remote && this.connects(at, flow.address0, flow.address1))
        return true;
      if (flow.port1 === local && flow.port0 === remote && this.connects(at, flow.address1, flow.address0))
        return true;
    }
    return false;
  }

  /** Leaves out what others say to this address and port of ours; a wildcard is every address of this host. */
  listen(address: string, port: number): void {
    const addresses = WILDCARDS.has(address)
      ? Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address))
      : [address];
    for (const one of addresses) this.add(Kind.LISTENER, one, port, one, 0);
  }

  /** Follows the sockets of this process until the answered function is called. */
  watchProcess(): () => void {
    const onClient = (message: unknown) => {
      const { socket } = message as { socket: Socket };
      socket.once('connect', () => this.follow(socket));
    };
    // An address that this host had not yet when it began to listen.
    const onAccepted = (message: unknown) => this.follow((message as { socket: Socket }).socket);
    subscribe('net.client.socket', onClient);
    subscribe('net.server.socket', onAccepted);
    return () => {
      unsubscribe('net.client.socket', onClient);
      unsubscribe('net.server.socket', onAccepted);
    };
  }

  private follow(socket: Socket): void {
    const { localAddress, localPort, remoteAddress, remotePort } = socket;
    // A pipe has none.
    if (!localAddress || !localPort || !remoteAddress || !remotePort) return;
    const entry = this.add(Kind.CONNECTION, localAddress, localPort, remoteAddress, remotePort);
    socket.once('close', () => setTimeout(() => this.remove(entry), LINGER_MS).unref());
  }

  /** Answers where the entry is, or -1 where the table is full. */
  private add(kind: number, local: string, localPort: number, remote: string, remotePort: number): number {
    const { words } = this;
    for (let entry = 0; entry < MAX_ENTRIES; entry++) {
      const at = HEADER_WORDS + entry * ENTRY_WORDS;
      if (words[at + Word.KIND] !== Kind.FREE) continue;
      words[at + Word.PORTS] = (localPort << 16) | remotePort;
      words.set(parseAddress(local), at + Word.LOCAL);
      words.set(parseAddress(remote), at + Word.REMOTE);
      // Last: a reader sees a whole entry or none.
      Atomics.store(words, at + Word.KIND, kind);
      if (entry >= words[USED]) Atomics.store(words, USED, entry + 1);
      return at;
    }
    return -1;
  }

  private remove(at: number): void {
    if (at >= 0) Atomics.store(this.words, at + Word.KIND, Kind.FREE);
  }

  private connects(at: number, local: Int32Array, remote: Int32Array): boolean {
    return this.equal(at + Word.LOCAL, local) && this.equal(at + Word.REMOTE, remote);
  }

  private equal(at: number, address: Int32Array): boolean {
    const { words } = this;
    for (let i = 0; i < 4; i++) if (words[at + i] !== address[i]) return false;
    return true;
  }
}
