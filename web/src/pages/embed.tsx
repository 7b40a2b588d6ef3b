/** Players to put into other pages: nothing but the picture, and the way here. */
import { useCallback, useMemo, useState, type ReactNode } from 'react';
import { useSearch } from 'wouter';
import { ApiError, api, explain } from '../api/client';
import type { Channel as ChannelInfo } from '../api/types';
import { useLiveState } from '../api/use-live-state';
import { useResource, type Resource } from '../api/use-resource';
import { videos, type Person, type VideoDetail } from '../api/videos';
import { Button, ButtonLink } from '../components/button';
import { Icon } from '../components/icon';
import { Pill, Skeleton } from '../components/ui';
import { formatClock } from '../lib/format';
import { useTitle } from '../lib/title';
import { addressOf, startOf } from '../player/address';
import { Player } from '../player/player';
import { streamOf } from '../player/snapshot';
import { useWatching } from '../player/use-watching';
import type { VideoPlayer } from '../player/video-player';
import { VideoView } from '../player/video-view';
import { Off, useEnded } from './channel-off';
import css from './embed.module.css';
import { ClipStage, useClip } from './videos/clip-stage';

const DETAILS_MS = 60_000;

/** A channel: live, or when it was. */
export function Channel({ login }: { login: string }) {
  const view = useLiveState(login);
  const live = view?.live ?? null;
  const ended = useEnded(live);
  const found = useResource(
    `channel/${login}`,
    (signal) => api<ChannelInfo>('GET', `/channels/${login}`, { signal }),
    { everyMs: DETAILS_MS },
  );
  const stream = useMemo(
    () => (live === null ? undefined : streamOf(live)),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- viewers and warnings do not concern the player
    [live?.login, live?.state, live?.session],
  );
  const name = found.data?.display_name ?? login;
  const on = live !== null && live.state !== 'offline';
  useTitle(on ? `${name} is live` : name);
  if (isMissing(found)) return <Missing what="channel" />;
  return (
    <Frame path={login} name={name} title={on ? (found.data?.title ?? '') : ''} live={on}>
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
              channel={found.data ?? null}
              action={
                <ButtonLink href={`/${login}`} target="_blank" look="quiet">
                  Open the channel
                </ButtonLink>
              }
            />
          )
        }
        shortcuts
      />
    </Frame>
  );
}

/** A video; it is loaded when one asks for it. */
export function Video({ id }: { id: string }) {
  const found = useResource(`embed/video/${id}`, (signal) => videos.get(id, signal));
  useTitle(found.data?.title ?? 'Video');
  if (!found.data) return <Awaited of={found} what="video" />;
  const video = found.data;
  return (
    <Asked path={`videos/${id}`} of={video} playable={video.playback_url !== null}>
      <Watch video={video} />
    </Asked>
  );
}

function Watch({ video }: { video: VideoDetail }) {
  const search = useSearch();
  const [engine, setEngine] = useState<VideoPlayer | null>(null);
  useWatching(video.id, engine);
  const renew = useCallback(async () => addressOf(await videos.get(video.id)), [video.id]);
  return (
    <VideoView
      id={video.id}
      address={addressOf(video)}
      renew={renew}
      from={startOf(search) ?? 0}
      label={video.title || video.channel.display_name}
      poster={video.thumbnail_url}
      storyboardUrl={video.storyboard_url}
      chapters={video.chapters}
      grows={video.status === 'live'}
      shortcuts
      onEngine={setEngine}
    />
  );
}

/** A clip. */
export function Clip({ id }: { id: string }) {
  const found = useClip(id);
  useTitle(found.data?.title ?? 'Clip');
  if (!found.data) return <Awaited of={found} what="clip" />;
  return (
    <Asked path={`clips/${id}`} of={found.data} playable={found.data.playback_url !== null}>
      <ClipStage clip={found.data} />
    </Asked>
  );
}

/** Its picture with a button; the player once that is pressed, or at once where the address says `autoplay`. */
function Asked({
  path,
  of,
  playable,
  children,
}: {
  path: string;
  of: { title: string; channel: Person; thumbnail_url: string | null; duration_s: number };
  playable: boolean;
  children: ReactNode;
}) {
  const search = useSearch();
  const [asked, setAsked] = useState(() => new URLSearchParams(search).has('autoplay'));
  const name = of.channel.display_name;
  return (
    <Frame path={path} name={name} title={of.title}>
      {asked || !playable ? (
        children
      ) : (
        <button
          type="button"
          className={css.still}
          aria-label={`Play ${of.title || name}, ${formatClock(of.duration_s)}`}
          onClick={() => setAsked(true)}
        >
          {of.thumbnail_url !== null && <img src={of.thumbnail_url} alt="" />}
          <span className={css.play}>
            <span>
              <Icon name="play" size={34} />
            </span>
          </span>
          <span className={css.length}>
            <Pill>{formatClock(of.duration_s)}</Pill>
          </span>
        </button>
      )}
    </Frame>
  );
}

/** The picture, and above it what it is and the way to its own page, in another tab. */
function Frame({
  path,
  name,
  title,
  live = false,
  children,
}: {
  path: string;
  name: string;
  title: string;
  live?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={css.embed}>
      {children}
      <div className={css.head}>
        {live && (
          <Pill tone="live" dot>
            Live
          </Pill>
        )}
        <a className={css.way} href={`/${path}`} target="_blank" rel="noopener">
          <strong>{title || name}</strong>
          {title && <span>{name}</span>}
        </a>
      </div>
    </div>
  );
}

type Loading = Pick<Resource<unknown>, 'error' | 'reload'>;

const isMissing = ({ error }: Loading) => error instanceof ApiError && error.status === 404;

function Awaited({ of, what }: { of: Loading; what: string }) {
  if (isMissing(of)) return <Missing what={what} />;
  if (of.error === undefined) {
    return <Skeleton className={css.embed} />;
  }
  return (
    <div className={css.embed}>
      <div className={css.word} role="alert">
        <p>{explain(of.error)}</p>
        <Button look="quiet" icon="refresh" onClick={of.reload}>
          Try again
        </Button>
      </div>
    </div>
  );
}

function Missing({ what }: { what: string }) {
  return (
    <div className={css.embed}>
      <div className={css.word}>
        <p>This {what} is no longer there.</p>
        <ButtonLink href="/" target="_blank" look="quiet">
          See who is live
        </ButtonLink>
      </div>
    </div>
  );
}
