/** A user's mistake: one sentence that names the thing and the fix, no stack, exit code 1. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** Errors whose message is meant for the user as it is. */
const FOR_USERS = new Set([
  'UserError',
  'CaptureError',
  'RuleError',
  'ConfigError',
  'FileError',
  'CollectorError',
  'PublishError',
]);

/** Prints an error and sets the exit code. A defect shows its stack, a mistake only its sentence. */
export function fail(error: unknown): never {
  const known = error instanceof Error && FOR_USERS.has(error.name);
  const text =
    error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`packetd: ${text}\n`);
  process.exit(1);
}
