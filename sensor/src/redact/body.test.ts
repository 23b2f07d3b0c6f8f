import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireWriter } from '@packetd/proto';
import fc from 'fast-check';
import { redactBody } from './body.js';

const run = (text: string): string => {
  const out = new WireWriter();
  const bytes = Buffer.from(`"password":${text}":"x"`, 'latin1');
  const changed = redactBody(bytes, 11, bytes.length - 5, out);
  return changed ? Buffer.from(out.bytes.subarray(0, out.length)).toString('latin1') : text;
};

const CASES: [body: string, expected: string][] = [
  ['{"user":"joe","password":"s","n":1}', '{"user":"joe","password":"[redacted]","n":1}'],
  ['{ "apiKey" : "s\\"t" , "n" : 1 }', '{ "apiKey" : "[redacted]" , "n" : 1 }'],
  ['{"pin":1234,"n":1}', '{"pin":[redacted],"n":1}'],
  ['[{"card-cvv":123}]', '[{"card-cvv":[redacted]}]'],
  ['{"credentials":{"a":"s"},"n":1}', '{"credentials":[redacted]'],
  ['{"password":"cut here', '{"password":"[redacted]'],
  ['{"code":404,"state":"NY","keyboard":"us"}', '{"code":404,"state":"NY","keyboard":"us"}'],
  ['{"password":""}', '{"password":""}'],
  // JSON in a string of JSON.
  [
    '{"body":"{\\"token\\":\\"s\\",\\"n\\":1}","m":2}',
    '{"body":"{\\"token\\":\\"[redacted]\\",\\"n\\":1}","m":2}',
  ],
  ['{"id":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"}', '{"id":"[redacted]"}'],
  [
    '<a><w:Password Type="text">s</w:Password><n>1</n></a>',
    '<a><w:Password Type="text">[redacted]</w:Password><n>1</n></a>',
  ],
  ['<secret><![CDATA[s<t]]></secret>', '<secret>[redacted]</secret>'],
  ['<user name="joe" pwd="s"/>', '<user name="joe" pwd="[redacted]"/>'],
  ["<user api-key='s' n='1'/>", "<user api-key='[redacted]' n='1'/>"],
  ['mutation{login(password: "s")}', 'mutation{login(password: "[redacted]")}'],
  [
    '{"query":"mutation{login(token:\\"s\\",n:1)}"}',
    '{"query":"mutation{login(token:\\"[redacted]\\",n:1)}"}',
  ],
  ['user=joe&password=s&n=1', 'user=joe&password=[redacted]&n=1'],
  ['<token/><n>1</n>', '<token/><n>1</n>'],
  ['a < b, 12:30, x="y"', 'a < b, 12:30, x="y"'],
];
for (const [body, expected] of CASES) test(`body ${body}`, () => assert.equal(run(body), expected));

test('a member of any JSON, cut anywhere', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(), fc.boolean(), (value, cut, nested) => {
      const secret = { first: value, password: 'hunter2hunter2', last: value };
      const json = JSON.stringify(nested ? { body: JSON.stringify(secret) } : secret);
      const text = json.slice(0, json.length - (cut % json.length));
      assert.ok(!run(text).includes('hunter2h'), text);
    }),
    { numRuns: 2000 },
  );
});
