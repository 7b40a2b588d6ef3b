import { useEffect, useId, useState, type ReactNode, type RefObject } from 'react';
import { Button } from '../components/button';
import { Icon } from '../components/icon';
import { cx } from '../lib/cx';
import css from './player.module.css';
import type { Screen } from './screen';
import type { PlayerSnapshot } from './snapshot';

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

export interface ShellProps {
  stage: RefObject<HTMLDivElement | null>;
  controller: RefObject<HTMLElement | null>;
  screen: Screen | null;
  snapshot: PlayerSnapshot | null;
  /** For screen readers: "Ana, live". */
  label: string;
  /** `data-player-state`, for tests and styles. */
  state: string;
  live: boolean;
  /** Something to lay over the picture instead of the controls. */
  cover?: ReactNode;
  /** Said instead of the usual: the streamer is reconnecting. */
  interruption?: ReactNode;
  /** Above the buttons. */
  line?: ReactNode;
  /** Beside play and volume. */
  left?: ReactNode;
  /** The menus. */
  right?: ReactNode;
  /** A menu is open: the controls stay. */
  busy?: boolean;
  theatre?: boolean;
  onTheatre?: () => void;
}

/** The stage that every player has: picture, controls, and what is said over the picture. */
export function PlayerShell({
  stage,
  controller,
  screen,
  snapshot,
  label,
  state,
  live,
  cover,
  interruption,
  line,
  left,
  right,
  busy = false,
  theatre = false,
  onTheatre,
}: ShellProps) {
  const id = useId();
  useControls(snapshot?.started ?? false);
  useEffect(() => {
    if (screen) screen.video.ariaLabel = label;
  }, [screen, label]);
  const covered = cover !== undefined && cover !== null && cover !== false;
  return (
    <div
      ref={stage}
      id={id}
      className={cx(css.stage, covered && css.covered)}
      role="region"
      aria-label={`Video player: ${label}`}
      data-player-state={state}
    >
      <media-controller
        ref={controller}
        className={css.controller}
        autohide={busy || covered ? '-1' : '2.5'}
        defaultstreamtype={live ? 'live' : 'on-demand'}
        fullscreenelement={id}
        nohotkeys=""
        noautoseektolive=""
        novolumepref=""
        nomutedpref=""
      >
        {!covered && (
          <div className={css.chrome}>
            {line}
            <media-control-bar className={css.bar}>
              <PlayButtons />
              {left}
              <span className={css.gap} />
              {right}
              <WindowButtons theatre={theatre} onTheatre={onTheatre} />
            </media-control-bar>
          </div>
        )}
      </media-controller>
      {covered ? (
        <div className={css.cover}>{cover}</div>
      ) : (
        snapshot &&
        screen && <Overlay snapshot={snapshot} screen={screen} interruption={interruption} />
      )}
    </div>
  );
}

function PlayButtons() {
  return (
    <>
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
    </>
  );
}

function WindowButtons({ theatre, onTheatre }: { theatre: boolean; onTheatre?: () => void }) {
  return (
    <>
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
    </>
  );
}

function Overlay({
  snapshot,
  screen,
  interruption,
}: {
  snapshot: PlayerSnapshot;
  screen: Screen;
  interruption?: ReactNode;
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
  if (interruption) return interruption;
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
          <Button look="primary" icon="play" onClick={() => screen.togglePlay()}>
            Play
          </Button>
        </div>
      )}
      {mutedByBrowser && !blocked && started && (
        <div className={css.unmute}>
          <Button look="primary" icon="muted" onClick={() => screen.unmute()}>
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
