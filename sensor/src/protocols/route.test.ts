import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_ROUTE_SEGMENTS, route, templateRoute } from './route.js';

const CASES: [path: string, route: string][] = [
  ['/', '/'],
  ['/users', '/users'],
  ['/users/42', '/users/{id}'],
  ['/users/42/orders/7/', '/users/{id}/orders/{id}/'],
  ['/v1/api/1.0/oauth2/utf8', '/v1/api/1.0/oauth2/utf8'],
  ['/x/550e8400-e29b-41d4-a716-446655440000', '/x/{id}'],
  ['/containers/cc4fc8e49cad/start', '/containers/{id}/start'],
  ['/static/app.3f9a8b7c.js', '/static/{id}'],
  ['/static/feedback/defaced', '/static/feedback/defaced'],
  ['/u/joe@example.com/x', '/u/{id}/x'],
  ['/u/joe%40example.com', '/u/{id}'],
  ['/day/2024-01-31', '/day/{id}'],
  ['/inv/INV-2024-001', '/inv/{id}'],
  ['/p/a-very-long-title-of-an-article-about-networks', '/p/{id}'],
  ['/page;jsessionid=0123456789/x', '/page/x'],
  ['/ip/10.0.0.1', '/ip/{id}'],
  ['/12345.json', '/{id}'],
  ['/watch/dQw4w9WgXcQ', '/watch/{id}'],
  ['/odata/Users(42)/x', '/odata/{id}/x'],
  ["/odata/Users('joe')", '/odata/{id}'],
  ['/odata/Users(%27joe%27)', '/odata/{id}'],
  ['/things/id=42', '/things/{id}'],
  ['/things/user:42', '/things/{id}'],
  ['/v1/documents:commit', '/v1/documents:commit'],
  ['/Win32Apps/getUserById', '/Win32Apps/getUserById'],
  [`${'/a'.repeat(MAX_ROUTE_SEGMENTS)}/b/c`, `${'/a'.repeat(MAX_ROUTE_SEGMENTS)}/*`],
];

for (const [path, expected] of CASES) {
  test(`route of ${path}`, () => {
    const bytes = Buffer.from(path, 'latin1');
    const length = templateRoute(bytes, 0, bytes.length);
    assert.equal(length < 0 ? path : Buffer.from(route.subarray(0, length)).toString('latin1'), expected);
  });
}

test('never longer than its cap', () => {
  const bytes = Buffer.from(`/${'x'.repeat(20)}/1`.repeat(200), 'latin1');
  assert.ok(templateRoute(bytes, 0, bytes.length) <= route.length);
});
