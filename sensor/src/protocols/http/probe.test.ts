import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProbeContext, Verdict } from '../decoder.js';
import { probe } from './probe.js';

const context: ProbeContext = { side: 0, fromStart: true, sourcePort: 40000, destinationPort: 80 };
const verdict = (text: string): Verdict => {
  const bytes = Buffer.from(`##${text}##`, 'latin1');
  return probe(bytes, 2, bytes.length - 2, context);
};

/** RFC 9112 sections 3 and 4; RFC 7826 (RTSP), RFC 3261 (SIP), RFC 9113 section 3.4 (preface). */
const CASES: [name: string, bytes: string, verdict: Verdict][] = [
  ['request line', 'GET / HTTP/1.1\r\n', Verdict.CLIENT],
  ['bare LF', 'GET / HTTP/1.0\n', Verdict.CLIENT],
  ['unknown method', 'FROB /x HTTP/1.1\r\nHost: h\r\n', Verdict.CLIENT],
  ['empty lines first', '\r\n\r\nPOST /x HTTP/1.1\r\n', Verdict.CLIENT],
  ['status line', 'HTTP/1.1 200 OK\r\n', Verdict.SERVER],
  ['status line without reason', 'HTTP/1.0 404\r\n', Verdict.SERVER],
  ['RTSP request', 'DESCRIBE rtsp://h/x RTSP/1.0\r\n', Verdict.NO],
  ['RTSP response', 'RTSP/1.0 200 OK\r\n', Verdict.NO],
  ['SIP request', 'INVITE sip:a@b SIP/2.0\r\n', Verdict.NO],
  ['SIP response', 'SIP/2.0 200 OK\r\n', Verdict.NO],
  ['ICY', 'ICY 200 OK\r\n', Verdict.NO],
  ['preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', Verdict.NO],
  ['no version', 'GET /\r\n', Verdict.NO],
  ['SMTP', 'EHLO example.com\r\n', Verdict.NO],
  ['inline Redis', 'PING\r\n', Verdict.NO],
  ['RESP', '*1\r\n$4\r\nPING\r\n', Verdict.NO],
  ['control bytes in the target', 'GET \x01 HTTP/1.1\r\n', Verdict.NO],
  ['a word in a text', 'x HTTP/1.1 200 OK\r\n', Verdict.NO],
];

/** RFC 9112 section 3 recommends lines of 8000 bytes at least; servers take up to 64 KiB and more. */
const LONG = 'x'.repeat(9000);
test('a request line of which the end is far', () => {
  assert.equal(verdict(`GET /?q=${LONG}`), Verdict.CLIENT);
  assert.equal(verdict(`GET /?q=${LONG.slice(0, 8000)}`), Verdict.MORE);
  assert.equal(verdict(`FROB /?q=${LONG}`), Verdict.MORE);
  assert.equal(verdict(`GET ${LONG}`), Verdict.MORE);
});

for (const [name, bytes, expected] of CASES) {
  test(name, () => {
    assert.equal(verdict(bytes), expected);
    let decided = false;
    for (let end = 1; end < bytes.length; end++) {
      const early = verdict(bytes.slice(0, end));
      if (early === Verdict.MORE) assert.ok(!decided, 'MORE after a decision');
      else {
        decided = true;
        assert.equal(early, expected, `after ${end} bytes`);
      }
    }
  });
}
