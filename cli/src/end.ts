/** How a command that runs until it is told is ended. */
import { once } from 'node:events';

/** Ctrl-C, a service manager, and the terminal being closed. */
export const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export async function waitForEnd(): Promise<void> {
  await Promise.race(END_SIGNALS.map((signal) => once(process, signal)));
}
