/** A short run of the fuzzer; `node scripts/fuzz.mjs` runs as long as one likes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { entries, run, runReaders } from './fuzz.js';

const EXECUTIONS = 3000;

describe('fuzzing', async () => {
  for (const [name, execute] of await entries()) {
    it(name, () => assert.equal(run(name, execute, EXECUTIONS, 20_261).executions, EXECUTIONS));
  }
  it('capture files', async () => assert.equal((await runReaders(200, 20_261)).executions, 200));
});
