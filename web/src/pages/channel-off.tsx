import { useEffect, useState, type ReactNode } from 'react';
import type { Channel, LiveState } from '../api/types';
import { useResource } from '../api/use-resource';
import { videos } from '../api/videos';
import { ButtonLink } from '../components/button';
import { LogoMark } from '../components/logo';
import { Ago } from '../components/time';
import { cx } from '../lib/cx';
import { formatSpan } from '../lib/format';
import css from './channel.module.css';

export interface Ended {
  at: number;
  ranFor: number | null;
}

/** Remembers that the stream seen on this page has ended, until it runs again. */
export function useEnded(live: LiveState | null): Ended | null {
  const [last, setLast] = useState<{ startedAt: string | null; ended: Ended | null } | null>(null);
  const state = live?.state;
  const startedAt = live?.started_at ?? null;
  useEffect(() => {
    if (state === undefined) return;
    setLast((before) => {
      if (state !== 'offline') return { startedAt, ended: null };
      if (before === null || before.ended !== null) return before;
      const at = Date.now();
      const ranFor = before.startedAt === null ? null : (at - Date.parse(before.startedAt)) / 1000;
      return { ...before, ended: { at, ranFor } };
    });
  }, [state, startedAt]);
  return last?.ended ?? null;
}

/** The way to what one has missed, where there is a video of it. */
export function LastBroadcast({ login }: { login: string }) {
  const found = useResource(`last-broadcast/${login}`, (signal) =>
    videos.list({ channel: login, kind: 'broadcast' }, null, signal),
  );
  const last = found.data?.items[0];
  return last === undefined ? null : (
    <ButtonLink href={`/videos/${last.id}`} look="primary" small icon="play">
      Watch the last broadcast
    </ButtonLink>
  );
}

/** Over the last picture of a channel that is not live. */
export function Off({
  name,
  ended,
  channel,
  action,
}: {
  name: string;
  ended: Ended | null;
  channel: Channel | null;
  /** What to do instead, where it is not to look who else is live. */
  action?: ReactNode;
}) {
  if (ended) {
    return (
      <div className={cx(css.off, css.offEnded)} data-testid="ended">
        <h2>The stream has ended</h2>
        <p>
          {ended.ranFor !== null && ended.ranFor > 0 && (
            <>It ran for {formatSpan(ended.ranFor)}. </>
          )}
          If <bdi>{name}</bdi> comes back, it plays here by itself.
        </p>
        {action ?? (
          <ButtonLink href="/" look="quiet">
            See who else is live
          </ButtonLink>
        )}
      </div>
    );
  }
  return (
    <div className={css.off} data-testid="offline">
      <LogoMark size={64} lit={false} />
      <h2>
        <bdi>{name}</bdi> is offline
      </h2>
      {channel?.title && (
        <p className={css.lastTitle}>
          Last on stage: “<bdi>{channel.title}</bdi>”
        </p>
      )}
      <p className={css.offHint}>
        {channel?.last_stream_at && (
          <>
            Was live <Ago at={channel.last_stream_at} />.{' '}
          </>
        )}
        Leave this page open: it starts playing by itself.
      </p>
      {action}
    </div>
  );
}
