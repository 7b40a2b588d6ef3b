import { lazy, Suspense, useCallback, useEffect, useState } from 'react';
import { useLocation, useSearch } from 'wouter';
import { useSession } from '../../api/session';
import { useResource } from '../../api/use-resource';
import { type VideoDetail, videos } from '../../api/videos';
import { readChatPrefs, writeChatPrefs } from '../../chat/prefs';
import { ReplayPanel } from '../../chat/replay-panel';
import { Button } from '../../components/button';
import { Notice } from '../../components/ui';
import { cx } from '../../lib/cx';
import { formatClock } from '../../lib/format';
import { useTitle } from '../../lib/title';
import { addressOf, startOf } from '../../player/address';
import { readPrefs, writePrefs } from '../../player/prefs';
import { usePlace } from '../../player/use-place';
import { placeOf, useWatching } from '../../player/use-watching';
import type { VideoPlayer } from '../../player/video-player';
import { VideoView } from '../../player/video-view';
import channelCss from '../channel.module.css';
import { Absent } from './absent';
import { ClipButton } from './clip-button';
import { Chapters, Head } from './video-head';
import css from './video.module.css';

const ClipEditor = lazy(() => import('../../clips/editor'));
const HighlightEditor = lazy(() => import('../../clips/highlight'));

/** A video that is being made or still runs is looked at again this often, ms. */
const CHANGES_MS = 15_000;

export default function VideoPage({ id }: { id: string }) {
  const { status } = useSession();
  const [changes, setChanges] = useState(false);
  // While it is unknown who looks, the login of this browser counts already: the answer is the same.
  const as = status === 'anonymous' ? 'anybody' : 'oneself';
  const found = useResource(`video/${id}/${as}`, (signal) => videos.get(id, signal), {
    everyMs: changes ? CHANGES_MS : undefined,
  });
  const video = found.data;
  useEffect(() => {
    setChanges(video?.status === 'live' || video?.status === 'processing');
  }, [video?.status]);
  useTitle(video ? video.title || `Video of ${video.channel.display_name}` : 'Video');

  if (video) return <Watch key={id} video={video} />;
  return <Absent what="video" of={found} />;
}

function Watch({ video }: { video: VideoDetail }) {
  const search = useSearch();
  const [asked] = useState(() => startOf(search));
  const [from] = useState(() => asked ?? video.position_s ?? placeOf(video.id));
  const [engine, setEngine] = useState<VideoPlayer | null>(null);
  const [theatre, setTheatre] = useState(() => readPrefs().theatre);
  const [chatHidden, setChatHidden] = useState(() => readChatPrefs().hidden);
  const [clipping, setClipping] = useState<number | null>(null);
  const [highlighting, setHighlighting] = useState<number | null>(() =>
    video.may_edit && new URLSearchParams(search).has('highlight') ? from : null,
  );
  const session = useSession();
  const [, navigate] = useLocation();
  useWatching(video.id, engine);
  useEffect(() => {
    if (highlighting !== null) engine?.screen.video.pause();
  }, [engine, highlighting]);
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
    setClipping(pausedAt());
  }
  function highlight() {
    setHighlighting(pausedAt());
  }
  function pausedAt(): number {
    engine?.screen.video.pause();
    return engine?.screen.state.timeline?.at ?? 0;
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
        {asked === null && from > 10 && <Resumed at={from} engine={engine} />}
        <Head
          video={video}
          engine={engine}
          onShowChat={chatHidden && hasChat ? () => hideChat(false) : null}
          onHighlight={video.may_edit && video.status === 'ready' ? highlight : null}
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
      {highlighting !== null && (
        <Suspense>
          <HighlightEditor
            video={video}
            around={highlighting}
            onClose={() => setHighlighting(null)}
            onMade={(made) => navigate(`/videos/${made.id}`)}
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
      Continued where you stopped, at {formatClock(at)}.
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
