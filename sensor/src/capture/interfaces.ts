/** The network interfaces of this host, and which of them a pattern names. */

import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { CaptureError } from './engine.js';

export interface InterfaceInfo {
  name: string;
  /** ifindex; 0 where the platform does not tell. */
  index: number;
  /** IPv4 and IPv6 addresses, without prefix length. */
  addresses: string[];
  up: boolean;
  loopback: boolean;
  /** Bytes; 0 where the platform does not tell. */
  mtu: number;
}

/** include/uapi/linux/if.h. */
const IFF_UP = 1;
const IFF_LOOPBACK = 8;
const SYS_CLASS_NET = '/sys/class/net';

/** Every interface by index: from /sys/class/net on Linux, elsewhere those that have an address. */
export function listInterfaces(): InterfaceInfo[] {
  const addressesOf = networkInterfaces();
  const names = sysNames();
  const interfaces = names === null ? Object.keys(addressesOf).map(fromAddresses) : names.flatMap(fromSys);
  for (const one of interfaces) one.addresses = (addressesOf[one.name] ?? []).map(({ address }) => address);
  return interfaces.sort((a, b) => a.index - b.index);

  function fromAddresses(name: string): InterfaceInfo {
    const loopback = addressesOf[name]?.some(({ internal }) => internal) ?? false;
    return { name, index: 0, addresses: [], up: true, loopback, mtu: 0 };
  }
}

/**
 * The interfaces that a pattern names: 'any' (all of them), a name, a comma list of names, or a
 * regular expression that matches whole names. Throws `NO_INTERFACE` where there is none.
 */
export function selectInterfaces(pattern: string, interfaces = listInterfaces()): InterfaceInfo[] {
  if (pattern === 'any') return interfaces;
  const names = pattern.split(',').map((name) => name.trim());
  const found = interfaces.filter(({ name }) => names.includes(name));
  const missing = names.filter((name) => !found.some((one) => one.name === name));
  if (missing.length === 0) return found;
  const expression = toExpression(pattern);
  const matched = expression === null ? [] : interfaces.filter(({ name }) => expression.test(name));
  if (matched.length > 0) return matched;
  const known = interfaces.map(describe).join(', ') || 'none';
  const what =
    names.length === 1
      ? `'${pattern}' matches no interface`
      : `there is no interface '${missing.join("', '")}'`;
  throw new CaptureError('NO_INTERFACE', `${what}; there are: ${known}`);
}

/** Whether a name is of the pattern, which at the start named `selected`: whatever comes later too. */
export function matcherOf(pattern: string, selected: readonly InterfaceInfo[]): (name: string) => boolean {
  const names = pattern.split(',').map((name) => name.trim());
  if (selected.every(({ name }) => names.includes(name))) return (name) => names.includes(name);
  const expression = toExpression(pattern);
  return (name) => expression?.test(name) ?? false;
}

/** ifindex by name of the interfaces that are there and match; null where the platform does not tell. */
export function indicesOf(matches: (name: string) => boolean): Map<string, number> | null {
  const names = sysNames();
  if (names === null) return null;
  const indices = new Map<string, number>();
  for (const name of names) {
    if (!matches(name)) continue;
    const index = sysNumber(name, 'ifindex');
    if (index !== null) indices.set(name, index);
  }
  return indices;
}

function describe({ name, up, addresses }: InterfaceInfo): string {
  const details = [...(up ? [] : ['down']), ...addresses].join(' ');
  return details === '' ? name : `${name} (${details})`;
}

function toExpression(pattern: string): RegExp | null {
  try {
    return new RegExp(`^(?:${pattern})$`);
  } catch {
    return null;
  }
}

/** Null where there is no /sys, as on macOS and Windows. */
function sysNames(): string[] | null {
  try {
    return readdirSync(SYS_CLASS_NET);
  } catch {
    return null;
  }
}

/** None for what is no interface (bonding_masters) or went away meanwhile. */
function fromSys(name: string): InterfaceInfo[] {
  const flags = sysNumber(name, 'flags');
  const index = sysNumber(name, 'ifindex');
  const mtu = sysNumber(name, 'mtu');
  if (flags === null || index === null || mtu === null) return [];
  return [
    { name, index, addresses: [], up: (flags & IFF_UP) !== 0, loopback: (flags & IFF_LOOPBACK) !== 0, mtu },
  ];
}

function sysNumber(name: string, file: string): number | null {
  try {
    return Number(readFileSync(`${SYS_CLASS_NET}/${name}/${file}`, 'latin1').trim());
  } catch {
    return null;
  }
}
