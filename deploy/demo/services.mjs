// The demo's HTTP/2 and gRPC services, without TLS so that there is something to see.
//   DEMO_HTTP2_PORT (8443), DEMO_GRPC_PORT (50051), DEMO_BIND (0.0.0.0)
import http2 from 'node:http2';
import grpc from '@grpc/grpc-js';
import { SHOP } from './shop.mjs';

const { DEMO_BIND = '0.0.0.0', DEMO_HTTP2_PORT = '8443', DEMO_GRPC_PORT = '50051' } = process.env;
const SLOW_MS = 300;

const web = http2.createServer();
web.on('stream', (stream, headers) => {
  const path = headers[http2.constants.HTTP2_HEADER_PATH];
  const status = path === '/missing' ? 404 : path === '/broken' ? 500 : 200;
  stream.on('error', () => {});
  const answer = () => {
    if (stream.destroyed) return;
    stream.respond({ ':status': status, 'content-type': 'application/json' });
    stream.end(JSON.stringify({ path, status }));
  };
  if (path === '/slow') setTimeout(answer, SLOW_MS);
  else answer();
});
web.listen(Number(DEMO_HTTP2_PORT), DEMO_BIND);

const rpc = new grpc.Server();
rpc.addService(SHOP, {
  checkout: (call, callback) => {
    if (call.request.length === 0)
      callback({ code: grpc.status.INVALID_ARGUMENT, details: 'an empty basket' });
    else callback(null, call.request);
  },
  watchOrder: (call) => {
    for (const state of ['accepted', 'packed', 'sent']) call.write(Buffer.from(state));
    call.end();
  },
});
rpc.bindAsync(`${DEMO_BIND}:${DEMO_GRPC_PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error === null) return;
  console.error(`demo services: ${error.message}`);
  process.exit(1);
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
