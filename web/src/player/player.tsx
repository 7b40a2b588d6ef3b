import {
  type ReactNode,
  type RefObject,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { Button } from '../components/button';
import { Icon } from '../components/icon';
import { cx } from '../lib/cx';
import { takeEarly } from './early';
import { LivePlayer } from './engine';
import css from './player.module.css';
import { QualityMenu } from './quality-menu';
import { ShortcutsDialog } from './shortcuts';
import { isBehind, type PlayerSnapshot, type StreamPosition } from './snapshot';
import { useShortcuts } from './use-shortcuts';

export interface PlayerProps {
  /** What to play; null while the channel is off (the last picture stays), undefined while unknown. */
  stream: StreamPosition | null | undefined;
  clockOffsetMs: number;
  /** For screen readers: "Ana, live". */
  label: string;
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
}

/** The controls are not loaded before the first frame, but never later than this, ms. */
const CONTROLS_MS = 1200;

/** The picture goes first: media-chrome's elements come to life in place once it is there. */
function useControls(started: boolean) {
  useEffect(() => {
    let timer = setTimeout(load, started ? 0 : CONTROLS_MS);
    function load() {
      // The network may be away just now; the picture recovers by itself, and so do the controls.
      import('./controls').catch(() => {
        timer = setTimeout(load, CONTROLS_MS);
      });
    }
    return () => clearTimeout(timer);
  }, [started]);
}

const NOTHING: PlayerSnapshot | null = null;

/** The engine lives as long as the player is in the page; one that was started early is taken over. */
function useEngine(
  controller: RefObject<HTMLElement | null>,
  { login, startMuted }: { login?: string; startMuted: boolean },
) {
  const [engine, setEngine] = useState<LivePlayer | null>(null);
  useLayoutEffect(() => {
    const started = login === undefined ? null : takeEarly(login);
    const made = started ?? new LivePlayer({ startMuted });
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
  cover,
  theatre = false,
  onTheatre,
  shortcuts = false,
  early,
  onStarted,
  startMuted = false,
}: PlayerProps) {
  const stage = useRef<HTMLDivElement>(null);
  const controller = useRef<HTMLElement>(null);
  const stageId = useId();
  const { engine, snapshot } = useEngine(controller, { login: early, startMuted });
  const started = snapshot?.started ?? false;
  useControls(started);
  const tellStarted = useRef(onStarted);
  useEffect(() => {
    tellStarted.current = onStarted;
  });
  useEffect(() => {
    if (started) tellStarted.current?.();
  }, [started]);
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

  useEffect(() => {
    if (engine) engine.screen.video.ariaLabel = label;
  }, [engine, label]);

  useShortcuts(shortcuts ? engine : null, stage, {
    onTheatre,
    onHelp: () => setHelpOpen(true),
  });

  const covered = cover !== undefined && cover !== null && cover !== false;
  return (
    <div
      ref={stage}
      id={stageId}
      className={cx(css.stage, covered && css.covered)}
      role="region"
      aria-label={`Video player: ${label}`}
      data-player-state={stream?.state ?? 'offline'}
    >
      <media-controller
        ref={controller}
        className={css.controller}
        autohide={menuOpen || covered ? '-1' : '2.5'}
        defaultstreamtype="live"
        fullscreenelement={stageId}
        nohotkeys=""
        noautoseektolive=""
        novolumepref=""
        nomutedpref=""
      >
        {!covered && (
          <media-control-bar className={css.bar}>
            <media-play-button className={css.control} notooltip="">
              <span slot="play">
                <Icon name="play" size={22} />
              </span>
              <span slot="pause">
                <Icon name="pause" size={22} />
              </span>
            </media-play-button>
            <div className={css.volume}>
              <media-mute-button className={css.control} notooltip="">
                <span slot="off">
                  <Icon name="muted" size={22} />
                </span>
                <span slot="low">
                  <Icon name="volumeLow" size={22} />
                </span>
                <span slot="medium">
                  <Icon name="volume" size={22} />
                </span>
                <span slot="high">
                  <Icon name="volume" size={22} />
                </span>
              </media-mute-button>
              <media-volume-range className={css.range} />
            </div>
            {snapshot && <LiveButton snapshot={snapshot} onLive={() => engine?.goLive()} />}
            <span className={css.gap} />
            {engine && snapshot && (
              <QualityMenu
                snapshot={snapshot}
                open={menuOpen}
                onOpen={setMenuOpen}
                onChoose={(choice) => engine.choose(choice)}
                onHelp={shortcuts ? () => setHelpOpen(true) : undefined}
              />
            )}
            <media-pip-button className={cx(css.control, css.roomy)} notooltip="">
              <span slot="enter">
                <Icon name="pip" size={22} />
              </span>
              <span slot="exit">
                <Icon name="pip" size={22} />
              </span>
            </media-pip-button>
            {onTheatre && (
              <button
                type="button"
                className={cx(css.plain, css.theatreButton)}
                aria-pressed={theatre}
                aria-label="Theatre mode"
                title="Theatre mode (t)"
                onClick={onTheatre}
              >
                <Icon name={theatre ? 'theatreExit' : 'theatre'} size={22} />
              </button>
            )}
            <media-fullscreen-button className={css.control} notooltip="">
              <span slot="enter">
                <Icon name="fullscreen" size={22} />
              </span>
              <span slot="exit">
                <Icon name="fullscreenExit" size={22} />
              </span>
            </media-fullscreen-button>
          </media-control-bar>
        )}
      </media-controller>
      {covered ? (
        <div className={css.cover}>{cover}</div>
      ) : (
        snapshot &&
        engine && (
          <Overlay snapshot={snapshot} engine={engine} reconnecting={state === 'reconnecting'} />
        )
      )}
      <ShortcutsDialog open={helpOpen} onClose={() => setHelpOpen(false)} />
    </div>
  );
}

function LiveButton({ snapshot, onLive }: { snapshot: PlayerSnapshot; onLive: () => void }) {
  const behind = isBehind(snapshot);
  const { latency } = snapshot;
  const far = latency === null ? '' : `${latency.toFixed(1)} s`;
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

function Overlay({
  snapshot,
  engine,
  reconnecting,
}: {
  snapshot: PlayerSnapshot;
  engine: LivePlayer;
  reconnecting: boolean;
}) {
  const { fault, waiting, started, blocked, mutedByBrowser } = snapshot;
  if (fault === 'unplayable') {
    return (
      <div className={css.message} role="alert">
        <strong>This browser cannot decode the stream</strong>
        <p>
          The streamer sends a format that it does not know. Try a recent Chrome, Edge, Safari or
          Firefox; the streamer can help by sending H.264.
        </p>
      </div>
    );
  }
  if (reconnecting) {
    return (
      <div className={css.message} role="status">
        <span className={css.spinner} aria-hidden="true" />
        <strong>The streamer is reconnecting…</strong>
        <p>Playback goes on by itself.</p>
      </div>
    );
  }
  return (
    <>
      {fault === 'network' && (
        <div className={css.message} role="status">
          <span className={css.spinner} aria-hidden="true" />
          <strong>The connection broke off</strong>
          <p>Trying again; nothing to do on your side but perhaps the network.</p>
        </div>
      )}
      {fault === null && waiting && !blocked && <Waiting soon={!started} />}
      {blocked && (
        <div className={css.message}>
          <Button look="primary" icon="play" onClick={() => engine.screen.togglePlay()}>
            Play
          </Button>
        </div>
      )}
      {mutedByBrowser && !blocked && started && (
        <div className={css.unmute}>
          <Button look="primary" icon="muted" onClick={() => engine.screen.unmute()}>
            Turn the sound on
          </Button>
        </div>
      )}
      {snapshot.audioOnly && started && (
        <div className={css.sound} role="status">
          <Icon name="headphones" size={40} />
          Sound only
        </div>
      )}
    </>
  );
}

/** A spinner that short hiccups do not show. */
function Waiting({ soon }: { soon: boolean }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), soon ? 250 : 500);
    return () => clearTimeout(timer);
  }, [soon]);
  return shown ? (
    <div className={css.waiting} role="status" aria-label="Loading the video">
      <span className={css.spinner} aria-hidden="true" />
    </div>
  ) : null;
}
