// npm start: sets itself up, then runs `packetd up` with the arguments behind `--`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';

setUp({ quiet: true });
const child = spawn(process.execPath, [join(root, 'cli/bin/packetd.js'), 'up', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
