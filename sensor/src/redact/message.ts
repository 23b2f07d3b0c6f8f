/** Error messages of servers without the values that they repeat. */

const MAX_MESSAGE_BYTES = 512;
const scratch = new Uint8Array(MAX_MESSAGE_BYTES);
const [DOUBLE_QUOTE, APOSTROPHE, BACKSLASH, OPEN, CLOSE, UNKNOWN] = Buffer.from('"\'\\{}?');

/**
 * The message with `?` for what is in quotes or braces: there servers repeat literals, keys and values
 * (`duplicate key value violates unique constraint ?`). An open quote hides the rest. At most 512 bytes,
 * borrowed until the next call.
 */
export function sanitiseMessage(bytes: Uint8Array, start: number, end: number): Uint8Array {
  let length = 0;
  let depth = 0;
  let quote = 0;
  for (let i = start; i < end && length < MAX_MESSAGE_BYTES; i++) {
    const byte = bytes[i];
    if (quote !== 0) {
      if (byte === BACKSLASH) i++;
      else if (byte === quote) {
        // A quote that is doubled is part of the value.
        if (i + 1 < end && bytes[i + 1] === quote) i++;
        else quote = 0;
      }
      continue;
    }
    // An apostrophe inside of a word is none.
    const opens = byte === DOUBLE_QUOTE || (byte === APOSTROPHE && (i === start || !isLetter(bytes[i - 1])));
    if (opens) {
      quote = byte;
      if (depth === 0) scratch[length++] = UNKNOWN;
    } else if (byte === OPEN) {
      if (depth++ === 0) scratch[length++] = UNKNOWN;
    } else if (byte === CLOSE && depth > 0) {
      depth--;
    } else if (depth === 0) {
      scratch[length++] = Math.max(byte, 0x20);
    }
  }
  return scratch.subarray(0, length);
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}
