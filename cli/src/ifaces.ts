/** packetd ifaces: what can be watched. */
import { listInterfaces } from '@packetd/sensor/capture/interfaces';

export function ifaces(options: { json?: boolean }): void {
  const list = listInterfaces();
  if (options.json) {
    process.stdout.write(`${JSON.stringify(list)}\n`);
    return;
  }
  const width = Math.max(4, ...list.map((i) => i.name.length));
  for (const i of list) {
    process.stdout.write(`${i.name.padEnd(width)}  ${i.up ? 'up  ' : 'down'}  ${i.addresses.join(' ')}\n`);
  }
}
