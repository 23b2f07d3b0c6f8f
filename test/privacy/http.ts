/** Credentials in every place that HTTP/1.x has for them (RFC 9110 sections 4.2.4, 11; RFC 6265; RFC 6750). */
import { client, type Message, server } from '../messages/conversation.js';
import { type Conversation, Secrets } from './secrets.js';

export function httpConversations(): Conversation[] {
  const s = new Secrets('http');
  const basic = Buffer.from(`user:${s.word('basic password')}`).toString('base64');
  const proxy = Buffer.from(`proxy:${s.word('proxy password')}`).toString('base64');
  const form = `user=bob&password=${s.word('form password')}&remember=1`;
  const json = `{"token":"${s.word('JSON body')}"}`;
  const answer = `{"access_token":"${s.word('response body')}","id":7}`;
  const chunk = `part1 ${s.word('chunk')} part2`;
  const messages: Message[] = [
    client(
      `GET http://carol:${s.word('userinfo')}@example.test/a/b?page=2&token=${s.word('token')}`,
      `&password=${s.word('password')}&api_key=${s.word('api_key')}&access_token=${s.word('access_token')}`,
      `&X-Amz-Signature=${s.word('signature')}&sig=${s.word('sig')}&pass%77ord=${s.word('encoded name')}`,
      `&code=${s.word('code')} HTTP/1.1\r\n`,
      'Host: example.test\r\n',
      `Authorization: Basic ${basic}\r\n`,
      `proxy-authorization: Basic ${proxy}\r\n`,
      `Cookie: theme=dark; session=${s.word('cookie')}\r\n`,
      `COOKIE: other=${s.word('second cookie')}\r\n`,
      `X-Api-Key: ${s.word('x-api-key')}\r\n`,
      `X-Auth-Token:${s.word('x-auth-token')}\r\n`,
      `X-CSRF-Token: ${s.word('x-csrf-token')}\r\n`,
      `X-Amz-Security-Token: ${s.word('security token')}\r\n`,
      `Referer: https://example.test/login?token=${s.word('referer')}\r\n`,
      'Accept: */*\r\n\r\n',
    ),
    server(
      'HTTP/1.1 302 Found\r\n',
      `Set-Cookie: session=${s.word('set-cookie')}; HttpOnly\r\n`,
      `Set-Cookie: second=${s.word('second set-cookie')}\r\n`,
      `Location: https://dave:${s.word('location userinfo')}@example.test/cb#access_token=${s.word('fragment')}\r\n`,
      `Authentication-Info: nextnonce="${s.word('nextnonce')}"\r\n`,
      `X-Session-Id: ${s.word('x-session-id')}\r\n`,
      `Content-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`,
    ),
    client(
      'POST /login HTTP/1.1\r\nHost: example.test\r\n',
      `Authorization: Bearer\r\n ${s.word('folded line')}\r\n`,
      `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`,
    ),
    server('HTTP/1.1 204 No Content\r\n\r\n'),
    client(
      'PUT /things/7 HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-Token\r\n',
      `Authorization: Digest username="u", response="${s.word('digest')}"\r\n`,
      `Content-Type: application/json\r\n\r\n${json.length.toString(16)};n=1\r\n${json}\r\n0\r\n`,
      `X-Auth-Token: ${s.word('trailer')}\r\n\r\n`,
    ),
    server(
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n',
      `${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
    ),
    client(
      `GET /cart;jsessionid=${s.word('path parameter')}/items?next=`,
      `${encodeURIComponent(`https://erin:${s.word('nested userinfo')}@h/cb?token=${s.word('nested token')}`)}`,
      `&filter=${encodeURIComponent(`{"password":"${s.word('JSON parameter')}"}`)} HTTP/1.1\r\n`,
      `Host: frank:${s.word('host userinfo')}@example.test\r\n`,
      `X-Upstream: Bearer ${s.word('bearer in another field')}\r\n`,
      `X-Context: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${s.word('web token')}\r\n`,
      `X-Request-Uri: /a?access_token=${s.word('URL in another field')}\r\n`,
      `Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.${s.word('subprotocol')}\r\n`,
      `Baggage: user=bob,session_token=${s.word('baggage')}\r\n`,
      `X-ClickHouse-Key: ${s.word('ClickHouse')}\r\nX-Sentry-Auth: Sentry sentry_key=${s.word('Sentry')}\r\n`,
      `X-Database: postgres://joe:${s.word('URL of a database')}@db/shop\r\nX-Data: {"a":1,"pwd":"${s.word('JSON field')}"}\r\n`,
      `X-Auth-Method: x\r\nX-Negotiated: Negotiate ${s.word('SPNEGO')}\r\n`,
      `DPoP: ${s.word('proof')}\r\nX-OTP: ${s.word('one-time password')}\r\n\r\n`,
    ),
    server('HTTP/1.1 204 No Content\r\n\r\n'),
    client(
      `GET /reset-password/${s.word('path segment')}abcdefghijklmnop HTTP/1.1\r\nHost: example.test\r\n\r\n`,
    ),
    server('HTTP/1.1 204 No Content\r\n\r\n'),
    client(
      `POST /write/webhooks/7/${s.word('webhook')}?db=x&u=admin&p=${s.word('InfluxDB')}&query=mutation%7Blogin(password:%22${s.word('GraphQL')}%22)%7D HTTP/1.1\r\nHost: example.test\r\nContent-Length: 0\r\n\r\n`,
    ),
    server(
      `HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate ${s.word('challenge')}\r\nContent-Length: 0\r\n\r\n`,
    ),
    client(
      `CONNECT grace:${s.word('connect userinfo')}@example.test:443 HTTP/1.1\r\nHost: example.test:443\r\nProxy-Authorization: Bearer ${s.word('connect')}\r\n\r\n`,
    ),
    server('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'),
    client('GET /ok HTTP/1.1\r\nHost: example.test\r\n\r\n'),
    server('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
  ];
  return [{ protocol: 'http', name: 'http', serverPort: 80, messages, secrets: s, records: 8 }];
}
