/** Messages of PostgreSQL: manual, chapter "Frontend/Backend Protocol". */
import { bytesOf, client, type Part, server, u32 } from './conversation.js';

export const message = (type: string, ...parts: Part[]) => {
  const body = bytesOf(...parts);
  return bytesOf(type, u32(body.length + 4), body);
};
export const startup = (version: number, ...parts: Part[]) => {
  const body = bytesOf(u32(version), ...parts);
  return bytesOf(u32(body.length + 4), body);
};
export const READY = message('Z', 'I');
export const query = (sql: string) => client(message('Q', Buffer.from(sql), 0));
export const done = (tag: string) => server(message('C', tag, 0), READY);
export const error = (fields: Readonly<Record<string, string>>) =>
  message('E', ...Object.entries(fields).flatMap(([type, text]) => [type, Buffer.from(text), 0]), 0);
