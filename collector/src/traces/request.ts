/** Puts spans together to an ExportTraceServiceRequest: a resource for each observed service. */
import { WireWriter } from '@packetd/proto';
import { attribute, type Encoded } from './span.js';
import { OtlpTag } from './wire.js';

const SCOPE = 'packetd';

/** What the spans of one request have in common besides their service. */
export interface Observer {
  readonly name: string;
  readonly hostname: string;
  readonly version: string;
}

/** A span and the sensor that saw it. */
export interface Observed {
  readonly span: Encoded;
  readonly observer: Observer;
}

export function encodeRequest(spans: readonly Observed[]): Uint8Array {
  const resources = new Map<string, Observed[]>();
  for (const observed of spans) {
    const { name, hostname, version } = observed.observer;
    const key = `${observed.span.service}\n${name}\n${hostname}\n${version}`;
    const group = resources.get(key);
    if (group === undefined) resources.set(key, [observed]);
    else group.push(observed);
  }
  const request = new WireWriter(1 << 16);
  for (const group of resources.values()) {
    const body = resourceSpans(group);
    request.blob(OtlpTag.REQUEST_RESOURCE_SPANS, body.bytes, 0, body.length);
  }
  return request.bytes.slice(0, request.length);
}

function resourceSpans(group: readonly Observed[]): WireWriter {
  const { span, observer } = group[0];
  const w = new WireWriter(1 << 14);
  const resource = w.begin(OtlpTag.RESOURCE_SPANS_RESOURCE);
  attribute(w, OtlpTag.RESOURCE_ATTRIBUTES, 'service.name', span.service);
  attribute(w, OtlpTag.RESOURCE_ATTRIBUTES, 'host.name', observer.hostname);
  attribute(w, OtlpTag.RESOURCE_ATTRIBUTES, 'packetd.sensor.name', observer.name);
  w.end(resource);
  const scoped = new WireWriter(1 << 14);
  const scope = scoped.begin(OtlpTag.SCOPE_SPANS_SCOPE);
  scoped.string(OtlpTag.SCOPE_NAME, SCOPE);
  scoped.string(OtlpTag.SCOPE_VERSION, observer.version);
  scoped.end(scope);
  for (const { span: each } of group)
    scoped.blob(OtlpTag.SCOPE_SPANS_SPANS, each.bytes, 0, each.bytes.length);
  w.blob(OtlpTag.RESOURCE_SPANS_SCOPE_SPANS, scoped.bytes, 0, scoped.length);
  return w;
}
