import { useMemo } from 'react';
import type { LiveView } from '../../api/live-state';
import { Player } from '../../player/player';
import css from './dashboard.module.css';

/** What viewers see, as they see it; silent, so that it does not echo into the microphone. */
export function Preview({ login, view }: { login: string; view: LiveView }) {
  const { state, session } = view.live;
  const stream = useMemo(
    () =>
      state === 'offline' || session === null
        ? null
        : { url: `/live/${login}/index.m3u8`, session, state },
    [login, state, session],
  );
  return (
    <section className={css.preview} aria-label="Preview">
      <Player stream={stream} clockOffsetMs={view.clockOffsetMs} label="your stream" startMuted />
    </section>
  );
}
