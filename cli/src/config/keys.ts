/**
 * Every configuration key: its type, default, unit and meaning, in one list. The schema, the reference
 * configuration (`packetd config`) and the environment variables are all made from it.
 */
import type { z } from 'zod';
import { MAX_WORKERS } from '../limits.js';
import {
  duration,
  flag,
  headers,
  oneOf,
  positive,
  processors,
  rules,
  secret,
  share,
  streamName,
  text,
  texts,
  whole,
} from './types.js';

/** Which commands read a key. `up` reads all. */
export type Role = 'agent' | 'collector';
const BOTH: readonly Role[] = ['agent', 'collector'];
const AGENT: readonly Role[] = ['agent'];
/** Neither, so `up` alone. */
const UP: readonly Role[] = [];
const COLLECTOR: readonly Role[] = ['collector'];

/** The kernel wants less than 2 GiB. */
const MAX_RING_MEBIBYTES = 2047;
/** As bytes still a whole number in JSON. */
const MAX_STREAM_MEGABYTES = 2 ** 33 - 1;
const TEN_YEARS_MS = 10 * 365 * 86_400_000;

export interface Key {
  readonly path: string;
  readonly type: z.ZodType;
  readonly fallback: unknown;
  readonly roles: readonly Role[];
  readonly comment: string;
  /** Never printed; may come from a file named by `<VARIABLE>_FILE`. */
  readonly secret: boolean;
}

function key(
  path: string,
  type: z.ZodType,
  fallback: unknown,
  roles: readonly Role[],
  comment: string,
  secret = false,
): Key {
  return { path, type, fallback, roles, comment, secret };
}

export const KEYS: readonly Key[] = [
  key('logger.stdout', flag, false, BOTH, 'Log to stdout instead of stderr.'),
  key('logger.level', oneOf('debug', 'info', 'warn', 'error'), 'info', BOTH, 'debug, info, warn or error.'),
  key('logger.filename', text, '', BOTH, 'Log to this file instead; empty logs to stderr.'),

  key('sensor.name', text, '', AGENT, "Name of this sensor in every record; empty is the host's name."),

  key(
    'sniffer.ifaces',
    text,
    'any',
    AGENT,
    "Interfaces: 'any', a name, a comma list or a regular expression.",
  ),
  key(
    'sniffer.engine',
    oneOf('afpacket', 'cap'),
    process.platform === 'linux' ? 'afpacket' : 'cap',
    AGENT,
    'afpacket (Linux) or cap (libpcap, optional dependency).',
  ),
  key('sniffer.ipVersion', oneOf('', 'v4', 'v6'), '', AGENT, 'v4 or v6 watches only that; empty both.'),
  key('sniffer.noPromisc', flag, false, AGENT, 'Leave the interfaces out of promiscuous mode.'),
  key(
    'sniffer.blockNum',
    whole(2, MAX_RING_MEBIBYTES),
    32,
    AGENT,
    'Blocks of 1 MiB in the capture ring of each thread.',
  ),
  key(
    'sniffer.workers',
    whole(1, MAX_WORKERS),
    1,
    AGENT,
    'Capture threads, which share the traffic by connection.',
  ),
  key('sniffer.file', text, '', UP, 'Read this pcap or pcapng file instead of an interface.'),
  key(
    'sniffer.protocols.rules',
    rules,
    [],
    AGENT,
    "Watch only these: 'http;80,8080', or { protocol: http, ports: [80, 8080], host: 10.0.0.1 }.\nEmpty: every protocol is detected on any port.",
  ),

  key(
    'controller.layer4Metrics.enabled',
    flag,
    false,
    BOTH,
    'Count connections, packets and bytes per server endpoint.',
  ),
  key(
    'controller.layer4Metrics.requireLabels',
    texts,
    ['server_address', 'server_port'],
    COLLECTOR,
    'Labels of the tcp_* and udp_* metrics.',
  ),
  key(
    'controller.connExpired',
    duration(1),
    '5m',
    AGENT,
    'A connection without packets for this long is over.',
  ),
  key('controller.decoder.headers', flag, true, AGENT, 'Record HTTP headers (secrets are always redacted).'),
  key(
    'controller.decoder.bodyBytes',
    whole(0),
    0,
    AGENT,
    'Record at most this many bytes of textual HTTP bodies.',
  ),
  key('controller.decoder.keys', flag, false, AGENT, 'Record Redis keys.'),
  key('controller.decoder.maxPending', whole(1), 65_536, AGENT, 'Unanswered requests kept per connection.'),
  key(
    'controller.decoder.datagramTimeout',
    duration(1),
    '10s',
    AGENT,
    'A DNS query unanswered for this long is NO_RESPONSE.',
  ),
  key('controller.decoder.multicastDns', flag, false, AGENT, 'Decode mDNS and LLMNR too.'),

  key('nats.servers', texts, ['nats://127.0.0.1:4222'], BOTH, 'NATS servers with JetStream.'),
  key('nats.stream', streamName, 'PACKETD', BOTH, 'JetStream stream; made when it is not there.'),
  key('nats.user', text, '', BOTH, 'User, with nats.password.'),
  key('nats.password', secret, '', BOTH, 'Password of the user.', true),
  key('nats.token', secret, '', BOTH, 'Token, instead of user and password.', true),
  key('nats.credentials', text, '', BOTH, 'Path of a .creds file.'),
  key('nats.tls.ca', text, '', BOTH, 'Path of the CA certificate.'),
  key('nats.tls.cert', text, '', BOTH, 'Path of the client certificate.'),
  key('nats.tls.key', text, '', BOTH, "Path of the client certificate's key."),
  key(
    'nats.bufferMegabytes',
    whole(1),
    64,
    AGENT,
    'Batches kept while NATS is away; then the oldest go, counted.',
  ),

  key(
    'nats.maxAge',
    duration(0, TEN_YEARS_MS),
    '24h',
    BOTH,
    'How long a new stream keeps what no collector has taken.',
  ),
  key(
    'nats.maxMegabytes',
    whole(1, MAX_STREAM_MEGABYTES),
    10_240,
    BOTH,
    'Largest size of a new stream; then the oldest batches go.',
  ),
  key(
    'nats.leafDomains',
    texts,
    [],
    COLLECTOR,
    'JetStream domains of leaf nodes: what sensors publish there is copied into the stream here.',
  ),

  key(
    'collector.name',
    text,
    '',
    COLLECTOR,
    'Label `instance` of the metrics, different for every collector; empty is host:port of server.address.',
  ),
  key('metricsStorage.enabled', flag, true, COLLECTOR, 'Aggregate roundtrips into metrics.'),
  key(
    'metricsStorage.expired',
    duration(1),
    '5m',
    COLLECTOR,
    'A series without growth for this long is dropped.',
  ),
  key(
    'metricsStorage.vmHistogram',
    flag,
    false,
    COLLECTOR,
    "VictoriaMetrics' vmrange buckets instead of le.",
  ),
  key(
    'metricsStorage.nativeHistograms',
    flag,
    false,
    COLLECTOR,
    'Write native histograms beside the classic ones by remote write\n(Prometheus 2 takes them with --enable-feature=native-histograms only).',
  ),
  key(
    'metricsStorage.seriesBudget',
    whole(1),
    2000,
    COLLECTOR,
    'Series per metric; the rest is counted in `_other`.',
  ),
  key(
    'processor',
    processors,
    [],
    COLLECTOR,
    'Labels per protocol: [{ name: roundtripstometrics, config: { http: { requireLabels: [method, status_code] } } }].',
  ),

  key('exporter.metrics.enabled', flag, false, COLLECTOR, 'Write metrics by Prometheus remote write.'),
  key(
    'exporter.metrics.endpoint',
    text,
    'http://127.0.0.1:9090/api/v1/write',
    COLLECTOR,
    'Remote-write URL.',
  ),
  key('exporter.metrics.interval', duration(1), '15s', COLLECTOR, 'How often.'),
  key('exporter.metrics.timeout', duration(1), '15s', COLLECTOR, 'Time-out of one request.'),
  key(
    'exporter.metrics.headers',
    headers,
    {},
    COLLECTOR,
    'Further request headers, such as Authorization.',
    true,
  ),
  key('exporter.metrics.ca', text, '', COLLECTOR, 'Path of the CA certificate; empty for the usual ones.'),

  key('exporter.traces.enabled', flag, false, COLLECTOR, 'Send spans by OTLP.'),
  key(
    'exporter.traces.endpoint',
    text,
    'http://127.0.0.1:4318/v1/traces',
    COLLECTOR,
    'OTLP URL; http://host:4317 for grpc.',
  ),
  key('exporter.traces.protocol', oneOf('http', 'grpc'), 'http', COLLECTOR, 'http (protobuf) or grpc.'),
  key('exporter.traces.timeout', duration(1), '15s', COLLECTOR, 'Time-out of one request.'),
  key(
    'exporter.traces.sampleRatio',
    share,
    1,
    COLLECTOR,
    'Share of traces kept; errors and slow ones always are.',
  ),
  key('exporter.traces.slow', duration(0), '1s', COLLECTOR, 'A roundtrip this long is slow.'),
  key(
    'exporter.traces.headers',
    headers,
    {},
    COLLECTOR,
    'Further request headers, such as Authorization.',
    true,
  ),
  key('exporter.traces.ca', text, '', COLLECTOR, 'Path of the CA certificate; empty for the usual ones.'),

  key('exporter.roundtrips.enabled', flag, false, COLLECTOR, 'Write every roundtrip as a JSON document.'),
  key('exporter.roundtrips.console', flag, false, COLLECTOR, 'To stdout.'),
  key('exporter.roundtrips.filename', text, '', COLLECTOR, 'To this file, rotated.'),
  key('exporter.roundtrips.maxSize', positive, 100, COLLECTOR, 'Size at which the file is rotated, MB.'),
  key('exporter.roundtrips.maxBackups', whole(0), 10, COLLECTOR, 'Rotated files to keep.'),
  key(
    'exporter.roundtrips.elasticsearch.servers',
    texts,
    [],
    COLLECTOR,
    'To Elasticsearch: URLs, empty for none.',
  ),
  key(
    'exporter.roundtrips.elasticsearch.namespace',
    text,
    'default',
    COLLECTOR,
    'Data streams are logs-packetd.<protocol>-<namespace>.',
  ),
  key('exporter.roundtrips.elasticsearch.username', text, '', COLLECTOR, 'User, with password.'),
  key('exporter.roundtrips.elasticsearch.password', secret, '', COLLECTOR, 'Password of the user.', true),
  key(
    'exporter.roundtrips.elasticsearch.apiKey',
    secret,
    '',
    COLLECTOR,
    'API key, instead of user and password.',
    true,
  ),
  key('exporter.roundtrips.elasticsearch.ca', text, '', COLLECTOR, 'Path of the CA certificate.'),
  key(
    'exporter.roundtrips.elasticsearch.deadLetter',
    text,
    '',
    COLLECTOR,
    'File for documents that Elasticsearch refuses.',
  ),

  key('server.enabled', flag, true, BOTH, 'Serve metrics, the live tail and the web page.'),
  key('server.address', text, '127.0.0.1:9091', BOTH, 'Address to listen on: host:port.'),
  key('server.timeout', duration(1), '1m', BOTH, 'Longest a request to it may take.'),
  key(
    'server.token',
    secret,
    '',
    BOTH,
    'Bearer token of the administrative routes; without one they answer on loopback only.',
    true,
  ),
  key('server.pprof', flag, false, BOTH, 'Serve /debug/pprof.'),
];
