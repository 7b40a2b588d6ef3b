import {
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
  type RefObject,
} from 'react';
import { cx } from '../lib/cx';
import { formatClock } from '../lib/format';
import { ChannelPlayer } from './channel-player';
import { takeEarly } from './early';
import css from './player.module.css';
import { QualityMenu } from './quality-menu';
import type { Chapter } from './scale';
import { PlayerShell } from './shell';
import { ShortcutsDialog } from './shortcuts';
import { isBehind, type PlayerSnapshot, type StreamPosition } from './snapshot';
import { TimelineBar } from './timeline';
import { useShortcuts } from './use-shortcuts';
import { useStoryboard } from './use-storyboard';

/** The record of the running broadcast: the line then reaches back to its start. */
export interface BroadcastRecord {
  /** Path of the multivariant playlist. */
  url: string;
  startedAt: string;
  storyboardUrl: string | null;
  chapters: readonly Chapter[];
}

export interface PlayerProps {
  /** What to play; null while the channel is off (the last picture stays), undefined while unknown. */
  stream: StreamPosition | null | undefined;
  clockOffsetMs: number;
  /** For screen readers: "Ana, live". */
  label: string;
  /** Null while the broadcast cannot be rewound. */
  record?: BroadcastRecord | null;
  /** Something to lay over the picture: offline, ended. */
  cover?: ReactNode;
  theatre?: boolean;
  onTheatre?: () => void;
  /** Keyboard shortcuts listen on the whole page: only for the one player that is the page's matter. */
  shortcuts?: boolean;
  /** The login whose player may have been started before the page. */
  early?: string;
  /** The first frame is there: what may wait for it can begin. */
  onStarted?: () => void;
  /** The dashboard's preview makes no sound until asked. */
  startMuted?: boolean;
  /** Further buttons in the bar. */
  buttons?: ReactNode;
  /** For whoever else has to know where the viewer is. */
  onEngine?: (engine: ChannelPlayer | null) => void;
}

const NOTHING: PlayerSnapshot | null = null;
const NO_CHAPTERS: readonly Chapter[] = [];

/** The engine lives as long as the player is in the page; one that was started early is taken over. */
function useEngine(
  controller: RefObject<HTMLElement | null>,
  { login, startMuted }: { login?: string; startMuted: boolean },
) {
  const [engine, setEngine] = useState<ChannelPlayer | null>(null);
  useLayoutEffect(() => {
    const started = login === undefined ? null : takeEarly(login);
    const made = started ?? new ChannelPlayer({ startMuted });
    controller.current?.prepend(made.screen.video);
    setEngine(made);
    return () => {
      made.destroy();
      setEngine(null);
    };
  }, [controller, login, startMuted]);
  const snapshot = useSyncExternalStore(
    engine?.screen.subscribe ?? (() => () => undefined),
    engine?.screen.snapshot ?? (() => NOTHING),
  );
  return { engine, snapshot };
}

export function Player({
  stream,
  clockOffsetMs,
  label,
  record = null,
  cover,
  theatre = false,
  onTheatre,
  shortcuts = false,
  early,
  onStarted,
  startMuted = false,
  buttons,
  onEngine,
}: PlayerProps) {
  const stage = useRef<HTMLDivElement>(null);
  const controller = useRef<HTMLElement>(null);
  const { engine, snapshot } = useEngine(controller, { login: early, startMuted });
  const started = snapshot?.started ?? false;
  const tell = useRef({ onStarted, onEngine });
  useEffect(() => {
    tell.current = { onStarted, onEngine };
  });
  useEffect(() => {
    if (started) tell.current.onStarted?.();
  }, [started]);
  useEffect(() => tell.current.onEngine?.(engine), [engine]);
  const [menuOpen, setMenuOpen] = useState(false);
  const [helpOpen, setHelpOpen] = useState(false);

  const { url, session, state } = stream ?? {};
  const known = stream !== undefined;
  useEffect(() => {
    if (!known) return;
    engine?.follow(
      url !== undefined && session !== undefined && state !== undefined
        ? { url, session, state }
        : null,
      clockOffsetMs,
    );
  }, [engine, known, url, session, state, clockOffsetMs]);

  const recordUrl = record?.url;
  const startedAt = record === null ? null : Date.parse(record.startedAt) / 1000;
  useEffect(() => {
    engine?.recorded(
      recordUrl === undefined || startedAt === null ? null : { url: recordUrl, startedAt },
    );
  }, [engine, recordUrl, startedAt]);
  const storyboard = useStoryboard(record?.storyboardUrl ?? null, true);
  const chapters = record?.chapters ?? NO_CHAPTERS;
  const rewound = snapshot?.rewound ?? false;
  // Where the chapters are on the line: known better once the record has been opened.
  const marks = useMemo(
    () => chapters.map((each) => ({ ...each, at_s: engine?.lineAt(each.at_s) ?? each.at_s })),
    // oxlint-disable-next-line react-hooks/exhaustive-deps
    [chapters, engine, rewound],
  );

  useShortcuts(shortcuts ? engine : null, stage, {
    onTheatre,
    onHelp: () => setHelpOpen(true),
    onLive: () => engine?.goLive(),
    onStart: record === null ? undefined : () => engine?.seekTo(0),
  });

  const timeline = snapshot?.timeline ?? null;
  return (
    <>
      <PlayerShell
        stage={stage}
        controller={controller}
        screen={engine?.screen ?? null}
        snapshot={snapshot}
        label={label}
        state={rewound ? 'rewound' : (stream?.state ?? 'offline')}
        live
        // Who has rewound sees the record to its end.
        cover={rewound ? null : cover}
        interruption={state === 'reconnecting' && !rewound && <Reconnecting />}
        line={
          engine &&
          timeline && (
            <TimelineBar
              timeline={timeline}
              chapters={marks}
              pictureAt={(at) => storyboard.at(engine.mediaAt(at))}
              onReach={storyboard.reach}
              onSeek={(at) => engine.seekTo(at)}
              live
            />
          )
        }
        left={snapshot && <LiveButton snapshot={snapshot} onLive={() => engine?.goLive()} />}
        right={
          <>
            {buttons}
            {engine && snapshot && (
              <QualityMenu
                snapshot={snapshot}
                open={menuOpen}
                onOpen={setMenuOpen}
                onChoose={(choice) => engine.choose(choice)}
                onRate={rewound ? (rate) => engine.setRate(rate) : undefined}
                onHelp={shortcuts ? () => setHelpOpen(true) : undefined}
              />
            )}
          </>
        }
        busy={menuOpen}
        theatre={theatre}
        onTheatre={onTheatre}
      />
      <ShortcutsDialog open={helpOpen} kind="live" onClose={() => setHelpOpen(false)} />
    </>
  );
}

function Reconnecting() {
  return (
    <div className={css.message} role="status">
      <span className={css.spinner} aria-hidden="true" />
      <strong>The streamer is reconnecting…</strong>
      <p>Playback goes on by itself.</p>
    </div>
  );
}

/** How far behind, short: "1.2 s", "12:34". */
function distance(latency: number | null): string {
  if (latency === null) return '';
  return latency < 60 ? `${latency.toFixed(1)} s` : formatClock(latency);
}

function LiveButton({ snapshot, onLive }: { snapshot: PlayerSnapshot; onLive: () => void }) {
  const behind = isBehind(snapshot);
  const { latency } = snapshot;
  const far = distance(latency);
  return (
    <button
      type="button"
      className={cx(css.live, behind && css.liveBehind)}
      onClick={onLive}
      data-latency={latency?.toFixed(3)}
      aria-label={
        behind ? `Go to live${far && `, you are ${far} behind`}` : `Live${far && `, ${far} behind`}`
      }
      title={behind ? 'Go to live (l)' : 'How far this picture is behind the streamer'}
    >
      <span className={css.liveDot} aria-hidden="true" />
      {behind ? 'Go live' : 'Live'}
      <span className={css.liveLatency}>{far}</span>
    </button>
  );
}
