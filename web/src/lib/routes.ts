/** First path segments that are pages of their own; no login may be one of them (the API refuses these names). */
const PAGES = new Set([
  'register',
  'login',
  'forgot',
  'reset',
  'settings',
  'dashboard',
  'videos',
  'clips',
  'moderation',
  'admin',
  'about',
  'overlay',
  'embed',
  'api',
  'live',
  'vod',
  'chat',
  'assets',
]);

/** The login a path shows the channel of, or null: `/ana` → `ana`. */
export function channelLogin(path: string): string | null {
  const match = /^\/([a-z0-9][a-z0-9_]{2,24})\/?$/i.exec(path);
  const login = match?.[1]?.toLowerCase();
  return login === undefined || PAGES.has(login) ? null : login;
}

/** Whether a path is a window of its own without the site around it: a chat popped out, an overlay, an embed. */
export function isBare(path: string): boolean {
  const popped = /^(\/[^/]+)\/chat\/?$/.exec(path);
  return popped?.[1] !== undefined
    ? channelLogin(popped[1]) !== null
    : /^\/(overlay\/chat|embed|embed\/(videos|clips))\/[^/]+\/?$/.test(path);
}

/** The login page with the way back; only paths of this site are ever followed back. */
export function loginPath(from: string): string {
  return from === '/' || from.startsWith('/login')
    ? '/login'
    : `/login?next=${encodeURIComponent(from)}`;
}

/** Where to go after a login: the page that asked for it, if it is one of ours. */
export function returnPath(search: string): string {
  const next = new URLSearchParams(search).get('next') ?? '/';
  // "//host" and "/\host" would leave the site.
  return /^\/(?![/\\])/.test(next) ? next : '/';
}
