// npm run bench [case] [--json] [--against NAME=COMMAND]: sets itself up, then measures (test/bench).
import { join } from 'node:path';
import { root, run, setUp } from './setup.mjs';

setUp();
process.exit(run(process.execPath, [join(root, 'test/dist/bench/main.js'), ...process.argv.slice(2)]));
