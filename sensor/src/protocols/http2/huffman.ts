/** Huffman decoding of string literals (RFC 7541 section 5.2), a byte at a time. */
import { HUFFMAN_LENGTHS } from './tables.js';

const END_OF_STRING = 256;

/**
 * Per state and byte: the next state (8 bits), how many symbols came out (2 bits from 8), and those
 * (8 bits each from 16). A state is a node of the code tree; there are 256 of them. NONE is an error.
 */
let transitions: Uint32Array | null = null;
/** States in which a string may end: the padding is the beginning of the end-of-string symbol, all ones. */
let accepting: Uint8Array | null = null;
const NONE = 0xffffffff;

/**
 * Decodes [start, end) to `out` from `at`, where there is room for 8/5 of its length. Answers the position
 * behind what was written, or -1 where the code or its padding is wrong.
 */
export function decodeHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  if (transitions === null) build();
  const table = transitions!;
  let state = 0;
  let to = at;
  for (let i = start; i < end; i++) {
    const step = table[state * 256 + bytes[i]];
    if (step === NONE) return -1;
    state = step & 0xff;
    const symbols = (step >>> 8) & 3;
    if (symbols > 0) out[to++] = (step >>> 16) & 0xff;
    if (symbols > 1) out[to++] = step >>> 24;
  }
  return accepting![state] === 1 ? to : -1;
}

interface Node {
  readonly index: number;
  readonly children: [Node | number | null, Node | number | null];
}

function build(): void {
  const nodes: Node[] = [];
  const make = (): Node => {
    const node: Node = { index: nodes.length, children: [null, null] };
    nodes.push(node);
    return node;
  };
  const root = make();
  const order = HUFFMAN_LENGTHS.map((length, symbol) => ({ length, symbol })).sort(
    (a, b) => a.length - b.length || a.symbol - b.symbol,
  );
  let code = 0;
  let before = order[0].length;
  for (const { length, symbol } of order) {
    code *= 2 ** (length - before);
    before = length;
    let node = root;
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = (Math.floor(code / 2 ** bit) & 1) as 0 | 1;
      if (bit === 0) node.children[side] = symbol;
      else {
        const next = (node.children[side] as Node | null) ?? make();
        node.children[side] = next;
        node = next;
      }
    }
    code++;
  }
  transitions = new Uint32Array(nodes.length * 256);
  for (const start of nodes) {
    for (let byte = 0; byte < 256; byte++) transitions[start.index * 256 + byte] = walk(root, start, byte);
  }
  accepting = new Uint8Array(nodes.length);
  let padding: Node | number | null = root;
  for (let bits = 0; bits < 8; bits++) {
    accepting[(padding as Node).index] = 1;
    padding = (padding as Node).children[1];
  }
}

function walk(root: Node, start: Node, byte: number): number {
  let node = start;
  let symbols = 0;
  let first = 0;
  let second = 0;
  for (let bit = 7; bit >= 0; bit--) {
    const next = node.children[((byte >> bit) & 1) as 0 | 1];
    if (next === null || next === END_OF_STRING) return NONE;
    if (typeof next !== 'number') {
      node = next;
      continue;
    }
    if (symbols++ === 0) first = next;
    else second = next;
    node = root;
  }
  return ((second << 24) | (first << 16) | (symbols << 8) | node.index) >>> 0;
}
