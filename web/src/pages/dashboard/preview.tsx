import { useMemo } from 'react';
import type { LiveView } from '../../api/live-state';
import { streamOf } from '../../player/snapshot';
import { Player } from '../../player/player';
import css from './dashboard.module.css';

/** What viewers see, as they see it; silent, so that it does not echo into the microphone. */
export function Preview({ view }: { view: LiveView }) {
  const { live } = view;
  const stream = useMemo(
    () => streamOf(live),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- viewers and warnings do not concern the player
    [live.login, live.state, live.session],
  );
  return (
    <section className={css.preview} aria-label="Preview">
      <Player stream={stream} clockOffsetMs={view.clockOffsetMs} label="your stream" startMuted />
    </section>
  );
}
