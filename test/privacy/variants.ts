/** The ways in which a capture may have a conversation. */

import { random } from '../corpus/corpus.js';
import { CaptureBuilder, type Shape } from '../messages/conversation.js';
import type { Conversation } from './secrets.js';

export interface Variant extends Omit<Shape, 'serverPort'> {
  readonly name: string;
}

/** Random losses: runs, share of segments and their size. */
const RANDOM_RUNS = 8;
const RANDOM_SHARE = 0.1;
const RANDOM_BYTES = 7;

export const WHOLE: Variant = { name: 'whole' };

/**
 * Whole; in single bytes; cut right before every secret and in its midst, so that each begins a segment:
 * joined at every such segment, and with each of them lost; in pieces of 7 bytes of which a tenth is lost.
 */
export function variantsOf(conversation: Conversation): Variant[] {
  const cuts = beforeSecrets(conversation);
  const segments = new CaptureBuilder().add(conversation.messages, { serverPort: 1, cuts }).segments;
  const variants: Variant[] = [
    WHOLE,
    { name: 'in single bytes', cuts: every(1) },
    { name: 'cut at the secrets', cuts },
    { name: 'whole, never closed', fin: false },
  ];
  for (let first = 0; first < segments; first++) {
    const keep = (segment: number) => segment >= first;
    variants.push({ name: `joined at segment ${first}`, cuts, keep, handshake: false });
    variants.push({ name: `without segment ${first}`, cuts, keep: (segment) => segment !== first });
    variants.push({
      name: `of segment ${first} the end`,
      cuts,
      keep: (segment) => segment <= first,
      fin: false,
    });
  }
  for (let seed = 1; seed <= RANDOM_RUNS; seed++) {
    const next = random(seed * 7919);
    const kept = new Map<number, boolean>();
    const keep = (segment: number) => {
      if (!kept.has(segment)) kept.set(segment, next() >= RANDOM_SHARE);
      return kept.get(segment)!;
    };
    variants.push({ name: `a tenth lost, seed ${seed}`, cuts: every(RANDOM_BYTES), keep });
  }
  return variants;
}

const every = (bytes: number) =>
  function* (message: Uint8Array): Generator<number> {
    for (let at = bytes; at < message.length; at += bytes) yield at;
  };

/** Cuts before each secret in a message, and behind its first characters. */
function beforeSecrets({ secrets }: Conversation): NonNullable<Shape['cuts']> {
  const values = [...secrets.values.values()].flatMap((value) => [
    Buffer.from(value, 'latin1'),
    Buffer.from(value.slice(4), 'latin1'),
  ]);
  return (message) => {
    const bytes = Buffer.from(message);
    const at = values.flatMap((value) => bytes.indexOf(value)).filter((position) => position > 0);
    return [...new Set(at)].sort((a, b) => a - b);
  };
}
