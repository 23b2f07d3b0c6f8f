/** CPU profile and heap snapshot of this process, for /debug/pprof: files that Chrome's DevTools open. */
import { Session } from 'node:inspector/promises';

/** A .cpuprofile of the next `seconds`. */
export async function cpuProfile(seconds: number): Promise<string> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const { profile } = await session.post('Profiler.stop');
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
}
