/** Rules: `protocol;port,port…[;host]`, which say what is watched instead of detection. */
import { isIP } from 'node:net';
import { isProtocolName, PROTOCOL_NAMES, type ProtocolName } from './protocols/registry.js';

export interface Rule {
  readonly protocol: ProtocolName;
  readonly ports: readonly number[];
  /** Address of either side; empty is any. */
  readonly host: string;
}

/** A rule that cannot be read; the message names it and shows a right one. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
}

/** Reads one rule. Throws RuleError. */
export function parseRule(text: string): Rule {
  const fail = (why: string): never => {
    throw new RuleError(
      `rule '${text}': ${why}; a rule is 'protocol;port,port[;host]', for example 'http;80,8080'`,
    );
  };
  const parts = text.split(';').map((part) => part.trim());
  if (parts.length < 2 || parts.length > 3) return fail('it has no ports');
  const [protocol, list, host = ''] = parts;
  if (!isProtocolName(protocol)) {
    return fail(`'${protocol}' is no protocol (there are ${[...PROTOCOL_NAMES].sort().join(', ')})`);
  }
  const ports = list.split(',').map((port) => {
    if (!/^\d{1,5}$/.test(port.trim()) || Number(port) < 1 || Number(port) > 65_535)
      return fail(`'${port}' is no port`);
    return Number(port);
  });
  if (host !== '' && isIP(host) === 0) return fail(`'${host}' is no IP address`);
  return { protocol, ports, host };
}
