/**
 * Lost segments: whatever is missing, nothing that is reported as answered is wrong. Each frame of a
 * reference capture is left out in turn, then 1 % and 5 % of them at random.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type RoundTrip, Status } from '@packetd/proto/gen/packetd/v1/roundtrip_pb';
import { CORPUS, decode, noCorpus, random } from './corpus.js';

/** Captures with whole conversations, one and more for each protocol. */
const REFERENCES: Readonly<Record<string, readonly string[]>> = {
  amqp: ['deepflow/amqp/amqp1.pcap'],
  dns: ['zeek/dns/dns__tkey.pcap', 'packetbeat/dns/dns_google_com.pcap'],
  http: ['packetbeat/http1/http_over_vlan.pcap', 'zeek/http1/http__concurrent-range-requests.pcap'],
  http2: ['pcap_file_ex/http2/http2_sample.pcap'],
  grpc: ['packt-grpc-go/grpc/Server_Streaming.pcapng', 'wireshark-wiki/grpc/grpc_person_search.pcapng'],
  kafka: [
    'wireshark-wiki/kafka/kafka-testcases-v4__produce.pcapng',
    'wireshark-wiki/kafka/kafka-testcases-v4__metadata.pcapng',
  ],
  mongodb: ['packetbeat/mongodb/mongodb_find.pcap', 'packetbeat/mongodb/mongo_3.0_session.pcap'],
  mysql: ['wireshark-wiki/mysql/mysql_complete.pcap', 'zeek/mysql/mysql__auth.pcap'],
  postgresql: [
    'packetbeat/postgresql/pgsql_request_response.pcap',
    'zeek/postgresql/postgresql__psql-select-now.pcap',
  ],
  redis: [
    'spicy-redis/redis/loop-redis.pcap',
    'spicy-redis/redis/auth.pcap',
    'zeek/redis/redis__pubsub-resp3.pcap',
  ],
};
const MAX_DROPS = 150;
const RANDOM_RUNS = 5;

/** What must not change: who asked what when, and how it went. */
const asked = (r: RoundTrip): string =>
  `${r.operation} ${r.target} ${Status[r.status]} ${r.errorType} from ${r.startUnixNano}`;
/** The same by its end: the first bytes may be what was lost. */
const ended = (r: RoundTrip): string =>
  `${r.operation} ${Status[r.status]} ${r.errorType} to ${r.startUnixNano + r.durationNano}`;

function claims(r: RoundTrip): boolean {
  return (r.status === Status.OK || r.status === Status.ERROR) && r.missingBytes === 0n && r.operation !== '';
}

describe('loss', { skip: noCorpus }, () => {
  const rows: string[] = [];
  for (const [protocol, files] of Object.entries(REFERENCES)) {
    it(protocol, { timeout: 300_000 }, async () => {
      let runs = 0;
      let exact = 0;
      let expected = 0;
      let incomplete = 0;
      const wrong: string[] = [];
      for (const file of files) {
        const path = join(CORPUS, file);
        const whole = await decode(path);
        const right = new Set(whole.records.filter(claims).flatMap((r) => [asked(r), ended(r)]));
        assert.ok(right.size > 0, `${file} has no roundtrip`);
        const lossy = async (keep: (index: number) => boolean, what: string) => {
          const { records } = await decode(path, keep);
          runs++;
          expected += whole.records.length;
          for (const record of records) {
            if (!claims(record)) incomplete++;
            else if (right.has(asked(record)) || right.has(ended(record))) exact++;
            else wrong.push(`${file} without ${what}: ${asked(record)}`);
          }
        };
        const step = Math.max(1, Math.ceil(whole.frames / MAX_DROPS));
        for (let drop = 0; drop < whole.frames; drop += step)
          await lossy((index) => index !== drop, `frame ${drop + 1}`);
        for (const share of [0.01, 0.05]) {
          for (let run = 1; run <= RANDOM_RUNS; run++) {
            const next = random(run * 7919);
            const kept = Array.from({ length: whole.frames }, () => next() >= share);
            await lossy((index) => kept[index], `${share * 100} %, seed ${run}`);
          }
        }
      }
      rows.push(
        `${protocol.padEnd(12)}${String(runs).padStart(6)}${String(expected).padStart(10)}${String(exact).padStart(10)}${`${((100 * exact) / expected).toFixed(1)} %`.padStart(10)}${String(incomplete).padStart(12)}${String(wrong.length).padStart(8)}`,
      );
      assert.deepEqual(wrong, []);
    });
  }
  it('prints how much of it survives', () => {
    console.log(
      `${'protocol'.padEnd(12)}${'runs'.padStart(6)}${'there'.padStart(10)}${'exact'.padStart(10)}${''.padStart(10)}${'incomplete'.padStart(12)}${'wrong'.padStart(8)}`,
    );
    for (const row of rows) console.log(row);
  });
});
