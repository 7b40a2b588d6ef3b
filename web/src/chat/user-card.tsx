import { type SubmitEvent, useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { explain } from '../api/client';
import type { Moderation, UserCard as Card } from '../api/moderation';
import { useResource } from '../api/use-resource';
import { Button } from '../components/button';
import { InlineSelect } from '../components/field';
import { Icon } from '../components/icon';
import { ReportDialog } from '../components/report';
import { Tabs } from '../components/tabs';
import { Ago } from '../components/time';
import { Avatar, Notice, Pill, Skeleton } from '../components/ui';
import { formatExact, formatSpan } from '../lib/format';
import { attempt } from './cards';
import css from './chat.module.css';
import { nameColor } from './look';
import { Badges, MessageText } from './message-row';
import type { ChatMessage, ChatUser } from './protocol';

const TIMES = [10, 60, 600, 3600, 86_400, 604_800] as const;

export interface UserCardProps {
  user: ChatUser;
  channel: string;
  /** What they said since this page was opened. */
  recent: readonly ChatMessage[];
  self: { id: string; login: string } | null;
  /** Set for those who moderate here. */
  moderation: Moderation | null;
  isBroadcaster: boolean;
  onMention: (login: string) => void;
  onClose: () => void;
}

/** Who somebody is in this chat, and for moderators all that can be done about it. */
export function UserCard({
  user,
  channel,
  recent,
  self,
  moderation,
  isBroadcaster,
  onMention,
  onClose,
}: UserCardProps) {
  const root = useRef<HTMLDivElement>(null);
  const [reporting, setReporting] = useState(false);
  const own = user.id === self?.id;
  useEffect(() => {
    const before = document.activeElement;
    root.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected)
        before.focus({ preventScroll: true });
    };
  }, [user.id]);

  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape closes it
    <div
      ref={root}
      className={css.card}
      role="dialog"
      tabIndex={-1}
      aria-label={user.name}
      data-testid="user-card"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || reporting) return;
        event.stopPropagation();
        onClose();
      }}
    >
      <header className={css.cardHead}>
        <Avatar name={user.name} />
        <div>
          <strong style={{ color: nameColor(user.color, user.login) }}>{user.name}</strong>
          <p>
            <Link href={`/${user.login}`}>@{user.login}</Link> <Badges badges={user.badges} />
          </p>
        </div>
        <Button small look="bare" icon="close" aria-label="Close the card" onClick={onClose} />
      </header>
      <div className={css.cardActions}>
        {self && !own && (
          <Button small look="quiet" onClick={() => onMention(user.login)}>
            Mention
          </Button>
        )}
        {self && !own && (
          <Button small look="bare" icon="flag" onClick={() => setReporting(true)}>
            Report
          </Button>
        )}
      </div>
      {moderation ? (
        <ModeratorPart
          key={user.id}
          user={user}
          own={own}
          moderation={moderation}
          isBroadcaster={isBroadcaster}
        />
      ) : (
        <Said messages={recent.map(({ id, text, ts, emotes }) => ({ id, text, at: ts, emotes }))} />
      )}
      <ReportDialog
        about={reporting ? { kind: 'user', user: user.login, channel } : null}
        what={user.name}
        onClose={() => setReporting(false)}
      />
    </div>
  );
}

function Said({
  messages,
}: {
  messages: { id: string; text: string; at: string; emotes?: ChatMessage['emotes'] }[];
}) {
  if (messages.length === 0) return <p className={css.cardNothing}>Nothing said lately.</p>;
  return (
    <ul className={css.said} aria-label="Messages">
      {messages.map((message) => (
        <li key={message.id}>
          <time dateTime={message.at} title={formatExact(new Date(message.at))}>
            {new Date(message.at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}
          </time>{' '}
          <MessageText message={{ text: message.text, emotes: message.emotes ?? [] }} self={null} />
        </li>
      ))}
    </ul>
  );
}

type Tab = 'messages' | 'log' | 'notes';

function ModeratorPart({
  user,
  own,
  moderation,
  isBroadcaster,
}: {
  user: ChatUser;
  own: boolean;
  moderation: Moderation;
  isBroadcaster: boolean;
}) {
  const card = useResource(`card/${user.login}`, (signal) => moderation.card(user.login, signal));
  const [tab, setTab] = useState<Tab>('messages');
  const [note, setNote] = useState('');
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const { data } = card;

  async function act(work: Promise<unknown>, done: string) {
    setBusy(true);
    if (await attempt(work, done)) {
      setReason('');
      card.reload();
    }
    setBusy(false);
  }

  function addNote(event: SubmitEvent) {
    event.preventDefault();
    if (note.trim() === '') return;
    void act(moderation.addNote(user.login, note.trim()), 'The note is kept.').then(() =>
      setNote(''),
    );
  }

  if (card.error !== undefined && data === undefined) {
    return <Notice tone="danger">{explain(card.error)}</Notice>;
  }
  if (data === undefined) return <Skeleton className={css.cardGhost} />;
  const why = reason.trim() || undefined;
  const suspicious =
    typeof data.suspicious === 'string' ? data.suspicious : (data.suspicious?.status ?? 'none');
  return (
    <>
      <p className={css.facts}>
        {data.banned && <Pill tone="danger">Banned</Pill>}
        {data.timed_out_until && !data.banned && <Pill tone="warn">Timed out</Pill>}
        {suspicious !== 'none' && <Pill tone="warn">{suspicious}</Pill>}
        <span>
          {data.follows_since ? (
            <>
              Follows since <Ago at={data.follows_since} />
            </>
          ) : (
            'Does not follow'
          )}
        </span>
        <span>
          Account made <Ago at={data.account_created_at} />
        </span>
        <span>
          {data.message_count} message{data.message_count === 1 ? '' : 's'}
        </span>
      </p>
      {!own && data.role !== 'broadcaster' && (
        <div className={css.measures} aria-label="Moderation" role="group">
          <input
            type="text"
            className={css.reason}
            aria-label="Reason"
            placeholder="Reason (optional)"
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
          <div className={css.times} role="group" aria-label="Time out for">
            {TIMES.map((seconds) => (
              <Button
                key={seconds}
                small
                busy={busy}
                title={`Time out for ${formatSpan(seconds)}`}
                aria-label={`Time out for ${shortSpan(seconds)}`}
                onClick={() =>
                  void act(
                    moderation.timeout(user.login, seconds, why),
                    `${user.name} is timed out for ${shortSpan(seconds)}.`,
                  )
                }
              >
                {shortSpan(seconds)}
              </Button>
            ))}
          </div>
          <div className={css.cardActions}>
            {data.banned || data.timed_out_until ? (
              <Button
                small
                look="quiet"
                busy={busy}
                onClick={() =>
                  void act(moderation.unban(user.login), `${user.name} may chat again.`)
                }
              >
                {data.banned ? 'Unban' : 'End timeout'}
              </Button>
            ) : null}
            {!data.banned && (
              <Button
                small
                look="danger"
                icon="ban"
                busy={busy}
                onClick={() =>
                  void act(
                    moderation.ban(user.login, why),
                    `${user.name} is banned from this chat.`,
                  )
                }
              >
                Ban
              </Button>
            )}
            <Button
              small
              look="quiet"
              busy={busy}
              aria-disabled={why === undefined}
              title={why === undefined ? 'A warning needs a reason' : undefined}
              onClick={() => {
                if (why) void act(moderation.warn(user.login, why), `${user.name} is warned.`);
              }}
            >
              Warn
            </Button>
            <InlineSelect
              label="Watch closely"
              value={suspicious}
              onChange={(event) =>
                void act(
                  moderation.suspect(
                    user.login,
                    event.target.value as 'none' | 'monitored' | 'restricted',
                  ),
                  'Noted.',
                )
              }
            >
              <option value="none">Not watched</option>
              <option value="monitored">Monitored</option>
              <option value="restricted">Restricted: held</option>
            </InlineSelect>
          </div>
          {isBroadcaster && (
            <div className={css.cardActions}>
              <RoleSwitch list="moderators" name="moderator" {...{ data, user, moderation, act }} />
              <RoleSwitch list="vips" name="vip" {...{ data, user, moderation, act }} />
            </div>
          )}
        </div>
      )}
      <Tabs<Tab>
        label="About them"
        tabs={[
          { value: 'messages', label: 'Messages' },
          { value: 'log', label: `History (${data.timeouts.length + data.warnings.length})` },
          { value: 'notes', label: `Notes (${data.notes.length})` },
        ]}
        value={tab}
        onChange={setTab}
      />
      {tab === 'messages' && <Said messages={data.messages} />}
      {tab === 'log' && <History data={data} />}
      {tab === 'notes' && (
        <>
          <ul className={css.said} aria-label="Notes">
            {data.notes.map((each) => (
              <li key={each.id}>
                {each.text}{' '}
                <small>
                  {each.author?.display_name} · <Ago at={each.created_at} />
                </small>
              </li>
            ))}
          </ul>
          <form className={css.noteForm} onSubmit={addNote}>
            <input
              type="text"
              className={css.reason}
              aria-label="New note"
              placeholder="A note for the other moderators"
              maxLength={500}
              value={note}
              onChange={(event) => setNote(event.target.value)}
            />
            <Button small type="submit" icon="plus" aria-label="Add the note" />
          </form>
        </>
      )}
    </>
  );
}

function History({ data }: { data: Card }) {
  const entries = [
    ...data.timeouts.map((item) => ({
      id: `t${item.id}`,
      at: item.at,
      text: `${item.action}${item.reason ? `: ${item.reason}` : ''}`,
      by: item.moderator?.display_name,
    })),
    ...data.warnings.map((item) => ({
      id: `w${item.id}`,
      at: item.created_at,
      text: `warning: ${item.reason}`,
      by: undefined,
    })),
  ].sort((a, b) => b.at.localeCompare(a.at));
  if (entries.length === 0) return <p className={css.cardNothing}>Never warned, never silenced.</p>;
  return (
    <ul className={css.said} aria-label="History">
      {entries.map((entry) => (
        <li key={entry.id}>
          <Icon name="clock" size={12} /> {entry.text}{' '}
          <small>
            {entry.by && `${entry.by} · `}
            <Ago at={entry.at} />
          </small>
        </li>
      ))}
    </ul>
  );
}

function RoleSwitch({
  list,
  name,
  data,
  user,
  moderation,
  act,
}: {
  list: 'moderators' | 'vips';
  name: 'moderator' | 'vip';
  data: Card;
  user: ChatUser;
  moderation: Moderation;
  act: (work: Promise<unknown>, done: string) => Promise<void>;
}) {
  const has = data.role === name;
  const word = name === 'vip' ? 'VIP' : 'moderator';
  return (
    <Button
      small
      look="quiet"
      icon={name === 'vip' ? 'diamond' : 'shield'}
      onClick={() =>
        void act(
          has ? moderation.revoke(list, user.login) : moderation.grant(list, user.login),
          has ? `${user.name} is no longer a ${word}.` : `${user.name} is a ${word} now.`,
        )
      }
    >
      {has ? `Remove ${word}` : `Make ${word}`}
    </Button>
  );
}

/** 10 → "10 s", 86400 → "1 d". */
export function shortSpan(seconds: number): string {
  const [count, unit] =
    seconds >= 86_400
      ? [seconds / 86_400, 'd']
      : seconds >= 3600
        ? [seconds / 3600, 'h']
        : seconds >= 60
          ? [seconds / 60, 'min']
          : [seconds, 's'];
  return `${Math.round(count)} ${unit}`;
}
