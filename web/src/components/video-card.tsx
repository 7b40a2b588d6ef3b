import { useState } from 'react';
import { Link } from 'wouter';
import type { Clip, Video } from '../api/videos';
import { cx } from '../lib/cx';
import { formatClock, formatCount, formatExact, formatSpan } from '../lib/format';
import { LogoMark } from './logo';
import css from './stream-card.module.css';
import { Ago } from './time';
import { Avatar, Pill, Tag } from './ui';

/** A still picture, or the unlit mark where there is none. */
export function Still({ url, eager = false }: { url: string | null; eager?: boolean }) {
  const [failed, setFailed] = useState<string | null>(null);
  if (url === null || failed === url) {
    return (
      <span className={css.blank}>
        <LogoMark size={48} lit={false} />
      </span>
    );
  }
  return (
    <img
      className={css.image}
      src={url}
      alt=""
      loading={eager ? 'eager' : 'lazy'}
      decoding="async"
      onError={() => setFailed(url)}
    />
  );
}

/** What a video is called that is no broadcast. */
export const KINDS = { broadcast: null, upload: 'Upload', highlight: 'Highlight' } as const;

export function VideoCard({
  video,
  eager = false,
  byline = true,
  watched = null,
}: {
  video: Video;
  eager?: boolean;
  /** Whether it says whose it is: not on the channel's own page. */
  byline?: boolean;
  /** How far it was watched, s. */
  watched?: number | null;
}) {
  const { channel } = video;
  const live = video.status === 'live';
  const kind = KINDS[video.kind];
  const at = video.published_at ?? video.created_at;
  return (
    <article className={css.card}>
      <div className={css.picture}>
        <Still url={video.thumbnail_url} eager={eager} />
        <span className={css.top}>
          {live && (
            <Pill tone="live" dot>
              Live
            </Pill>
          )}
          {kind && <Pill>{kind}</Pill>}
        </span>
        <span className={cx(css.bottom, css.bottomEnd)}>
          <Pill>
            <span title={formatSpan(video.duration_s)}>{formatClock(video.duration_s)}</span>
          </Pill>
        </span>
        {watched !== null && watched > 0 && (
          <span className={css.watched}>
            <span style={{ width: `${Math.min(100, (watched / video.duration_s) * 100)}%` }} />
          </span>
        )}
      </div>
      <div className={css.body}>
        {byline && <Avatar name={channel.display_name} />}
        <div className={css.words}>
          <h2 className={css.title} dir="auto">
            <Link href={`/videos/${video.id}`} className={css.link} title={video.title}>
              {video.title || `${channel.display_name}, ${formatExact(new Date(at))}`}
            </Link>
          </h2>
          {byline && (
            <p className={css.name} dir="auto">
              {channel.display_name}
            </p>
          )}
          <p className={css.name}>
            {formatCount(video.views)} {video.views === 1 ? 'view' : 'views'} · <Ago at={at} />
          </p>
          {(video.category || video.tags.length > 0) && (
            <div className={css.tags}>
              {video.category && <Tag>{video.category}</Tag>}
              {video.tags.slice(0, 2).map((tag) => (
                <Tag key={tag}>{tag}</Tag>
              ))}
            </div>
          )}
        </div>
      </div>
    </article>
  );
}

export function ClipCard({ clip, byline = true }: { clip: Clip; byline?: boolean }) {
  return (
    <article className={css.card}>
      <div className={css.picture}>
        <Still url={clip.thumbnail_url} />
        <span className={cx(css.bottom, css.bottomEnd)}>
          <Pill>{formatClock(clip.duration_s)}</Pill>
        </span>
      </div>
      <div className={css.body}>
        <div className={css.words}>
          <h2 className={css.title} dir="auto">
            <Link href={`/clips/${clip.id}`} className={css.link} title={clip.title}>
              {clip.title}
            </Link>
          </h2>
          {byline && (
            <p className={css.name} dir="auto">
              {clip.channel.display_name}
            </p>
          )}
          <p className={css.name}>
            {formatCount(clip.views)} {clip.views === 1 ? 'view' : 'views'} ·{' '}
            <Ago at={clip.created_at} />
            {clip.creator && (
              <>
                {' '}
                · by <bdi>{clip.creator.display_name}</bdi>
              </>
            )}
          </p>
        </div>
      </div>
    </article>
  );
}
