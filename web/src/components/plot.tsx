import { type PointerEvent, useRef, useState } from 'react';
import { cx } from '../lib/cx';
import { formatClock } from '../lib/format';
import { nearest, pathOf, type Point, rangeOf } from '../lib/plot';
import css from './plot.module.css';

const WIDTH = 300;
const HEIGHT = 64;
/** Samples come every few seconds; further apart than this the encoder was away. */
const GAP_MS = 12_000;

/**
 * One figure over the last minutes: its value now in large, the line under it, the value under the
 * pointer. For readers the sentence in `summary` says the same.
 */
export function Plot({
  label,
  points,
  format,
  from,
  to,
  tone = 'plain',
  floor,
  least,
  note,
}: {
  label: string;
  points: readonly Point[];
  format: (value: number) => string;
  /** The time shown, ms since the epoch. */
  from: number;
  to: number;
  tone?: 'plain' | 'warn';
  floor?: number;
  least?: number;
  note?: string;
}) {
  const box = useRef<SVGSVGElement>(null);
  const [under, setUnder] = useState<Point | null>(null);
  const shown = points.filter(({ at }) => at >= from);
  const frame = { from, to, ...rangeOf(shown, { floor, least }) };
  const size = { width: WIDTH, height: HEIGHT, gapMs: GAP_MS };
  const path = pathOf(shown, frame, size);
  const now = shown.at(-1)?.value ?? null;

  function onPointerMove(event: PointerEvent) {
    const rect = box.current?.getBoundingClientRect();
    if (!rect) return;
    const at = from + ((event.clientX - rect.left) / rect.width) * (to - from);
    setUnder(nearest(shown, at, (to - from) / 10));
  }

  const mark = under?.value != null ? under : null;
  const x = mark ? ((mark.at - from) / (to - from)) * WIDTH : 0;
  return (
    <figure className={cx(css.plot, tone === 'warn' && css.warn)}>
      <figcaption className={css.caption}>
        <span className={css.label}>{label}</span>
        <span className={css.value}>
          {mark?.value != null ? format(mark.value) : now === null ? '–' : format(now)}
        </span>
        <span className={css.note}>
          {mark ? `${formatClock((to - mark.at) / 1000)} ago` : note}
        </span>
      </figcaption>
      <svg
        ref={box}
        className={css.box}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        aria-hidden="true"
        onPointerMove={onPointerMove}
        onPointerLeave={() => setUnder(null)}
      >
        <line className={css.base} x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
        <path className={css.line} d={path} />
        {mark && <line className={css.cursor} x1={x} x2={x} y1="0" y2={HEIGHT} />}
      </svg>
    </figure>
  );
}
