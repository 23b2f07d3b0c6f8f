#!/usr/bin/env node
import { existsSync, statSync } from 'node:fs';

const compiled = new URL('../dist/main.js', import.meta.url);
const bundled = new URL('../bundle/main.js', import.meta.url);
if (existsSync(bundled) && !isStale()) await import(bundled.href);
else if (existsSync(compiled)) await import(compiled.href);
else {
  process.stderr.write("packetd: not built yet; run 'npm ci && npm run build' in the checkout\n");
  process.exit(1);
}

/** Whether something was compiled since it was bundled. */
function isStale() {
  const bundledMs = statSync(bundled).mtimeMs;
  return ['proto', 'sensor', 'collector', 'cli'].some((workspace) => {
    const stamp = statSync(new URL(`../../${workspace}/dist/.tsbuildinfo`, import.meta.url), {
      throwIfNoEntry: false,
    });
    return stamp !== undefined && stamp.mtimeMs > bundledMs;
  });
}
