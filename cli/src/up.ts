/** packetd up: sensor and everything that shows what it sees, in one process. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { DocumentWriter } from '@packetd/proto/telemetry/document';
import { CaptureError } from '@packetd/sensor/capture/engine';
import type { Ledger } from '@packetd/sensor/ledger';
import { LiveCapture } from '@packetd/sensor/live';
import type { BatchOutput } from '@packetd/sensor/protocols/records';
import type { Rule } from '@packetd/sensor/rules';
import { type Config, loadConfig } from './config/load.js';
import { fail } from './fail.js';
import { eachRecord, RECORD } from './output/batch.js';
import { textLines } from './output/text.js';
import { TailServer } from './server/server.js';
import { Tail } from './server/tail.js';

export interface UpOptions {
  config?: string;
  ifaces?: string;
  demo?: boolean;
}

export async function up(options: UpOptions): Promise<void> {
  const overrides = options.ifaces === undefined ? {} : { 'sniffer.ifaces': options.ifaces };
  const config = loadConfig(options.config, process.env, overrides);
  const say = (message: string) => process.stderr.write(`packetd: ${message}\n`);
  const tail = new Tail();
  const output = liveOutput(tail);

  let ledger: () => Ledger | null = () => null;
  const server = new TailServer(tail, () => ledger());
  const address = config.get<string>('server.address');
  if (config.get<boolean>('server.enabled')) await server.listen(address);

  const capture = new LiveCapture(liveOptions(config), output, say);
  try {
    await capture.start();
  } catch (error) {
    const mayNot = error instanceof CaptureError && error.code === 'NO_PERMISSION';
    if (!options.demo || !mayNot) throw error;
    say(`${(error as Error).message}; replaying a bundled capture instead`);
    await replay(output, (l) => {
      ledger = () => l;
    });
    await waitForEnd();
    server.close();
    process.exit(0);
  }
  ledger = () => capture.ledger();
  if (config.get<boolean>('server.enabled')) capture.ownPorts.add(server.port);
  say(`watching ${capture.interfaces.map((i) => i.name).join(', ')}; Ctrl-C ends`);
  if (config.get<boolean>('server.enabled')) say(`page, /watch and /metrics on http://${address}`);
  const demo = options.demo ? fork(new URL('./demo-traffic.js', import.meta.url)) : null;
  capture.failed.catch(fail);
  await waitForEnd();
  demo?.kill();
  const final = await capture.stop();
  server.close();
  say(
    `${final.report().records} roundtrips of ${final.report().frames} frames, ${final.report().kernelDropped} dropped`,
  );
  process.exit(0);
}

function liveOptions(config: Config) {
  const version = config.get<string>('sniffer.ipVersion');
  return {
    interfaces: config.get<string>('sniffer.ifaces'),
    engine: config.get<'afpacket' | 'cap'>('sniffer.engine'),
    promiscuous: !config.get<boolean>('sniffer.noPromisc'),
    workers: config.get<number>('sniffer.workers'),
    blockCount: config.get<number>('sniffer.blockNum'),
    rules:
      config.get<Rule[]>('sniffer.protocols.rules').length === 0
        ? null
        : config.get<Rule[]>('sniffer.protocols.rules'),
    ipVersion: version === 'v4' ? 4 : version === 'v6' ? 6 : 0,
    decoder: {
      headers: config.get<boolean>('controller.decoder.headers'),
      bodyBytes: config.get<number>('controller.decoder.bodyBytes'),
      keys: config.get<boolean>('controller.decoder.keys'),
      maxPending: config.get<number>('controller.decoder.maxPending'),
      datagramTimeoutNs: config.get<number>('controller.decoder.datagramTimeout') * 1e6,
      multicastDns: config.get<boolean>('controller.decoder.multicastDns'),
    },
    tcp: { idleNs: config.get<number>('controller.connExpired') * 1e6 },
    skipOwn: true,
  };
}

/** The live list in the terminal, and the tail that the server shows. */
function liveOutput(tail: Tail): BatchOutput {
  const lines = textLines((bytes, length) => {
    process.stdout.write(bytes.slice(0, length));
  });
  const documents = new DocumentWriter();
  const json = new ByteBuffer(64 << 10);
  return {
    batch(bytes, length) {
      eachRecord(bytes, length, RECORD, (start, end) => {
        lines.record(bytes, start, end);
        json.length = 0;
        if (documents.write(bytes, start, end, json)) tail.add(json.bytes, json.length);
      });
      lines.flush();
    },
  };
}

async function replay(output: BatchOutput, done: (ledger: Ledger) => void): Promise<void> {
  const { decodeFile } = await import('@packetd/sensor/offline');
  done(await decodeFile(fileURLToPath(new URL('../demo/demo.pcap', import.meta.url)), output));
}

async function waitForEnd(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
}
