import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { loadSession } from './api/session';
import { App } from './app';
import { loadChannelPage } from './pages/lazy';

/** Put the application into the page. */
export function start(onChannel: boolean) {
  if (onChannel) void loadChannelPage();
  void loadSession();
  const root = document.getElementById('root');
  if (root === null) return;
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
