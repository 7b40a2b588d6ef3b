import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { loadSession } from './api/session';
import { askEarly } from './api/live-state';
import { App } from './app';
import { channelLogin } from './lib/routes';
import { loadChannelPage } from './pages/lazy';
import './styles/tokens.css';
import './styles/fonts.css';
import './styles/base.css';

// A channel page's first frame waits for three things that need not wait for each other: the live
// state, the page's code and the player's. All are under way before React renders anything.
const login = channelLogin(location.pathname);
if (login !== null) {
  askEarly(login);
  void loadChannelPage();
}
void loadSession();

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
