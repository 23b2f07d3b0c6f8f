// Load on all ten protocols: a little of everything that a dashboard shows, errors and slow answers included.
//
//   DEMO_<PROTOCOL>=host:port   HTTP HTTP2 GRPC DNS REDIS POSTGRESQL MYSQL MONGODB AMQP KAFKA; absent: not driven
//   DEMO_AMQP_USER, DEMO_AMQP_PASSWORD or DEMO_AMQP_PASSWORD_FILE (guest, guest)
//   DEMO_POSTGRESQL_USER, DEMO_POSTGRESQL_PASSWORD (postgres), DEMO_MYSQL_USER, DEMO_MYSQL_PASSWORD (root)
//   DEMO_PAUSE_MS (500)         between two rounds of a protocol
//   DEMO_ROUNDS (0)             rounds of each protocol, then the end; 0 goes on for ever
//   DEMO_TRACE_ID               trace that the HTTP requests of the first round belong to
//
// Each protocol has a loop of its own: connect, prepare, rounds; when something breaks it begins anew after a
// pause. With DEMO_ROUNDS, what was done is printed at the end as JSON: {"http":{"rounds":3,"failed":0}}.
import { randomBytes } from 'node:crypto';
import { lookup, Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import amqp from 'amqplib';
import { Redis } from 'ioredis';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { MongoClient } from 'mongodb';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { SHOP } from './shop.mjs';

const env = process.env;
const pauseMs = Number(env.DEMO_PAUSE_MS ?? 500);
const rounds = Number(env.DEMO_ROUNDS ?? 0);
/** One round in so many has the errors in it. */
const ERRORS_EVERY = 3;
const RETRY_MS = 2000;
const ATTEMPTS = 60;

/** Each answers what a round does and how the connection ends. */
const PROTOCOLS = {
  http: async ({ host, port }) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
    const request = (method, path, headers, body) =>
      new Promise((resolve, reject) => {
        const outgoing = http.request({ host, port, method, path, agent, headers }, (answer) =>
          answer.resume().on('end', () => resolve(answer.statusCode)),
        );
        outgoing.on('error', reject).end(body);
      });
    return {
      round: async (n) => {
        const traceId = (n === 0 && env.DEMO_TRACE_ID) || randomBytes(16).toString('hex');
        const headers = () => ({
          traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
          authorization: 'Bearer not-to-be-recorded',
        });
        await request('GET', `/users/${n % 50}`, headers());
        await request('GET', '/', headers());
        await request('POST', '/orders?token=not-to-be-recorded', headers(), JSON.stringify({ item: n }));
        if (n % ERRORS_EVERY === 0) {
          await request('GET', '/missing', headers());
          await request('GET', '/broken', headers());
        }
      },
      close: () => agent.destroy(),
    };
  },

  http2: async ({ host, port }) => {
    const session = http2.connect(`http://${host}:${port}`);
    const broken = new Promise((_, reject) => session.once('error', reject));
    broken.catch(() => {});
    const request = (path) =>
      Promise.race([
        broken,
        new Promise((resolve, reject) => {
          const stream = session.request({ ':path': path });
          stream.on('error', reject).on('end', resolve).resume().end();
        }),
      ]);
    return {
      round: async (n) => {
        await Promise.all(['/catalog', '/basket', '/catalog'].map(request));
        if (n % ERRORS_EVERY === 0) await Promise.all(['/missing', '/broken', '/slow'].map(request));
      },
      close: () => session.destroy(),
    };
  },

  grpc: async ({ host, port }) => {
    const Client = grpc.makeGenericClientConstructor(SHOP, 'Shop');
    const client = new Client(`${host}:${port}`, grpc.credentials.createInsecure());
    const unary = (basket) =>
      new Promise((resolve) => {
        client.checkout(basket, (error) => resolve(error?.code ?? 0));
      });
    return {
      round: async (n) => {
        const code = await unary(Buffer.from(`basket ${n}`));
        if (code === grpc.status.UNAVAILABLE) throw new Error('no gRPC server');
        await new Promise((resolve, reject) => {
          client
            .watchOrder(Buffer.from('1'))
            .on('data', () => {})
            .on('end', resolve)
            .on('error', reject);
        });
        if (n % ERRORS_EVERY === 0) await unary(Buffer.alloc(0));
      },
      close: () => client.close(),
    };
  },

  dns: async ({ host, port }) => {
    const resolver = new Resolver({ timeout: 2000, tries: 1 });
    const { address } = await lookup(host);
    resolver.setServers([net.isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`]);
    return {
      round: async (n) => {
        await resolver.resolve4('www.shop.test');
        await resolver.resolve6('api.shop.test');
        if (n % ERRORS_EVERY === 0) await resolver.resolve4(`no-such-${n}.shop.test`).catch(onlyNotFound);
      },
      close: () => resolver.cancel(),
    };
  },

  redis: async ({ host, port }) => {
    const client = new Redis({ host, port, lazyConnect: true, retryStrategy: null });
    client.on('error', () => {});
    await client.connect();
    return {
      round: async (n) => {
        await client.set(`basket:${n % 50}`, 'value', 'EX', 60);
        await client.get(`basket:${n % 50}`);
        const pipeline = client.pipeline();
        for (let i = 0; i < 8; i++) pipeline.incr('visits');
        await pipeline.exec();
        if (n % ERRORS_EVERY === 0) await client.lpush(`basket:${n % 50}`, 'x').catch(expected);
      },
      close: () => client.disconnect(),
    };
  },

  postgresql: async ({ host, port }) => {
    const client = new pg.Client({
      host,
      port,
      database: env.DEMO_POSTGRESQL_DATABASE ?? 'shop',
      user: env.DEMO_POSTGRESQL_USER ?? 'postgres',
      password: env.DEMO_POSTGRESQL_PASSWORD ?? '',
    });
    client.on('error', () => {});
    await client.connect();
    await client.query(
      'CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, customer text, amount numeric)',
    );
    return {
      round: async (n) => {
        await client.query('INSERT INTO orders (customer, amount) VALUES ($1, $2)', [`c${n % 50}`, n]);
        await client.query({
          name: 'latest',
          text: 'SELECT * FROM orders ORDER BY id DESC LIMIT $1',
          values: [5],
        });
        await client.query("UPDATE orders SET amount = amount + 1 WHERE customer = 'c1'");
        if (n % ERRORS_EVERY === 0) {
          await client.query('SELECT * FROM no_such_table').catch(expected);
          await client.query('SELECT pg_sleep(0.3)');
          await client.query('DELETE FROM orders WHERE id < (SELECT max(id) - 500 FROM orders)');
        }
      },
      close: () => client.end(),
    };
  },

  mysql: async ({ host, port }) => {
    const client = await mysql.createConnection({
      host,
      port,
      database: env.DEMO_MYSQL_DATABASE ?? 'shop',
      user: env.DEMO_MYSQL_USER ?? 'root',
      password: env.DEMO_MYSQL_PASSWORD ?? '',
    });
    client.on('error', () => {});
    await client.query(
      'CREATE TABLE IF NOT EXISTS stock (id int PRIMARY KEY AUTO_INCREMENT, name varchar(40), amount int)',
    );
    return {
      round: async (n) => {
        await client.execute('INSERT INTO stock (name, amount) VALUES (?, ?)', [`item ${n % 50}`, n]);
        await client.query('SELECT id, name FROM stock ORDER BY id DESC LIMIT 5');
        await client.query("UPDATE stock SET amount = amount - 1 WHERE name = 'item 1'");
        if (n % ERRORS_EVERY === 0) {
          await client.query('SELECT * FROM no_such_table').catch(expected);
          await client.query('SELECT SLEEP(0.3)');
          await client.query('DELETE FROM stock ORDER BY id LIMIT 3');
        }
      },
      close: () => client.end(),
    };
  },

  mongodb: async ({ host, port }) => {
    const client = new MongoClient(`mongodb://${host}:${port}/?serverSelectionTimeoutMS=5000`);
    await client.connect();
    const reviews = client.db('shop').collection('reviews');
    return {
      round: async (n) => {
        await reviews.updateOne({ _id: n % 50 }, { $set: { stars: n % 5 } }, { upsert: true });
        await reviews
          .find({ stars: { $gte: 3 } })
          .limit(5)
          .toArray();
        await reviews.countDocuments({});
        if (n % ERRORS_EVERY === 0) await reviews.insertOne({ _id: n % 50 }).catch(expected);
      },
      close: () => client.close(),
    };
  },

  amqp: async ({ host, port }) => {
    const file = env.DEMO_AMQP_PASSWORD_FILE;
    const connection = await amqp.connect({
      hostname: host,
      port,
      username: env.DEMO_AMQP_USER ?? 'guest',
      password: file === undefined ? (env.DEMO_AMQP_PASSWORD ?? 'guest') : readFileSync(file, 'utf8').trim(),
    });
    connection.on('error', () => {});
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    await channel.assertExchange('shop', 'topic', { durable: false });
    await channel.assertQueue('invoices', { durable: false, maxLength: 1000 });
    await channel.bindQueue('invoices', 'shop', 'order.*');
    await channel.consume('invoices', (message) => {
      if (message !== null) channel.ack(message);
    });
    return {
      round: async (n) => {
        for (let i = 0; i < 3; i++) channel.publish('shop', 'order.paid', Buffer.from(`order ${n}`));
        if (n % ERRORS_EVERY === 0) {
          channel.publish('shop', 'nobody.listens', Buffer.from('lost'), { mandatory: true });
        }
        await channel.waitForConfirms();
      },
      close: () => connection.close(),
    };
  },

  kafka: async ({ host, port }) => {
    const kafka = new Kafka({
      clientId: 'demo',
      brokers: [`${host}:${port}`],
      logLevel: logLevel.NOTHING,
      retry: { retries: 2 },
    });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1 }] });
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    const consumer = kafka.consumer({ groupId: 'shipping' });
    await consumer.connect();
    await consumer.subscribe({ topics: ['orders'], fromBeginning: false });
    await consumer.run({ eachMessage: async () => {} });
    return {
      round: async (n) => {
        await producer.send({ topic: 'orders', messages: [{ key: `c${n % 50}`, value: `order ${n}` }] });
        if (n % ERRORS_EVERY === 0) {
          await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 1 }] });
          await admin.fetchTopicOffsets('orders');
        }
      },
      close: async () => {
        await consumer.disconnect();
        await producer.disconnect();
        await admin.disconnect();
      },
    };
  },
};

// Alone in its container it is process 1, which no signal ends that it does not handle.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));

const done = {};
await Promise.all(Object.keys(PROTOCOLS).map(drive));
if (rounds > 0) process.stdout.write(`${JSON.stringify(done)}\n`);
process.exit(0);

async function drive(name) {
  const address = env[`DEMO_${name.toUpperCase()}`];
  if (address === undefined || address === '') return;
  const at = address.lastIndexOf(':');
  const endpoint = { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
  done[name] = { rounds: 0, failed: 0 };
  while (rounds === 0 || (done[name].rounds < rounds && done[name].failed < ATTEMPTS)) {
    let connection = null;
    try {
      connection = await PROTOCOLS[name](endpoint);
      console.error(`demo load: ${name} at ${address}`);
      while (rounds === 0 || done[name].rounds < rounds) {
        await connection.round(done[name].rounds);
        done[name].rounds++;
        await pause(pauseMs);
      }
    } catch (error) {
      done[name].failed++;
      console.error(
        `demo load: ${name} at ${address}: ${error.message || error.code}; again in ${RETRY_MS / 1000} s`,
      );
      await pause(RETRY_MS);
    }
    await Promise.resolve(connection?.close()).catch(() => {});
  }
}

/** Swallows an error that a round makes on purpose. */
function expected(error) {
  if (['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(error.code)) throw error;
}

function onlyNotFound(error) {
  if (error.code !== 'ENOTFOUND') throw error;
}
