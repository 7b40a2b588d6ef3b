import { useRef, useState, type KeyboardEvent, type PointerEvent } from 'react';
import { cx } from '../lib/cx';
import { formatClock } from '../lib/format';
import { chapterAt, clamp, partsOf, share, type Chapter, type Timeline } from './scale';
import type { Picture } from './storyboard';
import css from './timeline.module.css';

const STEP_S = 5;
const LEAP_S = 60;
/** How wide a preview is shown, px. */
const PREVIEW_PX = 208;

export interface TimelineProps {
  timeline: Timeline;
  chapters: readonly Chapter[];
  /** The preview for a time, if there is one yet. */
  pictureAt: (at: number) => Picture | null;
  onSeek: (at: number) => void;
  /** The pointer or the keyboard is on it: previews may be wanted. */
  onReach?: () => void;
  /** It runs on: its end is the live edge. */
  live?: boolean;
}

/** The line under the picture: a slider with chapters, what is loaded, and a preview of where one points. */
export function TimelineBar({
  timeline,
  chapters,
  pictureAt,
  onSeek,
  onReach,
  live = false,
}: TimelineProps) {
  const track = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const { start, end } = timeline;
  const at = dragged ?? clamp(timeline.at, timeline);
  const shown = dragged ?? pointed;
  const along = (time: number) => share(time, start, end);

  function timeAt(event: PointerEvent): number {
    const box = track.current?.getBoundingClientRect();
    if (!box || box.width === 0) return at;
    return clamp(start + ((event.clientX - box.left) / box.width) * (end - start), timeline);
  }

  function onPointerDown(event: PointerEvent<HTMLDivElement>) {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setDragged(timeAt(event));
    onReach?.();
  }

  function onPointerMove(event: PointerEvent) {
    setPointed(timeAt(event));
    if (dragged !== null) setDragged(timeAt(event));
  }

  function onPointerUp() {
    if (dragged !== null) onSeek(dragged);
    setDragged(null);
  }

  function onKeyDown(event: KeyboardEvent) {
    const to: Record<string, number> = {
      ArrowLeft: at - STEP_S,
      ArrowDown: at - STEP_S,
      ArrowRight: at + STEP_S,
      ArrowUp: at + STEP_S,
      PageDown: at - LEAP_S,
      PageUp: at + LEAP_S,
      Home: start,
      End: end,
    };
    const next = to[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    onSeek(clamp(next, timeline));
  }

  const chapter = chapterAt(chapters, at);
  return (
    <div
      ref={track}
      className={cx(css.timeline, dragged !== null && css.dragged)}
      role="slider"
      tabIndex={0}
      aria-label="Seek"
      aria-valuemin={Math.floor(start)}
      aria-valuemax={Math.floor(end)}
      aria-valuenow={Math.floor(at)}
      aria-valuetext={`${formatClock(at)} of ${formatClock(end)}${chapter?.title ? `, ${chapter.title}` : ''}`}
      data-testid="timeline"
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={() => setDragged(null)}
      onPointerEnter={onReach}
      onPointerLeave={() => setPointed(null)}
      onFocus={onReach}
      onKeyDown={onKeyDown}
      style={{ '--at': along(at), '--buffered': along(timeline.buffered) } as React.CSSProperties}
    >
      <div className={css.parts}>
        {partsOf(chapters, timeline).map((part) => (
          <span
            key={part.start}
            className={css.part}
            style={
              {
                '--from': along(part.start),
                '--to': along(part.end),
                '--done': share(at, part.start, part.end),
                '--loaded': share(timeline.buffered, part.start, part.end),
                '--under': shown === null ? 0 : share(shown, part.start, part.end),
              } as React.CSSProperties
            }
          />
        ))}
      </div>
      <span className={cx(css.thumb, live && css.thumbLive)} />
      {shown !== null && (
        <Preview
          at={shown}
          along={along(shown)}
          picture={pictureAt(shown)}
          title={chapterAt(chapters, shown)?.title ?? null}
          behind={live ? end - shown : null}
        />
      )}
    </div>
  );
}

function Preview({
  at,
  along,
  picture,
  title,
  behind,
}: {
  at: number;
  along: number;
  picture: Picture | null;
  title: string | null;
  behind: number | null;
}) {
  return (
    <span
      className={cx(css.preview, picture !== null && css.pictured)}
      style={{ '--along': along } as React.CSSProperties}
      aria-hidden="true"
      data-testid="preview"
    >
      {picture && <Sprite picture={picture} width={PREVIEW_PX} />}
      {title !== null && title !== '' && <span className={css.chapter}>{title}</span>}
      <span className={css.time}>
        {formatClock(at)}
        {behind !== null && behind >= 1 && <small> −{formatClock(behind)}</small>}
      </span>
    </span>
  );
}

/** One picture out of a sprite, `width` px wide. */
export function Sprite({ picture, width }: { picture: Picture; width: number }) {
  const scale = width / picture.width;
  return (
    <span
      className={css.sprite}
      style={{ width, height: Math.round(picture.height * scale) }}
      aria-hidden="true"
    >
      <span
        className={css.sheet}
        style={{
          width: picture.width,
          height: picture.height,
          backgroundImage: `url("${picture.url}")`,
          backgroundPosition: `-${picture.x}px -${picture.y}px`,
          transform: `scale(${scale})`,
        }}
      />
    </span>
  );
}
