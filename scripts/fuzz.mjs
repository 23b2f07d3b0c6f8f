// npm run fuzz [-- --entry NAME --executions N --seed S]: sets itself up, then fuzzes (test/fuzz).
import { join } from 'node:path';
import { root, run, setUp } from './setup.mjs';

setUp({ quiet: true });
process.exit(run(process.execPath, [join(root, 'test/dist/fuzz/main.js'), ...process.argv.slice(2)]));
