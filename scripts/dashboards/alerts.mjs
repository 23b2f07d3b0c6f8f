/** Alert rules: one list, written for Prometheus (and vmalert) and for Grafana. */
import { every, failedShare, quantile, rate, SERVICE, sumBy } from './promql.mjs';

const RUNBOOK = 'docs/operations.md';
/** Services with less traffic than this, per second, do not alert. */
const ENOUGH = 0.1;

/** Groups as in a Prometheus rule file. */
export function alertGroups({ protocols }) {
  const requests = (matchers = '') =>
    sumBy(SERVICE, rate(every(protocols, 'requests_total', matchers), '5m'));
  const busy = `and (${requests()} > ${ENOUGH})`;
  const ledger = (name, range = '5m') =>
    `sum by (sensor) (increase(packetd_sensor_ledger_total{name="${name}"}[${range}]))`;
  const endpoint = (metric) => `sum by (server_address, server_port) (rate(${metric}[5m]))`;
  const service = '{{ $labels.protocol }} at {{ $labels.server_address }}:{{ $labels.server_port }}';
  const tcp = '{{ $labels.server_address }}:{{ $labels.server_port }}';

  const services = [
    rule('PacketdServiceErrors', '5m', 'warning', `${service} fails`, {
      expr: `(${failedShare(protocols, SERVICE, '', '5m')} > 0.05) ${busy}`,
      description: 'More than 5 % of the roundtrips of the last 5 minutes failed.',
    }),
    rule('PacketdServiceUnanswered', '5m', 'warning', `${service} does not answer`, {
      expr: `(${requests('status="NO_RESPONSE"')} / ${requests()} > 0.01) ${busy}`,
      description: 'More than 1 % of the requests of the last 5 minutes got no answer.',
    }),
    rule('PacketdServiceSlow', '10m', 'warning', `${service} is slow`, {
      expr: `(${quantile(0.95, protocols, SERVICE, '', '5m')} > 1) ${busy}`,
      description: 'The slowest 5 % of the roundtrips took longer than a second.',
    }),
    rule('PacketdTcpConnectionsFail', '5m', 'warning', `${tcp} takes no connections`, {
      expr: `${endpoint('tcp_connections_failed_total')} > 0.1`,
      description: 'Connections are refused or not answered.',
    }),
    rule('PacketdTcpConnectionsReset', '10m', 'info', `${tcp} resets connections`, {
      expr: `(${endpoint('tcp_connections_reset_total')} / ${endpoint('tcp_connections_opened_total')} > 0.2) and (${endpoint('tcp_connections_opened_total')} > ${ENOUGH})`,
      description: 'More than 20 % of the connections end by RST.',
    }),
    rule('PacketdTcpRetransmissions', '10m', 'warning', `Packets to or from ${tcp} are lost`, {
      expr: `(${endpoint('tcp_retransmitted_segments_total')} / (${endpoint('tcp_client_packets_total')} + ${endpoint('tcp_server_packets_total')}) > 0.03) and (${endpoint('tcp_client_packets_total')} > 1)`,
      description: 'More than 3 % of the segments were sent again.',
    }),
  ];

  const packetd = [
    rule('PacketdSensorDropsFrames', '5m', 'warning', 'Sensor {{ $labels.sensor }} drops frames', {
      expr: `${ledger('kernelDropped')} / ${ledger('frames')} > 0.001`,
      description: 'The ring overflowed: roundtrips are incomplete or missing.',
    }),
    rule('PacketdSensorDropsRecords', '0s', 'critical', 'Sensor {{ $labels.sensor }} drops records', {
      expr: `${ledger('recordsDropped')} > 0`,
      description: 'Nobody took the records in time.',
    }),
    rule('PacketdSensorSilent', '2m', 'critical', 'Sensor {{ $labels.sensor }} is silent', {
      expr: `(${ledger('frames', '1h')} > 0) unless (${ledger('frames', '5m')} > 0)`,
      description: 'It sent batches within the last hour and none within the last 5 minutes.',
    }),
    rule('PacketdCollectorDown', '2m', 'critical', 'Collector {{ $labels.instance }} does not answer', {
      expr: 'up{job="packetd-collector"} == 0',
      description: 'Its /metrics cannot be scraped.',
    }),
    rule(
      'PacketdOutputStuck',
      '5m',
      'critical',
      'Output {{ $labels.output }} of {{ $labels.instance }} is stuck',
      {
        expr: '(sum by (output, instance) (packetd_output_open_batches) > 0) unless (sum by (output, instance) (increase(packetd_output_records_total[5m])) > 0)',
        description: 'Batches are open and none was accepted for 5 minutes.',
      },
    ),
    rule('PacketdOutputRetries', '10m', 'warning', 'Output {{ $labels.output }} retries', {
      expr: 'sum by (output) (rate(packetd_output_retries_total[5m])) > 0.1',
      description: 'Its backend is down, or answers 429 or 5xx.',
    }),
    rule('PacketdOutputRefused', '0s', 'warning', 'The backend of {{ $labels.output }} refuses roundtrips', {
      expr: 'sum by (output) (increase(packetd_output_records_total{result=~"refused|dropped|unreadable"}[15m])) > 0',
      description: 'They are lost to this output, or in the dead-letter file where one is set.',
    }),
    rule('PacketdUndecodable', '0s', 'warning', 'Messages that are no batch', {
      expr: 'sum(increase(packetd_source_undecodable_total[15m])) > 0',
      description: 'Something else publishes on the stream, or a sensor is newer than the collector.',
    }),
    rule(
      'PacketdSeriesBudget',
      '15m',
      'info',
      'Metrics of {{ $labels.job }} are beyond their series budget',
      {
        expr: `count by (job) (${every(protocols, 'requests_total', 'operation="_other"')}) > 0`,
        description: 'Further series are counted together as _other.',
      },
    ),
  ];
  return [
    { name: 'packetd-services', interval: '1m', rules: services },
    { name: 'packetd-itself', interval: '1m', rules: packetd },
  ];
}

function rule(alert, wait, severity, summary, { expr, description }) {
  return {
    alert,
    expr,
    for: wait,
    labels: { severity },
    annotations: { summary, description, runbook: `${RUNBOOK}#${alert.toLowerCase()}` },
  };
}

/** The same rules as Grafana provisions them: a query and the condition that it has a result. */
export function grafanaRules(groups) {
  return {
    apiVersion: 1,
    groups: groups.map(({ name, interval, rules }) => ({
      orgId: 1,
      name,
      folder: 'packetd',
      interval,
      rules: rules.map(({ alert, expr, for: wait, labels, annotations }) => ({
        uid: alert.replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase(),
        title: alert,
        condition: 'B',
        data: [
          {
            refId: 'A',
            relativeTimeRange: { from: 3600, to: 0 },
            datasourceUid: 'packetd-metrics',
            model: { refId: 'A', expr, instant: true, range: false },
          },
          {
            refId: 'B',
            relativeTimeRange: { from: 3600, to: 0 },
            datasourceUid: '__expr__',
            model: { refId: 'B', type: 'math', expression: 'is_number($A)' },
          },
        ],
        noDataState: 'OK',
        execErrState: 'Error',
        for: wait,
        labels,
        annotations,
      })),
    })),
  };
}
