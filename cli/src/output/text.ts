/** One line a roundtrip for people: as wide as the terminal at most, colours only on a terminal. */
import { ByteBuffer } from '@packetd/proto/byte-buffer';
import { DocumentWriter } from '@packetd/proto/telemetry/document';

/** The part of a document that the line shows. */
interface Shown {
  '@timestamp': string;
  event: { duration?: number };
  client?: { address: string; port?: number; bytes?: number };
  server?: { address: string; port?: number; bytes?: number };
  packetd: { protocol: string; operation?: string; target?: string; status: string };
  error?: { type?: string };
  http?: { response?: { status_code?: number } };
}

const COLOURS: Record<string, string> = {
  OK: '\x1b[32m',
  ERROR: '\x1b[31m',
  NO_RESPONSE: '\x1b[33m',
  CANCELLED: '\x1b[33m',
  RESET: '\x1b[31m',
  INCOMPLETE: '\x1b[35m',
};

export function textLines(write: (bytes: Uint8Array, length: number) => void) {
  const documents = new DocumentWriter();
  const json = new ByteBuffer(64 << 10);
  let text = '';
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const { NO_COLOR = '', TERM } = process.env;
  const terminal = process.stdout.isTTY === true && NO_COLOR === '' && TERM !== 'dumb';
  return {
    record(bytes: Uint8Array, start: number, end: number) {
      json.length = 0;
      documents.write(bytes, start, end, json);
      const shown = JSON.parse(decoder.decode(json.bytes.subarray(0, json.length))) as Shown;
      const columns = process.stdout.isTTY ? process.stdout.columns || UNKNOWN_COLUMNS : 160;
      text += `${line(shown, columns, terminal)}\n`;
      if (text.length > 64 << 10) this.flush();
    },
    flush() {
      if (text === '') return;
      const bytes = encoder.encode(text);
      write(bytes, bytes.length);
      text = '';
    },
  };
}

/** A terminal that does not know its width says 0. */
const UNKNOWN_COLUMNS = 80;
/** With fewer, milliseconds and sizes are left out; with fewer than `NO_ENDPOINTS`, the server too. */
const NARROW_COLUMNS = 80;
const NO_ENDPOINTS = 60;
/** With this many, both ends are shown. */
const WIDE_COLUMNS = 120;

/** Time, endpoints, protocol, what was asked and answered, duration, sizes. Never wider than `columns`. */
export function line(d: Shown, columns: number, colours: boolean): string {
  const isNarrow = columns < NARROW_COLUMNS;
  const isWide = columns >= WIDE_COLUMNS;
  const time = isNarrow ? clock(d['@timestamp']).slice(0, 8) : clock(d['@timestamp']);
  const to = endpoint(d.server);
  const ends = isWide ? `${endpoint(d.client)} → ${to}`.padEnd(44) : `→ ${to}`.padEnd(18);
  const protocol = d.packetd.protocol.padEnd(5);
  const took = duration(d.event.duration ?? 0);
  const sizes = isNarrow ? '' : ` ${size(d.client?.bytes)}/${size(d.server?.bytes)}`;
  const least = isNarrow ? 6 : 8;
  let outcome = String(d.http?.response?.status_code ?? printable(d.error?.type ?? d.packetd.status));
  let shownEnds = columns < NO_ENDPOINTS ? '' : `${ends} `;
  if (isNarrow) {
    // The outcome and the server may be long: both leave room for what was asked.
    const left = columns - time.length - protocol.length - took.length - least - 4;
    outcome = fit(outcome, Math.max(6, Math.min(left, columns >> 2)), 0);
    if (shownEnds !== '') shownEnds = `${fit(ends, left - outcome.length - 1, 0)} `;
  }
  const tail = ` ${outcome} ${took}${sizes}`;
  const head = `${time} ${shownEnds}${protocol} `;
  const asked = printable([d.packetd.operation, d.packetd.target].filter(Boolean).join(' '));
  const room = Math.max(least, columns - head.length - tail.length);
  const middle = fit(asked, room, isWide ? Math.min(room, 40) : room);
  const whole = fit(`${head}${middle}${tail}`, columns, 0);
  if (!colours) return whole;
  const cut = Math.min(whole.length, head.length + middle.length);
  return `\x1b[2m${whole.slice(0, time.length)}\x1b[0m${whole.slice(time.length, cut)}${COLOURS[d.packetd.status] ?? ''}${whole.slice(cut)}\x1b[0m`;
}

/** Local time of day with milliseconds. */
function clock(timestamp: string): string {
  const date = new Date(timestamp);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function endpoint(e: Shown['client']): string {
  if (e === undefined) return '?';
  return e.address.includes(':') ? `[${e.address}]:${e.port ?? 0}` : `${e.address}:${e.port ?? 0}`;
}

function duration(ns: number): string {
  if (ns < 1e6) return `${Math.round(ns / 1e3)}µs`;
  if (ns < 1e9) return `${threeDigits(ns / 1e6)}ms`;
  return `${threeDigits(ns / 1e9)}s`;
}

function size(bytes = 0): string {
  if (bytes < 1000) return `${bytes}B`;
  if (bytes < 1e6) return `${threeDigits(bytes / 1e3)}kB`;
  if (bytes < 1e9) return `${threeDigits(bytes / 1e6)}MB`;
  return `${threeDigits(bytes / 1e9)}GB`;
}

/** Not with an exponent, as `toPrecision` writes what has more digits before the point. */
function threeDigits(n: number): string {
  return n < 100 ? n.toPrecision(3) : String(Math.round(n));
}

/** `text` in at least `least` columns, cut where it would take more than `most`. */
function fit(text: string, most: number, least: number): string {
  if (NARROW.test(text)) return text.length > most ? `${text.slice(0, most - 1)}…` : text.padEnd(least);
  let columns = 0;
  let at = 0;
  // Where it is cut, should it be too wide.
  let cut = 0;
  for (const character of text) {
    columns += WIDE.test(character) ? 2 : MARK.test(character) ? 0 : 1;
    if (columns > most) return `${text.slice(0, cut)}…`;
    at += character.length;
    if (columns < most) cut = at;
  }
  return text + ' '.repeat(Math.max(0, least - columns));
}

/** As most lines are: a column for each unit. */
const NARROW = /^[ -\u02ff…→]*$/;
/** Shown with the character before it. */
const MARK = /\p{M}/u;
/** What terminals show in two columns (Unicode Standard Annex #11), in rough ranges. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Control characters, what has no width, and what turns the direction of writing (Unicode Technical Report #36). */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Captured text must not drive the terminal, nor look like what it is not: control characters become their pictures. */
function printable(text: string): string {
  return text.replace(UNPRINTABLE, (c) =>
    c < '\u0020' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '\ufffd',
  );
}
