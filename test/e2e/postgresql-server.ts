/** PostgreSQL from Debian for a test, and its records as tests compare them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Background, freePort, listening, sleep } from '../bench/processes.js';
import { at, type Document, of } from './support.js';

/** Debian keeps the programs of each version apart. */
const DEBIAN = '/usr/lib/postgresql';
const version = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort().at(-1) : undefined;
const bin = version === undefined ? '' : join(DEBIAN, version, 'bin');
export const hasPostgres = existsSync(join(bin, 'postgres'));
export const PSQL = join(bin, 'psql');
const NOBODY = 65_534;

/** A server without TLS that lets user `tester` in without a password. */
export class PostgresServer {
  readonly directory = mkdtempSync(join(tmpdir(), 'packetd-postgres-'));
  port = 0;
  private server!: Background;

  async start(...settings: readonly string[]): Promise<void> {
    this.port = await freePort();
    chownSync(this.directory, NOBODY, NOBODY);
    const data = join(this.directory, 'data');
    // It refuses to run as root.
    const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
    const init = spawnSync(
      'setpriv',
      [...asNobody, join(bin, 'initdb'), '-D', data, '-U', 'tester', '-A', 'trust', '--no-sync'],
      { cwd: this.directory },
    );
    assert.equal(init.status, 0, init.stderr.toString());
    const options = ['listen_addresses=127.0.0.1', 'fsync=off', ...settings].flatMap((one) => ['-c', one]);
    this.server = new Background(
      'setpriv',
      [
        ...asNobody,
        ...[join(bin, 'postgres'), '-D', data, '-p', String(this.port), '-k', this.directory],
        ...options,
      ],
      this.directory,
    );
    await listening(this.port, 60_000);
    for (let i = 0; i < 100 && this.psql('SELECT 1').status !== 0; i++) await sleep(100);
  }

  async stop(): Promise<void> {
    await this.server.stop('SIGINT');
    rmSync(this.directory, { recursive: true });
  }

  /** One connection of psql, which asks for TLS first, with one simple query for each statement. */
  psql(...statements: readonly string[]) {
    return spawnSync(
      PSQL,
      [
        ...['-h', '127.0.0.1', '-p', String(this.port), '-U', 'tester', '-At', 'postgres'],
        ...statements.flatMap((statement) => ['-c', statement]),
      ],
      { cwd: this.directory, env: { ...process.env, PGSSLMODE: 'prefer' } },
    );
  }
}

/** What is not a connect, of PostgreSQL on a port. */
export function queries(documents: readonly Document[], port: number): Document[] {
  return of(documents, 'postgresql', port).filter((d) => d.packetd.operation !== 'connect');
}

/** `operation target status code rows`, but for connects. */
export function told(documents: readonly Document[], port: number): string[] {
  return queries(documents, port).map((d) =>
    [
      d.packetd.operation,
      d.packetd.target,
      d.packetd.status,
      at(d, 'db.response.status_code'),
      at(d, 'postgresql.affected_rows') ?? at(d, 'db.response.returned_rows'),
    ]
      .filter((part) => part !== undefined)
      .join(' '),
  );
}
