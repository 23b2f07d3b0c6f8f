/** PostgreSQL with psql (libpq), pg and postgres.js: the records are what they did. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import postgres from 'postgres';
import { Background, freePort, listening, sleep } from '../bench/processes.js';
import { at, type Document, isRoot, of, unless, Watch } from './support.js';

/** Debian keeps the programs of each version apart. */
const DEBIAN = '/usr/lib/postgresql';
const version = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort().at(-1) : undefined;
const bin = version === undefined ? '' : join(DEBIAN, version, 'bin');
const skip =
  unless(isRoot, 'capturing needs root') ||
  unless(existsSync(join(bin, 'postgres')), 'PostgreSQL is not installed');
const NOBODY = 65_534;
const PASSWORD = 'canary-password';

describe('PostgreSQL', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-postgres-'));
  let port = 0;
  let server: Background;

  before(async () => {
    port = await freePort();
    chownSync(directory, NOBODY, NOBODY);
    const data = join(directory, 'data');
    // It refuses to run as root.
    const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
    const init = spawnSync(
      'setpriv',
      [...asNobody, join(bin, 'initdb'), '-D', data, '-U', 'tester', '-A', 'trust', '--no-sync'],
      {
        cwd: directory,
      },
    );
    assert.equal(init.status, 0, init.stderr.toString());
    server = new Background(
      'setpriv',
      [
        ...asNobody,
        join(bin, 'postgres'),
        '-D',
        data,
        '-p',
        String(port),
        '-k',
        directory,
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        'fsync=off',
      ],
      directory,
    );
    await listening(port, 60_000);
    for (let i = 0; i < 100 && psql('SELECT 1').status !== 0; i++) await sleep(100);
    psql('CREATE TABLE users (id int PRIMARY KEY, name text)');
  });
  after(async () => {
    await server.stop('SIGINT');
    rmSync(directory, { recursive: true });
  });

  const psql = (...statements: string[]) =>
    spawnSync(
      join(bin, 'psql'),
      [
        '-h',
        '127.0.0.1',
        '-p',
        String(port),
        '-U',
        'tester',
        'postgres',
        ...statements.flatMap((s) => ['-c', s]),
      ],
      {
        env: { ...process.env, PGPASSWORD: PASSWORD, PGSSLMODE: 'prefer' },
      },
    );
  /** `operation target status code rows`, but for connects. */
  const told = (documents: readonly Document[]): string[] =>
    of(documents, 'postgresql', port)
      .filter((d) => d.packetd.operation !== 'connect')
      .map((d) =>
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

  it('sees what psql does, though it asks for TLS first', async () => {
    const watch = await new Watch().ready();
    psql(
      "INSERT INTO users VALUES (1, 'canary-literal'), (2, 'b')",
      'SELECT * FROM users WHERE id > 0',
      'SELECT * FROM missing',
      'UPDATE users SET name = NULL WHERE id = 2',
    );
    const { documents } = await watch.stop();
    assert.deepEqual(told(documents), [
      'INSERT users OK 2',
      'SELECT users OK 2',
      'SELECT missing ERROR 42P01',
      'UPDATE users OK 1',
    ]);
    const [connect] = of(documents, 'postgresql', port);
    assert.deepEqual(
      [connect.packetd.operation, connect.packetd.status, at(connect, 'user.name')],
      ['connect', 'OK', 'tester'],
    );
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('finds the SQL of named prepared statements of pg, run again and again, and errors of binding', async () => {
    const watch = await new Watch().ready();
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'tester',
      database: 'postgres',
      password: PASSWORD,
    });
    await client.connect();
    for (let i = 10; i < 13; i++) {
      await client.query({
        name: 'add',
        text: 'INSERT INTO users VALUES ($1, $2)',
        values: [i, 'canary-bind'],
      });
    }
    await assert.rejects(client.query('SELECT * FROM users WHERE id = $1', ['canary-no-number']), {
      code: '22P02',
    });
    await assert.rejects(
      client.query({ name: 'add', text: 'INSERT INTO users VALUES ($1, $2)', values: [10, 'x'] }),
      { code: '23505' },
    );
    await client.query('BEGIN; SELECT 1; COMMIT');
    await client.end();
    const { documents } = await watch.stop();
    assert.deepEqual(told(documents), [
      'INSERT users OK 1',
      'INSERT users OK 1',
      'INSERT users OK 1',
      'SELECT users ERROR 22P02',
      'INSERT users ERROR 23505',
      'BEGIN OK 1',
    ]);
    const inserts = of(documents, 'postgresql', port).filter((d) => d.packetd.operation === 'INSERT');
    assert.ok(inserts.every((d) => at(d, 'db.query.text') === 'INSERT INTO users VALUES ($1, $2)'));
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('pairs the pipelined queries of postgres.js, and COPY', async () => {
    const watch = await new Watch().ready();
    const sql = postgres({
      host: '127.0.0.1',
      port,
      user: 'tester',
      database: 'postgres',
      max: 1,
      onnotice: () => {},
    });
    await Promise.all(Array.from({ length: 20 }, (_, i) => sql`SELECT ${i}::int AS n FROM users LIMIT 1`));
    await sql.end();
    execFileSync('sh', [
      '-c',
      `printf '100,a\\n101,b\\n' | ${join(bin, 'psql')} -h 127.0.0.1 -p ${port} -U tester postgres -c 'COPY users FROM STDIN CSV'`,
    ]);
    const { documents } = await watch.stop();
    const seen = told(documents);
    assert.equal(seen.filter((line) => line === 'SELECT users OK 1').length, 20, seen.join('\n'));
    assert.equal(seen.filter((line) => line === 'COPY users OK 2').length, 1, seen.join('\n'));
  });
});
