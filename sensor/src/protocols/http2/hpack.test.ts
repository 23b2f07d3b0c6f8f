/** The examples of RFC 7541, appendix C. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderList, HpackDecoder } from './hpack.js';

const list = new HeaderList();

/** Decodes a block written in hexadecimal; fields as `name: value`. */
function decode(decoder: HpackDecoder, hex: string): string[] {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  assert.ok(decoder.decode(bytes, 0, bytes.length, list));
  return Array.from({ length: list.length }, (_, i) => {
    const name = list.names[i] === null ? '?' : Buffer.from(list.names[i]!.name).toString('latin1');
    const value =
      list.ends[i] < 0
        ? '?'
        : Buffer.from(list.values[i].subarray(list.starts[i], list.ends[i])).toString('latin1');
    return `${name}: ${value}`;
  });
}

test('C.2: literals and an indexed field', () => {
  const decoder = new HpackDecoder(true);
  assert.deepEqual(decode(decoder, '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'), [
    'custom-key: custom-header',
  ]);
  assert.deepEqual(decode(decoder, '040c 2f73 616d 706c 652f 7061 7468'), [':path: /sample/path']);
  assert.deepEqual(decode(decoder, '1008 7061 7373 776f 7264 0673 6563 7265 74'), ['password: secret']);
  assert.equal(list.secret[0], 1);
  assert.deepEqual(decode(decoder, '82'), [':method: GET']);
});

const REQUESTS = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ],
];

test('C.3: requests without Huffman coding', () => {
  const decoder = new HpackDecoder(true);
  assert.deepEqual(decode(decoder, '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'), REQUESTS[0]);
  assert.deepEqual(decode(decoder, '8286 84be 5808 6e6f 2d63 6163 6865'), REQUESTS[1]);
  assert.deepEqual(
    decode(decoder, '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'),
    REQUESTS[2],
  );
});

test('C.4: requests with Huffman coding', () => {
  const decoder = new HpackDecoder(true);
  assert.deepEqual(decode(decoder, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), REQUESTS[0]);
  assert.deepEqual(decode(decoder, '8286 84be 5886 a8eb 1064 9cbf'), REQUESTS[1]);
  assert.deepEqual(
    decode(decoder, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'),
    REQUESTS[2],
  );
});

const RESPONSES = [
  [
    ':status: 302',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 307',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    'location: https://www.example.com',
    'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
];
/** The appendix' encoder has a table of 256 bytes: its size update comes first. */
const SIZE_256 = '3fe101';

test('C.5: responses without Huffman coding, with eviction', () => {
  const decoder = new HpackDecoder(true);
  assert.deepEqual(
    decode(
      decoder,
      `${SIZE_256} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
    ),
    RESPONSES[0],
  );
  assert.deepEqual(decode(decoder, '4803 3330 37c1 c0bf'), RESPONSES[1]);
  assert.deepEqual(
    decode(
      decoder,
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
    ),
    RESPONSES[2],
  );
});

test('C.6: responses with Huffman coding, with eviction', () => {
  const decoder = new HpackDecoder(true);
  assert.deepEqual(
    decode(
      decoder,
      `${SIZE_256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
    ),
    RESPONSES[0],
  );
  assert.deepEqual(decode(decoder, '4883 640e ffc1 c0bf'), RESPONSES[1]);
  assert.deepEqual(
    decode(
      decoder,
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ),
    RESPONSES[2],
  );
});

test('joined in the midst, older entries are unknown, and the table heals', () => {
  const decoder = new HpackDecoder(false);
  // Index 63 refers to what was not seen.
  assert.deepEqual(decode(decoder, '82 bf'), [':method: GET', '?: ?']);
  // A new entry, then it and the one behind it.
  assert.deepEqual(decode(decoder, '400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'), [
    'custom-key: custom-value',
  ]);
  assert.deepEqual(decode(decoder, 'be bf'), ['custom-key: custom-value', '?: ?']);
});

test('joined in the midst, the table may be larger than its first size', () => {
  const decoder = new HpackDecoder(false);
  const value = 'v'.repeat(100);
  // Literals with indexing (section 6.2.1): 101 entries of 134 bytes (section 4.1).
  for (let i = 0; i <= 100; i++) {
    decode(decoder, Buffer.from(`\x40\x02x${i % 10}\x64${value}`, 'latin1').toString('hex'));
  }
  // The oldest is at index 62 + 100: 127 + 35.
  assert.deepEqual(decode(decoder, 'ff23'), [`x0: ${value}`]);
  // A size update (section 6.3) says what it is.
  assert.deepEqual(decode(decoder, '3fe11f be'), [`x0: ${value}`]);
  const beyond = Buffer.from('ff23', 'hex');
  assert.equal(decoder.decode(beyond, 0, beyond.length, list), false);
});

test('an index that cannot be, and bad padding, are errors', () => {
  for (const hex of ['80', 'be', '0081ff00', '40']) {
    const bytes = Buffer.from(hex, 'hex');
    assert.equal(new HpackDecoder(true).decode(bytes, 0, bytes.length, list), false, hex);
  }
});
