/** One measurement, and how it is printed. */
export interface Row {
  readonly case: string;
  readonly program: string;
  readonly roundtrips: number;
  /** 0 where there are none: in the collector. */
  readonly frames: number;
  readonly cpuSeconds: number;
  readonly microsecondsPerRoundtrip: number;
  readonly microsecondsPerFrame: number;
  readonly roundtripsPerSecond: number;
  readonly framesPerSecond: number;
  readonly peakMegabytes: number;
  /** CPU of the program over that of packetd on the same capture. */
  readonly ratio?: number;
  /** Live: roundtrips over the requests that the load tool says it made; frames that the ring had no room for. */
  readonly captured?: number;
  readonly dropped?: number;
  /** Live: time of the load tool with the program over that without, less 1. */
  readonly slowdown?: number;
}

export function row(
  name: string,
  program: string,
  roundtrips: number,
  frames: number,
  { cpuSeconds, peakMegabytes }: { cpuSeconds: number; peakMegabytes: number },
): Row {
  return {
    case: name,
    program,
    roundtrips,
    frames,
    cpuSeconds,
    microsecondsPerRoundtrip: (cpuSeconds / roundtrips) * 1e6,
    microsecondsPerFrame: frames === 0 ? 0 : (cpuSeconds / frames) * 1e6,
    roundtripsPerSecond: roundtrips / cpuSeconds,
    framesPerSecond: frames / cpuSeconds,
    peakMegabytes,
  };
}

export function line(r: Row): string {
  const captured =
    r.captured === undefined
      ? ''
      : `  ${(r.captured * 100).toFixed(3)} % of the requests, ${r.dropped} frames dropped`;
  const slowdown = r.slowdown === undefined ? '' : `  load tool slowed by ${(r.slowdown * 100).toFixed(1)} %`;
  const frames =
    r.frames === 0
      ? ''
      : ` ${String(r.frames).padStart(8)} frames ${r.microsecondsPerFrame.toFixed(2).padStart(6)} µs/frame ` +
        `${(r.framesPerSecond / 1e6).toFixed(2).padStart(5)} M/s`;
  return (
    `${r.case.padEnd(22)} ${r.program.padEnd(8)} ${r.cpuSeconds.toFixed(2).padStart(6)} s ` +
    `${String(r.roundtrips).padStart(8)} rt ${r.microsecondsPerRoundtrip.toFixed(2).padStart(6)} µs/rt ` +
    `${(r.roundtripsPerSecond / 1e6).toFixed(2).padStart(5)} M/s${frames} ${r.peakMegabytes.toFixed(0).padStart(4)} MiB` +
    `${r.ratio === undefined ? '' : `  ${r.ratio.toFixed(1)}x`}${captured}${slowdown}`
  );
}
