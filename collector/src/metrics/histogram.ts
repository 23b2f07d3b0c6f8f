/** The three shapes of a histogram: classic `le` buckets, VictoriaMetrics' `vmrange`, and native ones. */

/** Seconds; a step of about two from 100 µs to a minute. */
export const DURATION_BUCKETS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
/** Bytes, by powers of four from 64 B to 16 MiB. */
export const BYTE_BUCKETS: readonly number[] = [
  64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
];

/** Buckets of a vmrange histogram per power of ten, and the powers it spans (VictoriaMetrics' metrics package). */
const PER_DECADE = 18;
const FIRST_DECADE = -9;
const LAST_DECADE = 18;
const VM_BUCKETS = (LAST_DECADE - FIRST_DECADE) * PER_DECADE;

/** Index of the vmrange bucket of a value: -1 below the first, VM_BUCKETS above the last. */
export function vmBucket(value: number): number {
  if (value <= 0) return -1;
  const position = (Math.log10(value) - FIRST_DECADE) * PER_DECADE;
  if (position < 0) return -1;
  // The largest bound belongs to the last bucket, though its position is past it.
  if (position >= VM_BUCKETS) return value > 10 ** LAST_DECADE ? VM_BUCKETS : VM_BUCKETS - 1;
  const index = Math.floor(position);
  // The upper bound belongs to the bucket.
  return position === index && index > 0 ? index - 1 : index;
}

/** `1.000e-03...1.136e-03` */
export function vmRange(bucket: number): string {
  if (bucket < 0) return `0...${bound(0)}`;
  if (bucket >= VM_BUCKETS) return `${bound(VM_BUCKETS)}...+Inf`;
  return `${bound(bucket)}...${bound(bucket + 1)}`;
}

function bound(index: number): string {
  const [mantissa, exponent] = (10 ** (FIRST_DECADE + index / PER_DECADE)).toExponential(3).split('e');
  const sign = exponent.startsWith('-') ? '-' : '+';
  return `${mantissa}e${sign}${exponent.replace(/^[-+]/, '').padStart(2, '0')}`;
}

/** Native histograms: 2^3 buckets for every power of two, 9 % wide. */
export const NATIVE_SCHEMA = 3;
/** Values up to this are zero. */
export const NATIVE_ZERO_THRESHOLD = 2 ** -128;

/** Index of the native bucket (base^(index-1), base^index] of a value above the zero threshold. */
export function nativeBucket(value: number): number {
  return Math.ceil(Math.log2(value) * 2 ** NATIVE_SCHEMA);
}
