/**
 * `packetd up --demo`: real HTTP, DNS and Redis-protocol traffic on loopback. Runs as a process of its own,
 * because packetd leaves its own connections out.
 */
import { createSocket } from 'node:dgram';
import { Agent, createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';

const HOST = '127.0.0.1';
const ROUND_MS = 500;

const http = createServer((message, response) => {
  const path = message.url ?? '/';
  const status = path.startsWith('/missing') ? 404 : path.startsWith('/broken') ? 503 : 200;
  // Some answers take a little longer, as they do.
  setTimeout(
    () => response.writeHead(status, { 'content-type': 'application/json' }).end('{"ok":true}\n'),
    path.startsWith('/slow') ? 120 : 1,
  );
});

const values = new Map<string, string>();
/** A Redis-protocol server (RESP2) of four commands. */
const redis = createTcpServer((socket) => {
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
    for (;;) {
      const match = /^\*(\d+)\r\n/.exec(text);
      if (match === null) return;
      const words = text.split('\r\n');
      const count = Number(match[1]);
      if (words.length < count * 2 + 2) return;
      const args = Array.from({ length: count }, (_, i) => words[i * 2 + 2]);
      text = words.slice(count * 2 + 1).join('\r\n');
      socket.write(answer(args));
    }
  });
});

function answer([command, key, value]: string[]): string {
  switch (command) {
    case 'PING':
      return '+PONG\r\n';
    case 'SET':
      values.set(key, value);
      return '+OK\r\n';
    case 'GET': {
      const found = values.get(key);
      return found === undefined ? '$-1\r\n' : `$${found.length}\r\n${found}\r\n`;
    }
    default:
      return `-ERR unknown command '${command}'\r\n`;
  }
}

const dns = createSocket('udp4');
/** Answers every A query with 192.0.2.1, and names that begin with `no` with NXDOMAIN. */
dns.on('message', (query, from) => {
  const end = query.indexOf(0, 12) + 5;
  const missing = query.subarray(13, 15).toString() === 'no';
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(missing ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(missing ? 0 : 1, 6);
  const record = missing ? Buffer.alloc(0) : Buffer.from('c00c000100010000003c0004c0000201', 'hex');
  dns.send(Buffer.concat([header, query.subarray(12, end), record]), from.port, from.address);
});

function dnsQuery(name: string, port: number): void {
  const socket = createSocket('udp4');
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const id = Math.floor(Math.random() * 65_536);
  socket.on('message', () => socket.close());
  socket.send(
    Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]),
    port,
    HOST,
  );
}

function resp(...args: string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;
}

async function main(): Promise<void> {
  await Promise.all([
    new Promise<void>((resolve) => http.listen(0, HOST, resolve)),
    new Promise<void>((resolve) => redis.listen(0, HOST, resolve)),
    new Promise<void>((resolve) => dns.bind(0, HOST, resolve)),
  ]);
  const portOf = (server: { address(): AddressInfo | string | null }) =>
    (server.address() as AddressInfo).port;
  const agent = new Agent({ keepAlive: true });
  const client: Socket = connect(portOf(redis), HOST);
  client.resume();
  let round = 0;
  const turn = () => {
    round++;
    const paths = [
      `/users/${round}`,
      '/cart',
      round % 5 === 0 ? '/missing/page' : '/health',
      round % 7 === 0 ? '/broken' : '/slow/report',
    ];
    for (const path of paths) {
      request({ host: HOST, port: portOf(http), path, agent }, (response) => response.resume())
        .on('error', () => {})
        .end();
    }
    client.write(resp('SET', `session:${round}`, 'demo') + resp('GET', `session:${round}`) + resp('PING'));
    if (round % 6 === 0) client.write(resp('FROBNICATE'));
    dnsQuery(round % 4 === 0 ? 'no.example.test' : 'shop.example.test', dns.address().port);
  };
  turn();
  setInterval(turn, ROUND_MS);
}

process.on('disconnect', () => process.exit(0));
await main();
