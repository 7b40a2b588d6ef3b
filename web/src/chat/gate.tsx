import { type SubmitEvent, useState } from 'react';
import { useLocation } from 'wouter';
import { explain } from '../api/client';
import { answerMyUnban, askForUnban, myUnbanRequests } from '../api/moderation';
import { useResource } from '../api/use-resource';
import { Button, ButtonLink } from '../components/button';
import { Dialog } from '../components/dialog';
import { TextArea } from '../components/field';
import { useFollowing } from '../components/follow-button';
import { Icon } from '../components/icon';
import { Ago } from '../components/time';
import { Notice, Pill } from '../components/ui';
import { loginPath } from '../lib/routes';
import { attempt } from './cards';
import css from './chat.module.css';
import { isExempt, type RoomState, spanOfMinutes } from './room';

/** For those who may read but not write yet: what is missing, and the way to it. */
export function LoginGate() {
  const [path] = useLocation();
  return (
    <div className={css.gate}>
      <p>You are reading along.</p>
      <ButtonLink small look="primary" href={loginPath(path)}>
        Log in to chat
      </ButtonLink>
    </div>
  );
}

/** Whether followers-only mode keeps this person from writing, as far as is known here. */
export function followersGap(room: RoomState, now: number): 'follow' | 'wait' | null {
  const { followers_min } = room.settings;
  if (followers_min === null || isExempt(room.me)) return null;
  if (!room.me.follows_since) return 'follow';
  return now < Date.parse(room.me.follows_since) + followers_min * 60_000 ? 'wait' : null;
}

export function FollowersGate({
  room,
  channel,
  now,
}: {
  room: RoomState;
  channel: string;
  now: number;
}) {
  const { following, busy, toggle } = useFollowing(channel);
  const gap = followersGap(room, now);
  if (gap === null) return null;
  const minutes = room.settings.followers_min ?? 0;
  return (
    <div className={css.gate} data-testid="followers-gate">
      <p>
        <Icon name="heart" size={14} />{' '}
        {minutes > 0
          ? `Who has followed for ${spanOfMinutes(minutes)} may chat.`
          : 'Followers may chat here.'}
      </p>
      {gap === 'follow' && !following?.following && (
        <Button small look="primary" busy={busy} onClick={toggle}>
          Follow
        </Button>
      )}
    </div>
  );
}

/** Somebody banned may ask the moderators to look at it again. */
export function BannedGate({ channel }: { channel: string }) {
  const [open, setOpen] = useState(false);
  return (
    <div className={css.gate} data-testid="banned">
      <p>
        <Icon name="ban" size={14} /> You are banned from this chat.
      </p>
      <Button small look="quiet" onClick={() => setOpen(true)}>
        Ask to come back
      </Button>
      <Dialog open={open} title="Ask to come back" onClose={() => setOpen(false)}>
        {open && <UnbanConversation channel={channel} />}
      </Dialog>
    </div>
  );
}

function UnbanConversation({ channel }: { channel: string }) {
  const requests = useResource(`unban/${channel}`, (signal) => myUnbanRequests(channel, signal));
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const open = requests.data?.items.find((each) => each.status === 'open');
  const last = open ?? requests.data?.items[0];

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    if (text.trim() === '') return;
    setBusy(true);
    const work = open
      ? answerMyUnban(channel, open.id, text.trim())
      : askForUnban(channel, text.trim());
    if (await attempt(work, 'The moderators have it.')) {
      setText('');
      requests.reload();
    }
    setBusy(false);
  }

  return (
    <form className={css.unban} onSubmit={(event) => void submit(event)}>
      {requests.error !== undefined && <Notice tone="danger">{explain(requests.error)}</Notice>}
      {last && (
        <>
          <p>
            <Pill
              tone={
                last.status === 'approved' ? 'ok' : last.status === 'denied' ? 'danger' : 'plain'
              }
            >
              {last.status === 'open' ? 'Waits for a moderator' : last.status}
            </Pill>
          </p>
          <ul className={css.said}>
            {last.messages.map((message) => (
              <li key={message.id}>
                <strong>{message.author?.display_name ?? 'A moderator'}</strong>: {message.text}{' '}
                <small>
                  <Ago at={message.created_at} />
                </small>
              </li>
            ))}
          </ul>
        </>
      )}
      <TextArea
        label={open ? 'Add something' : 'Why should you be let back in?'}
        required
        maxLength={500}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <Button type="submit" look="primary" busy={busy}>
        Send
      </Button>
    </form>
  );
}
