import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { page } from './page.js';
import { Server } from './server.js';
import { Tail } from './tail.js';

const server = (address: string) =>
  new Server(
    { address, timeoutMs: 1000, pprof: false, token: '' },
    {
      tail: new Tail(),
      metrics: null,
      ledger: null,
      notReady: () => [],
      reload: async () => '',
      logLevel: { get: () => 'info', set: () => true },
    },
  );

describe('an address', () => {
  for (const address of [
    '9091',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '[::1:9091',
    '::1]:9091',
    'a:9x',
  ]) {
    it(`is not ${address}`, () => {
      assert.throws(() => server(address), {
        name: 'CollectorError',
        message: `server.address '${address}' is not host:port; write 127.0.0.1:9091 or [::1]:9091`,
      });
    });
  }
  for (const [address, host] of [
    [':0', '127.0.0.1'],
    ['[::1]:0', '::1'],
    ['::1:0', '::1'],
  ]) {
    it(`may be ${address}`, async () => {
      const listening = server(address);
      await listening.listen();
      assert.equal(listening.addresses[0].address, host);
      await listening.close();
    });
  }
});

describe('administration without a token', () => {
  const administered = server('127.0.0.1:0');
  before(() => administered.listen());
  after(() => administered.close());
  for (const [who, headers, status] of [
    ['a program', {}, 200],
    ['a page of another site', { origin: 'http://evil.test', 'sec-fetch-site': 'cross-site' }, 403],
    ['another site by a browser that says little', { origin: 'null' }, 403],
  ] as const) {
    it(`answers ${status} to ${who}`, async () => {
      const [{ port }] = administered.addresses;
      const response = await fetch(`http://127.0.0.1:${port}/-/logger?level=error`, {
        method: 'POST',
        headers,
      });
      assert.equal(response.status, status);
    });
  }
});

describe('/watch', () => {
  const watched = server('127.0.0.1:0');
  before(() => watched.listen());
  after(() => watched.close());
  // 25 days, which is more than timers of Node take.
  for (const timeout of ['2160000', 'Infinity']) {
    it(`lasts with timeout=${timeout}`, async () => {
      const { port } = watched.addresses[0];
      const response = await fetch(`http://127.0.0.1:${port}/watch?timeout=${timeout}`);
      const reader = response.body!.getReader();
      const first = await Promise.race([reader.read(), sleep(200, 'open')]);
      assert.equal(first, 'open');
      await reader.cancel();
    });
  }

  it('is for so many only as there is memory for the slowest of them', async () => {
    const { port } = watched.addresses[0];
    const watch = () => fetch(`http://127.0.0.1:${port}/watch`);
    const open: Response[] = [];
    for (;;) {
      const response = await watch();
      if (response.status !== 200) {
        assert.equal(response.status, 503);
        assert.equal(response.headers.get('retry-after'), '10');
        assert.equal(await response.text(), 'too many follow already; try again later\n');
        break;
      }
      open.push(response);
    }
    assert.equal(open.length, 50);
    await open.pop()!.body!.cancel();
    // Its end is heard a moment later.
    for (let tries = 0; ; tries++) {
      const response = await watch();
      await response.body!.cancel();
      if (response.status === 200) break;
      assert.ok(tries < 100);
      await sleep(20);
    }
    for (const response of open) await response.body!.cancel();
  });
});

/** An EventSource, whose events the test makes. */
type Source = Record<'onopen' | 'onerror' | 'onmessage', (message?: { data: string }) => void> & {
  readyState: number;
};

/** The script of the page in a document that shows nothing. */
function openPage() {
  const elements = new Map<string, Record<string, unknown>>();
  const element = () => ({
    addEventListener() {},
    append() {},
    prepend() {},
    replaceChildren() {},
    children: [],
    value: '',
    textContent: '',
    dataset: {},
    insertCell: () => ({}),
  });
  const sources: Source[] = [];
  const script = /<script nonce="n">([\s\S]*)<\/script>/.exec(page('n'))![1];
  runInNewContext(script, {
    document: {
      getElementById(id: string) {
        if (!elements.has(id)) elements.set(id, element());
        return elements.get(id);
      },
      createElement: element,
    },
    EventSource: class {
      static CLOSED = 2;
      readyState = 1;
      constructor() {
        sources.push(this as unknown as Source);
      }
    },
    Option: class {},
    // Drawn at once.
    setTimeout: (draw: () => void) => draw(),
  });
  return { sources, state: () => elements.get('state')!.textContent };
}

describe('the page', () => {
  const document = (id: string) => ({
    data: JSON.stringify({ '@timestamp': '', event: { id }, packetd: { protocol: 'http', status: 'OK' } }),
  });

  it('says whether it is connected, and counts once what it is given again', () => {
    const { sources, state } = openPage();
    const [source] = sources;
    source.onopen();
    assert.equal(state(), 'watching; nothing seen yet');
    source.onmessage(document('a'));
    source.onmessage(document('b'));
    assert.equal(state(), '2 roundtrips');
    source.onerror();
    assert.equal(state(), 'connection lost, trying again');
    source.onopen();
    assert.equal(state(), '2 roundtrips');
    for (const id of ['a', 'b', 'c']) source.onmessage(document(id));
    assert.equal(state(), '3 roundtrips');
  });
  it('connects again after an answer with which the browser gives up', () => {
    const { sources } = openPage();
    sources[0].onerror();
    assert.equal(sources.length, 1);
    sources[0].readyState = 2;
    sources[0].onerror();
    assert.equal(sources.length, 2);
  });
});
