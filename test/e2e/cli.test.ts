/** The command line as a user meets it: what works, and what a mistake is told. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { sleep } from '../bench/processes.js';
import { PACKETD, packetd } from './support.js';

/** HTTP requests with their answers over TCP, as a pcap file written by hand (RFC 9293, RFC 791). */
function httpCapture(connections = 1): Buffer {
  const out: Buffer[] = [Buffer.from('d4c3b2a1020004000000000000000000ffff000065000000', 'hex')];
  let time = 0;
  let port = 40_000;
  const segment = (
    fromClient: boolean,
    sequence: number,
    acknowledgement: number,
    flags: number,
    payload = '',
  ) => {
    const body = Buffer.from(payload, 'latin1');
    const packet = Buffer.alloc(40 + body.length);
    packet[0] = 0x45;
    packet.writeUInt16BE(packet.length, 2);
    packet[8] = 64;
    packet[9] = 6;
    packet.set(fromClient ? [10, 0, 0, 1, 10, 0, 0, 2] : [10, 0, 0, 2, 10, 0, 0, 1], 12);
    packet.writeUInt16BE(fromClient ? port : 8123, 20);
    packet.writeUInt16BE(fromClient ? 8123 : port, 22);
    packet.writeUInt32BE(sequence, 24);
    packet.writeUInt32BE(acknowledgement, 28);
    packet[32] = 0x50;
    packet[33] = flags;
    packet.set(body, 40);
    const header = Buffer.alloc(16);
    time += 1000;
    header.writeUInt32LE(1_700_000_000 + Math.floor(time / 1e6), 0);
    header.writeUInt32LE(time % 1e6, 4);
    header.writeUInt32LE(packet.length, 8);
    header.writeUInt32LE(packet.length, 12);
    out.push(header, packet);
  };
  const request = 'GET /users/42?token=hunter2 HTTP/1.1\r\nHost: shop.test\r\n\r\n';
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
  for (; connections > 0; connections--, port++) {
    segment(true, 100, 0, 2);
    segment(false, 500, 101, 0x12);
    segment(true, 101, 501, 0x10);
    segment(true, 101, 501, 0x18, request);
    segment(false, 501, 101 + request.length, 0x18, answer);
  }
  return Buffer.concat(out);
}

const directory = mkdtempSync(join(tmpdir(), 'packetd-cli-'));
const capture = join(directory, 'one.pcap');
writeFileSync(capture, httpCapture());
const cut = join(directory, 'cut.pcap');
writeFileSync(cut, httpCapture().subarray(0, 20));

let configurations = 0;
function configuration(yaml: string): string {
  const path = join(directory, `${configurations++}.yaml`);
  writeFileSync(path, `${yaml}\n`);
  return path;
}
const fileConfig = configuration(`sniffer.file: ${capture}`);

describe('packetd watch', () => {
  it('prints the document of a roundtrip, the same from a file, gzip and stdin', async () => {
    const fromFile = await packetd(['watch', '--pcap-file', capture, '--json']);
    const fromStdin = await packetd(['watch', '--pcap-file', '-', '--json'], httpCapture());
    const fromGzip = await packetd(['watch', '--pcap-file', '-', '--json'], gzipSync(httpCapture()));
    assert.equal(fromFile.code, 0, fromFile.err);
    assert.equal(fromStdin.out, fromFile.out);
    assert.equal(fromGzip.out, fromFile.out);
    const lines = fromFile.out.trim().split('\n');
    assert.equal(lines.length, 1);
    const d = JSON.parse(lines[0]);
    assert.equal(d['@timestamp'], '2023-11-14T22:13:20.004000000Z');
    assert.equal(d.event.duration, 1_000_000);
    assert.equal(d.event.outcome, 'success');
    assert.deepEqual(
      [d.client.address, d.client.port, d.server.address, d.server.port],
      ['10.0.0.1', 40_000, '10.0.0.2', 8123],
    );
    assert.deepEqual([d.packetd.protocol, d.packetd.operation, d.packetd.status], ['http', 'GET', 'OK']);
    assert.equal(d.http.response.status_code, 200);
    assert.equal(d.url.path, '/users/42');
    assert.ok(!fromFile.out.includes('hunter2'));
  });

  it('prints one line of at most 80 columns on a narrow terminal, none coloured when it is a file', async () => {
    const { out } = await packetd(['watch', '--pcap-file', capture]);
    assert.match(out, /http +GET \/users\/\{id\}.* 200 /);
    assert.ok(!out.includes('\x1b'));
  });

  it('ends at --count', async () => {
    const { out } = await packetd(['watch', '--pcap-file', capture, '--json', '--count', '1']);
    assert.equal(out.trim().split('\n').length, 1);
  });

  it('ends quietly when the reader does', () => {
    const out = execFileSync('sh', [
      '-c',
      `${process.execPath} ${PACKETD} watch --pcap-file ${capture} --json | head -c 1; echo " $?"`,
    ]);
    assert.equal(out.toString(), '{ 0\n');
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`ends at ${signal} when nobody reads, and counts what was not printed`, async () => {
      const many = join(directory, 'many.pcap');
      writeFileSync(many, httpCapture(2000));
      const child = spawn(process.execPath, [PACKETD, 'watch', '--pcap-file', many, '--json', '--stats']);
      let err = '';
      child.stderr.on('data', (piece: Buffer) => {
        err += piece;
      });
      // A listener that does not read: without one, Node would read it all when the child ends.
      child.stdout.on('readable', () => {});
      await once(child.stdout, 'readable');
      await sleep(500);
      assert.equal(child.exitCode, null, 'it waits for its reader');
      const exited = once(child, 'exit');
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      assert.deepEqual(await exited, [0, null]);
      clearTimeout(timer);
      const printed = (await text(child.stdout)).split('\n').length - 1;
      const [said, stats] = err.trim().split('\n');
      const unwritten = Number(/^packetd: (\d+) roundtrips were not printed/.exec(said)?.[1]);
      assert.ok(unwritten > 0 && printed > 0);
      assert.equal(printed + unwritten, JSON.parse(stats).records);
    });
  }

  for (const command of [
    `watch --pcap-file ${capture}`,
    `watch --pcap-file ${capture} --json`,
    'config',
    'ifaces --json',
  ]) {
    it(`says that standard output has no room: ${command.split(' ')[0]}`, async () => {
      const full = openSync('/dev/full', 'w');
      const child = spawn(process.execPath, [PACKETD, ...command.split(' ')], {
        stdio: ['ignore', full, 'pipe'],
      });
      const exited = once(child, 'exit');
      closeSync(full);
      assert.equal(
        await text(child.stderr!),
        'packetd: standard output cannot be written (ENOSPC); make room there, or write elsewhere\n',
      );
      assert.deepEqual(await exited, [1, null]);
    });
  }

  it('waits for a reader that is slow', async () => {
    const out = execFileSync('sh', [
      '-c',
      `${process.execPath} ${PACKETD} watch --pcap-file ${join(directory, 'many.pcap')} --json | (sleep 1; wc -l)`,
    ]);
    assert.equal(Number(out.toString()), 2000);
  });

  for (const command of ['config collector', 'ifaces', 'version', '--help']) {
    it(`ends quietly when nobody reads: ${command}`, async () => {
      const child = spawn(process.execPath, [PACKETD, ...command.split(' ')], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child.stdout.destroy();
      let err = '';
      child.stderr.on('data', (piece: Buffer) => {
        err += piece.toString();
      });
      const [code] = await once(child, 'close');
      assert.deepEqual([code, err], [0, '']);
    });
  }

  it('writes documents to a rotated file', async () => {
    const file = join(directory, 'roundtrips.ndjson');
    await packetd(['watch', '--pcap-file', capture, '--output', 'none', '--roundtrips.file', file]);
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).packetd.protocol, 'http');
  });

  it('accounts for every byte', async () => {
    const { err } = await packetd(['watch', '--pcap-file', capture, '--output', 'none', '--stats']);
    const ledger = JSON.parse(err.trim());
    assert.equal(ledger.frames, 5);
    assert.equal(ledger.records, 1);
    assert.equal(ledger.protocols.http.roundtrips, 1);
    assert.ok(ledger.protocols.http.decodedBytes > 0);
  });

  it('says of frames that it cannot read that there are some', async () => {
    const ieee80211 = httpCapture();
    ieee80211.writeUInt32LE(105, 20);
    const { err, out, code } = await packetd(['watch', '--pcap-file', '-', '--json'], ieee80211);
    assert.deepEqual([out, code], ['', 0]);
    assert.match(
      err,
      /^packetd: standard input: 5 of 5 frames are of a link type that packetd does not read\n$/,
    );
  });

  it('watches only what the rules name', async () => {
    const other = await packetd(['watch', '--pcap-file', capture, '--json', '--proto', 'http;80']);
    assert.equal(other.out, '');
    const named = await packetd([
      'watch',
      '--pcap-file',
      capture,
      '--json',
      '--proto',
      'http;80,8123;10.0.0.2',
    ]);
    assert.equal(named.out.trim().split('\n').length, 1);
  });
});

describe('packetd up on a file', () => {
  const file = join(directory, 'up.pcap');
  writeFileSync(file, httpCapture(2000));
  const config = (console: boolean) =>
    configuration(
      `sniffer.file: ${file}\nserver.enabled: false\nexporter.roundtrips: { enabled: ${console}, console: ${console} }`,
    );
  for (const [title, path, line] of [
    ['the list', config(false), /http +GET/],
    ['the documents', config(true), /^\{"@timestamp"/],
  ] as const) {
    it(`goes on when the reader of ${title} does not`, async () => {
      const child = spawn('sh', ['-c', `${process.execPath} ${PACKETD} up --config ${path} | head -n 1`]);
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
      assert.match(out, line);
      assert.equal(err, '');
    });
  }

  it('goes on when nobody can be told anything', async () => {
    const full = openSync('/dev/full', 'w');
    const documents = join(directory, 'told-nobody.ndjson');
    const config = configuration(
      `sniffer.file: ${file}\nserver.enabled: false\nexporter.roundtrips: { enabled: true, filename: ${documents} }`,
    );
    const child = spawn(process.execPath, [PACKETD, 'up', '--config', config], {
      stdio: ['ignore', full, full],
    });
    closeSync(full);
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.equal(readFileSync(documents, 'utf8').split('\n').length - 1, 2000);
  });

  it('ends though nobody reads its documents, and counts them', async () => {
    const child = spawn(process.execPath, [PACKETD, 'up', '--config', config(true)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    // A listener that does not read: without one, Node would read it all when the child ends.
    child.stdout.on('readable', () => {});
    const err = await text(child.stderr);
    assert.deepEqual(await exited, [0, null]);
    assert.match(err, /"roundtrips":\d+,"msg":"the outputs did not take everything before the end"/);
    const printed = (await text(child.stdout)).split('\n').length - 1;
    assert.ok(printed > 0 && printed < 2000);
  });
});

describe('a mistake is told in one sentence', () => {
  const cases: [name: string, args: string[], expected: RegExp][] = [
    ['a missing file', ['watch', '--pcap-file', join(directory, 'none.pcap')], /none\.pcap/],
    ['a file that is no capture', ['watch', '--pcap-file', PACKETD], /packetd\.js/],
    ['an unknown protocol', ['watch', '--proto', 'htpp;80'], /'htpp' is no protocol/],
    ['a bad port', ['watch', '--proto', 'http;99999'], /'99999' is no port/],
    ['a file for an agent', ['agent', '--config', fileConfig], /sniffer\.file is read by packetd up only/],
    [
      'interfaces beside a file',
      ['up', '--ifaces', 'lo', '--config', fileConfig],
      /option --ifaces is for.*sniffer\.file/,
    ],
    [
      'a demonstration beside a file',
      ['up', '--demo', '--config', fileConfig],
      /option --demo is for.*sniffer\.file/,
    ],
    ['no server', ['agent', '--config', configuration('nats.servers: []')], /nats\.servers is empty; write/],
    ...['http://a:4222', 'nats://a:99999', 'nats://u:p@a b', 'a:b'].map(
      (server): [string, string[], RegExp] => [
        `a server that is none: ${server}`,
        ['collector', '--config', configuration(`nats.servers: ['${server}']`)],
        /^packetd: nats\.servers has what is no NATS server; write nats:\/\/host:4222 or tls:\/\/host:4222\n$/,
      ],
    ),
    [
      'documents that lead nowhere',
      ['up', '--config', configuration('exporter.roundtrips.enabled: true')],
      /exporter\.roundtrips is enabled and leads nowhere; set its console, filename/,
    ],
    ...['metrics', 'traces'].flatMap((name) =>
      (
        [
          ['/nowhere.pem', /\.ca: cannot read \/nowhere\.pem \(ENOENT\)/],
          ['/etc/hostname', /\.ca: \/etc\/hostname holds no certificate; it is to be PEM/],
        ] as const
      ).map(([path, expected]): [string, string[], RegExp] => [
        `a CA that is none for ${name}: ${path}`,
        ['up', '--config', configuration(`exporter.${name}: { enabled: true, ca: ${path} }`)],
        expected,
      ]),
    ),
    [
      'two ways to log in',
      ['agent', '--config', configuration('nats: { user: a, password: b, token: c }')],
      /nats\.user and nats\.token are different ways to log in/,
    ],
    [
      'a password of nobody',
      ['agent', '--config', configuration('nats.password: b')],
      /nats\.password needs nats\.user/,
    ],
    [
      'two ways to log in at Elasticsearch',
      [
        'up',
        '--config',
        configuration(
          'exporter.roundtrips: { enabled: true, elasticsearch: { servers: ["http://a"], apiKey: a, username: b } }',
        ),
      ],
      /elasticsearch\.apiKey and .*elasticsearch\.username are different/,
    ],
    [
      'a log that cannot be written',
      ['up', '--config', configuration('logger.filename: /dev/null/log')],
      /logger\.filename: cannot write '\/dev\/null\/log' \(E/,
    ],
    [
      'a disk without room for documents',
      ['watch', '--pcap-file', capture, '--output', 'none', '--roundtrips.file', '/dev/full'],
      /cannot write \/dev\/full \(ENOSPC\); make room there$/m,
    ],
    ['a missing interface', ['watch', '--ifaces', 'nothere0'], /nothere0/],
    ['a bad duration', ['watch', '--duration', 'soon', '--pcap-file', capture], /duration 'soon'/],
    ['a duration of nothing', ['watch', '--duration', '0', '--pcap-file', capture], /the least is 1ms/],
    ['a duration beyond timers', ['watch', '--duration', '999999h', '--pcap-file', capture], /the most 596h/],
    ['no workers', ['watch', '--workers', '0'], /--workers: '0' is not a whole number from 1 to 64/],
    ['workers by the thousand', ['watch', '--workers', '1000'], /'1000' is not a whole number from 1 to 64/],
    ['a count that is none', ['watch', '--count', '-1', '--pcap-file', capture], /--count: '-1'/],
    ['a count of nothing', ['watch', '--count', '0', '--pcap-file', capture], /--count: '0'/],
    [
      'a file cut inside its header',
      ['watch', '--pcap-file', cut],
      /cut\.pcap is not a capture: it ends inside its file header/,
    ],
    ['an empty path', ['watch', '--pcap-file', ''], /option --pcap-file is empty/],
    ['an empty path to write', ['watch', '--roundtrips.file', ''], /option --roundtrips\.file is empty/],
    ['an empty configuration', ['up', '--config', ''], /option --config is empty/],
    [
      'two formats',
      ['watch', '--json', '--output', 'text', '--pcap-file', capture],
      /--json and --output text contradict/,
    ],
    ...[['--ifaces', 'lo'], ['--engine', 'cap'], ['--workers', '2'], ['--no-promisc'], ['--own']].map(
      (option): [string, string[], RegExp] => [
        `${option[0]} with a file`,
        ['watch', '--pcap-file', capture, ...option],
        new RegExp(`option ${option[0]} is for watching interfaces, option --pcap-file reads a file`),
      ],
    ),
    ...['roundtrips.size', 'roundtrips.backups'].map((name): [string, string[], RegExp] => [
      `--${name} without a file`,
      ['watch', '--pcap-file', capture, `--${name}`, '5'],
      new RegExp(`--${name} needs --roundtrips\\.file`),
    ]),
    [
      'several threads of an engine that has one',
      ['watch', '--ifaces', 'lo', '--engine', 'cap', '--workers', '2'],
      /the engine cap has one thread, not 2; leave workers at 1/,
    ],
    [
      'an engine that is always promiscuous',
      ['watch', '--ifaces', 'lo', '--engine', 'cap', '--no-promisc'],
      /the engine cap is always promiscuous; leave no-promisc out/,
    ],
    ['an unknown engine', ['watch', '--engine', 'pfring'], /^packetd: option '--engine/],
  ];
  for (const [name, args, expected] of cases) {
    it(name, async () => {
      const { err, code, out } = await packetd(args);
      assert.notEqual(code, 0);
      assert.match(err, expected);
      assert.equal(err.trim().split('\n').length, 1, err);
      assert.equal(out, '');
    });
  }
});
