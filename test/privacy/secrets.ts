/** Marked secrets, and the search for them in whatever comes out. */
import { createHash } from 'node:crypto';
import type { Message } from '../messages/conversation.js';

/** Characters of a secret that in a row betray it, anywhere and in any of its forms. */
const FRAGMENT = 8;
/** The same of hexadecimal forms and of numbers, which others have in common by chance. */
const LONG_FRAGMENT = 13;

/** One conversation of a protocol with the secrets that were said in it. */
export interface Conversation {
  readonly protocol: string;
  readonly name: string;
  readonly serverPort: number;
  readonly messages: readonly Message[];
  readonly secrets: Secrets;
  /** Roundtrips of the whole conversation. */
  readonly records: number;
  /** What was compressed or encoded on its way, as it was before. */
  readonly plain?: readonly Uint8Array[];
}

export class Secrets {
  readonly values = new Map<string, string>();

  constructor(private readonly scope: string) {}

  /** A word of letters and digits that nothing else has. */
  word(name: string): string {
    const digest = createHash('sha256').update(`${this.scope} ${name}`).digest();
    let word = 'k';
    for (const byte of digest.subarray(0, 19)) word += 'bcdfghjkmnpqrstvwxz23456789'[byte % 27];
    this.values.set(name, word);
    return word;
  }

  /** A number of 16 digits. */
  number(name: string): string {
    const digest = createHash('sha256').update(`${this.scope} ${name}`).digest();
    const digits = `4${digest.readBigUInt64BE().toString().padStart(20, '7').slice(-15)}`;
    this.values.set(name, digits);
    return digits;
  }
}

/** Knows every fragment of the secrets in all the forms that a program may give them. */
export class Search {
  private readonly short = new Map<string, string>();
  private readonly long = new Map<string, string>();

  constructor(secrets: Iterable<readonly [name: string, value: string]>) {
    for (const [name, value] of secrets) {
      const bytes = Buffer.from(value, 'latin1');
      if (/^\d+$/.test(value)) add(this.long, LONG_FRAGMENT, value, name);
      else {
        add(this.short, FRAGMENT, value, name);
        for (let shift = 0; shift < 3; shift++) {
          const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
          // The first and last characters depend on what is beside it.
          add(this.short, FRAGMENT, encoded.slice(shift + 2, -4), `${name} in base64`);
        }
      }
      add(this.long, LONG_FRAGMENT, bytes.toString('hex'), `${name} in hexadecimal`);
    }
  }

  /** Names of the secrets that are in `text`, each with what is around it. */
  in(text: string | Uint8Array): Map<string, string> {
    const lower = (typeof text === 'string' ? text : Buffer.from(text).toString('latin1')).toLowerCase();
    const found = new Map<string, string>();
    for (let at = 0; at + FRAGMENT <= lower.length; at++) {
      const name =
        this.short.get(lower.slice(at, at + FRAGMENT)) ?? this.long.get(lower.slice(at, at + LONG_FRAGMENT));
      if (name !== undefined && !found.has(name))
        found.set(name, lower.slice(Math.max(0, at - 200), at + 60).replaceAll(/[^ -~]/g, '.'));
    }
    return found;
  }
}

function add(fragments: Map<string, string>, size: number, text: string, name: string): void {
  const lower = text.toLowerCase();
  for (let at = 0; at + size <= lower.length; at++) fragments.set(lower.slice(at, at + size), name);
}
