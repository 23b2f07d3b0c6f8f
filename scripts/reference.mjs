// Writes docs/observability.md from the schema and its comments; runs on built code. `--check` exits 1
// when the page is stale.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const path = join(root, 'docs/observability.md');
const { renderReference } = await import(join(root, 'proto/dist/telemetry/reference.js'));

const image = JSON.parse(
  execFileSync(join(root, 'node_modules/.bin/buf'), ['build', 'proto', '-o', '-#format=json'], {
    cwd: root,
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'inherit'],
  }).toString(),
);

// Paths of SourceCodeInfo (google/protobuf/descriptor.proto): 4 is file.message_type, 2 is message.field.
const comments = new Map();
for (const file of image.file.filter((f) => f.package === 'packetd.v1')) {
  for (const { path, leadingComments } of file.sourceCodeInfo?.location ?? []) {
    if (leadingComments === undefined || path[0] !== 4) continue;
    const message = file.messageType[path[1]];
    if (path.length === 2) comments.set(message.name, leadingComments);
    if (path.length === 4 && path[2] === 2) {
      comments.set(`${message.name}.${message.field[path[3]].name}`, leadingComments);
    }
  }
}

const text = renderReference(comments);
if (!process.argv.includes('--check')) {
  writeFileSync(path, text);
} else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
  process.stderr.write('docs/observability.md is stale: run node scripts/reference.mjs\n');
  process.exit(1);
}
