/** Names of topics by their ids (KIP-516), learned from the responses of any connection. */

/** Topics remembered; the oldest goes first. */
const MAX_TOPICS = 16_384;
/** Longest legal name of a topic. */
export const MAX_TOPIC_BYTES = 249;

interface Topic {
  readonly id: Uint8Array;
  readonly name: Uint8Array;
}

/** By a hash of the id; ids are random, so few share one, and the later of two is kept. */
const topics = new Map<number, Topic>();

export function learnTopic(
  ids: Uint8Array,
  idAt: number,
  names: Uint8Array,
  start: number,
  end: number,
): void {
  if (end === start || end - start > MAX_TOPIC_BYTES || isZero(ids, idAt)) return;
  const hash = hashId(ids, idAt);
  const known = topics.get(hash);
  if (known !== undefined && isId(known.id, ids, idAt) && isName(known.name, names, start, end)) return;
  if (known === undefined && topics.size >= MAX_TOPICS) {
    for (const oldest of topics.keys()) {
      topics.delete(oldest);
      break;
    }
  }
  topics.set(hash, { id: ids.slice(idAt, idAt + 16), name: names.slice(start, end) });
}

/** Name of the topic with the id at `at`, or null. */
export function topicName(bytes: Uint8Array, at: number): Uint8Array | null {
  const topic = topics.get(hashId(bytes, at));
  return topic !== undefined && isId(topic.id, bytes, at) ? topic.name : null;
}

/** 30 bits of the id, which stay a small integer. */
function hashId(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] << 22) ^
      (bytes[at + 3] << 14) ^
      (bytes[at + 9] << 7) ^
      bytes[at + 11] ^
      (bytes[at + 13] << 18) ^
      (bytes[at + 15] << 10)) &
    0x3fffffff
  );
}

export function isZero(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[at + i] !== 0) return false;
  return true;
}

function isId(id: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 16; i++) if (id[i] !== bytes[at + i]) return false;
  return true;
}

function isName(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}
