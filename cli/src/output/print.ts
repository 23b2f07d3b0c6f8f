/** Standard output of the commands that do not write it themselves, as the printer does. */
import { fail } from '../fail.js';

let followed = false;

/** A reader that has had enough, as `head` has, is no error: `ended` is called then, which ends the program quietly. */
export function print(bytes: string | Uint8Array, ended: () => void = () => process.exit(0)): void {
  if (!followed) {
    followed = true;
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') ended();
      else fail(error);
    });
  }
  process.stdout.write(bytes);
}
