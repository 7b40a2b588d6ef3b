import Hls from 'hls.js';
import {
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
  type RefObject,
} from 'react';
import { Button } from '../components/button';
import { formatClock, formatSpan } from '../lib/format';
import type { Address } from './address';
import css from './player.module.css';
import { QualityMenu, RATES } from './quality-menu';
import { chapterAt, type Chapter } from './scale';
import { PlayerShell } from './shell';
import { ShortcutsDialog } from './shortcuts';
import type { PlayerSnapshot } from './snapshot';
import { TimelineBar } from './timeline';
import { useShortcuts } from './use-shortcuts';
import { useStoryboard } from './use-storyboard';
import { VideoPlayer } from './video-player';

export interface VideoViewProps {
  /** Changes with the video. */
  id: string;
  address: Address;
  /** An address that answers, when this one has ended. */
  renew: () => Promise<Address>;
  /** Where to begin, s. */
  from?: number;
  label: string;
  /** A picture until the first of its own. */
  poster?: string | null;
  storyboardUrl: string | null;
  chapters: readonly Chapter[];
  /** Its broadcast still runs. */
  grows?: boolean;
  cover?: ReactNode;
  /** Over the last picture when it has been played. */
  atEnd?: ReactNode;
  buttons?: ReactNode;
  theatre?: boolean;
  onTheatre?: () => void;
  shortcuts?: boolean;
  onEngine?: (engine: VideoPlayer | null) => void;
}

const NOTHING: PlayerSnapshot | null = null;
const FRAME_S = 1 / 30;

function useEngine(
  controller: RefObject<HTMLElement | null>,
  {
    id,
    address,
    renew,
    from = 0,
    poster = null,
  }: Pick<VideoViewProps, 'id' | 'address' | 'renew' | 'from' | 'poster'>,
) {
  const [engine, setEngine] = useState<VideoPlayer | null>(null);
  // What holds when the video is opened; the player asks for newer addresses by itself.
  const first = useRef({ address, renew, from, poster });
  useLayoutEffect(() => {
    first.current = { address, renew, from, poster };
  });
  useLayoutEffect(() => {
    const made = new VideoPlayer(Hls, () => first.current.renew());
    if (first.current.poster !== null && first.current.from === 0) {
      made.screen.video.poster = first.current.poster;
    }
    controller.current?.prepend(made.screen.video);
    made.open(first.current.address, first.current.from);
    setEngine(made);
    return () => {
      made.destroy();
      setEngine(null);
    };
  }, [controller, id]);
  const snapshot = useSyncExternalStore(
    engine?.screen.subscribe ?? (() => () => undefined),
    engine?.screen.snapshot ?? (() => NOTHING),
  );
  return { engine, snapshot };
}

/** The player of something recorded. */
export function VideoView({
  id,
  address,
  renew,
  from,
  label,
  poster = null,
  storyboardUrl,
  chapters,
  grows = false,
  cover,
  atEnd,
  buttons,
  theatre,
  onTheatre,
  shortcuts = false,
  onEngine,
}: VideoViewProps) {
  const stage = useRef<HTMLDivElement>(null);
  const controller = useRef<HTMLElement>(null);
  const { engine, snapshot } = useEngine(controller, { id, address, renew, from, poster });
  const [menuOpen, setMenuOpen] = useState(false);
  const [helpOpen, setHelpOpen] = useState(false);
  const storyboard = useStoryboard(storyboardUrl, grows);
  const tell = useRef(onEngine);
  useEffect(() => {
    tell.current = onEngine;
  });
  useEffect(() => tell.current?.(engine), [engine]);

  const timeline = snapshot?.timeline ?? null;
  const end = timeline?.end ?? 0;
  function faster(by: 1 | -1) {
    const at = RATES.indexOf(snapshot?.rate ?? 1);
    const next = RATES[at + by];
    if (next !== undefined) engine?.setRate(next);
  }
  function frame(by: number) {
    if (snapshot?.paused) engine?.step(by);
  }
  function nextCaption() {
    if (!snapshot || snapshot.captions.length === 0) return;
    const at = snapshot.captions.findIndex(({ index }) => index === snapshot.caption);
    engine?.caption(snapshot.captions[at + 1]?.index ?? -1);
  }
  const tenths = Object.fromEntries(
    Array.from({ length: 10 }, (_, n) => [String(n), () => engine?.seekTo((end * n) / 10)]),
  );
  useShortcuts(shortcuts ? engine : null, stage, {
    onTheatre,
    onHelp: () => setHelpOpen(true),
    onStart: () => engine?.seekTo(0),
    more: {
      ...tenths,
      End: () => engine?.seekTo(end),
      '>': () => faster(1),
      '<': () => faster(-1),
      ',': () => frame(-FRAME_S),
      '.': () => frame(FRAME_S),
      c: nextCaption,
    },
  });

  const ended = snapshot?.ended ?? false;
  return (
    <>
      <PlayerShell
        stage={stage}
        controller={controller}
        screen={engine?.screen ?? null}
        snapshot={snapshot}
        label={label}
        state={snapshot?.started ? 'playing' : 'loading'}
        live={false}
        cover={cover}
        interruption={
          ended &&
          (atEnd ?? (
            <Ended
              onAgain={() => {
                engine?.seekTo(0);
                void engine?.screen.play();
              }}
            />
          ))
        }
        line={
          engine &&
          timeline && (
            <TimelineBar
              timeline={timeline}
              chapters={chapters}
              pictureAt={storyboard.at}
              onReach={storyboard.reach}
              onSeek={(at) => engine.seekTo(at)}
            />
          )
        }
        left={timeline && <Clock at={timeline.at} end={timeline.end} chapters={chapters} />}
        right={
          <>
            {buttons}
            {engine && snapshot && (
              <QualityMenu
                snapshot={snapshot}
                open={menuOpen}
                onOpen={setMenuOpen}
                onChoose={(choice) => engine.choose(choice)}
                onRate={(rate) => engine.setRate(rate)}
                onCaption={(index) => engine.caption(index)}
                onHelp={shortcuts ? () => setHelpOpen(true) : undefined}
              />
            )}
          </>
        }
        busy={menuOpen}
        theatre={theatre}
        onTheatre={onTheatre}
      />
      <ShortcutsDialog open={helpOpen} kind="video" onClose={() => setHelpOpen(false)} />
    </>
  );
}

function Clock({ at, end, chapters }: { at: number; end: number; chapters: readonly Chapter[] }) {
  const chapter = chapterAt(chapters, at)?.title;
  return (
    <>
      <span className={css.clock} title={`${formatSpan(end - at)} left`}>
        {formatClock(at)} <span>/ {formatClock(end)}</span>
      </span>
      {chapters.length > 1 && chapter && <span className={css.chapterName}>{chapter}</span>}
    </>
  );
}

function Ended({ onAgain }: { onAgain: () => void }) {
  return (
    <div className={css.message}>
      <Button look="primary" icon="refresh" onClick={onAgain}>
        Watch again
      </Button>
    </div>
  );
}
