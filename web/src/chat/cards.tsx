import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { explain } from '../api/client';
import type { Moderation } from '../api/moderation';
import { Button } from '../components/button';
import { Icon } from '../components/icon';
import { useNow } from '../components/time';
import { toast } from '../components/toasts';
import { cx } from '../lib/cx';
import { formatClock } from '../lib/format';
import css from './chat.module.css';
import { type ChatConnection, type Link, UNNOTICED_MS } from './connection';
import { nameColor } from './look';
import { MessageText } from './message-row';
import type { ChatMessage, Poll, Raid } from './protocol';

/** Do something on the server and say what went wrong. Gives whether it worked. */
export async function attempt(work: Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await work;
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(explain(error), { danger: true });
    return false;
  }
}

/** A lost connection, once it lasts long enough to be noticed. */
export function ConnectionBanner({ link, onRetry }: { link: Link; onRetry: () => void }) {
  const [shown, setShown] = useState(false);
  const waiting = link.status === 'waiting';
  useEffect(() => {
    if (!waiting) {
      setShown(false);
      return;
    }
    const timer = setTimeout(() => setShown(true), UNNOTICED_MS);
    return () => clearTimeout(timer);
  }, [waiting]);
  if (!shown || link.status !== 'waiting') return null;
  return (
    <div className={css.banner} role="status" data-testid="reconnecting">
      <span className={css.bannerSpinner} aria-hidden="true" />
      <p>
        <strong>Chat is reconnecting…</strong> What you missed comes with it.
      </p>
      <Button small look="bare" onClick={onRetry}>
        Now
      </Button>
    </div>
  );
}

export function PinnedCard({
  message,
  self,
  onUnpin,
}: {
  message: ChatMessage;
  self: string | null;
  onUnpin: (() => void) | null;
}) {
  const [open, setOpen] = useState(true);
  useEffect(() => setOpen(true), [message.id]);
  return (
    <section className={css.pinned} aria-label="Pinned message" data-testid="pinned">
      <header>
        <Icon name="pin" size={14} />
        <span>
          Pinned ·{' '}
          <b style={{ color: nameColor(message.user.color, message.user.login) }}>
            {message.user.name}
          </b>
        </span>
        {onUnpin && (
          <button type="button" onClick={onUnpin}>
            Unpin
          </button>
        )}
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Hide' : 'Show'}
        </button>
      </header>
      {open && (
        <p>
          <MessageText message={message} self={self} />
        </p>
      )}
    </section>
  );
}

/** A finished poll's result stays for this long, ms. */
const RESULT_MS = 30_000;

export function PollCard({
  poll,
  clockOffsetMs,
  connection,
  moderation,
  canVote,
}: {
  poll: Poll;
  clockOffsetMs: number;
  connection: ChatConnection | null;
  moderation: Moderation | null;
  canVote: boolean;
}) {
  const now = useNow(1000).getTime() + clockOffsetMs;
  const [hidden, setHidden] = useState(false);
  useEffect(() => setHidden(false), [poll.id, poll.status]);
  const ends = Date.parse(poll.ends_at);
  const running = ['running', 'open', 'active', 'started'].includes(poll.status) && ends > now;
  if (hidden || (!running && now > ends + RESULT_MS)) return null;
  const most = Math.max(...poll.choices.map((choice) => choice.votes));
  const voted = poll.voted ?? null;
  const mayVote = running && canVote && voted === null;
  return (
    <section className={css.poll} aria-label="Poll" data-testid="poll">
      <header>
        <Icon name="poll" size={16} />
        <h3>{poll.question}</h3>
        {!running && (
          <button type="button" aria-label="Hide the poll" onClick={() => setHidden(true)}>
            <Icon name="close" size={14} />
          </button>
        )}
      </header>
      <ul>
        {poll.choices.map((choice, index) => {
          const share = poll.total > 0 ? choice.votes / poll.total : 0;
          const winner = !running && choice.votes === most && most > 0;
          return (
            <li key={index}>
              <button
                type="button"
                className={cx(css.choice, winner && css.winner, voted === index && css.voted)}
                disabled={!mayVote}
                onClick={() => connection?.vote(poll.id, index)}
              >
                <span className={css.bar} style={{ width: `${share * 100}%` }} aria-hidden="true" />
                <span className={css.choiceText}>
                  {choice.text}
                  {voted === index && (
                    <>
                      {' '}
                      <Icon name="check" size={14} />
                      <span className="visually-hidden">your vote</span>
                    </>
                  )}
                </span>
                <span className="tabular">{Math.round(share * 100)} %</span>
              </button>
            </li>
          );
        })}
      </ul>
      <footer>
        <span className="tabular">
          {poll.total} vote{poll.total === 1 ? '' : 's'} ·{' '}
          {running ? `${formatClock((ends - now) / 1000)} left` : 'ended'}
        </span>
        {running && moderation && (
          <button type="button" onClick={() => void attempt(moderation.endPoll(poll.id))}>
            End it
          </button>
        )}
      </footer>
    </section>
  );
}

/** The way to the raided channel: counted down, and each viewer may stay. */
export function RaidCard({
  raid,
  clockOffsetMs,
  onCancel,
}: {
  raid: Raid;
  clockOffsetMs: number;
  onCancel: (() => void) | null;
}) {
  const [stays, setStays] = useState(false);
  const [, navigate] = useLocation();
  const now = useNow(500).getTime() + clockOffsetMs;
  const go = raid.state === 'go';
  useEffect(() => {
    // A window with the chat alone moves to the other chat.
    if (go && !stays) {
      navigate(
        location.pathname.endsWith('/chat') ? `/${raid.to.login}/chat` : `/${raid.to.login}`,
      );
    }
  }, [go, stays, navigate, raid.to.login]);
  if (stays) return null;
  const left = raid.at ? Math.max(0, (Date.parse(raid.at) - now) / 1000) : null;
  return (
    <section className={css.raid} aria-label="Raid" data-testid="raid">
      <Icon name="raid" size={20} />
      <p>
        <strong>Raid to {raid.to.name}</strong>
        <span className="tabular">
          {left === null
            ? 'The stage moves on in a moment.'
            : `In ${formatClock(left)} you come along.`}
        </span>
      </p>
      {onCancel ? (
        <Button small look="quiet" onClick={onCancel}>
          Call it off
        </Button>
      ) : (
        <Button small look="quiet" onClick={() => setStays(true)}>
          Stay here
        </Button>
      )}
    </section>
  );
}

/** A warning must be read before chatting on. */
export function WarningCard({
  reason,
  connection,
}: {
  reason: string;
  connection: ChatConnection;
}) {
  return (
    <div className={css.gate} role="alert" data-testid="warning">
      <p>
        <strong>A moderator has warned you.</strong> {reason}
      </p>
      <Button small look="primary" onClick={() => connection.acknowledgeWarning()}>
        I understand
      </Button>
    </div>
  );
}
