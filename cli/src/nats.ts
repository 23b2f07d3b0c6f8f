/** The connection to NATS, as the configuration describes it. */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import { Backoff, pause } from '@packetd/collector/retry';
import type { Config } from './config/load.js';
import { UserError } from './fail.js';
import type { LeveledLog } from './log.js';

const CONNECT_MS = 5000;
/** Time that the last acknowledgements have on their way to NATS. */
const DRAIN_MS = 2000;
const NEVER = new AbortController().signal;

export class NatsLink {
  /** For readiness: there is a connection now, and what is needed of JetStream was found. */
  ready = false;
  private readonly options: NodeConnectionOptions;
  /** Never with the credentials that a URL may have. */
  private readonly where: string;

  /** Throws UserError. */
  constructor(
    config: Config,
    name: string,
    private readonly log: LeveledLog,
  ) {
    const text = (key: string) => config.get<string>(`nats.${key}`);
    refuseContradictions(text);
    const servers = config.get<string[]>('nats.servers').map(parseServer);
    if (servers.length === 0) throw new UserError('nats.servers is empty; write [nats://127.0.0.1:4222]');
    const { user, password } = servers.find((server) => server.user !== '') ?? { user: '', password: '' };
    const login =
      text('user') === '' ? { user, pass: password } : { user: text('user'), pass: text('password') };
    this.where = servers.map(({ address }) => address.replace(/[?#].*/s, '')).join(', ');
    this.options = {
      servers: servers.map(({ address }) => address),
      name,
      timeout: CONNECT_MS,
      maxReconnectAttempts: -1,
      // A server that does not know its users for a moment, as at a restart, is no reason to be silent for good.
      ignoreAuthErrorAbort: true,
      ...(login.user === '' ? {} : login),
      ...(text('token') === '' ? {} : { token: text('token') }),
      ...(text('credentials') === '' ? {} : { authenticator: readCredentials(text('credentials')) }),
      ...tls(text),
    };
  }

  /**
   * Connects, and stays so: a connection that is lost is made again for ever. NATS may come later than packetd:
   * until it does, and until `use` does not fail for want of JetStream, both are tried again. Rejects with
   * UserError for what waiting does not cure.
   */
  async open<T>(
    use: (connection: NatsConnection) => Promise<T>,
  ): Promise<{ connection: NatsConnection; used: T }> {
    const connection = await this.again('cannot connect to NATS', () => connect(this.options));
    void this.follow(connection);
    const used = await this.again('NATS does not give the stream', () => use(connection));
    this.ready = true;
    return { connection, used };
  }

  /** Sends what waits to be sent. Where NATS is away that is acknowledgements; what they are for it gives again. */
  async end(connection: NatsConnection): Promise<void> {
    // Without a connection it waits for one, or rejects when an attempt to make one fails.
    if (this.ready) await Promise.race([connection.drain(), pause(DRAIN_MS, NEVER)]).catch(() => {});
  }

  private async again<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const backoff = new Backoff();
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const reason = reasonOf(error as Error);
        const fix = fixOf(error);
        if (fix !== '') throw new UserError(`${what} at ${this.where} (${reason}); ${fix}`);
        this.log.warn(`${what}; trying again`, { servers: this.where, reason });
        await pause(backoff.delay(), NEVER);
      }
    }
  }

  private async follow(connection: NatsConnection): Promise<void> {
    const wasReady = () => {
      this.ready = true;
    };
    let restore = () => {};
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        if (this.ready) restore = wasReady;
        this.ready = false;
        this.log.warn('the connection to NATS is lost; trying again', { servers: this.where });
      } else if (status.type === 'reconnect') {
        restore();
        this.log.info('connected to NATS again', { server: status.server });
      } else if (status.type === 'error') {
        this.log.warn('NATS says an error', { reason: reasonOf(status.error) });
      }
    }
    this.ready = false;
  }
}

/** Throws UserError for two ways to log in, of which NATS would take one, and for half of one. */
function refuseContradictions(text: (key: string) => string): void {
  const logins = ['user', 'token', 'credentials'].filter((key) => text(key) !== '');
  if (logins.length > 1) {
    const names = logins.map((key) => `nats.${key}`).join(' and ');
    throw new UserError(`${names} are different ways to log in; set one of them`);
  }
  if (text('password') !== '' && text('user') === '')
    throw new UserError('nats.password needs nats.user; set both');
}

/** What to do about what waiting does not cure: refused logins, missing permissions; empty for anything else. */
function fixOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    // A login that took too long: a busy server, or a busy host here.
    if (/authentication timeout/i.test(at.message)) return '';
    if (at instanceof errors.AuthorizationError || at instanceof errors.UserAuthenticationExpiredError)
      return 'check nats.user and nats.password, nats.token or nats.credentials';
    if (at instanceof errors.PermissionViolationError) return "give packetd's user this permission";
  }
  return '';
}

function reasonOf({ message }: Error): string {
  return /no responders|jetstream is (disabled|not enabled)|^503/i.test(message)
    ? 'JetStream does not answer; is nats-server started with -js?'
    : message;
}

/**
 * nats://user:password@host:port in its parts. What is before the last `@` is userinfo, also where a password has
 * what ought to be encoded: the address is logged. Throws UserError.
 */
export function parseServer(server: string): { address: string; user: string; password: string } {
  const userinfo = /^((?:[a-z]+:)?\/\/)?(.*)@/is.exec(server);
  const address = userinfo === null ? server : (userinfo[1] ?? '') + server.slice(userinfo[0].length);
  const host = address.replace(/^(?:(?:nats|tls):)?\/\//i, '');
  // Any other scheme is no host with a port.
  if (!isIPv6(host) && !(/^[^/]+\/?$/.test(host) && URL.canParse(`nats://${host}`)))
    throw new UserError('nats.servers has what is no NATS server; write nats://host:4222 or tls://host:4222');
  if (userinfo === null) return { address, user: '', password: '' };
  const [, name, password = ''] = /^([^:]*):?(.*)$/s.exec(userinfo[2])!;
  try {
    return {
      address,
      user: decodeURIComponent(name),
      password: decodeURIComponent(password),
    };
  } catch {
    throw new UserError(
      'nats.servers: user and password of a URL are percent-encoded; set nats.user and nats.password',
    );
  }
}

function readCredentials(path: string): Authenticator {
  const text = readText(path, 'nats.credentials');
  if (!/NATS USER JWT[\s\S]*USER NKEY SEED/.test(text.toString('latin1')))
    throw new UserError(`nats.credentials: ${path} is no .creds file; nsc generate creds makes one`);
  return credsAuthenticator(new Uint8Array(text));
}

function tls(text: (key: string) => string): Pick<NodeConnectionOptions, 'tls'> {
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((part) => text(`tls.${part}`));
  if ((cert === '') !== (key === ''))
    throw new UserError('nats.tls.cert and nats.tls.key belong together; set both');
  if (ca === '' && cert === '') return {};
  for (const [path, name] of [
    [ca, 'ca'],
    [cert, 'cert'],
    [key, 'key'],
  ])
    if (path !== '') readText(path, `nats.tls.${name}`);
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
