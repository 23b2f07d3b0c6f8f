/** PostgreSQL with psql (libpq), pg, postgres.js and psycopg: the records are what they did. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import postgres from 'postgres';
import { sleep } from '../bench/processes.js';
import { hasPostgres, PostgresServer, PSQL, queries, told } from './postgresql-server.js';
import { at, isRoot, of, unless, Watch } from './support.js';

const skip = unless(isRoot, 'capturing needs root') || unless(hasPostgres, 'PostgreSQL is not installed');
const PASSWORD = 'canary-password';

describe('PostgreSQL', { skip }, () => {
  const server = new PostgresServer();
  let port = 0;

  before(async () => {
    await server.start();
    port = server.port;
    server.psql('CREATE TABLE users (id int PRIMARY KEY, name text)');
  });
  after(() => server.stop());

  /** A connection of pg. */
  const connect = async () => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'tester',
      database: 'postgres',
      password: PASSWORD,
    });
    await client.connect();
    return client;
  };
  /** A pool of postgres.js with one connection. */
  const connectJs = () =>
    postgres({ host: '127.0.0.1', port, user: 'tester', database: 'postgres', max: 1, onnotice: () => {} });

  it('sees what psql does, though it asks for TLS first', async () => {
    const version = server.psql('SHOW server_version').stdout.toString().trim();
    const watch = await new Watch().ready();
    server.psql(
      "INSERT INTO users VALUES (1, 'canary-literal'), (2, 'b')",
      'SELECT * FROM users WHERE id > 0',
      'SELECT * FROM missing',
      'UPDATE users SET name = NULL WHERE id = 2',
    );
    const { documents } = await watch.stop();
    assert.deepEqual(told(documents, port), [
      'INSERT users OK 2',
      'SELECT users OK 2',
      'SELECT missing ERROR 42P01',
      'UPDATE users OK 1',
    ]);
    const [login] = of(documents, 'postgresql', port);
    assert.deepEqual(
      ['packetd.operation', 'packetd.status', 'user.name', 'db.namespace', 'postgresql.server_version'].map(
        (path) => at(login, path),
      ),
      ['connect', 'OK', 'tester', 'postgres', version],
    );
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('tells a login that is refused', async () => {
    const watch = await new Watch().ready();
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'nobody', database: 'postgres' });
    await assert.rejects(client.connect(), { code: '28000' });
    const missing = new pg.Client({ host: '127.0.0.1', port, user: 'tester', database: 'missing' });
    await assert.rejects(missing.connect(), { code: '3D000' });
    const { documents } = await watch.stop();
    assert.deepEqual(
      of(documents, 'postgresql', port).map((d) =>
        [
          'packetd.operation',
          'packetd.status',
          'db.response.status_code',
          'user.name',
          'postgresql.severity',
        ].map((path) => at(d, path)),
      ),
      [
        ['connect', 'ERROR', '28000', 'nobody', 'FATAL'],
        ['connect', 'ERROR', '3D000', 'tester', 'FATAL'],
      ],
    );
  });

  it('finds the SQL of named prepared statements of pg, run again and again, and errors of binding', async () => {
    const watch = await new Watch().ready();
    const client = await connect();
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
    await assert.rejects(client.query({ name: 'bad', text: 'SELEC $1', values: ['canary'] }), {
      code: '42601',
    });
    await client.query('');
    await client.query('BEGIN; SELECT 1; COMMIT');
    await client.end();
    const { documents } = await watch.stop();
    assert.deepEqual(told(documents, port), [
      'INSERT users OK 1',
      'INSERT users OK 1',
      'INSERT users OK 1',
      'SELECT users ERROR 22P02',
      'INSERT users ERROR 23505',
      'SELEC ERROR 42601',
      'query OK',
      'BEGIN OK 1',
    ]);
    const inserts = queries(documents, port).filter((d) => d.packetd.operation === 'INSERT');
    assert.ok(inserts.every((d) => at(d, 'db.query.text') === 'INSERT INTO users VALUES ($1, $2)'));
    assert.ok(inserts.every((d) => at(d, 'postgresql.statement.name') === 'add'));
    assert.ok(inserts.every((d) => at(d, 'postgresql.parameter_count') === 2));
    const several = queries(documents, port).at(-1)!;
    assert.equal(at(several, 'postgresql.statements'), 3);
    assert.equal(at(several, 'postgresql.transaction_status'), 'idle');
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('pairs the pipelined queries of postgres.js, and those behind one that fails', async () => {
    const watch = await new Watch().ready();
    const sql = connectJs();
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) =>
        i === 17
          ? sql`SELECT ${i}::int / 0 FROM users`
          : sql`SELECT ${i}::int AS n FROM users LIMIT ${i % 3}`,
      ),
    );
    await sql.end();
    const { documents } = await watch.stop();
    const codes = results.map((result) =>
      result.status === 'fulfilled'
        ? `SELECT users OK ${result.value.length}`
        : `SELECT users ERROR ${(result.reason as { code: string }).code}`,
    );
    assert.equal(codes[17], 'SELECT users ERROR 22012');
    // What the driver asks for itself when it connects is about types.
    assert.deepEqual(
      told(documents, port).filter((line) => line.includes(' users ')),
      codes,
    );
  });

  it('counts rows and bytes of COPY either way, and tells one that fails', async () => {
    // postgres.js halts at a readable COPY of more than its stream buffers.
    const lines = Array.from({ length: 500 }, (_, i) => `${i + 1000}\tcanary-${i}\n`);
    writeFileSync(join(server.directory, 'lines'), lines.join(''));
    const bytes = Buffer.byteLength(lines.join(''));
    const watch = await new Watch().ready();
    const sql = connectJs();
    await pipeline(Readable.from(lines), await sql`COPY users FROM STDIN`.writable());
    const [{ count }] = await sql`SELECT count(*)::int FROM users`;
    let read = 0;
    for await (const piece of await sql`COPY users TO STDOUT`.readable()) read += (piece as Buffer).length;
    await sql`SELECT 1 FROM users LIMIT 1`;
    await sql.end();
    server.psql(
      'DELETE FROM users WHERE id >= 1000',
      "\\copy users FROM 'lines'",
      '\\copy (SELECT id FROM users WHERE id >= 1000) TO /dev/null',
    );
    // The first line is there already.
    server.psql("\\copy users FROM 'lines'", 'SELECT 1 FROM users LIMIT 1');
    const failed = spawnSync(
      PSQL,
      [...['-h', '127.0.0.1', '-p', String(port), '-U', 'tester', 'postgres'], '-c', 'COPY users FROM STDIN'],
      { input: 'canary-no-number\tx\n' },
    );
    assert.match(failed.stderr.toString(), /invalid input syntax for type integer/);
    const { documents } = await watch.stop();
    const ids = lines.reduce((sum, line) => sum + line.indexOf('\t') + 1, 0);
    const seen = queries(documents, port)
      .filter((d) => at(d, 'db.collection.name') === 'users' || d.packetd.operation === 'COPY')
      .map((d) => [
        d.packetd.operation,
        d.packetd.status,
        at(d, 'db.response.status_code') ?? at(d, 'postgresql.affected_rows') ?? 'rows',
        at(d, 'postgresql.copy_bytes') ?? 'none',
      ]);
    assert.deepEqual(seen, [
      ['COPY', 'OK', lines.length, bytes],
      ['SELECT', 'OK', 'rows', 'none'],
      ['COPY', 'OK', count, read],
      ['SELECT', 'OK', 'rows', 'none'],
      ['DELETE', 'OK', lines.length, 'none'],
      ['COPY', 'OK', lines.length, bytes],
      ['COPY', 'OK', lines.length, ids],
      ['COPY', 'ERROR', '23505', bytes],
      ['SELECT', 'OK', 'rows', 'none'],
      ['COPY', 'ERROR', '22P02', 'canary-no-number\tx\n'.length],
    ]);
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('records each piece that a cursor fetches', async () => {
    const watch = await new Watch().ready();
    const sql = connectJs();
    const pieces: number[] = [];
    await sql`SELECT * FROM generate_series(1, 25)`.cursor(10, (rows) => {
      pieces.push(rows.length);
    });
    await sql.end();
    const client = await connect();
    // pg asks for so many rows at a time, and puts them together itself.
    const config = { text: 'SELECT n FROM generate_series(1, $1) AS n', values: [7], rows: 3 };
    assert.equal((await client.query(config)).rows.length, 7);
    await client.query('SELECT 1');
    await client.end();
    const { documents } = await watch.stop();
    assert.deepEqual(pieces, [10, 10, 5]);
    const fetched = queries(documents, port)
      .filter((d) => String(at(d, 'db.query.text')).includes('generate_series'))
      .map((d) => [at(d, 'db.response.returned_rows'), at(d, 'postgresql.suspended') ?? false]);
    assert.deepEqual(fetched, [
      [10, true],
      [10, true],
      [5, false],
      [3, true],
      [3, true],
      [1, false],
    ]);
    assert.equal(told(documents, port).at(-1), 'SELECT OK 1');
  });

  it('is not put out of step by NOTIFY and NOTICE', async () => {
    const watch = await new Watch().ready();
    const [listener, other] = [await connect(), await connect()];
    const notices: unknown[] = [];
    listener.on('notice', (notice) => notices.push(notice));
    await listener.query('LISTEN news');
    for (let i = 0; i < 3; i++) {
      const heard = once(listener, 'notification');
      await other.query('SELECT pg_notify($1, $2)', ['news', 'canary-payload']);
      await heard;
      // The notification of its own comes in the midst of the answer.
      const own = once(listener, 'notification');
      await listener.query("NOTIFY news, 'canary-own'");
      await own;
    }
    await listener.query("DO $$ BEGIN RAISE NOTICE 'canary-1'; RAISE WARNING 'canary-2'; END $$");
    await listener.query('SELECT * FROM users LIMIT 1');
    await Promise.all([listener.end(), other.end()]);
    const { documents } = await watch.stop();
    assert.equal(notices.length, 2);
    const mine = queries(documents, port);
    assert.deepEqual(
      told(documents, port).sort(),
      [
        'LISTEN OK',
        ...Array.from({ length: 3 }, () => ['SELECT OK 1', 'NOTIFY OK']).flat(),
        'DO OK',
        'SELECT users OK 1',
      ].sort(),
    );
    assert.equal(at(mine.find((d) => d.packetd.operation === 'DO')!, 'postgresql.notices'), notices.length);
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('records function calls of large objects, as libpq makes them', async () => {
    writeFileSync(join(server.directory, 'object'), 'canary-object');
    const watch = await new Watch().ready();
    assert.equal(server.psql("\\lo_import 'object'").status, 0);
    const { documents } = await watch.stop();
    const calls = queries(documents, port).filter((d) => at(d, 'postgresql.request') === 'function_call');
    // lo_creat, lo_open, lowrite once for so few bytes, lo_close.
    assert.deepEqual(
      calls.map((d) => `${d.packetd.operation} ${d.packetd.status}`),
      Array.from({ length: 4 }, () => 'function_call OK'),
    );
    assert.deepEqual(
      ['BEGIN', 'COMMIT'].map((name) => told(documents, port).some((line) => line.startsWith(`${name} OK`))),
      [true, true],
    );
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('tells why a query ended whose session an administrator ended', async () => {
    const watch = await new Watch().ready();
    const client = await connect();
    client.on('error', () => {});
    const query = client.query('SELECT pg_sleep(60)');
    const failed = assert.rejects(query, { code: '57P01' });
    const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while (server.psql(end).stdout.length === 0) await sleep(20);
    await failed;
    const { documents } = await watch.stop();
    const seen = queries(documents, port).filter((d) => String(at(d, 'db.query.text')).includes('pg_sleep'));
    assert.deepEqual(
      seen.map((d) => [d.packetd.status, at(d, 'db.response.status_code'), at(d, 'postgresql.severity')]),
      [['ERROR', '57P01', 'FATAL']],
    );
  });

  it('records a query that was cancelled, and the connection that cancelled it', async () => {
    const watch = await new Watch().ready();
    const sql = connectJs();
    const query = sql`SELECT pg_sleep(60)`;
    const failed = assert.rejects(query, { code: '57014' });
    const running = () =>
      server.psql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").stdout.length > 0;
    while (!running()) await sleep(20);
    query.cancel();
    await failed;
    await sql.end();
    const { documents } = await watch.stop();
    const seen = told(documents, port).filter((line) => /57014|cancel/.test(line));
    assert.deepEqual(seen.sort(), ['SELECT ERROR 57014', 'cancel OK']);
  });
});
