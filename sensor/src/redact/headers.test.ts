import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSecretHeader, isSecretValue } from './headers.js';

const secret = (name: string): boolean => isSecretHeader(Buffer.from(name, 'latin1'), 0, name.length);

for (const name of [
  'Authorization',
  'proxy-authorization',
  'Cookie',
  'Set-Cookie',
  'set-cookie2',
  'X-Api-Key',
  'apikey',
  'X-Auth-Token',
  'X-CSRF-Token',
  'x-vault-token',
  'X-Amz-Security-Token',
  'x-client-secret',
  'x-user-password',
  'x-credentials',
  'x-session-id',
  'x-hub-signature-256',
  'ocp-apim-subscription-key',
  'x-goog-iap-jwt-assertion',
  'Authentication-Info',
  'X_ACCESS_KEY',
  'Authentication',
  'X-Key',
  'X-OTP',
  'X-XSRF',
  'DPoP',
  'Php-Auth-Pw',
  'grpc-status-details-bin',
  'X-ClickHouse-Key',
  'DD-APPLICATION-KEY',
  'X-Amz-Server-Side-Encryption-Customer-Key',
  'X-Sentry-Auth',
  'X-WSSE',
  'X-Authorisation',
  'X-User-Pin',
  'X-Db-Pwd',
  'X-MS-CLIENT-PRINCIPAL',
  'x'.repeat(300),
]) {
  test(`${name.slice(0, 40)} is a secret`, () => assert.equal(secret(name), true));
}
for (const name of [
  'Host',
  'Accept',
  'User-Agent',
  'Sec-WebSocket-Key',
  'Idempotency-Key',
  'X-Cache-Key',
  'X-Bypass',
  'ETag',
  'WWW-Authenticate',
  'X-Request-Id',
  'traceparent',
  'Content-Length',
]) {
  test(`${name} is not`, () => assert.equal(secret(name), false));
}

const secretValue = (value: string): boolean => isSecretValue(Buffer.from(value, 'latin1'), 0, value.length);

for (const value of ['Bearer x', 'basic\tx', '"Bearer x"', 'Negotiate x', 'NTLM x', 'Token x', 'bearer:x']) {
  test(`${value} is a credential`, () => assert.equal(secretValue(value), true));
}
for (const value of ['bearer', 'basically x', 'tokens x', 'negotiable']) {
  test(`${value} is none`, () => assert.equal(secretValue(value), false));
}
