import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import { api, ApiError } from '../api/client';
import { useSession } from '../api/session';
import type { Channel, LiveState } from '../api/types';
import { useLiveState } from '../api/use-live-state';
import { useResource } from '../api/use-resource';
import { type VideoDetail, videos } from '../api/videos';
import { attempt } from '../chat/cards';
import { readChatPrefs, writeChatPrefs } from '../chat/prefs';
import { Button, ButtonLink } from '../components/button';
import { FollowButton, useFollowers } from '../components/follow-button';
import { Icon } from '../components/icon';
import { Failed } from '../components/loaded';
import { ReportDialog } from '../components/report';
import { ShareDialog } from '../components/share';
import { Uptime } from '../components/time';
import { Avatar, EmptyState, Notice, Pill, Skeleton, Tag } from '../components/ui';
import { cx } from '../lib/cx';
import { formatCount } from '../lib/format';
import { useTitle } from '../lib/title';
import { Player } from '../player/player';
import { readPrefs, writePrefs } from '../player/prefs';
import { streamOf } from '../player/snapshot';
import { useRecord } from '../player/use-record';
import { LastBroadcast, Off, useEnded } from './channel-off';
import { ChannelNav, Recent } from './channel-tabs';
import css from './channel.module.css';
import { ChatPanel, loadChat } from './lazy';
import { NotFoundPage } from './not-found';
import { ClipButton } from './videos/clip-button';

const ClipEditor = lazy(() => import('../clips/editor'));

/** Title, category and tags may be edited in mid-stream. */
const DETAILS_MS = 30_000;

/** The chat waits for the picture, but no longer than this, ms. */
const CHAT_MS = 1500;

/** When the chat's code may be asked for. The network may be away just then: it is asked again. */
function useChatCode(first: boolean): boolean {
  const [there, setThere] = useState(false);
  useEffect(() => {
    let timer = setTimeout(load, first ? 0 : CHAT_MS);
    function load() {
      loadChat().then(
        () => setThere(true),
        () => {
          timer = setTimeout(load, CHAT_MS);
        },
      );
    }
    return () => clearTimeout(timer);
  }, [first]);
  return there;
}

export default function ChannelPage({ login }: { login: string }) {
  const view = useLiveState(login);
  const live = view?.live ?? null;
  const ended = useEnded(live);
  const channel = useResource(
    `channel/${login}/${live?.stream_id ?? 'off'}`,
    (signal) => api<Channel>('GET', `/channels/${login}`, { signal }),
    { everyMs: DETAILS_MS },
  );
  // The key changes when a stream starts or ends; what was known stays on the page meanwhile.
  const [known, setKnown] = useState<Channel | null>(null);
  useEffect(() => {
    if (channel.data) setKnown(channel.data);
  }, [channel.data]);
  const [theatre, setTheatre] = useState(() => readPrefs().theatre);
  const [chatHidden, setChatHidden] = useState(() => readChatPrefs().hidden);
  const [started, setStarted] = useState(false);
  const onStarted = useCallback(() => setStarted(true), []);
  const chatReady = useChatCode(started || live?.state === 'offline');
  const name = known?.display_name ?? login;
  const on = live !== null && live.state !== 'offline';
  useTitle(on ? `${name} is live` : name);
  const stream = useMemo(
    () => (live === null ? undefined : streamOf(live)),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- viewers and warnings do not concern the player
    [live?.login, live?.state, live?.session],
  );

  const record = useRecord(live);
  const playable = useMemo(
    () =>
      record && {
        url: record.url,
        startedAt: record.video.started_at ?? live?.started_at ?? record.video.created_at,
        storyboardUrl: record.video.storyboard_url,
        chapters: record.video.chapters,
      },
    [record, live?.started_at],
  );
  const session = useSession();
  const [, navigate] = useLocation();
  const [clipping, setClipping] = useState<VideoDetail | null>(null);

  async function clip() {
    if (record === null) return;
    if (session.status !== 'signed-in') {
      navigate(`/login?next=${encodeURIComponent(`/${login}`)}`);
      return;
    }
    // How far it is recorded by now.
    await attempt(videos.get(record.video.id).then(setClipping));
  }

  if (channel.error instanceof ApiError && channel.error.status === 404) {
    return <NotFoundPage what="channel" />;
  }

  function toggleTheatre() {
    writePrefs({ theatre: !theatre });
    setTheatre(!theatre);
  }

  function hideChat(hidden: boolean) {
    writeChatPrefs({ ...readChatPrefs(), hidden });
    setChatHidden(hidden);
  }

  return (
    <div className={cx(css.page, theatre && css.theatre)} data-theatre={theatre || undefined}>
      <div className={css.stageArea}>
        <div className={cx(css.stage, on && css.lit)}>
          <Player
            stream={stream}
            clockOffsetMs={view?.clockOffsetMs ?? 0}
            label={on ? `${name}, live` : `${name}, offline`}
            cover={
              live === null ? (
                <span />
              ) : on ? null : (
                <Off
                  name={name}
                  ended={ended}
                  channel={known}
                  action={ended ? undefined : <LastBroadcast login={login} />}
                />
              )
            }
            theatre={theatre}
            onTheatre={toggleTheatre}
            shortcuts
            early={login}
            onStarted={onStarted}
            record={playable}
            buttons={record && <ClipButton onClick={() => void clip()} />}
          />
        </div>
      </div>
      <div className={css.about}>
        <p className="visually-hidden" role="status">
          {live?.state === 'live' && `${name} is live.`}
          {live?.state === 'offline' && ended && 'The stream has ended.'}
        </p>
        {on &&
          live.warnings.map((warning) => (
            <Notice key={warning.code} tone="warn">
              {warning.message}
            </Notice>
          ))}
        {known ? (
          <Details
            channel={known}
            live={on ? live : null}
            clockOffsetMs={view?.clockOffsetMs ?? 0}
            onShowChat={chatHidden ? () => hideChat(false) : null}
          />
        ) : channel.error !== undefined ? (
          <Failed of={channel} title="The channel's details did not load" />
        ) : (
          <DetailsSkeleton />
        )}
        <div className={css.more}>
          <ChannelNav login={login} at="" />
          <Recent key={live?.stream_id ?? 'off'} login={login} name={name} />
        </div>
      </div>
      {clipping && (
        <Suspense>
          <ClipEditor
            video={clipping}
            around={null}
            onClose={() => setClipping(null)}
            onMade={(made) => navigate(`/clips/${made.id}`)}
          />
        </Suspense>
      )}
      {!chatHidden && (
        <aside className={css.chat} aria-label="Chat">
          {chatReady && (
            <Suspense>
              <ChatPanel channel={login} name={name} beside onHide={() => hideChat(true)} />
            </Suspense>
          )}
        </aside>
      )}
    </div>
  );
}

function Details({
  channel,
  live,
  clockOffsetMs,
  onShowChat,
}: {
  channel: Channel;
  live: LiveState | null;
  clockOffsetMs: number;
  onShowChat: (() => void) | null;
}) {
  const session = useSession();
  const [reporting, setReporting] = useState(false);
  const [sharing, setSharing] = useState(false);
  const own = session.user?.login === channel.login;
  const followers = useFollowers(channel.login, channel.followers);
  const title = channel.title || (live ? `${channel.display_name} is live` : channel.display_name);
  return (
    <>
      <div className={css.headline}>
        <Avatar name={channel.display_name} size="large" live={live !== null} />
        <div className={css.words}>
          <h1 className={css.title} dir="auto">
            {title}
          </h1>
          <p className={css.name}>
            {title !== channel.display_name && <strong dir="auto">{channel.display_name}</strong>}
            {(channel.display_name.toLowerCase() !== channel.login ||
              title === channel.display_name) && <span>@{channel.login}</span>}
            <span data-testid="followers">
              {formatCount(followers)} {followers === 1 ? 'follower' : 'followers'}
            </span>
          </p>
        </div>
        <div className={css.figures}>
          {live && (
            <>
              {live.state === 'reconnecting' ? (
                <Pill>Reconnecting</Pill>
              ) : (
                <Pill tone="live" dot>
                  Live
                </Pill>
              )}
              <span className={css.figure} title={`${live.viewers} watching now`}>
                <Icon name="people" size={18} />
                <span className="tabular" data-testid="viewers">
                  {formatCount(live.viewers)}
                </span>
                <span className="visually-hidden">{live.viewers === 1 ? 'viewer' : 'viewers'}</span>
              </span>
              {live.started_at && (
                <span className={css.figure}>
                  <Icon name="clock" size={18} />
                  <Uptime since={live.started_at} offsetMs={clockOffsetMs} />
                </span>
              )}
            </>
          )}
          {own ? (
            <ButtonLink href="/dashboard" look="quiet" small icon="settings">
              Dashboard
            </ButtonLink>
          ) : (
            <>
              <FollowButton channel={channel.login} name={channel.display_name} />
              {session.user && (
                <Button
                  small
                  look="bare"
                  icon="flag"
                  aria-label={`Report ${channel.display_name}`}
                  title="Report"
                  onClick={() => setReporting(true)}
                />
              )}
            </>
          )}
          <Button
            small
            look="bare"
            icon="share"
            aria-label={`Share ${channel.display_name}`}
            title="Share"
            onClick={() => setSharing(true)}
          />
          {onShowChat && (
            <Button small look="quiet" icon="chat" onClick={onShowChat}>
              Show chat
            </Button>
          )}
        </div>
        <ShareDialog
          what="the channel"
          path={channel.login}
          title={channel.display_name}
          open={sharing}
          onClose={() => setSharing(false)}
        />
        <ReportDialog
          about={
            reporting
              ? live
                ? { kind: 'stream', channel: channel.login }
                : { kind: 'user', user: channel.login }
              : null
          }
          what={live ? `the stream of ${channel.display_name}` : channel.display_name}
          onClose={() => setReporting(false)}
        />
      </div>
      {(channel.category !== null || channel.tags.length > 0) && (
        <div className={css.tags}>
          {channel.category && (
            <ButtonLink
              small
              look="plain"
              href={`/?category=${encodeURIComponent(channel.category)}`}
            >
              {channel.category}
            </ButtonLink>
          )}
          {channel.tags.map((tag) => (
            <Tag key={tag}>{tag}</Tag>
          ))}
        </div>
      )}
      {channel.bio && (
        <section className={css.bio} aria-label={`About ${channel.display_name}`}>
          <h2>About</h2>
          <p>{channel.bio}</p>
        </section>
      )}
      {!live && !channel.bio && !channel.title && own && (
        <EmptyState
          title="Your channel is ready"
          actions={
            <ButtonLink href="/dashboard" look="primary" icon="broadcast">
              Connect OBS
            </ButtonLink>
          }
        >
          This is what others see. Give it a title on the dashboard and go live.
        </EmptyState>
      )}
    </>
  );
}

function DetailsSkeleton() {
  return (
    <div className={css.headline} role="status" aria-label="Loading the channel">
      <Skeleton className={css.ghostFace} />
      <div className={css.words}>
        <Skeleton className={css.ghostTitle} />
        <Skeleton className={css.ghostName} />
      </div>
    </div>
  );
}
