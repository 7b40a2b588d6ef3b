import { useMemo, useRef } from 'react';
import type { Moderation } from '../../api/moderation';
import { useResource } from '../../api/use-resource';
import { attempt } from '../../chat/cards';
import type { RoomState } from '../../chat/room';
import { Button } from '../../components/button';
import { useNow } from '../../components/time';
import { formatClock } from '../../lib/format';
import css from './moderation.module.css';

interface HeldItem {
  id: string;
  user: { login: string; name: string };
  text: string;
  reason: string;
  categories: string[];
  expires_at: string;
}

/** What waits now: what was there when the page came, and what has come since. */
export function useHeld(
  room: RoomState,
  moderation: Moderation,
  clockOffsetMs: number,
): HeldItem[] {
  const asked = useResource(
    `held/${room.channelId ?? ''}/${room.epoch ?? ''}`,
    async (signal): Promise<HeldItem[]> =>
      room.me.can_moderate
        ? (await moderation.held(signal)).items.map((item) => ({
            ...item,
            user: { login: item.user.login, name: item.user.display_name },
          }))
        : [],
    { everyMs: 30_000 },
  );
  const now = useNow(1000).getTime() + clockOffsetMs;
  return useMemo(() => {
    const decided = new Set(room.heldDecided);
    const all = new Map<string, HeldItem>();
    for (const item of [...(asked.data ?? []), ...room.held]) all.set(item.id, item);
    return [...all.values()]
      .filter((item) => !decided.has(item.id) && Date.parse(item.expires_at) > now)
      .sort((a, b) => a.expires_at.localeCompare(b.expires_at));
  }, [asked.data, room.held, room.heldDecided, now]);
}

export function HeldQueue({
  items,
  moderation,
  clockOffsetMs,
}: {
  items: HeldItem[];
  moderation: Moderation;
  clockOffsetMs: number;
}) {
  const list = useRef<HTMLUListElement>(null);
  const now = useNow(1000).getTime() + clockOffsetMs;

  async function decide(item: HeldItem, decision: 'allow' | 'deny') {
    // The next one has the keyboard, so that a whole queue goes by without the pointer.
    const all = [...(list.current?.querySelectorAll<HTMLElement>('[data-held]') ?? [])];
    const at = all.findIndex((element) => element.dataset['held'] === item.id);
    (all[at + 1] ?? all[at - 1])?.focus();
    await attempt(moderation.decideHeld(item.id, decision));
  }

  if (items.length === 0) return <p className={css.nothing}>Nothing waits for you.</p>;
  return (
    <ul ref={list} className={css.queue}>
      {items.map((item) => (
        <li key={item.id}>
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- keys for the whole entry */}
          <article
            // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- the entry is what the keys are about
            tabIndex={0}
            data-held={item.id}
            data-testid="held"
            aria-label={`${item.user.name}: ${item.text}`}
            onKeyDown={(event) => {
              const articles = [
                ...(list.current?.querySelectorAll<HTMLElement>('[data-held]') ?? []),
              ];
              const at = articles.indexOf(event.currentTarget);
              const keys: Record<string, () => void> = {
                a: () => void decide(item, 'allow'),
                d: () => void decide(item, 'deny'),
                ArrowDown: () => articles[at + 1]?.focus(),
                ArrowUp: () => articles[at - 1]?.focus(),
              };
              const action = keys[event.key];
              if (!action || event.target !== event.currentTarget) return;
              event.preventDefault();
              action();
            }}
          >
            <p className={css.who}>
              <strong>{item.user.name}</strong>
              <span className="tabular">
                {formatClock((Date.parse(item.expires_at) - now) / 1000)}
              </span>
            </p>
            <p className={css.words}>{item.text}</p>
            <p className={css.why}>
              {[...new Set([item.reason, ...item.categories])]
                .filter(Boolean)
                .map((why) => why.replaceAll('_', ' '))
                .join(' · ')}
            </p>
            <p className={css.buttons}>
              <Button small look="primary" onClick={() => void decide(item, 'allow')}>
                Allow
              </Button>
              <Button small look="quiet" onClick={() => void decide(item, 'deny')}>
                Deny
              </Button>
            </p>
          </article>
        </li>
      ))}
    </ul>
  );
}
