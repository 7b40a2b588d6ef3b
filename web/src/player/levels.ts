/** What a stream's qualities say to the screen, whether it is live or recorded. */
import type Hls from 'hls.js/light';
import { qualityOf, sameChoice, soundOf } from './hls-config';
import type { Screen } from './screen';

/**
 * Show the qualities of what `hls` has loaded, and hold on to the one that was chosen before. The
 * address of sound without a picture goes to `onSound`, where the stream has one.
 */
export function showQualities(
  hls: Hls,
  { Events }: typeof Hls,
  screen: Screen,
  onSound: (url: string) => void,
) {
  hls.on(Events.MANIFEST_LOADED, (_, { levels }) => {
    const sound = soundOf(levels);
    if (sound !== null) onSound(sound);
    if (!screen.state.audioOnly) screen.set({ hasAudioOnly: sound !== null });
  });
  hls.on(Events.MANIFEST_PARSED, (_, { levels }) => {
    if (screen.state.audioOnly) return;
    const qualities = levels.map(qualityOf);
    const choice = sameChoice(screen.state, qualities);
    screen.set({ qualities, choice });
    if (typeof choice === 'number') hls.loadLevel = choice;
  });
  hls.on(Events.LEVEL_SWITCHED, (_, { level }) => screen.set({ current: level }));
}
