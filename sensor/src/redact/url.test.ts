import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireWriter } from '@packetd/proto';
import { redactQuery, redactUrl } from './url.js';

const run = (redact: typeof redactUrl, text: string): string => {
  const out = new WireWriter();
  const bytes = Buffer.from(`?&${text}&key=x`, 'latin1');
  const changed = redact(bytes, 2, bytes.length - 6, out);
  if (!changed) assert.equal(out.length, 0);
  return changed ? Buffer.from(out.bytes.subarray(0, out.length)).toString('latin1') : text;
};

const QUERIES: [query: string, expected: string][] = [
  ['a=1&b=2', 'a=1&b=2'],
  ['token=abc', 'token=[redacted]'],
  ['a=1&api_key=k&b=2', 'a=1&api_key=[redacted]&b=2'],
  ['a=1;Password=p;b', 'a=1;Password=[redacted];b'],
  [
    'X-Amz-Signature=s&X-Amz-Date=d&X-Amz-Credential=c',
    'X-Amz-Signature=[redacted]&X-Amz-Date=d&X-Amz-Credential=[redacted]',
  ],
  [
    'sig=s&key=k&code=c&auth=a&session_id=s&jwt=j&client_secret=c',
    'sig=[redacted]&key=[redacted]&code=[redacted]&auth=[redacted]&session_id=[redacted]&jwt=[redacted]&client_secret=[redacted]',
  ],
  ['pass%77ord=p', 'pass%77ord=[redacted]'],
  ['user%5Bpassword%5D=p', 'user%5Bpassword%5D=[redacted]'],
  ['keyboard=us&author=me&encode=x&monkey=1', 'keyboard=us&author=me&encode=x&monkey=1'],
  ['token=&token&=x', 'token=&token&=x'],
  ['pwd=a=b==', 'pwd=[redacted]'],
];
for (const [query, expected] of QUERIES) {
  test(`query ${query}`, () => assert.equal(run(redactQuery, query), expected));
}

const URLS: [url: string, expected: string][] = [
  ['https://example.com/a?b=1', 'https://example.com/a?b=1'],
  ['https://user:pw@example.com/a', 'https://[redacted]@example.com/a'],
  ['https://u:p@w@h/a?token=t#x', 'https://[redacted]@h/a?token=[redacted]#x'],
  ['/cb?code=1&state=2', '/cb?code=[redacted]&state=[redacted]'],
  ['/cb#access_token=t&x=1', '/cb#access_token=[redacted]&x=1'],
  ['//u@h/x', '//[redacted]@h/x'],
  ['0; url=http://u:p@h/?sid=1', '0; url=http://[redacted]@h/?sid=[redacted]'],
  ['/a@b', '/a@b'],
  ['', ''],
];
for (const [url, expected] of URLS) {
  test(`URL ${url}`, () => assert.equal(run(redactUrl, url), expected));
}
