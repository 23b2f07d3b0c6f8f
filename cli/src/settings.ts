/** What the configuration means to the sensor and to the collector. */
import { hostname } from 'node:os';
import type { CollectorConfig } from '@packetd/collector/config';
import type { ServerConfig } from '@packetd/collector/server/server';
import type { LiveOptions } from '@packetd/sensor/live';
import type { Rule } from '@packetd/sensor/rules';
import type { Config } from './config/load.js';
import { UserError } from './fail.js';

const NANOS_PER_MS = 1e6;
const MEGABYTE = 1e6;

export function liveOptions(config: Config): LiveOptions {
  const version = config.get<string>('sniffer.ipVersion');
  const rules = config.get<Rule[]>('sniffer.protocols.rules');
  return {
    interfaces: config.get<string>('sniffer.ifaces'),
    engine: config.get<'afpacket' | 'cap'>('sniffer.engine'),
    promiscuous: !config.get<boolean>('sniffer.noPromisc'),
    workers: config.get<number>('sniffer.workers'),
    ringMebibytes: config.get<number>('sniffer.blockNum'),
    rules: rules.length === 0 ? null : rules,
    ipVersion: version === 'v4' ? 4 : version === 'v6' ? 6 : 0,
    decoder: decoderOptions(config),
    tcp: { idleNs: config.get<number>('controller.connExpired') * NANOS_PER_MS },
    layer4: config.get<boolean>('controller.layer4Metrics.enabled'),
    skipOwn: true,
  };
}

export function decoderOptions(config: Config): LiveOptions['decoder'] {
  return {
    headers: config.get<boolean>('controller.decoder.headers'),
    bodyBytes: config.get<number>('controller.decoder.bodyBytes'),
    keys: config.get<boolean>('controller.decoder.keys'),
    maxPending: config.get<number>('controller.decoder.maxPending'),
    datagramTimeoutNs: config.get<number>('controller.decoder.datagramTimeout') * NANOS_PER_MS,
    multicastDns: config.get<boolean>('controller.decoder.multicastDns'),
  };
}

interface Processor {
  readonly name: string;
  readonly config?: {
    readonly [protocol: string]: { readonly requireLabels?: readonly string[] | null };
  } | null;
}

export function collectorConfig(config: Config): CollectorConfig {
  return {
    metrics: metricsConfig(config),
    traces: config.get<boolean>('exporter.traces.enabled')
      ? {
          endpoint: config.get<string>('exporter.traces.endpoint'),
          protocol: config.get<'http' | 'grpc'>('exporter.traces.protocol'),
          timeoutMs: config.get<number>('exporter.traces.timeout'),
          headers: config.get<Record<string, string>>('exporter.traces.headers'),
          ca: config.get<string>('exporter.traces.ca'),
          sampleRatio: config.get<number>('exporter.traces.sampleRatio'),
          slowMs: config.get<number>('exporter.traces.slow'),
        }
      : null,
    ...documentsConfig(config),
  };
}

function metricsConfig(config: Config): CollectorConfig['metrics'] {
  if (!config.get<boolean>('metricsStorage.enabled')) return null;
  const labels: Record<string, readonly string[]> = {};
  for (const processor of config.get<Processor[]>('processor')) {
    if (processor.name !== 'roundtripstometrics') continue;
    for (const [protocol, { requireLabels }] of Object.entries(processor.config ?? {})) {
      if (requireLabels) labels[protocol] = requireLabels;
    }
  }
  return {
    storage: {
      expiredMs: config.get<number>('metricsStorage.expired'),
      vmHistogram: config.get<boolean>('metricsStorage.vmHistogram'),
      nativeHistograms: config.get<boolean>('metricsStorage.nativeHistograms'),
      seriesBudget: config.get<number>('metricsStorage.seriesBudget'),
      labels,
      layer4Labels: config.get<string[]>('controller.layer4Metrics.requireLabels'),
    },
    remoteWrite: config.get<boolean>('exporter.metrics.enabled')
      ? {
          endpoint: config.get<string>('exporter.metrics.endpoint'),
          intervalMs: config.get<number>('exporter.metrics.interval'),
          timeoutMs: config.get<number>('exporter.metrics.timeout'),
          headers: config.get<Record<string, string>>('exporter.metrics.headers'),
          ca: config.get<string>('exporter.metrics.ca'),
        }
      : null,
    instance: config.get<string>('collector.name') || instanceOf(config),
  };
}

/** Collectors of one host listen on ports of their own, which tells their series apart. */
function instanceOf(config: Config): string {
  const port = /:(\d+)$/.exec(config.get<string>('server.address'));
  return config.get<boolean>('server.enabled') && port !== null ? `${hostname()}:${port[1]}` : hostname();
}

function documentsConfig(config: Config): Pick<CollectorConfig, 'elasticsearch' | 'file' | 'console'> {
  if (!config.get<boolean>('exporter.roundtrips.enabled'))
    return { elasticsearch: null, file: null, console: false };
  const elastic = (key: string) => config.get<string>(`exporter.roundtrips.elasticsearch.${key}`);
  const servers = config.get<string[]>('exporter.roundtrips.elasticsearch.servers');
  const path = config.get<string>('exporter.roundtrips.filename');
  if (servers.length === 0 && path === '' && !config.get<boolean>('exporter.roundtrips.console')) {
    throw new UserError(
      'exporter.roundtrips is enabled and leads nowhere; set its console, filename or elasticsearch.servers, or disable it',
    );
  }
  return {
    elasticsearch:
      servers.length === 0
        ? null
        : {
            servers,
            namespace: elastic('namespace'),
            username: elastic('username'),
            password: elastic('password'),
            apiKey: elastic('apiKey'),
            ca: elastic('ca'),
            deadLetter: elastic('deadLetter'),
          },
    file:
      path === ''
        ? null
        : {
            path,
            maxBytes: config.get<number>('exporter.roundtrips.maxSize') * MEGABYTE,
            backups: config.get<number>('exporter.roundtrips.maxBackups'),
          },
    console: config.get<boolean>('exporter.roundtrips.console'),
  };
}

export function serverConfig(config: Config): ServerConfig | null {
  if (!config.get<boolean>('server.enabled')) return null;
  return {
    address: config.get<string>('server.address'),
    timeoutMs: config.get<number>('server.timeout'),
    pprof: config.get<boolean>('server.pprof'),
    token: config.get<string>('server.token'),
  };
}
