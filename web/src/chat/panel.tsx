import { type KeyboardEvent, useCallback, useMemo, useState } from 'react';
import { moderationOf } from '../api/moderation';
import { useSession } from '../api/session';
import { Button } from '../components/button';
import { Icon } from '../components/icon';
import { useNow } from '../components/time';
import { Skeleton } from '../components/ui';
import { useMenu } from '../components/use-menu';
import { cx } from '../lib/cx';
import { formatCount } from '../lib/format';
import { attempt, ConnectionBanner, PinnedCard, PollCard, RaidCard, WarningCard } from './cards';
import css from './chat.module.css';
import { Chatters } from './chatters';
import { Composer } from './composer';
import { BannedGate, followersGap, FollowersGate, LoginGate } from './gate';
import { MessageList } from './message-list';
import { Row, type RowActions } from './message-row';
import { concerns } from './parts';
import { readChatPrefs, writeChatPrefs } from './prefs';
import type { ChatMessage, ChatUser } from './protocol';
import type { Line, MessageLine } from './room';
import { type Chat, useChat } from './use-chat';
import { useEmotes } from './use-emotes';
import { UserCard } from './user-card';

/** `/timeout` without a time, and the toolbar's button. */
const TIMEOUT_S = 600;

export interface PanelProps {
  channel: string;
  name: string;
  /** Beside the player it can be put away and popped out; alone it fills its window. */
  beside?: boolean;
  onHide?: () => void;
}

/** A channel's chat with its own connection. */
export function ChatPanel(props: PanelProps) {
  const chat = useChat(props.channel);
  return <ChatView {...props} chat={chat} />;
}

/** A channel's chat over a connection that the page may use for more. */
export function ChatView({
  channel,
  name,
  beside = false,
  onHide,
  chat,
}: PanelProps & { chat: Chat }) {
  const session = useSession();
  const { room, link, self, connection, clockOffsetMs } = chat;
  const emotes = useEmotes(channel);
  const [prefs, setPrefs] = useState(readChatPrefs);
  const [replyTo, setReplyTo] = useState<ChatMessage | null>(null);
  const [card, setCard] = useState<ChatUser | null>(null);
  const [listing, setListing] = useState(false);
  const [inserted, setInserted] = useState<{ text: string } | null>(null);
  const now = useNow(15_000).getTime() + clockOffsetMs;
  const canModerate = room.me.can_moderate;
  const canTalk = self !== null && !room.me.banned;
  const moderation = useMemo(() => moderationOf(channel), [channel]);
  const login = self?.login ?? null;

  const actions = useMemo<RowActions>(
    () => ({
      openCard: setCard,
      reply: setReplyTo,
      remove: (message) => void attempt(moderation.deleteMessage(message.id)),
      timeout: (user) =>
        void attempt(
          moderation.timeout(user.login, TIMEOUT_S),
          `${user.name} is timed out for 10 minutes.`,
        ),
      ban: (user) =>
        void attempt(moderation.ban(user.login), `${user.name} is banned from this chat.`),
      pin: (message) => void attempt(moderation.pin(message.id), 'Pinned for everybody.'),
    }),
    [moderation],
  );

  const row = useCallback(
    (line: Line) => (
      <Row
        line={line}
        self={login}
        mentioned={line.type === 'message' && concerns(line.message, login)}
        canModerate={canModerate}
        canTalk={canTalk}
        times={prefs.times}
        actions={actions}
      />
    ),
    [login, canModerate, canTalk, prefs.times, actions],
  );

  function onLineKey(line: Line, event: KeyboardEvent) {
    if (line.type !== 'message' || event.ctrlKey || event.metaKey || event.altKey) return;
    const { message } = line;
    const keys: Record<string, () => void> = {
      Enter: () => setCard(message.user),
      ...(canTalk && { r: () => setReplyTo(message) }),
      ...(canModerate && {
        d: () => actions.remove(message),
        t: () => actions.timeout(message.user),
        b: () => actions.ban(message.user),
        p: () => actions.pin(message),
      }),
    };
    const action = (event.target as Element).matches('[data-key]') ? keys[event.key] : undefined;
    if (!action) return;
    event.preventDefault();
    action();
  }

  function prefer(change: Partial<typeof prefs>) {
    const next = { ...prefs, ...change };
    writeChatPrefs({ ...readChatPrefs(), ...change });
    setPrefs(next);
  }

  const recent = useMemo(
    () =>
      card === null
        ? []
        : room.lines
            .filter(
              (line): line is MessageLine =>
                line.type === 'message' && line.message.user.id === card.id && !line.gone,
            )
            .map((line) => line.message)
            .slice(-20),
    [card, room.lines],
  );

  const onPause = useCallback((paused: boolean) => connection?.pause(paused), [connection]);
  const everJoined = room.channelId !== null;
  return (
    <section
      className={cx(css.panel, prefs.large && css.large, beside && css.beside)}
      aria-label={`Chat of ${name}`}
      data-chat={link.status}
    >
      <header className={css.head}>
        <h2>Chat</h2>
        {everJoined && (
          <ViewerCount
            count={room.viewers}
            onOpen={self === null ? null : () => setListing(!listing)}
          />
        )}
        <span className={css.gap} />
        {canModerate && !location.pathname.startsWith('/moderation/') && (
          <a
            className={css.headLink}
            href={`/moderation/${channel}`}
            target="_blank"
            rel="noopener"
            title="Moderation (new tab)"
            aria-label="Moderation, in a new tab"
          >
            <Icon name="shield" size={18} />
          </a>
        )}
        <HeadMenu channel={channel} beside={beside} prefs={prefs} onPrefs={prefer} />
        {onHide && (
          <Button small look="bare" icon="close" aria-label="Hide the chat" onClick={onHide} />
        )}
      </header>
      <div className={css.stack}>
        <ConnectionBanner link={link} onRetry={() => connection?.hurry()} />
        {room.raid && (
          <RaidCard
            key={room.raid.to.login}
            raid={room.raid}
            clockOffsetMs={clockOffsetMs}
            onCancel={
              room.me.role === 'broadcaster' ? () => void attempt(moderation.cancelRaid()) : null
            }
          />
        )}
        {room.poll && (
          <PollCard
            poll={room.poll}
            clockOffsetMs={clockOffsetMs}
            connection={connection}
            moderation={canModerate ? moderation : null}
            canVote={canTalk}
          />
        )}
        {room.pinned && (
          <PinnedCard
            message={room.pinned}
            self={login}
            onUnpin={canModerate ? () => void attempt(moderation.unpin()) : null}
          />
        )}
      </div>
      <MessageList
        lines={room.lines}
        arrived={room.arrived}
        onPause={onPause}
        row={row}
        onLineKey={onLineKey}
        label={`Chat of ${name}. Arrow keys walk through the messages.`}
        empty={
          link.status === 'closed' ? (
            link.reason
          ) : everJoined ? (
            <>
              <strong>It is quiet here.</strong>
              <span>Say hello: the first word is the hardest.</span>
            </>
          ) : (
            <Ghosts />
          )
        }
      />
      {listing && !card && (
        <Chatters moderation={moderation} onOpen={setCard} onClose={() => setListing(false)} />
      )}
      {card && (
        <UserCard
          key={card.id}
          user={card}
          channel={channel}
          recent={recent}
          self={self}
          moderation={canModerate ? moderation : null}
          isBroadcaster={room.me.role === 'broadcaster'}
          onMention={(of) => {
            setInserted({ text: `@${of} ` });
            setCard(null);
          }}
          onClose={() => setCard(null)}
        />
      )}
      <div className={css.foot}>
        {session.status === 'anonymous' ? (
          <LoginGate />
        ) : room.me.banned ? (
          <BannedGate channel={channel} />
        ) : room.me.warning && connection ? (
          <WarningCard reason={room.me.warning.reason} connection={connection} />
        ) : (
          connection && (
            <>
              <FollowersGate room={room} channel={channel} now={now} />
              {followersGap(room, now) !== 'follow' && (
                <Composer
                  connection={connection}
                  room={room}
                  clockOffsetMs={clockOffsetMs}
                  messageLength={chat.messageLength}
                  emotes={emotes}
                  channelName={name}
                  connected={link.status === 'open' && room.joined && self !== null}
                  replyTo={replyTo}
                  onReplyDone={() => setReplyTo(null)}
                  inserted={inserted}
                />
              )}
            </>
          )
        )}
      </div>
    </section>
  );
}

/** How many are here; who is logged in may look at the list. */
function ViewerCount({ count, onOpen }: { count: number; onOpen: (() => void) | null }) {
  const inside = (
    <>
      <Icon name="people" size={15} />
      <span className="tabular">{formatCount(count)}</span>
      <span className="visually-hidden">in the chat</span>
    </>
  );
  const title = `${count} in the chat`;
  if (onOpen === null) {
    return (
      <span className={css.count} title={title}>
        {inside}
      </span>
    );
  }
  return (
    <button type="button" className={css.count} title={title} onClick={onOpen}>
      {inside}
    </button>
  );
}

function Ghosts() {
  return (
    <span className={css.ghosts} role="status" aria-label="Loading the chat">
      {[70, 45, 85, 60, 30, 75].map((width) => (
        <span key={width} style={{ width: `${width}%` }}>
          <Skeleton className={css.ghost} />
        </span>
      ))}
    </span>
  );
}

function HeadMenu({
  channel,
  beside,
  prefs,
  onPrefs,
}: {
  channel: string;
  beside: boolean;
  prefs: { times: boolean; large: boolean };
  onPrefs: (change: { times?: boolean; large?: boolean }) => void;
}) {
  const [open, setOpen] = useState(false);
  const { root, onKeyDown } = useMenu(open, setOpen);

  return (
    <div className={css.menuRoot} ref={root}>
      <Button
        small
        look="bare"
        icon="more"
        aria-label="Chat options"
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      />
      {open && (
        <div className={css.menu} role="menu" tabIndex={-1} onKeyDown={onKeyDown}>
          {(
            [
              ['times', 'Show times'],
              ['large', 'Larger text'],
            ] as const
          ).map(([key, label]) => (
            <button
              key={key}
              type="button"
              role="menuitemcheckbox"
              tabIndex={-1}
              aria-checked={prefs[key]}
              onClick={() => onPrefs({ [key]: !prefs[key] })}
            >
              <span className={cx(!prefs[key] && css.unchecked)}>
                <Icon name="check" size={16} />
              </span>
              {label}
            </button>
          ))}
          {beside && (
            <button
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                window.open(`/${channel}/chat`, `chat-${channel}`, 'popup,width=380,height=680');
                setOpen(false);
              }}
            >
              <Icon name="popout" size={16} />
              Pop out
            </button>
          )}
        </div>
      )}
    </div>
  );
}
