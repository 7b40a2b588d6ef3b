import { useSyncExternalStore } from 'react';
import type { VideoPlayer } from './video-player';

const NO_PLACE = { at: 0, end: 0 };

/** Where the playhead is, told in quarters of a second. */
export function usePlace(engine: VideoPlayer | null): { at: number; end: number } {
  return useSyncExternalStore(
    engine?.screen.subscribe ?? (() => () => undefined),
    () => engine?.screen.state.timeline ?? NO_PLACE,
  );
}
