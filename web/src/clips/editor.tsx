import Hls from 'hls.js/light';
import {
  useEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type PointerEvent,
  type SubmitEvent,
} from 'react';
import { clips, videos, type ClipDetail, type VideoDetail } from '../api/videos';
import { Button } from '../components/button';
import { Dialog } from '../components/dialog';
import { Field } from '../components/field';
import { FormFault } from '../components/ui';
import { useSending } from '../components/use-sending';
import { cx } from '../lib/cx';
import { share } from '../player/scale';
import { Sprite } from '../player/timeline';
import { useStoryboard } from '../player/use-storyboard';
import { VideoPlayer } from '../player/video-player';
import css from './clips.module.css';
import { LONGEST_S, cutAt, formatTenths, moved, type Cut, type Stretch } from './cut';

/** How much of a video is laid out to cut from, before and after the playhead, s. */
const BEFORE_S = 75;
const AFTER_S = 45;
/** Of something that is live: the newest. */
const LIVE_S = 90;
const FIRST_S = 30;
const TITLE_MAX = 140;
/** Pictures along the stretch. */
const FRAMES = 10;

export interface ClipEditorProps {
  video: Pick<
    VideoDetail,
    'id' | 'title' | 'playback_url' | 'urls_expire_at' | 'storyboard_url' | 'duration_s' | 'status'
  >;
  /** The playhead, s; null: the newest of a running broadcast. */
  around: number | null;
  onClose: () => void;
  onMade: (clip: ClipDetail) => void;
}

function stretchOf({ video, around }: Pick<ClipEditorProps, 'video' | 'around'>): Stretch {
  const end = video.duration_s;
  if (around === null) return { start: Math.max(0, end - LIVE_S), end };
  return { start: Math.max(0, around - BEFORE_S), end: Math.min(end, around + AFTER_S) };
}

/** Cut a clip: both ends are dragged or moved by keys in tenths of a second, and what is between plays. */
export default function ClipEditor({ video, around, onClose, onMade }: ClipEditorProps) {
  const [stretch] = useState(() => stretchOf({ video, around }));
  const [cut, setCut] = useState<Cut>(() =>
    around === null
      ? cutAt(stretch.end - FIRST_S, FIRST_S, stretch)
      : cutAt(around - FIRST_S * 0.7, FIRST_S, stretch),
  );
  const [title, setTitle] = useState(video.title);
  const { busy, at: faultAt, apart, send } = useSending();
  const preview = usePreview(video, cut, around === null);
  const length = cut.end - cut.start;

  function move(which: 'start' | 'end', to: number) {
    const next = moved(cut, which, to, stretch);
    setCut(next);
    preview.show(which === 'start' ? next.start : Math.max(next.start, next.end - 0.1));
  }

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      onMade(
        await clips.make({
          video: video.id,
          start_s: cut.start,
          duration_s: Math.round(length * 10) / 10,
          title: title.trim(),
        }),
      );
    });
  }

  return (
    <Dialog open title="Make a clip" wide onClose={onClose}>
      <form className={css.editor} onSubmit={submit} data-testid="clip-editor">
        <div className={css.screen} ref={preview.stage} />
        <Strip
          stretch={stretch}
          cut={cut}
          line={preview.line}
          storyboardUrl={video.storyboard_url}
          onMove={move}
          onPlay={preview.play}
        />
        <div className={css.figures}>
          <span className="tabular">
            {formatTenths(cut.start)} – {formatTenths(cut.end)}
          </span>
          <output className="tabular" aria-live="polite">
            {length.toFixed(1)} s
          </output>
          <Button
            small
            look="quiet"
            icon={preview.playing ? 'pause' : 'play'}
            onClick={preview.toggle}
          >
            {preview.playing ? 'Pause' : 'Play it'}
          </Button>
        </div>
        <FormFault text={apart(['title'])} />
        <Field
          label="Title"
          required
          maxLength={TITLE_MAX}
          placeholder="What happens in it?"
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          fault={faultAt('title')}
          hint={`Up to ${LONGEST_S} s. Arrow keys move an end by 0.1 s, with Shift by 1 s.`}
        />
        <div className={css.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" icon="clip" busy={busy}>
            Make the clip
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The cut plays over and over in a player of its own. */
function usePreview(video: ClipEditorProps['video'], cut: Cut, quiet: boolean) {
  const stage = useRef<HTMLDivElement>(null);
  const line = useRef<HTMLSpanElement>(null);
  const engine = useRef<VideoPlayer | null>(null);
  const now = useRef(cut);
  const [playing, setPlaying] = useState(false);
  useEffect(() => {
    now.current = cut;
  }, [cut]);

  useEffect(() => {
    const address = (of: ClipEditorProps['video']) => ({
      url: of.playback_url ?? '',
      expiresAt: of.urls_expire_at === null ? null : Date.parse(of.urls_expire_at),
    });
    const made = new VideoPlayer(Hls, async () => address(await videos.get(video.id)), {
      startMuted: quiet,
    });
    engine.current = made;
    const element = made.screen.video;
    stage.current?.append(element);
    made.open(address(video), now.current.start);
    let frame = 0;
    const watch = () => {
      const { start, end } = now.current;
      if (!element.paused && element.currentTime >= end) made.seekTo(start);
      line.current?.style.setProperty('--playhead', String(element.currentTime));
      setPlaying(!element.paused);
      frame = requestAnimationFrame(watch);
    };
    frame = requestAnimationFrame(watch);
    return () => {
      cancelAnimationFrame(frame);
      made.destroy();
      engine.current = null;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- one player for as long as it is open
  }, [video.id, quiet]);

  return {
    stage,
    line,
    playing,
    /** The picture at one end. */
    show: (at: number) => {
      engine.current?.screen.video.pause();
      engine.current?.seekTo(at);
    },
    play: () => {
      engine.current?.seekTo(now.current.start);
      void engine.current?.screen.play();
    },
    toggle: () => {
      if (playing) engine.current?.screen.video.pause();
      else {
        const { start, end } = now.current;
        const at = engine.current?.screen.video.currentTime ?? 0;
        if (at < start || at > end - 0.3) engine.current?.seekTo(start);
        void engine.current?.screen.play();
      }
    },
  };
}

function Strip({
  stretch,
  cut,
  line,
  storyboardUrl,
  onMove,
  onPlay,
}: {
  stretch: Stretch;
  cut: Cut;
  line: React.RefObject<HTMLSpanElement | null>;
  storyboardUrl: string | null;
  onMove: (which: 'start' | 'end', to: number) => void;
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
      <div className={css.frames} aria-hidden="true">
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
  at,
  stretch,
  timeAt,
  onMove,
  onLet,
}: {
  which: 'start' | 'end';
  at: number;
  stretch: Stretch;
  timeAt: (event: PointerEvent) => number;
  onMove: (to: number) => void;
  onLet: () => void;
}) {
  const [held, setHeld] = useState(false);
  function onKeyDown(event: KeyboardEvent) {
    const step = event.shiftKey ? 1 : 0.1;
    const to: Record<string, number> = {
      ArrowLeft: at - step,
      ArrowDown: at - step,
      ArrowRight: at + step,
      ArrowUp: at + step,
      PageDown: at - 5,
      PageUp: at + 5,
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
      aria-label={which === 'start' ? 'Start of the clip' : 'End of the clip'}
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
