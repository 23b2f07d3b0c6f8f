/** packetd config: the commented reference configuration. */
import { referenceConfig } from './config/load.js';
import { UserError } from './fail.js';
import { print } from './output/print.js';

export function printConfig(command: string): void {
  if (command !== 'up' && command !== 'agent' && command !== 'collector') {
    throw new UserError(`there is no configuration of '${command}'; write up, agent or collector`);
  }
  print(referenceConfig(command));
}
