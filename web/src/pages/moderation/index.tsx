import { useEffect, useMemo, useRef, useState, type SubmitEvent } from 'react';
import { Link } from 'wouter';
import { explain } from '../../api/client';
import { moderationOf, type Moderation, type Person } from '../../api/moderation';
import { usePages } from '../../api/use-pages';
import { useResource } from '../../api/use-resource';
import { attempt } from '../../chat/cards';
import { ModeControls } from '../../chat/modes';
import { ChatView } from '../../chat/panel';
import type { RoomState } from '../../chat/room';
import { useChat } from '../../chat/use-chat';
import { Icon } from '../../components/icon';
import { More } from '../../components/more';
import { Ago, useNow } from '../../components/time';
import {
  Button,
  Dialog,
  EmptyState,
  Field,
  Notice,
  Pill,
  Select,
  Skeleton,
  Tabs,
  TextArea,
  cx,
} from '../../components/ui';
import { formatClock } from '../../lib/format';
import { useTitle } from '../../lib/title';
import { actionText } from './actions';
import css from './moderation.module.css';

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

interface HeldItem {
  id: string;
  user: { login: string; name: string };
  text: string;
  reason: string;
  categories: string[];
  expires_at: string;
}

/** What waits now: what was there when the page came, and what has come since. */
function useHeld(room: RoomState, moderation: Moderation, clockOffsetMs: number): HeldItem[] {
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

function HeldQueue({
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
          {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- keys for the whole entry */}
          <article
            // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- the entry is what the keys are about
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

const nameOf = (person: unknown): string | null => {
  if (typeof person === 'string') return person;
  if (person === null || typeof person !== 'object') return null;
  const { display_name, name, login } = person as Partial<Person> & { name?: string };
  return display_name ?? name ?? login ?? null;
};

function ModLog({ room, moderation }: { room: RoomState; moderation: Moderation }) {
  const log = usePages('log', (cursor, signal) => moderation.log(cursor, signal));
  const known = new Set(room.log.map((entry) => entry.id));
  const entries = [...room.log, ...(log.data?.items ?? []).filter(({ id }) => !known.has(id))];
  if (log.error !== undefined && entries.length === 0) {
    return <Notice tone="danger">{explain(log.error)}</Notice>;
  }
  if (log.data === undefined && entries.length === 0) return <Skeleton className={css.ghost} />;
  if (entries.length === 0) return <p className={css.nothing}>Nothing was done yet.</p>;
  return (
    <>
      <ul className={css.log} aria-label="Moderation log">
        {entries.map((entry) => (
          <li key={entry.id}>
            <p>
              <strong>{nameOf(entry.moderator) ?? 'Footlight'}</strong>{' '}
              {actionText(entry.action, nameOf(entry.target ?? null), entry.data ?? {})}
            </p>
            <p className={css.why}>
              <Ago at={entry.at} />
              {entry.reason && <> · “{entry.reason}”</>}
            </p>
          </li>
        ))}
      </ul>
      <More of={log} />
    </>
  );
}

/** Counts what the log has told, so that a list is asked for again after every decision. */
const changes = (room: RoomState) => room.log[0]?.id ?? '';

function Bans({ room, moderation }: { room: RoomState; moderation: Moderation }) {
  const bans = usePages('bans', (cursor, signal) => moderation.bans(cursor, signal));
  const { reload } = bans;
  const change = changes(room);
  useEffect(() => reload(), [change, reload]);
  if (bans.data === undefined) {
    return bans.error === undefined ? (
      <Skeleton className={css.ghost} />
    ) : (
      <Notice tone="danger">{explain(bans.error)}</Notice>
    );
  }
  if (bans.data.items.length === 0) return <p className={css.nothing}>Nobody is banned.</p>;
  return (
    <>
      <ul className={css.log} aria-label="Banned and timed out">
        {bans.data.items.map((ban) => (
          <li key={ban.user.id} className={css.withButton}>
            <div>
              <p>
                <strong>{ban.user.display_name}</strong>{' '}
                {ban.expires_at ? (
                  <Pill tone="warn">Timed out</Pill>
                ) : (
                  <Pill tone="danger">Banned</Pill>
                )}
              </p>
              <p className={css.why}>
                {ban.moderator ? `${ban.moderator.display_name} · ` : ''}
                <Ago at={ban.created_at} />
                {ban.reason && <> · “{ban.reason}”</>}
              </p>
            </div>
            <Button
              small
              look="quiet"
              aria-label={`Let ${ban.user.display_name} chat again`}
              onClick={() => void attempt(moderation.unban(ban.user.login)).then(reload)}
            >
              Lift
            </Button>
          </li>
        ))}
      </ul>
      <More of={bans} />
    </>
  );
}

function Requests({ room, moderation }: { room: RoomState; moderation: Moderation }) {
  const requests = usePages('unban-requests', (cursor, signal) =>
    moderation.unbanRequests(cursor, signal),
  );
  const { reload } = requests;
  const change = changes(room);
  useEffect(() => reload(), [change, reload]);
  if (requests.data === undefined) {
    return requests.error === undefined ? (
      <Skeleton className={css.ghost} />
    ) : (
      <Notice tone="danger">{explain(requests.error)}</Notice>
    );
  }
  if (requests.data.items.length === 0) {
    return <p className={css.nothing}>Nobody asks to come back.</p>;
  }
  return (
    <>
      <ul className={css.log} aria-label="Unban requests">
        {requests.data.items.map((request) => (
          <li key={request.id}>
            <p>
              <strong>{request.user.display_name}</strong>{' '}
              {request.status !== 'open' && <Pill>{request.status}</Pill>}{' '}
              <span className={css.why}>
                <Ago at={request.created_at} />
              </span>
            </p>
            <ul className={css.talk}>
              {request.messages.map((message) => (
                <li key={message.id}>
                  <b>{message.author?.display_name ?? 'Somebody'}</b> {message.text}
                </li>
              ))}
            </ul>
            {request.status === 'open' && (
              <Answer
                onAnswer={async (answer) => {
                  if (await attempt(moderation.answerUnban(request.id, answer))) reload();
                }}
              />
            )}
          </li>
        ))}
      </ul>
      <More of={requests} />
    </>
  );
}

function Answer({
  onAnswer,
}: {
  onAnswer: (answer: { decision?: 'approve' | 'deny'; text?: string }) => Promise<void>;
}) {
  const [text, setText] = useState('');
  const said = text.trim() || undefined;
  const send = (decision?: 'approve' | 'deny') =>
    void onAnswer({ decision, text: said }).then(() => setText(''));
  return (
    <div className={css.answer}>
      <input
        type="text"
        aria-label="Your answer"
        placeholder="Answer (optional)"
        maxLength={500}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <p className={css.buttons}>
        <Button small look="primary" onClick={() => send('approve')}>
          Let back in
        </Button>
        <Button small look="quiet" onClick={() => send('deny')}>
          Deny
        </Button>
        {said !== undefined && (
          <Button small look="bare" onClick={() => send()}>
            Only answer
          </Button>
        )}
      </p>
    </div>
  );
}

interface AskProps {
  open: boolean;
  moderation: Moderation;
  onClose: () => void;
}

function PollDialog({ open, moderation, onClose }: AskProps) {
  const [question, setQuestion] = useState('');
  const [choices, setChoices] = useState(['', '']);
  const [seconds, setSeconds] = useState(120);
  const [busy, setBusy] = useState(false);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const given = choices.map((choice) => choice.trim()).filter(Boolean);
    setBusy(true);
    const work = moderation.startPoll({
      question: question.trim(),
      choices: given,
      duration_s: seconds,
    });
    if (await attempt(work, 'The poll runs.')) {
      setQuestion('');
      setChoices(['', '']);
      onClose();
    }
    setBusy(false);
  }

  return (
    <Dialog open={open} title="Ask the chat" onClose={onClose}>
      <form className={css.form} onSubmit={(event) => void submit(event)}>
        <Field
          label="Question"
          required
          maxLength={60}
          value={question}
          onChange={(event) => setQuestion(event.target.value)}
        />
        {choices.map((choice, index) => (
          <Field
            key={index}
            label={`Choice ${index + 1}`}
            required={index < 2}
            maxLength={25}
            value={choice}
            onChange={(event) =>
              setChoices(choices.map((old, at) => (at === index ? event.target.value : old)))
            }
          />
        ))}
        {choices.length < 5 && (
          <Button small look="bare" icon="plus" onClick={() => setChoices([...choices, ''])}>
            Another choice
          </Button>
        )}
        <Select
          label="It runs for"
          value={seconds}
          onChange={(event) => setSeconds(Number(event.target.value))}
        >
          <option value={60}>1 minute</option>
          <option value={120}>2 minutes</option>
          <option value={300}>5 minutes</option>
          <option value={1800}>30 minutes</option>
        </Select>
        <Button type="submit" look="primary" busy={busy}>
          Start the poll
        </Button>
      </form>
    </Dialog>
  );
}

function AnnounceDialog({ open, moderation, onClose }: AskProps) {
  const [text, setText] = useState('');
  const [color, setColor] = useState('primary');
  async function submit(event: SubmitEvent) {
    event.preventDefault();
    if (await attempt(moderation.announce(text.trim(), color))) {
      setText('');
      onClose();
    }
  }
  return (
    <Dialog open={open} title="Announce something" onClose={onClose}>
      <form className={css.form} onSubmit={(event) => void submit(event)}>
        <TextArea
          label="Text"
          required
          maxLength={500}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Select label="Colour" value={color} onChange={(event) => setColor(event.target.value)}>
          <option value="primary">Footlight</option>
          <option value="blue">Blue</option>
          <option value="green">Green</option>
          <option value="orange">Orange</option>
          <option value="purple">Purple</option>
        </Select>
        <Button type="submit" look="primary">
          Announce
        </Button>
      </form>
    </Dialog>
  );
}

function RaidDialog({ open, moderation, onClose }: AskProps) {
  const [to, setTo] = useState('');
  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const login = to.trim().replace(/^@/, '').toLowerCase();
    if (await attempt(moderation.startRaid(login))) {
      setTo('');
      onClose();
    }
  }
  return (
    <Dialog open={open} title="Raid a channel" onClose={onClose}>
      <form className={css.form} onSubmit={(event) => void submit(event)}>
        <p>Your viewers come along after a countdown. Each may stay, and you may call it off.</p>
        <Field
          label="Channel"
          required
          maxLength={26}
          autoComplete="off"
          value={to}
          onChange={(event) => setTo(event.target.value)}
        />
        <Button type="submit" look="primary" icon="raid">
          Start the raid
        </Button>
      </form>
    </Dialog>
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ['H', 'To the held messages'],
  ['A · D', 'there: allow, deny'],
  ['C', 'To the chat'],
  ['↑ ↓', 'there: walk through the messages'],
  ['Enter', 'there: who is that'],
  ['R · D · T · B · P', 'there: reply, delete, time out, ban, pin'],
  ['W', 'Write'],
  ['L · N · U · M', 'Log, banned, unban requests, modes'],
];

function KeysDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} title="Keyboard" onClose={onClose}>
      <dl className={css.keys}>
        {KEYS.map(([key, about]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{about}</dd>
          </div>
        ))}
      </dl>
      <p className={css.why}>
        <Icon name="info" size={14} /> Commands such as /timeout work in the chat as well.
      </p>
    </Dialog>
  );
}
