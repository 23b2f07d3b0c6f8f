import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireWriter } from '@packetd/proto';
import { redactField, redactPath, redactQuery, redactUrl } from './url.js';

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
  ['a=1;Password=p;b=2', 'a=1;Password=[redacted];b=2'],
  // What follows may be the rest of it.
  ['a=1;Password=p;b', 'a=1;Password=[redacted]'],
  ['password=p?q&b=1', 'password=[redacted]&b=1'],
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
  ['password=a%26b%3Dc&d=1', 'password=[redacted]&d=1'],
  [
    'next=https%3A%2F%2Fh%2Fcb%3Ftoken%3Dt%26a%3D1&b=2',
    'next=https%3A%2F%2Fh%2Fcb%3Ftoken%3D[redacted]%26a%3D1&b=2',
  ],
  ['n=x%253Ftoken%253Dt%2526u%253D1', 'n=x%253Ftoken%253D[redacted]%2526u%253D1'],
  ['next=/cb?token=t&a=1', 'next=/cb?token=[redacted]&a=1'],
  ['u=https://joe:p@h/x&v=1', 'u=https://[redacted]@h/x&v=1'],
  ['u=https%3A%2F%2Fjoe%3Ap%40h%2Fx', 'u=https%3A%2F%2F[redacted]%40h%2Fx'],
  ['u=https://h&mail=joe@example.com', 'u=https://h&mail=joe@example.com'],
  ['q={"password":"p"}&a=1', 'q=[redacted]&a=1'],
  ['q={"cardCvv":"1"}&r={"user":{"ssn":1}}&t=1', 'q=[redacted]&r=[redacted]&t=1'],
  ['q=%7B%22iban%22%3A1%7D', 'q=[redacted]'],
  ['q={"class":"cvvx","urban":1,"assn":2}', 'q={"class":"cvvx","urban":1,"assn":2}'],
  ['q=%7B%22password%22%3A%22p%22%7D', 'q=[redacted]'],
  ['q={"page":1}&r=[1,2]', 'q={"page":1}&r=[1,2]'],
  ['id=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln&a=1', 'id=[redacted]&a=1'],
  ['cursor=eyJpZCI6MX0', 'cursor=eyJpZCI6MX0'],
  // What of persons and cards must not be stored or shown (PCI DSS 3.3 and 3.4), and one-time codes.
  ...'ssn user_ssn customerSsn card_number cardNumber card%5Bnumber%5D cardno creditCardNo cvv cvv2 card-cvv CVC pan iban'
    .split(' ')
    .map((name): [string, string] => [`a=1&${name}=v`, `a=1&${name}=[redacted]`]),
  ...'pin card_pin otp user%5Bpass%5D loginPwd passcode pin_code taxId passportNo account_number sort-code'
    .split(' ')
    .map((name): [string, string] => [`${name}=v`, `${name}=[redacted]`]),
  [
    'className=a&panel=b&spinner=c&company=d&card=e&discard=f&japan=g&lupin=h&caliban=i&pinned=j',
    'className=a&panel=b&spinner=c&company=d&card=e&discard=f&japan=g&lupin=h&caliban=i&pinned=j',
  ],
  ['_csrf=c&a=100%', '_csrf=[redacted]&a=100%'],
  // InfluxDB 1 (`/query?u=…&p=…`), and pages elsewhere.
  ['db=x&u=joe&p=s', 'db=x&u=joe&p=[redacted]'],
  ['p=s&u=joe', 'p=[redacted]&u=joe'],
  ['p=2&menu=1', 'p=2&menu=1'],
  // GraphQL, XML, connection strings, filters of OData and of searches.
  ['query=mutation%7Blogin(password:%22s%22)%7D&v=1', 'query=[redacted]&v=1'],
  ['query=mutation{login(password:"s&t")}', 'query=[redacted]&t")}'],
  ['query={users{name}}&v=1', 'query={users{name}}&v=1'],
  ['xml=%3Cpassword%3Es%3C/password%3E&v=1', 'xml=[redacted]&v=1'],
  ['dsn=host%3Dh%20password%3Ds&v=1', 'dsn=[redacted]&v=1'],
  ["$filter=Password%20eq%20's'&v=1", '$filter=[redacted]&v=1'],
  ['q=user:joe+password:s&v=1', 'q=[redacted]&v=1'],
  ['q=how+to+reset+a+password&t=12:30', 'q=how+to+reset+a+password&t=12:30'],
  ['next=https://h/reset-password&v=1', 'next=https://h/reset-password&v=1'],
  ...'app_key licenseKey authCode device_code oobCode new_pass1 pw2 PHPSESSID RelayState loginTicket passwort senha'
    .split(' ')
    .map((name): [string, string] => [`${name}=v`, `${name}=[redacted]`]),
  ['zipcode=1&page1=2&sort_key=a&bypass=b', 'zipcode=1&page1=2&sort_key=a&bypass=b'],
];
for (const [query, expected] of QUERIES) {
  test(`query ${query}`, () => assert.equal(run(redactQuery, query), expected));
}

const PATHS: [path: string, expected: string][] = [
  ['/a/b', '/a/b'],
  ['/a;jsessionid=s;v=1/b', '/a;jsessionid=[redacted];v=1/b'],
  ['//joe:p@h/x', '//[redacted]@h/x'],
  ['/users/joe@example.com', '/users/joe@example.com'],
  ['/reset-password/abcdefghijklmnopqrst/form', '/reset-password/[redacted]/form'],
  ['/tokens/list', '/tokens/list'],
  ['/x/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln/y', '/x/[redacted]/y'],
  ['/x%3Ftoken=t', '/x%3Ftoken=[redacted]'],
  // Links of mails: Django's, Rails' and those of others.
  ['/accounts/reset/MQ/c8d7d9-0123456789abcdef0123/', '/accounts/reset/MQ/[redacted]/'],
  ['/users/confirmation/abcdefghijklmnopQRST', '/users/confirmation/[redacted]'],
  ['/verify/email/abcdefghijklmnop7/x', '/verify/email/[redacted]/x'],
  ['/api/webhooks/1234567890/abcdefghijklmnop7-_q', '/api/webhooks/1234567890/[redacted]'],
  ['/verify/confirmation-sent-again', '/verify/confirmation-sent-again'],
  ['/v1/key/abcdefghijklmnop7', '/v1/key/[redacted]'],
  ['/auth/openid-connect-callback', '/auth/openid-connect-callback'],
  ['/bot123456789:AAFabcdefghijklmnop/sendMessage', '/[redacted]/sendMessage'],
  ['/bots/robot:abcdefghijklmnop', '/bots/robot:abcdefghijklmnop'],
];
for (const [path, expected] of PATHS) {
  test(`path ${path}`, () => assert.equal(run(redactPath, path), expected));
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
  ['<https://h/?token=t>; rel=next', '<https://h/?token=[redacted]; rel=next'],
  ['https://h/a;sid=s/b?c=1', 'https://h/a;sid=[redacted]/b?c=1'],
  ['', ''],
];
for (const [url, expected] of URLS) {
  test(`URL ${url}`, () => assert.equal(run(redactUrl, url), expected));
}

/** Values of fields that may be anything. */
const FIELDS: [value: string, expected: string][] = [
  ['a=1,session_token=t,b=2', 'a=1,session_token=[redacted]'],
  ['a=1; password=t', 'a=1; password=[redacted]'],
  ['Sentry sentry_version=7, sentry_key=k', 'Sentry sentry_version=7, sentry_key=[redacted]'],
  ['{"endpoints":[{"url":"https://h/?token=t"}]}', '[redacted]'],
  ['{"a":[1,2],"b":"c"}', '{"a":[1,2],"b":"c"}'],
  [
    "default-src 'self'; report-uri https://h/?sentry_key=k",
    "default-src 'self'; report-uri https://h/?sentry_key=[redacted]",
  ],
  ['postgres://joe:p@h/x', 'postgres://[redacted]@h/x'],
  ['user joe, password: t', 'user joe, [redacted]'],
  ['Foo eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', 'Foo [redacted]'],
  ['for=1.2.3.4;proto=http', 'for=1.2.3.4;proto=http'],
  ['Authorization, X-Api-Key', 'Authorization, X-Api-Key'],
];
for (const [value, expected] of FIELDS) {
  test(`field ${value}`, () => assert.equal(run(redactField, value), expected));
}
