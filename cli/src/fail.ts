/** A user's mistake: one sentence that names the thing and the fix, no stack, exit code 1. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** Standard output is a file whose disk is full, most likely. */
export function stdoutFailure(code = ''): UserError {
  return new UserError(`standard output cannot be written (${code}); make room there, or write elsewhere`);
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

let isFollowed = false;

/** A word to whoever sits at the terminal. */
export function say(message: string): void {
  tell(`packetd: ${message}`);
}

/** A line on standard error; that nobody reads it any more, or the disk is full, ends nothing. */
export function tell(line: string): void {
  // What it says of a write comes later, as an event.
  if (!isFollowed) process.stderr.on('error', () => {});
  isFollowed = true;
  try {
    process.stderr.write(`${line}\n`);
  } catch {
    // There is nobody else to tell.
  }
}

/** Prints an error and sets the exit code. A defect shows its stack, a mistake only its sentence. */
export function fail(error: unknown): never {
  const known = error instanceof Error && FOR_USERS.has(error.name);
  const text =
    error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  say(text);
  process.exit(1);
}
