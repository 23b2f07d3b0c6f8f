/** Commands of Redis in RESP. */

export const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
export const array = (...items: string[]) => `*${items.length}\r\n${items.map(bulk).join('')}`;
