import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import { api, explain } from '../../api/client';
import { useInstance } from '../../api/instance';
import { useSession } from '../../api/session';
import type { MyStream, NewStreamKey, User } from '../../api/types';
import { useLiveState } from '../../api/use-live-state';
import { useResource } from '../../api/use-resource';
import { Button, ButtonLink } from '../../components/button';
import { Dialog } from '../../components/dialog';
import { Icon } from '../../components/icon';
import { Failed } from '../../components/loaded';
import { Uptime } from '../../components/time';
import { toast } from '../../components/toasts';
import { Notice, Pill } from '../../components/ui';
import { formatCount } from '../../lib/format';
import { useTitle } from '../../lib/title';
import { Attempts } from './attempts';
import { Connect } from './connect';
import css from './dashboard.module.css';
import { Health } from './health';
import { StreamInfo } from './info';
import { StreamKeys, useStreamKeys } from './keys';
import { DashboardNav } from './nav';
import { Preview } from './preview';

/** While OBS is being connected every second counts; afterwards the live state says when to look. */
const POLL_MS = 2000;

export default function DashboardPage() {
  useTitle('Dashboard');
  const { user } = useSession();
  return user === null ? null : <Dashboard user={user} />;
}

function Dashboard({ user }: { user: User }) {
  const instance = useInstance();
  const view = useLiveState(user.login);
  const mine = useResource(
    'me/stream',
    (signal) => api<MyStream>('GET', '/me/stream', { signal }),
    { everyMs: POLL_MS },
  );
  const keys = useStreamKeys();
  // The server shows a key this once; the page keeps it until it is left.
  const [made, setMade] = useState<NewStreamKey | null>(null);

  const { reload } = mine;
  const version = view?.live.version;
  useEffect(() => reload(), [version, reload]);

  // The live state is the faster of the two; what only /me/stream knows is "connecting".
  const live = view !== null && view.live.state !== 'offline';
  const state = live
    ? view.live.state
    : mine.data?.state === 'connecting'
      ? 'connecting'
      : 'offline';

  return (
    <div className={css.page}>
      <div className={css.head}>
        <div>
          <h1>Dashboard</h1>
          <p>
            <Link href={`/${user.login}`}>
              {location.host}/{user.login}
            </Link>
          </p>
        </div>
        <Status
          state={state}
          startedAt={view?.live.started_at ?? null}
          viewers={view?.live.viewers ?? 0}
          offsetMs={view?.clockOffsetMs ?? 0}
          login={user.login}
          onEnded={reload}
        />
      </div>

      <DashboardNav />

      {mine.data === undefined && mine.error !== undefined && (
        <Failed of={mine} title="The state of your stream did not load" />
      )}
      {live &&
        mine.data?.warnings.map((warning) => (
          <Notice key={warning.code} tone="warn">
            {warning.message}
          </Notice>
        ))}

      {instance?.who_may_stream === 'nobody' && (
        <Notice tone="warn" title="No stream can begin at the moment">
          The people who run this site have closed the stage for now. A stream that runs goes on.
        </Notice>
      )}

      {!user.may_stream && (
        <Notice tone="warn" title="Your account may watch, but not stream yet">
          Ask the people who run this site to allow it.
        </Notice>
      )}

      <div className={css.columns}>
        <div className={css.column}>
          {live && <Preview view={view} />}
          {live && <Health sinceStart={view.live.started_at} />}
          {!live && (
            <Connect
              keys={keys}
              made={made}
              onMade={setMade}
              state={state === 'connecting' ? 'connecting' : 'offline'}
            />
          )}
          <Attempts attempts={mine.data?.attempts ?? []} live={live} />
        </div>
        <div className={css.column}>
          <StreamInfo login={user.login} />
          <StreamKeys keys={keys} made={made} onMade={setMade} live={live} />
        </div>
      </div>
    </div>
  );
}

function Status({
  state,
  startedAt,
  viewers,
  offsetMs,
  login,
  onEnded,
}: {
  state: 'offline' | 'connecting' | 'live' | 'reconnecting';
  startedAt: string | null;
  viewers: number;
  offsetMs: number;
  login: string;
  onEnded: () => void;
}) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);

  async function end() {
    setBusy(true);
    try {
      await api('POST', `/channels/${login}/stream/end`);
      toast('The stream has ended.');
      setAsking(false);
      onEnded();
    } catch (error) {
      toast(explain(error), { danger: true });
    } finally {
      setBusy(false);
    }
  }

  const on = state === 'live' || state === 'reconnecting';
  return (
    <div className={css.status}>
      <span role="status">
        {state === 'offline' && <Pill dot>Waiting for OBS</Pill>}
        {state === 'connecting' && (
          <Pill tone="warn" dot pulse>
            Connecting…
          </Pill>
        )}
        {state === 'live' && (
          <Pill tone="live" dot>
            You are live
          </Pill>
        )}
        {state === 'reconnecting' && (
          <Pill tone="warn" dot pulse>
            OBS is reconnecting…
          </Pill>
        )}
      </span>
      {on && (
        <>
          <span className={css.figure}>
            <Icon name="people" size={18} />
            <span className="tabular">{formatCount(viewers)}</span>
            <span className="visually-hidden">viewers</span>
          </span>
          {startedAt && (
            <span className={css.figure}>
              <Icon name="clock" size={18} />
              <Uptime since={startedAt} offsetMs={offsetMs} />
            </span>
          )}
          <Button look="danger" small icon="stop" onClick={() => setAsking(true)}>
            End stream
          </Button>
        </>
      )}
      {!on && (
        <ButtonLink href={`/${login}`} look="quiet" small>
          Your channel
        </ButtonLink>
      )}
      <Dialog
        open={asking}
        title="End the stream?"
        onClose={() => setAsking(false)}
        actions={
          <>
            <Button onClick={() => setAsking(false)}>Go on streaming</Button>
            <Button look="danger" busy={busy} onClick={() => void end()}>
              End it now
            </Button>
          </>
        }
      >
        <p>
          Your viewers see the end at once. OBS may try to connect again: press Stop Streaming there
          too.
        </p>
      </Dialog>
    </div>
  );
}
