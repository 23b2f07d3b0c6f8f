/** node scripts/fuzz.mjs [--entry NAME] [--executions N] [--seed S]: fuzzes every entry point, or one. */
import { parseArgs } from 'node:util';
import { entries, run, runReaders } from './fuzz.js';

const { values } = parseArgs({
  options: {
    entry: { type: 'string' },
    executions: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
  },
});
const executions = Number(values.executions);
const seed = Number(values.seed);

let total = 0;
for (const [name, execute] of await entries()) {
  if (values.entry !== undefined && name !== values.entry) continue;
  const began = process.hrtime.bigint();
  const result = run(name, execute, executions, seed);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  total += result.executions;
  console.log(
    `${name.padEnd(16)}${String(result.executions).padStart(10)} executions ${Math.round(
      result.executions / seconds,
    )
      .toString()
      .padStart(8)}/s ${String(result.records).padStart(9)} records`,
  );
}
if (values.entry === undefined) {
  const { executions: files } = await runReaders(Math.ceil(executions / 100), seed);
  total += files;
  console.log(`${'capture files'.padEnd(16)}${String(files).padStart(10)} executions`);
}
console.log(
  `${total} executions, no throw, none endless; ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`,
);
