/** Names of commands, interned by their bytes: what a record needs of them in wire format. */
import { type Constant, encodeString, MongodbTag, RoundTripTag } from '@packetd/proto';

export interface Command {
  readonly name: string;
  /** RoundTrip.operation, and Mongodb.command. */
  readonly operation: Constant;
  readonly detail: Constant;
  /** The command's own value is the name of its collection. */
  readonly namesCollection: boolean;
}

const COLLECTION_COMMANDS = new Set(
  (
    'find insert update delete aggregate count distinct findAndModify findandmodify killCursors create drop ' +
    'createIndexes dropIndexes deleteIndexes listIndexes collMod mapReduce mapreduce collStats validate reIndex ' +
    'compact convertToCapped geoNear geoSearch group parallelCollectionScan planCacheClear planCacheListFilters ' +
    'planCacheSetFilter cloneCollectionAsCapped createSearchIndexes updateSearchIndex dropSearchIndex'
  ).split(' '),
);

const MAX_NAME_BYTES = 64;
/** Names kept; what is beyond is made anew each time. A server has about 200 commands. */
const MAX_COMMANDS = 1024;
const commands = new Map<string, Command>();

/** The command that was looked up last, and its bytes. */
let last: Command | null = null;
let lastBytes = new Uint8Array(0);

/** The command called [start, end); null where that is no name. */
export function commandNamed(bytes: Uint8Array, start: number, end: number): Command | null {
  const length = end - start;
  if (length === lastBytes.length && last !== null) {
    let i = 0;
    while (i < length && bytes[start + i] === lastBytes[i]) i++;
    if (i === length) return last;
  }
  if (length === 0 || length > MAX_NAME_BYTES) return null;
  for (let i = start; i < end; i++) if (!isNameByte(bytes[i])) return null;
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1');
  lastBytes = bytes.slice(start, end);
  last = command(name);
  return last;
}

export function command(name: string): Command {
  let found = commands.get(name);
  if (found === undefined) {
    found = {
      name,
      operation: encodeString(RoundTripTag.operation, name),
      detail: encodeString(MongodbTag.command, name),
      namesCollection: COLLECTION_COMMANDS.has(name),
    };
    if (commands.size < MAX_COMMANDS) commands.set(name, found);
  }
  return found;
}

function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (
    (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f || byte === 0x24
  );
}
