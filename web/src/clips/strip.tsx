import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from 'react';
import { cx } from '../lib/cx';
import { share } from '../player/scale';
import { Sprite } from '../player/timeline';
import { useStoryboard } from '../player/use-storyboard';
import css from './clips.module.css';
import { formatTenths, type Cut, type Stretch } from './cut';

/** Pictures along the stretch. */
const FRAMES = 10;

/** How far keys move an end, s: an arrow, with Shift, a page. */
export type Steps = readonly [number, number, number];

/** A stretch of a video in pictures, with both ends of the cut to drag. */
export function Strip({
  stretch,
  cut,
  line,
  storyboardUrl,
  steps,
  of,
  onMove,
  onShow,
  onPlay,
}: {
  stretch: Stretch;
  cut: Cut;
  line: React.RefObject<HTMLSpanElement | null>;
  storyboardUrl: string | null;
  steps: Steps;
  /** "the clip". */
  of: string;
  onMove: (which: 'start' | 'end', to: number) => void;
  /** A place between the ends, or beyond them, to be looked at. */
  onShow: (at: number) => void;
  onPlay: () => void;
}) {
  const strip = useRef<HTMLDivElement>(null);
  const storyboard = useStoryboard(storyboardUrl);
  const { reach } = storyboard;
  useEffect(() => reach(), [reach]);
  const along = (at: number) => share(at, stretch.start, stretch.end);
  const frames = useMemo(
    () =>
      Array.from({ length: FRAMES }, (_, n) =>
        storyboard.at(stretch.start + ((n + 0.5) / FRAMES) * (stretch.end - stretch.start)),
      ),
    [storyboard, stretch],
  );

  function timeAt(event: PointerEvent): number {
    const box = strip.current?.getBoundingClientRect();
    if (!box) return stretch.start;
    const part = (event.clientX - box.left) / box.width;
    return stretch.start + part * (stretch.end - stretch.start);
  }

  return (
    <div
      ref={strip}
      className={css.strip}
      style={
        {
          '--start': along(cut.start),
          '--end': along(cut.end),
          '--from': stretch.start,
          '--span': stretch.end - stretch.start,
        } as React.CSSProperties
      }
    >
      <div
        className={css.frames}
        aria-hidden="true"
        onPointerDown={(event) => onShow(timeAt(event))}
      >
        {frames.map((picture, n) => (
          <span key={n} className={css.frame}>
            {picture && <Sprite picture={picture} width={96} />}
          </span>
        ))}
      </div>
      <span className={cx(css.dim, css.dimBefore)} />
      <span className={cx(css.dim, css.dimAfter)} />
      <span className={css.chosen} />
      <span ref={line} className={css.playhead} />
      {(['start', 'end'] as const).map((which) => (
        <Handle
          key={which}
          which={which}
          name={`${which === 'start' ? 'Start' : 'End'} of ${of}`}
          steps={steps}
          at={cut[which]}
          stretch={stretch}
          timeAt={timeAt}
          onMove={(to) => onMove(which, to)}
          onLet={onPlay}
        />
      ))}
    </div>
  );
}

function Handle({
  which,
  name,
  steps: [small, large, page],
  at,
  stretch,
  timeAt,
  onMove,
  onLet,
}: {
  which: 'start' | 'end';
  name: string;
  steps: Steps;
  at: number;
  stretch: Stretch;
  timeAt: (event: PointerEvent) => number;
  onMove: (to: number) => void;
  onLet: () => void;
}) {
  const [held, setHeld] = useState(false);
  function onKeyDown(event: KeyboardEvent) {
    const step = event.shiftKey ? large : small;
    const to: Record<string, number> = {
      ArrowLeft: at - step,
      ArrowDown: at - step,
      ArrowRight: at + step,
      ArrowUp: at + step,
      PageDown: at - page,
      PageUp: at + page,
      Home: stretch.start,
      End: stretch.end,
    };
    const next = to[event.key];
    if (next === undefined) return;
    event.preventDefault();
    onMove(next);
  }
  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label={name}
      aria-valuemin={stretch.start}
      aria-valuemax={stretch.end}
      aria-valuenow={at}
      aria-valuetext={formatTenths(at)}
      className={cx(css.handle, which === 'start' ? css.handleStart : css.handleEnd)}
      data-testid={`clip-${which}`}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.focus();
        event.currentTarget.setPointerCapture(event.pointerId);
        setHeld(true);
      }}
      onPointerMove={(event) => {
        if (held) onMove(timeAt(event));
      }}
      onPointerUp={() => {
        setHeld(false);
        onLet();
      }}
      onPointerCancel={() => setHeld(false)}
    />
  );
}
