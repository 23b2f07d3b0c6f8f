/** The command line: what there is, and what each option means. The work is in the files it imports on demand. */
import { Command, Option } from 'commander';
import { fail, UserError } from './fail.js';
import { MAX_WORKERS } from './limits.js';
import { print } from './output/print.js';
import { refuseContradictions } from './together.js';
import { VERSION } from './version.js';

const collect = (value: string, before: string[]) => [...before, value];
const whole =
  (name: string, least: number, most = Number.MAX_SAFE_INTEGER) =>
  (value: string) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
    return fail(new UserError(`option ${name}: '${value}' is not a whole number ${range}`));
  };

const path = (name: string) => (value: string) =>
  value !== '' ? value : fail(new UserError(`option ${name} is empty; give the path of a file`));

const program = new Command('packetd')
  .description('Watches network traffic and pairs every application request with its response.')
  .version(VERSION, '-V, --version')
  .showSuggestionAfterError()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'packetd: ')) });

program
  .command('watch')
  .description('print roundtrips as they happen, or those of a capture file')
  .option('--ifaces <names>', "'any', a name, a comma list or a regular expression", 'any')
  .option(
    '--pcap-file <file>',
    "read a pcap or pcapng file (also gzipped; '-' is stdin) instead of an interface",
    path('--pcap-file'),
  )
  .option(
    '--proto <rule>',
    "only this: 'protocol;port,port[;host]' (repeatable); default: detect all",
    collect,
    [],
  )
  .addOption(new Option('--ipv <version>', 'only this IP version').choices(['v4', 'v6']))
  .option('--no-promisc', 'leave the interfaces out of promiscuous mode')
  .addOption(new Option('--engine <engine>', 'how to capture').choices(['afpacket', 'cap']))
  .option('--workers <n>', 'threads that share each interface', whole('--workers', 1, MAX_WORKERS), 1)
  .addOption(
    new Option('--output <format>', 'what to print')
      .choices(['text', 'json', 'records', 'none'])
      .default('text'),
  )
  .option('--json', 'short for --output json')
  .option('--roundtrips.file <file>', 'write documents to this file, rotated', path('--roundtrips.file'))
  .option('--roundtrips.size <MB>', 'size at which the file is rotated', whole('--roundtrips.size', 1), 100)
  .option('--roundtrips.backups <n>', 'rotated files to keep', whole('--roundtrips.backups', 0), 10)
  .option('--count <n>', 'end after this many roundtrips', whole('--count', 1))
  .option('--duration <time>', 'end after this time: 30s, 5m, 1h')
  .option('--stats', 'print the ledger as one JSON object on stderr at the end')
  .option('--own', "show packetd's own connections too")
  .action(async (options, command) => {
    refuseContradictions(command);
    await (await import('./watch.js')).watch(options);
  });

program
  .command('up')
  .description('capture on this machine, show roundtrips here and on a web page')
  .option('--config <file>', 'configuration (packetd config prints one)', path('--config'))
  .option('--ifaces <names>', "'any', a name, a comma list or a regular expression")
  .option('--demo', 'also make some traffic on loopback')
  .option('--quiet', 'no live list in the terminal')
  .action(async (options) => (await import('./up.js')).up(options));

program
  .command('agent')
  .description('capture on this machine and publish on NATS JetStream')
  .option('--config <file>', 'configuration (packetd config agent prints one)', path('--config'))
  .action(async (options) => (await import('./agent.js')).agent(options));

program
  .command('collector')
  .description('consume from NATS JetStream and write metrics, traces and documents')
  .option('--config <file>', 'configuration (packetd config collector prints one)', path('--config'))
  .action(async (options) => (await import('./collector.js')).collector(options));

program
  .command('config [command]')
  .description('print the reference configuration of up, agent or collector')
  .action(async (command = 'up') => (await import('./print-config.js')).printConfig(command));

program
  .command('ifaces')
  .description('list the interfaces that can be watched')
  .option('--json', 'as a JSON array')
  .action(async (options) => (await import('./ifaces.js')).ifaces(options));

program
  .command('version')
  .description('print the version')
  .action(() => {
    print(`packetd ${VERSION}\n`);
  });

await program.parseAsync().catch(fail);
