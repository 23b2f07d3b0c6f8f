/** Kibana's saved objects: form, references, and fields that the schema's mapping has. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type ElasticMapping, elasticMapping } from '@packetd/proto/telemetry/mapping';
import {
  dashboards,
  documentedKql,
  fieldsOfKql,
  kqlOf,
  lensState,
  type SavedObject,
  savedObjects,
} from '../e2e/stack/queries.js';
import { ROOT } from '../e2e/support.js';

const objects = savedObjects();
const ofType = (type: string) => objects.filter((object) => object.type === type);
const PROTOCOLS = [...new Set(ofType('dashboard').map(({ id }) => id.replace('packetd-', '')))].filter(
  (id) => {
    try {
      return elasticMapping(id) !== undefined;
    } catch {
      return false;
    }
  },
);

/** Type by dotted name. */
function fields({ properties }: ElasticMapping, prefix = ''): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, property] of Object.entries(properties)) {
    if (property.properties === undefined) all.set(`${prefix}${name}`, property.type ?? '');
    else
      for (const [inner, type] of fields({ properties: property.properties }, `${prefix}${name}.`))
        all.set(inner, type);
  }
  return all;
}

const known = new Map(PROTOCOLS.flatMap((protocol) => [...fields(elasticMapping(protocol))]));

describe("Kibana's saved objects", () => {
  it('are NDJSON with unique ids and references that resolve', () => {
    assert.equal(PROTOCOLS.length, 10);
    const ids = new Set(objects.map(({ type, id }) => `${type} ${id}`));
    assert.equal(ids.size, objects.length);
    for (const { type, id, attributes, references } of objects) {
      assert.notEqual(attributes.title, undefined, id);
      assert.match(id, /^packetd-[\w-]+$/);
      for (const reference of references)
        assert.ok(ids.has(`${reference.type} ${reference.id}`), `${type} ${id}: ${reference.id}`);
    }
  });

  it('have a place in a dashboard for every visualisation, and one panel for every reference', () => {
    const used = new Set<string>();
    for (const { id, attributes, references } of ofType('dashboard')) {
      const panels = JSON.parse(attributes.panelsJSON as string) as {
        panelRefName?: string;
        panelIndex: string;
        type: string;
        gridData: { x: number; y: number; w: number; h: number; i: string };
      }[];
      const named = panels.filter(({ panelRefName }) => panelRefName !== undefined);
      assert.deepEqual(
        named.map(({ panelIndex, panelRefName }) => `${panelIndex}:${panelRefName}`),
        references.map(({ name }) => name),
        id,
      );
      for (const { panelIndex, gridData } of panels) {
        assert.equal(gridData.i, panelIndex);
        assert.ok(gridData.x + gridData.w <= 48, id);
      }
      for (const { id: other } of references) used.add(other);
    }
    for (const { id } of ofType('lens')) assert.ok(used.has(id), id);
  });

  it('name only fields of the mapping', () => {
    const need = (object: SavedObject, name: string) =>
      assert.ok(known.has(name), `${object.type} ${object.id}: there is no field ${name}`);
    for (const object of [...ofType('search'), ...ofType('dashboard')]) {
      for (const name of fieldsOfKql(kqlOf(object))) need(object, name);
    }
    for (const object of ofType('search')) {
      const { columns, sort } = object.attributes as { columns: string[]; sort: [string, string][] };
      for (const name of [...columns, ...sort.map(([field]) => field)]) need(object, name);
    }
    for (const object of ofType('lens')) {
      const state = lensState(object);
      for (const name of fieldsOfKql(state.query.query)) need(object, name);
      for (const layer of Object.values(state.datasourceStates.formBased.layers)) {
        assert.deepEqual([...layer.columnOrder].sort(), Object.keys(layer.columns).sort());
        for (const { sourceField, operationType, filter } of Object.values(layer.columns)) {
          for (const name of fieldsOfKql(filter?.query ?? '')) need(object, name);
          if (operationType === 'count') continue;
          need(object, sourceField);
          const type = known.get(sourceField) ?? '';
          if (['percentile', 'sum', 'average'].includes(operationType))
            assert.match(type, /long|double|float/, sourceField);
          if (operationType === 'terms') assert.match(type, /keyword|ip|long|boolean/, sourceField);
        }
      }
    }
    const [view] = ofType('index-pattern');
    const attributes = view.attributes as {
      fieldFormatMap: string;
      fieldAttrs: string;
      timeFieldName: string;
      title: string;
    };
    for (const name of [
      ...Object.keys(JSON.parse(attributes.fieldFormatMap)),
      ...Object.keys(JSON.parse(attributes.fieldAttrs)),
      attributes.timeFieldName,
    ])
      need(view, name);
    assert.equal(attributes.title, 'logs-packetd.*');
  });

  it('lead from a document to its trace and its dashboard', () => {
    const formats = JSON.parse(ofType('index-pattern')[0].attributes.fieldFormatMap as string) as {
      [field: string]: { params: { urlTemplate: string } };
    };
    assert.match(
      formats['trace.id'].params.urlTemplate,
      /^http:\/\/127\.0\.0\.1:16686\/trace\/\{\{value\}\}$/,
    );
    const template = formats['packetd.protocol'].params.urlTemplate;
    for (const protocol of PROTOCOLS) {
      const id = template.replace('{{value}}', protocol).split('/').at(-1);
      assert.ok(
        ofType('dashboard').some((dashboard) => dashboard.id === id),
        id,
      );
    }
  });

  it('are linked to by links that lead somewhere', () => {
    for (const { id, attributes } of ofType('dashboard')) {
      for (const [, target] of (attributes.panelsJSON as string).matchAll(/#\/view\/([\w-]+)/g))
        assert.ok(
          ofType('dashboard').some((dashboard) => dashboard.id === target),
          `${id}: ${target}`,
        );
    }
    assert.ok(dashboards().length >= 7);
  });

  it('have KQL in the docs that names only fields of the mapping', () => {
    const rows = documentedKql();
    assert.ok(rows.length >= 20);
    for (const kql of rows)
      for (const name of fieldsOfKql(kql)) assert.ok(known.has(name), `${name} in ${kql}`);
  });
});

describe('deploy/kibana/import.mjs', () => {
  async function run(
    env: NodeJS.ProcessEnv,
    answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
  ) {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (piece: Buffer) => {
        body += piece.toString();
      });
      request.on('end', () => answer(request, response, body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const child = spawn(process.execPath, [join(ROOT, 'deploy/kibana/import.mjs')], {
      env: { ...process.env, KIBANA_URL: `http://127.0.0.1:${port}/`, ...env },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (piece: Buffer) => {
        output += piece.toString();
      });
    }
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    server.close();
    return { code, output };
  }

  it('waits for Kibana, imports with overwrite and puts the address of Jaeger in its place', async () => {
    const seen: string[] = [];
    let asked = 0;
    let imported = '';
    const { code, output } = await run(
      { JAEGER_URL: 'https://traces.example/', KIBANA_API_KEY: 'key' },
      (request, response, body) => {
        assert.equal(request.headers.authorization, 'ApiKey key');
        if (request.url === '/api/status') {
          response.writeHead(asked++ === 0 ? 503 : 200).end('{"status":{"overall":{"level":"available"}}}');
          return;
        }
        assert.notEqual(request.headers['kbn-xsrf'], undefined);
        seen.push(`${request.method} ${request.url}`);
        if (request.url?.includes('_import')) imported = body;
        response.end(JSON.stringify({ success: true, successCount: objects.length }));
      },
    );
    assert.equal(code, 0, output);
    assert.deepEqual(seen, [
      'POST /api/saved_objects/_import?overwrite=true',
      'POST /api/data_views/default',
      'POST /internal/kibana/settings',
    ]);
    assert.ok(
      imported.includes('https://traces.example/trace/{{value}}') && !imported.includes('127.0.0.1:16686'),
    );
    assert.match(output, new RegExp(`${objects.length} objects`));
  });

  it('fails with the reasons where Kibana refuses an object', async () => {
    const { code, output } = await run({}, (request, response) => {
      if (request.url === '/api/status') response.end('{}');
      else
        response.end(
          '{"success":false,"errors":[{"type":"lens","id":"x","error":{"type":"missing_references"}}]}',
        );
    });
    assert.equal(code, 1);
    assert.match(output, /lens x: missing_references/);
  });
});
