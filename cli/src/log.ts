/** The program's log: JSON lines to stderr, stdout or a file, with a level that can change. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '@packetd/collector/log';
import { type Logger, pino } from 'pino';
import type { Config } from './config/load.js';
import { UserError } from './fail.js';

const LEVELS = new Set(['debug', 'info', 'warn', 'error']);
const STDOUT = 1;
const STDERR = 2;
/** How long a pipe that is full is waited for, and in what steps. */
const PATIENCE_MS = 100;
const STEP_MS = 5;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

export interface LeveledLog extends Log {
  readonly level: { get(): string; set(level: string): boolean };
  /** Goes on in the file that has the log's name now. Throws UserError. */
  reopen(): void;
}

/** A full disk or a reader that has gone is no reason to stop watching: lines are left out then, and counted. */
class Lines {
  private fd: number;
  private left = 0;
  /** The last line is there in part. */
  private isCut = false;

  /** `place` is the path of a file, or a descriptor. Throws UserError. */
  constructor(private readonly place: string | number) {
    this.fd = open(place);
  }

  write(line: string): void {
    try {
      if (this.left > 0) {
        this.put(
          `{"level":40,"time":${Date.now()},"name":"packetd","lines":${this.left},"msg":"the log had no room; lines are left out here"}\n`,
        );
        this.left = 0;
      }
      this.put(line);
    } catch {
      this.left++;
    }
  }

  reopen(): void {
    if (typeof this.place === 'number') return;
    const fd = open(this.place);
    closeSync(this.fd);
    this.fd = fd;
  }

  private put(line: string): void {
    const bytes = Buffer.from(this.isCut ? `\n${line}` : line);
    let waitedMs = this.left > 0 ? PATIENCE_MS : 0;
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.fd, bytes, at);
        this.isCut = at < bytes.length;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || waitedMs >= PATIENCE_MS) throw error;
        Atomics.wait(NEVER, 0, 0, STEP_MS);
        waitedMs += STEP_MS;
      }
    }
  }
}

function open(place: string | number): number {
  if (typeof place === 'number') return place;
  try {
    mkdirSync(dirname(place), { recursive: true });
    return openSync(place, 'a');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError(`logger.filename: cannot write '${place}' (${code}); choose another file`);
  }
}

export function makeLog(config: Config): LeveledLog {
  const filename = config.get<string>('logger.filename');
  const stdout = config.get<boolean>('logger.stdout');
  const lines = new Lines(filename === '' ? (stdout ? STDOUT : STDERR) : filename);
  const logger: Logger = pino(
    { level: config.get<string>('logger.level'), base: { name: 'packetd' } },
    lines,
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
    reopen: () => lines.reopen(),
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
