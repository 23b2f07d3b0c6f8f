/** Options of `packetd watch` that cannot be meant together. */
import type { Command } from 'commander';
import { UserError } from './fail.js';

/** What says how to capture, by commander's name for it. */
const OF_A_LIVE_CAPTURE = {
  ifaces: '--ifaces',
  engine: '--engine',
  workers: '--workers',
  promisc: '--no-promisc',
  own: '--own',
} as const;

const OF_A_ROTATED_FILE = ['roundtrips.size', 'roundtrips.backups'] as const;

/** Throws UserError for an option that another one makes meaningless. */
export function refuseContradictions(command: Command): void {
  const given = (name: string) => command.getOptionValueSource(name) === 'cli';
  const { output } = command.opts<{ output: string }>();
  if (given('json') && given('output') && output !== 'json') {
    throw new UserError(`options --json and --output ${output} contradict each other; leave one out`);
  }
  if (given('pcapFile')) {
    for (const [name, option] of Object.entries(OF_A_LIVE_CAPTURE)) {
      if (!given(name)) continue;
      throw new UserError(
        `option ${option} is for watching interfaces, option --pcap-file reads a file; leave one out`,
      );
    }
  }
  for (const name of OF_A_ROTATED_FILE) {
    if (!given(name) || given('roundtrips.file')) continue;
    throw new UserError(`option --${name} needs --roundtrips.file, which names the file that is rotated`);
  }
}
