import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { useSession } from '../../api/session';
import type { VideoDetail } from '../../api/videos';
import { Button, ButtonLink } from '../../components/button';
import { FollowButton } from '../../components/follow-button';
import { Icon } from '../../components/icon';
import { ReportDialog } from '../../components/report';
import { ShareDialog } from '../../components/share';
import { Ago } from '../../components/time';
import { Avatar, Pill, Tag } from '../../components/ui';
import { formatClock, formatCount, formatExact } from '../../lib/format';
import { usePlace } from '../../player/use-place';
import type { VideoPlayer } from '../../player/video-player';
import channelCss from '../channel.module.css';
import css from './video.module.css';

const SEEN_BY = {
  public: null,
  unlisted: 'Unlisted: only who has its address',
  private: 'Private: only you',
} as const;

/** What a video is, whose, and what may be done with it. */
export function Head({
  video,
  engine,
  onShowChat,
  onHighlight,
}: {
  video: VideoDetail;
  engine: VideoPlayer | null;
  onShowChat: (() => void) | null;
  onHighlight: (() => void) | null;
}) {
  const session = useSession();
  const [reporting, setReporting] = useState(false);
  const [sharing, setSharing] = useState(false);
  const { channel } = video;
  const own = session.user?.id === channel.id;
  const at = video.started_at ?? video.published_at ?? video.created_at;
  const seenBy = SEEN_BY[video.visibility];

  return (
    <>
      <div className={channelCss.headline}>
        <Link href={`/${channel.login}`} tabIndex={-1} aria-hidden="true" className={css.face}>
          <Avatar name={channel.display_name} size="large" />
        </Link>
        <div className={channelCss.words}>
          <h1 className={channelCss.title} dir="auto">
            {video.title || formatExact(new Date(at))}
          </h1>
          <p className={channelCss.name}>
            <Link href={`/${channel.login}`} className={css.channel} dir="auto">
              {channel.display_name}
            </Link>
            <span>
              {formatCount(video.views)} {video.views === 1 ? 'view' : 'views'}
            </span>
            <span title={formatExact(new Date(at))}>
              <Ago at={at} />
            </span>
          </p>
        </div>
        <div className={channelCss.figures}>
          {video.status === 'live' && (
            <ButtonLink href={`/${channel.login}`} look="quiet" small icon="broadcast">
              Watch live
            </ButtonLink>
          )}
          {seenBy && (
            <Pill tone="warn">
              <span title={seenBy}>{video.visibility}</span>
            </Pill>
          )}
          {own || video.may_edit ? (
            <ButtonLink
              href={`/dashboard/videos?edit=${video.id}`}
              look="quiet"
              small
              icon="settings"
            >
              Edit
            </ButtonLink>
          ) : (
            <FollowButton channel={channel.login} name={channel.display_name} />
          )}
          {onHighlight && (
            <Button small look="quiet" icon="star" onClick={onHighlight}>
              Highlight
            </Button>
          )}
          <Button small look="quiet" icon="share" onClick={() => setSharing(true)}>
            Share
          </Button>
          {session.user && !own && (
            <Button
              small
              look="bare"
              icon="flag"
              aria-label="Report this video"
              title="Report"
              onClick={() => setReporting(true)}
            />
          )}
          {onShowChat && (
            <Button small look="quiet" icon="chat" onClick={onShowChat}>
              Show chat
            </Button>
          )}
        </div>
        <ReportDialog
          about={reporting ? { kind: 'video', video: video.id } : null}
          what={`“${video.title}” of ${channel.display_name}`}
          onClose={() => setReporting(false)}
        />
        <ShareDialog
          what="the video"
          path={`videos/${video.id}`}
          title={video.title}
          at={engine?.screen.state.timeline?.at}
          open={sharing}
          onClose={() => setSharing(false)}
        />
      </div>
      {(video.category !== null || video.tags.length > 0) && (
        <div className={channelCss.tags}>
          {video.category && (
            <ButtonLink small href={`/videos?category=${encodeURIComponent(video.category)}`}>
              {video.category}
            </ButtonLink>
          )}
          {video.tags.map((tag) => (
            <Link key={tag} href={`/videos?tag=${encodeURIComponent(tag)}`} className={css.tagLink}>
              <Tag>{tag}</Tag>
            </Link>
          ))}
        </div>
      )}
      {video.description && (
        <section className={channelCss.bio} aria-label="Description">
          <Description text={video.description} onGo={(to) => engine?.seekTo(to)} />
        </section>
      )}
    </>
  );
}

const STAMP = /\b(?:(\d{1,2}):)?(\d{1,2}):(\d{2})\b/g;

/** Times in a description lead to where they name. */
function Description({ text, onGo }: { text: string; onGo: (at: number) => void }) {
  const parts: ReactNode[] = [];
  let last = 0;
  for (const found of text.matchAll(STAMP)) {
    const [whole, h = '0', m = '0', s = '0'] = found;
    parts.push(text.slice(last, found.index));
    last = found.index + whole.length;
    const at = Number(h) * 3600 + Number(m) * 60 + Number(s);
    parts.push(
      <button key={found.index} type="button" className={css.stamp} onClick={() => onGo(at)}>
        {whole}
      </button>,
    );
  }
  parts.push(text.slice(last));
  return <p>{parts}</p>;
}

export function Chapters({
  video,
  engine,
  onGo,
}: {
  video: VideoDetail;
  engine: VideoPlayer | null;
  onGo: (at: number) => void;
}) {
  const { at } = usePlace(engine);
  if (video.chapters.length < 2) return null;
  const now = video.chapters.findLast((chapter) => chapter.at_s <= at);
  return (
    <section className={css.chapters} aria-label="Chapters">
      <h2>
        <Icon name="list" size={18} /> Chapters
      </h2>
      <ol>
        {video.chapters.map((chapter, n) => (
          <li key={chapter.at_s}>
            <button
              type="button"
              aria-current={chapter === now ? 'true' : undefined}
              onClick={() => onGo(chapter.at_s)}
            >
              <span className="tabular">{formatClock(chapter.at_s)}</span>
              <span>
                {chapter.title}
                {chapter.category !== null &&
                  chapter.category !== video.chapters[n - 1]?.category && (
                    <small> {chapter.category}</small>
                  )}
              </span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}
