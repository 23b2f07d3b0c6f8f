/** Packets of MySQL: "Client/Server Protocol" of its source documentation. */
import { bytesOf, type Part, u16le, u24le, u32le } from './conversation.js';

export const packet = (sequence: number, ...parts: Part[]) => {
  const payload = bytesOf(...parts);
  return bytesOf(u24le(payload.length), sequence, payload);
};
/** PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_WITH_DB, TRANSACTIONS, CONNECT_ATTRS, LONG_PASSWORD, MULTI_STATEMENTS. */
const CAPABILITIES = 0x0000_0200 | 0x8000 | 0x80000 | 0x8 | 0x2000 | 0x100000 | 0x1 | 0x10000;
const AUTOCOMMIT = 2;
export const [COM_QUERY, COM_CHANGE_USER, COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA] = [
  0x03, 0x11, 0x16, 0x17, 0x18,
];
export const STRING = 0xfd;
export const ok = (sequence: number, affected = 0) =>
  packet(sequence, 0, affected, 0, u16le(AUTOCOMMIT), u16le(0));
export const eof = (sequence: number) => packet(sequence, 0xfe, u16le(0), u16le(AUTOCOMMIT));
export const lengthEncoded = (text: string) => bytesOf(text.length, text);
export const error = (sequence: number, code: number, state: string, text: string) =>
  packet(sequence, 0xff, u16le(code), `#${state}`, Buffer.from(text));
export const column = (sequence: number, name: string) =>
  packet(
    sequence,
    ...['def', 'shop', 't', 't', name, name].map(lengthEncoded),
    ...[0x0c, u16le(45), u32le(80), STRING, u16le(0), 0, u16le(0)],
  );
export const greeting = packet(
  0,
  ...[10, '8.0.36\0', u32le(9), '12345678\0', u16le(CAPABILITIES), 45, u16le(AUTOCOMMIT)],
  ...[u16le(CAPABILITIES >>> 16), 21, Buffer.alloc(10), '123456789012\0', 'caching_sha2_password\0'],
);
export const login = (sequence: number, secret: string, plugin: string, attribute: string) =>
  packet(
    sequence,
    ...[u32le(CAPABILITIES), u32le(1 << 24), 45, Buffer.alloc(23), 'app\0', lengthEncoded(secret), 'shop\0'],
    ...[`${plugin}\0`, attribute.length + 6, lengthEncoded('_key'), lengthEncoded(attribute)],
  );
