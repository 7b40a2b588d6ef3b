import { Suspense, lazy, useCallback, useEffect, useState, useSyncExternalStore } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import { ApiError, explain } from '../../api/client';
import { useSession } from '../../api/session';
import { useResource } from '../../api/use-resource';
import { videos, type VideoDetail } from '../../api/videos';
import { readChatPrefs, writeChatPrefs } from '../../chat/prefs';
import { ReplayPanel } from '../../chat/replay-panel';
import { Button, ButtonLink } from '../../components/button';
import { FollowButton } from '../../components/follow-button';
import { Icon } from '../../components/icon';
import { ReportDialog } from '../../components/report';
import { Ago } from '../../components/time';
import { toast } from '../../components/toasts';
import { Avatar, EmptyState, Notice, Pill, Skeleton, Tag } from '../../components/ui';
import { copyText } from '../../lib/clipboard';
import { cx } from '../../lib/cx';
import { formatClock, formatCount, formatExact } from '../../lib/format';
import { useTitle } from '../../lib/title';
import { readPrefs, writePrefs } from '../../player/prefs';
import { placeOf, useWatching } from '../../player/use-watching';
import type { VideoPlayer } from '../../player/video-player';
import { VideoView } from '../../player/video-view';
import channelCss from '../channel.module.css';
import { NotFoundPage } from '../not-found';
import { ClipButton } from './clip-button';
import css from './video.module.css';

const ClipEditor = lazy(() => import('../../clips/editor'));

/** A video that is being made or still runs is looked at again this often, ms. */
const CHANGES_MS = 15_000;

/** Where the address says to begin: `?t=90` or `?t=1h2m3s`. */
export function startOf(search: string): number | null {
  const text = new URLSearchParams(search).get('t');
  const found = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?$/.exec(text ?? '');
  if (!text || !found) return null;
  const [, h = '0', m = '0', s = '0'] = found;
  return Number(h) * 3600 + Number(m) * 60 + Number(s);
}

export function addressOf(video: Pick<VideoDetail, 'playback_url' | 'urls_expire_at'>) {
  return {
    url: video.playback_url ?? '',
    expiresAt: video.urls_expire_at === null ? null : Date.parse(video.urls_expire_at),
  };
}

export default function VideoPage({ id }: { id: string }) {
  const { status } = useSession();
  const [changes, setChanges] = useState(false);
  const found = useResource(`video/${id}/${status}`, (signal) => videos.get(id, signal), {
    everyMs: changes ? CHANGES_MS : undefined,
  });
  const video = found.data;
  useEffect(() => {
    setChanges(video?.status === 'live' || video?.status === 'processing');
  }, [video?.status]);
  useTitle(video ? video.title || `Video of ${video.channel.display_name}` : 'Video');

  if (video) return <Watch key={id} video={video} />;
  if (found.error instanceof ApiError && found.error.status === 404) {
    return <NotFoundPage what="video" />;
  }
  if (found.error !== undefined) {
    return (
      <EmptyState
        level="h1"
        title="The video did not load"
        actions={
          <Button look="primary" icon="refresh" onClick={found.reload}>
            Try again
          </Button>
        }
      >
        {explain(found.error)}
      </EmptyState>
    );
  }
  return (
    <div className={channelCss.page} role="status" aria-label="Loading the video">
      <div className={channelCss.stageArea}>
        <Skeleton className={channelCss.stage} />
      </div>
    </div>
  );
}

const NO_PLACE = { at: 0, end: 0 };

/** Where the playhead is, told in quarters of a second. */
function usePlace(engine: VideoPlayer | null): { at: number; end: number } {
  return useSyncExternalStore(
    engine?.screen.subscribe ?? (() => () => undefined),
    () => engine?.screen.state.timeline ?? NO_PLACE,
  );
}

function Watch({ video }: { video: VideoDetail }) {
  const search = useSearch();
  const [from] = useState(() => startOf(search) ?? video.position_s ?? placeOf(video.id));
  const [engine, setEngine] = useState<VideoPlayer | null>(null);
  const [theatre, setTheatre] = useState(() => readPrefs().theatre);
  const [chatHidden, setChatHidden] = useState(() => readChatPrefs().hidden);
  const [clipping, setClipping] = useState<number | null>(null);
  const session = useSession();
  const [, navigate] = useLocation();
  useWatching(video.id, engine);
  const renew = useCallback(async () => addressOf(await videos.get(video.id)), [video.id]);
  const plays = video.playback_url !== null;
  const name = video.channel.display_name;
  const hasChat = video.kind !== 'upload';

  function hideChat(hidden: boolean) {
    writeChatPrefs({ ...readChatPrefs(), hidden });
    setChatHidden(hidden);
  }
  function clip() {
    if (session.status !== 'signed-in') {
      navigate(`/login?next=${encodeURIComponent(`/videos/${video.id}`)}`);
      return;
    }
    engine?.screen.video.pause();
    setClipping(engine?.screen.state.timeline?.at ?? 0);
  }

  return (
    <div
      className={cx(channelCss.page, css.page, theatre && channelCss.theatre)}
      data-theatre={theatre || undefined}
    >
      <div className={channelCss.stageArea}>
        <div className={channelCss.stage}>
          {plays ? (
            <VideoView
              id={video.id}
              address={addressOf(video)}
              renew={renew}
              from={from}
              label={video.title || name}
              poster={video.thumbnail_url}
              storyboardUrl={video.storyboard_url}
              chapters={video.chapters}
              grows={video.status === 'live'}
              theatre={theatre}
              onTheatre={() => {
                writePrefs({ theatre: !theatre });
                setTheatre(!theatre);
              }}
              shortcuts
              onEngine={setEngine}
              buttons={<ClipButton onClick={clip} />}
            />
          ) : (
            <Unplayable video={video} />
          )}
        </div>
      </div>
      <div className={cx(channelCss.about, css.about)}>
        {from > 10 && <Resumed at={from} engine={engine} />}
        <Head
          video={video}
          engine={engine}
          onShowChat={chatHidden && hasChat ? () => hideChat(false) : null}
        />
        <Chapters video={video} onGo={(at) => engine?.seekTo(at)} engine={engine} />
      </div>
      {hasChat && !chatHidden && (
        <aside className={channelCss.chat} aria-label="Chat">
          <Chat video={video} engine={engine} onHide={() => hideChat(true)} />
        </aside>
      )}
      {clipping !== null && (
        <Suspense>
          <ClipEditor
            video={video}
            around={clipping}
            onClose={() => setClipping(null)}
            onMade={(made) => navigate(`/clips/${made.id}`)}
          />
        </Suspense>
      )}
    </div>
  );
}

function Chat({
  video,
  engine,
  onHide,
}: {
  video: VideoDetail;
  engine: VideoPlayer | null;
  onHide: () => void;
}) {
  const { at, end } = usePlace(engine);
  return (
    <ReplayPanel
      of={`videos/${video.id}`}
      at={at}
      end={Math.max(end, video.duration_s)}
      grows={video.status === 'live'}
      name={video.channel.display_name}
      mayModerate={video.may_moderate}
      onHide={onHide}
    />
  );
}

/** Says that it goes on where one left it, and offers the beginning. */
function Resumed({ at, engine }: { at: number; engine: VideoPlayer | null }) {
  const [shown, setShown] = useState(true);
  useEffect(() => {
    const timer = setTimeout(() => setShown(false), 15_000);
    return () => clearTimeout(timer);
  }, []);
  if (!shown) return null;
  return (
    <Notice
      action={
        <Button
          small
          look="quiet"
          onClick={() => {
            engine?.seekTo(0);
            setShown(false);
          }}
        >
          From the start
        </Button>
      }
    >
      It goes on at {formatClock(at)}.
    </Notice>
  );
}

function Unplayable({ video }: { video: VideoDetail }) {
  return (
    <div className={channelCss.off}>
      <h2>
        {video.status === 'failed' ? 'This video could not be made' : 'This video is being made'}
      </h2>
      <p>
        {video.status === 'failed'
          ? (video.own?.error?.message ?? 'Something was wrong with its file.')
          : 'It plays here by itself as soon as it is there.'}
      </p>
    </div>
  );
}

const SEEN_BY = {
  public: null,
  unlisted: 'Unlisted: only who has its address',
  private: 'Private: only you',
} as const;

function Head({
  video,
  engine,
  onShowChat,
}: {
  video: VideoDetail;
  engine: VideoPlayer | null;
  onShowChat: (() => void) | null;
}) {
  const session = useSession();
  const [reporting, setReporting] = useState(false);
  const { channel } = video;
  const own = session.user?.id === channel.id;
  const at = video.started_at ?? video.published_at ?? video.created_at;
  const seenBy = SEEN_BY[video.visibility];

  async function share() {
    const place = Math.floor(engine?.screen.state.timeline?.at ?? 0);
    const url = `${location.origin}/videos/${video.id}${place > 10 ? `?t=${place}` : ''}`;
    const done = await copyText(url);
    toast(
      done
        ? `The link${place > 10 ? ` to ${formatClock(place)}` : ''} is copied.`
        : `Copy it by hand: ${url}`,
    );
  }

  return (
    <>
      <div className={channelCss.headline}>
        <Link href={`/${channel.login}`} tabIndex={-1} aria-hidden="true" className={css.face}>
          <Avatar name={channel.display_name} size="large" />
        </Link>
        <div className={channelCss.words}>
          <h1 className={channelCss.title}>{video.title || formatExact(new Date(at))}</h1>
          <p className={channelCss.name}>
            <Link href={`/${channel.login}`} className={css.channel}>
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
          <Button small look="quiet" icon="share" onClick={() => void share()}>
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
  const parts: React.ReactNode[] = [];
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

function Chapters({
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
        {video.chapters.map((chapter) => (
          <li key={chapter.at_s}>
            <button
              type="button"
              aria-current={chapter === now ? 'true' : undefined}
              onClick={() => onGo(chapter.at_s)}
            >
              <span className="tabular">{formatClock(chapter.at_s)}</span>
              <span>
                {chapter.title}
                {chapter.category && <small> {chapter.category}</small>}
              </span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}
