// One-shot: makes the secrets of the compose stack, once, into volumes that only their readers mount. The other
// volumes are mounted here so that they take the owner of this image's directories; `nocopy` elsewhere leaves them so.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [packetd = '/run/packetd', demo = '/volumes/demo'] = process.argv.slice(2);

/** Writes all files of a secret, or none: the first is what says that it is there. */
function once(directory, files) {
  mkdirSync(directory, { recursive: true });
  const secret = randomBytes(24).toString('base64url');
  const names = Object.keys(files);
  if (existsSync(join(directory, names[0]))) return;
  for (const name of names.reverse())
    writeFileSync(join(directory, name), files[name](secret), { mode: 0o444 });
}

once(packetd, {
  'nats-token': (secret) => secret,
  'nats-authorization.conf': (secret) => `token: "${secret}"\n`,
});
once(demo, {
  'rabbitmq-password': (secret) => secret,
  'rabbitmq.conf': (secret) => `default_user = demo\ndefault_pass = ${secret}\nloopback_users = none\n`,
});
