/** bind9 with Node's resolver (c-ares), a client of our own over TCP, and dnsperf: the records are what was asked. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Background, freePort, has, sleep } from '../bench/processes.js';
import { type Document, isRoot, unless, Watch } from './support.js';

const skip = unless(isRoot, 'capturing needs root');

/** A document of DNS, as far as this test looks at it. */
interface DnsDocument extends Document {
  network: { transport: string };
  dns: {
    question: { name: string; type: string };
    response_code?: string;
    resolved_ip?: string[];
    header_flags?: string[];
    answers_count?: number;
    opt?: { udp_size: number };
    retransmits?: number;
  };
}

/** Longer than a UDP response may be without EDNS, and than what c-ares offers with it. */
const LONG_TXT = Array.from(
  { length: 24 },
  (_, i) => `long TXT "${String(i).padStart(3, '0').padEnd(200, 'x')}"`,
).join('\n');

describe('bind9', { skip: skip || unless(has('/usr/sbin/named'), 'named is not installed') }, () => {
  let port = 0;
  let server: Background;
  const directory = mkdtempSync(join(tmpdir(), 'packetd-named-'));
  before(async () => {
    port = await freePort();
    writeFileSync(
      join(directory, 'zone'),
      `$TTL 60
@ SOA ns admin 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
www A 192.0.2.7
www AAAA 2001:db8::7
txt TXT "hello"
${LONG_TXT}
`,
    );
    writeFileSync(
      join(directory, 'named.conf'),
      `options { directory "${directory}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; allow-transfer { any; }; };
       controls {}; zone "example.test" { type primary; file "zone"; };`,
    );
    server = new Background('/usr/sbin/named', ['-g', '-c', join(directory, 'named.conf')]);
    await server.said('running');
  });
  after(async () => {
    await server.stop('SIGTERM');
    rmSync(directory, { recursive: true });
  });

  /** What packetd saw of the server, or of another port, while `run` ran. */
  async function watched(run: () => Promise<void>, serverPort = port): Promise<DnsDocument[]> {
    const watch = await new Watch().ready();
    await run();
    await sleep(50);
    const { documents } = await watch.stop();
    return documents.filter(
      (d): d is DnsDocument => d.packetd.protocol === 'dns' && d.server.port === serverPort,
    );
  }

  const line = ({ network, dns }: DnsDocument): string =>
    `${network.transport} ${dns.question.type} ${dns.question.name} ${dns.response_code} ${dns.resolved_ip?.join() ?? ''}`.trim();

  function resolver(): Resolver {
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${port}`]);
    return resolver;
  }

  it('pairs queries by id and question, and names the outcome', async () => {
    const documents = await watched(async () => {
      const node = resolver();
      const [a, aaaa, txt] = await Promise.all([
        node.resolve4('www.example.test'),
        node.resolve6('www.example.test'),
        node.resolveTxt('txt.example.test'),
      ]);
      await assert.rejects(node.resolve4('nothing.example.test'), { code: 'ENOTFOUND' });
      assert.deepEqual([a, aaaa, txt], [['192.0.2.7'], ['2001:db8::7'], [['hello']]]);
    });
    assert.deepEqual(documents.map(line).sort(), [
      'udp A nothing.example.test NXDOMAIN',
      'udp A www.example.test NOERROR 192.0.2.7',
      'udp AAAA www.example.test NOERROR 2001:db8::7',
      'udp TXT txt.example.test NOERROR',
    ]);
    const failed = documents.find((d) => d.dns.response_code === 'NXDOMAIN');
    assert.equal(failed?.packetd.status, 'ERROR');
  });

  it('tells a truncated response from the one over TCP', async () => {
    const documents = await watched(async () => {
      const records = await resolver().resolveTxt('long.example.test');
      assert.equal(records.length, 24);
    });
    assert.deepEqual(documents.map(line), [
      'udp TXT long.example.test NOERROR',
      'tcp TXT long.example.test NOERROR',
    ]);
    assert.ok(documents[0].dns.header_flags?.includes('TC'));
    assert.ok(!documents[1].dns.header_flags?.includes('TC'));
    assert.equal(documents[1].dns.answers_count, 24);
  });

  it('decodes queries over TCP that are sent at once, a zone transfer and EDNS among them', async () => {
    const query = (id: number, name: string, type: number, edns = false): Buffer => {
      const question = name.split('.').map((label) => String.fromCharCode(label.length) + label);
      const body = Buffer.concat([
        Buffer.from([id >> 8, id & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0]),
        Buffer.from(`${question.join('')}\0`),
        Buffer.from([0, type, 0, 1]),
        Buffer.from(edns ? [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0] : []),
      ]);
      return Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body]);
    };
    const documents = await watched(async () => {
      const socket = connect(port, '127.0.0.1');
      let bytes = 0;
      socket.on('data', (piece) => {
        bytes += piece.length;
      });
      socket.write(
        Buffer.concat([
          query(1, 'www.example.test', 1),
          query(2, 'www.example.test', 28, true),
          query(3, 'nothing.example.test', 1),
          query(4, 'example.test', 252),
        ]),
      );
      while (bytes < 4800) await sleep(10);
      await sleep(50);
      socket.destroy();
    });
    assert.deepEqual(documents.map(line).sort(), [
      'tcp A nothing.example.test NXDOMAIN',
      'tcp A www.example.test NOERROR 192.0.2.7',
      'tcp AAAA www.example.test NOERROR 2001:db8::7',
      'tcp AXFR example.test NOERROR 127.0.0.1,192.0.2.7,2001:db8::7',
    ]);
    assert.equal(documents.find((d) => d.dns.question.type === 'AAAA')?.dns.opt?.udp_size, 1232);
    // Every record of the zone, and its SOA twice.
    assert.equal(documents.find((d) => d.dns.question.type === 'AXFR')?.dns.answers_count, 31);
  });

  it('counts a query that is sent again and again, before it is answered or after', async () => {
    const query = Buffer.from(
      '\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01',
      'latin1',
    );
    const documents = await watched(async () => {
      const socket = createSocket('udp4');
      socket.connect(port, '127.0.0.1');
      await once(socket, 'connect');
      for (let i = 0; i < 100; i++) {
        const copies = 1 + (i % 2);
        let left = copies;
        const answered = new Promise<void>((resolve) => {
          socket.on('message', () => {
            if (--left === 0) resolve();
          });
        });
        for (let n = 0; n < copies; n++) socket.send(query);
        await answered;
        socket.removeAllListeners('message');
      }
      socket.close();
    });
    const sent = documents.reduce((sum, d) => sum + 1 + (d.dns.retransmits ?? 0), 0);
    assert.equal(sent, 150);
    assert.deepEqual(new Set(documents.map(line)), new Set(['udp A www.example.test NOERROR 192.0.2.7']));
    assert.ok(documents.length >= 100, `${documents.length} documents`);
  });

  it('says so when nobody answers', async () => {
    const deaf = createSocket('udp4');
    deaf.bind(0, '127.0.0.1');
    await once(deaf, 'listening');
    const documents = await watched(async () => {
      const silent = new Resolver({ timeout: 100, tries: 2 });
      silent.setServers([`127.0.0.1:${deaf.address().port}`]);
      await assert.rejects(silent.resolve4('www.example.test'), { code: 'ETIMEOUT' });
    }, deaf.address().port).finally(() => deaf.close());
    assert.ok(documents.length > 0);
    for (const document of documents) {
      assert.equal(document.packetd.status, 'NO_RESPONSE');
      assert.equal(document.event.outcome, 'unknown');
      assert.equal(document.dns.question.name, 'www.example.test');
    }
  });

  it('loses nothing of many in flight', {
    skip: unless(has('dnsperf'), 'dnsperf is not installed'),
  }, async () => {
    const queries = join(directory, 'queries');
    writeFileSync(
      queries,
      'www.example.test A\nwww.example.test AAAA\nnothing.example.test A\n'.repeat(1000),
    );
    const documents = await watched(async () => {
      const { stdout } = spawnSync(
        'dnsperf',
        ['-s', '127.0.0.1', '-p', String(port), '-d', queries, '-n', '2', '-q', '100', '-c', '4'],
        { encoding: 'utf8' },
      );
      assert.match(stdout, /Queries completed:\s+6000 /);
    });
    const counts = new Map<string, number>();
    for (const document of documents) counts.set(line(document), (counts.get(line(document)) ?? 0) + 1);
    assert.deepEqual([...counts].sort(), [
      ['udp A nothing.example.test NXDOMAIN', 2000],
      ['udp A www.example.test NOERROR 192.0.2.7', 2000],
      ['udp AAAA www.example.test NOERROR 2001:db8::7', 2000],
    ]);
  });
});
