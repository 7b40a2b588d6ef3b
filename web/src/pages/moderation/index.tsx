import { useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import { moderationOf } from '../../api/moderation';
import { attempt } from '../../chat/cards';
import { ModeControls } from '../../chat/modes';
import { ChatView } from '../../chat/panel';
import { useChat } from '../../chat/use-chat';
import { Button } from '../../components/button';
import { Tabs } from '../../components/tabs';
import { EmptyState, Notice, Pill, Skeleton } from '../../components/ui';
import { cx } from '../../lib/cx';
import { useTitle } from '../../lib/title';
import { AnnounceDialog, KeysDialog, PollDialog, RaidDialog } from './dialogs';
import { HeldQueue, useHeld } from './held';
import css from './moderation.module.css';
import { Bans, ModLog, Requests } from './record';

type Area = 'held' | 'chat' | 'record';
type Tab = 'log' | 'bans' | 'requests' | 'modes';
type Asking = 'poll' | 'announce' | 'raid' | 'keys' | null;

/** Everything a moderator needs on one screen, and all of it by keyboard. */
export default function ModerationPage({ login }: { login: string }) {
  useTitle(`Moderation of ${login}`);
  const chat = useChat(login);
  const { room, link, clockOffsetMs } = chat;
  const moderation = useMemo(() => moderationOf(login), [login]);
  const [area, setArea] = useState<Area>('chat');
  const [tab, setTab] = useState<Tab>('log');
  const [asking, setAsking] = useState<Asking>(null);
  const root = useRef<HTMLDivElement>(null);
  const held = useHeld(room, moderation, clockOffsetMs);

  useEffect(() => {
    const focus = (selector: string, in_: Area) => {
      setArea(in_);
      requestAnimationFrame(() => root.current?.querySelector<HTMLElement>(selector)?.focus());
    };
    const keys: Record<string, () => void> = {
      h: () => focus('[data-held]', 'held'),
      c: () => focus('[role=log]', 'chat'),
      w: () => focus('textarea', 'chat'),
      l: () => setTab('log'),
      n: () => setTab('bans'),
      u: () => setTab('requests'),
      m: () => setTab('modes'),
      '?': () => setAsking('keys'),
    };
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const writes = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
      if (writes || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented)
        return;
      if (document.querySelector('dialog[open]')) return;
      const action = keys[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);

  if (room.channelId !== null && !room.me.can_moderate) {
    return (
      <EmptyState level="h1" title={`You do not moderate the chat of ${login}`}>
        Ask the broadcaster to make you a moderator. <Link href={`/${login}`}>To the channel</Link>
      </EmptyState>
    );
  }
  const waiting = held.length;
  return (
    <div className={css.page} ref={root} data-area={area}>
      <header className={css.head}>
        <h1>
          Moderation <Link href={`/${login}`}>{login}</Link>
        </h1>
        <Button
          small
          look={room.settings.shield ? 'danger' : 'quiet'}
          icon="shield"
          aria-pressed={room.settings.shield}
          onClick={() => void attempt(moderation.setShield(!room.settings.shield))}
        >
          {room.settings.shield ? 'Lower the shield' : 'Raise the shield'}
        </Button>
        <span className={css.actions}>
          <Button small look="bare" icon="poll" onClick={() => setAsking('poll')}>
            Poll
          </Button>
          <Button small look="bare" icon="megaphone" onClick={() => setAsking('announce')}>
            Announce
          </Button>
          {room.me.role === 'broadcaster' && (
            <Button small look="bare" icon="raid" onClick={() => setAsking('raid')}>
              Raid
            </Button>
          )}
          <Button
            small
            look="bare"
            icon="trash"
            onClick={() => void attempt(moderation.clear(), 'The chat is cleared.')}
          >
            Clear
          </Button>
          <Button
            small
            look="bare"
            icon="keyboard"
            aria-label="Keyboard shortcuts"
            title="Keyboard shortcuts (?)"
            onClick={() => setAsking('keys')}
          />
        </span>
      </header>
      <div className={css.phoneTabs}>
        <Tabs<Area>
          label="Parts of the page"
          tabs={[
            { value: 'chat', label: 'Chat' },
            { value: 'held', label: waiting > 0 ? `Held (${waiting})` : 'Held' },
            { value: 'record', label: 'Record' },
          ]}
          value={area}
          onChange={setArea}
        />
      </div>
      <section className={cx(css.column, css.held)} aria-label="Held messages">
        <h2>Held {waiting > 0 && <Pill tone="warn">{waiting}</Pill>}</h2>
        <HeldQueue items={held} moderation={moderation} clockOffsetMs={clockOffsetMs} />
      </section>
      <div className={cx(css.column, css.chat)}>
        <ChatView channel={login} name={login} chat={chat} />
      </div>
      <section className={cx(css.column, css.record)} aria-label="Record">
        <Tabs<Tab>
          label="Record"
          tabs={[
            { value: 'log', label: 'Log' },
            { value: 'bans', label: 'Banned' },
            { value: 'requests', label: 'Requests' },
            { value: 'modes', label: 'Modes' },
          ]}
          value={tab}
          onChange={setTab}
        />
        <div className={css.scroll}>
          {link.status === 'closed' ? (
            <Notice tone="danger">{link.reason}</Notice>
          ) : room.channelId === null ? (
            // Whether one moderates here is not known yet.
            <Skeleton className={css.ghost} />
          ) : tab === 'log' ? (
            <ModLog room={room} moderation={moderation} />
          ) : tab === 'bans' ? (
            <Bans room={room} moderation={moderation} />
          ) : tab === 'requests' ? (
            <Requests room={room} moderation={moderation} />
          ) : (
            <ModeControls settings={room.settings} moderation={moderation} small />
          )}
        </div>
      </section>
      <PollDialog
        open={asking === 'poll'}
        moderation={moderation}
        onClose={() => setAsking(null)}
      />
      <AnnounceDialog
        open={asking === 'announce'}
        moderation={moderation}
        onClose={() => setAsking(null)}
      />
      <RaidDialog
        open={asking === 'raid'}
        moderation={moderation}
        onClose={() => setAsking(null)}
      />
      <KeysDialog open={asking === 'keys'} onClose={() => setAsking(null)} />
    </div>
  );
}
