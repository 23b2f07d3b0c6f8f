/** Credentials in HTTP/2 fields, indexed and not, and in gRPC's metadata and messages. */
import { once } from 'node:events';
import { connect, createServer as createH2Server } from 'node:http2';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { bytesOf, client, type Message, server, u32 } from '../messages/conversation.js';
import {
  AUTHORITY,
  AUTHORIZATION,
  added,
  CONTENT_TYPE,
  COOKIE,
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  GET,
  greetings,
  HTTP,
  indexed,
  LOCATION,
  NEWEST,
  never,
  OK,
  PATH,
  POST,
  plain,
  SET_COOKIE,
} from '../messages/http2.js';
import { type Conversation, Secrets } from './secrets.js';

export async function http2Conversations(): Promise<Conversation[]> {
  return [http2(), grpc(), await recorded()];
}

function http2(): Conversation {
  const s = new Secrets('http2');
  const ask = (stream: number, ...fields: Buffer[]) =>
    client(
      frame(FrameType.HEADERS, END_STREAM | END_HEADERS, stream, indexed(GET), indexed(HTTP), ...fields),
    );
  const answer = (stream: number, ...fields: Buffer[]) =>
    server(frame(FrameType.HEADERS, END_STREAM | END_HEADERS, stream, indexed(OK), ...fields));
  const long = s.word('in CONTINUATION');
  const continued = bytesOf(indexed(GET), indexed(HTTP), plain(PATH, '/long'), plain(COOKIE, long));
  const messages: Message[] = [
    ...greetings(),
    ask(
      1,
      added(AUTHORITY, `erin:${s.word('userinfo')}@example.test`),
      added(PATH, `/a?token=${s.word('token')}&page=2&signature=${s.word('signature')}`),
      added('x-api-key', s.word('x-api-key')),
      added(AUTHORIZATION, `Bearer ${s.word('authorization')}`),
    ),
    answer(1, added(SET_COOKIE, `sid=${s.word('set-cookie')}`)),
    // Name and value from the table; the name from the table with another value; two crumbs of a cookie.
    ask(3, plain(PATH, '/b'), indexed(NEWEST), added(NEWEST + 1, s.word('value of an indexed name'))),
    answer(3, indexed(NEWEST), plain(LOCATION, `https://example.test/?code=${s.word('location')}`)),
    ask(
      5,
      plain(PATH, '/c'),
      plain(COOKIE, `a=${s.word('first crumb')}`),
      plain(COOKIE, `b=${s.word('second crumb')}`),
      never('x-thing', s.word('never indexed')),
      plain('proxy-authorization', s.word('proxy-authorization')),
      plain('referer', `https://example.test/?access_token=${s.word('referer')}`),
    ),
    server(
      frame(
        FrameType.PUSH_PROMISE,
        END_HEADERS,
        5,
        ...[u32(2), indexed(GET), indexed(HTTP), plain(PATH, `/pushed?token=${s.word('pushed token')}`)],
        ...[plain(AUTHORITY, 'example.test'), plain(AUTHORIZATION, s.word('pushed authorization'))],
      ),
      frame(FrameType.HEADERS, END_HEADERS, 5, indexed(OK)),
      frame(FrameType.DATA, 0, 5, `{"secret":"${s.word('response body')}"}`),
      frame(FrameType.HEADERS, END_STREAM | END_HEADERS, 5, plain('x-auth-token', s.word('trailer'))),
      frame(FrameType.HEADERS, END_STREAM | END_HEADERS, 2, indexed(OK)),
    ),
    client(
      frame(FrameType.HEADERS, END_HEADERS, 7, indexed(POST), indexed(HTTP), plain(PATH, '/form')),
      frame(FrameType.DATA, END_STREAM, 7, `password=${s.word('form body')}`),
    ),
    answer(7),
    client(
      frame(FrameType.HEADERS, END_STREAM, 9, continued.subarray(0, 12)),
      frame(FrameType.CONTINUATION, END_HEADERS, 9, continued.subarray(12)),
    ),
    answer(9),
  ];
  return { protocol: 'http2', name: 'http2', serverPort: 8081, messages, secrets: s, records: 6 };
}

function grpc(): Conversation {
  const s = new Secrets('grpc');
  const call = (stream: number, ...metadata: Buffer[]) => {
    const body = bytesOf(0x0a, 20, s.word(`request message ${stream}`));
    return client(
      frame(
        FrameType.HEADERS,
        END_HEADERS,
        stream,
        ...[indexed(POST), indexed(HTTP), plain(PATH, '/shop.Cart/Add'), plain(AUTHORITY, 'cart.test')],
        ...[plain(CONTENT_TYPE, 'application/grpc'), plain('te', 'trailers'), ...metadata],
      ),
      frame(FrameType.DATA, END_STREAM, stream, 0, u32(body.length), body),
    );
  };
  const reply = (stream: number, ...trailers: Buffer[]) => {
    const body = bytesOf(0x0a, 20, s.word(`response message ${stream}`));
    return server(
      frame(FrameType.HEADERS, END_HEADERS, stream, indexed(OK), plain(CONTENT_TYPE, 'application/grpc')),
      frame(FrameType.DATA, 0, stream, 0, u32(body.length), body),
      frame(FrameType.HEADERS, END_STREAM | END_HEADERS, stream, ...trailers),
    );
  };
  // google.rpc.Status: code 1, message 2.
  const text = `no card "${s.word('status details')}"`;
  const details = bytesOf(0x08, 3, 0x12, text.length, text).toString('base64').replaceAll('=', '');
  const binary = Buffer.from(s.word('binary metadata')).toString('base64').replaceAll('=', '');
  const messages = [
    ...greetings(),
    call(
      1,
      added(AUTHORIZATION, `Bearer ${s.word('authorization')}`),
      added('x-api-key', s.word('x-api-key')),
      added('x-session-token-bin', binary),
    ),
    reply(1, plain('grpc-status', '0'), plain('x-auth-token', s.word('trailing metadata'))),
    call(3, indexed(NEWEST + 2), added(NEWEST + 1, s.word('value of an indexed name'))),
    reply(
      3,
      added('grpc-status', '3'),
      added(
        'grpc-message',
        `invalid card "${s.word('double quotes')}", 'it's ${s.word('single quotes')}' %22x %22${s.word('encoded quotes')}%22`,
      ),
      plain('grpc-status-details-bin', details),
    ),
    call(5, never('x-plain', s.word('never indexed'))),
    // Trailers-Only.
    server(
      frame(
        FrameType.HEADERS,
        END_STREAM | END_HEADERS,
        5,
        ...[indexed(OK), plain(CONTENT_TYPE, 'application/grpc'), plain('grpc-status', '16')],
        plain('grpc-message', `bad token '${s.word('Trailers-Only')}'`),
      ),
    ),
    // A gateway for browsers.
    client(
      frame(
        FrameType.HEADERS,
        END_STREAM | END_HEADERS,
        7,
        ...[indexed(POST), indexed(HTTP), plain(AUTHORITY, `joe:${s.word('userinfo')}@cart.test`)],
        ...[
          plain(PATH, `/shop.Cart/Add?access_token=${s.word('query')}`),
          plain(CONTENT_TYPE, 'application/grpc'),
        ],
        plain('baggage', `a=b,session_token=${s.word('baggage')}`),
      ),
    ),
    reply(7, plain('grpc-status', '0')),
  ];
  return { protocol: 'grpc', name: 'grpc', serverPort: 50051, messages, secrets: s, records: 4 };
}

/** What node:http2 makes of them: Huffman coding and a dynamic table. */
async function recorded(): Promise<Conversation> {
  const s = new Secrets('node:http2');
  const messages: Message[] = [];
  const authorization = `Bearer ${s.word('authorization')}`;
  const cookie = `a=${s.word('cookie')}`;
  const seen: string[] = [];
  const answering = createH2Server((request, response) => {
    seen.push(`${request.headers.authorization} ${request.headers.cookie} ${request.url}`);
    response.setHeader('set-cookie', [`sid=${s.word('set-cookie')}`]);
    response.end(s.word('response body'));
  });
  answering.listen(0, '127.0.0.1');
  await once(answering, 'listening');
  const relay = createServer((from) => {
    const to = connectTcp((answering.address() as AddressInfo).port, '127.0.0.1');
    from.on('data', (bytes: Buffer) => {
      messages.push({ from: 'client', bytes: Buffer.from(bytes) });
      to.write(bytes);
    });
    to.on('data', (bytes: Buffer) => {
      messages.push({ from: 'server', bytes: Buffer.from(bytes) });
      from.write(bytes);
    });
    from.on('close', () => to.destroy());
    to.on('close', () => from.destroy());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const session = connect(`http://127.0.0.1:${(relay.address() as AddressInfo).port}`);
  const bodies: string[] = [];
  for (let i = 0; i < 3; i++) {
    const path = `/${i}?access_token=${s.word(`access_token ${i}`)}`;
    const request = session.request({ ':path': path, authorization, cookie });
    let body = '';
    let cookies = '';
    request.on('response', (fields) => {
      cookies = String(fields['set-cookie']);
    });
    request.setEncoding('utf8').on('data', (piece: string) => {
      body += piece;
    });
    await once(request.end(), 'end');
    bodies.push(`${body} ${cookies}`);
  }
  session.close();
  await once(session, 'close');
  relay.close();
  answering.close();
  // Huffman coding hides them from a search: that both ends had them shows that they were there.
  const arrived = [...seen, ...bodies].map((text) => Buffer.from(text));
  return {
    protocol: 'http2',
    name: 'node:http2',
    serverPort: 8082,
    messages,
    secrets: s,
    records: 3,
    plain: arrived,
  };
}
