/** How a command that runs until it is told is ended. */
import { once } from 'node:events';

/** Ctrl-C, a service manager, and the terminal being closed. */
export const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The same for services, to which SIGHUP says something else (`onHangup`). */
export const SERVICE_END_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export async function waitForEnd(signals: readonly NodeJS.Signals[]): Promise<void> {
  await Promise.race(signals.map((signal) => once(process, signal)));
}
