import { useEffect, useMemo, useRef, useState } from 'react';
import { useSearch } from 'wouter';
import { nameColor } from '../chat/look';
import { Badges, MessageText } from '../chat/message-row';
import { overlayTheme } from '../chat/overlay-theme';
import type { ChatMessage } from '../chat/protocol';
import { useChat } from '../chat/use-chat';
import { cx } from '../lib/cx';
import { useTitle } from '../lib/title';
import css from './overlay.module.css';

/** More than fits on any screen. */
const MOST = 60;

/**
 * A chat to lay over the picture: OBS shows it as a browser source. Transparent, without anything to
 * click; how it looks is in its address (docs/overlay.md).
 */
export default function OverlayPage({ login }: { login: string }) {
  useTitle(`Chat of ${login}`);
  const search = useSearch();
  const theme = useMemo(() => overlayTheme(search), [search]);
  const { room } = useChat(login);
  const box = useRef<HTMLDivElement>(null);
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    document.documentElement.classList.add('see-through');
    return () => document.documentElement.classList.remove('see-through');
  }, []);
  useEffect(() => {
    if (theme.fadeS === 0) return;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [theme.fadeS]);
  useEffect(() => {
    const style = box.current?.style;
    if (!style) return;
    style.setProperty('--size', `${theme.size}px`);
    style.setProperty('--text', theme.text);
    style.setProperty('--behind', theme.background);
    style.setProperty('--font-chosen', theme.font);
  }, [theme]);

  const shown = room.lines
    .filter((line) => line.type === 'message' && !line.gone)
    .map((line) => (line as { message: ChatMessage }).message)
    .filter((message) => !theme.hide.has(message.user.login))
    .filter((message) => theme.fadeS === 0 || now - Date.parse(message.ts) < theme.fadeS * 1000)
    .slice(-MOST);

  return (
    <div
      ref={box}
      className={cx(
        css.overlay,
        theme.align === 'right' && css.right,
        theme.top && css.top,
        theme.shadow && css.shadow,
        theme.boxes && css.boxes,
        theme.still && css.still,
      )}
    >
      <h1 className="visually-hidden">Chat of {login}</h1>
      <ul className={css.list} role="log" aria-label={`Chat of ${login}`}>
        {shown.map((message) => (
          <li key={message.id} data-testid="message">
            {theme.badges && <Badges badges={message.user.badges} />}
            <span
              className={css.name}
              style={{ color: nameColor(message.user.color, message.user.login) }}
            >
              {message.user.name}
            </span>{' '}
            <span className={css.words}>
              {message.kind === 'raid' && message.raid ? (
                `arrives with ${message.raid.viewers} viewers`
              ) : (
                <MessageText message={message} self={null} />
              )}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
