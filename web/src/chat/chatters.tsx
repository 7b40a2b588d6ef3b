import { useEffect, useRef, useState } from 'react';
import { explain } from '../api/client';
import type { Chatter, Moderation } from '../api/moderation';
import { useResource } from '../api/use-resource';
import { Button } from '../components/button';
import { Notice, Skeleton } from '../components/ui';
import { formatCount } from '../lib/format';
import css from './chat.module.css';
import { Badges } from './message-row';
import type { ChatUser } from './protocol';

/** How many are asked for at first; the server names this many at most. */
const FIRST = 100;
const MOST = 1000;

const GROUPS: readonly (readonly [Chatter['role'], string])[] = [
  ['broadcaster', 'Broadcaster'],
  ['moderator', 'Moderators'],
  ['vip', 'VIPs'],
  ['viewer', 'Viewers'],
];

/** Who is in the chat, as far as they are logged in. */
export function Chatters({
  moderation,
  onOpen,
  onClose,
}: {
  moderation: Moderation;
  onOpen: (user: ChatUser) => void;
  onClose: () => void;
}) {
  const root = useRef<HTMLDivElement>(null);
  const [limit, setLimit] = useState(FIRST);
  const { data, error, reload } = useResource('chatters', (signal) =>
    moderation.chatters(limit, signal),
  );
  useEffect(() => {
    const before = document.activeElement;
    root.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected)
        before.focus({ preventScroll: true });
    };
  }, []);
  const unnamed = data === undefined ? 0 : data.count - data.items.length;
  const whole = data === undefined || data.items.length < limit;

  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape closes it
    <div
      ref={root}
      className={css.card}
      role="dialog"
      tabIndex={-1}
      aria-label="In the chat"
      data-testid="chatters"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        onClose();
      }}
    >
      <header className={css.listHead}>
        <h3>In the chat</h3>
        <Button small look="bare" icon="refresh" aria-label="Look again" onClick={reload} />
        <Button small look="bare" icon="close" aria-label="Close the list" onClick={onClose} />
      </header>
      {data === undefined ? (
        error === undefined ? (
          <Skeleton className={css.cardGhost} />
        ) : (
          <Notice tone="danger">{explain(error)}</Notice>
        )
      ) : (
        <>
          {GROUPS.map(([role, title]) => (
            <Group
              key={role}
              title={title}
              role={role}
              people={data.items.filter((each) => each.role === role)}
              onOpen={onOpen}
            />
          ))}
          {data.items.length === 0 && <p className={css.cardNothing}>Nobody who is logged in.</p>}
          {unnamed > 0 && whole && (
            <p className={css.cardNothing}>
              and {formatCount(unnamed)} more, without a login or in another window
            </p>
          )}
          {!whole && limit < MOST && (
            <Button
              small
              wide
              look="quiet"
              onClick={() => {
                setLimit(MOST);
                reload();
              }}
            >
              Show more
            </Button>
          )}
        </>
      )}
    </div>
  );
}

function Group({
  title,
  role,
  people,
  onOpen,
}: {
  title: string;
  role: Chatter['role'];
  people: readonly Chatter[];
  onOpen: (user: ChatUser) => void;
}) {
  if (people.length === 0) return null;
  const badges = role === 'viewer' ? [] : [`${role}/1`];
  return (
    <section className={css.group}>
      <h4>{title}</h4>
      <ul>
        {people.map(({ id, login, display_name: name }) => (
          <li key={id}>
            <Badges badges={badges} />
            <button
              type="button"
              className={css.name}
              onClick={() => onOpen({ id, login, name, badges })}
            >
              {name}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
