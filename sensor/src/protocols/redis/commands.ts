/**
 * Commands by name: where their keys are, and what they do to the connection
 * (https://redis.io/docs/latest/commands/, key specifications).
 */
import { type Constant, encode, encodeString, RedisTag, RoundTripTag } from '@packetd/proto';

/** What a command does to the pairing or to the connection. */
export const Effect = {
  NONE: 0,
  SUBSCRIBE: 1,
  UNSUBSCRIBE: 2,
  MONITOR: 3,
  REPLICATE: 4,
  SELECT: 5,
  /** None, but the words of its errors are those of a script, a module or who knows what. */
  FOREIGN: 6,
  RESET: 7,
  MULTI: 8,
  EXEC: 9,
  DISCARD: 10,
  CLIENT: 11,
  PING: 12,
  REPLCONF: 13,
} as const;
export type Effect = (typeof Effect)[keyof typeof Effect];

/** What may answer a command, as bits. Errors, nulls and QUEUED answer any. */
export const ReplyKind = {
  STATUS: 1,
  INTEGER: 2,
  BULK: 4,
  AGGREGATE: 8,
  /** An aggregate of aggregates. */
  NESTED: 16,
  ANY: 31,
} as const;

const { STATUS, INTEGER, BULK, AGGREGATE } = ReplyKind;

/** Replies of the commands whose documentation leaves no doubt; a subcommand is joined to its command by a dot. */
const REPLIES: readonly (readonly [kinds: number, names: string])[] = [
  [
    STATUS,
    'ACL.SETUSER CLIENT.NO-EVICT CLIENT.NO-TOUCH CLIENT.SETINFO CLIENT.SETNAME CLIENT.TRACKING CONFIG.RESETSTAT CONFIG.SET ' +
      'FUNCTION.FLUSH MIGRATE SCRIPT.FLUSH XGROUP.CREATE XGROUP.SETID',
  ],
  [
    INTEGER,
    'CLIENT.ID CLUSTER.KEYSLOT COMMAND.COUNT MEMORY.USAGE OBJECT.IDLETIME OBJECT.REFCOUNT SLOWLOG.LEN',
  ],
  [BULK, 'CLIENT.GETNAME CLIENT.INFO CLIENT.LIST CLUSTER.INFO CLUSTER.NODES FUNCTION.LOAD SCRIPT.LOAD'],
  [
    AGGREGATE,
    'CLUSTER.SHARDS CLUSTER.SLOTS COMMAND.DOCS COMMAND.INFO CONFIG.GET HELLO PUBSUB.CHANNELS PUBSUB.NUMSUB SCRIPT.EXISTS ' +
      'SLOWLOG.GET XINFO.STREAM',
  ],
  [
    STATUS,
    'ASKING AUTH BGREWRITEAOF BGSAVE DISCARD FLUSHALL FLUSHDB HMSET LSET LTRIM MSET MULTI PFMERGE PSETEX QUIT READONLY ' +
      'READWRITE RENAME RESTORE SAVE SELECT SETEX SWAPDB TYPE UNWATCH WATCH',
  ],
  [STATUS | BULK, 'SET'],
  // On a connection that has subscribed, in RESP2, PING has an array for its answer.
  [STATUS | BULK | AGGREGATE, 'PING'],
  [
    INTEGER,
    'APPEND BITCOUNT BITOP BITPOS COPY DBSIZE DECR DECRBY DEL EXISTS EXPIRE EXPIREAT EXPIRETIME GEOADD GETBIT HDEL ' +
      'HEXISTS HINCRBY HLEN HSET HSETNX HSTRLEN INCR INCRBY LASTSAVE LINSERT LLEN LPUSH LPUSHX LREM MOVE MSETNX PERSIST ' +
      'PEXPIRE PEXPIREAT PEXPIRETIME PFADD PFCOUNT PTTL PUBLISH RENAMENX RPUSH RPUSHX SADD SCARD SDIFFSTORE SETBIT SETNX ' +
      'SETRANGE SINTERCARD SINTERSTORE SISMEMBER SMOVE SPUBLISH SREM STRLEN SUNIONSTORE TOUCH TTL UNLINK XACK XDEL XLEN ' +
      'XTRIM ZCARD ZCOUNT ZDIFFSTORE ZINTERSTORE ZLEXCOUNT ZRANGESTORE ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ' +
      'ZREMRANGEBYSCORE ZUNIONSTORE',
  ],
  [INTEGER | BULK, 'ZADD'],
  [INTEGER | AGGREGATE, 'ZRANK ZREVRANK LPOS'],
  [
    BULK,
    'BLMOVE BRPOPLPUSH DUMP ECHO GET GETDEL GETEX GETRANGE GETSET HGET HINCRBYFLOAT INCRBYFLOAT INFO LINDEX LMOVE ' +
      'RANDOMKEY RPOPLPUSH SUBSTR XADD ZINCRBY ZSCORE',
  ],
  [BULK | AGGREGATE, 'LPOP RPOP SPOP SRANDMEMBER'],
  [
    AGGREGATE,
    'BLPOP BRPOP HGETALL HKEYS HMGET HVALS KEYS LRANGE MGET SDIFF SINTER SMEMBERS SMISMEMBER SUNION TIME ZMSCORE',
  ],
];

/** Arguments of a sanitised text; the rest is `…`. */
const MAX_TEXT_ARGUMENTS = 16;
/** From so many arguments on, `Command.detail` lacks the numbers of arguments and keys. */
export const MAX_COUNTED = MAX_TEXT_ARGUMENTS + 4;

export class Command {
  /** RoundTrip.operation; made when first met, for most are never. */
  private named: Constant | null = null;
  /** Its subcommands, or null where it has none. */
  subcommands: CommandTable | null = null;
  /** Nothing depends on its arguments, nor on that it was sent. */
  get isPlain(): boolean {
    const { effect } = this;
    return (
      this.countAt === 0 && this.subcommands === null && (effect === Effect.NONE || effect === Effect.FOREIGN)
    );
  }

  /** By number of arguments; null where not yet made. */
  private readonly details: (Constant | null)[] = new Array(MAX_COUNTED + 1).fill(null);

  /**
   * `words` is 2 for a name with its subcommand. Keys are the arguments `firstKey` to `lastKey` (counted
   * from the command's name, from the end where negative), every `keyStep`th; `countAt` is the argument
   * that says how many keys follow it.
   */
  constructor(
    readonly name: string,
    readonly words: number,
    readonly effect: Effect,
    readonly firstKey: number,
    readonly lastKey: number,
    readonly keyStep: number,
    readonly countAt: number,
    readonly known: boolean,
    /** What may answer it: bits of `ReplyKind`. */
    readonly replies: number,
  ) {}

  /** RoundTrip.operation. */
  get operation(): Constant {
    this.named ??= encodeString(RoundTripTag.operation, this.name);
    return this.named;
  }

  /** Keys among `count` arguments, the name included; 0 where an argument says how many. */
  keys(count: number): number {
    if (this.firstKey === 0 || count <= this.firstKey) return 0;
    const last = Math.min(this.lastKey < 0 ? count + this.lastKey : this.lastKey, count - 1);
    return last < this.firstKey ? 0 : Math.floor((last - this.firstKey) / this.keyStep) + 1;
  }

  /** Is argument `index` of `count` a key? */
  isKey(index: number, count: number): boolean {
    if (this.firstKey === 0 || index < this.firstKey) return false;
    const last = this.lastKey < 0 ? count + this.lastKey : this.lastKey;
    return index <= last && (index - this.firstKey) % this.keyStep === 0;
  }

  /** The fields of Redis that follow from command and number of arguments, in wire format. */
  detail(count: number): Constant {
    return this.details[Math.min(count, MAX_COUNTED)] ?? this.makeDetail(count);
  }

  private makeDetail(count: number): Constant {
    const shown = Math.max(0, Math.min(count - this.words, MAX_TEXT_ARGUMENTS));
    const cut = count - this.words > MAX_TEXT_ARGUMENTS ? ' …' : '';
    const detail = encode((writer) => {
      writer.string(RedisTag.command, this.name);
      writer.string(RedisTag.queryText, `${this.name}${' ?'.repeat(shown)}${cut}`);
      if (count >= MAX_COUNTED) return;
      writer.uint(RedisTag.argumentCount, count);
      writer.uintNonZero(RedisTag.keyCount, this.keys(count));
    });
    this.details[Math.min(count, MAX_COUNTED)] = detail;
    return detail;
  }
}

/** Names of one or more commands with the same keys: first, last, step, argument with the number of keys. */
const KEYS: readonly (readonly [
  first: number,
  last: number,
  step: number,
  countAt: number,
  names: string,
])[] = [
  [
    1,
    1,
    1,
    0,
    'APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS DECR DECRBY DUMP EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH ' +
      'GEOPOS GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE ' +
      'GETSET HDEL HEXISTS HEXPIRE HEXPIREAT HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN ' +
      'HMGET HMSET HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL ' +
      'HVALS INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MOVE PERSIST ' +
      'PEXPIRE PEXPIREAT PEXPIRETIME PFADD PSETEX PTTL RESTORE RPOP RPUSH RPUSHX SADD SCARD SET SETBIT SETEX SETNX ' +
      'SETRANGE SISMEMBER SMEMBERS SMISMEMBER SORT SORT_RO SPOP SPUBLISH SRANDMEMBER SREM SSCAN STRLEN SUBSTR TTL TYPE ' +
      'XACK XACKDEL XADD XAUTOCLAIM XCLAIM XDEL XDELEX XLEN XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD ZCARD ZCOUNT ' +
      'ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM ZREMRANGEBYLEX ' +
      'ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE RESTORE-ASKING ' +
      'JSON.GET JSON.SET JSON.DEL JSON.TYPE FT.SEARCH FT.AGGREGATE TS.ADD TS.GET TS.RANGE BF.ADD BF.EXISTS VADD VCARD ' +
      'VDIM VEMB VGETATTR VINFO VISMEMBER VLINKS VRANDMEMBER VREM VSETATTR VSIM DELEX DELIFEQ DIGEST',
  ],
  [
    1,
    -1,
    1,
    0,
    'DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK WATCH',
  ],
  [1, -1, 2, 0, 'MSET MSETNX'],
  [1, -2, 1, 0, 'BLPOP BRPOP BZPOPMAX BZPOPMIN'],
  [1, 2, 1, 0, 'BLMOVE BRPOPLPUSH COPY GEOSEARCHSTORE LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE'],
  [2, -1, 1, 0, 'BITOP'],
  [0, 0, 1, 2, 'EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO BLMPOP BZMPOP'],
  [0, 0, 1, 1, 'LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION MSETEX'],
  [1, 1, 1, 2, 'ZDIFFSTORE ZINTERSTORE ZUNIONSTORE'],
  [
    0,
    0,
    1,
    0,
    'ASKING AUTH BGREWRITEAOF BGSAVE DBSIZE FAILOVER FLUSHALL FLUSHDB INFO KEYS LASTSAVE LOLWUT MIGRATE PUBLISH QUIT ' +
      'RANDOMKEY READONLY READWRITE REPLICAOF ROLE SAVE SCAN SLAVEOF SWAPDB TIME UNWATCH WAIT WAITAOF XREAD ' +
      'XREADGROUP ECHO HELLO SHUTDOWN CLUSTERSCAN PFSELFTEST PFDEBUG',
  ],
];

const EFFECTS: { readonly [name: string]: Effect } = {
  SUBSCRIBE: Effect.SUBSCRIBE,
  PSUBSCRIBE: Effect.SUBSCRIBE,
  SSUBSCRIBE: Effect.SUBSCRIBE,
  UNSUBSCRIBE: Effect.UNSUBSCRIBE,
  PUNSUBSCRIBE: Effect.UNSUBSCRIBE,
  SUNSUBSCRIBE: Effect.UNSUBSCRIBE,
  MONITOR: Effect.MONITOR,
  PSYNC: Effect.REPLICATE,
  SYNC: Effect.REPLICATE,
  SELECT: Effect.SELECT,
  RESET: Effect.RESET,
  MULTI: Effect.MULTI,
  EXEC: Effect.EXEC,
  DISCARD: Effect.DISCARD,
  PING: Effect.PING,
  REPLCONF: Effect.REPLCONF,
};

/** FUNCTION LOAD runs the library's code. */
const CONTAINER_EFFECTS: { readonly [name: string]: Effect } = {
  CLIENT: Effect.CLIENT,
  FUNCTION: Effect.FOREIGN,
};

/** Commands with subcommands; those after the slash have their key behind the subcommand. */
const CONTAINERS: { readonly [name: string]: string } = {
  ACL: 'CAT DELUSER DRYRUN GENPASS GETUSER HELP LIST LOAD LOG SAVE SETUSER USERS WHOAMI',
  CLIENT:
    'CACHING CAPA GETNAME GETREDIR HELP ID IMPORT-SOURCE INFO KILL LIST MAINT_NOTIFICATIONS NO-EVICT NO-TOUCH PAUSE REPLY SETINFO SETNAME TRACKING TRACKINGINFO UNBLOCK UNPAUSE',
  CLUSTER:
    'ADDSLOTS ADDSLOTSRANGE BUMPEPOCH CANCELSLOTMIGRATIONS COUNT-FAILURE-REPORTS COUNTKEYSINSLOT DELSLOTS DELSLOTSRANGE FAILOVER FLUSHSLOT FLUSHSLOTS FORGET GETKEYSINSLOT GETSLOTMIGRATIONS HELP INFO KEYSLOT LINKS MEET MIGRATESLOTS MIGRATION MYID MYSHARDID NODES REPLICAS REPLICATE RESET SAVECONFIG SET-CONFIG-EPOCH SETSLOT SHARDS SLAVES SLOT-STATS SLOTS SYNCSLOTS',
  COMMAND: 'COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST',
  COMMANDLOG: 'GET HELP LEN RESET',
  CONFIG: 'GET HELP RESETSTAT REWRITE SET',
  DEBUG: 'SLEEP JMAP RELOAD SET-ACTIVE-EXPIRE / OBJECT',
  FUNCTION: 'DELETE DUMP FLUSH HELP KILL LIST LOAD RESTORE STATS',
  LATENCY: 'DOCTOR GRAPH HELP HISTOGRAM HISTORY LATEST RESET',
  MEMORY: 'DOCTOR HELP MALLOC-STATS PURGE STATS / USAGE',
  MODULE: 'HELP LIST LOAD LOADEX UNLOAD',
  OBJECT: 'HELP / ENCODING FREQ IDLETIME REFCOUNT',
  PUBSUB: 'CHANNELS HELP NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB',
  SCRIPT: 'DEBUG EXISTS FLUSH HELP KILL LOAD SHOW',
  SENTINEL:
    'CKQUORUM CONFIG DEBUG FAILOVER FLUSHCONFIG GET-MASTER-ADDR-BY-NAME GET-PRIMARY-ADDR-BY-NAME HELP INFO-CACHE IS-MASTER-DOWN-BY-ADDR IS-PRIMARY-DOWN-BY-ADDR MASTER MASTERS MONITOR MYID PENDING-SCRIPTS PRIMARIES PRIMARY REMOVE REPLICAS RESET SENTINELS SET SIMULATE-FAILURE SLAVES',
  SLOWLOG: 'GET HELP LEN RESET',
  XGROUP: 'HELP / CREATE CREATECONSUMER DELCONSUMER DESTROY SETID',
  XINFO: 'HELP / CONSUMERS GROUPS STREAM',
};

const [DOT, UNDERSCORE] = Buffer.from('._');
const MAX_NAME_BYTES = 64;
/**
 * Letters and digits from this length on are no name of a command, but one that it was given to hide it
 * (`rename-command CONFIG b840fc02d5…`, redis.conf), or a secret that was sent as one.
 */
const MIN_HIDDEN_BYTES = 16;
const HIDDEN = '_OTHER';
/** Commands that are not in the tables and are remembered; what is beyond is made anew each time. */
const MAX_UNKNOWN = 1024;

/** Commands by their bytes, in any case: open addressing. */
class CommandTable {
  private readonly names: (Uint8Array | null)[];
  // Filled from the start: an array that is set here and there becomes a dictionary.
  private readonly commands: (Command | null)[];
  private size = 0;

  constructor(slots: number) {
    this.names = Array(slots).fill(null);
    this.commands = Array(slots).fill(null);
  }

  get count(): number {
    return this.size;
  }

  find(bytes: Uint8Array, start: number, end: number): Command | null {
    const mask = this.names.length - 1;
    for (let slot = hash(bytes, start, end) & mask; ; slot = (slot + 1) & mask) {
      const name = this.names[slot];
      if (name === null) return null;
      if (sameName(name, bytes, start, end)) return this.commands[slot];
    }
  }

  add(name: string, command: Command): void {
    const bytes = Buffer.from(name, 'latin1');
    const mask = this.names.length - 1;
    let slot = hash(bytes, 0, bytes.length) & mask;
    while (this.names[slot] !== null) slot = (slot + 1) & mask;
    this.names[slot] = bytes;
    this.commands[slot] = command;
    this.size++;
  }
}

const commands = new CommandTable(4096);

const KINDS: ReadonlyMap<string, number> = new Map(
  REPLIES.flatMap(([kinds, names]) => names.split(' ').map((name) => [name, kinds] as const)),
);

/** What may answer a command; `name` as in `REPLIES`. */
function kindsOf(name: string): number {
  return KINDS.get(name) ?? ReplyKind.ANY;
}

function add(name: string, effect: Effect, first = 0, last = 0, step = 1, countAt = 0): Command {
  const command = new Command(name, 1, effect, first, last, step, countAt, true, kindsOf(name));
  commands.add(name, command);
  return command;
}

const FOREIGN = /^(EVAL|FCALL)|\./;
for (const [first, last, step, countAt, names] of KEYS) {
  for (const name of names.split(' '))
    add(name, FOREIGN.test(name) ? Effect.FOREIGN : Effect.NONE, first, last, step, countAt);
}
for (const [name, effect] of Object.entries(EFFECTS)) add(name, effect);
for (const [name, list] of Object.entries(CONTAINERS)) {
  const container = add(name, CONTAINER_EFFECTS[name] ?? Effect.NONE);
  const table = new CommandTable(128);
  const [plain, keyed = ''] = list.split('/');
  for (const [key, part] of [[0, plain] as const, [2, keyed] as const]) {
    for (const sub of part.trim().split(' ')) {
      if (sub === '') continue;
      const kinds = kindsOf(`${name}.${sub}`);
      table.add(sub, new Command(`${name} ${sub}`, 2, container.effect, key, key, 1, 0, true, kinds));
    }
  }
  container.subcommands = table;
}
const KNOWN = commands.count;

/** The command called [start, end), known or not; null where that cannot be the name of one. */
export function commandNamed(bytes: Uint8Array, start: number, end: number): Command | null {
  const found = commands.find(bytes, start, end);
  if (found !== null) return found;
  const length = end - start;
  if (length === 0 || length > MAX_NAME_BYTES) return null;
  let digits = 0;
  let marks = 0;
  for (let i = start; i < end; i++) {
    if (!isNameByte(bytes[i], false)) return null;
    if (isDigit(bytes[i])) digits++;
    else if ((bytes[i] | 0x20) < 0x61) marks++;
  }
  if (length >= MIN_HIDDEN_BYTES && digits > 0 && marks === 0) return hidden;
  if (!isNameByte(bytes[start], true)) return null;
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + start, length)
    .toString('latin1')
    .toUpperCase();
  const unknown = new Command(name, 1, Effect.FOREIGN, 0, 0, 1, 0, false, ReplyKind.ANY);
  if (commands.count < KNOWN + MAX_UNKNOWN) commands.add(name, unknown);
  return unknown;
}

const hidden = new Command(HIDDEN, 1, Effect.FOREIGN, 0, 0, 1, 0, false, ReplyKind.ANY);

/** True where [start, end) is the name of a command in the tables. */
export function isKnownCommand(bytes: Uint8Array, start: number, end: number): boolean {
  return commands.find(bytes, start, end)?.known === true;
}

/** True where [start, end) looks like a command of a module: `GRAPH.QUERY`. */
export function isModuleCommand(bytes: Uint8Array, start: number, end: number): boolean {
  let dot = -1;
  for (let i = start; i < end; i++) {
    if (bytes[i] === DOT && dot < 0) dot = i;
    else if (!isNameByte(bytes[i], true) && bytes[i] !== UNDERSCORE) return false;
  }
  return dot - start >= 2 && end - dot > 2;
}

/** The command with its subcommand [start, end); the command alone where it has none of that name. */
export function withSubcommand(command: Command, bytes: Uint8Array, start: number, end: number): Command {
  return command.subcommands?.find(bytes, start, end) ?? command;
}

function hash(bytes: Uint8Array, start: number, end: number): number {
  let h = end - start;
  for (let i = start; i < end; i++) h = Math.imul(h ^ (bytes[i] & 0xdf), 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}

function sameName(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i];
    if (byte === name[i]) continue;
    if (byte < 0x61 || byte > 0x7a || (byte & 0xdf) !== name[i]) return false;
  }
  return true;
}

function isNameByte(byte: number, first: boolean): boolean {
  const letter = byte | 0x20;
  if (letter >= 0x61 && letter <= 0x7a) return true;
  return !first && (isDigit(byte) || byte === 0x2e || byte === 0x2d || byte === 0x5f);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
