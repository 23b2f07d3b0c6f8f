/** The program's log: JSON lines to stderr, stdout or a file, with a level that can change. */

import type { Log } from '@packetd/collector/log';
import { type Logger, pino } from 'pino';
import type { Config } from './config/load.js';
import { UserError } from './fail.js';

const LEVELS = new Set(['debug', 'info', 'warn', 'error']);
const STDOUT = 1;
const STDERR = 2;

export interface LeveledLog extends Log {
  readonly level: { get(): string; set(level: string): boolean };
  /** Goes on in the file that has the log's name now. */
  reopen(): void;
}

function open(dest: string | number): ReturnType<typeof pino.destination> {
  try {
    return pino.destination({ dest, sync: true, mkdir: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError(`logger.filename: cannot write '${dest}' (${code}); choose another file`);
  }
}

export function makeLog(config: Config): LeveledLog {
  const filename = config.get<string>('logger.filename');
  const stdout = config.get<boolean>('logger.stdout');
  const destination = open(filename === '' ? (stdout ? STDOUT : STDERR) : filename);
  const logger: Logger = pino(
    { level: config.get<string>('logger.level'), base: { name: 'packetd' } },
    destination,
  );
  const write =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: object = {}): void =>
      logger[level](fields, message);
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    reopen: () => {
      if (filename !== '') destination.reopen();
    },
    level: {
      get: () => logger.level,
      set: (level) => {
        if (!LEVELS.has(level)) return false;
        logger.level = level;
        return true;
      },
    },
  };
}
