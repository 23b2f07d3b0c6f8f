/**
 * libpq 18, by psycopg: protocol 3.2, pipelines with errors up to Sync, COPY in the extended protocol, cancels.
 * With PostgreSQL 18 where it can be had, and with Debian's, which answers 3.2 with what it speaks itself.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { freePort, has } from '../bench/processes.js';
import { hasPostgres, PostgresServer, queries, told } from './postgresql-server.js';
import { type Python, pythonWith } from './python.js';
import { at, backend, isRoot, of, startBackend, stopBackend, unless, Watch } from './support.js';

/** The first with libpq 18 in its binary package. */
const PSYCOPG = ['psycopg==3.3.9', 'psycopg-binary==3.3.9'];
const python: Python | null = isRoot ? pythonWith(...PSYCOPG) : null;
const skip = unless(isRoot, 'capturing needs root') || unless(python !== null, `no ${PSYCOPG[0]} by pip`);
const script = backend('postgres.sh');

interface Case {
  name: string;
  skip: string | false;
  /** What a client that asks for 3.2 gets. */
  protocol: string;
  start(): Promise<{ port: number; user: string; stop(): Promise<void> }>;
}
const PASSWORD = 'packetd-test';

const cases: readonly Case[] = [
  {
    name: 'PostgreSQL of Debian',
    skip: unless(hasPostgres, 'PostgreSQL is not installed'),
    protocol: '3.0',
    start: async () => {
      const server = new PostgresServer();
      await server.start();
      return { port: server.port, user: 'tester', stop: () => server.stop() };
    },
  },
  {
    name: 'PostgreSQL 18',
    // No Debian package has it; where the script is not there, this cannot run.
    skip: script === null || !has('java') ? 'no PostgreSQL 18 is to be had here' : false,
    protocol: '3.2',
    start: async () => {
      const port = await freePort();
      const server: ChildProcess = await startBackend(script!, ['18.6.0', String(port), '--fresh']);
      return { port, user: 'postgres', stop: () => stopBackend(server) };
    },
  },
];

const PROLOGUE = `
import json, sys, psycopg
port, user, version = sys.argv[1:4]
def connect(**more):
    more = {'password': '${PASSWORD}', 'max_protocol_version': version, **more}
    return psycopg.connect(host='127.0.0.1', port=port, user=user, dbname='postgres', autocommit=True,
                           sslmode='prefer', **more)
`;

for (const { name, skip: lacking, protocol, start } of cases) {
  describe(`libpq 18 and ${name}`, { skip: skip || lacking }, () => {
    let server: Awaited<ReturnType<Case['start']>>;
    let port = 0;
    before(async () => {
      server = await start();
      port = server.port;
    });
    after(() => server?.stop());
    const run = (program: string, version = '3.2') =>
      python!.run(PROLOGUE + program, port, server.user, version);

    for (const asked of ['3.0', '3.2']) {
      it(`agrees on a version when the client asks for ${asked}`, async () => {
        const watch = await new Watch().ready();
        const got = await run(
          `
c = connect()
c.execute("SELECT 'canary'", prepare=False)
print(json.dumps(c.info.full_protocol_version))
c.close()
`,
          asked,
        );
        const { documents } = await watch.stop();
        const agreed = asked === '3.0' ? '3.0' : protocol;
        assert.equal(got, agreed === '3.0' ? 30_000 : 30_002);
        const mine = of(documents, 'postgresql', port);
        assert.deepEqual(
          mine.map((d) => [d.packetd.operation, d.packetd.status, at(d, 'network.protocol.version')]),
          [
            ['connect', 'OK', agreed],
            ['SELECT', 'OK', agreed],
          ],
        );
        assert.ok(!JSON.stringify(mine).includes('canary'));
        assert.ok(!JSON.stringify(mine).includes(PASSWORD));
      });
    }

    it('cancels what an error in a pipeline stops, up to the next Sync', async () => {
      const watch = await new Watch().ready();
      const results = await run(`
c = connect()
c.execute('CREATE TEMP TABLE items (id int PRIMARY KEY)')
pg = c.pgconn
pg.enter_pipeline_mode()
insert = b'INSERT INTO items VALUES ($1)'
for i in [b'1', b'2', b'2', b'3', b'4']:
    pg.send_query_params(insert, [i])
pg.pipeline_sync()
pg.send_query_params(b'SELECT id FROM items WHERE id > $1', [b'0'])
pg.pipeline_sync()
pg.send_query_params(b'SELECT id FROM missing', [])
pg.send_query_params(b'SELECT 1', [])
pg.pipeline_sync()
pg.send_query_params(b'SELECT generate_series(1, 3)', [])
pg.pipeline_sync()
results = []
synced = 0
while synced < 4:
    result = pg.get_result()
    if result is None:
        continue
    status = psycopg.pq.ExecStatus(result.status)
    if status == psycopg.pq.ExecStatus.PIPELINE_SYNC:
        synced += 1
    else:
        state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
        results.append([status.name, state.decode() if state else result.ntuples or result.command_tuples])
print(json.dumps(results))
c.close()
`);
      const { documents } = await watch.stop();
      // The inserts are one transaction: none of them stays.
      assert.deepEqual(results, [
        ['COMMAND_OK', 1],
        ['COMMAND_OK', 1],
        ['FATAL_ERROR', '23505'],
        ['PIPELINE_ABORTED', null],
        ['PIPELINE_ABORTED', null],
        ['TUPLES_OK', 0],
        ['FATAL_ERROR', '42P01'],
        ['PIPELINE_ABORTED', null],
        ['TUPLES_OK', 3],
      ]);
      assert.deepEqual(told(documents, port), [
        'CREATE TABLE items OK',
        'INSERT items OK 1',
        'INSERT items OK 1',
        'INSERT items ERROR 23505',
        'INSERT items CANCELLED',
        'INSERT items CANCELLED',
        'SELECT items OK 0',
        'SELECT missing ERROR 42P01',
        'SELECT CANCELLED',
        'SELECT OK 3',
      ]);
    });

    it('goes on in step behind COPY, simple and extended', async () => {
      const watch = await new Watch().ready();
      const said = await run(`
c = connect()
c.execute('CREATE TEMP TABLE items (id int, name text)')
with c.cursor() as cursor:
    with cursor.copy('COPY items FROM STDIN') as copy:
        for i in range(1000):
            copy.write('%d\\tcanary\\n' % i)
    copied = cursor.rowcount
    read = 0
    with cursor.copy('COPY (SELECT id FROM items WHERE id < 10) TO STDOUT') as copy:
        for piece in copy:
            read += len(piece)
    found = cursor.execute('SELECT * FROM items WHERE id < %s', [7]).rowcount
    state = None
    try:
        with cursor.copy('COPY items FROM STDIN') as copy:
            copy.write('1\\tx\\n')
            raise KeyError('canary: the client gives up')
    except KeyError:
        pass
    try:
        with cursor.copy('COPY items FROM STDIN') as copy:
            copy.write('canary-no-number\\tx\\n')
    except psycopg.Error as e:
        state = e.sqlstate
    deleted = cursor.execute('DELETE FROM items WHERE id >= %s', [500]).rowcount
# libpq sends Sync twice here: the server takes no notice of the one before CopyDone.
extended = c.pgconn.exec_params(b'COPY items FROM STDIN', [])
assert extended.status == psycopg.pq.ExecStatus.COPY_IN
c.pgconn.put_copy_data(b'900\\tcanary\\n901\\tcanary\\n')
c.pgconn.put_copy_end()
added = c.pgconn.get_result().command_tuples
assert c.pgconn.get_result() is None
extended = c.pgconn.exec_params(b'COPY items FROM STDIN', [])
c.pgconn.put_copy_data(b'canary-no-number\\tx\\n')
c.pgconn.put_copy_end()
again = c.pgconn.get_result().error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode()
assert c.pgconn.get_result() is None
last = c.pgconn.exec_params(b'SELECT * FROM items WHERE id < $1', [b'3']).ntuples
extended = c.pgconn.exec_params(b'COPY (SELECT id FROM items WHERE id < 10) TO STDOUT', [])
sent = 0
while (size := c.pgconn.get_copy_data(0)[0]) > 0:
    sent += size
assert c.pgconn.get_result().command_tuples == 10
assert c.pgconn.get_result() is None
updated = c.execute("UPDATE items SET name = 'canary' WHERE id < %s", [5]).rowcount
print(json.dumps([copied, read, found, state, deleted, added, again, last, sent, updated]))
c.close()
`);
      const { documents } = await watch.stop();
      assert.deepEqual(said, [1000, 20, 7, '22P02', 500, 2, '22P02', 3, 20, 5]);
      assert.deepEqual(told(documents, port), [
        'CREATE TABLE items OK',
        'COPY items OK 1000',
        'COPY items OK 10',
        'SELECT items OK 7',
        'COPY items ERROR 57014',
        'COPY items ERROR 22P02',
        'DELETE items OK 500',
        'COPY items OK 2',
        'COPY items ERROR 22P02',
        'SELECT items OK 3',
        'COPY items OK 10',
        'UPDATE items OK 5',
      ]);
      const copies = queries(documents, port).filter((d) => d.packetd.operation === 'COPY');
      const written = Array.from({ length: 1000 }, (_, i) => `${i}\tcanary\n`.length).reduce((a, b) => a + b);
      assert.deepEqual(
        copies.map((d) => at(d, 'postgresql.copy_bytes')),
        [
          ...[written, 20, '1\tx\n'.length, 'canary-no-number\tx\n'.length],
          ...['900\tcanary\n901\tcanary\n'.length, 'canary-no-number\tx\n'.length, 20],
        ],
      );
      assert.ok(!JSON.stringify(documents).includes('canary'));
    });

    it('remembers what is prepared, and forgets what is deallocated', async () => {
      const watch = await new Watch().ready();
      await run(`
c = connect(prepare_threshold=2)
for i in range(5):
    c.execute('SELECT %s::int + 1 AS canary', [i])
c.execute('SELECT generate_series(1, 4)', binary=True)
c.close()
print('0')
`);
      const { documents } = await watch.stop();
      const mine = queries(documents, port);
      assert.deepEqual(told(documents, port), [
        ...Array.from({ length: 5 }, () => 'SELECT OK 1'),
        'SELECT OK 4',
      ]);
      // Two are run unnamed; then it prepares.
      assert.deepEqual(
        mine.map((d) => [
          typeof at(d, 'postgresql.statement.name'),
          at(d, 'postgresql.parameter_count') ?? 0,
        ]),
        [
          ['undefined', 1],
          ['undefined', 1],
          ['string', 1],
          ['string', 1],
          ['string', 1],
          ['undefined', 0],
        ],
      );
    });

    for (const asked of ['3.0', '3.2']) {
      it(`sees a cancel by a key of ${asked}`, async () => {
        const watch = await new Watch().ready();
        const state = await run(
          `
import threading, time
c, watcher = connect(), connect()
def cancel():
    running = 'SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = %s'
    while watcher.execute(running, [c.info.backend_pid, 'PgSleep']).fetchone() is None:
        time.sleep(0.02)
    c.cancel_safe()
t = threading.Thread(target=cancel)
t.start()
state = None
try:
    c.execute('SELECT pg_sleep(60)')
except psycopg.Error as e:
    state = e.sqlstate
t.join()
c.execute('SELECT 1 AS behind')
c.close()
watcher.close()
print(json.dumps(state))
`,
          asked,
        );
        assert.equal(state, '57014');
        const { documents } = await watch.stop();
        const seen = told(documents, port).filter((line) => /ERROR|cancel/.test(line));
        // The rows were described when it was stopped: there are none of them.
        assert.deepEqual(seen.sort(), ['SELECT ERROR 57014 0', 'cancel OK']);
        const [cancel] = of(documents, 'postgresql', port).filter((d) => d.packetd.operation === 'cancel');
        // int32 length, code and process id, and the key: 4 bytes to 3.0, 32 from PostgreSQL 18 on in 3.2.
        assert.equal(at(cancel, 'client.bytes'), asked === '3.2' && protocol === '3.2' ? 44 : 16);
      });
    }

    // Debian's lets in whoever comes.
    if (protocol === '3.0') return;
    it('tells a wrong password', async () => {
      const watch = await new Watch().ready();
      const said = await run(`
try:
    connect(password='canary-wrong')
except psycopg.OperationalError as e:
    print(json.dumps('password authentication failed' in str(e)))
`);
      assert.equal(said, true);
      const { documents } = await watch.stop();
      assert.deepEqual(
        of(documents, 'postgresql', port).map((d) => [
          d.packetd.operation,
          d.packetd.status,
          at(d, 'db.response.status_code'),
        ]),
        [['connect', 'ERROR', '28P01']],
      );
      assert.ok(!JSON.stringify(documents).includes('canary'));
    });
  });
}
