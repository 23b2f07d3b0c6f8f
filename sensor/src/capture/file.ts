/** Captures from files and standard input: pcap and pcapng, each also within gzip. */

import { CaptureError, Clock, type Engine, Frame, type FrameHandler, restartIfBefore } from './engine.js';
import { Input, openSource } from './input.js';
import { type CaptureReader, isPcap, PcapReader, ReadStatus } from './pcap.js';
import { isPcapng, PcapngReader } from './pcapng.js';

/** Frames of one `poll`; between them `onTick` is called. */
const FRAMES_PER_POLL = 1024;

export interface FileOptions {
  /** Told at most once, when the capture ends early: cut short or damaged. */
  warn?: (message: string) => void;
}

/**
 * Opens a capture; '-' is standard input. Throws a `CaptureError` for what cannot be read or is
 * no capture, which one without a whole file header is too; one that is cut short or damaged after
 * that gives the frames before that place and a warning.
 */
export function openFile(path: string, options: FileOptions = {}): Engine {
  const name = nameOf(path);
  const input = new Input(openSource(path));
  try {
    if (input.isGzip()) input.decompress();
    const clock = new Clock();
    return new FileEngine(name, input, clock, openReader(name, input, clock), options.warn ?? ignore);
  } catch (error) {
    input.close();
    throw error;
  }
}

/** What a user calls it. */
export function nameOf(path: string): string {
  return path === '-' ? 'standard input' : path;
}

function ignore(): void {}

function openReader(name: string, input: Input, clock: Clock): CaptureReader {
  if (!input.hold(4)) {
    const reason =
      input.failure || (input.end === input.start ? 'it is empty' : 'it is shorter than 4 bytes');
    throw notACapture(name, reason);
  }
  const magic = input.view.getUint32(input.start);
  const reader = isPcap(magic)
    ? new PcapReader(input, clock, magic)
    : isPcapng(magic)
      ? new PcapngReader(input, clock)
      : null;
  if (reader === null) throw notACapture(name, `it begins with 0x${magic.toString(16).padStart(8, '0')}`);
  switch (reader.begin()) {
    case ReadStatus.OK:
      return reader;
    case ReadStatus.DAMAGED:
      // A capture, of which nothing can be read.
      return { damage: reader.damage, begin: () => ReadStatus.DAMAGED, next: () => ReadStatus.DAMAGED };
    default:
      throw notACapture(name, input.failure || 'it ends inside its file header');
  }
}

function notACapture(name: string, reason: string): CaptureError {
  return new CaptureError(
    'NOT_A_CAPTURE',
    `${name} is not a capture: ${reason}; expected is pcap or pcapng, plain or within gzip`,
  );
}

class FileEngine implements Engine {
  readonly counters = { frames: 0, bytes: 0, kernelDropped: 0 };
  private readonly frame = new Frame();
  private lastNs = 0;
  private ended = false;

  constructor(
    private readonly name: string,
    private readonly input: Input,
    readonly clock: Clock,
    private readonly reader: CaptureReader,
    private readonly warn: (message: string) => void,
  ) {}

  /** Blocks for as long as the input does; a file is always ready, so `timeoutMs` has no part. */
  poll(handler: FrameHandler): boolean {
    if (this.ended) return false;
    const { reader, frame, counters } = this;
    for (let count = 0; count < FRAMES_PER_POLL; count++) {
      const status = reader.next(frame);
      if (status !== ReadStatus.OK) {
        this.finish(status);
        break;
      }
      counters.frames++;
      counters.bytes += frame.end - frame.start;
      restartIfBefore(this.clock, frame, handler);
      this.lastNs = frame.timeNs;
      handler.onFrame(frame);
    }
    handler.onTick(this.lastNs);
    return !this.ended;
  }

  close(): void {
    this.ended = true;
    this.input.close();
  }

  private finish(status: ReadStatus): void {
    const { name, counters, input } = this;
    const given =
      counters.frames === 0
        ? '; there is no frame before that'
        : `; the ${counters.frames} frames before that were read`;
    if (input.failure !== '') this.warn(`${name}: ${input.failure}${given}`);
    else if (status === ReadStatus.CUT) this.warn(`${name} is cut short in the middle of a frame${given}`);
    else if (status === ReadStatus.DAMAGED) this.warn(`${name} is damaged: ${this.reader.damage}${given}`);
    this.close();
  }
}
