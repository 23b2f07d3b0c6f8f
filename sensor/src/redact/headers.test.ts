import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSecretHeader } from './headers.js';

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
  'x'.repeat(300),
]) {
  test(`${name.slice(0, 40)} is a secret`, () => assert.equal(secret(name), true));
}
for (const name of [
  'Host',
  'Accept',
  'User-Agent',
  'Sec-WebSocket-Key',
  'ETag',
  'WWW-Authenticate',
  'X-Request-Id',
  'traceparent',
  'Content-Length',
]) {
  test(`${name} is not`, () => assert.equal(secret(name), false));
}
