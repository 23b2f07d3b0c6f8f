/** Pieces of PromQL that dashboards and alerts share. They run on VictoriaMetrics and on Prometheus. */

/** Values of the label `status` of roundtrips that failed; as in the spans. */
export const FAILED = 'ERROR|RESET|CANCELLED|NO_RESPONSE';
/** What tells one service from another. */
export const SERVICE = 'protocol, server_address, server_port';

/** Selects one metric of many protocols: `{__name__=~"(http|dns)_requests_total",…}`. */
export function every(protocols, suffix, matchers = '') {
  const name = protocols.length === 1 ? protocols[0] : `(${protocols.join('|')})`;
  return `{__name__=~"${name}_${suffix}"${matchers === '' ? '' : `,${matchers}`}}`;
}

export const rate = (selector, range = '$__rate_interval') => `rate(${selector}[${range}])`;

export const sumBy = (labels, expression) =>
  labels === '' ? `sum(${expression})` : `sum by (${labels}) (${expression})`;

/** Share of the roundtrips that failed, 0 to 1: 0 where none did, nothing where there was none at all. */
export function failedShare(protocols, labels, matchers, range) {
  const all = sumBy(labels, rate(every(protocols, 'requests_total', matchers), range));
  const status = `${matchers === '' ? '' : `${matchers},`}status=~"${FAILED}"`;
  const failed = sumBy(labels, rate(every(protocols, 'requests_total', status), range));
  return `(${failed} or ${all} * 0) / ${all}`;
}

export function quantile(q, protocols, labels, matchers, range) {
  const by = labels === '' ? 'le' : `${labels}, le`;
  const buckets = rate(every(protocols, 'request_duration_seconds_bucket', matchers), range);
  return `histogram_quantile(${q}, ${sumBy(by, buckets)})`;
}
