/** What the client and the server agreed on, and what the connection has selected and prepared since. */
import { Constant, encode, encodeString, MysqlTag, NO_FIELDS } from '@packetd/proto';
import { Escapes, type SqlShape } from '../../redact/sql.js';
import { Charset, charsetNamed, charsetOfCollation } from '../../redact/sql-charset.js';
import { afterString, Capability, findNul, lenenc, MariadbCapability, uint16, uint32 } from './wire.js';

/** Prepared statements remembered per connection; beyond, the oldest goes. */
const MAX_STATEMENTS = 4096;
/** Longest version, user or database name that is recorded. */
const MAX_NAME_BYTES = 256;

export interface Statement {
  readonly shape: SqlShape | null;
  readonly parameters: number;
}

const SYSTEM_MYSQL = encodeString(MysqlTag.system, 'mysql');
const SYSTEM_MARIADB = encodeString(MysqlTag.system, 'mariadb');
/** What MariaDB puts before its version where a replica of MySQL 5.5 would not understand it. */
const REPLICATION_PREFIX = [...'5.5.5-'].map((c) => c.charCodeAt(0));
const MARIADB = [...'mariadb'].map((c) => c.charCodeAt(0));

export class Session {
  /** The handshake response was seen, and with it what follows. */
  known = false;
  serverCapabilities = 0;
  capabilities = 0;
  mariadbCapabilities = 0;
  /** 1 where CLIENT_DEPRECATE_EOF holds, 0 where not, -1 unknown. */
  deprecateEof = -1;
  /** Do backslashes escape in strings? As the server's last status says. */
  escapes: Escapes = Escapes.UNKNOWN;
  /** In which the server reads statements. */
  charset: Charset = Charset.UNKNOWN;
  private serverCharset: Charset = Charset.UNKNOWN;
  /** Fields in wire format. */
  private system: Constant = SYSTEM_MYSQL;
  private version: Constant = NO_FIELDS;
  private user: Constant = NO_FIELDS;
  private namespace: Constant = NO_FIELDS;
  private all: Constant = SYSTEM_MYSQL;
  /** The statement that was sent last for preparation: MariaDB's id -1. */
  lastShape: SqlShape | null = null;
  private readonly statements = new Map<number, Statement>();

  private trackVariables(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const value = afterString(bytes, at, end);
      const next = afterString(bytes, value, end);
      if (next > end) return;
      if (text(bytes, at, value, end) === 'character_set_client') {
        this.charset = charsetNamed(text(bytes, value, next, end));
      }
      at = next;
    }
  }

  /** What every record of the connection repeats, in wire format. */
  fields(): Constant {
    return this.all;
  }

  /** The current database, as a field in wire format; empty where it is not known. */
  useDatabase(namespace: Constant): void {
    this.namespace = namespace;
    this.join();
  }

  useUser(user: Constant): void {
    this.user = user;
    this.join();
  }

  private join(): void {
    this.all = Constant.of(this.system, this.namespace, this.user, this.version);
  }

  /**
   * Protocol::HandshakeV10: int<1> 10, string<NUL> server version, int<4> thread id, string[8] auth data,
   * int<1> 0, int<2> capabilities, int<1> character set, int<2> status, int<2> capabilities, int<1>,
   * string[10] of which MariaDB's last 4 are its extended capabilities.
   */
  greeting(bytes: Uint8Array, start: number, end: number): void {
    const stop = findNul(bytes, start + 1, end);
    let version = start + 1;
    let mariadb = contains(bytes, version, stop, MARIADB);
    if (startsWith(bytes, version, stop, REPLICATION_PREFIX)) {
      mariadb = true;
      version += REPLICATION_PREFIX.length;
    }
    this.system = mariadb ? SYSTEM_MARIADB : SYSTEM_MYSQL;
    this.version = encodeName(MysqlTag.serverVersion, bytes, version, stop);
    this.join();
    const at = stop + 14;
    if (at + 2 > end) return;
    this.serverCapabilities = uint16(bytes, at);
    if (at + 3 <= end) this.serverCharset = charsetOfCollation(bytes[at + 2]);
    if (at + 7 <= end) this.serverCapabilities |= uint16(bytes, at + 5) << 16;
    if (at + 18 <= end && (this.serverCapabilities & Capability.LONG_PASSWORD) === 0) {
      this.mariadbCapabilities = uint32(bytes, at + 14);
    }
  }

  /** The client wants TLS (Protocol::SSLRequest is the head of the handshake response alone). */
  isSslRequest(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start < 4) return false;
    const capabilities = uint16(bytes, start);
    if ((capabilities & Capability.SSL) === 0) return false;
    return (capabilities & Capability.PROTOCOL_41) !== 0 ? end - start <= 36 : end - start <= 5;
  }

  /**
   * Protocol::HandshakeResponse41: int<4> capabilities, int<4> largest packet, int<1> character set,
   * string[23] of which MariaDB's last 4 are its extended capabilities, string<NUL> user, the auth response,
   * string<NUL> database. HandshakeResponse320: int<2>, int<3>, string<NUL> user, string<NUL> auth response,
   * string<NUL> database. Answers the database as a field in wire format, empty where there is none.
   */
  handshakeResponse(bytes: Uint8Array, start: number, end: number): Constant {
    this.known = true;
    let capabilities = end - start >= 2 ? uint16(bytes, start) : 0;
    let at = start + 5;
    if ((capabilities & Capability.PROTOCOL_41) !== 0) {
      if (end - start < 32) return NO_FIELDS;
      capabilities = uint32(bytes, start);
      // A server may be told to mind its own.
      const charset = charsetOfCollation(bytes[start + 8]);
      if (charset === this.serverCharset) this.charset = charset;
      if ((capabilities & Capability.LONG_PASSWORD) === 0) {
        this.mariadbCapabilities &= uint32(bytes, start + 28);
      } else {
        this.mariadbCapabilities = 0;
      }
      at = start + 32;
    }
    this.capabilities = this.serverCapabilities === 0 ? capabilities : capabilities & this.serverCapabilities;
    // The parts of the packet depend on what the client says it sends.
    this.deprecateEof = (this.capabilities & Capability.DEPRECATE_EOF) !== 0 ? 1 : 0;
    const stop = findNul(bytes, at, end);
    this.useUser(encodeName(MysqlTag.user, bytes, at, stop));
    at = stop + 1;
    if ((capabilities & Capability.CONNECT_WITH_DB) === 0 || at >= end) return NO_FIELDS;
    if ((capabilities & Capability.PROTOCOL_41) === 0) at = findNul(bytes, at, end) + 1;
    else if ((capabilities & Capability.PLUGIN_AUTH_LENENC) !== 0) at = afterString(bytes, at, end);
    else if ((capabilities & Capability.SECURE_CONNECTION) !== 0) at += 1 + bytes[at];
    else at = findNul(bytes, at, end) + 1;
    return at < end ? encodeName(MysqlTag.namespace, bytes, at, findNul(bytes, at, end)) : NO_FIELDS;
  }

  has(capability: number): boolean {
    return (this.capabilities & capability) !== 0;
  }

  /** A result set may come without its definitions, which the server says behind the column count. */
  get mayLackDefinitions(): boolean {
    return (
      this.has(Capability.OPTIONAL_RESULTSET_METADATA) ||
      (this.mariadbCapabilities & MariadbCapability.CACHE_METADATA) !== 0
    );
  }

  get compressed(): boolean {
    return this.has(Capability.COMPRESS) || this.has(Capability.ZSTD);
  }

  prepared(id: number, statement: Statement): void {
    const { statements } = this;
    statements.delete(id);
    if (statements.size >= MAX_STATEMENTS) {
      for (const oldest of statements.keys()) {
        statements.delete(oldest);
        break;
      }
    }
    statements.set(id, statement);
  }

  statement(id: number): Statement | undefined {
    return this.statements.get(id);
  }

  closeStatement(id: number): void {
    this.statements.delete(id);
  }

  closeStatements(): void {
    this.statements.clear();
    this.lastShape = null;
  }

  /**
   * Session state changes of an OK packet: int<1> type, string<lenenc> data; type 1 is the current
   * database, a string<lenenc>, type 0 variables, each string<lenenc> name and string<lenenc> value.
   */
  track(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const type = bytes[at];
      const next = afterString(bytes, at + 1, end);
      if (next > end) return;
      const data = next - lenenc(bytes, at + 1, end);
      if (type === 0) this.trackVariables(bytes, data, next);
      else if (type === 1) {
        const length = lenenc(bytes, data, next);
        if (length >= 0 && afterString(bytes, data, next) === next) {
          this.useDatabase(encodeName(MysqlTag.namespace, bytes, next - length, next));
        }
      }
      at = next;
    }
  }
}

/** A string field in wire format; nothing for an empty or overlong name. */
export function encodeName(tag: number, bytes: Uint8Array, start: number, end: number): Constant {
  if (end <= start || end - start > MAX_NAME_BYTES) return NO_FIELDS;
  return encode((writer) => writer.text(tag, bytes, start, end));
}

/** The string<lenenc> [at, next). */
function text(bytes: Uint8Array, at: number, next: number, end: number): string {
  return String.fromCharCode(
    ...bytes.subarray(next - Math.min(lenenc(bytes, at, end), MAX_NAME_BYTES), next),
  );
}

function startsWith(bytes: Uint8Array, start: number, end: number, word: readonly number[]): boolean {
  if (end - start < word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}

function contains(bytes: Uint8Array, start: number, end: number, lower: readonly number[]): boolean {
  for (let at = start; at + lower.length <= end; at++) {
    let i = 0;
    while (i < lower.length && (bytes[at + i] | 0x20) === lower[i]) i++;
    if (i === lower.length) return true;
  }
  return false;
}
