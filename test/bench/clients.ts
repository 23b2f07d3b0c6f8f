/** Loads of the benchmark for which there is no tool: `clients.js NAME PORT REQUESTS`, and gRPC's server. */
import grpc from '@grpc/grpc-js';
import amqplib from 'amqplib';
import kafkajs from 'kafkajs';
import { MongoClient } from 'mongodb';

/** Requests in flight. */
const CONCURRENCY = 32;
const [name, port, requests] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const LOADS: Readonly<Record<string, () => Promise<void>>> = {
  amqp,
  grpc: calls,
  'grpc-server': serve,
  kafka,
  mongodb,
};

/** Runs `one` for every number below `count`, so many at a time. */
async function inFlight(count: number, one: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}

/** Half of them are publishes with their confirms, half deliveries with their acks. */
async function amqp(): Promise<void> {
  const connection = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}`);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('bench', { durable: false });
  const count = requests / 2;
  let taken = 0;
  const all = new Promise<void>((resolve) => {
    void channel.consume('bench', (message) => {
      channel.ack(message!);
      if (++taken === count) resolve();
    });
  });
  for (let i = 0; i < count; i++) {
    channel.sendToQueue('bench', Buffer.from('a small message'));
    if (i % CONCURRENCY === CONCURRENCY - 1) await channel.waitForConfirms();
  }
  await all;
  await connection.close();
}

const identity = { serialize: (value: Buffer) => value, deserialize: (bytes: Buffer) => bytes };
const METHOD = '/bench.Shop/Get';

async function serve(): Promise<void> {
  const server = new grpc.Server();
  const get = {
    path: METHOD,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity.serialize,
    requestDeserialize: identity.deserialize,
    responseSerialize: identity.serialize,
    responseDeserialize: identity.deserialize,
  };
  server.addService(
    { get },
    { get: (_: unknown, reply: grpc.sendUnaryData<Buffer>) => reply(null, Buffer.from('an answer')) },
  );
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
}

async function calls(): Promise<void> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  await inFlight(
    requests,
    () =>
      new Promise<void>((resolve, reject) => {
        const { serialize, deserialize } = identity;
        client.makeUnaryRequest(METHOD, serialize, deserialize, Buffer.from('a request'), (error) =>
          error ? reject(error) : resolve(),
        );
      }),
  );
  client.close();
}

async function kafka(): Promise<void> {
  const client = new kafkajs.Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: kafkajs.logLevel.ERROR });
  const producer = client.producer({ allowAutoTopicCreation: true, maxInFlightRequests: CONCURRENCY });
  await producer.connect();
  const messages = [{ value: 'a small message' }];
  await inFlight(requests, () => producer.send({ topic: 'bench', acks: 1, messages }));
  await producer.disconnect();
}

/** Half of them insert, half find. */
async function mongodb(): Promise<void> {
  const client = await MongoClient.connect(`mongodb://127.0.0.1:${port}`, { maxPoolSize: CONCURRENCY });
  const orders = client.db('bench').collection<{ _id: number; state: string }>('orders');
  await inFlight(requests / 2, async (index) => {
    await orders.insertOne({ _id: index, state: 'new' });
    await orders.findOne({ _id: index });
  });
  await client.close();
}

await LOADS[name]();
if (name !== 'grpc-server') process.exit(0);
