/** Messages of MongoDB: manual, "Wire Protocol". */
import { BSON } from 'mongodb';
import { bytesOf, type Part, u32le } from './conversation.js';

export const OP_REPLY = 1;
export const OP_QUERY = 2004;
export const OP_COMPRESSED = 2012;
export const OP_MSG = 2013;
export const ZLIB = 2;

export function wire(opcode: number, id: number, to: number, ...parts: Part[]): Buffer {
  const body = bytesOf(...parts);
  return bytesOf(u32le(body.length + 16), u32le(id), u32le(to), u32le(opcode), body);
}
export const body = (document: BSON.Document) => bytesOf(u32le(0), 0, BSON.serialize(document));
