/** Standard output of the commands that do not write it themselves, as the printer does. */
import { fail, stdoutFailure } from '../fail.js';

let followed = false;

/** A reader that has had enough, as `head` has, is no error: the program ends quietly then. */
export function print(text: string): void {
  if (!followed) {
    followed = true;
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      fail(stdoutFailure(error.code));
    });
  }
  try {
    process.stdout.write(text);
  } catch (error) {
    fail(stdoutFailure((error as NodeJS.ErrnoException).code));
  }
}
