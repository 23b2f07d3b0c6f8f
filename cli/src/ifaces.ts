/** packetd ifaces: what can be watched. */
import { listInterfaces } from '@packetd/sensor/capture/interfaces';
import { print } from './output/print.js';

export function ifaces(options: { json?: boolean }): void {
  const list = listInterfaces();
  if (options.json) {
    print(`${JSON.stringify(list)}\n`);
    return;
  }
  const width = Math.max(4, ...list.map((i) => i.name.length));
  for (const i of list) {
    print(`${i.name.padEnd(width)}  ${i.up ? 'up  ' : 'down'}  ${i.addresses.join(' ')}\n`);
  }
}
