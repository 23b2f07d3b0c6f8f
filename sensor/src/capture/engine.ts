/**
 * What a capture engine gives: frames, one at a time, borrowed for the call.
 *
 * Times are nanoseconds since `Clock.baseSeconds`, as a double: exact to 1 ns for 103 days
 * after the first frame, which is why they are not since 1970.
 */

/** Files are not always in order: times up to a day before the first frame stay positive. */
const SLACK_SECONDS = 86_400;

/** Seconds since 1970 of the moment that times count from. Set by the first frame or at the start. */
export class Clock {
  baseSeconds = -1;

  /** Relative time of an absolute one; the first call sets the base, a day before it. */
  relative(seconds: number, nanoseconds: number): number {
    if (this.baseSeconds < 0) this.baseSeconds = Math.max(0, seconds - SLACK_SECONDS);
    return (seconds - this.baseSeconds) * 1e9 + nanoseconds;
  }

  /** Sets the base anew, a day before a relative time, and answers what that time then is. */
  restart(timeNs: number): number {
    const before = this.baseSeconds;
    const wholeSeconds = Math.floor(timeNs / 1e9);
    this.baseSeconds = -1;
    return this.relative(before + wholeSeconds, timeNs - wholeSeconds * 1e9);
  }
}

/** Link types are those of pcap (LINKTYPE_…, https://www.tcpdump.org/linktypes.html). */
export const LinkType = {
  NULL: 0,
  ETHERNET: 1,
  PPP: 9,
  PPP_HDLC: 50,
  PPP_ETHER: 51,
  RAW: 101,
  LOOP: 108,
  LINUX_SLL: 113,
  IPV4: 228,
  IPV6: 229,
  LINUX_SLL2: 276,
  /**
   * Not of pcap: the frame starts at the network header and `Frame.etherType` names it, as a
   * SOCK_DGRAM packet socket delivers it.
   */
  NETWORK: 0x10000,
} as const;

/** One frame. The object and its bytes are reused: both are borrowed until `onFrame` returns. */
export class Frame {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** Length on the wire, which is more than `end - start` where the capture cut the frame. */
  wireLength = 0;
  timeNs = 0;
  linkType: number = LinkType.ETHERNET;
  /** EtherType, for `LinkType.NETWORK` only. */
  etherType = 0;
  /** Interface the frame was seen on; 0 where there is but one. */
  interfaceIndex = 0;
}

export interface FrameHandler {
  onFrame(frame: Frame): void;
  /**
   * Called between blocks of frames and at least every 100 ms live, with the time of the last
   * frame or, live and idle, the current one. Offline: every 1024 frames at least. Goes back
   * where the clock was set back: the newest time ever would then end all that began since.
   */
  onTick(timeNs: number): void;
  /**
   * Called before a frame from before all that the clock can express: one of another capture in the
   * same file, or the clock was set back. Times count anew after it, so nothing can go on.
   */
  onRestart?(): void;
}

/** Has times count anew where the frame's is from before the base: it is never negative for a handler. */
export function restartIfBefore(clock: Clock, frame: Frame, handler: FrameHandler): void {
  if (frame.timeNs >= 0) return;
  handler.onRestart?.();
  frame.timeNs = clock.restart(frame.timeNs);
}

/** Frames and bytes that reached the engine, and the frames that the kernel dropped before it. */
export interface CaptureCounters {
  frames: number;
  bytes: number;
  kernelDropped: number;
}

export interface Engine {
  readonly clock: Clock;
  readonly counters: CaptureCounters;
  /**
   * Delivers what is there, waiting up to `timeoutMs` for the first frame of a live capture.
   * Answers false when there will be no more (end of the file). Blocks the thread.
   */
  poll(handler: FrameHandler, timeoutMs: number): boolean;
  close(): void;
}

export type CaptureErrorCode =
  | 'NO_PERMISSION'
  | 'NO_INTERFACE'
  | 'NOT_SUPPORTED'
  | 'FILE_NOT_FOUND'
  | 'NOT_A_CAPTURE'
  | 'SYSTEM';

/** A capture that cannot start. The message says what to do. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  constructor(
    readonly code: CaptureErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
