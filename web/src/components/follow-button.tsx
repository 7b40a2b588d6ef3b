import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { explain } from '../api/client';
import { follow, type Following, followingOf, unfollow } from '../api/moderation';
import { useSession } from '../api/session';
import { loginPath } from '../lib/routes';
import { Button } from './button';
import { toast } from './toasts';

/** Follow and unfollow, here and wherever else the page shows it. */
const listeners = new Set<(channel: string, following: Following) => void>();

export function useFollowing(channel: string): {
  following: Following | null;
  /** Whether that is still being asked. */
  asking: boolean;
  busy: boolean;
  toggle: () => void;
} {
  const session = useSession();
  const [path, navigate] = useLocation();
  const [following, setFollowing] = useState<Following | null>(null);
  const [failed, setFailed] = useState(false);
  const [busy, setBusy] = useState(false);
  const self = session.user?.login;
  useEffect(() => {
    setFollowing(null);
    setFailed(false);
    const listen = (of: string, now: Following) => {
      if (of === channel) setFollowing(now);
    };
    listeners.add(listen);
    const abort = new AbortController();
    if (self !== undefined && self !== channel) {
      followingOf(channel, abort.signal).then(setFollowing, () => setFailed(true));
    }
    return () => {
      abort.abort();
      listeners.delete(listen);
    };
  }, [channel, self]);

  async function change() {
    setBusy(true);
    try {
      const now = await (following?.following ? unfollow(channel) : follow(channel));
      listeners.forEach((listener) => listener(channel, now));
    } catch (error) {
      toast(explain(error), { danger: true });
    } finally {
      setBusy(false);
    }
  }

  return {
    following,
    asking: self !== undefined && self !== channel && following === null && !failed,
    busy,
    toggle: () => {
      if (session.status === 'anonymous') navigate(loginPath(path));
      else if (!busy) void change();
    },
  };
}

/** How many follow a channel: what was last heard, be it from the channel or from one's own click. */
export function useFollowers(channel: string, told: number): number {
  const [count, setCount] = useState(told);
  useEffect(() => setCount(told), [channel, told]);
  useEffect(() => {
    const listen = (of: string, now: Following) => {
      if (of === channel) setCount(now.followers);
    };
    listeners.add(listen);
    return () => {
      listeners.delete(listen);
    };
  }, [channel]);
  return count;
}

export function FollowButton({ channel, name }: { channel: string; name: string }) {
  const session = useSession();
  const { following, asking, busy, toggle } = useFollowing(channel);
  if (session.user?.login === channel || session.status === 'unknown') return null;
  const on = following?.following ?? false;
  return (
    <Button
      small
      look={on ? 'quiet' : 'primary'}
      icon={on ? 'check' : 'heart'}
      // Not "Follow" to somebody who does: until it is known, only its place is held.
      style={asking ? { visibility: 'hidden' } : undefined}
      busy={busy}
      aria-pressed={on}
      aria-label={on ? `Following ${name}` : `Follow ${name}`}
      title={on ? 'Stop following' : undefined}
      onClick={toggle}
    >
      {on ? 'Following' : 'Follow'}
    </Button>
  );
}
