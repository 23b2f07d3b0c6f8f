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
});

/** An EventSource, whose events the test makes. */
type Source = Record<'onopen' | 'onerror' | 'onmessage', (message?: { data: string }) => void>;

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
  let source: Source | undefined;
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
      constructor() {
        source = this as unknown as Source;
      }
    },
    Option: class {},
    // Drawn at once.
    setTimeout: (draw: () => void) => draw(),
  });
  return { source: source!, state: () => elements.get('state')!.textContent };
}

describe('the page', () => {
  const document = (id: string) => ({
    data: JSON.stringify({ '@timestamp': '', event: { id }, packetd: { protocol: 'http', status: 'OK' } }),
  });

  it('says whether it is connected, and counts once what it is given again', () => {
    const { source, state } = openPage();
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
});
