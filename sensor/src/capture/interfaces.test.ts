import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import { type InterfaceInfo, listInterfaces, selectInterfaces } from './interfaces.js';

const make = (name: string, index: number, up = true): InterfaceInfo => ({
  name,
  index,
  addresses: up ? [`10.0.0.${index}`] : [],
  up,
  loopback: name === 'lo',
  mtu: 1500,
});
const interfaces = [make('lo', 1), make('eth0', 2), make('eth1.100', 3), make('br-1f', 4, false)];

describe('selectInterfaces', () => {
  for (const { pattern, names } of [
    { pattern: 'any', names: ['lo', 'eth0', 'eth1.100', 'br-1f'] },
    { pattern: 'eth0', names: ['eth0'] },
    { pattern: 'lo, eth0', names: ['lo', 'eth0'] },
    { pattern: 'eth1.100', names: ['eth1.100'] },
    { pattern: 'eth.*', names: ['eth0', 'eth1.100'] },
    { pattern: 'eth0|br-.{1,3}', names: ['eth0', 'br-1f'] },
  ]) {
    it(pattern, () => {
      assert.deepEqual(
        selectInterfaces(pattern, interfaces).map(({ name }) => name),
        names,
      );
    });
  }

  for (const { pattern, message } of [
    {
      pattern: 'eth',
      message:
        "'eth' matches no interface; there are: lo (10.0.0.1), eth0 (10.0.0.2), eth1.100 (10.0.0.3), br-1f (down)",
    },
    {
      pattern: 'eth(',
      message:
        "'eth(' matches no interface; there are: lo (10.0.0.1), eth0 (10.0.0.2), eth1.100 (10.0.0.3), br-1f (down)",
    },
    {
      pattern: 'lo,wlan0',
      message:
        "there is no interface 'wlan0'; there are: lo (10.0.0.1), eth0 (10.0.0.2), eth1.100 (10.0.0.3), br-1f (down)",
    },
  ]) {
    it(`${pattern} is refused`, () => {
      assert.throws(() => selectInterfaces(pattern, interfaces), { code: 'NO_INTERFACE', message });
    });
  }
});

it('listInterfaces has what Node has, with loopback told apart', () => {
  const listed = listInterfaces();
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    const found = listed.find((one) => one.name === name);
    assert.deepEqual(
      found?.addresses,
      addresses.map(({ address }) => address),
    );
    assert.equal(found?.loopback, addresses[0].internal);
    assert.equal(found?.up, true);
  }
});
