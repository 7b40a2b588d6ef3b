/** First pause and the longest one, ms. */
export type Pauses = readonly [first: number, longest: number];

/**
 * How long to wait before trying again, ms; `failures` is how many there were without a success between.
 * Each pause is twice the one before, less up to a half by `chance` in [0, 1): thousands of pages lose a
 * server in the same moment and must not come back to it in one.
 */
export function pauseBefore(failures: number, pauses: Pauses, chance = Math.random()): number {
  const [first, longest] = pauses;
  return Math.min(first * 2 ** failures, longest) * (0.5 + chance / 2);
}
