/** The arithmetic of the small plots: pure, so that it is tested without a page. */

export interface Point {
  /** Time, ms since the epoch. */
  at: number;
  /** Null where nothing was measured: the line breaks. */
  value: number | null;
}

export interface Frame {
  from: number;
  to: number;
  low: number;
  high: number;
}

/** The value range to draw: what was seen plus a margin, never flatter than `least`, never below `floor`. */
export function rangeOf(
  points: readonly Point[],
  { floor = -Infinity, least = 1 }: { floor?: number; least?: number },
): { low: number; high: number } {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  if (values.length === 0) return { low: 0, high: least };
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const middle = (min + max) / 2;
  const span = Math.max(max - min, least) * 1.3;
  const low = Math.max(floor, middle - span / 2);
  return { low, high: Math.max(middle + span / 2, low + least) };
}

/** SVG path data in a box of `width` × `height`; a gap longer than `gapMs` breaks the line. */
export function pathOf(
  points: readonly Point[],
  { from, to, low, high }: Frame,
  { width, height, gapMs }: { width: number; height: number; gapMs: number },
): string {
  const x = (at: number) => ((at - from) / (to - from)) * width;
  const y = (value: number) => height - ((value - low) / (high - low)) * height;
  const round = (n: number) => Math.round(n * 10) / 10;
  let path = '';
  let last: number | null = null;
  for (const { at, value } of points) {
    if (value === null) {
      last = null;
      continue;
    }
    path += `${last === null || at - last > gapMs ? 'M' : 'L'}${round(x(at))} ${round(y(value))}`;
    last = at;
  }
  return path;
}

/** The measured point nearest to a time, or null when none is within `withinMs`. */
export function nearest(points: readonly Point[], at: number, withinMs: number): Point | null {
  let best: Point | null = null;
  for (const point of points) {
    if (point.value === null) continue;
    if (best === null || Math.abs(point.at - at) < Math.abs(best.at - at)) best = point;
  }
  return best !== null && Math.abs(best.at - at) <= withinMs ? best : null;
}
