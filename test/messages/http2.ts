/** HTTP/2 frames (RFC 9113) and HPACK without Huffman coding (RFC 7541). */
import { bytesOf, client, type Message, type Part, server, u32 } from './conversation.js';

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const FrameType = { DATA: 0, HEADERS: 1, SETTINGS: 4, PUSH_PROMISE: 5, CONTINUATION: 9 } as const;
export const [END_STREAM, END_HEADERS] = [1, 4];

export function frame(type: number, flags: number, stream: number, ...parts: Part[]): Buffer {
  const payload = bytesOf(...parts);
  return bytesOf(u32(payload.length).subarray(1), type, flags, u32(stream), payload);
}

/** RFC 7541 section 5.1. */
function integer(prefixBits: number, pattern: number, value: number): Buffer {
  const most = (1 << prefixBits) - 1;
  if (value < most) return Buffer.of(pattern | value);
  const bytes = [pattern | most];
  let rest = value - most;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.of(...bytes, rest);
}
const string = (text: string) => bytesOf(integer(7, 0, text.length), text);
export const indexed = (index: number) => integer(7, 0x80, index);
/** A name is its text or its index. Section 6.2. */
const literal = (prefixBits: number, pattern: number) => (name: string | number, value: string) =>
  typeof name === 'number'
    ? bytesOf(integer(prefixBits, pattern, name), string(value))
    : bytesOf(pattern, string(name), string(value));
export const added = literal(6, 0x40);
export const plain = literal(4, 0x00);
export const never = literal(4, 0x10);

export const [AUTHORITY, GET, POST, PATH, HTTP, OK] = [1, 2, 3, 4, 6, 8];
export const [AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE] = [23, 31, 32, 46, 55];
/** The newest entry of the dynamic table. */
export const NEWEST = 62;

/** Preface and SETTINGS of both sides. */
export const greetings = (): Message[] => [
  client(PREFACE, frame(FrameType.SETTINGS, 0, 0)),
  server(frame(FrameType.SETTINGS, 0, 0), frame(FrameType.SETTINGS, 1, 0)),
  client(frame(FrameType.SETTINGS, 1, 0)),
];
