import { askEarly } from './api/live-state';
import { channelLogin } from './lib/routes';
import './styles/tokens.css';
import './styles/fonts.css';
import './styles/base.css';

/** The page itself waits for the player's first data no longer than this, ms. */
const HEAD_START_MS = 600;

// A channel page's first frame waits for its live state, the player and the page around it. The player
// goes first: what it asks for is on its way while React is being run, and decoded meanwhile. (The code of
// both is fetched at once: see the preload in vite.config.ts.)
const login = channelLogin(location.pathname);
async function playFirst(of: string): Promise<void> {
  const answer = askEarly(of);
  const { openEarly } = await import('./player/early');
  await openEarly(of, answer);
}
const ready =
  login === null
    ? Promise.resolve()
    : Promise.race([
        playFirst(login),
        new Promise<void>((resolve) => setTimeout(resolve, HEAD_START_MS)),
      ]);
void ready
  .catch(() => undefined)
  .then(() => import('./start'))
  .then(({ start }) => start(login !== null));
