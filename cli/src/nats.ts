/** The connection to NATS, as the configuration describes it. */
import { readFileSync } from 'node:fs';
import {
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import type { Config } from './config/load.js';
import { UserError } from './fail.js';

/** Connects, and stays so: a connection that is lost is made again for ever. Rejects with UserError. */
export async function connectNats(config: Config, name: string): Promise<NatsConnection> {
  const text = (key: string) => config.get<string>(`nats.${key}`);
  const servers = config.get<string[]>('nats.servers');
  const options: NodeConnectionOptions = {
    servers,
    name,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: false,
    ...(text('user') === '' ? {} : { user: text('user'), pass: text('password') }),
    ...(text('token') === '' ? {} : { token: text('token') }),
    ...(text('credentials') === ''
      ? {}
      : {
          authenticator: credsAuthenticator(
            new Uint8Array(readText(text('credentials'), 'nats.credentials')),
          ),
        }),
    ...tls(text),
  };
  try {
    return await connect(options);
  } catch (error) {
    throw new UserError(
      `cannot connect to NATS at ${servers.join(', ')} (${(error as Error).message}); set nats.servers (PACKETD_NATS_SERVERS) and start nats-server -js`,
    );
  }
}

function tls(text: (key: string) => string): Pick<NodeConnectionOptions, 'tls'> {
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((part) => text(`tls.${part}`));
  if (ca === '' && cert === '') return {};
  return {
    tls: {
      ...(ca === '' ? {} : { caFile: ca }),
      ...(cert === '' ? {} : { certFile: cert, keyFile: key }),
    },
  };
}

function readText(path: string, key: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UserError(`${key}: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
}
