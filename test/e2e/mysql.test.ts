/** MariaDB with its C client, mysql2 and mariadb: the records are what they did. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import mariadb from 'mariadb';
import mysql from 'mysql2/promise';
import { Background, freePort, has, listening } from '../bench/processes.js';
import { at, type Document, isRoot, of, unless, Watch } from './support.js';

const skip =
  unless(isRoot, 'capturing needs root') || unless(has('mariadbd'), 'mariadb-server is not installed');

describe('MariaDB', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'packetd-mariadb-'));
  let port = 0;
  let server: Background;

  before(async () => {
    port = await freePort();
    const data = join(directory, 'data');
    const install = spawnSync('mariadb-install-db', [
      '--no-defaults',
      '--user=root',
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
    ]);
    assert.equal(install.status, 0, install.stderr.toString());
    server = new Background('mariadbd', [
      '--no-defaults',
      '--user=root',
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(directory, 'socket')}`,
      `--pid-file=${join(directory, 'pid')}`,
    ]);
    await listening(port, 60_000);
    run(
      "CREATE DATABASE shop; CREATE USER tester@localhost IDENTIFIED BY 'canary-password'; GRANT ALL ON shop.* TO tester@localhost; CREATE TABLE shop.users (id int PRIMARY KEY, name text)",
    );
  });
  after(async () => {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true });
  });

  const run = (sql: string) =>
    spawnSync('mariadb', ['--no-defaults', '-h', '127.0.0.1', '-P', String(port), '-u', 'root', '-e', sql]);
  const told = (documents: readonly Document[]): string[] =>
    of(documents, 'mysql', port).map((d) =>
      [d.packetd.operation, d.packetd.target, d.packetd.status, at(d, 'db.response.status_code')]
        .filter((part) => part !== undefined)
        .join(' '),
    );
  const includes = (seen: readonly string[], line: string, times: number) =>
    assert.equal(seen.filter((each) => each === line).length, times, `${line} in\n${seen.join('\n')}`);
  const login = { host: '127.0.0.1', user: 'tester', password: 'canary-password', database: 'shop' };

  it('sees what the C client does, its login as one connect', async () => {
    const watch = await new Watch().ready();
    run(
      "INSERT INTO shop.users VALUES (1, 'canary-literal'); SELECT * FROM shop.users; SELECT * FROM shop.missing",
    );
    const { documents } = await watch.stop();
    const seen = told(documents);
    includes(seen, 'connect OK', 1);
    includes(seen, 'INSERT shop.users OK', 1);
    includes(seen, 'SELECT shop.users OK', 1);
    includes(seen, 'SELECT shop.missing ERROR 1146', 1);
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('reads statements in the character set of the connection, of a server that agrees where literals end', async () => {
    // 0x955C is one character of GBK, 0x9560 another: neither a backslash nor a backtick is in them.
    const sql = Buffer.from("SELECT '\x95\\', 'canary' AS `\x95``, 'canary' FROM users LIMIT 0", 'latin1');
    const watch = await new Watch().ready();
    const args = ['--no-defaults', '-h', '127.0.0.1', '-P', String(port), '-u', 'root', '-B', 'shop'];
    for (const [charset, before] of [
      ['gbk', ''],
      ['utf8mb4', 'SET NAMES gbk;'],
    ]) {
      const input = Buffer.concat([Buffer.from(before), sql]);
      const { status, stderr } = spawnSync('mariadb', [...args, `--default-character-set=${charset}`], {
        input,
      });
      assert.equal(status, 0, stderr.toString());
    }
    const { documents } = await watch.stop();
    const selects = of(documents, 'mysql', port).filter((d) => d.packetd.operation === 'SELECT');
    assert.deepEqual(
      selects.map((d) => [d.packetd.status, at(d, 'mysql.columns')]),
      [
        ['OK', 3],
        ['OK', 3],
      ],
    );
    // The server could have been told not to mind what a client says as it logs in.
    const [loggedIn, named] = selects.map((d) => at(d, 'db.query.text') as string);
    assert.equal(loggedIn, 'SELECT ?…');
    assert.match(named, /^SELECT \? AS `.+`, \? FROM users LIMIT \?$/);
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('remembers the text of statements that mysql2 prepared', async () => {
    const watch = await new Watch().ready();
    const client = await mysql.createConnection({ ...login, port });
    for (let i = 10; i < 13; i++) await client.execute('INSERT INTO users VALUES (?, ?)', [i, 'canary-bind']);
    const [rows] = await client.execute('SELECT * FROM users WHERE id >= ?', [10]);
    assert.equal((rows as unknown[]).length, 3);
    await assert.rejects(client.execute('INSERT INTO users VALUES (?, ?)', [10, 'canary-duplicate']), {
      errno: 1062,
    });
    await client.end();
    const { documents } = await watch.stop();
    const executed = of(documents, 'mysql', port).filter(
      (d) => at(d, 'mysql.command') === 'COM_STMT_EXECUTE',
    );
    assert.deepEqual(
      executed.map((d) => [d.packetd.operation, d.packetd.status, at(d, 'db.query.text')]),
      [
        ...Array.from({ length: 3 }, () => ['INSERT', 'OK', 'INSERT INTO users VALUES (?, ?)']),
        ['SELECT', 'OK', 'SELECT * FROM users WHERE id >= ?'],
        ['INSERT', 'ERROR', 'INSERT INTO users VALUES (?, ?)'],
      ],
    );
    assert.equal(at(executed[3], 'db.response.returned_rows'), 3);
    assert.ok(!JSON.stringify(documents).includes('canary'));
  });

  it('counts the rows of prepared statements of a connection whose login was not seen', async () => {
    const client = await mariadb.createConnection({ ...login, port });
    await client.execute('SELECT * FROM users WHERE id >= ?', [10]);
    const watch = await new Watch().ready();
    const counts: number[] = [];
    for (const id of [10, 11, 12, 13]) {
      const rows = await client.execute('SELECT * FROM users WHERE id >= ?', [id]);
      counts.push((rows as unknown[]).length);
    }
    await client.end();
    const { documents } = await watch.stop();
    const executed = of(documents, 'mysql', port).filter(
      (d) => at(d, 'mysql.command') === 'COM_STMT_EXECUTE',
    );
    assert.deepEqual(counts, [3, 2, 1, 0]);
    assert.deepEqual(
      executed.map((d) => [d.packetd.status, at(d, 'db.response.returned_rows')]),
      counts.map((rows) => ['OK', rows]),
    );
  });

  it('reads a compressed connection of the mariadb connector', async () => {
    const watch = await new Watch().ready();
    const client = await mariadb.createConnection({ ...login, port, compress: true });
    await client.query('SELECT * FROM users WHERE id > ?', [5]);
    await assert.rejects(client.query('SELEC nonsense'), { errno: 1064 });
    await client.end();
    const { documents } = await watch.stop();
    const seen = told(documents);
    includes(seen, 'SELECT users OK', 1);
    assert.equal(seen.filter((line) => line.endsWith('ERROR 1064')).length, 1, seen.join('\n'));
  });
});
