/** What fuzzing starts from: conversations of the corpus where it is there, else a few written here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openFile } from '@packetd/sensor/capture/file';
import { TcpTracker } from '@packetd/sensor/flow/tcp';
import { Packet, ParseStatus } from '@packetd/sensor/packet/packet';
import { PacketParser } from '@packetd/sensor/packet/parse';
import { CORPUS, captures, noCorpus, protocolsOf } from '../corpus/corpus.js';

/** Pieces of a connection, in order; side 0 is the opener. */
export type Conversation = readonly { readonly side: 0 | 1; readonly bytes: Uint8Array }[];

const MAX_CONVERSATIONS = 40;
const MAX_PIECES = 200;
const MAX_CAPTURE_PACKETS = 2000;
const PROTOCOL_TCP = 6;

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const both = (client: Uint8Array, server: Uint8Array): Conversation => [
  { side: 0, bytes: client },
  { side: 1, bytes: server },
];

/** A whole exchange of each protocol. */
const WRITTEN: Readonly<Record<string, readonly Conversation[]>> = {
  http: [
    both(
      latin1('POST /a?b=c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'),
      latin1('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'),
    ),
  ],
  http2: [
    both(
      Buffer.concat([
        latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        hex('000000040000000000'),
        hex('00000e010500000001 8286 8441 0a73686f702e746573'),
      ]),
      hex('000000040000000000 000001010500000001 88'),
    ),
  ],
  redis: [
    both(
      latin1('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n'),
      latin1('+OK\r\n$1\r\nb\r\n'),
    ),
  ],
  dns: [
    both(
      hex(
        '001d 1234 0100 0001 0000 0000 0000 03777777 07657861 6d706c65 03636f6d 00 0001 0001'.replace(
          '001d',
          '0021',
        ),
      ),
      hex(
        '0031 1234 8180 0001 0001 0000 0000 03777777 07657861 6d706c65 03636f6d 00 0001 0001 c00c 0001 0001 00000e10 0004 c0000207',
      ),
    ),
  ],
  amqp: [both(hex('414d51500000 0901'), hex('0100000000000c 000a000a 0009 00000000 0000 ce'))],
  mongodb: [
    both(
      hex('2a000000 01000000 00000000 dd070000 00000000 00 15000000 1070696e67 00 01000000 0a782400 00'),
      hex('26000000 02000000 01000000 dd070000 00000000 00 11000000 016f6b00 000000000000f03f 00'),
    ),
  ],
  kafka: [
    both(
      hex('00000010 0012 0000 00000001 0004 74657374'.replace('00000010', '0000000e')),
      hex('0000000c 00000001 0000 00000000'.replace('0000000c', '0000000a')),
    ),
  ],
  postgresql: [
    both(
      Buffer.concat([
        hex('00000017 00030000 75736572 00 626f6200 00'.replace('00000017', '00000012')),
        hex('51 0000000d 53454c454354203100'),
      ]),
      hex('52 00000008 00000000 5a 00000005 49 43 0000000d 53454c454354203100 5a 00000005 49'),
    ),
  ],
  mysql: [
    [
      {
        side: 1,
        bytes: Buffer.concat([
          hex('4a000000 0a'),
          latin1('8.0.30\0'),
          hex('01000000'),
          latin1('12345678\0'),
          hex('ffff ff 0200 ff df 15'),
          Buffer.alloc(10),
          latin1('123456789012\0caching_sha2_password\0'),
        ]),
      },
      { side: 0, bytes: hex('09000000 03 53454c4543542031') },
    ],
  ],
};

/** Conversations by protocol. */
export async function conversations(protocol: string): Promise<Conversation[]> {
  const found: Conversation[] = [...(WRITTEN[protocol] ?? [])];
  if (noCorpus !== false) return found;
  for (const capture of captures()) {
    if (found.length >= MAX_CONVERSATIONS) break;
    if (!protocolsOf(capture).has(protocol) || capture.packets > MAX_CAPTURE_PACKETS) continue;
    found.push(...(await conversationsOf(join(CORPUS, capture.file))));
  }
  return found.slice(0, MAX_CONVERSATIONS);
}

/** Whole files, for the readers of captures. */
export function captureFiles(): Uint8Array[] {
  if (noCorpus !== false)
    return [
      hex(
        'd4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000 00000000 00000000 04000000 04000000 aabbccdd',
      ),
    ];
  return captures()
    .filter(({ packets }) => packets < 30)
    .slice(0, 60)
    .map(({ file }) => readFileSync(join(CORPUS, file)))
    .filter(({ length }) => length < 20_000);
}

async function conversationsOf(file: string): Promise<Conversation[]> {
  const found: { side: 0 | 1; bytes: Uint8Array }[][] = [];
  const tracker = new TcpTracker({
    open() {
      const pieces: { side: 0 | 1; bytes: Uint8Array }[] = [];
      found.push(pieces);
      return {
        data(side, bytes, start, end) {
          if (pieces.length < MAX_PIECES) pieces.push({ side, bytes: bytes.slice(start, end) });
        },
        gap() {},
        fin() {},
        close() {},
      };
    },
  });
  const parser = new PacketParser();
  const packet = new Packet();
  const engine = await openFile(file, { warn: () => {} });
  const handler = {
    onFrame(frame: Parameters<PacketParser['parse']>[0]) {
      if (parser.parse(frame, packet) === ParseStatus.OK && packet.protocol === PROTOCOL_TCP)
        tracker.packet(packet);
    },
    onTick() {},
  };
  while (engine.poll(handler, 0));
  engine.close();
  return found.filter((pieces) => pieces.length > 0);
}
