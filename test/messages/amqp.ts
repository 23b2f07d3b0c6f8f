/** Frames of AMQP 0-9-1: section 4.2 of its specification. */
import { bytesOf, type Part, u16, u32, u64 } from './conversation.js';

export const short = (text: string) => bytesOf(text.length, text);
export const long = (text: string) => bytesOf(u32(text.length), text);
const frame = (type: number, channel: number, payload: Uint8Array) =>
  bytesOf(type, u16(channel), u32(payload.length), payload, 0xce);
export const method = (channel: number, classId: number, id: number, ...parts: Part[]) =>
  frame(1, channel, bytesOf(u16(classId), u16(id), ...parts));
/** A field table of long strings. */
export const table = (fields: Readonly<Record<string, string>>) => {
  const body = bytesOf(...Object.entries(fields).flatMap(([key, value]) => [short(key), 'S', long(value)]));
  return bytesOf(u32(body.length), body);
};
const HEADERS = 0x2000;
/** Content over two body frames, with a table of headers. */
export const content = (channel: number, headers: Readonly<Record<string, string>>, body: string) =>
  bytesOf(
    frame(2, channel, bytesOf(u16(60), u16(0), u64(body.length), u16(HEADERS), table(headers))),
    frame(3, channel, bytesOf(body.slice(0, 5))),
    frame(3, channel, bytesOf(body.slice(5))),
  );
