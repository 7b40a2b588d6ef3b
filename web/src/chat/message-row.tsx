import { memo, useState } from 'react';
import { emoteUrl } from '../api/moderation';
import { Icon } from '../components/icon';
import { cx } from '../lib/cx';
import css from './chat.module.css';
import { badgesOf, nameColor } from './look';
import { partsOf } from './parts';
import type { ChatMessage, ChatUser } from './protocol';
import type { Line, MessageLine } from './room';

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export interface RowActions {
  openCard: (user: ChatUser) => void;
  reply: (message: ChatMessage) => void;
  remove: (message: ChatMessage) => void;
  timeout: (user: ChatUser) => void;
  ban: (user: ChatUser) => void;
  pin: (message: ChatMessage) => void;
}

export function EmoteImage({ id, code, size = 28 }: { id: string; code: string; size?: 28 | 56 }) {
  return (
    <img
      className={css.emote}
      src={emoteUrl(id, size)}
      srcSet={
        size === 28
          ? `${emoteUrl(id, 28)} 1x, ${emoteUrl(id, 56)} 2x, ${emoteUrl(id, 112)} 4x`
          : undefined
      }
      width={size}
      height={size}
      alt={code}
      title={code}
      decoding="async"
    />
  );
}

export function Badges({ badges }: { badges: readonly string[] | undefined }) {
  return badgesOf(badges).map((badge) => (
    <span key={badge.name} className={cx(css.badge, css[badge.tone])} title={badge.name}>
      <Icon name={badge.icon} size={13} />
      <span className="visually-hidden">{badge.name}</span>
    </span>
  ));
}

export function MessageText({
  message,
  self,
}: {
  message: Pick<ChatMessage, 'text' | 'emotes'>;
  self: string | null;
}) {
  return partsOf(message.text, message.emotes).map((part, index) => {
    switch (part.type) {
      case 'emote':
        return <EmoteImage key={index} id={part.id} code={part.code} />;
      case 'link':
        return (
          <a
            key={index}
            href={part.href}
            target="_blank"
            rel="noopener noreferrer nofollow ugc"
            tabIndex={-1}
          >
            {part.text}
          </a>
        );
      case 'mention':
        return (
          <span key={index} className={cx(css.mention, part.login === self && css.mentionSelf)}>
            {part.text}
          </span>
        );
      default:
        return part.text;
    }
  });
}

interface RowProps {
  line: Line;
  self: string | null;
  mentioned: boolean;
  canModerate: boolean;
  canTalk: boolean;
  times: boolean;
  actions: RowActions;
}

export const Row = memo(function Row(props: RowProps) {
  const { line } = props;
  if (line.type === 'note') {
    return (
      <p className={cx(css.note, line.tone === 'warn' && css.noteWarn)} data-testid="note">
        {line.text}
      </p>
    );
  }
  return <Message {...props} line={line} />;
});

const GONE = {
  deleted: 'Message deleted',
  timeout: 'Deleted with a timeout',
  ban: 'Deleted with a ban',
};

function Message({
  line,
  self,
  mentioned,
  canModerate,
  canTalk,
  times,
  actions,
}: RowProps & { line: MessageLine }) {
  const { message, gone } = line;
  const [revealed, setRevealed] = useState(false);
  if (message.kind === 'raid') return <RaidLine message={message} />;
  const own = message.user.login === self;
  const announced = message.kind === 'announcement';
  return (
    <div
      className={cx(
        css.message,
        mentioned && css.mentioned,
        announced && css.announcement,
        gone && css.gone,
      )}
      data-testid="message"
      data-id={message.id}
      data-tone={announced ? (message.color ?? 'primary') : undefined}
    >
      {message.reply_to && (
        <p className={css.replyTo}>
          <Icon name="reply" size={13} />
          <span>
            Reply to @{message.reply_to.user.login}: {message.reply_to.text}
          </span>
        </p>
      )}
      {announced && (
        <p className={css.kicker}>
          <Icon name="megaphone" size={14} /> Announcement
        </p>
      )}
      {message.first && <p className={css.kicker}>First message here</p>}
      <p className={css.text}>
        {times && <time dateTime={message.ts}>{clock.format(new Date(message.ts))} </time>}
        <Badges badges={message.user.badges} />
        <button
          type="button"
          tabIndex={-1}
          className={css.name}
          style={{ color: nameColor(message.user.color, message.user.login) }}
          onClick={() => actions.openCard(message.user)}
        >
          {message.user.name}
        </button>
        {message.kind === 'action' ? ' ' : <span className={css.colon}>: </span>}
        {gone && !revealed ? (
          <>
            <em className={css.goneText}>{GONE[gone]}</em>
            {canModerate && (
              <button
                type="button"
                tabIndex={-1}
                className={css.reveal}
                onClick={() => setRevealed(true)}
              >
                Show
              </button>
            )}
          </>
        ) : (
          <span className={cx(css.speech, message.kind === 'action' && css.action)}>
            <MessageText message={message} self={self} />
          </span>
        )}
      </p>
      {(canTalk || canModerate) && !gone && (
        <div className={css.tools}>
          {canTalk && (
            <Tool
              icon="reply"
              label={`Reply to ${message.user.name}`}
              onClick={() => actions.reply(message)}
            />
          )}
          {canModerate && (
            <>
              <Tool icon="pin" label="Pin for everybody" onClick={() => actions.pin(message)} />
              <Tool icon="trash" label="Delete message" onClick={() => actions.remove(message)} />
            </>
          )}
          {canModerate && !own && (
            <>
              <Tool
                icon="timer"
                label={`Time ${message.user.name} out for 10 minutes`}
                onClick={() => actions.timeout(message.user)}
              />
              <Tool
                icon="ban"
                label={`Ban ${message.user.name}`}
                onClick={() => actions.ban(message.user)}
              />
            </>
          )}
        </div>
      )}
    </div>
  );
}

function Tool({
  icon,
  label,
  onClick,
}: {
  icon: 'reply' | 'trash' | 'timer' | 'ban' | 'pin';
  label: string;
  onClick: () => void;
}) {
  return (
    <button type="button" tabIndex={-1} title={label} aria-label={label} onClick={onClick}>
      <Icon name={icon} size={16} />
    </button>
  );
}

function RaidLine({ message }: { message: ChatMessage }) {
  const { raid } = message;
  return (
    <div className={css.raidLine} data-testid="raid-line">
      <Icon name="raid" size={20} />
      <p>
        {raid ? (
          <>
            <strong>{raid.from.name}</strong> arrives with{' '}
            {raid.viewers === 1 ? 'one viewer' : `${raid.viewers} viewers`}. Welcome!
          </>
        ) : (
          message.text
        )}
      </p>
    </div>
  );
}
