import { askEarly } from './api/live-state';
import { channelLogin } from './lib/routes';
import './styles/tokens.css';
import './styles/fonts.css';
import './styles/base.css';

// A channel page's first frame waits for its live state, the player and the page around it, and these
// need not wait for each other: all are under way before any of them runs.
const login = channelLogin(location.pathname);
if (login !== null) {
  const answer = askEarly(login);
  void import('./player/early').then(({ openEarly }) => openEarly(login, answer));
}
void import('./start').then(({ start }) => start(login !== null));
