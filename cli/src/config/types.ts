/**
 * The types of configuration values. Each says in its error what to write; the key, where it was given,
 * and its fix make the sentence that a user reads (`load.ts`).
 */
import { parseRule } from '@packetd/sensor/rules';
import { z } from 'zod';

const MAX_SHOWN = 60;
/** Longest time of a timer of Node, 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** As a user wrote it; never with the credentials that a URL may have. */
function show(value: unknown): string {
  const text =
    typeof value === 'string' ? `'${value}'` : typeof value === 'object' ? json(value) : String(value);
  const masked = text.replace(/\/\/[^/@\s]*@/g, '//…@');
  return masked.length > MAX_SHOWN ? `${masked.slice(0, MAX_SHOWN)}…` : masked;
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return 'what holds itself';
  }
}

/** An error that says what to write instead of the value. */
function write(what: string) {
  return {
    error: (issue: z.core.$ZodRawIssue) => {
      if (issue.code === 'unrecognized_keys') return `unknown key ${issue.keys.join(', ')}; write ${what}`;
      return issue.input === undefined
        ? `is missing; write ${what}`
        : `write ${what}, not ${show(issue.input)}`;
    },
  };
}

/** A key that is not known says more than the one that is missing in its place. */
export function mostTelling({ issues }: z.ZodError): z.core.$ZodIssue {
  return issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
}

export const flag = z.boolean(write('true or false'));

export const text = z.string(write('it as text, in quotes'));

/** Name of a stream, which NATS makes a part of subjects and a directory of (ADR-6). */
export const streamName = z
  .string(write('it as text, in quotes'))
  .regex(/^[^\s.*>/\\]{1,255}$/, write('a name without blanks, dots, *, > and slashes'));

/** Text of which nothing is shown. */
export const secret = z.string({ error: 'write it as text, in quotes' });

export const texts = z.array(text, write('a list, as [a, b]'));

/** As `texts`, but nothing of them is shown. */
export const headers = z.record(z.string(), secret, { error: 'write names with values, as { name: value }' });

export function oneOf<const T extends readonly string[]>(...names: T) {
  const shown = names.map((name) => (name === '' ? "''" : name));
  return z.enum(names, write(`one of ${shown.join(', ')}`));
}

export function whole(least: number, most = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  const error = write(`a whole number ${range}`);
  return z.int(error).min(least, error).max(most, error);
}

/** A number from 0 to 1. */
export const share = z
  .number(write('a number from 0 to 1'))
  .min(0, write('a number from 0 to 1'))
  .max(1, write('a number from 0 to 1'));

export const positive = z.number(write('a number above 0')).positive(write('a number above 0'));

/** '500ms', '30s', '5m', '1h' → milliseconds; a bare number is seconds. */
export function duration(leastMs: number, mostMs = MAX_TIMER_MS) {
  return z.unknown().transform((value, context) => {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(String(value).trim());
    const isRead = match !== null && (typeof value === 'string' || typeof value === 'number');
    const milliseconds = isRead ? Number(match[1]) * UNITS[(match[2] ?? 's') as keyof typeof UNITS] : -1;
    if (milliseconds >= leastMs && milliseconds <= mostMs) return milliseconds;
    const range = `at least ${leastMs} ms, at most ${Math.floor(mostMs / UNITS.h)}h`;
    context.addIssue({
      code: 'custom',
      message: `write a time as 500ms, 30s, 5m or 1h (${range}), not ${show(value)}`,
    });
    return z.NEVER;
  });
}

const RULE = "'protocol;port,port[;host]' or { protocol, ports, host }";
const ruleObject = z.strictObject(
  {
    name: text.optional(),
    protocol: text,
    ports: z.array(whole(1, 65_535), write('a list of ports')),
    host: text.default(''),
  },
  write(RULE),
);

/** 'http;80,8080', or { protocol, ports, host } as the Go program's configuration has it. */
const rule = z.unknown().transform((value, context) => {
  if (typeof value === 'string') return readRule(value, context);
  const shaped = ruleObject.safeParse(value);
  if (shaped.success) {
    const { protocol, ports, host } = shaped.data;
    return readRule(`${protocol};${ports.join(',')};${host}`, context);
  }
  const { path, message } = mostTelling(shaped.error);
  context.addIssue({ code: 'custom', path: [...path], message });
  return z.NEVER;
});

function readRule(source: string, context: z.RefinementCtx) {
  try {
    return parseRule(source);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
}

export const rules = z.array(rule, write("a list of rules, as ['http;80,8080']"));

export const processors = z.array(
  z.strictObject(
    {
      name: oneOf('roundtripstometrics', 'roundtripstotraces'),
      config: z
        .record(
          z.string(),
          z.strictObject({ requireLabels: texts.nullish() }, write('{ requireLabels: [label, label] }')),
          write('protocols with their labels, as { http: { requireLabels: [method] } }'),
        )
        .nullish(),
    },
    write('{ name: roundtripstometrics, config: { http: { requireLabels: [method] } } }'),
  ),
  write('a list of { name, config }'),
);
